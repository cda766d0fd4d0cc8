//! `PeerEndpoint`: the sockets for peers, a connection to each, and what is asked over them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use noq::{Endpoint, VarInt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::keys::{PublicKey, SecretKey};
use crate::replication::pull::Complaint;
use crate::replication::wire::{Hello, Reply, Request, frame};
use crate::service::ports::{
    Asked, Clock, Ourselves, PeerFailure, PeerNetwork, PeerRequests, PeerStanding,
};

use super::handshake::SERVER_NAME;
use super::line::{Greeted, Lines, Peer, PeerLine};
use super::serving::{listen, use_until_closed};
use super::socket::{client, open};
use super::stream::{ask, ask_framed};

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
    pub(super) fn of(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The peers of a node.
pub struct PeerEndpoint {
    shared: Arc<Shared>,
}

/// What all tasks of an endpoint work with.
pub(super) struct Shared {
    /// One for each address, in the order of the configuration.
    sockets: Vec<Endpoint>,
    key: SecretKey,
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

impl PeerEndpoint {
    /// Opens the sockets, takes those that peers dial, and begins to dial and to listen, in the runtime at hand. Requests of peers
    /// are answered as long as `requests` exists.
    pub fn open(
        (plan, dialled): (&PeerPlan, Vec<UdpSocket>),
        key: &SecretKey,
        (requests, clock): (Weak<dyn PeerRequests>, Arc<dyn Clock>),
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<Arc<Self>, PeerEndpointError> {
        let is_dialled = !dialled.is_empty();
        let sockets = open(dialled, key)?;
        let mut listening = Vec::new();
        for socket in sockets.iter().filter(|_| is_dialled) {
            let address = socket.local_addr();
            listening.push(address.map_err(|error| PeerEndpointError::of(&error))?);
        }
        let shared = Arc::new(Shared {
            sockets: sockets.clone(),
            key: key.clone(),
            region: plan.region.clone(),
            listening,
            lines: Arc::default(),
            requests,
            clock,
            large: Semaphore::new(1),
            links_served: Semaphore::new(LINKS_SERVED_MAX),
            tasks: tasks.clone(),
            runtime: Handle::current(),
            stop: stop.clone(),
        });
        for socket in sockets {
            tasks.spawn(listen(Arc::clone(&shared), socket));
        }
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

impl Shared {
    /// The socket from which an address is dialled: the first of its family.
    fn socket_for(&self, address: SocketAddr) -> Option<&Endpoint> {
        let mut sockets = self.sockets.iter();
        sockets.find(|socket| {
            let own = socket.local_addr();
            own.is_ok_and(|own| own.is_ipv4() == address.is_ipv4())
        })
    }
}

/// What is said to peers, in bytes once for all of them.
struct Word {
    request: Request,
    bytes: Vec<u8>,
}

impl Word {
    fn new(request: Request) -> Arc<Self> {
        let bytes = frame(&request);
        Arc::new(Self { request, bytes })
    }
}

impl PeerEndpoint {
    fn say(&self, (line, greeted): (&PeerLine, Greeted), word: &Arc<Word>) {
        let Some(place) = line.say(word.bytes.len()) else {
            let peer = line.peer();
            tracing::debug!(peer = %peer.name, "too much waits to be said to a peer");
            return;
        };
        let (shared, word) = (Arc::clone(&self.shared), Arc::clone(word));
        let telling = async move {
            // What is lost is said again, or asked for; it costs no more than time.
            let asked = ask_framed(&greeted, (&word.request, &word.bytes), &shared.large);
            drop(asked.await);
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
                Ok(Ok(greeted)) => {
                    pause = REDIAL_MIN;
                    let (shared, line) = (Arc::clone(&shared), Arc::clone(&line));
                    let tasks = shared.tasks.clone();
                    line.put(greeted.clone());
                    tasks.spawn(async move {
                        use_until_closed(&shared, &line, greeted).await;
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

/// Dials all addresses of a peer; the first that answers is used.
async fn dial(shared: &Shared, line: &PeerLine) -> Result<Greeted, PeerFailure> {
    let unreachable = |error: &dyn std::fmt::Display| PeerFailure::Unreachable(error.to_string());
    let peer = line.peer();
    let client = client(&shared.key, &peer).map_err(|error| unreachable(&error))?;
    let mut attempts = JoinSet::new();
    let mut failure = unreachable(&"no socket here is of a family of its addresses");
    for address in &peer.addresses {
        let Some(socket) = shared.socket_for(*address) else {
            continue;
        };
        match socket.connect_with(client.clone(), *address, SERVER_NAME) {
            Ok(connecting) => drop(attempts.spawn(connecting)),
            Err(error) => failure = unreachable(&error),
        }
    }
    let connection = loop {
        match attempts.join_next().await {
            Some(Ok(Ok(connection))) => break connection,
            Some(Ok(Err(error))) => failure = unreachable(&error),
            Some(Err(error)) => failure = unreachable(&error),
            None => return Err(failure),
        }
    };
    drop(attempts);
    let hello = Request::Hello(Hello::of(&shared.region));
    let greeted = Greeted::not_yet(connection);
    let answered = ask(&greeted, &hello, &shared.large).await;
    let common = match &answered {
        Ok(Reply::Hello(hello)) => hello.common_version().inspect(|_| line.greeted(hello)),
        _ => None,
    };
    match (common, answered) {
        (Some(version), _) => Ok(Greeted { version, ..greeted }),
        (None, answered) => {
            greeted
                .connection
                .close(VarInt::from_u32(NO_VERSION), b"no common version");
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
            let greeted = timeout(CONNECTION_PATIENCE, line.connection()).await;
            let Ok(greeted) = greeted else {
                let why = line.standing().last_error;
                let why = why.unwrap_or_else(|| "there is no connection".to_owned());
                return Err(PeerFailure::Unreachable(why));
            };
            let reply = ask(&greeted, &request, &shared.large).await;
            match &reply {
                Ok(_) | Err(PeerFailure::Turned(_)) => line.heard(shared.clock.now()),
                // Nothing was sent, and nothing is wrong with it.
                Err(PeerFailure::TooNew(_)) => {}
                Err(PeerFailure::Nonsense(why)) => {
                    line.shut_out(&greeted.connection, &format!("its reply is none: {why}"));
                }
                Err(failure) => line.failed(failure.to_string()),
            }
            reply
        })
    }

    fn tell(&self, request: Request) {
        let word = Word::new(request);
        for line in self.shared.lines.all() {
            let Some(greeted) = line.live() else {
                continue;
            };
            self.say((&line, greeted), &word);
        }
    }

    fn tell_one(&self, peer: &PublicKey, request: Request) {
        if let Some(line) = self.shared.lines.line(peer)
            && let Some(greeted) = line.live()
        {
            self.say((&line, greeted), &Word::new(request));
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
            id: self.shared.key.public(),
            addresses: self.shared.listening.clone(),
            region: self.shared.region.clone(),
        }
    }
}
