"""The namespace that three regions share, and who governs what of it.

    mesh.internal          one anchor in each region and a witness elsewhere, more than 2/3 decide
    shared.mesh.internal   one anchor in each region, more than half decide; two must approve
    R.mesh.internal        the anchor of region R alone
    desk.R.mesh.internal   region R and a person; both must approve
    away.R.mesh.internal   region R alone, and no other region mirrors it

More than two thirds of three regions is all of them, whatever their weights: what shall outlive a
region and a liar needs a fourth place. What shall outlive a region, and trusts all three, does not.
"""

import os

from region import Failed, Region, until

REGIONS = ["eu", "us", "ap"]
WITNESS = "witness"
ROOT = "mesh.internal"
SHARED = f"shared.{ROOT}"
ANCHOR = "data/keys/anchor.key"
PERSON = "person.key"
# A name in each region's own scope that all regions know from the beginning.
KNOWN = "known"
# A node that is behind asks every 5 s; one that was cut off is dialled again every 15 s at last.
CATCH_UP = 45.0
# One round of an anchor that is away, and then some polls.
SOON = 15.0


def own(region):
    return f"{region}.{ROOT}"


def away(region):
    """A scope of the region that nobody mirrors."""
    return f"away.{region}.{ROOT}"


def desk(region):
    return f"desk.{region}.{ROOT}"


