//! Cookies of upstreams (RFC 7873), against a server that gives, changes, forgets and forges them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use hickory_server::proto::op::{Edns, Message, MessageType};
use hickory_server::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::*;

/// What the server does with cookies over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Gives its half.
    Gives,
    /// Says nothing of them.
    Silent,
    /// Wants the half of another secret.
    Changes,
    /// Answers with another client's half, as somebody would who only guesses.
    Forges,
    /// Has never heard of options.
    Confused,
}

/// What it saw: whether over TCP, and the cookie.
type Seen = Arc<Mutex<Vec<(bool, Option<Vec<u8>>)>>>;

struct Fake {
    address: std::net::SocketAddr,
    manner: Arc<Mutex<Manner>>,
    seen: Seen,
    _tasks: JoinSet<()>,
}

impl Fake {
    async fn start(manner: Manner) -> Self {
        let (udp, tcp) = both().await;
        let address = udp.local_addr().unwrap();
        let (manner, seen) = (Arc::new(Mutex::new(manner)), Seen::default());
        let mut tasks = JoinSet::new();
        let (how, saw) = (Arc::clone(&manner), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut buffer = [0; 2_048];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                let manner = *how.lock().unwrap();
                let reply = reply(&buffer[..length], Some(manner), &saw);
                udp.send_to(&reply, from).await.unwrap();
            }
        });
        let saw = Arc::clone(&seen);
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut message = vec![0; usize::from(length)];
                stream.read_exact(&mut message).await.unwrap();
                let reply = reply(&message, None, &saw);
                let length = u16::try_from(reply.len()).unwrap();
                stream.write_u16(length).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
        Self {
            address,
            manner,
            seen,
            _tasks: tasks,
        }
    }

    fn now(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Asks, and what the server saw of that: `u` for UDP and `t` for TCP with the octets of the cookie.
    async fn seen_of(&self, forwarder: &Forwarder) -> String {
        self.seen.lock().unwrap().clear();
        let answered = ask(forwarder, &question("www.example A")).await.unwrap();
        assert_eq!(kinds(&answered.reply.answers), "www.example. 300 A");
        let seen = self.seen.lock().unwrap();
        let shown = seen.iter().map(|(over_tcp, cookie)| {
            let way = if *over_tcp { 't' } else { 'u' };
            let octets = cookie
                .as_ref()
                .map_or_else(|| "-".to_owned(), |cookie| cookie.len().to_string());
            format!("{way}{octets}")
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

/// The server's half by its present secret, and by the next one.
const HALF: &[u8] = b"0123456789abcdef";
const NEXT: &[u8] = b"a half of another secret";

fn reply(query: &[u8], manner: Option<Manner>, seen: &Seen) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let option = query
        .edns
        .as_ref()
        .and_then(|edns| edns.option(EdnsCode::Cookie));
    let cookie = match option {
        Some(EdnsOption::Unknown(_, value)) => Some(value.clone()),
        _ => None,
    };
    seen.lock()
        .unwrap()
        .push((manner.is_none(), cookie.clone()));
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    let mut edns = Edns::new();
    let client = cookie.as_ref().map(|cookie| cookie[..8].to_vec());
    let give = |edns: &mut Edns, client: Option<Vec<u8>>, half: &[u8]| {
        if let Some(client) = client {
            let value = [&client, half].concat();
            edns.options_mut().insert(EdnsOption::Unknown(10, value));
        }
    };
    let mut code = ResponseCode::NoError;
    match manner {
        // Over TCP nobody forges anything, and this server gives its half.
        None | Some(Manner::Gives) => give(&mut edns, client, HALF),
        Some(Manner::Changes) => {
            if !cookie.is_some_and(|cookie| cookie.ends_with(NEXT)) {
                code = ResponseCode::BADCOOKIE;
            }
            give(&mut edns, client, NEXT);
        }
        Some(Manner::Forges) => give(&mut edns, Some(b"guessed!".to_vec()), HALF),
        Some(Manner::Confused) if cookie.is_some() => code = ResponseCode::FormErr,
        Some(Manner::Silent | Manner::Confused) => {}
    }
    reply.metadata.response_code = code;
    edns.set_rcode_high(code.high());
    if code == ResponseCode::NoError {
        reply.answers = vec![address("www.example.", 1)];
    }
    reply.edns = Some(edns);
    reply.to_vec().unwrap()
}

#[tokio::test]
async fn what_the_upstream_gives_is_shown_from_then_on() {
    let fake = Fake::start(Manner::Gives).await;
    let forwarder = forwarder(group(&[fake.address]));
    assert_eq!(fake.seen_of(&forwarder).await, "u8");
    assert_eq!(fake.seen_of(&forwarder).await, "u24");
    let first = fake.seen.lock().unwrap()[0].1.clone().unwrap();
    assert!(first.ends_with(HALF));
    // Another upstream is shown another half.
    let other = Fake::start(Manner::Gives).await;
    let both = forwarding(ForwardPlan {
        default: group(&[fake.address]),
        routes: BTreeMap::from([("www.example".parse().unwrap(), group(&[other.address]))]),
        ..ForwardPlan::default()
    });
    other.seen_of(&both).await;
    let second = other.seen.lock().unwrap()[0].1.clone().unwrap();
    assert_ne!(first[..8], second[..8]);
}

#[tokio::test]
async fn one_that_wants_another_cookie_is_asked_once_more() {
    let fake = Fake::start(Manner::Gives).await;
    let forwarder = forwarder(group(&[fake.address]));
    fake.seen_of(&forwarder).await;
    fake.now(Manner::Changes);
    assert_eq!(fake.seen_of(&forwarder).await, "u24 u32");
    assert_eq!(fake.seen_of(&forwarder).await, "u32");
}

#[tokio::test]
async fn what_may_be_forged_is_asked_for_over_tcp() {
    let fake = Fake::start(Manner::Forges).await;
    let forwarder = forwarder(group(&[fake.address]));
    assert_eq!(fake.seen_of(&forwarder).await, "u8 t8");
    // Also where the upstream had given cookies and now seems to give none.
    fake.now(Manner::Gives);
    fake.seen_of(&forwarder).await;
    fake.now(Manner::Silent);
    assert_eq!(fake.seen_of(&forwarder).await, "u24 t24");
}

#[tokio::test]
async fn those_who_know_no_cookies_are_asked_as_before() {
    let fake = Fake::start(Manner::Silent).await;
    let forwarder = forwarder(group(&[fake.address]));
    assert_eq!(fake.seen_of(&forwarder).await, "u8");
    assert_eq!(fake.seen_of(&forwarder).await, "u8");
    fake.now(Manner::Confused);
    assert_eq!(fake.seen_of(&forwarder).await, "u8 u-");
    assert_eq!(fake.seen_of(&forwarder).await, "u-");
}

#[tokio::test]
async fn none_are_shown_where_that_is_off() {
    let fake = Fake::start(Manner::Forges).await;
    let forwarder = forwarding(ForwardPlan {
        default: group(&[fake.address]),
        cookies: false,
        ..ForwardPlan::default()
    });
    assert_eq!(fake.seen_of(&forwarder).await, "u-");
}
