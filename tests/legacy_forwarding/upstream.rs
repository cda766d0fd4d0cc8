//! The independent upstream: `hickory-server` with a script.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Edns, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::{A, NULL, SOA};
use hickory_server::proto::rr::{
    Name as WireName, RData, Record as WireRecord, RecordType as Kind,
};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use kedge::adapters::legacy::upstream::{Transport, Upstream, UpstreamGroup};
use kedge::namespace::rtype::RecordType;

/// What the upstream saw of a question.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) protocol: Protocol,
    pub(crate) name: String,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) authentic_data: bool,
    pub(crate) payload: u16,
}

/// What the upstream answers.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) code: Option<ResponseCode>,
    pub(crate) authentic: bool,
    pub(crate) truncated_over_udp: bool,
    pub(crate) answers: Vec<WireRecord>,
    pub(crate) authorities: Vec<WireRecord>,
    pub(crate) additionals: Vec<WireRecord>,
}

#[derive(Clone)]
struct Scripted {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Answering<'a> = Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'a>>;

// The form into which `async_trait` turns the trait's method.
impl RequestHandler for Scripted {
    fn handle_request<'s, 'r, 'f, R, T>(
        &'s self,
        request: &'r Request,
        response_handle: R,
    ) -> Answering<'f>
    where
        's: 'f,
        'r: 'f,
        R: ResponseHandler + 'f,
        T: Time + 'f,
    {
        Box::pin(self.answer(request, response_handle))
    }
}

impl Scripted {
    async fn answer<R: ResponseHandler>(&self, request: &Request, mut to: R) -> ResponseInfo {
        let edns = request.edns.clone().unwrap_or_default();
        self.seen.lock().unwrap().push(Seen {
            protocol: request.protocol(),
            name: request.queries.queries()[0].original().name().to_string(),
            dnssec_ok: edns.flags().dnssec_ok,
            checking_disabled: request.metadata.checking_disabled,
            authentic_data: request.metadata.authentic_data,
            payload: edns.max_payload(),
        });
        let script = &self.script;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = script.code.unwrap_or(ResponseCode::NoError);
        metadata.authentic_data = script.authentic;
        metadata.recursion_available = true;
        let mut builder = MessageResponseBuilder::from_message_request(request);
        let mut own_edns = Edns::new();
        own_edns.set_dnssec_ok(edns.flags().dnssec_ok);
        builder.edns(&own_edns);
        if script.truncated_over_udp && request.protocol() == Protocol::Udp {
            metadata.truncation = true;
            return to
                .send_response(builder.build_no_records(metadata))
                .await
                .unwrap();
        }
        let none: [&WireRecord; 0] = [];
        let response = builder.build(
            metadata,
            &script.answers,
            &script.authorities,
            none,
            &script.additionals,
        );
        to.send_response(response).await.unwrap()
    }
}

pub(crate) struct TestUpstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _server: Server<Scripted>,
}

impl TestUpstream {
    pub(crate) async fn start(script: Script) -> Self {
        let (udp, tcp) = both().await;
        let address = udp.local_addr().unwrap();
        let seen = Arc::default();
        let mut server = Server::new(Scripted {
            script: Arc::new(script),
            seen: Arc::clone(&seen),
        });
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 16);
        Self {
            address,
            seen,
            _server: server,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn protocols(&self) -> Vec<Protocol> {
        self.seen().iter().map(|seen| seen.protocol).collect()
    }

    pub(crate) fn group(&self) -> UpstreamGroup {
        group(&[self.address])
    }
}

pub(crate) fn wire(owner: &str, data: RData) -> WireRecord {
    WireRecord::from_rdata(WireName::from_ascii(owner).unwrap(), 300, data)
}

pub(crate) fn address(owner: &str, last: u8) -> WireRecord {
    wire(owner, RData::A(A::new(192, 0, 2, last)))
}

pub(crate) fn raw(owner: &str, code: u16, bytes: &[u8]) -> WireRecord {
    let data = RData::Unknown {
        code: Kind::from(code),
        rdata: NULL::with(bytes.to_vec()),
    };
    wire(owner, data)
}

/// An RRSIG over A by `example.`, with made-up numbers.
pub(crate) fn signature(owner: &str) -> WireRecord {
    let mut bytes = vec![0, 1, 13, 2, 0, 0, 1, 44, 101, 0, 0, 0, 100, 0, 0, 0, 0, 7];
    bytes.extend_from_slice(b"\x07example\0");
    bytes.extend_from_slice(&[9; 64]);
    raw(owner, RecordType::RRSIG.code(), &bytes)
}

pub(crate) fn start_of_authority() -> WireRecord {
    let name = |text| WireName::from_ascii(text).unwrap();
    let soa = SOA::new(name("ns.example."), name("host.example."), 7, 1, 2, 3, 60);
    wire("example.", RData::SOA(soa))
}

pub(crate) fn group(addresses: &[SocketAddr]) -> UpstreamGroup {
    let upstreams = addresses.iter().map(|&address| Upstream {
        address,
        transport: Transport::UdpAndTcp,
    });
    UpstreamGroup {
        upstreams: upstreams.collect(),
        trust_ad: false,
    }
}

/// An address for UDP and TCP.
pub(crate) async fn both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // What is free for one is not always free for the other.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

/// An address where nothing answers: UDP is swallowed, TCP is refused.
pub(crate) async fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
