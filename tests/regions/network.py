"""Network namespaces on one bridge, and what can go wrong between them.

Everything lives in namespaces whose names begin with `kedge-` and the number of this process: the
machine's own interfaces, routes and rules are not touched, and deleting the namespaces removes all
of it.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

SUBNET = "10.77.0"
HUB = "hub"
# <linux/if_tun.h>
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000
MTU = 1500


class Unable(Exception):
    """This machine does not let us make namespaces."""


def ip(*words):
    """Runs `ip`; what it says is the error."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unable(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """One namespace for each name, all on one bridge."""

    def __init__(self, names):
        self.names = list(names)
        self.address = {name: f"{SUBNET}.{at + 1}" for at, name in enumerate(self.names)}
        self.prefix = f"kedge-{os.getpid()}-"
        self.made = []
        self.shim = None

    def namespace(self, name):
        return self.prefix + name

    def inside(self, name, *command):
        """A command as it is run in a namespace."""
        return ["ip", "netns", "exec", self.namespace(name), *command]

    def make(self):
        for name in [HUB, *self.names]:
            ip("netns", "add", self.namespace(name))
            self.made.append(name)
        hub = self.namespace(HUB)
        ip("-n", hub, "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
        ip("-n", hub, "link", "set", "bridge", "up")
        for name in self.names:
            space = self.namespace(name)
            ip("-n", hub, "link", "add", name, "type", "veth", "peer", "name", "net", "netns", space)
            ip("-n", hub, "link", "set", name, "master", "bridge", "up")
            ip("-n", space, "address", "add", f"{self.address[name]}/24", "dev", "net")
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "link", "set", "net", "up")
        self._rules("add table bridge cuts")
        self._rules("add chain bridge cuts forward { type filter hook forward priority 0; }")

    def remove(self):
        self.quicken()
        while self.made:
            ip("netns", "delete", self.namespace(self.made.pop()))

    def _rules(self, rules):
        command = self.inside(HUB, "nft", rules)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unable(f"nft {rules}: {done.stderr.strip()}")

    def cut_one_way(self, source, target):
        """Whatever `source` sends to `target` is lost, without a word."""
        self._rules(f'add rule bridge cuts forward iifname "{source}" oifname "{target}" drop')

    def cut(self, one, other):
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def heal(self):
        """All links are whole and quick again."""
        self._rules("flush chain bridge cuts forward")
        self.quicken()

    def slow(self, delay, loss):
        """Each packet between two namespaces takes `delay` seconds, and is lost by chance."""
        devices = {}
        for name in self.names:
            devices[self.address[name]] = open_tun(self.namespace(name))
            ip("-n", self.namespace(name), "link", "set", "slow", "mtu", str(MTU), "up")
        self.shim = Shim(devices, delay, loss)
        self.shim.start()
        for name in self.names:
            for other in self.names:
                if other != name:
                    self._detour("add", name, other)

    def quicken(self):
        """Packets take the bridge again."""
        if self.shim is None:
            return
        for name in self.names:
            for other in self.names:
                if other != name:
                    self._detour("delete", name, other)
        # Closing a device removes it.
        self.shim.stop()
        self.shim = None

    def _detour(self, what, name, other):
        route = [f"{self.address[other]}/32", "dev", "slow", "src", self.address[name]]
        ip("-n", self.namespace(name), "route", what, *route)


def open_tun(namespace):
    """A TUN device `slow` in a namespace, to be read and written here."""
    opened = []

    def enter():
        # Of this thread alone, which ends.
        libc = ctypes.CDLL(None, use_errno=True)
        space = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        entered = libc.setns(space, CLONE_NEWNET)
        os.close(space)
        if entered != 0:
            opened.append(OSError(ctypes.get_errno(), "setns"))
            return
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"slow", IFF_TUN | IFF_NO_PI))
            opened.append(device)
        except OSError as error:
            opened.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(opened[0], OSError):
        raise Unable(f"no TUN device in {namespace}: {opened[0]}")
    return opened[0]


class Shim(threading.Thread):
    """Carries IPv4 packets between TUN devices, late and not all of them.

    The kernels that this runs on need no netem for it.
    """

    def __init__(self, devices, delay, loss):
        super().__init__(daemon=True)
        self.devices = devices
        self.delay = delay
        self.loss = loss
        self.chance = random.Random(4711)
        self.over = False
        self.carried = 0
        self.lost = 0

    def run(self):
        underway, count = [], 0
        devices = list(self.devices.values())
        while not self.over:
            now = time.monotonic()
            wait = min(0.05, underway[0][0] - now) if underway else 0.05
            ready, _, _ = select.select(devices, [], [], max(0.0, wait))
            now = time.monotonic()
            for device in ready:
                for packet in read_all(device):
                    if self.chance.random() < self.loss:
                        self.lost += 1
                        continue
                    count += 1
                    heapq.heappush(underway, (now + self.delay, count, packet))
            while underway and underway[0][0] <= now:
                self.deliver(heapq.heappop(underway)[2])

    def deliver(self, packet):
        # Bytes 16 to 19 of an IPv4 header are where it goes.
        target = ".".join(str(byte) for byte in packet[16:20])
        device = self.devices.get(target)
        if packet[0] >> 4 == 4 and device is not None:
            try:
                os.write(device, packet)
                self.carried += 1
            except OSError:
                self.lost += 1

    def stop(self):
        self.over = True
        self.join()
        for device in self.devices.values():
            os.close(device)


def read_all(device):
    """What waits at a device."""
    while True:
        try:
            yield os.read(device, MTU + 4)
        except BlockingIOError:
            return
