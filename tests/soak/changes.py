"""What operators do meanwhile: changes of names, zones and settings, reloads, and kills."""

import http.client
import itertools
import json
import random
import socket
import threading
import time

from node import Refused
from truth import APEX, GOVERNED, GOVERNED_NAMES, value

PAUSE = 0.25
RELOAD_EVERY = 4.0
# What a rename is tried with, and what is put there.
RENAMED = 999


class Operator(threading.Thread):
    """One after the other, so that what a kill or a refused reload left is known."""

    def __init__(self, truth, node, seed):
        super().__init__(daemon=True)
        self.truth, self.node = truth, node
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.error = None
        # Names that are there.
        self.live = set()
        self.renames = 0
        # What was counted before the present process.
        self.before = {}
        # When the node is to be killed.
        self.kills = []

    def run(self):
        try:
            self.work()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = repr(error)

    def work(self):
        reload_at = time.monotonic() + RELOAD_EVERY / 2
        reloads = itertools.cycle([self.broken, self.zone, self.setting, self.zone, self.nothing])
        while not self.over.wait(PAUSE):
            now = time.monotonic()
            if self.kills and now >= self.kills[0]:
                self.kills.pop(0)
                self.kill()
            elif now >= reload_at:
                reload_at = now + RELOAD_EVERY
                next(reloads)()
            elif self.chance.random() < 0.1:
                self.rename()
            else:
                self.name(self.chance.randrange(GOVERNED_NAMES))

    def prepare(self):
        for index in range(GOVERNED_NAMES):
            self.put(index)

    def put(self, index):
        versions = self.truth.names[index]
        version = self.truth.propose(versions)
        self.node.put(f"g{index}", value(GOVERNED, index, version))
        self.truth.acknowledge(versions, version)
        self.live.add(index)
        self.truth.count("changes")

    def name(self, index):
        if index in self.live and self.chance.random() < 0.15:
            versions = self.truth.names[index]
            version = self.truth.propose(versions, absent=True)
            self.node.put(f"g{index}", None, True)
            self.truth.acknowledge(versions, version)
            self.live.discard(index)
            self.truth.count("removals")
        else:
            self.put(index)

    def rename(self):
        """A name that only this one knows; it goes on under the other, and is retired there."""
        self.renames += 1
        old, new = f"r{self.renames}", f"s{self.renames}"
        address = value(GOVERNED, RENAMED, self.renames)
        self.node.put(old, address)
        self.node.call("POST", f"/v1/names/{old}.{APEX}/rename", {"to": f"{new}.{APEX}"})
        code, out = self.node.command("--json", "explain", f"{new}.{APEX}", "AAAA")
        expected = b"\0" if self.truth.oracles["renames"].corrupt else address
        good = code == 0 and f":{int.from_bytes(expected[-2:], 'big'):x}\"" in out
        self.truth.see("renames", good, f"{old} to {new}: {out[:300]}")
        self.node.call("POST", f"/v1/names/{new}.{APEX}/retire", {})
        self.truth.count("renames")

    def reload(self):
        self.node.call("POST", "/v1/reload")
        self.truth.count("reloads")

    def zone(self):
        version = self.truth.propose(self.truth.zone)
        self.node.write_zone(version)
        self.reload()
        self.truth.acknowledge(self.truth.zone, version)

    def broken(self):
        """Nothing of it may be seen, and what was there goes on."""
        version = self.truth.zone.proposed
        self.node.write_zone(version + 1, broken=True)
        refused = False
        try:
            self.reload()
        except Refused:
            refused = True
            self.truth.count("refused reloads")
        self.node.write_zone(version)
        corrupt = self.truth.oracles["refused reloads"].corrupt
        self.truth.see("refused reloads", refused and not corrupt, "a zone with an error was taken")

    def setting(self):
        """By the command line, which also counts as a caller."""
        self.node.reconfigure(self.chance.choice([30, 60, 90]))
        code, out = self.node.command("reload")
        self.truth.see("refused reloads", code == 0, f"reload: {out[:300]}")
        self.truth.count("reloads")

    def nothing(self):
        self.reload()

    def kill(self):
        """While a change is on its way, whose end nobody knows then."""
        index = self.chance.randrange(GOVERNED_NAMES)
        late = threading.Thread(target=self.interrupted, args=[index], daemon=True)
        late.start()
        time.sleep(self.chance.uniform(0, 0.02))
        self.truth.down.set(True)
        self.node.kill()
        late.join()
        self.live.add(index)
        self.before = dict(self.truth.counts)
        self.node.start()
        self.truth.down.set(False)
        self.truth.count("kills")
        self.remembered()

    def interrupted(self, index):
        try:
            self.put(index)
        except (OSError, Refused, http.client.HTTPException):
            self.truth.count("interrupted changes")

    def remembered(self):
        """All that was acknowledged, as the index itself has it."""
        oracle = self.truth.oracles["survives a kill"]
        for index, versions in enumerate(self.truth.names):
            head = self.node.call("GET", f"/v1/names/g{index}.{APEX}")
            floor = versions.floor() + (1000 if oracle.corrupt else 0)
            found = [v for v in range(floor, versions.proposed + 1) if self.holds(head, index, v)]
            self.truth.see("survives a kill", found, lambda: f"g{index}: {head[:200]}; {floor}..{versions.proposed}")

    def holds(self, head, index, version):
        addresses = [word for kept in json.loads(head)["sets"] if kept["type"] == "AAAA" for word in kept["data"]]
        expected = [] if version in self.truth.names[index].absent else [value(GOVERNED, index, version)]
        return [socket.inet_pton(socket.AF_INET6, address) for address in addresses] == expected
