//! Forwarding against an independent DNS server on loopback: what the upstream is asked, and that
//! its answers arrive as it gave them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail so")]
#![expect(clippy::indexing_slicing, clippy::string_slice, reason = "likewise")]
#[path = "../common/mod.rs"]
mod common;
mod cookies;
mod encrypted;
mod hostile;
mod routes;
mod upstream;

use std::sync::Arc;

use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::rdata::{CNAME, NS, TXT};
use hickory_server::proto::rr::{Name as WireName, RData, Record as WireRecord};
use tokio::net::UdpSocket;

use kedge::adapters::legacy::forwarder::Forwarder;
use kedge::adapters::legacy::upstream::{ForwardPlan, Transport, Upstream, UpstreamGroup};
use kedge::adapters::randomness;
use kedge::namespace::record::Record;
use kedge::namespace::rtype::RecordType;
use kedge::resolution::legacy::{LegacyCode, LegacyFailure, LegacyQuestion};
use kedge::service::ports::{LegacyAnswered, LegacyDns};
use upstream::{
    Script, TestUpstream, address, both, group, raw, signature, silent, start_of_authority, wire,
};

const PATIENCE_MS: u64 = 5_000;

fn forwarder(default: UpstreamGroup) -> Forwarder {
    forwarding(ForwardPlan {
        default,
        ..ForwardPlan::default()
    })
}

fn forwarding(plan: ForwardPlan) -> Forwarder {
    Forwarder::new(plan, randomness::fill).unwrap()
}

fn question(text: &str) -> LegacyQuestion {
    let (name, kind) = text.split_once(' ').unwrap();
    LegacyQuestion {
        name: name.parse().unwrap(),
        kind: kind.parse().unwrap(),
        dnssec_ok: false,
        checking_disabled: false,
    }
}

fn secured(text: &str) -> LegacyQuestion {
    LegacyQuestion {
        dnssec_ok: true,
        ..question(text)
    }
}

async fn ask(
    forwarder: &Forwarder,
    question: &LegacyQuestion,
) -> Result<LegacyAnswered, LegacyFailure> {
    forwarder.ask(question, PATIENCE_MS).await
}

fn kinds(records: &[Record]) -> String {
    let shown: Vec<String> = records
        .iter()
        .map(|record| format!("{} {} {}", record.owner, record.ttl, record.kind))
        .collect();
    shown.join(", ")
}

