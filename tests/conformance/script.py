"""What the scripted authorities say: entries that match, and what follows from the others.

Scenarios answer what their own resolver asks, in its order, without minimised names. Another
resolver asks for more: where zones are cut, for the addresses of servers, for keys. Such questions
are answered from the records that the scenario holds, never against an entry that matches.
"""

import itertools

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype as types

from records import Record, canonical, fill

# One server that says what any of them says, for scenarios of clients.
EVERYBODY = "192.0.2.53"
CHAIN = (types.DS, types.DNSKEY)
PROOFS = (types.NSEC, types.NSEC3)


class Script:
    """The authorities of a scenario, those of its configuration too."""

    def __init__(self, scenario, roots, stubs):
        self.scenario = scenario
        self.made_up = set(roots) if stubs else set()
        self.stubs = {canonical(dns.name.from_text(name)): set(at) for name, at in stubs.items()}
        self.step = 0
        self.log = []
        self.records = {}
        self.names = set()
        for span in scenario.ranges:
            for entry in span.entries:
                for name, _, _ in entry.question:
                    self.names.add(canonical(name))
                for record in entry.records():
                    self.names.add(canonical(record.owner))
                    self.records.setdefault((canonical(record.owner), record.covers()), {})[record.key()] = record
        self.servers = {dns.name.root: set(roots)}
        for (owner, kind), records in self.records.items():
            if kind == types.NS:
                self.servers.setdefault(owner, set()).update(self.addresses(records.values()))

        for name, at in self.stubs.items():
            self.servers.setdefault(name, set()).update(at)

    def addresses(self, records):
        for record in records:
            if record.kind == types.NS:
                for kind in (types.A, types.AAAA):
                    found = self.records.get((canonical(record.rdata.target), kind), {})
                    yield from (row.rdata.address for row in found.values() if row.kind == kind)

    def active(self, address):
        """The entries of an address at this step; None if nothing is there."""
        if address == EVERYBODY:
            return self.everywhere()
        spans = [span for span in self.scenario.ranges if span.first <= self.step <= span.last]
        spans = [span for span in spans if not span.addresses or address in map(str, span.addresses)]
        there = spans or address in self.made_up
        return [entry for span in spans for entry in span.entries] if there else None

    def reply(self, address, query, over_tcp):
        """The message for a query, or none for silence."""
        entries = self.active(address)
        question = query.question[0] if query.question else None
        asked = f"{address}{' tcp' if over_tcp else ''} {question}"
        if entries is None or question is None:
            self.log.append(f"{asked}: nobody is there")
            return None
        for entry in entries:
            if matches(entry, query, over_tcp) and not refers_to_itself(entry, question):
                self.log.append(f"{asked}: line {entry.line}")
                return None if "do_not_answer" in entry.adjust else played(entry, query)
        message, how = self.complete(address, query, entries)
        self.log.append(f"{asked}: {how}")
        return message

    def complete(self, address, query, entries):
        question = query.question[0]
        name, kind = canonical(question.name), question.rdtype
        zones = [zone for zone, at in self.servers.items() if address in at and name.is_subdomain(zone)]
        # DS records are the parent's.
        if kind == types.DS and len(zones) > 1:
            zones = [zone for zone in zones if zone != name]
        reply = dns.message.make_response(query)
        reply.use_edns(-1)
        if not zones or address == EVERYBODY:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply, "not of this server"
        zone = max(zones, key=len)
        below = [cut for cut in self.servers if cut != zone and cut.is_subdomain(zone) and name.is_subdomain(cut)]
        below = [cut for cut in below if not (kind == types.DS and cut == name)]
        if below:
            cut = min(below, key=len)
            fill(reply, self.referral(cut, entries))
            return reply, f"a referral to {cut}"
        reply.flags |= dns.flags.AA
        return self.authoritative(reply, (name, kind, zone), entries)

    def authoritative(self, reply, asked, entries):
        name, kind, zone = asked
        for wanted in (kind, types.CNAME):
            if found := self.known(name, wanted, entries):
                fill(reply, {"ANSWER": found})
                return reply, "known elsewhere in the scenario"
        if kind not in (types.NS, types.DS) and not any(known.is_subdomain(name) for known in self.names):
            reply.flags &= ~dns.flags.AA
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply, "unknown to the scenario"
        proofs = self.proofs(name, entries) if kind == types.DS else []
        fill(reply, {"AUTHORITY": [*self.soa(zone), *proofs]})
        return reply, "no data"

    def known(self, name, kind, entries):
        """A record set with its signatures: as this server has it, as others do now, as it ever was."""
        ever = (entry for span in self.scenario.ranges for entry in span.entries)
        # Whether a zone is signed may be what changes from step to step.
        for entry in itertools.chain(entries, self.everywhere(), () if kind in CHAIN else ever):
            found = {r.key(): r for r in entry.records() if canonical(r.owner) == name and r.covers() == kind}
            if any(record.kind == kind for record in found.values()):
                return list(found.values())
        return []

    def everywhere(self):
        """What all servers say at this step."""
        spans = (span for span in self.scenario.ranges if span.first <= self.step <= span.last)
        return [entry for span in spans for entry in span.entries]

    def soa(self, zone):
        if found := self.known(zone, types.SOA, []):
            return found
        rdata = dns.rdata.from_text(dns.rdataclass.IN, types.SOA, ". . 1 3600 600 86400 60")
        return [Record(zone, 60, dns.rdataclass.IN, types.SOA, rdata)]

    def referral(self, cut, entries):
        """The entry in which this server refers there, else what the scenario has of the cut."""
        for entry in entries:
            rows = entry.sections["AUTHORITY"]
            if not entry.sections["ANSWER"] and any(r.kind == types.NS and canonical(r.owner) == cut for r in rows):
                return entry.sections
        servers = self.known(cut, types.NS, [])
        servers = [record for record in servers if record.kind == types.NS]
        if not servers or cut in self.stubs:
            return made_up(cut, self.stubs.get(cut) or self.servers[cut])
        names = [canonical(record.rdata.target) for record in servers]
        glue = [self.known(name, kind, []) for name in names for kind in (types.A, types.AAAA)]
        glue = [record for rows in glue for record in rows if record.kind != types.RRSIG]
        return {"AUTHORITY": servers + (self.known(cut, types.DS, []) or self.proofs(cut, [])), "ADDITIONAL": glue}

    def proofs(self, cut, entries):
        """That a cut has no DS record, as a referral to it says it."""
        for entry in entries or [entry for span in self.scenario.ranges for entry in span.entries]:
            rows = entry.sections["AUTHORITY"]
            if any(row.kind == types.NS and canonical(row.owner) == cut for row in rows):
                return [row for row in rows if row.covers() in PROOFS]
        return self.known(cut, types.NSEC, [])


