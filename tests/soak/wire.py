"""Questions, and what is read of replies: by hand, for it is done many thousand times."""

import random
import struct
from truth import APEX, GOVERNED_NAMES, LEGACY, LEGACY_NAMES, ORIGIN, ZONE_NAMES

AAAA = 28
EDNS = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


class Malformed(Exception):
    """A reply that cannot be read, or that answers something else."""


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


class Question:
    """A name, of which kind it is, and the least version that its answer may have."""

    def __init__(self, kind, name, index, floor):
        self.kind, self.name, self.index, self.floor = kind, name, index, floor
        self.section = encode(name) + struct.pack("!HH", AAAA, 1)

    def message(self, number, edns):
        head = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 1 if edns else 0)
        return head + self.section + (EDNS if edns else b"")


class Reply:
    def __init__(self, number, rcode, cut, addresses):
        self.number, self.rcode, self.cut, self.addresses = number, rcode, cut, addresses


def skip(message, at):
    while True:
        length = message[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if length == 0:
            return at


def parse(message, question):
    try:
        number, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
        at = 12
        if questions != 1 or message[12 : 12 + len(question.section)] != question.section or not flags & 0x8000:
            raise Malformed(f"the reply is about something else: {message[:64].hex()}")
        at += len(question.section)
        addresses = []
        for _ in range(answers):
            at = skip(message, at)
            kind, _, _, length = struct.unpack_from("!HHIH", message, at)
            at += 10
            if kind == AAAA:
                addresses.append(bytes(message[at : at + length]))
            at += length
        return Reply(number, flags & 15, bool(flags & 0x0200), addresses)
    except (struct.error, IndexError) as error:
        raise Malformed(f"{error}: {message[:64].hex()}") from error


class Choice:
    """Makes questions, by chance that a seed decides."""

    def __init__(self, truth, seed):
        self.truth = truth
        self.chance = random.Random(seed)

    def question(self):
        chance, kind = self.chance, self.chance.random()
        if kind < 0.45:
            index = chance.randrange(GOVERNED_NAMES)
            return Question("governed", f"g{index}.{APEX}", index, self.truth.names[index].floor())
        if kind < 0.60:
            index = chance.randrange(ZONE_NAMES)
            return Question("zone", f"z{index}.{ORIGIN}", index, self.truth.zone.floor())
        if kind < 0.90:
            return Question("legacy", f"l{chance.randrange(LEGACY_NAMES)}.{LEGACY}", 0, 0)
        if kind < 0.93:
            return Question("legacy", f"c{chance.randrange(10**9)}.{LEGACY}", 0, 0)
        if kind < 0.98:
            return Question("nothing", f"none{chance.randrange(2000)}.{APEX}", 0, 0)
        return Question("legacy", f"nx{chance.randrange(500)}.{LEGACY}", 0, 0)
