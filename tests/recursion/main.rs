//! Recursion and validation against a hierarchy of other people's servers on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod hierarchy;
mod minimised;
mod program;

use kedge::adapters::legacy::recursion::Recursion;
use kedge::adapters::legacy::roots::{BadRecursion, RecursionPlan, read_anchors, read_hints};
use kedge::namespace::record::Record;
use kedge::resolution::legacy::{Flaw, LegacyCode, LegacyFailure, LegacyQuestion, LegacyReply};
use kedge::service::ports::LegacyDns;
use kedge::service::steps::StepLog;

use hierarchy::Hierarchy;

const PATIENCE_MS: u64 = 10_000;

fn plan(hierarchy: &Hierarchy) -> RecursionPlan {
    RecursionPlan {
        roots: read_hints(&hierarchy.hints()).unwrap(),
        anchors: Some(read_anchors(&hierarchy.anchors()).unwrap()),
        allowed: vec!["127.0.1.0/24".parse().unwrap()],
        port: hierarchy.port,
        ..RecursionPlan::default()
    }
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

/// The reply and the steps to it.
async fn traced(
    recursion: &Recursion,
    question: &LegacyQuestion,
) -> (Result<LegacyReply, LegacyFailure>, Vec<String>) {
    let log = StepLog::default();
    let asked = log.collect(recursion.ask(question, PATIENCE_MS)).await;
    (asked.map(|answered| answered.reply), log.take())
}

async fn ask(recursion: &Recursion, text: &str) -> Result<LegacyReply, LegacyFailure> {
    let (reply, steps) = traced(recursion, &question(text)).await;
    // Shown with a failure only.
    eprintln!("{text}: {reply:?}\n  {}", steps.join("\n  "));
    reply
}

fn shown(records: &[Record]) -> String {
    let lines: Vec<String> = records
        .iter()
        .map(|record| {
            format!(
                "{} {} {}",
                record.owner,
                record.kind,
                record.rdata.to_text(record.kind)
            )
        })
        .collect();
    lines.join(", ")
}

/// Code, AD and answers in a line.
fn line(reply: &LegacyReply) -> String {
    let code = match reply.code {
        LegacyCode::NoError => "NOERROR",
        LegacyCode::NxDomain => "NXDOMAIN",
    };
    let ad = if reply.authentic { " ad" } else { "" };
    let answers = shown(&reply.answers);
    format!("{code}{ad} {answers}").trim_end().to_owned()
}

/// Questions, and what comes of them.
const STANDINGS: &[(&str, &str)] = &[
    ("www.good.alpha A", "NOERROR ad www.good.alpha. A 192.0.2.1"),
    (
        "www.secure.beta A",
        "NOERROR ad www.secure.beta. A 192.0.2.2",
    ),
    ("www.plain.alpha A", "NOERROR www.plain.alpha. A 192.0.2.2"),
    // Under NSEC3 with opt-out.
    (
        "www.unsigned.beta A",
        "NOERROR www.unsigned.beta. A 192.0.2.2",
    ),
    ("none.good.alpha A", "NXDOMAIN ad"),
    ("www.good.alpha AAAA", "NOERROR ad"),
    ("none.secure.beta A", "NXDOMAIN ad"),
    // An unsigned delegation of that name may exist (RFC 5155 section 9.2).
    ("none.beta A", "NXDOMAIN"),
    ("www.secure.beta AAAA", "NOERROR ad"),
    ("none.plain.alpha A", "NXDOMAIN"),
    ("none A", "NXDOMAIN ad"),
    (
        "a.wild.good.alpha TXT",
        "NOERROR ad a.wild.good.alpha. TXT \"w\"",
    ),
    (
        "a.b.wild.good.alpha TXT",
        "NOERROR ad a.b.wild.good.alpha. TXT \"w\"",
    ),
    ("a.wild.good.alpha A", "NOERROR ad"),
    (
        "a.wild.secure.beta TXT",
        "NOERROR ad a.wild.secure.beta. TXT \"w\"",
    ),
    (
        "a.wild.plain.alpha TXT",
        "NOERROR a.wild.plain.alpha. TXT \"w\"",
    ),
    // One step of a chain each: the next name is another question.
    (
        "alias.good.alpha A",
        "NOERROR ad alias.good.alpha. CNAME www.secure.beta.",
    ),
    (
        "dangling.good.alpha A",
        "NOERROR ad dangling.good.alpha. CNAME none.secure.beta.",
    ),
    (
        "b.wildalias.good.alpha A",
        "NOERROR ad b.wildalias.good.alpha. CNAME www.good.alpha.",
    ),
    (
        "alias.good.alpha CNAME",
        "NOERROR ad alias.good.alpha. CNAME www.secure.beta.",
    ),
    (
        "www.tree.good.alpha A",
        "NOERROR ad tree.good.alpha. DNAME secure.beta., www.tree.good.alpha. CNAME \
             www.secure.beta.",
    ),
    // One server of two refuses.
    (
        "www.halflame.alpha A",
        "NOERROR www.halflame.alpha. A 192.0.2.2",
    ),
];

#[tokio::test]
async fn names_are_found_from_the_root_down_and_stand_as_their_zones_do() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let recursion = Recursion::new(plan(&hierarchy)).unwrap();
    for (asked, expected) in STANDINGS {
        let reply = ask(&recursion, asked).await.unwrap();
        assert_eq!(line(&reply), *expected, "{asked}");
        if reply.answers.is_empty() {
            let soa = reply
                .authorities
                .iter()
                .any(|row| row.kind.to_string() == "SOA");
            assert!(soa, "{asked}: {}", shown(&reply.authorities));
        }
        assert!(reply.additionals.is_empty(), "{asked}");
    }
    for asked in [
        ". NS",
        ". DNSKEY",
        "alpha DS",
        "alpha SOA",
        "good.alpha DNSKEY",
        "good.alpha NS",
    ] {
        let reply = ask(&recursion, asked).await.unwrap();
        assert!(reply.authentic && !reply.answers.is_empty(), "{asked}");
    }
    // As many labels as a reverse name of IPv6.
    let deep = format!("{}good.alpha A", "1.".repeat(32));
    assert_eq!(line(&ask(&recursion, &deep).await.unwrap()), "NXDOMAIN ad");
    let big = ask(&recursion, "big.good.alpha TXT").await.unwrap();
    assert!(big.answers[0].rdata.as_bytes().len() > 2_000);
    assert!(big.authentic);
}

