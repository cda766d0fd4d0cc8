//! `Authorities` and `Authority`: how hickory's recursor reaches authoritative servers.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::base::iana::OptRcode;
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{
    DnsExchange, DnsHandle, DnsRequestSender, DnsResponseStream, FirstAnswer,
};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{ConnectionProvider, PoolContext};

use crate::service::steps::note_step;

use super::account::Account;
use super::asking::mnemonic;
use super::cuts::Cuts;
use super::mark::mark;
use super::roots::RecursionPlan;
use super::veil::{covered, veil};

/// Messages on their way to one server: many clients' questions must not become one server's flood.
const QUERIES_PER_SERVER_MAX: u32 = 100;
/// How long one server may take: two retransmissions. A dead server costs this once, then others
/// are asked first.
const EXCHANGE: Duration = Duration::from_millis(1_200);
/// Questions in flight on one TCP connection; beyond them another connection is opened.
const TCP_QUESTIONS_MAX: usize = 32;

/// Messages on their way, by server; a server without any is not listed.
#[derive(Debug, Default)]
struct Traffic {
    under_way: Mutex<BTreeMap<IpAddr, u32>>,
}

impl Traffic {
    fn enter(self: &Arc<Self>, server: IpAddr) -> Option<Passage> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(server).or_default();
        if *count >= QUERIES_PER_SERVER_MAX {
            return None;
        }
        *count += 1;
        drop(under_way);
        Some(Passage {
            traffic: Arc::clone(self),
            server,
        })
    }
}

/// One message on its way.
struct Passage {
    traffic: Arc<Traffic>,
    server: IpAddr,
}

impl Drop for Passage {
    fn drop(&mut self) {
        let traffic = &self.traffic.under_way;
        let mut under_way = traffic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.server) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.server);
            }
        }
    }
}

/// Opens ways to authoritative servers.
#[derive(Clone)]
pub(super) struct Authorities {
    /// hickory keeps its background tasks in here; they end when the last clone is dropped.
    runtime: TokioRuntimeProvider,
    plan: Arc<RecursionPlan>,
    traffic: Arc<Traffic>,
    cuts: Cuts,
}

/// A way to one authoritative server.
#[derive(Clone)]
pub(super) struct Authority {
    channel: Channel,
    address: SocketAddr,
    traffic: Arc<Traffic>,
    cuts: Cuts,
}

#[derive(Clone)]
enum Channel {
    /// A socket of its own, with a random port, for each question.
    Udp(TokioRuntimeProvider),
    /// One connection for many questions.
    Tcp(DnsExchange<TokioRuntimeProvider>),
}

impl Authorities {
    pub(super) fn new(plan: Arc<RecursionPlan>, cuts: Cuts) -> Self {
        Self {
            runtime: TokioRuntimeProvider::new(),
            plan,
            traffic: Arc::default(),
            cuts,
        }
    }

    /// Whether an address may be asked.
    pub(super) fn may_ask(&self, address: IpAddr) -> bool {
        self.plan.may_ask(address)
    }
}

