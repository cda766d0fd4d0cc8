//! `Nearness`: which instances are near to a client, by regions and measured round trips.
//!
//! A region is a word. Where a client is follows from its address; how far a region is, from the
//! round trips that this node measures to the nodes in it. What an announcer says of its region is
//! taken as said: the key that may announce is trusted with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Instance;

/// Round trips within the same span count as equally far, in microseconds: what differs by less
/// than this changes with every measurement.
const STEP_US: u64 = 5_000;

/// What is shown of instances in several regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shows {
    /// Addresses of the nearest region with a working instance alone; of the others when it has none.
    #[default]
    Nearest,
    /// All, the nearest first.
    All,
}

/// Where this node is, and what it knows of other places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nearness {
    /// The region of this node; empty if it has none.
    pub own: Box<str>,
    /// Networks and the regions that they are in; the longest prefix counts.
    pub networks: Vec<(IpNet, Box<str>)>,
    /// Round trips from here to regions, in microseconds.
    pub round_trips_us: BTreeMap<Box<str>, u64>,
    /// What is shown.
    pub shows: Shows,
}

/// Instances, the nearest first among those that do alike, with how near each is: 0 for the nearest,
/// without gaps.
#[derive(Debug, PartialEq, Eq)]
pub struct Ranked<'s> {
    /// The instances.
    pub instances: Vec<(u16, &'s Instance)>,
    /// Why, for people; empty if nobody knows where anything is.
    pub why: String,
}

impl Nearness {
    /// The region of a client: that of its network, or of this node where nobody says otherwise.
    pub fn region_of(&self, client: Option<IpAddr>) -> &str {
        let within = |(net, _): &&(IpNet, Box<str>)| client.is_some_and(|at| net.contains(&at));
        let networks = self.networks.iter().filter(within);
        let closest = networks.max_by_key(|(net, _)| net.prefix_len());
        closest.map_or(&*self.own, |(_, region)| region)
    }

    /// How far a region is from another one, in microseconds; none if nobody knows. Between two that
    /// are both elsewhere the way over this node is the best that is known.
    fn distance_us(&self, from: &str, to: &str) -> Option<u64> {
        if from.is_empty() || to.is_empty() {
            return None;
        }
        if from == to {
            return Some(0);
        }
        let from_here = |region: &str| {
            if *self.own == *region {
                Some(0)
            } else {
                self.round_trips_us.get(region).copied()
            }
        };
        Some(from_here(from)?.saturating_add(from_here(to)?))
    }

    /// Ranks instances for a client. What they are sorted by already counts among those equally near.
    pub fn rank<'s>(&self, shown: &[&'s Instance], client: Option<IpAddr>) -> Ranked<'s> {
        let from = self.region_of(client);
        // The same region is nearer than any other one, however short the way.
        let steps = |region: &str| match self.distance_us(from, region) {
            Some(0) if from == region => 0,
            Some(us) => 1 + us / STEP_US,
            None => u64::MAX,
        };
        let mut near: Vec<(u64, &Instance)> = Vec::with_capacity(shown.len());
        near.extend(shown.iter().map(|shown| (steps(&shown.region), *shown)));
        let mut distances: Vec<u64> = near.iter().map(|(steps, _)| *steps).collect();
        distances.sort_unstable();
        distances.dedup();
        // Stable, so that among those equally near the order stays.
        near.sort_by_key(|(steps, instance)| (!instance.health.is_good(), *steps));
        let rank = |steps: u64| {
            let at = distances.partition_point(|distance| *distance < steps);
            u16::try_from(at).unwrap_or(u16::MAX)
        };
        let known = distances.iter().any(|distance| *distance != u64::MAX);
        let why = if known {
            self.told(from, shown)
        } else {
            String::new()
        };
        let near = near.into_iter();
        Ranked {
            instances: near
                .map(|(steps, instance)| (rank(steps), instance))
                .collect(),
            why,
        }
    }

    fn told(&self, from: &str, shown: &[&Instance]) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in shown {
            *counts.entry(&instance.region).or_default() += 1;
        }
        let mut told = format!("client in {from:?}");
        for (region, count) in counts {
            // Writing to a string does not fail.
            let _ = match self.distance_us(from, region) {
                Some(us) => write!(told, "; {count} in {region:?}, {} ms", us / 1_000),
                None => write!(told, "; {count} in {region:?}, nobody knows how far"),
            };
        }
        told
    }
}

