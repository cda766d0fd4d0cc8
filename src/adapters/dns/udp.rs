//! DNS over UDP: a loop a socket, and a task only for questions that wait.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::limits::DATAGRAM_BYTES_MAX;
use crate::service::ports::Parts;

use super::responder::{Later, Reply, Responder, Transport};

/// Serves a socket until it is told to stop. Questions under way are left in `tasks`, each holding
/// one of `places` while it waits.
pub async fn serve_udp<P: Parts>(
    socket: Arc<UdpSocket>,
    responder: Responder<P>,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, from) = match received {
            Ok(received) => received,
            Err(error) => {
                // An ICMP answer to an earlier reply; the socket itself is well.
                tracing::debug!(%error, "receiving failed");
                continue;
            }
        };
        let Some(query) = buffer.get(..length) else {
            continue;
        };
        if from.port() == 0 {
            continue;
        }
        match responder.begin(query, from, Transport::Udp) {
            Reply::None => {}
            Reply::Ready(reply) => send(&socket, &reply, from).await,
            Reply::Later(later) => wait(&socket, &responder, &tasks, &places, *later, from).await,
        }
    }
}

async fn wait<P: Parts>(
    socket: &Arc<UdpSocket>,
    responder: &Responder<P>,
    tasks: &TaskTracker,
    places: &Arc<Semaphore>,
    later: Later,
    from: SocketAddr,
) {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        if let Some(reply) = responder.overloaded(&later) {
            send(socket, &reply, from).await;
        }
        return;
    };
    let (socket, responder) = (Arc::clone(socket), responder.clone());
    tasks.spawn(async move {
        if let Some(reply) = responder.finish(later, from).await {
            send(&socket, &reply, from).await;
        }
        drop(place);
    });
}

async fn send(socket: &UdpSocket, reply: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_to(reply, to).await {
        tracing::debug!(%error, %to, "sending failed");
    }
}
