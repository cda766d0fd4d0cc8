"""The names that clients ask for, what each must come to, and an upstream that knows some of them."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

APEX, ZONE, LEGACY = "mesh.internal", "corp.example", "legacy.example"
# Records of a long answer: more than a datagram of 1232 octets takes.
LONG = 100
TTL = 60


def both(part, number=1):
    return {f"10.{part}.0.{number}", f"fd00:{part}::{number}"}


def many(part):
    return {f"10.{part}.1.{number}" for number in range(LONG)} | {f"fd00:{part}::9"}


# Kind of name, and the addresses of each; none where there is no such name.
KINDS = {
    "governed": {f"www.{APEX}": both(1)},
    "renamed": {f"old.{APEX}": both(1, 2)},
    "zone file": {f"www.{ZONE}": both(2)},
    "alias": {f"alias.{ZONE}": both(2), f"cross.{ZONE}": both(1)},
    "legacy": {f"www.{LEGACY}": both(3), f"alias.{LEGACY}": both(3)},
    "long": {f"long.{APEX}": many(1), f"long.{ZONE}": many(2), f"long.{LEGACY}": many(3)},
    "absent": {f"none.{APEX}": set(), f"none.{ZONE}": set(), f"none.{LEGACY}": set()},
    # By the search list alone; `only` is in the second of its domains.
    "short": {"www": both(1), "only": both(2, 3)},
}
GOVERNED = {"www": both(1), "new": both(1, 2), "long": many(1)}


def split(addresses):
    """Types with the addresses of each."""
    found = {"A": [], "AAAA": []}
    for address in sorted(addresses):
        found["AAAA" if ":" in address else "A"].append(address)
    return found


def zone_file():
    lines = [f"$ORIGIN {ZONE}.", "$TTL 60", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns", "ns A 10.2.0.53"]
    lines += ["alias CNAME www", f"cross CNAME www.{APEX}."]
    for label, addresses in {"www": both(2), "only": both(2, 3), "long": many(2)}.items():
        for kind, texts in split(addresses).items():
            lines += [f"{label} {kind} {text}" for text in texts]
    return "\n".join(lines) + "\n"


class Upstream(threading.Thread):
    """Knows three names of legacy DNS; what does not fit a datagram is cut."""

    KNOWN = {f"www.{LEGACY}.": both(3), f"long.{LEGACY}.": many(3)}

    def __init__(self):
        super().__init__(daemon=True)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.udp.bind(("127.0.0.1", 0))
        self.tcp.bind(self.udp.getsockname())
        self.tcp.listen(16)
        self.port = self.udp.getsockname()[1]
        threading.Thread(target=self.streams, daemon=True).start()

    def run(self):
        while True:
            asked, peer = self.udp.recvfrom(4096)
            reply = self.reply(asked)
            if len(reply.to_wire(max_size=65535)) > 1232:
                reply.answer.clear()
                reply.flags |= dns.flags.TC
            self.udp.sendto(reply.to_wire(), peer)

    def streams(self):
        while True:
            stream = self.tcp.accept()[0]
            threading.Thread(target=self.stream, args=[stream], daemon=True).start()

    def stream(self, stream):
        with stream:
            while len(length := stream.recv(2, socket.MSG_WAITALL)) == 2:
                asked = stream.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
                reply = self.reply(asked).to_wire(max_size=65535)
                stream.sendall(len(reply).to_bytes(2, "big") + reply)

    def reply(self, asked):
        question = dns.message.from_wire(asked)
        reply = dns.message.make_response(question, recursion_available=True)
        name, kind = question.question[0].name, question.question[0].rdtype
        text = name.to_text().lower()
        if text == f"alias.{LEGACY}.":
            reply.answer.append(dns.rrset.from_text(name, TTL, "IN", "CNAME", f"www.{LEGACY}."))
            name, text = dns.name.from_text(f"www.{LEGACY}."), f"www.{LEGACY}."
        if text not in self.KNOWN:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            found = split(self.KNOWN[text]).get(dns.rdatatype.to_text(kind))
            if found:
                reply.answer.append(dns.rrset.from_text(name, TTL, "IN", kind, *found))
        if not reply.answer:
            soa = f"ns.{LEGACY}. hostmaster.{LEGACY}. 1 3600 600 86400 60"
            reply.authority.append(dns.rrset.from_text(f"{LEGACY}.", TTL, "IN", "SOA", soa))
        return reply
