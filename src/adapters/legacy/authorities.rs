//! `Authorities` and `Authority`: how hickory's recursor reaches authoritative servers, and what
//! that may cost.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

use super::asking::mnemonic;
use super::roots::RecursionPlan;
use super::veil::{covered, veil};

/// Messages on their way to one server: many clients' questions must not become one server's flood.
const QUERIES_PER_SERVER_MAX: u32 = 100;
/// How long one server may take: two retransmissions. A dead server costs this once, then others
/// are asked first.
const EXCHANGE: Duration = Duration::from_millis(1_200);
/// Questions in flight on one TCP connection; beyond them another connection is opened.
const TCP_QUESTIONS_MAX: usize = 32;

tokio::task_local! {
    static ACCOUNT: Account;
}

/// What one question may still cost.
#[derive(Debug, Clone)]
pub(super) struct Account {
    wanted: Arc<AtomicU32>,
    queries_max: u32,
    /// Whether the last server asked said nothing.
    is_silent: Arc<AtomicBool>,
}

impl Account {
    /// An account for so many messages.
    pub(super) fn new(queries_max: u32) -> Self {
        Self {
            wanted: Arc::default(),
            queries_max,
            is_silent: Arc::default(),
        }
    }

    /// Runs a future at the expense of this account.
    pub(super) async fn pay<F: Future>(&self, future: F) -> F::Output {
        ACCOUNT.scope(self.clone(), future).await
    }

    /// Whether more was wanted than there was.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > self.queries_max
    }

    /// Whether the last server that was asked said nothing. The recursor has only words for it.
    pub(super) fn ends_in_silence(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    fn note(answer: &Result<DnsResponse, NetError>) {
        let is_silence = matches!(answer, Err(NetError::Timeout));
        let _ = ACCOUNT.try_with(|account| account.is_silent.store(is_silence, Ordering::Relaxed));
    }

    /// Takes one message from the account of the present question.
    fn charge() -> bool {
        let charged = ACCOUNT.try_with(|account| {
            account.wanted.fetch_add(1, Ordering::Relaxed) < account.queries_max
        });
        // Nobody asks without an account; if somebody did, it would have nothing to spend.
        charged.unwrap_or(false)
    }
}

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
}

/// A way to one authoritative server.
#[derive(Clone)]
pub(super) struct Authority {
    channel: Channel,
    address: SocketAddr,
    traffic: Arc<Traffic>,
}

#[derive(Clone)]
enum Channel {
    /// A socket of its own, with a random port, for each question.
    Udp(TokioRuntimeProvider),
    /// One connection for many questions.
    Tcp(DnsExchange<TokioRuntimeProvider>),
}

impl Authorities {
    pub(super) fn new(plan: Arc<RecursionPlan>) -> Self {
        Self {
            runtime: TokioRuntimeProvider::new(),
            plan,
            traffic: Arc::default(),
        }
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
            if !Account::charge() {
                return Err(NetError::from("too many messages for one question"));
            }
            let Some(_passage) = server.traffic.enter(server.address.ip()) else {
                return Err(NetError::Busy);
            };
            let answer = server.exchange(request).await;
            Account::note(&answer);
            note_step(|| server.describe(&query, &answer));
            let mut response = answer?;
            if let Some(what) = objection(&response, &query) {
                // In this form the pool asks the zone's next server.
                return Err(unusable(&what));
            }
            without_cut(&mut response);
            veil(&mut response, &query);
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

    fn describe(&self, query: &Query, answer: &Result<DnsResponse, NetError>) -> String {
        let transport = match &self.channel {
            Channel::Udp(_) => "",
            Channel::Tcp(_) => " over TCP",
        };
        let what = match answer {
            Ok(response) => objection(response, query).unwrap_or_else(|| gist(response, query)),
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
    use hickory_resolver::proto::rr::rdata::{NS, SOA};

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
    fn servers_beside_an_soa_are_no_referral() {
        let ns = || RData::NS(NS(name("ns.example.")));
        let soa = SOA::new(name("ns.example."), name("a.example."), 1, 2, 3, 4, 5);
        assert_eq!(kinds(vec![RData::SOA(soa), ns()]), [RecordType::SOA]);
        assert_eq!(kinds(vec![ns()]), [RecordType::NS]);
    }
}
