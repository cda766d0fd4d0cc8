"""What a region does, one after the other, while something is broken.

An action raises `Failed` if anything is not as it must be, and `Cannot` where it concerns only
regions that are dark. It may give words for its cell.
"""

import itertools

from mesh import KNOWN, ROOT, SHARED, SOON, away, desk, own, person_key
from region import Failed, until

# A change of another region: heard at once, or at the next poll, which is asked of the next source
# when the first does not answer.
HEARD = 20.0


class Cannot(Exception):
    """There is nothing to be done here now."""


class Phase:
    """One failure: who reaches whom, and the names of this time."""

    count = itertools.count(1)

    def __init__(self, mesh, title, apart=()):
        self.mesh = mesh
        self.title = title
        self.number = next(Phase.count)
        # Pairs that cannot speak with each other.
        self.apart = {frozenset(pair) for pair in apart}
        # Regions that changed something in this failure.
        self.changed = set()
        # The highest TTL of the apex, once a region set it in this failure.
        self.root_ttl = None
        # What waits until the network is whole: names and addresses.
        self.waiting = []

    def address(self, region, last):
        return f"10.{self.number}.{list(self.mesh.at).index(region.name) + 1}.{last}"

    def label(self, region):
        return f"p{self.number}-{region.name}"

    def reach(self, region):
        """The others that live and that a region reaches itself."""
        others = [other for other in self.mesh.nodes() if other is not region]
        return [o for o in others if not o.is_dark() and frozenset({region.name, o.name}) not in self.apart]

    def others(self, region):
        return [other for other in self.mesh.regions() if other is not region]

    def is_alone(self, region):
        return not self.reach(region)

    def settled(self):
        """What waited is in force everywhere."""
        for name, address in self.waiting:
            for node in self.mesh.nodes():
                node.answers(name, address, SOON)


def register(phase, region):
    name = f"{phase.label(region)}.{own(region.name)}"
    region.committed("name", "put", name, "A", phase.address(region, 1))
    region.answers(name, phase.address(region, 1))


def change(phase, region):
    """Of a name that all know from before."""
    name, address = f"{KNOWN}.{own(region.name)}", phase.address(region, 2)
    region.committed("name", "put", name, "A", address)
    phase.mesh.known[region.name].append(address)
    phase.changed.add(region.name)
    region.answers(name, address)


def resolve_own(phase, region):
    region.answers(f"{KNOWN}.{own(region.name)}", phase.mesh.known[region.name][-1])


def resolve_remote(phase, region):
    """Names of the others have an answer, whether or not they live: the newest, or the one before
    where the change may be on its way."""
    for other in phase.others(region):
        name = f"{KNOWN}.{own(other.name)}"
        status, flags, addresses = region.dig(name)
        fits = phase.mesh.known[other.name][-2 if other.name in phase.changed else -1 :]
        if status != "NOERROR" or "aa" not in flags.split() or len(addresses) != 1 or addresses[0] not in fits:
            raise Failed(f"{region.name}: {name} is {status} [{flags}] {addresses}, not one of {fits}")


def resolve_unmirrored(phase, region):
    """A scope that is held by another region alone: asked there, and as it was known before where
    nobody answers."""
    for other in phase.others(region):
        region.resolves(f"{KNOWN}.{away(other.name)}", phase.mesh.known[other.name][0], SOON)


def see_remote_change(phase, region):
    """What another region changed in this very failure arrives, also over a third one."""
    changed = [other for other in phase.others(region) if other.name in phase.changed]
    others = [other for other in changed if phase.reach(region) and phase.reach(other)]
    if not others:
        raise Cannot
    for other in others:
        region.answers(f"{KNOWN}.{own(other.name)}", phase.mesh.known[other.name][-1], HEARD)


def approve(phase, region):
    """A change that a person must approve, too: with a key that the node does not hold."""
    name, address = f"{phase.label(region)}.{desk(region.name)}", phase.address(region, 4)
    proposal = region.pending("name", "put", name, "A", address)
    if region.dig(name)[0] != "NXDOMAIN":
        raise Failed(f"{region.name}: {name} is there with one key")
    region.committed("approve", proposal, "--key", person_key(region))
    region.answers(name, address)


def policy(phase, region):
    region.committed("scope", "policy", own(region.name), "--ttl-max", str(3600 + phase.number))


