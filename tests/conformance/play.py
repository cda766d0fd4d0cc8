"""One scenario, played."""

import os
import subprocess
from dataclasses import dataclass, field

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rdataclass

from judge import CLIENT_HEADER, HEADER, differences
from node import Node, Unstarted
from records import FLAGS, Unreadable
from script import Script
from settings import CLIENTS, Settings

# What steps of other kinds want is inside other resolvers.
UDP_BYTES = 4096
PLAYED = ("QUERY", "CHECK_ANSWER", "TIME_PASSES", "TRAFFIC")


@dataclass
class Outcome:
    name: str
    # Why it does not hold, in words; empty if it holds.
    faults: list = field(default_factory=list)
    # Why it cannot be played at all.
    unplayable: str = ""
    log: list = field(default_factory=list)
    checks: int = 0


def made(entry):
    """The message that a step sends."""
    query = dns.message.Message()
    query.flags = entry.flags() & ~dns.flags.QR
    query.set_opcode(dns.opcode.from_text(entry.opcode))
    for name, rdclass, kind in entry.question:
        query.find_rrset(query.question, name, rdclass, kind, create=True, force_unique=True)
    options = list(options_in(entry.ednsdata))
    # Also where the scenario has none: extended errors are told only to those who speak EDNS.
    query.use_edns(0, dns.flags.DO if "DO" in entry.reply else 0, UDP_BYTES, options=options)
    return query


def options_in(octets):
    while len(octets) >= 4:
        code, length = int.from_bytes(octets[:2], "big"), int.from_bytes(octets[2:4], "big")
        yield dns.edns.GenericOption(code, octets[4 : 4 + length])
        octets = octets[4 + length :]


class Play:
    def __init__(self, scenario, authorities, kedge, clock):
        self.scenario = scenario
        self.authorities = authorities
        self.outcome = Outcome(scenario.name)
        settings = Settings(scenario)
        self.check_playable()
        self.script = Script(scenario, settings.roots + settings.forwards, settings.stubs)
        self.files = settings.files()
        self.date = settings.date
        self.kedge, self.clock = kedge, clock
        self.header = CLIENT_HEADER if scenario.name.startswith(("validator/", *CLIENTS)) else HEADER
        self.answers = []

    def check_playable(self):
        if not self.scenario.steps:
            raise Unreadable("no steps")
        if not any(step.what == "CHECK_ANSWER" for step in self.scenario.steps):
            raise Unreadable("looks at no answer")
        for step in self.scenario.steps:
            if step.what not in PLAYED:
                raise Unreadable(f"step {step.what}")
            if step.what == "TIME_PASSES" and not (step.words[:1] == ["ELAPSE"] or step.words[0].isdigit()):
                raise Unreadable("TIME_PASSES with variables")
            if step.entry and (step.entry.raw or step.entry.extra):
                raise Unreadable("messages in hexadecimal, or several for one answer")

    def run(self):
        node = Node(self.kedge, self.clock, self.files, self.date)
        try:
            node.wait()
            self.authorities.script = self.script
            for step in self.scenario.steps:
                self.script.step = step.number
                self.do(node, step)
        except Unstarted as error:
            self.outcome.faults.append(f"not started: {error}")
        finally:
            self.authorities.script = None
            self.outcome.log += self.script.log
            if self.outcome.faults:
                self.outcome.log += node.said().decode(errors="replace").splitlines()[-40:]
            node.end()
        return self.outcome

    def do(self, node, step):
        if step.what == "TIME_PASSES":
            node.let_pass(int(float(step.words[-1])))
            self.script.log.append(f"step {step.number}: {step.words[-1]} s pass")
        elif step.what == "QUERY":
            query = made(step.entry)
            source = step.words[step.words.index("ADDRESS") + 1] if "ADDRESS" in step.words else None
            self.script.log.append(f"step {step.number}: {' '.join(map(str, query.question))}")
            self.answers.append(node.ask(query, source, "TCP" in step.entry.match))
        elif step.what == "CHECK_ANSWER":
            answer = self.answers.pop(0) if self.answers else None
            self.outcome.checks += 1
            said = differences(step.entry, answer, self.header)
            self.outcome.faults += [f"step {step.number}: {words}" for words in said]
            if said and answer is not None:
                self.script.log += [f"  {line}" for line in answer.to_text().splitlines()]


def compile_clock(directory):
    """The library that gives Kedge a clock; gives its path."""
    source = os.path.join(os.path.dirname(os.path.realpath(__file__)), "clock.c")
    target = os.path.join(directory, "clock.so")
    os.makedirs(directory, exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target
