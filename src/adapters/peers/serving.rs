//! Connections that come, and requests that come on any of them.

use std::sync::Arc;
use std::time::Duration;

use noq::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::replication::wire::{Hello, Reply, Request, TooNew, Turned, WIRE_VERSIONS};

use super::endpoint::{HANDSHAKE_PATIENCE, Shared};
use super::handshake::proven;
use super::line::{Greeted, PeerLine, REMOVED};
use super::stream::{StreamFault, read_request, write_reply};

/// Handshakes at the same time; above it new ones are refused.
const HANDSHAKES_MAX: usize = 64;
/// Above so many, whoever dials must first show that it is at its address.
const HANDSHAKES_UNPROVEN_MAX: usize = 16;
/// The node stops, or the greeting failed.
const ENDED: u32 = 0;
const NO_GREETING: u32 = 4;
/// A key that is none of the configuration's, or one that is shut out for a while.
const NOT_ADMITTED: u32 = 1;
/// What decodes as no request.
const UNREAD: &str = "its request is none";
/// How long connections may take to end in good order.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// Takes connections until told to stop, then closes the socket in good order.
pub(super) async fn listen(shared: Arc<Shared>, socket: Endpoint) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let incoming = tokio::select! {
            () = shared.stop.cancelled() => break,
            incoming = socket.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        let Ok(place) = Arc::clone(&handshakes).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let is_busy = handshakes.available_permits() < HANDSHAKES_MAX - HANDSHAKES_UNPROVEN_MAX;
        if is_busy && !incoming.remote_address_validated() {
            // An error means that it cannot be asked to; it is let go.
            drop(incoming.retry());
            continue;
        }
        let taking = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            let stop = taking.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = take(taking, incoming, place) => {}
            }
        });
    }
    socket.close(VarInt::from_u32(ENDED), b"stopping");
    drop(timeout(END_PATIENCE, socket.wait_idle()).await);
}

/// Takes one connection: its handshake, its greeting, and its requests.
async fn take(shared: Arc<Shared>, incoming: Incoming, place: tokio::sync::OwnedSemaphorePermit) {
    let connected = timeout(HANDSHAKE_PATIENCE, incoming).await;
    let Ok(Ok(connection)) = connected else {
        return;
    };
    let line = proven(&connection).and_then(|key| shared.lines.line(&key));
    let Some(line) = line.filter(|line| !line.is_shut_out()) else {
        shared.lines.count_stranger();
        let why = b"this key is not admitted here";
        connection.close(VarInt::from_u32(NOT_ADMITTED), why);
        return;
    };
    let greeted = timeout(HANDSHAKE_PATIENCE, be_greeted(&shared, &line, &connection)).await;
    drop(place);
    if let Ok(Some(version)) = greeted {
        let greeted = Greeted {
            connection,
            version,
        };
        use_until_closed(&shared, &line, greeted).await;
    } else {
        connection.close(VarInt::from_u32(NO_GREETING), b"no greeting");
    }
}

/// Waits for the first request, which must be a greeting, and answers it. Gives the version that is
/// spoken from then on.
async fn be_greeted(shared: &Shared, line: &PeerLine, connection: &Connection) -> Option<u16> {
    let (mut sending, mut receiving) = connection.accept_bi().await.ok()?;
    let hello = match read_request(&mut receiving).await {
        Ok(Request::Hello(hello)) => hello,
        Ok(_) => {
            drop(write_reply(&mut sending, &Reply::Turned(Turned::Greeting)).await);
            line.complain("it asked before it greeted");
            return None;
        }
        Err(fault) => {
            note_fault(line, &fault);
            return None;
        }
    };
    line.greeted(&hello);
    let common = hello.common_version();
    let reply = if let Some(version) = common {
        let versions = vec![version];
        Reply::Hello(Hello {
            versions,
            ..Hello::of(&shared.region)
        })
    } else {
        let known = WIRE_VERSIONS.to_vec();
        line.complain(&format!(
            "it speaks wire versions {:?} only",
            hello.versions
        ));
        Reply::Turned(Turned::Version { known })
    };
    let is_written = write_reply(&mut sending, &reply).await.is_ok();
    if common.is_none() {
        // What was written is to arrive before the end of the connection does.
        drop(timeout(HANDSHAKE_PATIENCE, sending.stopped()).await);
    }
    common.filter(|_| is_written)
}

