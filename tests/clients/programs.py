"""Programs that people have, each as a client: it finds addresses of a name, or says that there is none."""

import os
import re
import shutil

import dns.exception
import dns.resolver

from machine import WEB, Unable, good, run
from names import KINDS

STUB = "nameserver 127.0.0.1\n"
SEARCH = "nameserver 127.0.0.1\nsearch mesh.internal corp.example\noptions ndots:2\n"
RECORD = re.compile(r"^[^;\n]*[ \t]IN[ \t]+(?:A|AAAA)[ \t]+(\S+)", re.MULTILINE)
PLAIN = [kind for kind in KINDS if kind != "short"]
RESOLVED = os.environ.get("KEDGE_RESOLVED") or "/lib/systemd/systemd-resolved"
HERE = os.path.dirname(os.path.abspath(__file__))


class Wrong(Exception):
    """An answer that is not right."""


class Client:
    """Looks one name up; `kinds` are those it is tried with."""

    def __init__(self, title, transport, ask, kinds=None, prepare=None):
        self.title, self.transport, self.ask = title, transport, ask
        self.kinds = PLAIN if kinds is None else kinds
        self.prepare = prepare or (lambda machine: machine.resolver(STUB))

    def cell(self, kind):
        for name, expected in KINDS[kind].items():
            self.ask(name, expected)


def needs(program):
    if not shutil.which(program):
        raise Unable(f"there is no {program}")


def same(name, found, expected):
    if set(found) != expected:
        some = sorted(found)[:3]
        raise Wrong(f"{name}: {len(set(found))} addresses {some}, {len(expected)} expected")


def getent(name, expected):
    """All families, then each alone."""
    for database, part in [("ahosts", ""), ("ahostsv4", "."), ("ahostsv6", ":")]:
        done = run("getent", database, name)
        found = {line.split()[0] for line in done.stdout.splitlines()}
        # The third gives IPv4 addresses in IPv6 where there are no others.
        wanted = {address for address in expected if part in address}
        same(f"{database} {name}", found, wanted)
        if done.returncode != (0 if expected else 2):
            raise Wrong(f"{database} {name}: exit code {done.returncode}")


def addresses(program):
    def ask(name, expected):
        done = run(program, name)
        same(name, done.stdout.split(), expected)
        if not expected and "not" not in done.stderr:
            raise Wrong(f"{name}: {done.stderr.strip()}")

    return ask


def dig(*words):
    """dig and kdig: each type is asked for, and the code is looked at."""

    def ask(name, expected):
        found = []
        for kind in ("A", "AAAA"):
            done = run(*words, "@127.0.0.1", name, kind)
            status = "NOERROR" if expected else "NXDOMAIN"
            if done.returncode != 0 or f"status: {status}" not in done.stdout:
                raise Wrong(f"{' '.join(words)} {name} {kind}: {(done.stdout + done.stderr).strip()[:300]}")
            found += RECORD.findall(done.stdout)
        same(name, found, expected)

    return ask


def drill(*words):
    def ask(name, expected):
        found = []
        for kind in ("A", "AAAA"):
            done = run("drill", *words, name, kind, "@127.0.0.1")
            if f"rcode: {'NOERROR' if expected else 'NXDOMAIN'}" not in done.stdout:
                raise Wrong(f"drill {name} {kind}: {done.stdout.strip()[:300]}")
            found += RECORD.findall(done.stdout)
        same(name, found, expected)

    return ask


def curl(*words):
    """Connects to what it found: each family has an address of the name, and none where there is none."""

    def ask(name, expected):
        # Over HTTPS curl 7.88 takes an answer without addresses of one family for a lack of memory.
        for family in ("-4", "-6") if expected else ("--http1.1",):
            done = run("curl", "-sS", family, *words, "-o", "/dev/null", "-w", "%{remote_ip}", f"http://{name}:{WEB}/")
            if expected and (done.returncode != 0 or done.stdout not in expected):
                raise Wrong(f"curl {family} {name}: {done.stdout} {done.stderr.strip()[:200]}")
            if not expected and done.returncode != 6:
                raise Wrong(f"curl {family} {name}: exit code {done.returncode} {done.stderr}")

    return ask


def python_resolver(tcp):
    def ask(name, expected):
        resolver = dns.resolver.Resolver()
        found = []
        for kind in ("A", "AAAA"):
            try:
                found += [record.to_text() for record in resolver.resolve(name, kind, tcp=tcp)]
            except dns.resolver.NXDOMAIN:
                if expected:
                    raise Wrong(f"{name} {kind}: NXDOMAIN") from None
            except dns.exception.DNSException as error:
                raise Wrong(f"{name} {kind}: {error}") from error
        same(name, found, expected)

    return ask


def python_query(script):
    """dnspython as another process, with a Python that has what it takes."""

    def ask(name, expected):
        done = run(*script, name)
        if done.returncode != 0:
            raise Wrong(f"{name}: {done.stderr.strip()[-300:]}")
        same(name, done.stdout.split(), expected)

    return ask


SCRIPT = """
import sys, dns.message, dns.query, dns.rcode
transport, certificate, name = sys.argv[1:]
for kind in ("A", "AAAA"):
    question = dns.message.make_query(name, kind)
    more = {"server_hostname": "localhost", "timeout": 10}
    if transport == "quic":
        reply = dns.query.quic(question, "127.0.0.1", 10, 853, verify=certificate, server_hostname="localhost")
    else:
        import ssl
        context = ssl.create_default_context(cafile=certificate)
        reply = dns.query.tls(question, "127.0.0.1", 10, 853, ssl_context=context, server_hostname="localhost")
    assert reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), reply
    for records in reply.answer:
        for record in records:
            if hasattr(record, "address"):
                print(record.address)
"""