class Mesh:
    def __init__(self, network, directory, kedge):
        names = [*REGIONS, WITNESS]
        self.at = {name: Region(name, network, directory, kedge) for name in names}
        # The addresses that each region's known name had, in turn.
        self.known = {name: [f"10.0.0.{at + 1}"] for at, name in enumerate(REGIONS)}

    def nodes(self):
        return list(self.at.values())

    def regions(self):
        return [self.at[name] for name in REGIONS]

    def build(self):
        self._meet()
        root = self._found()
        self._follow(root)
        self._seat(ROOT, [self.at[name] for name in ["us", "ap", WITNESS]])
        self._seat(SHARED, [self.at[name] for name in ["us", "ap"]])
        self._agree()
        for node in self.regions():
            address = self.known[node.name][0]
            node.committed("scope", "new", away(node.name), "--region", node.name)
            for scope in [own(node.name), away(node.name)]:
                node.committed("name", "put", f"{KNOWN}.{scope}", "A", address)
        self.settle()

    def acquaint(self):
        """Each region asks for what nobody mirrors: what was learned is forgotten with a restart."""
        for node in self.regions():
            for other in self.regions():
                node.resolves(f"{KNOWN}.{away(other.name)}", self.known[other.name][0], CATCH_UP)

    def _meet(self):
        for node in self.nodes():
            node.configure([])
            node.good("init")
            node.id = node.json("node", "id")["id"]
            if node.name != "eu":
                node.key = node.good("key", "new", ANCHOR).split()[0]
        for node in self.nodes():
            node.configure([other for other in self.nodes() if other is not node])
        for node in self.nodes():
            node.start()
        self.settle_connections()

    def _found(self):
        eu = self.at["eu"]
        eu.committed("scope", "new", ROOT, "--apex", "--region", "eu")
        for scope in [own("eu"), SHARED]:
            eu.committed("scope", "new", scope, "--region", "eu")
        root = eu.scope(ROOT)["uid"]
        for name in ["us", "ap"]:
            node = self.at[name]
            node.good("mirror", ROOT, "--from", "eu", "--genesis", root)
            offer = node.good("scope", "offer", own(name), "--region", name, "--parent", root)
            eu.committed("scope", "new", own(name), "--offer", offer.split()[0])
            until(f"{own(name)} at {name}", CATCH_UP, lambda: node.run("scope", "show", own(name)).code == 0)
        return root

    def _follow(self, root):
        """Each region follows the scopes of the others, at their own node and at the third."""
        self.at[WITNESS].good("mirror", ROOT, "--from", "eu", "--from", "us", "--from", "ap", "--genesis", root)
        for node in self.regions():
            for other in self.regions():
                if other is node:
                    continue
                third = next(r.name for r in self.regions() if r not in (node, other))
                node.good("mirror", own(other.name), "--from", other.name)
                # The third follows it, too, by the time that it is asked.
                node.good("mirror", own(other.name), "--from", other.name, "--from", third)
        for node in self.regions()[1:]:
            node.good("mirror", SHARED, "--from", "eu")

    def _seat(self, scope, nodes):
        """Gives each node's key a seat: those that have one decide, and the new one accepts."""
        first, seated = self.at["eu"], []
        for node in nodes:
            proposal = first.pending("anchor", "add", scope, "--key", node.key, "--region", node.name)
            first.good("anchor", "accept", proposal, "--key", node.path(ANCHOR))
            for voter in seated:
                until(f"{proposal} at {voter.name}", CATCH_UP, lambda: voter.run("pending", proposal).code == 0)
                voter.good("approve", proposal)
            seated.append(node)
            until(
                f"the seat of {node.name} in {scope}",
                CATCH_UP,
                lambda: len(node.json("anchor", "list", scope)) == len(seated) + 1,
            )

    def _agree(self):
        """Policies: who decides in `shared`, and two keys for the desks."""
        eu = self.at["eu"]
        policy = eu.good("scope", "policy", SHARED).replace('quorum = "bft"', 'quorum = "majority"')
        with open(eu.path("shared.toml"), "w") as file:
            file.write(policy)
        file = eu.path("shared.toml")
        self.decide_together(eu, SHARED, "scope", "policy", SHARED, "--file", file)
        self.decide_together(eu, SHARED, "scope", "policy", SHARED, "--routine", "approvals,weight=2")
        for node in self.regions():
            scope = desk(node.name)
            node.committed("scope", "new", scope, "--region", node.name)
            anchor = node.json("anchor", "list", scope)[0]["id"]
            node.committed("anchor", "weigh", scope, f"{anchor}=3")
            key = node.good("key", "new", PERSON).split()[0]
            proposal = node.pending("anchor", "add", scope, "--key", key)
            node.good("anchor", "accept", proposal, "--key", node.path(PERSON))
            node.committed("scope", "policy", scope, "--routine", "approvals,weight=4")

    def seats(self, scope):
        names = [*REGIONS, WITNESS] if scope == ROOT else REGIONS
        return [self.at[name] for name in names]

    def decide_together(self, node, scope, *words, without=()):
        """A change of a joint scope that others approve, one after the other, until it is in force."""
        out = node.good(*words)
        if out.startswith("committed"):
            return
        proposal = out.split("proposal ")[1].split(":")[0]
        voters = [seat for seat in self.seats(scope) if seat is not node and not seat.is_dark()]
        voters = [voter for voter in voters if voter.name not in without]

        def is_decided():
            return node.run("pending", proposal).code != 0

        for voter in voters:
            until(
                f"{proposal} at {voter.name}",
                SOON,
                lambda: is_decided() or voter.run("pending", proposal).code == 0,
            )
            ran = voter.run("approve", proposal)
            # It may be decided by the others before this one could say yes.
            if ran.out.startswith("committed") or is_decided():
                return
            if ran.code != 0:
                raise Failed(f"{voter.name}: approve: {ran.words()[:200]}")
        # Approvals may be on their way to each other.
        until(f"{proposal} of {scope} after {len(voters)} approval(s)", SOON, is_decided)

    def settle_connections(self):
        alive = [node for node in self.nodes() if not node.is_dark()]
        names = {node.name for node in alive}

        def all_connected():
            return all(node.connected() >= names - {node.name} for node in alive)

        until("connections", CATCH_UP, all_connected)

    def settle(self):
        """Waits until all that live are connected, and hold the same of everything."""
        self.settle_connections()
        alive = [node for node in self.nodes() if not node.is_dark()]

        def heads():
            seen = {}
            for node in alive:
                for scope in node.json("scope", "list"):
                    seen.setdefault(scope["name"], set()).add((scope["height"], scope["head"]))
            return seen

        until("the same heads", CATCH_UP, lambda: all(len(h) == 1 for h in heads().values()))

    def end(self):
        for node in self.nodes():
            node.end()

    def verify(self):
        """What each node holds must follow from its genesis. Nothing serves meanwhile."""
        for node in self.nodes():
            ran = node.run("verify")
            if ran.code != 0:
                raise SystemExit(f"{node.name}: verify: {ran.words()}")

    def kill(self):
        for node in self.nodes():
            node.kill()


def person_key(node):
    return os.path.join(node.home, PERSON)
