//! Nodes that know each other, and a peer that is none: it speaks the wire forms as it likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use noq::{Connection, Endpoint, RecvStream, SendStream, TransportConfig};
use tokio_util::task::TaskTracker;

use kedge::adapters::peers::handshake::{SERVER_NAME, dialled, dialling};
use kedge::base::canonical::Form as _;
use kedge::base::keys::{PublicKey, SecretKey};
use kedge::replication::wire::{Hello, LINKS_REPLY_BYTES_MAX, Reply, Request, frame};

use super::node::{Home, Node, QUIET};

/// How long something may take that must come to pass.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it did.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until something is there.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "{what} did not come to pass"
        );
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The key by which others know a node.
pub fn id(home: &Home) -> String {
    let view = home.json(&["node", "id"]);
    view["id"].as_str().unwrap().to_owned()
}

/// A peer of a configuration; without an address it is one that dials.
pub fn peer(name: &str, id: &str, address: Option<SocketAddr>) -> String {
    let addresses = address.map_or_else(String::new, |address| format!("\"{address}\""));
    format!("[[peer]]\nname = \"{name}\"\nid = \"{id}\"\naddresses = [{addresses}]\n")
}

/// A home that listens for peers at an address.
pub fn configure(home: &Home, listen: Option<SocketAddr>, peers: &str, rest: &str) {
    let listen = listen.map_or_else(String::new, |address| format!("peers = [\"{address}\"]\n"));
    // `configure` begins with the table [listen].
    home.write(
        "kedge.toml",
        &format!("[listen]\ndns = [\"127.0.0.1:0\"]\n{listen}{rest}{peers}"),
    );
}

