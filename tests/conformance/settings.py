"""Configuration of a scenario's own resolver, put into Kedge's words."""

import calendar
import re
import time

import dns.name
import dns.rdatatype as types

from records import Unreadable, canonical, read_record
from resign import Resigner, is_key_of
from script import EVERYBODY

# A key of the root that nobody has: scenarios trust islands below it.
ROOT_KEY = (
    ". IN DNSKEY 257 3 13 pH7pkDLOHMTiP9ussxYhenB1n8W+k6CfPFkzrTfOhpvU9zIsn8QOvs2VgB8ARo2CKm5lz2PnbHlGONTLDKo3lA=="
)
# Where a root is played that the scenario does without.
MADE_UP_ROOT = "198.41.0.4"
# Scenarios of a cache in a client, which has one server for all it asks.
CLIENTS = ("client/", "client-cache/")
LISTEN = ("127.0.0.1", 5300)


def quoted(values):
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


class Settings:
    def __init__(self, scenario):
        self.scenario = scenario
        self.roots = []
        self.forwards = []
        self.routes = {}
        self.stubs = {}
        self.is_client = scenario.name.startswith(CLIENTS)
        self.read_zones()
        self.date = self.read_date()
        self.anchors = self.read_anchors()
        if self.anchors and not self.roots and not self.is_client:
            raise Unreadable("validates what a forwarder says")

    def read_zones(self):
        stubs, forwards = self.scenario.zones("stub-zone"), self.scenario.zones("forward-zone")
        for zone in stubs:
            name = (zone.get("name") or zone.get("stub-name") or ["."])[0]
            if name in (".", ""):
                self.roots += addresses(zone.get("stub-addr", []))
            else:
                self.stubs[name] = addresses(zone.get("stub-addr", []))
        # Deckard's scenarios have no clauses.
        settings = self.scenario.settings
        self.roots += addresses(row[3] for row in settings if row[0] == "server" and row[2] == "stub-addr")
        if self.stubs and self.roots:
            raise Unreadable("stub-zone: authorities of one zone cannot be given beside the root")
        if self.stubs:
            # A root that knows these zones.
            self.roots = [MADE_UP_ROOT]
        for zone in forwards:
            name = zone.get("name", ["."])[0]
            at = addresses(zone.get("forward-addr", []))
            if name == ".":
                self.forwards += at
            else:
                self.routes[name] = at

    def read_date(self):
        """Seconds since 1970 at which the scenario plays, if it says so."""
        for value in self.scenario.setting("val-override-timestamp"):
            return int(value)
        for value in self.scenario.setting("val-override-date"):
            if re.fullmatch(r"\d{14}", value):
                return calendar.timegm(time.strptime(value, "%Y%m%d%H%M%S"))
        return None

    def read_anchors(self):
        """The keys that the scenario trusts, by the DS or DNSKEY records that it names."""
        found = []
        named = [read_record(value.replace('"', "")) for value in self.scenario.setting("trust-anchor")]
        resigner = Resigner(self.scenario, [row for row in named if row.kind == types.DNSKEY])
        resigner.run()
        for row in named:
            anchor = resigner.changed(row)
            keys = self.key_set(anchor)
            if not keys:
                raise Unreadable(f"the key of the anchor of {anchor.owner} is not in the scenario")
            # An island is trusted as it is: above it there is nobody to ask for the rest of its keys.
            found += keys if len(anchor.owner.labels) > 1 else [key for key in keys if is_trusted(anchor, key)]
        unique = {record.key(): record for record in found}
        return list(unique.values())

    def key_set(self, anchor):
        """The key set in the scenario that has the key of an anchor."""
        for span in self.scenario.ranges:
            for entry in span.entries:
                keys = [record for record in entry.records() if record.kind == types.DNSKEY]
                keys = [key for key in keys if canonical(key.owner) == canonical(anchor.owner)]
                if any(is_trusted(anchor, key) for key in keys):
                    return keys
        return [anchor] if anchor.kind == types.DNSKEY else []

    def untrusted(self):
        """The greatest suffixes in the scenario that have no anchor at or above and none below."""
        islands = {canonical(record.owner) for record in self.anchors}
        found = {canonical(dns.name.from_text(name)) for name in self.scenario.setting("domain-insecure")}
        names = {canonical(record.owner) for record in self.scenario.records()}
        names |= {canonical(name) for step in self.scenario.steps if step.entry for name, _, _ in step.entry.question}
        for name in names:
            if any(name.is_subdomain(island) for island in islands):
                continue
            for depth in range(2, len(name.labels) + 1):
                suffix = name.split(depth)[1]
                if not any(island.is_subdomain(suffix) for island in islands):
                    found.add(suffix)
                    break
        return sorted(found)

    def files(self):
        """The files of a node that is set up so."""
        lines = [f'[listen]\ndns = ["{LISTEN[0]}:{LISTEN[1]}"]', "[demo]\nenabled = false"]
        lines += ['[access]\nquery = ["0.0.0.0/0", "::/0"]\nrecurse = ["0.0.0.0/0", "::/0"]']
        lines += ["[legacy]", f"stale-secs = {86400 if 'yes' in self.scenario.setting('serve-expired') else 0}"]
        files = {}
        if self.is_client:
            lines += ['mode = "forward"', "upstreams = " + quoted([EVERYBODY])]
        elif self.roots:
            hints = (f". 3600 NS r{at}.\nr{at}. 3600 {kind(root)} {root}\n" for at, root in enumerate(self.roots))
            files["hints"] = "".join(hints)
            lines += ['mode = "recurse"', 'root-hints = "hints"']
            local = not {"no", "off"} & set(self.scenario.setting("do-not-query-localhost"))
            lines.append("deny-servers = " + quoted(["127.0.0.0/8", "::1/128"] if local else []))
            allowed = (f"{root}/{128 if ':' in root else 32}" for root in self.roots if local)
            lines.append("allow-servers = " + quoted(allowed))
            lines += self.validation(files)
        elif self.forwards or self.routes:
            lines += ['mode = "forward"', "upstreams = " + quoted(self.forwards)]
        else:
            lines.append("upstreams = []")
        for suffix, at in self.routes.items():
            lines.append(f'[[legacy.route]]\nsuffix = "{suffix}"\nupstreams = {quoted(at)}')
        files["kedge.toml"] = "\n".join(lines) + "\n"
        return files

    def validation(self, files):
        modules = self.scenario.setting("module-config")
        if not self.anchors or any("validator" not in value for value in modules):
            return ['dnssec = "off"']
        rows = [f"{r.owner} IN {types.to_text(r.kind)} {r.rdata.to_text()}".split(None, 6) for r in self.anchors]
        rows = [" ".join([*row[:6], row[6].replace(" ", "")]) for row in rows]
        if not any(record.owner == dns.name.root for record in self.anchors):
            rows.append(ROOT_KEY)
        files["anchors"] = "\n".join(rows) + "\n"
        untrusted = quoted(name.to_text() for name in self.untrusted())
        return ['trust-anchors = "anchors"', f"negative-trust-anchors = {untrusted}"]


def is_trusted(anchor, key):
    return anchor.rdata.key == key.rdata.key if anchor.kind == types.DNSKEY else is_key_of(anchor, key)


def kind(address):
    return "AAAA" if ":" in address else "A"


def addresses(values):
    return [value.partition("@")[0] for value in values if value]
