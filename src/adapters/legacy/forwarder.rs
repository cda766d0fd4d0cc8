//! `Forwarder`: asks upstreams, by suffix, over UDP and TCP.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name as HickoryName, RecordType as HickoryType};
use hickory_resolver::proto::serialize::binary::BinDecodable;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use rustls::ClientConfig;

use crate::namespace::name::Name;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion};
use crate::service::legacy_cache::UpstreamStanding;
use crate::service::ports::{LegacyAnswered, LegacyDns};

use super::cookies::{self, CookieSecret};
use super::line::{Lines, Refusal};
use super::race::{Runners, Speeds};
use super::reply;
use super::tls;
use super::upstream::{
    BadPlan, ForwardPlan, Transport, UPSTREAMS_PER_GROUP_MAX, Upstream, UpstreamGroup,
};

/// Answers are accepted over UDP up to this size; below the smallest common path MTU less headers
/// (DNS flag day 2020).
const UDP_ANSWER_BYTES_MAX: u16 = 1_232;
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
}

impl Forwarder {
    /// Makes the plan's groups; nothing is sent yet.
    pub fn new(plan: ForwardPlan) -> Result<Self, BadPlan> {
        let manners = Manners {
            deadline_ms: plan.deadline_ms,
            tls: tls::config(plan.authorities_pem.as_deref()).map_err(BadPlan::Certificates)?,
            secret: plan.cookies.then(CookieSecret::new),
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
        let request = request(question, group.trust_ad)?;
        let exchange = group.runners.ask(&request);
        let answered = tokio::time::timeout(Duration::from_millis(patience_ms), exchange)
            .await
            .unwrap_or(Err(NetError::Timeout))
            .map_err(|error| group.failure(&error))?;
        group.read(question, &answered)
    }
}

impl Group {
    fn new(group: UpstreamGroup, manners: &Manners, speeds: &mut Speeds) -> Self {
        let upstreams: Arc<[Upstream]> = group.upstreams.into();
        let pools = pools(&upstreams, manners);
        Self {
            upstreams,
            trust_ad: group.trust_ad,
            runners: Runners::new(pools, speeds, manners.deadline_ms),
        }
    }

    fn read(
        &self,
        question: &LegacyQuestion,
        response: &DnsResponse,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        let upstream = self.upstream(response.metadata.id);
        match reply::read(response.as_buffer(), question, self.trust_ad) {
            Ok(reply) => Ok(LegacyAnswered { reply, upstream }),
            Err(unreadable) => Err(LegacyFailure::Code {
                upstream,
                rcode: unreadable.to_string(),
            }),
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

    fn failure(&self, error: &NetError) -> LegacyFailure {
        if let Some(Refusal { place, what }) = Refusal::undressed(error) {
            return LegacyFailure::Code {
                upstream: self.upstream(place),
                rcode: what,
            };
        }
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

/// A pool for each upstream: which of them is asked when is not left to the library.
fn pools(upstreams: &Arc<[Upstream]>, manners: &Manners) -> Vec<(Upstream, NameServerPool<Lines>)> {
    let mut options = ResolverOpts::default();
    let deadline_ms = manners.deadline_ms;
    options.timeout = Duration::from_millis(deadline_ms);
    // Others get their turn long before; this only ends what would wait for nothing.
    let halves = if upstreams.len() > 1 { 2 } else { 1 };
    let share = (deadline_ms / halves).max(EXCHANGE_MS_MIN);
    let jars = cookies::jars(upstreams, manners.secret.as_ref());
    let lines = Lines::new(Arc::clone(upstreams), Duration::from_millis(share), jars);
    let tls = TlsConfig {
        config: manners.tls.clone(),
    };
    let context = Arc::new(PoolContext::new(options, tls));
    let pool = |upstream: &Upstream| {
        let server = [server(upstream)];
        let pool = NameServerPool::from_config(server, Arc::clone(&context), lines.clone());
        (upstream.clone(), pool)
    };
    upstreams.iter().map(pool).collect()
}

fn server(upstream: &Upstream) -> NameServerConfig {
    let connections = match &upstream.transport {
        Transport::UdpAndTcp => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
        Transport::Tcp => vec![ConnectionConfig::tcp()],
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

fn request(question: &LegacyQuestion, wants_ad: bool) -> Result<DnsRequest, LegacyFailure> {
    let name =
        HickoryName::from_bytes(question.name.as_wire()).map_err(|_| LegacyFailure::Code {
            upstream: "-".to_owned(),
            rcode: "FORMERR".to_owned(),
        })?;
    let query = Query::query(name, HickoryType::from(question.kind.code()));
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_payload_len = UDP_ANSWER_BYTES_MAX;
    options.edns_set_dnssec_ok = question.dnssec_ok;
    options.recursion_desired = true;
    // The pool randomises case for questions it builds itself, not for those it is given.
    options.case_randomization = true;
    let mut request = DnsRequest::from_query(query, options);
    request.metadata.checking_disabled = question.checking_disabled;
    // Asks for AD in the answer without asking for signatures (RFC 6840 section 5.7).
    request.metadata.authentic_data = wants_ad;
    Ok(request)
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.iter();
        f.debug_map()
            .entries(groups.map(|(suffix, group)| (suffix, &group.upstreams)))
            .finish()
    }
}
