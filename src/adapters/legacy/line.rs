//! `Lines` and `Line`: how hickory's pool speaks to one upstream over connections, and what it gets to see.
//!
//! Of the answers it gets, the pool passes positive ones on, turns negative ones into errors without
//! their bytes, and asks the next upstream only after an untrusted NXDOMAIN. So a line judges each
//! answer first and shows the pool what makes it do the right thing: a usable answer bears a
//! response code that is passed through untouched, and a refusal looks like an empty NXDOMAIN.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, ProtocolConfig};
use hickory_resolver::net::h2::HttpsClientStream;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::tls::tls_exchange;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsResponseStream, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Edns, Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::{Name, RData, Record};
use hickory_resolver::{ConnectionProvider, PoolContext};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::asking::Said;
use super::cookies::{self, COOKIE, SharedJar};
use super::upstream::{Transport, Upstream};

/// Questions in flight on one connection; beyond them another connection is opened.
const TCP_QUESTIONS_MAX: usize = 256;

/// Opens lines to the upstreams of one group.
#[derive(Clone)]
pub(super) struct Lines {
    /// hickory keeps its background tasks in here; they end when the last clone is dropped.
    runtime: TokioRuntimeProvider,
    upstreams: Arc<[Upstream]>,
    /// How long one upstream may take.
    exchange: Duration,
    /// By the places of the upstreams.
    jars: Arc<[Option<SharedJar>]>,
}

/// A way to one upstream.
#[derive(Clone)]
pub(super) struct Line {
    /// One connection for many questions, in the clear or not.
    connection: DnsExchange<TokioRuntimeProvider>,
    /// The upstream's place in its group.
    place: u16,
    exchange: Duration,
    /// Its cookies, if it is shown any.
    jar: Option<SharedJar>,
}

/// An upstream answered, but gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The upstream's place in its group.
    pub(super) place: u16,
    /// The response code's mnemonic, or what else was wrong.
    pub(super) what: String,
}

impl Refusal {
    /// The form in which the pool asks the next upstream, and which it prefers over all other
    /// failures when there is none: an empty NXDOMAIN that is not trusted.
    fn dressed(self) -> Result<DnsResponse, NetError> {
        let mut message = Message::response(0, OpCode::Query);
        message.metadata.response_code = ResponseCode::NXDomain;
        let what = RData::TXT(TXT::new(vec![self.what]));
        let note = Record::from_rdata(Name::root(), u32::from(self.place), what);
        message.add_authority(note);
        DnsResponse::from_message(message).map_err(NetError::from)
    }

    /// The refusal that the pool's error is about, if it is about one.
    pub(super) fn undressed(error: &NetError) -> Option<Self> {
        let NetError::Dns(DnsError::NoRecordsFound(NoRecords { authorities, .. })) = error else {
            return None;
        };
        let note = authorities.as_ref()?.first()?;
        let RData::TXT(what) = &note.data else {
            return None;
        };
        Some(Self {
            place: u16::try_from(note.ttl).ok()?,
            what: what.to_string(),
        })
    }
}

impl Lines {
    pub(super) fn new(
        upstreams: Arc<[Upstream]>,
        exchange: Duration,
        jars: Arc<[Option<SharedJar>]>,
    ) -> Self {
        Self {
            jars,
            runtime: TokioRuntimeProvider::new(),
            upstreams,
            exchange,
        }
    }

    /// The place of the upstream at an address that is spoken to in this way.
    fn place(&self, address: SocketAddr, protocol: &ProtocolConfig) -> Option<u16> {
        let place = self.upstreams.iter().position(|upstream| {
            let speaks = match (&upstream.transport, protocol) {
                (Transport::UdpAndTcp | Transport::Tcp, ProtocolConfig::Tcp) => true,
                (Transport::Tls { name }, ProtocolConfig::Tls { server_name }) => {
                    **name == **server_name
                }
                (
                    Transport::Https { name, path },
                    ProtocolConfig::Https {
                        server_name,
                        path: asked,
                    },
                ) => **name == **server_name && **path == **asked,
                _ => false,
            };
            upstream.address == address && speaks
        })?;
        u16::try_from(place).ok()
    }
}