fn note_fault(line: &PeerLine, fault: &StreamFault) {
    match fault {
        StreamFault::Slow => line.complain("its request did not come in time"),
        StreamFault::Nonsense(why) => line.complain(&format!("{UNREAD}: {why}")),
        StreamFault::Broken(_) => {}
    }
}

/// Uses a connection and answers what comes on it, until it ends.
pub(super) async fn use_until_closed(shared: &Arc<Shared>, line: &Arc<PeerLine>, greeted: Greeted) {
    line.put(greeted.clone());
    let connection = &greeted.connection;
    line.heard(shared.clock.now());
    if let Some(requests) = shared.requests.upgrade() {
        requests.connected(&line.peer().id);
    }
    let version = greeted.version;
    tracing::info!(peer = %line.peer().name, version, "a peer is connected");
    let why = loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => {
                connection.close(VarInt::from_u32(ENDED), b"stopping");
                return;
            }
            () = line.removed() => {
                // Each of its connections, not only the last one.
                connection.close(VarInt::from_u32(REMOVED), b"no peer any more");
                return;
            }
            accepted = connection.accept_bi() => accepted,
        };
        match accepted {
            Ok(_) if line.is_shut_out() => {
                connection.close(VarInt::from_u32(NOT_ADMITTED), b"shut out for a while");
            }
            Ok(streams) => {
                let (shared, line) = (Arc::clone(shared), Arc::clone(line));
                let greeted = greeted.clone();
                let tasks = shared.tasks.clone();
                tasks.spawn(async move { serve(&shared, &line, &greeted, streams).await });
            }
            Err(error) => break error.to_string(),
        }
    };
    tracing::info!(peer = %line.peer().name, why, "a peer is gone");
    line.gone(connection, why);
}

/// Answers the one request of a stream.
async fn serve(
    shared: &Shared,
    line: &Arc<PeerLine>,
    greeted: &Greeted,
    (mut sending, mut receiving): (SendStream, RecvStream),
) {
    let connection = &greeted.connection;
    let request = match read_request(&mut receiving).await {
        Ok(request) => request,
        Err(StreamFault::Nonsense(why)) => {
            line.shut_out(connection, &format!("{UNREAD}: {why}"));
            return;
        }
        Err(StreamFault::Slow) => {
            if line.count_stall() {
                line.shut_out(connection, "its requests do not come in time");
            }
            return;
        }
        Err(StreamFault::Broken(_)) => return,
    };
    line.heard(shared.clock.now());
    let reply = match line.may_ask(&request) {
        Err(true) => {
            line.shut_out(connection, "it asks too much and does not wait");
            return;
        }
        Err(false) => Reply::Turned(Turned::TooMuch),
        Ok(()) => match request.fits(greeted.version) {
            Ok(()) => answer(shared, line, request).await,
            Err(TooNew { spoken, .. }) => {
                line.count_refused();
                let known = vec![spoken];
                Reply::Turned(Turned::Version { known })
            }
        },
    };
    match write_reply(&mut sending, &reply).await {
        Ok(byte_count) => line.count_answered(byte_count),
        Err(StreamFault::Slow) if line.count_stall() => {
            line.shut_out(connection, "it does not take its replies");
        }
        Err(_) => {}
    }
}

async fn answer(shared: &Shared, line: &PeerLine, request: Request) -> Reply {
    let place = if request.is_word() {
        line.words_at_work.acquire().await.ok()
    } else {
        line.room.try_acquire().ok()
    };
    let Some(_place) = place else {
        line.count_refused();
        return Reply::Turned(Turned::TooMuch);
    };
    let _served = match request {
        Request::Links { .. } => shared.links_served.acquire().await.ok(),
        _ => None,
    };
    let Some(requests) = shared.requests.upgrade() else {
        return Reply::Turned(Turned::Failing);
    };
    let peer = line.peer().id;
    // Blocks are read from the disk.
    let answered = tokio::task::spawn_blocking(move || requests.answer(&peer, request));
    answered.await.unwrap_or(Reply::Turned(Turned::Failing))
}
