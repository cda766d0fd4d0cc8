//! Upstreams that answer what no DNS server should.

use kedge::service::legacy_cache::{CacheState, CachedLegacy, LegacyCacheSettings};
use kedge::service::ports::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// Answers each UDP question with `twist` of an empty NOERROR reply to it.
fn serve_udp(
    tasks: &mut JoinSet<()>,
    socket: UdpSocket,
    twist: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + Send + 'static,
) {
    tasks.spawn(async move {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let mut reply = buffer[..length].to_vec();
            reply[2] |= 0x80;
            for datagram in twist(reply) {
                socket.send_to(&datagram, from).await.unwrap();
            }
        }
    });
}

fn code_of(outcome: Result<LegacyAnswered, LegacyFailure>) -> String {
    match outcome {
        Err(LegacyFailure::Code { rcode, .. }) => rcode,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unreadable_answer_leads_to_the_next_upstream() {
    let (socket, broken) = silent().await;
    let mut tasks = JoinSet::new();
    // The counts promise an answer that is not there.
    serve_udp(&mut tasks, socket, |mut reply| {
        reply[7] = 1;
        // OPT with a cookie.
        reply.truncate(reply.len() - 11 - 12);
        reply[11] = 0;
        vec![reply]
    });
    let sole = ask(&forwarder(group(&[broken])), &question("www.example A")).await;
    assert_eq!(code_of(sole), "a malformed message");
    let living = TestUpstream::start(Script {
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    let both = forwarder(group(&[broken, living.address]));
    for _ in 0..3 {
        let answered = ask(&both, &question("www.example A")).await.unwrap();
        assert_eq!(answered.upstream, living.address.to_string());
    }
}

#[tokio::test]
async fn forged_ids_and_questions_are_ignored() {
    let (socket, upstream) = silent().await;
    let mut tasks = JoinSet::new();
    serve_udp(&mut tasks, socket, |reply| {
        let (mut other_id, mut other_name) = (reply.clone(), reply.clone());
        other_id[0] ^= 1;
        other_id[3] |= 3;
        other_name[13] ^= 1;
        other_name[3] |= 3;
        vec![other_id, other_name, reply]
    });
    let answered = ask(&forwarder(group(&[upstream])), &question("www.example A")).await;
    assert_eq!(answered.unwrap().reply.code, LegacyCode::NoError);
}

#[tokio::test]
async fn an_answer_to_another_question_over_tcp_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = usize::from(stream.read_u16().await.unwrap());
            let mut message = vec![0; length];
            stream.read_exact(&mut message).await.unwrap();
            message[2] |= 0x80;
            message[13] ^= 1;
            stream
                .write_u16(u16::try_from(length).unwrap())
                .await
                .unwrap();
            stream.write_all(&message).await.unwrap();
        }
    });
    let forwarder = forwarder(UpstreamGroup {
        upstreams: vec![Upstream {
            address,
            transport: Transport::Tcp,
        }],
        trust_ad: false,
    });
    let outcome = ask(&forwarder, &question("www.example A")).await;
    assert_eq!(code_of(outcome), "another question");
}

#[tokio::test]
async fn an_upstream_that_changes_letter_case_is_asked_over_tcp() {
    let (udp, listener) = both().await;
    let address = udp.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    serve_udp(&mut tasks, udp, |mut reply| {
        reply[12..40].make_ascii_lowercase();
        vec![reply]
    });
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        message[2] |= 0x80;
        // NXDOMAIN, to tell it from the answer over UDP.
        message[3] |= 3;
        stream.write_u16(length).await.unwrap();
        stream.write_all(&message).await.unwrap();
    });
    let name = question("abcdefghijklmnopqrstuvwxyz.example A");
    let answered = ask(&forwarder(group(&[address])), &name).await.unwrap();
    assert_eq!(answered.reply.code, LegacyCode::NxDomain);
}

struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> kedge::base::time::Timestamp {
        kedge::base::time::Timestamp::from_millis(1_700_000_000_000)
    }
}

#[tokio::test]
async fn the_cache_stands_before_the_forwarder() {
    let upstream = TestUpstream::start(Script {
        code: Some(ResponseCode::NXDomain),
        authorities: vec![start_of_authority()],
        ..Script::default()
    })
    .await;
    let settings = LegacyCacheSettings::default();
    let cache = CachedLegacy::new(forwarder(upstream.group()), Frozen, settings);
    for state in [CacheState::Miss, CacheState::Hit { age_secs: 0 }] {
        let answer = cache
            .ask(&question("no.example A"), PATIENCE_MS)
            .await
            .unwrap();
        assert_eq!(
            (answer.state, answer.reply.code),
            (state, LegacyCode::NxDomain)
        );
        assert_eq!(kinds(&answer.reply.authorities), "example. 60 SOA");
    }
    assert_eq!(upstream.seen().len(), 1);
}
