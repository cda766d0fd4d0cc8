//! `Forwarder`: asks upstreams, by suffix, over UDP and TCP.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use rustls::ClientConfig;

use crate::namespace::name::Name;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion};
use crate::service::legacy_cache::UpstreamStanding;
use crate::service::ports::{LegacyAnswered, LegacyDns};

use super::asking::Asked;
use super::cookies::{self, CookieSecret, SharedJar};
use super::datagrams::Datagrams;
pub use super::datagrams::Random;
use super::line::{Lines, Refusal};
use super::race::{NoAnswer, Runners, Speeds, Ways};
use super::tls;
use super::upstream::{
    BadPlan, ForwardPlan, Transport, UPSTREAMS_PER_GROUP_MAX, Upstream, UpstreamGroup,
};

/// A line shows the pool NXDOMAIN only in place of a refusal.
const TRUST_NXDOMAIN: bool = false;
/// An upstream gets at least this long, however many share the deadline: one retransmission.
const EXCHANGE_MS_MIN: u64 = 800;

/// Legacy DNS by forwarding. Cheap to ask from many tasks at once; must be asked inside a tokio
/// runtime with time and I/O.
pub struct Forwarder {
    /// By suffix; the root is the default group.
    groups: BTreeMap<Name, Group>,
    speeds: Speeds,
}

struct Group {
    upstreams: Arc<[Upstream]>,
    trust_ad: bool,
    runners: Runners,
}

/// How all upstreams are spoken to.
struct Manners {
    deadline_ms: u64,
    tls: ClientConfig,
    /// What cookies are made with; none if none are shown.
    secret: Option<CookieSecret>,
    random: Random,
}

impl Forwarder {
    /// Makes the plan's groups; nothing is sent yet. Ports and what else nobody may guess come from
    /// `random`.
    pub fn new(plan: ForwardPlan, random: Random) -> Result<Self, BadPlan> {
        let manners = Manners {
            deadline_ms: plan.deadline_ms,
            tls: tls::config(plan.authorities_pem.as_deref()).map_err(BadPlan::Certificates)?,
            secret: plan.cookies.then(CookieSecret::new),
            random,
        };
        let (mut groups, mut speeds) = (BTreeMap::new(), Speeds::default());
        let default = (Name::root(), plan.default);
        // A route for the root overrides the default group.
        for (suffix, group) in std::iter::once(default).chain(plan.routes) {
            let count = group.upstreams.len();
            if count > UPSTREAMS_PER_GROUP_MAX {
                return Err(BadPlan::TooManyUpstreams { suffix, count });
            }
            let group = Group::new(group, &manners, &mut speeds);
            groups.insert(suffix, group);
        }
        Ok(Self { groups, speeds })
    }

    /// The upstreams that questions for `name` go to; empty if it is never forwarded.
    pub fn upstreams_for(&self, name: &Name) -> &[Upstream] {
        self.group_for(name).map_or(&[], |group| &group.upstreams)
    }

    /// How each upstream does.
    pub fn standing(&self) -> Vec<UpstreamStanding> {
        self.speeds.standing()
    }

    fn group_for(&self, name: &Name) -> Option<&Group> {
        let suffixes = (0..=name.label_count()).rev();
        suffixes
            .map(|labels| name.suffix(labels))
            .find_map(|suffix| self.groups.get(&suffix))
    }
}

impl LegacyDns for Forwarder {
    async fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        let group = self.group_for(&question.name);
        let Some(group) = group.filter(|group| !group.upstreams.is_empty()) else {
            return Err(LegacyFailure::NoUpstream);
        };
        let asked = Asked {
            question,
            trusts_ad: group.trust_ad,
        };
        let exchange = group.runners.ask(&asked);
        let answer = tokio::time::timeout(Duration::from_millis(patience_ms), exchange)
            .await
            .unwrap_or(Err(NetError::Timeout.into()))
            .map_err(|error| group.failure(&error))?;
        Ok(LegacyAnswered {
            upstream: group.upstream(answer.place),
            reply: answer.reply,
        })
    }
}

impl Group {
    fn new(group: UpstreamGroup, manners: &Manners, speeds: &mut Speeds) -> Self {
        let upstreams: Arc<[Upstream]> = group.upstreams.into();
        let ways = ways(&upstreams, manners);
        Self {
            upstreams,
            trust_ad: group.trust_ad,
            runners: Runners::new(ways, speeds, manners.deadline_ms),
        }
    }