def grant(phase, region):
    """Nomad's ACL policies and roles: who may propose what."""
    key = region.key or region.json("anchor", "list", own(region.name))[0]["key"]
    pattern = f"_acme-{phase.number}.**"
    region.committed("grant", "add", own(region.name), "--key", key, "--names", pattern, "--type", "TXT")


def new_scope(phase, region):
    """Nomad's namespaces: a part with its own anchors and policy."""
    scope = f"team{phase.number}.{own(region.name)}"
    region.committed("scope", "new", scope, "--region", region.name)
    region.committed("name", "put", f"www.{scope}", "A", phase.address(region, 5))
    region.answers(f"www.{scope}", phase.address(region, 5))


def announce(phase, region):
    """Nomad's services: an instance runs here, and is found wherever the scope is held."""
    name, address = f"live-{phase.label(region)}.{own(region.name)}", phase.address(region, 9)
    region.committed("name", "put", name, "TXT", "a service")
    words = ["--instance", "i1", "--address", address, "--port", "80", "--ttl", "1h"]
    announced = region.run("lease", "announce", name, *words)
    if announced.code != 0:
        raise Failed(f"{region.name}: {announced}")
    region.answers(name, address)
    for other in phase.reach(region):
        if other in phase.mesh.regions():
            other.answers(name, address, HEARD)


def register_root(phase, region):
    name, address = f"{phase.label(region)}.{ROOT}", phase.address(region, 6)
    if phase.is_alone(region):
        # One of four decides nothing, and what it wants is not lost.
        region.pending("name", "put", name, "A", address)
        phase.waiting.append((name, address))
        return "waits"
    region.committed("name", "put", name, "A", address)
    region.answers(name, address)
    for other in phase.reach(region):
        other.answers(name, address, SOON)
    return None


def change_root(phase, region):
    if phase.is_alone(region):
        raise Cannot
    name, address = f"{phase.label(region)}.{ROOT}", phase.address(region, 7)
    region.committed("name", "put", name, "A", address)
    region.answers(name, address)


def approve_shared(phase, region):
    """A change of the scope of all regions, proposed in one and approved in another."""
    regions = [other for other in phase.reach(region) if other in phase.mesh.regions()]
    if not regions:
        raise Cannot
    second = regions[0]
    name, address = f"{phase.label(region)}.{SHARED}", phase.address(region, 8)
    proposal = region.pending("name", "put", name, "A", address)
    until(f"{proposal} at {second.name}", SOON, lambda: second.run("pending", proposal).code == 0)
    second.committed("approve", proposal)
    for node in [region, second]:
        node.answers(name, address, SOON)


def root_ttl(region):
    return region.scope(ROOT)["policy"]["ttl-max"]


def policy_root(phase, region):
    """The policy of the apex, which takes the approval of three of its four anchors."""
    if phase.is_alone(region):
        raise Cannot
    # A policy is made from the one before, and refused where that is not the present one any more:
    # who sets it looks first.
    patience = HEARD if phase.root_ttl else 0.0
    until(f"the policy before at {region.name}", patience, lambda: phase.root_ttl in (None, root_ttl(region)))
    number = 3600 + 10 * phase.number + list(phase.mesh.at).index(region.name)
    apart = {other.name for other in phase.mesh.nodes()} - {other.name for other in phase.reach(region)}
    words = ["scope", "policy", ROOT, "--ttl-max", str(number)]
    phase.mesh.decide_together(region, ROOT, *words, without=apart)
    until(f"the policy at {region.name}", SOON, lambda: root_ttl(region) == number)
    phase.root_ttl = number


# What is said of each, in a line and at the head of a column.
ACTIONS = [
    ("register a name", "register", register),
    ("change a name", "change", change),
    ("resolve its own names", "resolve own", resolve_own),
    ("resolve names of the others", "resolve others", resolve_remote),
    ("resolve what nobody mirrors", "not mirrored", resolve_unmirrored),
    ("see what the others change now", "their changes", see_remote_change),
    ("approve: two keys in the region", "approve", approve),
    ("policy of its scope", "policy", policy),
    ("grant to a key", "grant", grant),
    ("new scope below its own", "new scope", new_scope),
    ("announce an instance, found by others", "instance", announce),
    ("register in mesh.internal (3 of 4)", "root: register", register_root),
    ("change in mesh.internal", "root: change", change_root),
    ("approve: keys of two regions (2 of 3)", "shared: approve", approve_shared),
    ("policy of mesh.internal (3 of 4)", "root: policy", policy_root),
]
