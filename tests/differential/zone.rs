//! Random zones: everything the lookup algorithm treats differently, close together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::common::Chance;
use super::name::Name;
use super::rdata::{DATA_TYPES, data};

/// Few labels, so that names meet: below, beside and above each other.
const LABELS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"www",
    b"mail",
    b"_tcp",
    b"_sip",
    b"x-1",
    b"d.t",
    b"s p",
    b"\x00n",
    b"a*",
    b"q\"t",
    b"\xc3\xa9",
    b"*",
];

/// Names outside every zone.
const ELSEWHERE: &[&str] = &[
    "host.elsewhere.example",
    "elsewhere.example",
    "com",
    "a.b.net",
];

/// What a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Data,
    Alias,
    Subtree,
    Cut,
    Glue,
}

/// A zone and its text.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) origin: Name,
    pub(crate) text: String,
    /// Every owner name.
    pub(crate) names: Vec<Name>,
    /// The owners of NS records below the top.
    pub(crate) cuts: Vec<Name>,
    /// The owners of DNAME records.
    pub(crate) subtrees: Vec<Name>,
}

/// Zones that are served together: some are below others, some point to others.
pub(crate) fn world(chance: &mut Chance, count: usize) -> Vec<Zone> {
    let origins: Vec<_> = (0..count)
        .map(|index| match index % 3 {
            0 => Name::plain(&format!("z{index}.diff.example")),
            1 => Name::plain(&format!("z{index}")),
            _ => Name::plain(&format!("a.very.deep.zone-{index}.of.many.labels.example")),
        })
        .collect();
    let mut zones = Vec::new();
    for origin in &origins {
        let zone = Plan::new(origin, &origins, &[], chance).write(chance);
        // nsd does not always load a zone whose own name has to be escaped.
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_plain = |name: &&Name| name.0.iter().flatten().all(plain);
        let child = zone.cuts.iter().find(is_plain).cloned();
        let names = zone.names.clone();
        zones.push(zone);
        // A server of the zone above and the zone below a cut answers from the nearer one.
        if let Some(child) = child.filter(|_| chance.percent(40)) {
            zones.push(Plan::new(&child, &origins, &names, chance).write(chance));
        }
    }
    zones
}

struct Plan<'o> {
    origin: Name,
    others: &'o [Name],
    /// The names of the zone above. nsd takes one for its own when it lies below a DNAME, and
    /// refuses the zone.
    above: &'o [Name],
    roles: BTreeMap<Name, Role>,
}

impl<'o> Plan<'o> {
    fn new(origin: &Name, others: &'o [Name], above: &'o [Name], chance: &mut Chance) -> Self {
        let mut plan = Self {
            origin: origin.clone(),
            others,
            above,
            roles: BTreeMap::new(),
        };
        plan.roles.insert(origin.clone(), Role::Data);
        for host in [&b"ns"[..], b"host"] {
            plan.roles.insert(origin.child(host), Role::Data);
        }
        for _ in 0..30 + chance.below(50) {
            plan.place(chance);
        }
        plan
    }

    fn place(&mut self, chance: &mut Chance) {
        let mut name = if chance.percent(60) {
            self.any(chance)
        } else {
            self.origin.clone()
        };
        for _ in 0..=chance.below(3) {
            name = name.child(chance.pick::<&[u8]>(LABELS));
        }
        if self.roles.contains_key(&name) || !name.fits() {
            return;
        }
        let hidden = |role: Role| matches!(role, Role::Cut | Role::Subtree);
        let above = self
            .roles
            .iter()
            .find(|(above, role)| name.is_below(above) && hidden(**role));
        if let Some((_, above)) = above {
            // Below a cut stands what nobody may see; below a DNAME nothing may stand.
            if *above == Role::Cut && chance.percent(40) {
                self.roles.insert(name, Role::Data);
            }
            return;
        }
        let has_below = self
            .roles
            .keys()
            .chain(self.above)
            .any(|other| other.is_below(&name));
        let role = match chance.below(100) {
            40..68 => Role::Alias,
            68..78 if !has_below => Role::Subtree,
            78..100 if !has_below && !name.is_wildcard() => Role::Cut,
            _ => Role::Data,
        };
        if role == Role::Cut && chance.percent(70) {
            self.roles.insert(name.child(b"ns"), Role::Glue);
        }
        self.roles.insert(name, role);
    }

    fn any(&self, chance: &mut Chance) -> Name {
        let at = chance.below(self.roles.len());
        self.roles.keys().nth(at).unwrap().clone()
    }

