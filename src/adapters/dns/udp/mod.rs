//! DNS over UDP: a socket and a thread for each core, each with the answers that it keeps, and a task
//! only for questions that wait.

mod batch;
mod door;

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, SockaddrIn6};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::ports::Parts;
use crate::telemetry::answers::Dropped;
use crate::telemetry::transport::Transport;

use super::guard::Places;
use super::kept::WireAnswers;
use super::responder::{Later, Line, Responder};

use batch::{Family, Inbox, Outbox};
use door::{Local, send_alone};

pub use door::UdpDoor;

/// After an error of receiving that says nothing about the next call: a socket that is broken for
/// good must not keep a core busy.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// What the threads of all doors have in common.
#[derive(Debug, Clone)]
pub struct UdpWork {
    /// Questions under way, which outlive the threads.
    pub under_way: TaskTracker,
    /// Places for questions that wait.
    pub places: Places,
    /// Memory for the answers that each thread keeps.
    pub kept_bytes_max: usize,
    /// Set when the node stops.
    pub stop: CancellationToken,
}

/// The threads behind the doors of one address.
#[derive(Debug)]
pub struct UdpThreads {
    doors: Vec<Arc<UdpDoor>>,
    ended: Vec<oneshot::Receiver<()>>,
    stop: CancellationToken,
}

impl UdpThreads {
    /// Starts a thread for each door; questions that wait become tasks of the present runtime.
    pub fn start<P: Parts>(
        doors: Vec<UdpDoor>,
        responder: &Responder<P>,
        work: &UdpWork,
    ) -> io::Result<Self> {
        let mut threads = Self {
            doors: doors.into_iter().map(Arc::new).collect(),
            ended: Vec::new(),
            stop: work.stop.clone(),
        };
        for door in &threads.doors {
            let (running, ended) = oneshot::channel();
            let server = Server {
                door: Arc::clone(door),
                responder: responder.clone(),
                work: work.clone(),
                runtime: Handle::current(),
            };
            let serve = move || {
                server.serve();
                drop(running);
            };
            let thread = std::thread::Builder::new().name("udp".to_owned());
            drop(thread.spawn(serve)?);
            threads.ended.push(ended);
        }
        Ok(threads)
    }

    /// Lets them serve until the node stops, and ends when they have.
    pub async fn until_stopped(self) {
        self.stop.cancelled().await;
        self.doors.iter().for_each(|door| door.wake());
        for ended in self.ended {
            // It only ever ends by being dropped.
            drop(ended.await);
        }
    }
}

/// One thread.
struct Server<P: Parts> {
    door: Arc<UdpDoor>,
    responder: Responder<P>,
    work: UdpWork,
    runtime: Handle,
}

impl<P: Parts> Server<P> {
    /// A datagram that makes something panic must not cost its clients the socket.
    fn serve(&self) {
        let run = || {
            if self.door.address().is_ipv4() {
                self.run::<SockaddrIn>();
            } else {
                self.run::<SockaddrIn6>();
            }
        };
        while catch_unwind(AssertUnwindSafe(run)).is_err() {
            tracing::error!("answering a datagram panicked; the thread begins anew");
        }
    }

    fn run<F: Family>(&self) {
        let mut inbox = Inbox::<F>::new(&self.door);
        let mut outbox = Outbox::<F>::new();
        let mut answers = WireAnswers::new(
            self.responder.clone(),
            Transport::Udp,
            self.work.kept_bytes_max,
        );
        while !self.work.stop.is_cancelled() {
            match inbox.receive(&self.door, &self.work.stop) {
                Ok(()) => {}
                // Nothing came for a while, or a signal did.
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(error) => {
                    tracing::debug!(%error, "receiving failed");
                    std::thread::park_timeout(PAUSE_AFTER_ERROR);
                    continue;
                }
            }
            answers.look_up();
            for (query, from, local) in inbox.letters() {
                let address = from.std();
                if address.port() == 0 {
                    answers.dropped(Dropped::NoPort);
                    continue;
                }
                let line = Line::plain(address, Transport::Udp);
                let place = outbox.place(from, local);
                if let Some(later) = answers.answer(query, &line, place) {
                    place.extend(self.wait(*later, address, local).unwrap_or_default());
                }
                outbox.take_back_if_empty();
            }
            answers.leave();
            outbox.send(&self.door);
        }
    }

    /// Has a task wait for legacy DNS; the reply at once if there is no place for one.
    fn wait(&self, later: Later, from: SocketAddr, local: Option<Local>) -> Option<Vec<u8>> {
        let Some(place) = self.work.places.take(from.ip()) else {
            return self.responder.overloaded(&later, from);
        };
        let (door, responder) = (Arc::clone(&self.door), self.responder.clone());
        let finish = async move {
            if let Some(reply) = responder.finish(later, from).await
                && let Err(error) = send_alone(&door, &reply, from, local)
            {
                tracing::debug!(%error, to = %from, "sending failed");
            }
            drop(place);
        };
        drop(self.work.under_way.spawn_on(finish, &self.runtime));
        None
    }
}
