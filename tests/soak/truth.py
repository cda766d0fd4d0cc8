"""What each name must answer, and how an answer is judged.

Every value says whose it is and which version: `fd00:6b65:KIND:INDEX::VERSION`. A question takes the
version that was acknowledged, or seen by anybody, before it left; its answer must be that one or a
newer one that was really proposed. Names of legacy DNS have the address that follows from the name.
"""

import hashlib
import struct
import threading
import time

GOVERNED, ZONE = 1, 2
GOVERNED_NAMES, ZONE_NAMES, LEGACY_NAMES = 64, 32, 400
APEX, ORIGIN, LEGACY = "soak.internal.", "zone.soak.", "legacy.soak."
NXDOMAIN, SERVFAIL = 3, 2
# Failed questions are remembered for at most 30 s (RFC 9520), one takes at most 4.5 s.
FAILURE_MEMORY = 45.0
# Answers that were wrong are kept up to this number.
EXAMPLES = 5


def value(kind, index, version):
    return struct.pack("!HHHHII", 0xFD00, 0x6B65, kind, index, 0, version)


def text(address):
    return ":".join(f"{part:x}" for part in struct.unpack("!8H", address))


def legacy_value(name):
    """Of a name of legacy DNS; `nx` is not there."""
    name = name.lower()
    return None if name.startswith("nx") else b"\xfd\x01" + hashlib.sha256(name.encode()).digest()[:14]


class Spans:
    """Times at which something held."""

    def __init__(self):
        self.spans = []
        self.since = None

    def set(self, holds):
        now = time.monotonic()
        if holds and self.since is None:
            self.since = now
        elif not holds and self.since is not None:
            self.spans.append((self.since, now))
            self.since = None

    def touch(self, begin, end):
        since = self.since
        if since is not None and since <= end:
            return True
        return any(a <= end and b >= begin for a, b in self.spans)


class Versions:
    """Of one name, or of one zone."""

    def __init__(self):
        self.acknowledged = self.proposed = self.seen = 0
        # Versions in which there is nothing; 0 is before the first.
        self.absent = {0}

    def floor(self):
        return max(self.acknowledged, self.seen)


class Oracle:
    """Counts how often it looked, and what it did not like."""

    def __init__(self, name, corrupt):
        self.name = name
        # Its expectation is falsified, to see it fail.
        self.corrupt = corrupt
        self.looks = self.faults = 0
        self.examples = []

    def see(self, good, words):
        self.looks += 1
        if not good:
            self.faults += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(f"{time.strftime('%H:%M:%S')} {words() if callable(words) else words}")
        return good


ORACLES = [
    "governed answers", "zone answers", "legacy answers", "failures explained", "nothing lost", "survives a kill",
    "refused reloads", "renames", "memory", "descriptors", "threads", "panics", "log volume", "metrics", "doctor", "verify",
]


class Truth:
    """Everything that is known of what must be answered."""

    def __init__(self, corrupt=()):
        self.lock = threading.Lock()
        self.names = [Versions() for _ in range(GOVERNED_NAMES)]
        self.zone = Versions()
        # The node is not there; some upstream has a fault; all have one.
        self.down, self.faulty, self.dark = Spans(), Spans(), Spans()
        self.oracles = {name: Oracle(name, name in corrupt) for name in ORACLES}
        self.counts = {}

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def see(self, oracle, good, words):
        with self.lock:
            return self.oracles[oracle].see(good, words)

    def propose(self, versions, absent=False):
        with self.lock:
            versions.proposed += 1
            if absent:
                versions.absent.add(versions.proposed)
            return versions.proposed

    def acknowledge(self, versions, version):
        with self.lock:
            versions.acknowledged = max(versions.acknowledged, version)

    def judge(self, question, reply, begun):
        """An answer, to a question that left at `begun`."""
        now = time.monotonic()
        self.count(f"rcode {reply.rcode}")
        if question.kind == "legacy" and not self._may_fail(question, reply.rcode == SERVFAIL, begun, now):
            return False
        if question.kind == "legacy" and reply.rcode == SERVFAIL:
            return True
        return {"governed": self._governed, "zone": self._zone}.get(question.kind, self._legacy)(question, reply)

    def _may_fail(self, question, failed, begun, now):
        oracle = self.oracles["failures explained"]
        explained = not failed or self.faulty.touch(begun - FAILURE_MEMORY, now)
        if failed and not self.dark.touch(begun - FAILURE_MEMORY, now):
            self.count("failures while one upstream was well")
        words = f"{question.name} failed while all upstreams were well"
        return self.see("failures explained", explained and not oracle.corrupt, words) or oracle.corrupt

    def _versioned(self, what, question, reply, versions, number):
        with self.lock:
            ceiling, absent = versions.proposed, set(versions.absent)
        oracle = self.oracles[what]
        floor = question.floor + (1000 if oracle.corrupt else 0)
        answer = reply.addresses
        if not answer:
            fits = reply.rcode in (0, NXDOMAIN) and any(floor <= v <= ceiling for v in absent)
            return self.see(what, fits, lambda: f"{question.name}: nothing, rcode {reply.rcode}; {floor}..{ceiling}")
        kind, index, version = struct.unpack("!4xHH4xI", answer[0]) if len(answer[0]) == 16 else (0, 0, 0)
        fits = len(answer) == 1 and reply.rcode == 0 and answer[0] == value(number, question.index, version)
        fits = fits and floor <= version <= ceiling and version not in absent
        if fits:
            with self.lock:
                versions.seen = max(versions.seen, version)
        return self.see(what, fits, lambda: f"{question.name}: {[text(a) for a in answer]}; {floor}..{ceiling}")

    def _governed(self, question, reply):
        return self._versioned("governed answers", question, reply, self.names[question.index], GOVERNED)

    def _zone(self, question, reply):
        return self._versioned("zone answers", question, reply, self.zone, ZONE)

    def _legacy(self, question, reply):
        name = question.name
        expected = None if question.kind == "nothing" else legacy_value(name)
        if self.oracles["legacy answers"].corrupt:
            expected = legacy_value("l-other")
        if expected is None:
            fits = reply.rcode == NXDOMAIN and not reply.addresses
        else:
            fits = reply.rcode == 0 and reply.addresses == [expected]
        return self.see(
            "legacy answers", fits, lambda: f"{name}: rcode {reply.rcode}, {[text(a) for a in reply.addresses]}"
        )

    def lost(self, question, begun, transport):
        """No answer came, however often it was asked."""
        if self.down.touch(begun - 1, time.monotonic()):
            self.count("lost while the node was down")
            return
        self.see("nothing lost", False, f"{question.name} over {transport}")