    fn upstream(&self, place: u16) -> String {
        let upstream = self.upstreams.get(usize::from(place));
        upstream.map_or_else(
            || "-".to_owned(),
            |upstream| match &upstream.transport {
                Transport::UdpAndTcp | Transport::Tcp => upstream.address.to_string(),
                Transport::Tls { .. } | Transport::Https { .. } => upstream.to_string(),
            },
        )
    }

    fn failure(&self, error: &NoAnswer) -> LegacyFailure {
        let error = match error {
            NoAnswer::Refusal(Refusal { place, what }) => {
                return LegacyFailure::Code {
                    upstream: self.upstream(*place),
                    rcode: what.clone(),
                };
            }
            NoAnswer::Net(error) => error,
        };
        let unusable = |what: &str| LegacyFailure::Code {
            upstream: "-".to_owned(),
            rcode: what.to_owned(),
        };
        match error {
            NetError::Timeout => LegacyFailure::Timeout,
            NetError::Busy => LegacyFailure::Overloaded,
            NetError::RustlsError(_) | NetError::H2(_) => {
                let upstreams = self.upstreams.iter().map(Upstream::to_string);
                let upstreams = upstreams.collect::<Vec<_>>().join(", ");
                LegacyFailure::Unreachable(format!("{upstreams} ({error})"))
            }
            // The pool says "no connections" for whatever kept it from every upstream.
            NetError::Io(_) | NetError::NoConnections => {
                let upstreams = self.upstreams.iter().map(Upstream::to_string);
                LegacyFailure::Unreachable(upstreams.collect::<Vec<_>>().join(", "))
            }
            NetError::Truncated => unusable("a truncated message over TCP"),
            NetError::QueryCaseMismatch => unusable("a question in other letter case"),
            NetError::ForeignClassRecord { .. } => unusable("a record of a foreign class"),
            _ => unusable("an unusable message"),
        }
    }
}

/// The ways to each upstream: which of them is asked when is not left to the library.
fn ways(upstreams: &Arc<[Upstream]>, manners: &Manners) -> Vec<(Upstream, Ways)> {
    let mut options = ResolverOpts::default();
    let deadline_ms = manners.deadline_ms;
    options.timeout = Duration::from_millis(deadline_ms);
    // Others get their turn long before; this only ends what would wait for nothing.
    let halves = if upstreams.len() > 1 { 2 } else { 1 };
    let share = Duration::from_millis((deadline_ms / halves).max(EXCHANGE_MS_MIN));
    let jars = cookies::jars(upstreams, manners.secret.as_ref());
    let lines = Lines::new(Arc::clone(upstreams), share, Arc::clone(&jars));
    let tls = TlsConfig {
        config: manners.tls.clone(),
    };
    let context = Arc::new(PoolContext::new(options, tls));
    let ways = |(upstream, jar): (&Upstream, &Option<SharedJar>)| {
        let server = [server(upstream)];
        let datagrams = || Datagrams::new(upstream.address, share, jar.clone(), manners.random);
        let is_plain = upstream.transport == Transport::UdpAndTcp;
        let ways = Ways {
            datagrams: is_plain.then(datagrams),
            pool: NameServerPool::from_config(server, Arc::clone(&context), lines.clone()),
        };
        (upstream.clone(), ways)
    };
    upstreams.iter().zip(&*jars).map(ways).collect()
}

fn server(upstream: &Upstream) -> NameServerConfig {
    let connections = match &upstream.transport {
        Transport::UdpAndTcp | Transport::Tcp => vec![ConnectionConfig::tcp()],
        Transport::Tls { name } => vec![ConnectionConfig::tls(name.as_str().into())],
        Transport::Https { name, path } => {
            let path = Some(path.as_str().into());
            vec![ConnectionConfig::https(name.as_str().into(), path)]
        }
    };
    let on_port = |mut connection: ConnectionConfig| {
        connection.port = upstream.address.port();
        connection
    };
    let connections = connections.into_iter().map(on_port).collect();
    NameServerConfig::new(upstream.address.ip(), TRUST_NXDOMAIN, connections)
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.iter();
        f.debug_map()
            .entries(groups.map(|(suffix, group)| (suffix, &group.upstreams)))
            .finish()
    }
}
