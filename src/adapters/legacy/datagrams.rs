//! `Datagrams`: plain UDP to one upstream.
//!
//! Making a socket costs the kernel more than a question does, so one serves several: one after the
//! other, never two at a time, for a short while. It is connected, so the kernel drops what comes from
//! elsewhere, says when nobody listens there, and only the upstream itself ever sees its port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::net::NetError;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

use super::asking::{Asked, Kinship, Said, Secret, kinship};
use super::cookies::{self, Judged, SharedJar};

/// Questions that one socket serves. A sixty-fourth of what a socket costs is nothing beside the rest.
const QUESTIONS_PER_SOCKET_MAX: u32 = 64;
/// How long one socket serves: who looks for its port from elsewhere has to find it within.
const SOCKET_AGE_MAX: Duration = Duration::from_secs(2);
/// Sockets that wait for a question, each a file descriptor.
const IDLE_MAX: usize = 64;
/// Ports are drawn at random from these on (RFC 6335 section 6): below, a program needs a privilege.
const PORT_MIN: u16 = 1_024;
/// Draws of a port, of which few are taken; then the system chooses one.
const PORT_DRAWS_MAX: usize = 8;
/// A question is sent again when nothing came for so long: most are answered within a fifth of it.
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(350);
/// Datagrams with another number or question, from an upstream's address to a port of ours: that many
/// are no accident, and the question goes over TCP.
const STRAYS_MAX: u32 = 16;
/// More than is asked for; what an upstream sends beyond is cut, and then malformed.
const RECEIVE_BYTES_MAX: usize = 4_096;
/// An upstream that wants another cookie is asked once more with the one that it gives (RFC 7873
/// section 5.3).
const COOKIE_TRIES: usize = 2;

/// What came of a question over UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    /// The upstream's message, and what it says.
    Reply(Vec<u8>, Said),
    /// What cannot be read.
    Malformed,
    /// Something that has to be asked for over TCP: it did not fit, or somebody else may have sent it.
    ForTcp,
}

/// Fills octets with random numbers that nobody can guess.
pub type Random = fn(&mut [u8]);

/// The way to one upstream.
pub(super) struct Datagrams {
    address: SocketAddr,
    /// How long a question may take.
    exchange: Duration,
    /// How long it is waited for a reply before it is asked again.
    again_after: Duration,
    /// Its cookies, if it is shown any.
    jar: Option<SharedJar>,
    random: Random,
    idle: Mutex<Vec<Port>>,
}

/// A socket with a random port.
struct Port {
    socket: UdpSocket,
    made: Instant,
    questions: u32,
}

impl Datagrams {
    pub(super) fn new(
        address: SocketAddr,
        exchange: Duration,
        jar: Option<SharedJar>,
        random: Random,
    ) -> Self {
        Self {
            address,
            exchange,
            again_after: SEND_AGAIN_AFTER,
            jar,
            random,
            idle: Mutex::default(),
        }
    }

    /// Asks, and sends the question again while nothing comes.
    ///
    /// # Errors
    /// [`NetError::Timeout`], [`NetError::Busy`] if this node has no room for a socket, or what the
    /// system says of the upstream.
    pub(super) async fn ask(&self, asked: &Asked<'_>) -> Result<Came, NetError> {
        let asking = self.ask_knowing(asked);
        timeout(self.exchange, asking)
            .await
            .unwrap_or(Err(NetError::Timeout))
    }

    /// Both sides show that they have talked before, if that is wanted.
    async fn ask_knowing(&self, asked: &Asked<'_>) -> Result<Came, NetError> {
        for _ in 0..COOKIE_TRIES {
            let shown = self.jar.as_ref();
            let shown = shown.and_then(|jar| cookies::open(jar).shown());
            let came = self.ask_once(asked, shown.as_deref()).await?;
            let (Some(jar), Some(_), Came::Reply(_, said)) = (&self.jar, shown, &came) else {
                return Ok(came);
            };
            match cookies::open(jar).judge(said.told()) {
                Judged::Fine => return Ok(came),
                Judged::Again => {}
                Judged::Forged => break,
            }
        }
        Ok(Came::ForTcp)
    }

