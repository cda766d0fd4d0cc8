//! `PeerEndpoint`: the socket for peers, a connection to each, and what is asked over them.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iroh::endpoint::{
    BindOpts, Connection, NetReportConfig, PortmapperConfig, QuicTransportConfig, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::keys::{PublicKey, SecretKey as NodeKey};
use crate::replication::pull::Complaint;
use crate::replication::wire::{Hello, PROTOCOL, Reply, Request};
use crate::service::ports::{
    Asked, Clock, Ourselves, PeerFailure, PeerNetwork, PeerRequests, PeerStanding,
};

use super::gate::Gate;
use super::line::{Lines, Peer, PeerLine};
use super::serving::{listen, use_until_closed};
use super::stream::ask;

/// A connection on which nothing was heard for so long is gone. A peer that was killed is noticed
/// within it.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// The same for one path of a connection.
const PATH_IDLE_MAX: Duration = Duration::from_secs(4);
/// Something is heard so often on a connection that is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Streams that a peer may have open; above it its own requests wait.
const STREAMS_MAX: u32 = 16;
/// Bytes of one stream, and of all streams of a peer, that wait to be read; and that wait to be sent.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const WINDOW_BYTES: u32 = 4 << 20;
const SEND_WINDOW_BYTES: u64 = 8 << 20;
/// How long a handshake with its greeting may take.
pub(super) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// How long whoever asks waits for a connection.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to dial a peer, at first and at last.
const REDIAL_MIN: Duration = Duration::from_millis(500);
const REDIAL_MAX: Duration = Duration::from_secs(15);
/// Requests for blocks that are answered at the same time; each holds a reply in memory.
const LINKS_SERVED_MAX: usize = 4;
/// The greeting of a dialled peer was of no use.
const NO_VERSION: u32 = 5;

/// How a node reaches others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPlan {
    /// Where this node runs.
    pub region: String,
    /// Where it listens for peers; nowhere, if it only dials.
    pub listen: Vec<SocketAddr>,
    /// The peers.
    pub peers: Vec<Peer>,
}

impl PeerPlan {
    /// Whether the node reaches others, or is reached by them.
    pub const fn is_open(&self) -> bool {
        !self.listen.is_empty() || !self.peers.is_empty()
    }
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PeerEndpointError(String);

impl PeerEndpointError {
    fn of(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The peers of a node.
pub struct PeerEndpoint {
    shared: Arc<Shared>,
}

/// What all tasks of an endpoint work with.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) id: PublicKey,
    pub(super) region: String,
    pub(super) listening: Vec<SocketAddr>,
    pub(super) lines: Arc<Lines>,
    pub(super) requests: Weak<dyn PeerRequests>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) large: Semaphore,
    pub(super) links_served: Semaphore,
    pub(super) tasks: TaskTracker,
    /// Where tasks run; a reload comes from a thread that is none of the runtime's.
    runtime: Handle,
    pub(super) stop: CancellationToken,
}

impl std::fmt::Debug for PeerEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerEndpoint")
    }
}

fn transport() -> Result<QuicTransportConfig, PeerEndpointError> {
    let idle = IDLE_MAX
        .try_into()
        .map_err(|error: iroh::endpoint::VarIntBoundsExceeded| PeerEndpointError::of(&error))?;
    Ok(QuicTransportConfig::builder()
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE_MAX)
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .send_observed_address_reports(false)
        .receive_observed_address_reports(false)
        .build())
}

async fn bound(
    plan: &PeerPlan,
    key: &NodeKey,
    lines: &Arc<Lines>,
) -> Result<Endpoint, PeerEndpointError> {
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&key.to_seed()))
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(NetReportConfig::minimal())
        .clear_address_lookup()
        .transport_config(transport()?)
        .hooks(Gate(Arc::clone(lines)));
    if !plan.listen.is_empty() {
        builder = builder.clear_ip_transports().alpns(vec![PROTOCOL.to_vec()]);
        for (index, address) in plan.listen.iter().enumerate() {
            let first = plan.listen.iter().take(index);
            let is_first = first
                .filter(|other| other.is_ipv4() == address.is_ipv4())
                .count()
                == 0;
            let options = BindOpts::default().set_is_default_route(is_first);
            builder = builder
                .bind_addr_with_opts(*address, options)
                .map_err(|error| PeerEndpointError::of(&error))?;
        }
    }
    builder
        .bind()
        .await
        .map_err(|error| PeerEndpointError::of(&error))
}