/// Any port.
pub fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Where a node listens for peers.
pub fn listens(node: &Node) -> SocketAddr {
    let line = node.said.iter().find(|line| line.ends_with(" (peers)"));
    let line = line.unwrap_or_else(|| panic!("{:?}", node.said));
    let (_, rest) = line.split_once("listening on ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Two nodes: the first has the demo and listens, the second is empty and dials it.
pub struct Pair {
    pub origin: Home,
    pub mirror: Home,
    pub node: Node,
}

impl Pair {
    pub fn new() -> Self {
        let (origin, mirror) = (Home::new("[legacy]\nupstreams = []\n"), Home::new(QUIET));
        origin.run(&["init"]).good();
        mirror.run(&["init"]).good();
        let to_mirror = peer("mirror", &id(&mirror), None);
        let rest = "[legacy]\nupstreams = []\n";
        configure(&origin, Some(any()), &to_mirror, rest);
        let node = origin.serve();
        let at = listens(&node);
        configure(&origin, Some(at), &to_mirror, rest);
        configure(
            &mirror,
            None,
            &peer("origin", &id(&origin), Some(at)),
            QUIET,
        );
        Self {
            origin,
            mirror,
            node,
        }
    }

    /// The UID of a scope at the origin.
    pub fn uid(&self, scope: &str) -> String {
        let view = self.origin.json(&["scope", "show", scope]);
        view["uid"].as_str().unwrap().to_owned()
    }

    /// Has the mirror follow the apex and some scopes below it.
    pub fn follow(&self, scopes: &[&str]) {
        let genesis = self.uid("mesh.internal");
        let apex = ["mirror", "mesh.internal", "--from", "origin", "--genesis"];
        let apex: Vec<&str> = apex.into_iter().chain([genesis.as_str()]).collect();
        self.mirror.run(&apex).good();
        for scope in scopes {
            self.mirror
                .run(&["mirror", scope, "--from", "origin"])
                .good();
        }
    }
}

/// A peer of the tests' own.
pub struct FakePeer {
    pub runtime: tokio::runtime::Runtime,
    pub endpoint: Endpoint,
    key: SecretKey,
    transport: Arc<TransportConfig>,
}

impl FakePeer {
    pub fn new(seed: u8) -> Self {
        Self::speaking(seed, TransportConfig::default())
    }

    /// One that speaks QUIC as it likes.
    pub fn speaking(seed: u8, transport: TransportConfig) -> Self {
        Self::built(&[seed; 32], transport)
    }

    /// One with the key of a node.
    pub fn with_key(seed: &[u8; 32]) -> Self {
        Self::built(seed, TransportConfig::default())
    }

    fn built(seed: &[u8; 32], transport: TransportConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (key, transport) = (SecretKey::from_seed(seed), Arc::new(transport));
        let mut server = dialled(&key).unwrap();
        server.transport_config(Arc::clone(&transport));
        let endpoint = runtime.block_on(async { Endpoint::server(server, any()).unwrap() });
        Self {
            runtime,
            endpoint,
            key,
            transport,
        }
    }

    pub fn id(&self) -> String {
        self.key.public().to_string()
    }

    pub fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// A connection to a node, not greeted yet; none if it is closed at once.
    pub fn dial(&self, id: &str, address: SocketAddr) -> Option<Connection> {
        let bytes = data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap();
        let id = PublicKey::from_bytes(bytes.try_into().unwrap()).unwrap();
        let mut client = dialling(&self.key, id).unwrap();
        client.transport_config(Arc::clone(&self.transport));
        self.runtime.block_on(async {
            let dialled = self.endpoint.connect_with(client, address, SERVER_NAME);
            dialled.unwrap().await.ok()
        })
    }

    /// What a node replies to bytes on a stream of their own; none if it replies nothing.
    pub fn say(&self, connection: &Connection, bytes: &[u8]) -> Option<Reply> {
        self.runtime.block_on(async {
            let (mut sending, mut receiving) = connection.open_bi().await.ok()?;
            sending.write_all(bytes).await.ok()?;
            sending.finish().ok()?;
            let bytes = receiving.read_to_end(LINKS_REPLY_BYTES_MAX).await.ok()?;
            Reply::from_bytes(bytes.get(4..)?).ok()
        })
    }

    pub fn greet(&self, connection: &Connection) -> Option<Reply> {
        self.say(connection, &frame(&Request::Hello(Hello::of("test"))))
    }

    /// Waits for a connection to be closed; gives why.
    pub fn closed(&self, connection: &Connection) -> String {
        self.runtime.block_on(async {
            let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
            closed.expect("the connection stays").to_string()
        })
    }

    /// Takes connections and answers each request with what `answer` makes of it; nothing is
    /// answered where that is none.
    pub fn serve(
        &self,
        answer: impl Fn(Request) -> Option<Vec<u8>> + Send + Sync + Clone + 'static,
    ) {
        self.serve_naming(answer, None);
    }

    /// The same, and names an address to whoever dials.
    pub fn serve_naming(
        &self,
        answer: impl Fn(Request) -> Option<Vec<u8>> + Send + Sync + Clone + 'static,
        other: Option<SocketAddr>,
    ) {
        let endpoint = self.endpoint.clone();
        let tasks = TaskTracker::new();
        self.runtime.spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let Ok(connection) = incoming.await else {
                    continue;
                };
                if let Some(other) = other {
                    drop(connection.add_nat_traversal_address(other));
                }
                let answer = answer.clone();
                let more = tasks.clone();
                tasks.spawn(async move {
                    while let Ok(streams) = connection.accept_bi().await {
                        more.spawn(reply(streams, answer.clone()));
                    }
                });
            }
        });
    }
}

async fn reply(
    (mut sending, mut receiving): (SendStream, RecvStream),
    answer: impl Fn(Request) -> Option<Vec<u8>>,
) {
    let Ok(bytes) = receiving.read_to_end(1 << 20).await else {
        return;
    };
    let request = Request::from_bytes(bytes.get(4..).unwrap_or_default());
    let Some(bytes) = request.ok().and_then(&answer) else {
        // Holds the stream open and says nothing.
        return std::future::pending().await;
    };
    drop(sending.write_all(&bytes).await);
    drop(sending.finish());
    drop(sending.stopped().await);
}