    async fn ask_once(&self, asked: &Asked<'_>, cookie: Option<&[u8]>) -> Result<Came, NetError> {
        let mut random = [0; Secret::BYTES];
        (self.random)(&mut random);
        let secret = Secret::new(random);
        let message = asked.message(&secret, cookie);
        let mut port = self.port(u16::from_be_bytes(secret.draw)).map_err(ours)?;
        port.questions += 1;
        let name_bytes = asked.question.name.as_wire().len();
        let came = port
            .exchange(&message, name_bytes, self.again_after)
            .await?;
        // One that was given up may still get its answer, and is not used again.
        self.put_back(port);
        Ok(match came {
            Some(reply) => match Said::of(&reply) {
                None => Came::Malformed,
                Some(said) if said.is_truncated => Came::ForTcp,
                Some(said) => Came::Reply(reply, said),
            },
            None => Came::ForTcp,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Port>> {
        // It is whole between any two statements.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the sockets at hand, whichever is drawn, or a new one.
    fn port(&self, draw: u16) -> io::Result<Port> {
        let mut old = Vec::new();
        let drawn = {
            let mut idle = self.lock();
            old.extend(idle.extract_if(.., |port| port.made.elapsed() >= SOCKET_AGE_MAX));
            let count = idle.len();
            let at = usize::from(draw).checked_rem(count);
            at.map(|at| idle.swap_remove(at))
        };
        // Closed without the lock.
        drop(old);
        drawn.map_or_else(|| Port::open(self.address, self.random), Ok)
    }

    fn put_back(&self, port: Port) {
        if port.questions < QUESTIONS_PER_SOCKET_MAX {
            let mut idle = self.lock();
            if idle.len() < IDLE_MAX {
                idle.push(port);
            }
        }
    }
}

impl Port {
    fn open(address: SocketAddr, random: Random) -> io::Result<Self> {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut draws = [[0; 2]; PORT_DRAWS_MAX];
        random(draws.as_flattened_mut());
        let drawn = draws.into_iter().map(u16::from_be_bytes);
        let drawn = drawn.filter(|port| *port >= PORT_MIN);
        let bind = |port| std::net::UdpSocket::bind((any, port));
        let socket = drawn.map(bind).find(|bound| match bound {
            Ok(_) => true,
            Err(error) => !is_taken(error),
        });
        let socket = socket.unwrap_or_else(|| bind(0))?;
        socket.set_nonblocking(true)?;
        socket.connect(address)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            made: Instant::now(),
            questions: 0,
        })
    }

    /// The reply to a message; none if the question is not to be believed over UDP.
    async fn exchange(
        &self,
        message: &[u8],
        name_bytes: usize,
        again_after: Duration,
    ) -> io::Result<Option<Vec<u8>>> {
        self.socket.send(message).await?;
        let again = sleep(again_after);
        tokio::pin!(again);
        let mut strays = 0;
        loop {
            tokio::select! {
                biased;
                ready = self.socket.ready(Interest::READABLE | Interest::ERROR) => {
                    if ready?.is_error() {
                        self.fail_if_refused()?;
                    }
                }
                () = &mut again => {
                    self.socket.send(message).await?;
                    again.as_mut().reset(Instant::now() + again_after);
                    continue;
                }
            }
            match self.receive(message, name_bytes) {
                Ok((Kinship::Reply, reply)) => return Ok(Some(reply)),
                Ok((Kinship::OtherLetters, _)) => return Ok(None),
                Ok((Kinship::None, _)) => strays += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if strays > STRAYS_MAX {
                return Ok(None);
            }
        }
    }

    /// What the kernel heard from the upstream's host in place of a reply.
    fn fail_if_refused(&self) -> io::Result<()> {
        let heard = self.socket.try_io(Interest::ERROR, || {
            let error = self.socket.take_error()?;
            Err::<(), _>(error.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
        });
        match heard {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn receive(&self, sent: &[u8], name_bytes: usize) -> io::Result<(Kinship, Vec<u8>)> {
        let mut bytes = [0; RECEIVE_BYTES_MAX];
        let length = self.socket.try_recv(&mut bytes)?;
        let came = bytes.get(..length).unwrap_or_default();
        let kinship = kinship(sent, name_bytes, came);
        let reply = (kinship == Kinship::Reply).then(|| came.to_vec());
        Ok((kinship, reply.unwrap_or_default()))
    }
}

/// Whether another port may be free.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

/// A socket that cannot be made is this node's trouble, unless there is no way to the upstream.
fn ours(error: io::Error) -> NetError {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::InvalidInput => error.into(),
        _ => NetError::Busy,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::task::JoinSet;

    use super::*;
    use crate::namespace::rtype::RecordType;
    use crate::resolution::legacy::LegacyQuestion;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn random(octets: &mut [u8]) {
        getrandom::fill(octets).unwrap();
    }

    fn question() -> LegacyQuestion {
        LegacyQuestion {
            name: "www.example.".parse().unwrap(),
            kind: RecordType::A,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }

    /// An upstream that sends what `say` makes of each message, as a reply to it.
    async fn upstream(
        tasks: &mut JoinSet<()>,
        mut say: impl FnMut(Vec<u8>, SocketAddr) -> Vec<Vec<u8>> + Send + 'static,
    ) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tasks.spawn(async move {
            let mut bytes = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let mut reply = bytes[..length].to_vec();
                reply[2] |= 0x80;
                for reply in say(reply, from) {
                    socket.send_to(&reply, from).await.unwrap();
                }
            }
        });
        address
    }

    async fn ask(way: &Datagrams) -> Result<Came, NetError> {
        let question = question();
        let asked = Asked {
            question: &question,
            trusts_ad: false,
        };
        way.ask(&asked).await
    }

    #[tokio::test]
    async fn a_port_serves_many_questions_and_then_no_more() {
        let (mut tasks, (tell, mut told)) =
            (JoinSet::new(), tokio::sync::mpsc::unbounded_channel());
        let address = upstream(&mut tasks, move |reply, from| {
            tell.send(from.port()).unwrap();
            vec![reply]
        });
        let way = Datagrams::new(address.await, PATIENCE, None, random);
        let mut ports = Vec::new();
        for _ in 0..=QUESTIONS_PER_SOCKET_MAX {
            assert!(matches!(ask(&way).await.unwrap(), Came::Reply(..)));
            ports.push(told.recv().await.unwrap());
        }
        assert_ne!(ports.first(), ports.last());
        // Some sooner, if the machine took long.
        let different = ports.iter().collect::<BTreeSet<_>>().len();
        assert!(different < 20, "{ports:?}");
        assert!(ports.iter().all(|port| *port >= PORT_MIN));
        let both = tokio::join!(ask(&way), ask(&way));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_ne!(told.recv().await, told.recv().await);
    }

    #[tokio::test]
    async fn what_is_not_answered_is_sent_again_and_its_port_given_up() {
        let (mut tasks, (tell, mut told)) =
            (JoinSet::new(), tokio::sync::mpsc::unbounded_channel());
        let mut count = 0;
        let address = upstream(&mut tasks, move |reply, from| {
            tell.send((from.port(), reply.clone())).unwrap();
            count += 1;
            if count == 2 { vec![reply] } else { Vec::new() }
        })
        .await;
        let way = Datagrams::new(address, PATIENCE, None, random);
        assert!(matches!(ask(&way).await.unwrap(), Came::Reply(..)));
        let first = told.recv().await.unwrap();
        assert_eq!(told.recv().await.unwrap(), first);
        assert_eq!(way.lock().len(), 1);
        let hasty = Datagrams::new(address, Duration::from_millis(1), None, random);
        assert!(matches!(ask(&hasty).await, Err(NetError::Timeout)));
        assert!(hasty.lock().is_empty());
    }

    #[tokio::test]
    async fn many_strays_lead_to_tcp_and_few_do_no_harm() {
        let mut tasks = JoinSet::new();
        for (count, is_heard) in [(STRAYS_MAX, true), (STRAYS_MAX + 1, false)] {
            let address = upstream(&mut tasks, move |reply, _| {
                let mut stray = reply.clone();
                stray[0] ^= 1;
                let mut said = vec![stray; usize::try_from(count).unwrap()];
                said.push(reply);
                said
            });
            let way = Datagrams::new(address.await, PATIENCE, None, random);
            let came = ask(&way).await.unwrap();
            assert_eq!(matches!(came, Came::Reply(..)), is_heard, "{came:?}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_is_known_at_once() {
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut way = Datagrams::new(address, PATIENCE, None, random);
        way.again_after = 2 * PATIENCE;
        let failed = ask(&way).await;
        assert!(matches!(failed, Err(NetError::Io(_))), "{failed:?}");
    }
}