def refers_to_itself(entry, question):
    """Whether a parent would answer for DS records with a referral to their zone: no parent does so."""
    rows = entry.sections["AUTHORITY"]
    return (
        question.rdtype == types.DS
        and entry.question
        and entry.question[0][2] != types.DS
        and not entry.sections["ANSWER"]
        and any(row.kind == types.NS and canonical(row.owner) == canonical(question.name) for row in rows)
    )


def made_up(cut, at):
    """A referral to servers of which only the addresses are known."""
    rows = {"AUTHORITY": [], "ADDITIONAL": []}
    for number, address in enumerate(sorted(at)):
        name = dns.name.from_text(f"ns{number}", cut)
        kind = types.AAAA if ":" in address else types.A
        for section, owner, what, text in (
            ("AUTHORITY", cut, types.NS, name.to_text()),
            ("ADDITIONAL", name, kind, address),
        ):
            rdata = dns.rdata.from_text(dns.rdataclass.IN, what, text)
            rows[section].append(Record(owner, 3600, dns.rdataclass.IN, what, rdata))
    return rows


def matches(entry, query, over_tcp):
    """Whether an entry is for a query."""
    if entry.raw and not entry.question:
        return False
    question = query.question[0]
    name, rdclass, kind = entry.question[0] if entry.question else (None, None, None)
    for word in entry.match:
        same_name = name is not None and canonical(name) == canonical(question.name)
        holds = {
            "opcode": query.opcode() == dns.opcode.from_text(entry.opcode),
            "qtype": kind == question.rdtype,
            "qname": same_name,
            "qcase": name is not None and name.to_text() == question.name.to_text(),
            "subdomain": name is not None and question.name.is_subdomain(name),
            "question": same_name and kind == question.rdtype,
            "all": same_name and kind == question.rdtype,
            "TCP": over_tcp,
            "UDP": not over_tcp,
            "DO": bool(query.ednsflags & dns.flags.DO),
            "AD": bool(query.flags & dns.flags.AD),
            "CD": bool(query.flags & dns.flags.CD),
            "RD": bool(query.flags & dns.flags.RD),
            "noedns": query.edns < 0,
        }.get(word, True)
        if not holds:
            return False
    return True


def played(entry, query):
    """The message of an entry, made to fit the query."""
    reply = dns.message.make_response(query)
    reply.use_edns(-1)
    reply.flags = entry.flags()
    if "copy_query" not in entry.adjust and not entry.question:
        reply.question = []
    elif "copy_query" not in entry.adjust:
        name, rdclass, kind = entry.question[0]
        asked = query.question[0]
        # Letters come back as they were sent.
        if canonical(name) != canonical(asked.name) or kind != asked.rdtype:
            reply.question = []
            reply.find_rrset(reply.question, name, rdclass, kind, create=True, force_unique=True)
    if "DO" in entry.reply:
        reply.use_edns(0, dns.flags.DO)
    reply.set_opcode(dns.opcode.from_text(entry.opcode))
    reply.set_rcode(entry.rcode())
    fill(reply, entry.sections)
    return reply