#[tokio::test]
async fn broken_zones_are_bogus_and_the_flaw_is_named() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let recursion = Recursion::new(plan(&hierarchy)).unwrap();
    for (asked, expected) in [
        ("www.expired.alpha A", Flaw::Expired),
        ("none.expired.alpha A", Flaw::Expired),
        ("www.forged.alpha A", Flaw::Wrong),
        ("www.wrongds.alpha A", Flaw::NoKey),
        ("none.wrongds.alpha A", Flaw::NoKey),
        ("www.stripped.alpha A", Flaw::NoSignature),
        ("none.stripped.alpha A", Flaw::NoSignature),
    ] {
        match ask(&recursion, asked).await {
            Err(LegacyFailure::Bogus { flaw, text }) => {
                assert_eq!(flaw, expected, "{asked}: {text}");
            }
            other => panic!("{asked}: {other:?}"),
        }
    }
    // What the client checks itself is not judged here.
    let unchecked = LegacyQuestion {
        checking_disabled: true,
        dnssec_ok: true,
        ..question("www.forged.alpha A")
    };
    let (reply, _) = traced(&recursion, &unchecked).await;
    let reply = reply.unwrap();
    assert!(!reply.authentic);
    assert_eq!(reply.answers[0].rdata.as_bytes(), [192, 0, 2, 66]);
    assert_eq!(reply.answers[1].kind.to_string(), "RRSIG");
}

#[tokio::test]
async fn nothing_holds_under_a_foreign_root_key() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let anchors = Some(read_anchors(&hierarchy.foreign_anchors()).unwrap());
    let recursion = Recursion::new(RecursionPlan {
        anchors,
        ..plan(&hierarchy)
    })
    .unwrap();
    for asked in ["www.good.alpha A", "none.good.alpha A", "www.plain.alpha A"] {
        let outcome = ask(&recursion, asked).await;
        assert!(
            matches!(outcome, Err(LegacyFailure::Bogus { .. })),
            "{asked}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn negative_trust_anchors_and_switched_off_validation_let_broken_zones_answer() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let excused = Recursion::new(RecursionPlan {
        negative_anchors: vec!["expired.alpha".parse().unwrap()],
        ..plan(&hierarchy)
    })
    .unwrap();
    let reply = ask(&excused, "www.expired.alpha A").await.unwrap();
    assert_eq!(line(&reply), "NOERROR www.expired.alpha. A 192.0.2.2");
    assert!(ask(&excused, "www.forged.alpha A").await.is_err());
    let reply = ask(&excused, "www.good.alpha A").await.unwrap();
    assert!(reply.authentic, "beside the negative anchor");
    let off = Recursion::new(RecursionPlan {
        validates: false,
        ..plan(&hierarchy)
    })
    .unwrap();
    for asked in ["www.forged.alpha A", "www.good.alpha A"] {
        let reply = ask(&off, asked).await.unwrap();
        assert!(!reply.authentic, "{asked}");
    }
}

