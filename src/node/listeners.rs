//! The listeners of a node: what is answered where.

use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::dns::{
    Connections, Door, HttpRules, Places, QuicDoor, Responder, SharedAnswers, Speech, TcpLimits,
    Transport, UdpThreads, UdpWork, serve_quic, serve_tcp,
};
use crate::adapters::http::{ApiListener, ApiPatience, ApiRoom, serve_api};
use crate::adapters::open_files;
use crate::service::secure_channel::{DnsChannels, SecureChannel};

use super::Production;
use super::assemble::StartError;
use super::sockets::{SocketPair, StreamDoors, TcpDoor, listen_error};

/// Questions over UDP that may wait for legacy DNS at the same time.
const UDP_WAITING_MAX: usize = 4_096;
/// Memory for the answers that one of them keeps: some 250,000 of usual length.
const KEPT_BYTES_OF_ONE_MAX: usize = 64 << 20;
/// And for those of all of them.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// And for those of all connections over TCP, and over TLS: fewer ask there.
const KEPT_BYTES_OF_STREAMS_MAX: usize = 32 << 20;
/// Sockets of a few full listeners, and two for each legacy question under way.
const OPEN_FILES_WANTED: u64 = 16_384;

type Kept = Arc<SharedAnswers<Production>>;

/// What the listeners of DNS have in common.
pub(super) struct Listeners {
    pub(super) responder: Responder<Production>,
    pub(super) tasks: TaskTracker,
    /// Connections and questions under way outlive the listeners.
    pub(super) under_way: TaskTracker,
    pub(super) connections: Arc<Connections>,
    pub(super) stop: CancellationToken,
}

impl Listeners {
    pub(super) fn new(responder: Responder<Production>) -> Self {
        Self {
            responder,
            tasks: TaskTracker::new(),
            under_way: TaskTracker::new(),
            connections: Arc::new(Connections::new(connection_limits())),
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn open(
        &self,
        sockets: Vec<SocketPair>,
        say: &impl Fn(&str),
    ) -> Result<(), StartError> {
        let work = UdpWork {
            under_way: self.under_way.clone(),
            places: Places::new(UDP_WAITING_MAX),
            kept_bytes_max: kept_bytes_max(&sockets),
            stop: self.stop.clone(),
        };
        let kept = self.kept(Transport::Tcp);
        for pair in sockets {
            say(&pair.told());
            let SocketPair {
                address, udp, tcp, ..
            } = pair;
            let threads = UdpThreads::start(udp, &self.responder, &work);
            let threads =
                threads.map_err(|source| listen_error(&format!("udp {address}"), source))?;
            self.tasks.spawn(threads.until_stopped());
            self.open_door(Door {
                listener: in_runtime((address, tcp))?,
                channel: None,
                speech: Speech::Messages,
                kept: Arc::clone(&kept),
            });
        }
        Ok(())
    }

    /// The admin API over TCP.
    pub(super) fn open_api(
        &self,
        listeners: Vec<TcpDoor>,
        (channel, router): (Option<&SecureChannel>, &Router),
        say: &impl Fn(&str),
    ) -> Result<(), StartError> {
        for (address, listener) in listeners {
            let served = api_listener(in_runtime((address, listener))?, channel, router);
            let scheme = if channel.is_some() { "https" } else { "http" };
            say(&format!("the admin API answers on {scheme}://{address}"));
            let (under_way, stop) = (self.under_way.clone(), self.stop.clone());
            self.tasks.spawn(serve_api(served, under_way, stop));
        }
        Ok(())
    }

    /// DNS over TLS, HTTPS and QUIC, and over HTTP in the clear. What is kept for one of those under TLS
    /// holds for the other.
    pub(super) fn open_streams(
        &self,
        doors: StreamDoors,
        channels: Option<&DnsChannels>,
        rules: &HttpRules,
        say: &impl Fn(&str),
    ) -> Result<(), StartError> {
        let (plain, secure) = (self.kept(Transport::Tcp), self.kept(Transport::Tls));
        let http = Speech::Http(Arc::new(rules.clone()));
        let (tls, https) = (channels.map(|all| &all.tls), channels.map(|all| &all.https));
        let StreamDoors {
            tls: tls_doors,
            https: https_doors,
            quic: quic_sockets,
            http: http_doors,
        } = doors;
        for (doors, what, channel, speech, kept) in [
            (tls_doors, "tls", tls, &Speech::Messages, &secure),
            (https_doors, "https", https, &http, &secure),
            (http_doors, "http", None, &http, &plain),
        ] {
            for (address, listener) in doors {
                say(&format!("listening on {address} ({what})"));
                let door = Door {
                    listener: in_runtime((address, listener))?,
                    channel: channel.cloned(),
                    speech: speech.clone(),
                    kept: Arc::clone(kept),
                };
                self.open_door(door);
            }
        }
        let kept = self.kept(Transport::Quic);
        for (socket, channels) in quic_sockets.into_iter().zip(channels.into_iter().cycle()) {
            say(&format!("listening on {} (quic)", socket.address()));
            let door = QuicDoor {
                socket,
                channel: channels.quic.clone(),
                kept: Arc::clone(&kept),
            };
            self.open_quic(door);
        }
        Ok(())
    }

    /// Answers that are kept for what comes over a transport.
    fn kept(&self, transport: Transport) -> Kept {
        let kept = SharedAnswers::new(&self.responder, transport, KEPT_BYTES_OF_STREAMS_MAX);
        Arc::new(kept)
    }

    fn open_quic(&self, door: QuicDoor<Production>) {
        self.tasks.spawn(serve_quic(
            door,
            self.responder.clone(),
            Arc::clone(&self.connections),
            self.under_way.clone(),
            self.stop.clone(),
        ));
    }

    fn open_door(&self, door: Door<Production>) {
        self.tasks.spawn(serve_tcp(
            door,
            self.responder.clone(),
            Arc::clone(&self.connections),
            self.under_way.clone(),
            self.stop.clone(),
        ));
    }
}

impl SocketPair {
    /// The line for who looks at the terminal.
    fn told(&self) -> String {
        let whose = |is_handed_over| if is_handed_over { " handed over" } else { "" };
        let (udp, tcp) = self.handed_over;
        let (udp, tcp) = (whose(udp), whose(tcp));
        format!("listening on {} (udp{udp}, tcp{tcp})", self.address)
    }
}

/// A listener as tasks of the present runtime accept from it.
pub(super) fn in_runtime((address, listener): TcpDoor) -> Result<TcpListener, StartError> {
    let listener = TcpListener::from_std(listener);
    listener.map_err(|source| listen_error(&address.to_string(), source))
}

/// What each thread of all addresses may keep.
fn kept_bytes_max(sockets: &[SocketPair]) -> usize {
    let threads: usize = sockets.iter().map(|pair| pair.udp.len()).sum();
    (KEPT_BYTES_MAX / threads.max(1)).min(KEPT_BYTES_OF_ONE_MAX)
}

fn api_listener(
    listener: TcpListener,
    channel: Option<&SecureChannel>,
    router: &Router,
) -> ApiListener {
    ApiListener {
        listener,
        channel: channel.cloned(),
        router: router.clone(),
        patience: ApiPatience::default(),
        room: ApiRoom::default(),
    }
}

/// What the limit of open files leaves to the listeners of DNS.
pub(super) fn connection_limits() -> TcpLimits {
    let limits = TcpLimits::within(open_files::raise(OPEN_FILES_WANTED));
    let connections = limits.connections_max;
    if connections < TcpLimits::default().connections_max {
        tracing::warn!(connections, "few files may be open, so few TCP connections");
    }
    limits
}