impl ConnectionProvider for Lines {
    type Conn = Line;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Line, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        cx: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let address = SocketAddr::new(ip, config.port);
        let protocol = config.protocol.clone();
        let place = self
            .place(address, &protocol)
            .ok_or(NetError::NoConnections)?;
        let jar = self.jars.get(usize::from(place)).cloned().flatten();
        let (exchange, runtime, tls) = (self.exchange, self.runtime.clone(), cx.tls.clone());
        Ok(Box::pin(async move {
            let opening = open(address, protocol, exchange, (runtime, tls));
            // The library waits longer for a connection than an upstream may take.
            let opened = tokio::time::timeout(exchange, opening).await;
            let connection = opened.unwrap_or(Err(NetError::Timeout))?;
            Ok(Line {
                connection,
                place,
                exchange,
                jar,
            })
        }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

async fn open(
    address: SocketAddr,
    protocol: ProtocolConfig,
    exchange: Duration,
    (runtime, tls): (TokioRuntimeProvider, ClientConfig),
) -> Result<DnsExchange<TokioRuntimeProvider>, NetError> {
    let questions = Some(TCP_QUESTIONS_MAX);
    match protocol {
        ProtocolConfig::Tcp => {
            TcpClientStream::exchange(address, None, exchange, questions, runtime).await
        }
        ProtocolConfig::Tls { server_name } => {
            let name = ServerName::try_from(&*server_name)
                .map_err(|error| NetError::from(error.to_string()))?
                .to_owned();
            tls_exchange(address, name, tls, exchange, questions, runtime).await
        }
        ProtocolConfig::Https { server_name, path } => {
            let mut builder = HttpsClientStream::builder(Arc::new(tls), runtime);
            builder.request_timeout(exchange);
            builder.exchange(address, server_name, path).await
        }
        ProtocolConfig::Udp => Err(NetError::NoConnections),
    }
}

impl DnsHandle for Line {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        let line = self.clone();
        DnsResponseStream::from(Box::pin(async move {
            let question = request.queries.clone();
            let mut response = match line.exchange_knowing(request).await {
                Err(NetError::Proto(_)) => return line.refuse("a malformed message"),
                other => other?,
            };
            let said = Said::of(response.as_buffer());
            let what = match said.map(|said| said.objection()) {
                None => Some("a malformed message".to_owned()),
                // Over TCP hickory compares ids only.
                Some(None) if response.queries != question => Some("another question".to_owned()),
                Some(objection) => objection,
            };
            if let Some(what) = what {
                return line.refuse(&what);
            }
            // Nobody reads the parsed header after this: the answer is read from its bytes.
            response.metadata.response_code = ResponseCode::Unknown(0);
            response.metadata.id = line.place;
            Ok(response)
        }))
    }
}

impl Line {
    /// An exchange in which both sides show that they have talked before, if that is wanted.
    async fn exchange_knowing(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let Some(jar) = &self.jar else {
            return self.exchange(request).await;
        };
        let Some(cookie) = cookies::open(jar).shown() else {
            return self.exchange(request).await;
        };
        let mut asked = request;
        let edns = asked.edns.get_or_insert_with(Edns::new);
        edns.options_mut()
            .insert(EdnsOption::Unknown(COOKIE, cookie));
        let response = self.exchange(asked).await?;
        if let Some(said) = Said::of(response.as_buffer()) {
            cookies::open(jar).learn(said.told());
        }
        Ok(response)
    }

    async fn exchange(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let answer = self.connection.send(request).first_answer();
        let answer = tokio::time::timeout(self.exchange, answer)
            .await
            .unwrap_or(Err(NetError::Timeout));
        answer.map_err(|error| match error {
            // Over HTTPS, an answer that is no DNS message; the library has only words for it.
            NetError::Msg(what)
                if ["http ", "ContentType"]
                    .iter()
                    .any(|word| what.starts_with(word)) =>
            {
                NetError::from(std::io::Error::other(what))
            }
            // A full send queue or a connection that ended: worth another try after a pause.
            NetError::Msg(_) | NetError::Message(_) => NetError::Busy,
            other => other,
        })
    }

    fn refuse(&self, what: &str) -> Result<DnsResponse, NetError> {
        let refusal = Refusal {
            place: self.place,
            what: what.to_owned(),
        };
        refusal.dressed()
    }
}