#[tokio::test]
async fn signatures_and_proofs_come_with_do() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let recursion = Recursion::new(plan(&hierarchy)).unwrap();
    for (asked, answers, authorities) in [
        ("www.good.alpha A", "A RRSIG", ""),
        ("alias.good.alpha A", "CNAME RRSIG", ""),
        ("a.wild.good.alpha TXT", "RRSIG TXT", "NSEC RRSIG"),
        ("none.good.alpha A", "", "NSEC NSEC RRSIG RRSIG RRSIG SOA"),
    ] {
        let secured = LegacyQuestion {
            dnssec_ok: true,
            ..question(asked)
        };
        let (reply, steps) = traced(&recursion, &secured).await;
        eprintln!("{asked}: {reply:?}\n  {}", steps.join("\n  "));
        let reply = reply.unwrap();
        assert!(reply.authentic, "{asked}");
        let kinds = |records: &[Record]| {
            let mut kinds: Vec<String> = records.iter().map(|row| row.kind.to_string()).collect();
            kinds.sort();
            kinds.join(" ")
        };
        assert_eq!(kinds(&reply.answers), answers, "{asked}");
        assert_eq!(kinds(&reply.authorities), authorities, "{asked}");
    }
}

#[tokio::test]
async fn lame_looping_silent_and_forbidden_servers_end_in_a_failure_in_time() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let recursion = Recursion::new(plan(&hierarchy)).unwrap();
    for asked in ["www.lame.alpha A", "www.loop.alpha A", "www.inward.alpha A"] {
        let outcome = ask(&recursion, asked).await;
        assert!(
            matches!(outcome, Err(LegacyFailure::NoAuthority(_))),
            "{asked}: {outcome:?}"
        );
    }
    let (outcome, _) = traced(&recursion, &question("www.slow.alpha A")).await;
    assert_eq!(outcome, Err(LegacyFailure::Timeout));
    // The caller's patience is shorter than the one with a server.
    let patience_ms = 300;
    let begun = tokio::time::Instant::now();
    let outcome = recursion
        .ask(&question("x.slow.alpha A"), patience_ms)
        .await;
    let took_ms = begun.elapsed().as_millis();
    assert_eq!(outcome.unwrap_err(), LegacyFailure::Timeout);
    assert!((300..1_000).contains(&took_ms), "{took_ms} ms");
}

#[tokio::test]
async fn a_question_has_a_budget_and_forbidden_roots_are_refused() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let queries_max = 5;
    let thrifty = Recursion::new(RecursionPlan {
        queries_max,
        ..plan(&hierarchy)
    })
    .unwrap();
    let (outcome, steps) = traced(&thrifty, &question("www.good.alpha A")).await;
    assert_eq!(outcome, Err(LegacyFailure::TooCostly(queries_max)));
    let sent = steps.iter().filter(|step| step.starts_with("127.")).count();
    assert_eq!(sent, usize::try_from(queries_max).unwrap(), "{steps:?}");
    let closed = RecursionPlan {
        allowed: Vec::new(),
        ..plan(&hierarchy)
    };
    assert!(matches!(
        Recursion::new(closed),
        Err(BadRecursion::DeniedRoot(_))
    ));
}

#[tokio::test]
async fn what_was_learnt_is_used_again_until_it_is_forgotten() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let recursion = Recursion::new(plan(&hierarchy)).unwrap();
    let asked = |steps: &[String]| steps.iter().filter(|step| step.starts_with("127.")).count();
    let (_, first) = traced(&recursion, &question("www.good.alpha A")).await;
    let (_, second) = traced(&recursion, &question("ns.good.alpha A")).await;
    assert!(asked(&first) > asked(&second), "{first:?} {second:?}");
    recursion.forget();
    let (_, third) = traced(&recursion, &question("ns.good.alpha A")).await;
    assert!(asked(&third) > asked(&second), "{third:?}");
    assert!(
        first[0].contains("referral to the servers of alpha."),
        "{first:?}"
    );
    assert_eq!(first.last().unwrap(), "validated: secure");
}
