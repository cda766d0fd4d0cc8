//! A client of DNS over QUIC that does what it is told, right or wrong.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use kedge::adapters::tls_files::client;
use noq::crypto::rustls::QuicClientConfig;
use noq::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use tokio::time::timeout;

use super::super::node::{Home, Node};
use super::listener;

/// Longer than whatever is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks, and where.
pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) server: SocketAddr,
    config: ClientConfig,
}

/// Runs what waits.
pub(super) fn run<T>(what: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().worker_threads(2);
    runtime.build().unwrap().block_on(what)
}

impl Client {
    /// One that trusts the authority of a home and offers this protocol. In a runtime.
    pub(super) fn offering(home: &Home, node: &Node, protocol: &[u8]) -> Self {
        let mut tls = client(Some(&home.path("ca.pem")), None).unwrap();
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls.enable_early_data = true;
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        Self {
            endpoint: Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap(),
            server: listener(node),
            config,
        }
    }

    pub(super) fn new(home: &Home, node: &Node) -> Self {
        Self::offering(home, node, b"doq")
    }

    pub(super) fn connecting(&self) -> noq::Connecting {
        let config = self.config.clone();
        let connecting = self
            .endpoint
            .connect_with(config, self.server, "dns.example");
        connecting.unwrap()
    }

    pub(super) async fn connect(&self) -> Result<Connection, ConnectionError> {
        timeout(PATIENCE, self.connecting()).await.unwrap()
    }

    /// A connection on which something is sent all the time.
    pub(super) async fn connect_pinging(&self) -> Connection {
        let mut transport = noq::TransportConfig::default();
        transport.keep_alive_interval(Some(Duration::from_millis(100)));
        let mut config = self.config.clone();
        config.transport_config(Arc::new(transport));
        let connecting = self
            .endpoint
            .connect_with(config, self.server, "dns.example");
        connecting.unwrap().await.unwrap()
    }

    /// The first datagrams of so many handshakes that nobody goes on with.
    pub(super) fn beginnings(&self, count: usize) -> Vec<Vec<u8>> {
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        sink.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = [0; 2_048];
        let datagrams = (0..count).map(|_| {
            let address = sink.local_addr().unwrap();
            let config = self.config.clone();
            let connecting = self.endpoint.connect_with(config, address, "dns.example");
            let length = sink.recv(&mut bytes).unwrap();
            drop(connecting);
            // What says that it is given up comes later, and is not as long.
            bytes[..length].to_vec()
        });
        datagrams.collect()
    }
}

/// A question for the addresses of a name, as a message with this ID and these octets of options.
pub(super) fn question(id: u16, name: &str, options: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    bytes.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    bytes.extend(options);
    bytes
}

/// A message behind its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// Opens a stream and sends this; the stream is not ended.
pub(super) async fn say(
    connection: &Connection,
    bytes: &[u8],
) -> Result<(SendStream, RecvStream), ConnectionError> {
    let opened = timeout(PATIENCE, connection.open_bi()).await.unwrap();
    let (mut sending, receiving) = opened?;
    // It may be that the connection ended meanwhile.
    drop(sending.write_all(bytes).await);
    Ok((sending, receiving))
}

/// Begins a query and takes it back.
pub(super) async fn take_back(connection: &Connection) -> Result<(), ConnectionError> {
    let (mut sending, _receiving) = say(connection, &[0, 40, 0]).await?;
    drop(sending.reset(3_u32.into()));
    Ok(())
}

/// What comes back for one query.
pub(super) async fn ask(connection: &Connection, message: &[u8]) -> Result<Vec<u8>, String> {
    let said = say(connection, &framed(message)).await;
    let (mut sending, mut receiving) = said.map_err(|error| error.to_string())?;
    sending.finish().map_err(|error| error.to_string())?;
    let read = timeout(PATIENCE, receiving.read_to_end(1 << 17)).await;
    let read = read.unwrap().map_err(|error| error.to_string())?;
    let (length, reply) = read.split_first_chunk().ok_or("nothing")?;
    assert_eq!(usize::from(u16::from_be_bytes(*length)), reply.len());
    Ok(reply.to_vec())
}

/// The error with which the other end closes a connection.
pub(super) async fn closed(connection: &Connection) -> Option<u64> {
    match timeout(PATIENCE, connection.closed()).await.unwrap() {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}