impl<'s> Ranked<'s> {
    /// The nearest ones alone.
    #[must_use]
    pub fn nearest(mut self) -> Self {
        let least = self.instances.iter().map(|(rank, _)| *rank).min();
        self.instances.retain(|(rank, _)| Some(*rank) == least);
        self
    }

    /// Without their ranks.
    pub fn all(&self) -> Vec<&'s Instance> {
        self.instances
            .iter()
            .map(|(_, instance)| *instance)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::working;
    use super::*;

    fn nearness() -> Nearness {
        let net = |text: &str, region: &str| (text.parse().unwrap(), region.into());
        Nearness {
            own: "eu".into(),
            networks: vec![
                net("10.0.0.0/8", "us"),
                net("10.9.0.0/16", "ap"),
                net("2001:db8::/32", "us"),
            ],
            round_trips_us: BTreeMap::from([("us".into(), 80_000), ("ap".into(), 200_000)]),
            shows: Shows::Nearest,
        }
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_client_is_where_its_network_is_and_else_where_this_node_is() {
        let nearness = nearness();
        for (client, region) in [
            ("10.1.2.3", "us"),
            ("10.9.2.3", "ap"),
            ("2001:db8::1", "us"),
            ("192.0.2.1", "eu"),
        ] {
            assert_eq!(nearness.region_of(Some(at(client))), region, "{client}");
        }
        assert_eq!(nearness.region_of(None), "eu");
    }

    fn ranks(nearness: &Nearness, client: &str, regions: &[&str]) -> Vec<(u16, String)> {
        let instances: Vec<Instance> = regions
            .iter()
            .enumerate()
            .map(|(number, region)| Instance {
                region: (*region).into(),
                ..working(&format!("i{number}"))
            })
            .collect();
        let shown: Vec<&Instance> = instances.iter().collect();
        let ranked = nearness.rank(&shown, Some(at(client)));
        let label = |(rank, instance): &(u16, &Instance)| (*rank, instance.label.to_string());
        ranked.instances.iter().map(label).collect()
    }

    fn expected(ranks: &[(u16, &str)]) -> Vec<(u16, String)> {
        let owned = |(rank, label): &(u16, &str)| (*rank, (*label).to_owned());
        ranks.iter().map(owned).collect()
    }

    #[test]
    fn the_same_region_comes_first_then_the_shortest_way_then_nobody_knows_where() {
        let all = ["ap", "us", "", "eu", "us"];
        let nearness = nearness();
        let from_eu = [(0, "i3"), (1, "i1"), (1, "i4"), (2, "i0"), (3, "i2")];
        assert_eq!(ranks(&nearness, "192.0.2.1", &all), expected(&from_eu));
        // From elsewhere the way leads over here.
        let from_us = [(0, "i1"), (0, "i4"), (1, "i3"), (2, "i0"), (3, "i2")];
        assert_eq!(ranks(&nearness, "10.1.1.1", &all), expected(&from_us));
        // What differs by less than a step is equally far.
        let alike = Nearness {
            round_trips_us: BTreeMap::from([("us".into(), 80_000), ("ap".into(), 83_000)]),
            ..nearness
        };
        let both = [(0, "i0"), (0, "i1")];
        assert_eq!(ranks(&alike, "192.0.2.1", &["ap", "us"]), expected(&both));
    }

    #[test]
    fn where_nobody_knows_anything_all_are_alike() {
        let nowhere = Nearness::default();
        let same = [(0, "i0"), (0, "i1")];
        assert_eq!(ranks(&nowhere, "192.0.2.1", &["ap", "us"]), expected(&same));
        let instances = [working("a"), working("b")];
        let shown: Vec<&Instance> = instances.iter().collect();
        let ranked = nowhere.rank(&shown, None);
        assert_eq!(ranked.why, "");
        assert_eq!(ranked.nearest().all().len(), 2);
    }
}