#[tokio::test]
async fn wishes_reach_the_upstream_and_signatures_come_back() {
    let upstream = TestUpstream::start(Script {
        answers: vec![address("www.example.", 1), signature("www.example.")],
        authorities: vec![wire(
            "example.",
            RData::NS(NS(WireName::from_ascii("ns.example.").unwrap())),
        )],
        additionals: vec![address("ns.example.", 2)],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(upstream.group());
    for (dnssec_ok, checking_disabled) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let question = LegacyQuestion {
            dnssec_ok,
            checking_disabled,
            ..question("www.example A")
        };
        let answered = ask(&forwarder, &question).await.unwrap();
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(
            (seen.dnssec_ok, seen.checking_disabled, seen.authentic_data),
            (dnssec_ok, checking_disabled, false)
        );
        assert_eq!((seen.payload, seen.protocol), (1232, Protocol::Udp));
        let reply = answered.reply;
        let expected = if dnssec_ok {
            "www.example. 300 A, www.example. 300 RRSIG"
        } else {
            "www.example. 300 A"
        };
        assert_eq!(kinds(&reply.answers), expected);
        assert_eq!(kinds(&reply.authorities), "example. 300 NS");
        assert_eq!(kinds(&reply.additionals), "ns.example. 300 A");
        assert_eq!(reply.answers[0].rdata.as_bytes(), [192, 0, 2, 1]);
        assert_eq!(
            reply.authorities[0].rdata.as_bytes(),
            b"\x02ns\x07example\0"
        );
        assert_eq!(answered.upstream, upstream.address.to_string());
    }
}

#[tokio::test]
async fn letter_case_is_randomised_and_the_answer_is_not() {
    let upstream = TestUpstream::start(Script {
        answers: vec![address("abcdefghijklmnop.example.", 1)],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(upstream.group());
    let question = question("abcdefghijklmnop.example A");
    for _ in 0..4 {
        ask(&forwarder, &question).await.unwrap();
    }
    let names: Vec<String> = upstream.seen().into_iter().map(|seen| seen.name).collect();
    assert!(
        names
            .iter()
            .all(|name| name.eq_ignore_ascii_case(&names[0]))
    );
    assert!(
        names
            .iter()
            .any(|name| name.bytes().any(|byte| byte.is_ascii_uppercase())),
        "{names:?}"
    );
}

#[tokio::test]
async fn ad_counts_only_from_a_trusted_group() {
    let upstream = TestUpstream::start(Script {
        authentic: true,
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    for trust_ad in [false, true] {
        let forwarder = forwarder(UpstreamGroup {
            trust_ad,
            ..upstream.group()
        });
        let answered = ask(&forwarder, &question("www.example A")).await.unwrap();
        assert_eq!(answered.reply.authentic, trust_ad);
        assert_eq!(upstream.seen().pop().unwrap().authentic_data, trust_ad);
    }
}

#[tokio::test]
async fn negative_answers_keep_code_authority_and_proofs() {
    let proof = raw(
        "a.example.",
        RecordType::NSEC.code(),
        b"\x01b\x07example\0\0\x01\x40",
    );
    for (code, expected) in [
        (ResponseCode::NXDomain, LegacyCode::NxDomain),
        (ResponseCode::NoError, LegacyCode::NoError),
    ] {
        let upstream = TestUpstream::start(Script {
            code: Some(code),
            authorities: vec![start_of_authority(), signature("example."), proof.clone()],
            ..Script::default()
        })
        .await;
        let forwarder = forwarder(upstream.group());
        let reply = ask(&forwarder, &secured("no.example A"))
            .await
            .unwrap()
            .reply;
        assert_eq!((reply.code, reply.answers.len()), (expected, 0));
        assert_eq!(
            kinds(&reply.authorities),
            "example. 300 SOA, example. 300 RRSIG, a.example. 300 NSEC"
        );
        let soa = reply.authorities[0].rdata.as_bytes();
        assert_eq!(&soa[..12], b"\x02ns\x07example\0");
        assert_eq!(&soa[soa.len() - 4..], [0, 0, 0, 60]);
        let plain = ask(&forwarder, &question("no.example A"))
            .await
            .unwrap()
            .reply;
        assert_eq!(kinds(&plain.authorities), "example. 300 SOA");
    }
}

#[tokio::test]
async fn an_alias_is_passed_on_and_not_followed() {
    let target = WireName::from_ascii("target.example.").unwrap();
    let upstream = TestUpstream::start(Script {
        code: Some(ResponseCode::NXDomain),
        answers: vec![wire("www.example.", RData::CNAME(CNAME(target)))],
        authorities: vec![start_of_authority()],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(upstream.group());
    let reply = ask(&forwarder, &question("www.example A"))
        .await
        .unwrap()
        .reply;
    assert_eq!(reply.code, LegacyCode::NxDomain);
    assert_eq!(kinds(&reply.answers), "www.example. 300 CNAME");
    assert_eq!(kinds(&reply.authorities), "example. 300 SOA");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn special_names_are_forwarded_like_any_other() {
    let upstream = TestUpstream::start(Script {
        answers: vec![address("localhost.", 1)],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(upstream.group());
    for name in ["localhost A", "x.onion A", "1.0.0.127.in-addr.arpa PTR"] {
        ask(&forwarder, &question(name)).await.unwrap();
    }
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn error_codes_are_failures_and_never_absences() {
    for (code, rcode) in [
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::FormErr, "FORMERR"),
        (ResponseCode::NotImp, "NOTIMP"),
        (ResponseCode::BADCOOKIE, "BADCOOKIE"),
    ] {
        let upstream = TestUpstream::start(Script {
            code: Some(code),
            authorities: vec![start_of_authority()],
            ..Script::default()
        })
        .await;
        let failure = ask(&forwarder(upstream.group()), &question("www.example A")).await;
        assert_eq!(
            failure.unwrap_err(),
            LegacyFailure::Code {
                upstream: upstream.address.to_string(),
                rcode: rcode.to_owned()
            }
        );
    }
}

#[tokio::test]
async fn a_referral_is_no_answer() {
    let upstream = TestUpstream::start(Script {
        authorities: vec![wire(
            "example.",
            RData::NS(NS(WireName::from_ascii("ns.example.").unwrap())),
        )],
        ..Script::default()
    })
    .await;
    let failure = ask(&forwarder(upstream.group()), &question("www.example A")).await;
    assert!(matches!(failure, Err(LegacyFailure::Code { rcode, .. }) if rcode == "a referral"));
}

#[tokio::test]
async fn another_upstream_is_asked_after_a_refusal() {
    let refusing = TestUpstream::start(Script {
        code: Some(ResponseCode::Refused),
        ..Script::default()
    })
    .await;
    let answering = TestUpstream::start(Script {
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(group(&[refusing.address, answering.address]));
    for _ in 0..5 {
        let answered = ask(&forwarder, &question("www.example A")).await.unwrap();
        assert_eq!(answered.upstream, answering.address.to_string());
    }
}

#[tokio::test]
async fn truncation_leads_to_tcp() {
    let upstream = TestUpstream::start(Script {
        truncated_over_udp: true,
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(upstream.group());
    let reply = ask(&forwarder, &question("www.example A"))
        .await
        .unwrap()
        .reply;
    assert_eq!(kinds(&reply.answers), "www.example. 300 A");
    assert_eq!(upstream.protocols(), [Protocol::Udp, Protocol::Tcp]);
}

#[tokio::test]
async fn a_large_answer_arrives_whole_and_in_order() {
    let texts: Vec<WireRecord> = (0..250)
        .map(|number| {
            let text = format!("{number:03}{}", "x".repeat(200));
            wire("www.example.", RData::TXT(TXT::new(vec![text])))
        })
        .collect();
    let upstream = TestUpstream::start(Script {
        answers: texts,
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(upstream.group());
    let reply = ask(&forwarder, &question("www.example TXT"))
        .await
        .unwrap()
        .reply;
    let numbers: Vec<&[u8]> = reply
        .answers
        .iter()
        .map(|record| &record.rdata.as_bytes()[1..4])
        .collect();
    let expected: Vec<String> = (0..250).map(|number| format!("{number:03}")).collect();
    assert_eq!(
        numbers,
        expected.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
    assert_eq!(upstream.protocols(), [Protocol::Udp, Protocol::Tcp]);
}

#[tokio::test]
async fn data_of_unknown_types_is_untouched() {
    let bytes = [0xc0, 0x0c, 0, 255, b'A', 7];
    let upstream = TestUpstream::start(Script {
        answers: vec![raw("www.example.", 65_280, &bytes)],
        ..Script::default()
    })
    .await;
    let question = question("www.example TYPE65280");
    let reply = ask(&forwarder(upstream.group()), &question)
        .await
        .unwrap()
        .reply;
    assert_eq!(kinds(&reply.answers), "www.example. 300 TYPE65280");
    assert_eq!(reply.answers[0].rdata.as_bytes(), bytes);
}

#[tokio::test]
async fn tcp_only_upstreams_never_see_udp_and_share_a_connection() {
    let upstream = TestUpstream::start(Script {
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    let forwarder = forwarder(UpstreamGroup {
        upstreams: vec![Upstream {
            address: upstream.address,
            transport: Transport::Tcp,
        }],
        trust_ad: false,
    });
    for _ in 0..3 {
        ask(&forwarder, &question("www.example A")).await.unwrap();
    }
    assert_eq!(upstream.protocols(), [Protocol::Tcp; 3]);
}

#[tokio::test]
async fn dead_upstreams_do_not_hide_a_living_one() {
    let living = TestUpstream::start(Script {
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    let (_one, first) = silent().await;
    let (_two, second) = silent().await;
    for addresses in [
        vec![first, living.address],
        vec![first, second, living.address],
    ] {
        let forwarder = forwarding(ForwardPlan {
            default: group(&addresses),
            deadline_ms: 1_600,
            ..ForwardPlan::default()
        });
        let answered = ask(&forwarder, &question("www.example A")).await.unwrap();
        assert_eq!(answered.upstream, living.address.to_string());
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_refused_connection_is_unreachable() {
    let (_socket, address) = silent().await;
    let silence = forwarder(group(&[address]))
        .ask(&question("www.example A"), 20)
        .await;
    assert_eq!(silence.unwrap_err(), LegacyFailure::Timeout);
    let refused = forwarder(UpstreamGroup {
        upstreams: vec![Upstream {
            address,
            transport: Transport::Tcp,
        }],
        trust_ad: false,
    });
    let refused = ask(&refused, &question("www.example A")).await;
    assert!(
        matches!(refused, Err(LegacyFailure::Unreachable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn many_questions_at_once_are_all_answered() {
    const QUESTIONS: usize = 300;
    let upstream = TestUpstream::start(Script {
        answers: vec![address("www.example.", 1)],
        ..Script::default()
    })
    .await;
    for transport in [Transport::UdpAndTcp, Transport::Tcp] {
        let forwarder = Arc::new(forwarder(UpstreamGroup {
            upstreams: vec![Upstream {
                address: upstream.address,
                transport: transport.clone(),
            }],
            trust_ad: false,
        }));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..QUESTIONS {
            let forwarder = Arc::clone(&forwarder);
            tasks.spawn(async move {
                let question = question(&format!("n{number}.example A"));
                ask(&forwarder, &question).await.map(|_| ())
            });
        }
        let outcomes = tasks.join_all().await;
        let failures: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_err()).collect();
        assert!(
            failures.is_empty(),
            "{transport:?} {} {:?}",
            failures.len(),
            failures.first()
        );
    }
}
