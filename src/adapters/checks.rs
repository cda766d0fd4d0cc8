//! `NetworkProber`: checks of instances over the network. Nothing is run, nothing is followed.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::governance::lease::Check;
use crate::service::ports::Prober;

/// `HTTP/1.1 200`: of an answer nothing else is read.
const STATUS_BYTES: usize = 12;

/// Checks over TCP and HTTP.
#[derive(Debug, Clone, Copy)]
pub struct NetworkProber;

impl Prober for NetworkProber {
    async fn probe(&self, to: SocketAddr, check: &Check) -> Result<(), String> {
        let probed = match check {
            Check::None => return Ok(()),
            Check::Tcp => TcpStream::connect(to).await.map(drop),
            Check::Http(path) => get(to, path).await,
        };
        probed.map_err(|error| error.to_string())
    }
}

/// Asks for a path and looks at the status code. A redirect is an answer; it is not followed, as it
/// could lead anywhere.
async fn get(to: SocketAddr, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: kedge\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; STATUS_BYTES];
    stream.read_exact(&mut status).await?;
    judge(status)
}

fn judge(status: [u8; STATUS_BYTES]) -> io::Result<()> {
    let status = String::from_utf8_lossy(&status);
    let code = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_once(' '))
        .and_then(|(_, code)| code.parse::<u16>().ok());
    match code {
        Some(200..=399) => Ok(()),
        Some(code) => Err(io::Error::other(format!("HTTP status {code}"))),
        None => Err(io::Error::other("the answer is no HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_2xx_or_3xx_passes_and_nothing_else() {
        for status in [b"HTTP/1.1 200", b"HTTP/1.0 204", b"HTTP/1.1 302"] {
            assert!(judge(*status).is_ok(), "{status:?}");
        }
        for status in [
            b"HTTP/1.1 100",
            b"HTTP/1.1 404",
            b"HTTP/1.1 503",
            b"HTTP/2.0 200",
            b"SSH-2.0-Open",
            b"HTTP/1.1200 ",
        ] {
            assert!(judge(*status).is_err(), "{status:?}");
        }
    }
}