def dnsperf(mode, port, *more):
    """Many questions; each must be answered, and with the code that is right."""

    def ask(name, expected):
        lines = "".join(f"{name} {kind}\n" for kind in ("A", "AAAA"))
        data = f"/dev/shm/kedge-clients-{os.getpid()}"
        try:
            with open(data, "w") as file:
                file.write(lines)
            words = ["-s", "127.0.0.1", "-m", mode, "-p", str(port), "-d", data, "-n", "100", "-c", "4", "-W", *more]
            out = good("dnsperf", *words)
        finally:
            os.unlink(data)
        codes = re.search(r"Response codes:\s+(.*)", out)
        wanted = f"{'NOERROR' if expected else 'NXDOMAIN'} 200 (100.00%)"
        if not codes or codes[1].strip() != wanted or not re.search(r"Queries lost:\s+0 ", out) or "Warning" in out:
            raise Wrong(f"dnsperf {mode} {name}: {out.strip()[-3000:]}")

    return ask


def glibc():
    with_search = list(KINDS)
    return [
        Client("getent (glibc)", "udp", getent),
        Client("getent, `search`, `ndots:2`", "udp", getent, with_search, lambda m: m.resolver(SEARCH)),
        *[
            Client(f"getent, `{option}`", "tcp" if option == "use-vc" else "udp", getent, None, options(option))
            for option in ["edns0", "use-vc", "single-request", "single-request-reopen", "trust-ad"]
        ],
    ]


def options(words):
    return lambda machine: machine.resolver(f"{STUB}options {words}\n")


def compiled(machine, compiler):
    def prepare(lines):
        def make(machine):
            needs(compiler)
            good(compiler, "-static", "-O1", "-o", machine.path("addresses"), os.path.join(HERE, "addresses.c"))
            machine.resolver(lines)

        return make

    ask = addresses(machine.path("addresses"))
    # Before 1.2.4 it asks over UDP alone, and takes what a datagram holds.
    short = [kind for kind in PLAIN if kind != "long"]
    return [
        Client("getaddrinfo (musl)", "udp", ask, short, prepare(STUB)),
        Client("getaddrinfo (musl), `search`", "udp", ask, [*short, "short"], prepare(SEARCH.replace("ndots:2", "ndots:1"))),
    ]


def tools(machine):
    ca = machine.path("dns.pem")
    kdig_tls = [f"+tls-ca={ca}", "+tls-host=localhost"]
    quic = [Client("kdig", "quic", dig("kdig", *kdig_tls, "+quic", "-p", "853"))] if machine.speaks_quic else []
    # curl takes 24 addresses over HTTPS, and drill does not go to TCP by itself. dnsperf 2.10 at times waits in
    # vain for the last long replies of an HTTPS connection, those of BIND no less.
    short = [kind for kind in PLAIN if kind != "long"]
    return [
        Client("dig", "udp", dig("dig")),
        Client("dig", "tcp", dig("dig", "+tcp")),
        Client("kdig", "udp", dig("kdig")),
        Client("kdig", "tcp", dig("kdig", "+tcp")),
        Client("kdig", "tls", dig("kdig", "+tls", *kdig_tls)),
        Client("kdig", "https", dig("kdig", "+https", *kdig_tls)),
        Client("kdig, GET", "https", dig("kdig", "+https-get", "+https", *kdig_tls)),
        *quic,
        Client("drill", "udp", drill(), short),
        Client("drill", "tcp", drill("-t")),
        Client("curl", "udp", curl()),
        Client("curl --doh-url", "https", curl("--cacert", ca, "--doh-url", "https://127.0.0.1/dns-query"), short),
        Client("dnspython", "udp", python_resolver(False)),
        Client("dnspython", "tcp", python_resolver(True)),
        Client("dnspython", "tls", python_query(["/usr/bin/python3", "-c", SCRIPT, "tls", ca])),
        *python_quic(machine, ca),
        Client("dnsperf", "udp", dnsperf("udp", 53)),
        Client("dnsperf", "tcp", dnsperf("tcp", 53)),
        Client("dnsperf", "tls", dnsperf("dot", 853)),
        Client("dnsperf", "https", dnsperf("doh", 443, "-q", "20", "-O", "doh-uri=https://127.0.0.1/dns-query"), short),
    ]


def python_quic(machine, ca):
    """With the Python that `tests/run tools` makes for DNS over QUIC."""
    python = os.path.join(os.environ.get("KEDGE_PYTHON", "/nonexistent"), "bin/python3")
    if not machine.speaks_quic:
        return []

    def prepare(machine):
        needs(python)
        machine.resolver(STUB)

    return [Client("dnspython", "quic", python_query([python, "-c", SCRIPT, "quic", ca]), None, prepare)]


def resolved(tls, transport):
    def prepare(machine):
        needs(RESOLVED)
        machine.start_resolved(RESOLVED, tls)
        machine.resolver("nameserver 127.0.0.53\nsearch mesh.internal corp.example\noptions edns0 trust-ad\n")

    return Client("getent by systemd-resolved", transport, getent, list(KINDS), prepare)


def all_clients(machine):
    return [
        *glibc(),
        *compiled(machine, "musl-gcc"),
        *tools(machine),
        # Last, as it changes what users and directories there are.
        resolved("no", "udp"),
        resolved("opportunistic", "tls"),
    ]