    /// A name for record data: here, near, nowhere, or in another zone.
    fn target(&self, chance: &mut Chance) -> Name {
        let name = match chance.below(100) {
            0..50 => self.any(chance),
            50..70 => self.any(chance).child(chance.pick::<&[u8]>(LABELS)),
            70..76 => self.any(chance).parent(),
            76..84 => self.origin.child(chance.pick::<&[u8]>(LABELS)),
            84..92 => Name::plain(chance.pick::<&str>(ELSEWHERE)),
            _ => chance.pick(self.others).child(b"host"),
        };
        if name.fits() {
            name
        } else {
            self.origin.clone()
        }
    }

    /// A name server: below the cut, below another cut, in the zone, or outside.
    fn server(&self, cut: &Name, chance: &mut Chance) -> Name {
        let glue: Vec<_> = self
            .roles
            .iter()
            .filter(|(_, role)| **role == Role::Glue)
            .map(|(name, _)| name)
            .collect();
        match chance.below(100) {
            0..45 if self.roles.contains_key(&cut.child(b"ns")) => cut.child(b"ns"),
            45..70 if !glue.is_empty() => (*chance.pick(&glue)).clone(),
            70..85 => self.origin.child(b"host"),
            85..90 => self.target(chance),
            _ => Name::plain("ns.elsewhere.example"),
        }
    }

    fn write(&self, chance: &mut Chance) -> Zone {
        let mut text = String::new();
        let minimum = chance.pick(&[60, 300, 7200]);
        let origin = self.origin.text(chance);
        writeln!(
            text,
            "{origin} 3600 IN SOA ns.{origin} hostmaster.{origin} 1 3600 900 1209600 {minimum}"
        )
        .unwrap();
        writeln!(text, "{origin} 3600 IN NS ns.{origin}").unwrap();
        if chance.percent(50) {
            writeln!(text, "{origin} 3600 IN NS ns.elsewhere.example.").unwrap();
        }
        for (name, role) in &self.roles {
            self.node(name, *role, chance, &mut text);
        }
        let of = |wanted: Role| {
            let named = self.roles.iter().filter(move |(_, role)| **role == wanted);
            named.map(|(name, _)| name.clone()).collect()
        };
        Zone {
            origin: self.origin.clone(),
            text,
            names: self.roles.keys().cloned().collect(),
            cuts: of(Role::Cut),
            subtrees: of(Role::Subtree),
        }
    }

    fn node(&self, name: &Name, role: Role, chance: &mut Chance, text: &mut String) {
        let ttl = *chance.pick(&[0, 30, 300, 3600]);
        let mut put = |kind: &str, data: &str, chance: &mut Chance| {
            let owner = name.text(chance);
            writeln!(text, "{owner} {ttl} IN {kind} {data}").unwrap();
        };
        match role {
            Role::Alias => {
                let target = self.target(chance).text(chance);
                put("CNAME", &target, chance);
            }
            Role::Subtree => {
                let target = self.target(chance).text(chance);
                put("DNAME", &target, chance);
                if chance.percent(30) {
                    put("TXT", "\"beside a DNAME\"", chance);
                }
            }
            Role::Cut => {
                let count = 1 + chance.below(2);
                let servers: BTreeSet<_> = (0..count).map(|_| self.server(name, chance)).collect();
                for server in servers {
                    let server = server.text(chance);
                    put("NS", &server, chance);
                }
                if chance.percent(50) {
                    put("DS", &data("DS", &self.origin, chance), chance);
                }
                // Data beside a delegation belongs to the other side of it.
                if chance.percent(25) {
                    put("TXT", "\"beside a delegation\"", chance);
                }
            }
            Role::Glue => {
                put("A", &data("A", name, chance), chance);
                if chance.percent(50) {
                    put("AAAA", &data("AAAA", name, chance), chance);
                }
            }
            Role::Data => self.sets(name, chance, &mut put),
        }
    }

    fn sets(
        &self,
        name: &Name,
        chance: &mut Chance,
        put: &mut impl FnMut(&str, &str, &mut Chance),
    ) {
        let is_host = name
            .0
            .first()
            .is_some_and(|label| label == b"ns" || label == b"host");
        let mut kinds: BTreeSet<&str> = (0..=chance.below(4))
            .map(|_| *chance.pick(DATA_TYPES))
            .collect();
        if is_host {
            kinds.insert("A");
        }
        for kind in kinds {
            // Some sets must not fit a datagram.
            let count = match chance.below(40) {
                0 => 30,
                1..10 => 3,
                _ => 1,
            };
            // Names that differ in case alone make one record to some and two to others.
            let rows: BTreeMap<_, _> = (0..count)
                .map(|_| data(kind, &self.target(chance), chance))
                .map(|row| (row.to_ascii_lowercase(), row))
                .collect();
            for row in rows.values() {
                put(kind, row, chance);
            }
        }
    }
}