impl PeerEndpoint {
    /// Opens the socket and begins to dial and to listen. Requests of peers are answered as long as
    /// `requests` exists.
    pub async fn open(
        plan: &PeerPlan,
        key: &NodeKey,
        (requests, clock): (Weak<dyn PeerRequests>, Arc<dyn Clock>),
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<Arc<Self>, PeerEndpointError> {
        let lines = Arc::new(Lines::default());
        let endpoint = bound(plan, key, &lines).await?;
        let listening = if plan.listen.is_empty() {
            Vec::new()
        } else {
            endpoint.bound_sockets()
        };
        let shared = Arc::new(Shared {
            endpoint,
            id: key.public(),
            region: plan.region.clone(),
            listening,
            lines,
            requests,
            clock,
            large: Semaphore::new(1),
            links_served: Semaphore::new(LINKS_SERVED_MAX),
            tasks: tasks.clone(),
            runtime: Handle::current(),
            stop: stop.clone(),
        });
        tasks.spawn(listen(Arc::clone(&shared)));
        let opened = Arc::new(Self { shared });
        opened.replace(&plan.peers);
        Ok(opened)
    }

    /// Puts other peers in force. Connections of those that stay go on.
    pub fn replace(&self, peers: &[Peer]) {
        for line in self.shared.lines.replace(peers) {
            let keeping = keep(Arc::clone(&self.shared), line);
            self.shared.tasks.spawn_on(keeping, &self.shared.runtime);
        }
    }

    /// Connections of keys that are not admitted, closed since the start.
    pub fn strangers(&self) -> u64 {
        self.shared.lines.strangers()
    }
}

impl PeerEndpoint {
    fn say(&self, (line, connection): (&PeerLine, Connection), request: Request) {
        let Ok(place) = Arc::clone(&line.saying).try_acquire_owned() else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let telling = async move {
            // What is lost is said again, or asked for; it costs no more than time.
            drop(ask(&connection, &request, &shared.large).await);
            drop(place);
        };
        self.shared.tasks.spawn_on(telling, &self.shared.runtime);
    }
}

/// Dials a peer whenever it has addresses and no connection, until it is none any more.
async fn keep(shared: Arc<Shared>, line: Arc<PeerLine>) {
    let dialling = async {
        let mut pause = REDIAL_MIN;
        loop {
            if line.live().is_some() || line.peer().addresses.is_empty() {
                line.wanted.notified().await;
                continue;
            }
            if line.is_shut_out() {
                sleep(REDIAL_MIN).await;
                continue;
            }
            match timeout(HANDSHAKE_PATIENCE, dial(&shared, &line)).await {
                Ok(Ok(connection)) => {
                    pause = REDIAL_MIN;
                    let (shared, line) = (Arc::clone(&shared), Arc::clone(&line));
                    let tasks = shared.tasks.clone();
                    line.put(connection.clone());
                    tasks.spawn(async move {
                        use_until_closed(&shared, &line, connection).await;
                    });
                }
                Ok(Err(error)) => {
                    line.failed(error.to_string());
                    sleep(pause).await;
                    pause = (pause * 2).min(REDIAL_MAX);
                }
                Err(_) => {
                    line.failed("it did not answer in time".to_owned());
                    sleep(pause).await;
                    pause = (pause * 2).min(REDIAL_MAX);
                }
            }
        }
    };
    tokio::select! {
        () = shared.stop.cancelled() => {}
        () = line.removed() => {}
        () = dialling => {}
    }
}

async fn dial(shared: &Shared, line: &PeerLine) -> Result<Connection, PeerFailure> {
    let unreachable = |error: &dyn std::fmt::Display| PeerFailure::Unreachable(error.to_string());
    let peer = line.peer();
    let id = EndpointId::from_bytes(peer.id.as_bytes()).map_err(|error| unreachable(&error))?;
    let mut address = EndpointAddr::new(id);
    for socket in &peer.addresses {
        address = address.with_ip_addr(*socket);
    }
    let connection = shared.endpoint.connect(address, PROTOCOL).await;
    let connection = connection.map_err(|error| unreachable(&error))?;
    let hello = Request::Hello(Hello::of(&shared.region));
    match ask(&connection, &hello, &shared.large).await {
        Ok(Reply::Hello(hello)) if hello.common_version().is_some() => Ok(connection),
        answered => {
            connection.close(VarInt::from_u32(NO_VERSION), b"no common version");
            Err(match answered {
                Err(failure) => failure,
                Ok(_) => PeerFailure::Nonsense("it did not greet".to_owned()),
            })
        }
    }
}

impl PeerNetwork for PeerEndpoint {
    fn ask(&self, peer: PublicKey, request: Request) -> Asked {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let line = shared.lines.line(&peer).ok_or(PeerFailure::Unknown)?;
            let connection = timeout(CONNECTION_PATIENCE, line.connection()).await;
            let Ok(connection) = connection else {
                let why = line.standing().last_error;
                let why = why.unwrap_or_else(|| "there is no connection".to_owned());
                return Err(PeerFailure::Unreachable(why));
            };
            let reply = ask(&connection, &request, &shared.large).await;
            match &reply {
                Ok(_) | Err(PeerFailure::Turned(_)) => line.heard(shared.clock.now()),
                Err(PeerFailure::Nonsense(why)) => {
                    line.shut_out(&connection, &format!("its reply is none: {why}"));
                }
                Err(failure) => line.failed(failure.to_string()),
            }
            reply
        })
    }

    fn tell(&self, request: Request) {
        for line in self.shared.lines.all() {
            let Some(connection) = line.live() else {
                continue;
            };
            self.say((&line, connection), request.clone());
        }
    }

    fn tell_one(&self, peer: &PublicKey, request: Request) {
        if let Some(line) = self.shared.lines.line(peer)
            && let Some(connection) = line.live()
        {
            self.say((&line, connection), request);
        }
    }

    fn complain(&self, peer: &PublicKey, complaint: &Complaint) {
        if let Some(line) = self.shared.lines.line(peer) {
            line.complain(&complaint.to_string());
        }
    }

    fn peers(&self) -> Vec<PeerStanding> {
        let lines = self.shared.lines.all();
        lines.iter().map(|line| line.standing()).collect()
    }

    fn ourselves(&self) -> Ourselves {
        Ourselves {
            id: self.shared.id,
            addresses: self.shared.listening.clone(),
            region: self.shared.region.clone(),
        }
    }
}
