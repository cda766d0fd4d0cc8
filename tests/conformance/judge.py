"""Whether an answer is what a scenario expects, by the words behind MATCH."""

import dns.edns
import dns.flags
import dns.opcode
import dns.rcode
import dns.rdatatype as types

from records import FLAGS, SECTIONS, canonical, message_records

HEADER = sum(FLAGS.values())
# Of scenarios of a library in a client: AA, RA and RD are what its server said, which is none of ours.
CLIENT_HEADER = FLAGS["TC"] | FLAGS["AD"] | FLAGS["CD"]
EDE_OPTION = 15
# What `all` compares.
ALL = {"opcode", "flags", "rcode", "question", "answer", "authority"}
# Left out where responses are minimal (RFC 2308 section 2, BIND's and unbound's minimal-responses):
# that is how Kedge answers, and these words are judged without them.
OPTIONAL = (types.NS, types.A, types.AAAA, types.DS)


def flag_words(flags):
    return " ".join(word for word, bit in FLAGS.items() if flags & bit)


def expected_words(entry):
    words = {word.lower().partition("=")[0]: word for word in entry.match}
    if "all" in words:
        return set(words) | ALL
    return set(words)


def differences(entry, answer, header=HEADER):
    """What is different, in words; empty if nothing is. `header` are the flags that count."""
    if answer is None:
        return ["no answer"]
    words = expected_words(entry)
    said = []
    if "opcode" in words and answer.opcode() != dns.opcode.from_text(entry.opcode):
        said.append(f"opcode {dns.opcode.to_text(answer.opcode())}")
    if "flags" in words and (answer.flags ^ entry.flags()) & header:
        said.append(f"flags {flag_words(answer.flags)}, not {flag_words(entry.flags())}")
    if "rcode" in words and answer.rcode() != entry.rcode():
        said.append(f"{dns.rcode.to_text(answer.rcode())}, not {dns.rcode.to_text(entry.rcode())}")
    if words & {"question", "qname", "qtype"}:
        said += question_differences(entry, answer, words)
    parts = zip(SECTIONS, (answer.answer, answer.authority, answer.additional))
    for name, rrsets in parts:
        if name.lower() in words and name != "ADDITIONAL":
            said += section_differences(name, entry, message_records(rrsets), "ttl" in words)
    said += ede_differences(entry, answer)
    return said


def question_differences(entry, answer, words):
    asked = [(canonical(name), kind) for name, _, kind in entry.question]
    got = [(canonical(rrset.name), rrset.rdtype) for rrset in answer.question]
    if "question" not in words:
        keep = [at for at, word in enumerate(("qname", "qtype")) if word in words]
        asked, got = ([tuple(row[at] for at in keep) for row in rows] for rows in (asked, got))
    return [] if asked == got else [f"question {got}"]


def section_differences(name, entry, got, with_ttl):
    expected = entry.sections[name]
    if name == "AUTHORITY":
        # Beside an answer an SOA may be there, if the chain ends in nothing.
        optional = (*OPTIONAL, types.SOA) if entry.sections["ANSWER"] else OPTIONAL
        expected, got = ([row for row in rows if row.covers() not in optional] for rows in (expected, got))
    wanted = {record.key(): record for record in expected}
    found = {record.key(): record for record in got}
    said = [f"{name.lower()} lacks {wanted[key].text()}" for key in wanted.keys() - found.keys()]
    said += [f"{name.lower()} has {found[key].text()}" for key in found.keys() - wanted.keys()]
    if with_ttl:
        pairs = [(wanted[key], found[key]) for key in wanted.keys() & found.keys()]
        said += [f"TTL {b.ttl} of {b.text()}, not {a.ttl}" for a, b in pairs if a.ttl != b.ttl]
    return said


def ede_differences(entry, answer):
    codes = [option.code for option in answer.options if isinstance(option, dns.edns.EDEOption)]
    said = []
    for word in entry.match:
        if word.startswith("ede=") and word != "ede=any" and int(word[4:]) not in codes:
            said.append(f"extended error {codes}, not {word[4:]}")
    return said
