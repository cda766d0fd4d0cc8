"""Resource records as scenarios write them, and messages made of them."""

from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

# What scenarios leave out.
TTL_DEFAULT = 3600
FLAGS = {
    "QR": dns.flags.QR,
    "AA": dns.flags.AA,
    "TC": dns.flags.TC,
    "RD": dns.flags.RD,
    "RA": dns.flags.RA,
    "AD": dns.flags.AD,
    "CD": dns.flags.CD,
}
# Names that the RFCs and dnspython write otherwise.
RCODES = {"NOTIMPL": "NOTIMP", "NOERROR_CODE": "NOERROR"}
SECTIONS = ("ANSWER", "AUTHORITY", "ADDITIONAL")


class Unreadable(Exception):
    """The scenario is written in a way that is not understood here."""


@dataclass(frozen=True)
class Record:
    owner: dns.name.Name
    ttl: int
    rdclass: int
    kind: int
    rdata: dns.rdata.Rdata

    def key(self):
        """What makes two records the same: all but the TTL and the case of letters."""
        return (canonical(self.owner), self.rdclass, self.kind, self.rdata.to_digestable())

    def covers(self):
        return self.rdata.covers() if self.kind == dns.rdatatype.RRSIG else self.kind

    def text(self):
        return f"{self.owner} {dns.rdatatype.to_text(self.kind)} {self.rdata.to_text()[:60]}"


@dataclass
class Entry:
    """One message of a scenario, to be recognised, sent or expected."""

    line: int
    match: list = field(default_factory=list)
    adjust: list = field(default_factory=list)
    reply: list = field(default_factory=list)
    opcode: str = "QUERY"
    question: list = field(default_factory=list)
    sections: dict = field(default_factory=lambda: {name: [] for name in SECTIONS})
    ednsdata: bytes = b""
    # Whole messages in hexadecimal, and answers of several messages: not played here.
    raw: bool = False
    extra: bool = False

    def records(self):
        return [record for name in SECTIONS for record in self.sections[name]]

    def tidy(self):
        """Puts each signature beside what it signs: some scenarios have it in another section."""
        sets = {(canonical(row.owner), row.kind, name) for name in SECTIONS for row in self.sections[name]}
        for name in SECTIONS:
            for row in [row for row in self.sections[name] if row.kind == dns.rdatatype.RRSIG]:
                homes = [home for home in SECTIONS if (canonical(row.owner), row.covers(), home) in sets]
                if homes and name not in homes:
                    self.sections[name].remove(row)
                    self.sections[homes[0]].append(row)

    def flags(self):
        return sum(FLAGS[word] for word in self.reply if word in FLAGS)

    def rcode(self):
        for word in self.reply:
            word = RCODES.get(word, word)
            if word not in FLAGS and word != "DO" and word in dns.rcode.Rcode.__members__:
                return dns.rcode.from_text(word)
        return dns.rcode.NOERROR


def canonical(name):
    return name.canonicalize()


def strip_comment(line):
    """The line without what is behind a semicolon, unless quotes hold it."""
    quoted = False
    for at, letter in enumerate(line):
        if letter == '"' and line[at - 1 : at] != "\\":
            quoted = not quoted
        elif letter == ";" and not quoted and line[at - 1 : at] != "\\":
            return line[:at]
    return line


def is_class(word):
    return word.upper() in ("IN", "CH", "HS", "ANY", "NONE", "CLASS1") or word.upper().startswith("CLASS")


def read_question(line):
    words = line.split()
    name = dns.name.from_text(words[0])
    rest = words[1:]
    rdclass = dns.rdataclass.IN
    if rest and is_class(rest[0]) and len(rest) > 1:
        rdclass = dns.rdataclass.from_text(rest.pop(0))
    return (name, rdclass, dns.rdatatype.from_text(rest[0]))


def read_record(line, origin=dns.name.root, ttl=TTL_DEFAULT):
    """A record in master file form, its owner written out."""
    line = line.strip()
    if len(line.split()) < 2:
        raise Unreadable(f"not a record: {line}")
    owner, rest = line.split(None, 1)
    rdclass = dns.rdataclass.IN
    while True:
        parts = rest.split(None, 1)
        if not parts:
            raise Unreadable(f"a record without a type: {line}")
        word, rest = parts[0], parts[1] if len(parts) > 1 else ""
        if word.isdigit():
            ttl = int(word)
        elif is_class(word):
            rdclass = dns.rdataclass.from_text(word)
        else:
            break
    try:
        kind = dns.rdatatype.from_text(word)
        rdata = dns.rdata.from_text(rdclass, kind, rest, origin=origin, relativize=False)
        return Record(dns.name.from_text(owner, origin), ttl, rdclass, kind, rdata)
    except Exception as error:  # dnspython raises what it likes
        raise Unreadable(f"{line.strip()[:60]}: {error}") from error


def add(message, section, record):
    """Puts a record into a section, with the others of its set."""
    covers = record.covers() if record.kind == dns.rdatatype.RRSIG else dns.rdatatype.NONE
    rrset = message.find_rrset(section, record.owner, record.rdclass, record.kind, covers, None, True)
    rrset.add(record.rdata, record.ttl)


def message_records(rrsets):
    """The records in a section of a message."""
    return [
        Record(rrset.name, rrset.ttl, rrset.rdclass, rrset.rdtype, rdata) for rrset in rrsets for rdata in rrset
    ]


def fill(message, sections):
    """Puts sections of records into a message."""
    places = (message.answer, message.authority, message.additional)
    for name, place in zip(SECTIONS, places):
        for record in sections.get(name, []):
            add(message, place, record)
