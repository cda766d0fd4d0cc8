//! `Client`: raw messages over UDP and TCP, one at a time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long silence must last where silence is the right answer.
const SILENCE: Duration = Duration::from_millis(300);
/// A datagram to a busy program may be lost; a question is asked so often.
const ATTEMPTS_MAX: usize = 3;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    server: SocketAddr,
    socket: UdpSocket,
}

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { server, socket }
    }

    /// Sends a datagram without waiting.
    pub(crate) fn send(&self, message: &[u8]) {
        self.socket.send(message).unwrap();
    }

    /// The answer to a message that was sent, by its first two bytes; later ones may still come
    /// for earlier questions. Asks again when nothing comes.
    pub(crate) fn receive(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..ATTEMPTS_MAX {
            match self.socket.recv(&mut buffer) {
                Ok(length) if buffer.get(..2) == message.get(..2) => {
                    return Ok(buffer.get(..length).unwrap_or_default().to_vec());
                }
                Ok(_) => {}
                Err(error) => {
                    last = error;
                    self.send(message);
                }
            }
        }
        Err(last)
    }

    pub(crate) fn ask(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        self.send(message);
        self.receive(message)
    }

    /// The answer that is perhaps given; none after a moment of silence.
    pub(crate) fn ask_briefly(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(SILENCE)).unwrap();
        self.send(message);
        let mut buffer = vec![0; 65_535];
        let answer = self.socket.recv(&mut buffer);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = answer.ok()?;
        Some(buffer.get(..length)?.to_vec())
    }

    /// One message over a new connection; none if the server closes it without an answer.
    pub(crate) fn ask_tcp(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = u16::try_from(message.len()).unwrap();
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        stream.write_all(&framed)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}
