"""The form of testbound, Deckard and Stelline: ranges of scripted authorities, and steps."""

import ipaddress
import re
from dataclasses import dataclass, field

import dns.name

from records import Entry, Unreadable, read_question, read_record, strip_comment

# The clauses that begin a part of a configuration.
CLAUSES = ("server", "stub-zone", "forward-zone", "auth-zone", "rpz", "view", "python", "remote-control")


@dataclass
class Range:
    """What authorities say while the scenario is at certain steps."""

    first: int
    last: int
    addresses: list = field(default_factory=list)
    entries: list = field(default_factory=list)


@dataclass
class Step:
    number: int
    what: str
    words: list
    line: int
    entry: Entry = None


@dataclass
class Scenario:
    name: str
    title: str = ""
    # (clause, its number, key, value)
    settings: list = field(default_factory=list)
    ranges: list = field(default_factory=list)
    steps: list = field(default_factory=list)

    def setting(self, *keys):
        return [value for _, _, key, value in self.settings if key in keys]

    def zones(self, clause):
        """The settings of each zone of a kind, as dictionaries of lists."""
        found = {}
        for name, number, key, value in self.settings:
            if name == clause:
                found.setdefault(number, {}).setdefault(key, []).append(value)
        return list(found.values())

    def records(self):
        return [record for span in self.ranges for entry in span.entries for record in entry.records()]


class Reader:
    def __init__(self, name, text):
        self.lines = text.splitlines()
        self.at = 0
        self.scenario = Scenario(name)

    def next(self):
        """The next line that says something, without its comment."""
        while self.at < len(self.lines):
            line = strip_comment(self.lines[self.at]).strip()
            self.at += 1
            if line:
                return line
        return None

    def read(self):
        self.read_settings()
        while (line := self.next()) is not None:
            words = line.split()
            if words[0] == "SCENARIO_BEGIN":
                self.scenario.title = line[len(words[0]) :].strip()
            elif words[0] == "RANGE_BEGIN":
                self.read_range(int(words[1]), int(words[2]), words[3:])
            elif words[0] == "STEP":
                self.read_step(words)
            elif words[0] == "SCENARIO_END":
                return self.scenario
            elif words[0] not in ("CONFIG_END", "ENTRY_BEGIN", "RANGE_END"):
                raise Unreadable(f"line {self.at}: {line[:40]}")
        return self.scenario

    def read_settings(self):
        clause, number = "server", 0
        for self.at, line in enumerate(self.lines, 1):
            line = line.strip()
            if line.startswith(("CONFIG_END", "SCENARIO_BEGIN")):
                self.at -= line.startswith("SCENARIO_BEGIN")
                return
            # Several settings may be in one line: `forward-zone: name: "." forward-addr: 216.0.0.1`.
            line = re.sub(r"(^|\s)#.*", "", strip_comment(line)).strip()
            while found := re.match(r"([a-z0-9-]+):(?:\s+|$)", line):
                key, line = found[1], line[found.end() :]
                if key in CLAUSES:
                    clause, number = key, number + 1
                    continue
                nested = re.search(r"\s(?=[a-z-]+-addr:\s)", line) if key == "name" else None
                value, line = (line[: nested.start()], line[nested.end() :]) if nested else (line, "")
                self.scenario.settings.append((clause, number, key, value.strip().strip("\"'").strip()))

    def read_range(self, first, last, addresses):
        span = Range(first, last, [ipaddress.ip_address(word) for word in addresses])
        self.scenario.ranges.append(span)
        while (line := self.next()) is not None:
            words = line.split()
            if words[0] == "RANGE_END":
                return
            if words[0] == "ADDRESS":
                span.addresses.append(ipaddress.ip_address(words[1]))
            elif words[0].startswith("ENTRY_BEGIN"):
                span.entries.append(self.read_entry())
            else:
                raise Unreadable(f"line {self.at} in a range: {line[:40]}")

    def read_step(self, words):
        step = Step(int(words[1]), words[2], words[3:], self.at)
        self.scenario.steps.append(step)
        # Only some steps have an entry.
        here = self.at
        line = self.next()
        if line == "ENTRY_BEGIN":
            step.entry = self.read_entry()
        elif line == "FILE_BEGIN":
            while line not in ("FILE_END", None):
                line = self.next()
        else:
            self.at = here

    def read_entry(self):
        entry = Entry(self.at)
        section, origin = None, dns.name.root
        while (line := self.next()) is not None:
            words = line.split()
            if words[0] == "ENTRY_END":
                entry.tidy()
                return entry
            if words[0] == "MATCH":
                entry.match += words[1:]
            elif words[0] == "ADJUST":
                entry.adjust += words[1:]
            elif words[0] in ("REPLY", "FLAGS"):
                entry.reply += [word.upper() for word in words[1:]]
            elif words[0] == "OPCODE":
                entry.opcode = words[1]
            elif words[0] == "SECTION":
                section = words[1]
            elif words[0].startswith("EXTRA_PACKET"):
                entry.extra = True
            elif words[0] == "HEX_EDNSDATA_BEGIN":
                entry.ednsdata = bytes.fromhex("".join(self.until("HEX_EDNSDATA_END")))
            elif words[0] == "HEX_ANSWER_BEGIN":
                self.until("HEX_ANSWER_END")
                entry.raw = True
            elif words[0] == "RAW":
                self.next()
                entry.raw = True
            elif words[0] == "MANDATORY":
                continue
            elif words[0] == "$ORIGIN":
                origin = dns.name.from_text(words[1])
            elif section == "QUESTION":
                entry.question.append(read_question(line))
            elif section in entry.sections:
                entry.sections[section].append(read_record(self.joined(line), origin))
            else:
                raise Unreadable(f"line {self.at} in an entry: {line[:40]}")
        raise Unreadable("an entry without an end")

    def joined(self, line):
        """A record that parentheses spread over lines, in one."""
        while line.count("(") > line.count(")") and (more := self.next()) is not None:
            line += " " + more
        return line

    def until(self, end):
        lines = []
        while (line := self.next()) not in (end, None):
            lines.append(line)
        return lines


def read_scenario(name, text):
    try:
        return Reader(name, text).read()
    except (ValueError, IndexError, TypeError) as error:
        raise Unreadable(str(error)) from error
    except Exception as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"{type(error).__name__}: {error}") from error
