//! `Scripted`: a legacy server that says of every name what it is told to say.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What it says of every name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// One address, with a TTL.
    Address(u8),
    /// There is no such name, for ten seconds.
    NoName,
    /// SERVFAIL.
    Failure,
    /// Nothing.
    Silence,
    /// The address, once [`Scripted::let_go`] is called.
    Later(u8),
}

/// A legacy server for one test.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    gate: Sender<()>,
}

impl Scripted {
    pub(super) fn start(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (gate, opened) = channel();
        let upstream = Self {
            address: socket.local_addr().unwrap(),
            says: Arc::new(Mutex::new(says)),
            asked: Arc::default(),
            gate,
        };
        let (says, asked) = (Arc::clone(&upstream.says), Arc::clone(&upstream.asked));
        // The thread ends with the test program; it holds nothing but its socket.
        std::thread::spawn(move || serve(&socket, (&says, &asked), &opened));
        upstream
    }

    pub(super) fn now_says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Questions that came.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Lets one question be answered.
    pub(super) fn let_go(&self) {
        self.gate.send(()).unwrap();
    }

    /// The configuration of a node that forwards to this server.
    pub(super) fn config(&self, cache: &str) -> String {
        format!(
            "[legacy]\nupstreams = [\"{}\"]\n[cache]\n{cache}",
            self.address
        )
    }
}

fn serve(socket: &UdpSocket, (says, asked): (&Mutex<Says>, &AtomicUsize), opened: &Receiver<()>) {
    let mut buffer = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        asked.fetch_add(1, Ordering::SeqCst);
        let says = *says.lock().unwrap();
        if matches!(says, Says::Later(_)) && opened.recv().is_err() {
            return;
        }
        if says != Says::Silence {
            drop(socket.send_to(&reply(&buffer[..length], says), from));
        }
    }
}

fn reply(query: &[u8], says: Says) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 1 + 4];
    let (rcode, answers, authorities) = match says {
        Says::Address(_) | Says::Later(_) => (0, 1, 0),
        Says::NoName => (3, 0, 1),
        Says::Failure | Says::Silence => (2, 0, 0),
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | rcode, 0, 1, 0, answers, 0, authorities, 0, 0]);
    reply.extend(question);
    match says {
        Says::Address(ttl) | Says::Later(ttl) => {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, 44]);
        }
        Says::NoName => {
            // The root's SOA: two names, five numbers of which the last is its minimum.
            reply.extend([0, 0, 6, 0, 1, 0, 0, 0, 10, 0, 22, 0, 0]);
            reply.extend([0; 19]);
            reply.push(10);
        }
        Says::Failure | Says::Silence => {}
    }
    reply
}
