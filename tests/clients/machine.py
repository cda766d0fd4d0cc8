"""A machine of its own for the clients: namespaces for network and mounts, the files that resolvers
read, and a node at port 53. Nothing of it outlives the process, and nothing outside of it is touched.
"""

import os
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket

from names import APEX, GOVERNED, ZONE, Upstream, split, zone_file

INSIDE = "KEDGE_CLIENTS_INSIDE"
PATIENCE = 30.0
WEB = 8080
CONFIG = """[node]
data-dir = "data"
[demo]
enabled = false
[listen]
dns = ["127.0.0.1:53"]
tls = ["127.0.0.1:853"]
https = ["127.0.0.1:443"]
{quic}
tls-certificate = "dns.pem"
tls-key = "dns-key.pem"
[zones]
directory = "zones"
[legacy]
upstreams = ["127.0.0.1:{port}"]
"""
CERTIFICATE = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout dns-key.pem -out dns.pem -days 2 -subj /CN=clients"
    " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
)
RESOLVED = """[Resolve]
DNS=127.0.0.1
Domains=mesh.internal corp.example
DNSSEC=no
DNSOverTLS={tls}
LLMNR=no
MulticastDNS=no
"""


class Unable(Exception):
    """Something that is needed is not here."""


class Broken(Exception):
    """The node does not serve."""


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, **more)


def good(*words, **more):
    done = run(*words, **more)
    if done.returncode != 0:
        raise Unable(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format, *words):
        return


class WebServer(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Machine:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.node = self.resolved = None
        self.speaks_quic = "\n# quic = " in run(program, "config", "default").stdout

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        # In place: a bound file is this very one.
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            file.write(text)

    def bind(self, name, text, target):
        self.write(name, text)
        good("mount", "--bind", self.path(name), os.path.realpath(target))

    def make(self):
        good("ip", "link", "set", "lo", "up")
        # All addresses that names have are this machine's.
        good("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
        good("ip", "address", "add", "10.9.9.9/32", "dev", "lo")
        good("ip", "-6", "address", "add", "fd00:9::9/128", "dev", "lo")
        good("ip", "-6", "route", "add", "local", "fd00::/16", "dev", "lo")
        self.bind("resolv.conf", "nameserver 127.0.0.1\n", "/etc/resolv.conf")
        self.bind("nsswitch.conf", "hosts: files dns\n", "/etc/nsswitch.conf")
        self.bind("hosts", "127.0.0.1 localhost\n::1 localhost\n", "/etc/hosts")
        web = WebServer(("::", WEB), Page)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        self.serve()

    def resolver(self, lines):
        self.write("resolv.conf", lines)

    def serve(self):
        upstream = Upstream()
        upstream.start()
        quic = 'quic = ["127.0.0.1:853"]' if self.speaks_quic else ""
        self.write("kedge.toml", CONFIG.format(port=upstream.port, quic=quic))
        self.write(f"zones/{ZONE}.zone", zone_file())
        good("openssl", *CERTIFICATE.split(), cwd=self.directory)
        os.chmod(self.path("dns-key.pem"), 0o600)
        with open(self.path("log"), "w") as log:
            command = [self.program, "--config", "kedge.toml", "serve"]
            self.node = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while self.kedge("status").returncode != 0:
            if time.monotonic() > deadline or self.node.poll() is not None:
                raise Broken(open(self.path("log")).read()[-1000:])
            time.sleep(0.1)
        self.govern()

    def kedge(self, *words):
        return run(self.program, "--config", "kedge.toml", *words, cwd=self.directory)

    def change(self, *words):
        done = self.kedge(*words)
        if done.returncode != 0:
            raise Broken(f"{' '.join(words)[:100]}: {done.stderr[:300]}")

    def asked(self, transport):
        """Questions that the node counted; those over HTTPS count as over TLS."""
        label = f'transport="{"tls" if transport == "https" else transport}"'
        out = good("curl", "-sS", "--unix-socket", self.path("data/admin.sock"), "http://node/metrics")
        counters = [line for line in out.splitlines() if line.startswith("kedge_questions_total") and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in counters)

    def govern(self):
        self.change("scope", "new", APEX, "--apex")
        for label, addresses in GOVERNED.items():
            at = "old" if label == "new" else label
            for kind, texts in split(addresses).items():
                self.change("name", "put", f"{at}.{APEX}", kind, *texts)
        self.change("name", "rename", f"old.{APEX}", f"new.{APEX}")

    def start_resolved(self, program, tls):
        """systemd-resolved, which finds its settings and a user in files of ours."""
        self.stop_resolved()
        if not os.path.ismount("/etc/systemd"):
            os.makedirs("/etc/systemd", exist_ok=True)
            good("mount", "-t", "tmpfs", "tmpfs", "/etc/systemd")
            good("mount", "-t", "tmpfs", "tmpfs", "/run")
            for file, line in [("passwd", "systemd-resolve:x:990:990::/:/usr/sbin/nologin"), ("group", "systemd-resolve:x:990:")]:
                text = open(f"/etc/{file}").read()
                if "systemd-resolve:" not in text:
                    self.bind(file, f"{text.rstrip()}\n{line}\n", f"/etc/{file}")
            os.makedirs("/run/systemd")
            # It asks nobody while there is no interface but loopback.
            good("ip", "link", "add", "one", "type", "veth", "peer", "name", "other")
            for name in ["one", "other"]:
                good("ip", "link", "set", name, "up")
            good("ip", "address", "add", "192.0.2.9/24", "dev", "one")
        with open("/etc/systemd/resolved.conf", "w") as file:
            file.write(RESOLVED.format(tls=tls))
        with open(self.path("resolved.log"), "a") as log:
            self.resolved = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE / 2
        while run("dig", "+tries=1", "+time=1", "@127.0.0.53", "localhost").returncode != 0:
            if self.resolved.poll() is not None or time.monotonic() > deadline:
                raise Unable(f"systemd-resolved does not run here: {open(self.path('resolved.log')).read().strip()[-200:]}")
            time.sleep(0.2)

    def stop_resolved(self):
        if self.resolved and self.resolved.poll() is None:
            self.resolved.kill()
            self.resolved.wait()

    def end(self):
        self.stop_resolved()
        if self.node and self.node.poll() is None:
            self.node.terminate()
            return self.node.wait(PATIENCE)
        return None
