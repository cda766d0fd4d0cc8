//! `Setup`: what a reload replaces as a whole.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::base::reach::Reach;
use crate::index::place::Apex;
use crate::namespace::name::Name;
use crate::namespace::record::Record;
use crate::resolution::answer::{Answer, Outcome};
use crate::resolution::fallback::Rules;
use crate::resolution::keeping::Keeping;
use crate::resolution::trail::Trail;
use crate::resolution::zone::Zone;

/// Who may ask, by source address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who gets any answer at all.
    pub query: Vec<IpNet>,
    /// Who may have names resolved that are not served here.
    pub recurse: Vec<IpNet>,
}

impl Access {
    /// Whether an address may ask anything.
    pub fn may_query(&self, address: IpAddr) -> bool {
        contains(&self.query, address)
    }

    /// Whether an address may ask legacy DNS through us.
    pub fn may_recurse(&self, address: IpAddr) -> bool {
        contains(&self.recurse, address)
    }

    /// The addresses that are treated as this one is.
    pub fn alike(&self, address: IpAddr) -> Reach {
        let reach = Reach::around(address).alike(address, &self.query);
        reach.alike(address, &self.recurse)
    }
}

fn contains(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

/// What a reload replaces as a whole.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The governed trees.
    pub apexes: Vec<Apex>,
    /// The zones by origin.
    pub zones: BTreeMap<Name, Arc<Zone>>,
    /// The fall-back rules.
    pub rules: Rules,
    /// Suffixes with upstreams of their own.
    pub routes: Vec<Name>,
    /// What clients are told of the encrypted listeners.
    pub designated: Vec<Record>,
    /// Who may ask.
    pub access: Access,
    /// How long a question may take in all, in milliseconds.
    pub deadline_ms: u64,
    /// How long a device counts after a proof, in seconds.
    pub presence_secs: u32,
    /// Whether anything can be forwarded, so that RA tells the truth.
    pub forwards: bool,
}

impl Setup {
    /// Whether an address gets names resolved that are not served here. A node without upstreams
    /// offers that to nobody, and says so instead of failing.
    pub fn may_recurse(&self, address: IpAddr) -> bool {
        self.forwards && self.access.may_recurse(address)
    }

    /// For whom and until when the answer to a question that came in a datagram, without any proof
    /// of who asks, stays what it is. Only what is known to be so is kept.
    pub fn keeping(&self, trail: &Trail, answer: &Answer, caller: IpAddr) -> Keeping {
        let mut keeping = *trail.keeping();
        keeping.is_for(self.access.alike(caller));
        if trail.denied().is_some() {
            // Each denial is written down by itself.
            keeping.never("a scope on the way denied");
        }
        if !answer.errors.is_empty() {
            keeping.never("it says more than records");
        }
        match answer.outcome {
            Outcome::Found | Outcome::NoData | Outcome::Absent | Outcome::Retired => {}
            _ => keeping.never("it is no answer about a name"),
        }
        keeping
    }
}