impl ConnectionProvider for Authorities {
    type Conn = Authority;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Authority, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        _cx: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        if !self.plan.may_ask(ip) {
            note_step(|| format!("{ip} is not asked: its network is in deny-servers"));
            return Err(unusable("a server that must not be asked"));
        }
        let address = SocketAddr::new(ip, self.plan.port);
        let over_tcp = matches!(config.protocol, ProtocolConfig::Tcp);
        let (runtime, traffic) = (self.runtime.clone(), Arc::clone(&self.traffic));
        let cuts = self.cuts.clone();
        Ok(Box::pin(async move {
            let channel = if over_tcp {
                let limit = Some(TCP_QUESTIONS_MAX);
                let opened = TcpClientStream::exchange(address, None, EXCHANGE, limit, runtime);
                Channel::Tcp(opened.await?)
            } else {
                Channel::Udp(runtime)
            };
            Ok(Authority {
                channel,
                address,
                traffic,
                cuts,
            })
        }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

impl DnsHandle for Authority {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        let server = self.clone();
        DnsResponseStream::from(Box::pin(async move {
            let Some(query) = request.queries.first().cloned() else {
                return Err(NetError::from("a request without a question"));
            };
            let address = server.address.ip();
            if Account::is_aside(&query, address) {
                // In this form the pool asks the next one and thinks no less of this one.
                return Err(NetError::NoConnections);
            }
            if !Account::charge(&query, address) {
                return Err(NetError::from("too many messages for one question"));
            }
            let Some(_passage) = server.traffic.enter(address) else {
                return Err(NetError::Busy);
            };
            let answer = server.exchange(request).await;
            Account::note(&answer);
            let objection = answer.as_ref().ok().and_then(|response| {
                let is_hearsay = is_hearsay(response, &query) && !Account::accepts_hearsay();
                let hearsay = || is_hearsay.then(|| "lame: no authority".to_owned());
                objection(response, &query).or_else(hearsay)
            });
            note_step(|| server.describe(&query, &answer, objection.as_deref()));
            let mut response = answer?;
            if let Some(what) = objection {
                // In this form the pool asks the zone's next server.
                return Err(unusable(&what));
            }
            server.cuts.learn(&response, &query);
            without_cut(&mut response);
            veil(&mut response, &query);
            mark(&mut response, &query, address);
            Ok(response)
        }))
    }
}

impl Authority {
    async fn exchange(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let answer = match &self.channel {
            Channel::Udp(runtime) => {
                UdpClientStream::builder(self.address, runtime.clone())
                    .with_timeout(Some(EXCHANGE))
                    .build()
                    .send_message(request)
                    .first_answer()
                    .await
            }
            Channel::Tcp(connection) => {
                let answer = connection.send(request).first_answer();
                tokio::time::timeout(EXCHANGE, answer)
                    .await
                    .unwrap_or(Err(NetError::Timeout))
            }
        };
        answer.map_err(|error| match error {
            // A full send queue or a connection that ended: worth another try after a pause.
            NetError::Msg(_) | NetError::Message(_) => NetError::Busy,
            // The next server may speak better.
            NetError::Proto(_) => unusable("a malformed message"),
            other => other,
        })
    }

    fn describe(
        &self,
        query: &Query,
        answer: &Result<DnsResponse, NetError>,
        objection: Option<&str>,
    ) -> String {
        let transport = match &self.channel {
            Channel::Udp(_) => "",
            Channel::Tcp(_) => " over TCP",
        };
        let what = match answer {
            Ok(response) => objection.map_or_else(|| gist(response, query), str::to_owned),
            Err(NetError::Timeout) => "no answer in time".to_owned(),
            Err(error) => error.to_string(),
        };
        let server = self.address.ip();
        // The case of its letters is random.
        let (name, kind) = (query.name().to_lowercase(), query.query_type());
        format!("{server}{transport}: {name} {kind}: {what}")
    }
}

/// What a response comes to, in a word or two.
fn gist(response: &DnsResponse, query: &Query) -> String {
    let mut authorities = response.authorities.iter();
    let cut = authorities.find(|row| row.record_type() == RecordType::NS);
    let has_soa = response
        .authorities
        .iter()
        .any(|row| row.record_type().is_soa());
    let mut answers = response.answers.iter();
    match response.metadata.response_code {
        _ if response.metadata.truncation => "cut short; asked again over TCP".to_owned(),
        _ if answers.any(|row| row.record_type() == query.query_type()) => "answer".to_owned(),
        _ if !response.answers.is_empty() => "alias".to_owned(),
        ResponseCode::NXDomain => "no such name".to_owned(),
        _ if has_soa => "no data".to_owned(),
        _ => cut.map_or_else(
            || "nothing at all".to_owned(),
            |row| format!("referral to the servers of {}", row.name.to_lowercase()),
        ),
    }
}

/// Why a response is of no use; none if it is of use.
fn objection(response: &DnsResponse, query: &Query) -> Option<String> {
    match response.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Some(mnemonic(OptRcode::masked_from_int(code.into()))),
    }
    // Over TCP hickory compares ids only.
    if !response.queries.iter().any(|asked| asked == query) {
        return Some("another question".to_owned());
    }
    let is = |kind| move |row: &&Record| row.record_type() == kind;
    let mut authorities = response.authorities.iter();
    if response.metadata.truncation
        || !response.answers.is_empty()
        || authorities.any(|row| row.record_type().is_soa())
    {
        return None;
    }
    // A referral leads towards the name. Another one, or one for a question that was meant for the
    // zone's own servers, says that this server does not have the zone (RFC 1912 section 2.8).
    let cut = response.authorities.iter().find(is(RecordType::NS))?;
    let leads_on = query.query_type() == RecordType::NS
        && !cut.name.is_root()
        && Name::zone_of(&cut.name, query.name());
    (!leads_on).then(|| "lame: it refers elsewhere".to_owned())
}

/// Whether a server says what it has from others: it would ask them for us, and does not claim
/// authority; or it says nothing at all, and not in the name of the zone. Many a server is so set up that
/// there is nothing better to be had. Where zones end is asked of servers that need not have them.
fn is_hearsay(response: &DnsResponse, query: &Query) -> bool {
    let head = &response.metadata;
    if head.authoritative || head.truncation || query.query_type() == RecordType::NS {
        return false;
    }
    let says_nothing = response.answers.is_empty() && response.authorities.is_empty();
    let says_much = !response.answers.is_empty() || head.response_code == ResponseCode::NXDomain;
    says_nothing || (says_much && head.recursion_available)
}

/// An absence may name the zone's servers beside its SOA (RFC 2308 section 2.1, type 1). hickory
/// would take them for a referral.
fn without_cut(response: &mut DnsResponse) {
    let has_soa = |rows: &[Record]| rows.iter().any(|row| row.record_type().is_soa());
    if response.answers.is_empty() && has_soa(&response.authorities) {
        let is_server = |row: &Record| {
            let kind =
                covered(row).map_or_else(|| row.record_type(), |sig| sig.input().type_covered);
            kind == RecordType::NS
        };
        response.authorities.retain(|row| !is_server(row));
    }
}

fn unusable(what: &str) -> NetError {
    NetError::from(io::Error::other(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::{Message, OpCode};
    use hickory_resolver::proto::rr::RData;
    use hickory_resolver::proto::rr::rdata::{A, NS, SOA};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn kinds(authorities: Vec<RData>) -> Vec<RecordType> {
        let mut message = Message::response(0, OpCode::Query);
        let rows = authorities.into_iter();
        message.add_authorities(rows.map(|data| Record::from_rdata(name("example."), 60, data)));
        let mut response = DnsResponse::from_message(message).unwrap();
        without_cut(&mut response);
        let authorities = response.authorities.iter();
        authorities.map(Record::record_type).collect()
    }

    #[test]
    fn what_a_server_has_from_others_is_hearsay() {
        let address = RData::A(A::new(192, 0, 2, 1));
        let address = Record::from_rdata(name("a.example."), 60, address);
        for (rcode, answers, is_authority, is_recursive, is_heard) in [
            (
                ResponseCode::NoError,
                vec![address.clone()],
                false,
                true,
                true,
            ),
            (
                ResponseCode::NoError,
                vec![address.clone()],
                true,
                true,
                false,
            ),
            (ResponseCode::NoError, vec![address], false, false, false),
            (ResponseCode::NXDomain, vec![], false, true, true),
            (ResponseCode::NoError, vec![], false, false, true),
            (ResponseCode::NoError, vec![], true, false, false),
        ] {
            let mut message = Message::response(0, OpCode::Query);
            message.metadata.response_code = rcode;
            message.metadata.authoritative = is_authority;
            message.metadata.recursion_available = is_recursive;
            message.add_answers(answers);
            let response = DnsResponse::from_message(message).unwrap();
            let query = |kind| Query::query(name("a.example."), kind);
            assert_eq!(
                is_hearsay(&response, &query(RecordType::A)),
                is_heard,
                "{response:?}"
            );
            assert!(!is_hearsay(&response, &query(RecordType::NS)));
        }
    }

    #[test]
    fn servers_beside_an_soa_are_no_referral() {
        let ns = || RData::NS(NS(name("ns.example.")));
        let soa = SOA::new(name("ns.example."), name("a.example."), 1, 2, 3, 4, 5);
        assert_eq!(kinds(vec![RData::SOA(soa), ns()]), [RecordType::SOA]);
        assert_eq!(kinds(vec![ns()]), [RecordType::NS]);
    }
}
