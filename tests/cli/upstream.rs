//! `Upstream`: a legacy server on a port of its own that answers every A question with one
//! address, at once or when it is told to.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The address of every name.
pub(crate) const ADDRESS: [u8; 4] = [192, 0, 2, 44];

/// A legacy server for one test.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// A word for each question that came.
    pub(crate) came: Receiver<()>,
    gate: Sender<()>,
}

impl Upstream {
    /// Answers at once.
    pub(crate) fn start() -> Self {
        Self::with_gate(false)
    }

    /// Answers each question when [`Self::let_go`] is called.
    pub(crate) fn start_slow() -> Self {
        Self::with_gate(true)
    }

    fn with_gate(slow: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (coming, came) = channel();
        let (gate, opened) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            // The thread ends with the test program; it holds nothing but its socket.
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if coming.send(()).is_err() || (slow && opened.recv().is_err()) {
                    return;
                }
                drop(socket.send_to(&reply(&buffer[..length]), from));
            }
        });
        Self {
            address,
            came,
            gate,
        }
    }

    /// Lets one question be answered.
    pub(crate) fn let_go(&self) {
        self.gate.send(()).unwrap();
    }

    /// The configuration of a node that forwards to this server.
    pub(crate) fn config(&self) -> String {
        format!("[legacy]\nupstreams = [\"{}\"]\n", self.address)
    }
}

/// The question with one A record, or without any for other types.
fn reply(query: &[u8]) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let end = 12 + name + 1 + 4;
    let is_a = query[end - 4..end - 2] == [0, 1];
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    reply.extend(&query[12..end]);
    if is_a {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
        reply.extend(ADDRESS);
    }
    reply
}
