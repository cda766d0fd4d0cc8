"""The program, its directory, its admin API and what the system knows of its process."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from truth import APEX, ORIGIN, ZONE, ZONE_NAMES, text, value

PATIENCE = 60.0
# Counters that begin anew when a reload changes `[legacy]`.
REPLACED = ("kedge_legacy_cache_", "kedge_upstream_")
# Small, so that they are full when memory is first looked at.
CACHE_MIB = 4
CONFIG = """[node]
data-dir = "data"
[demo]
enabled = false
[listen]
dns = ["127.0.0.1:0"]
tls = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]
tls-certificate = "dns.pem"
tls-key = "dns-key.pem"
[zones]
directory = "zones"
[store]
cache-mib = 16
[legacy]
upstreams = [{upstreams}]
cache-mib = {cache}
stale-secs = {stale}
[observe]
listen = ["127.0.0.1:0"]
"""


class Broken(Exception):
    """The node does not do what everything here needs."""


class Refused(Exception):
    """A call that was answered, but not with what was asked for."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("node", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Node:
    def __init__(self, program, directory, ports):
        self.program, self.directory = program, directory
        self.upstreams = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        self.process = None
        self.starts = 0
        self.listeners = {}
        self.stale = 60
        os.makedirs(self.path("zones"), exist_ok=True)
        self.configure()
        self.certificate()

    def path(self, name):
        return os.path.join(self.directory, name)

    def configure(self):
        with open(self.path("kedge.toml"), "w") as file:
            file.write(CONFIG.format(upstreams=self.upstreams, cache=CACHE_MIB, stale=self.stale))

    def certificate(self):
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout dns-key.pem -out dns.pem -days 2"
        words += " -subj /CN=soak -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
        subprocess.run(["openssl", *words.split()], cwd=self.directory, check=True, capture_output=True)
        os.chmod(self.path("dns-key.pem"), 0o600)

    def write_zone(self, version, broken=False):
        lines = [f"$ORIGIN {ORIGIN}", f"@ 60 SOA ns hostmaster {version} 3600 600 86400 60", "@ 60 NS ns", "ns 60 A 127.0.0.1"]
        lines += [f"z{index} 30 AAAA {text(value(ZONE, index, version))}" for index in range(ZONE_NAMES)]
        if broken:
            lines.append("x 30 AAAA this is none")
        temporary = self.path("zone.new")
        with open(temporary, "w") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(temporary, self.path(f"zones/{ORIGIN}zone"))

    def start(self):
        """Ports of an earlier start are kept, as clients know them."""
        log = self.path(f"log.{self.starts}")
        self.starts += 1
        with open(log, "w") as file:
            command = [self.program, "--config", "kedge.toml", "serve"]
            self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.ready():
                self._listeners(log)
                return
            time.sleep(0.05)
        raise Broken(f"it does not start: {open(log).read()[-1000:]}")

    def _listeners(self, log):
        found = re.findall(r"listening on 127\.0\.0\.1:(\d+) \((\w+)", open(log).read())
        for port, kind in found:
            self.listeners.setdefault(kind, int(port))
        config = self.path("kedge.toml")
        text_ = open(config).read()
        for key, kind in [("dns", "udp"), ("tls", "tls"), ("https", "https")]:
            text_ = text_.replace(f'\n{key} = ["127.0.0.1:0"]', f'\n{key} = ["127.0.0.1:{self.listeners[kind]}"]')
        self.fixed = text_
        with open(config, "w") as file:
            file.write(text_)

    def reconfigure(self, stale):
        """Another setting, which the next reload puts in force."""
        with open(self.path("kedge.toml"), "w") as file:
            file.write(re.sub(r"stale-secs = \d+", f"stale-secs = {stale}", self.fixed))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def call(self, method, path, body=None):
        connection = UnixConnection(self.path("data/admin.sock"))
        try:
            heads = {} if body is None else {"content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), heads)
            reply = connection.getresponse()
            content = reply.read().decode()
        finally:
            connection.close()
        if reply.status != 200:
            raise Refused(f"{method} {path}: {reply.status} {content[:300]}")
        return content

    def ready(self):
        try:
            self.call("GET", "/ready")
            return True
        except (OSError, Refused, http.client.HTTPException):
            return False

    def put(self, label, address, may_empty=False):
        data = [] if address is None else [text(address)]
        body = {"type": "AAAA", "ttl": 30, "data": data, "may_empty": may_empty}
        done = json.loads(self.call("PUT", f"/v1/names/{label}.{APEX}", body))
        if done["outcome"] != "committed":
            raise Refused(f"put {label}: {done}")

    def metrics(self):
        """Sums by name and labels."""
        found = {}
        for line in self.call("GET", "/metrics").splitlines():
            if line and not line.startswith("#"):
                name, number = line.rsplit(" ", 1)
                found[name] = float(number)
        return found

    def command(self, *words):
        done = subprocess.run(
            [self.program, "--config", "kedge.toml", *words], cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.returncode, done.stdout + done.stderr

    def logs(self):
        return "".join(open(self.path(f"log.{number}"), errors="replace").read() for number in range(self.starts))


class Watch(threading.Thread):
    """Samples of the process, twice a second or so."""

    def __init__(self, node, pause):
        super().__init__(daemon=True)
        self.node, self.pause = node, pause
        self.samples = []
        self.over = threading.Event()
        self.backwards = []
        self.last = (None, {})

    def run(self):
        while not self.over.wait(self.pause):
            try:
                self.sample()
            except (OSError, Refused, http.client.HTTPException, StopIteration):
                continue

    def sample(self):
        pid = self.node.process.pid
        status = open(f"/proc/{pid}/status").read()
        resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
        threads = int(re.search(r"Threads:\s+(\d+)", status)[1])
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        metrics = self.node.metrics()
        caches = sum(v for k, v in metrics.items() if k.startswith(("kedge_kept_bytes", "kedge_legacy_cache_bytes"))) / 2**20
        if self.node.process.pid == pid:
            self.samples.append((time.monotonic(), pid, resident, caches, descriptors, threads))
            self.compare(pid, metrics)

    def compare(self, pid, metrics):
        """Counters of one process never fall, but for those that a reload replaces with what they count."""
        before_pid, before = self.last
        if before_pid == pid:
            for name, number in before.items():
                counter = "_total" in name.split("{")[0] and not name.startswith(REPLACED)
                if counter and metrics.get(name, 0) < number:
                    self.backwards.append(f"{name}: {number} then {metrics.get(name)}")
        self.last = (pid, metrics)
