"""Upstreams that answer, are late, are silent, fail, lie, cut, die and come back, as a seed decides."""

import heapq
import random
import selectors
import socket
import struct
import threading
import time

from truth import legacy_value
from wire import AAAA, skip

# What a question may still be answered under, and what explains a failure.
HARMLESS = ["good", "good", "late", "cut", "late and cut", "spray", "extra"]
FAULTS = ["silent", "servfail", "liar", "dead", "garbage", "very late"]
FALSE = b"\xfd\x0b\xad" + bytes(13)
SHIFT = 5.0
TTLS = [1, 2, 5, 20]


def question_of(message):
    """The name in small letters, and the octets of the question."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii", "replace"))
        at += 1 + message[at]
    end = skip(message, 12) + 4
    return ".".join(labels).lower() + ".", message[12:end], struct.unpack_from("!H", message, end - 4)[0]


def record(owner, address, ttl):
    return owner + struct.pack("!HHIH", AAAA, 1, ttl, len(address)) + address


def message(number, section, rcode=0, records=(), cut=False, authority=b""):
    flags = 0x8180 | rcode | (0x0200 if cut else 0)
    return struct.pack("!6H", number, flags, 1, len(records), 1 if authority else 0, 0) + section + b"".join(records) + authority


SOA = b"\xc0\x0c" + struct.pack("!HHIH", 6, 1, 2, 22) + b"\0\0" + struct.pack("!5I", 1, 2, 3, 4, 2)


class Upstream(threading.Thread):
    """One server, over UDP and TCP at one port."""

    def __init__(self, truth, seed):
        super().__init__(daemon=True)
        self.truth = truth
        self.chance = random.Random(seed)
        self.mode = "good"
        self.over = False
        self.asked = 0
        self.port = 0
        self.open()

    def open(self):
        for _ in range(50):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.udp.bind(("127.0.0.1", self.port))
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:
                self.close()
                time.sleep(0.1)
        else:
            raise OSError("no port for an upstream")
        self.tcp.listen(64)
        self.port = self.udp.getsockname()[1]

    def close(self):
        self.udp.close()
        self.tcp.close()

    def run(self):
        while not self.over:
            if self.mode == "dead":
                self.close()
                while self.mode == "dead" and not self.over:
                    time.sleep(0.05)
                self.open()
            self.serve()

    def serve(self):
        """Until it dies."""
        late = []
        with selectors.DefaultSelector() as selector:
            selector.register(self.udp, selectors.EVENT_READ)
            selector.register(self.tcp, selectors.EVENT_READ)
            while not self.over and self.mode != "dead":
                for key, _ in selector.select(0.02):
                    if key.fileobj is self.tcp:
                        stream = self.tcp.accept()[0]
                        threading.Thread(target=self.stream, args=[stream], daemon=True).start()
                    else:
                        self.datagram(late)
                while late and late[0][0] <= time.monotonic():
                    _, _, reply, peer = heapq.heappop(late)
                    self.udp.sendto(reply, peer)

    def datagram(self, late):
        asked, peer = self.udp.recvfrom(4096)
        self.asked += 1
        for delay, reply in self.replies(asked, False):
            if delay:
                heapq.heappush(late, (time.monotonic() + delay, self.asked, reply, peer))
            else:
                self.udp.sendto(reply, peer)

    def stream(self, stream):
        stream.settimeout(5)
        with stream:
            try:
                while True:
                    length = stream.recv(2, socket.MSG_WAITALL)
                    if len(length) < 2:
                        return
                    asked = stream.recv(struct.unpack("!H", length)[0], socket.MSG_WAITALL)
                    for delay, reply in self.replies(asked, True):
                        time.sleep(delay)
                        stream.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                return

    def right(self, number, section, name, kind):
        address = legacy_value(name)
        if address is None:
            return message(number, section, 3, authority=SOA)
        if kind != AAAA:
            return message(number, section, 0, authority=SOA)
        return message(number, section, 0, [record(b"\xc0\x0c", address, self.chance.choice(TTLS))])

    def lies(self, number, section):
        """With other ids, about other names, and what is no message."""
        false = [record(b"\xc0\x0c", FALSE, 60)]
        other = b"\x05other" + section[1 + section[0] :]
        for _ in range(8):
            yield 0, message(number ^ self.chance.randrange(1, 65536), section, 0, false)
        yield 0, message(number, other, 0, false)

    def replies(self, asked, stream):
        mode, chance = self.mode, self.chance
        number = struct.unpack_from("!H", asked)[0]
        name, section, kind = question_of(asked)
        right = self.right(number, section, name, kind)
        if mode == "late":
            yield 0 if stream else chance.uniform(0.0, 0.2), right
        elif mode == "late and cut":
            # Over TCP at once, as there one reply waits for the other.
            yield (0, right) if stream else (chance.uniform(0.0, 0.3), message(number, section, 0, cut=True))
        elif mode == "very late":
            yield chance.uniform(0.5, 6.0), right
        elif mode == "servfail":
            yield 0, message(number, section, 2)
        elif mode == "cut" and not stream:
            yield 0, message(number, section, 0, cut=True)
        elif mode == "liar" and not stream:
            yield from self.lies(number, section)
        elif mode == "garbage":
            yield 0, chance.randbytes(chance.randrange(1, 200))
        elif mode == "spray" and not stream:
            yield from self.lies(number, section)
            yield 0, right
        elif mode == "extra" and legacy_value(name) and kind == AAAA:
            # Of another name, which nobody asked for.
            poison = record(b"\x02l1\x06legacy\x04soak\0", FALSE, 600)
            own = record(b"\xc0\x0c", legacy_value(name), 2)
            yield 0, struct.pack("!6H", number, 0x8180, 1, 1, 0, 1) + section + own + poison
        elif mode != "silent":
            yield 0, right


class Weather(threading.Thread):
    """Decides how upstreams are: calm and faults take turns, and nothing fails in the end."""

    def __init__(self, truth, upstreams, seconds, seed):
        super().__init__(daemon=True)
        self.truth, self.upstreams, self.seconds = truth, upstreams, seconds
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.tally = {}

    def run(self):
        begun = time.monotonic()
        cycle = min(180.0, self.seconds)
        while not self.over.is_set():
            at = (time.monotonic() - begun) % cycle / cycle
            calm = at < 0.35 or at > 0.75 or time.monotonic() - begun > self.seconds
            for upstream in self.upstreams:
                upstream.mode = self.chance.choice(HARMLESS if calm else HARMLESS + 2 * FAULTS)
                self.tally[upstream.mode] = self.tally.get(upstream.mode, 0) + 1
            self.truth.faulty.set(any(upstream.mode in FAULTS for upstream in self.upstreams))
            self.truth.dark.set(all(upstream.mode in FAULTS for upstream in self.upstreams))
            self.over.wait(SHIFT if cycle > 100 else SHIFT / 2)
        self.truth.faulty.set(False)
        self.truth.dark.set(False)
