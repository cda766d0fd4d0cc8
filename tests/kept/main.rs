//! Answers that are kept, of datagrams and of streams, against answers made anew: the same bytes, whatever changed in
//! between.

#![allow(
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use kedge::adapters::dns::{
    Guard, GuardParts, GuardPlan, Line, Reply, Responder, Transport, WireAnswers,
};
use kedge::base::identity::Identity;
use kedge::service::ports::Clock as _;
use proptest::prelude::*;
use support::MemoryStore;
use support::parts::TestParts;
use support::talk::{Talk, question_of};
use support::wire::lines;

const START: &str = "\
APEX mesh.internal
SCOPE eu.mesh.internal
PUT api.eu.mesh.internal A 10.1.0.1
PUT db.eu.mesh.internal A 10.1.0.2 | 10.1.0.3
PUT db.eu.mesh.internal TXT \"a\"
PUT *.wild.mesh.internal A 10.1.0.4
PUT alias.mesh.internal CNAME www.corp.example.
PUT out.mesh.internal CNAME www.example.com.
PUT mail.mesh.internal MX 10 api.eu.mesh.internal.
ZONE corp.example
  $TTL 300
  @ SOA ns1 hostmaster 1 3600 600 604800 60
  @ NS ns1
  ns1 A 192.0.2.53
  www A 192.0.2.80
  back CNAME api.eu.mesh.internal.
UPSTREAM www.example.com A -> NOERROR
  www.example.com. 30 A 192.0.2.44
UPSTREAM short.example.com A -> NOERROR
  short.example.com. 2 CNAME www.example.com.
  www.example.com. 30 A 192.0.2.44
UPSTREAM in.example.com A -> NOERROR
  in.example.com. 30 CNAME api.eu.mesh.internal.
RULE both.example governed-first on=absent map=mesh.internal
RULE first.eu.mesh.internal legacy-first on=absent map=www.corp.example
RULE old.example legacy-only map=example.com
";

const NAMES: [&str; 27] = [
    "mesh.internal",
    "eu.mesh.internal",
    "api.eu.mesh.internal",
    "db.eu.mesh.internal",
    "new.eu.mesh.internal",
    "moved.eu.mesh.internal",
    "nope.eu.mesh.internal",
    "x.wild.mesh.internal",
    "alias.mesh.internal",
    "out.mesh.internal",
    "mail.mesh.internal",
    "_gov.api.eu.mesh.internal",
    "_v1._ver.api.eu.mesh.internal",
    "_view._act.db.eu.mesh.internal",
    "_pay._act.db.eu.mesh.internal",
    "_pay._act.new.eu.mesh.internal",
    "first.eu.mesh.internal",
    "corp.example",
    "www.corp.example",
    "back.corp.example",
    "nope.corp.example",
    "www.example.com",
    "short.example.com",
    "in.example.com",
    "nope.example.com",
    "www.old.example",
    "api.both.example",
];
const KINDS: [u16; 7] = [1, 28, 16, 15, 5, 6, 255];
const CALLERS: [&str; 6] = [
    "127.0.0.1",
    "127.0.0.2",
    "10.0.0.1",
    "10.9.0.1",
    "::1",
    "203.0.113.1",
];
const POLICIES: [&str; 7] = [
    "",
    "127.0.0.0/8=allow 10.0.0.0/8=refuse",
    "127.0.0.1/32=allow 0.0.0.0/0=hide",
    "type+TXT=refuse 0.0.0.0/0=allow ::/0=allow",
    "name+db=hide 127.0.0.0/8=allow",
    "hours+08:00-18:00=allow",
    "transport+udp=allow",
];

struct Both {
    talk: Talk,
    responder: Responder<TestParts<MemoryStore>>,
    kept: WireAnswers<TestParts<MemoryStore>>,
    transport: Transport,
}

impl Both {
    fn new(transport: Transport) -> Self {
        let talk = Talk::with(START);
        let plan = GuardPlan {
            cookies: true,
            ..GuardPlan::default()
        };
        let parts = GuardParts {
            plan,
            secrets: None,
        };
        let guard = Guard::new(parts, &[7; 32], talk.world.clock.now());
        let guard = Arc::new(ArcSwap::from_pointee(guard));
        let responder = talk.world.responder().with_guard(guard);
        let kept = WireAnswers::new(responder.clone(), transport, 1 << 20);
        Self {
            talk,
            responder,
            kept,
            transport,
        }
    }

    fn kept(&mut self, query: &[u8], from: SocketAddr) -> Vec<u8> {
        let line = Line::plain(from, self.transport);
        self.kept_on(query, &line)
    }

    fn kept_on(&mut self, query: &[u8], line: &Line<'_>) -> Vec<u8> {
        let mut reply = Vec::new();
        self.kept.look_up();
        match self.kept.answer(query, line, &mut reply) {
            None => reply,
            Some(later) => {
                let finish = self.responder.finish(*later, line.from);
                self.talk.world.wait(finish).unwrap_or_default()
            }
        }
    }

    fn anew(&self, query: &[u8], from: SocketAddr) -> Vec<u8> {
        match self.responder.begin(query, from, self.transport) {
            Reply::None => Vec::new(),
            Reply::Ready(reply) => reply,
            Reply::Later(later) => {
                let finish = self.responder.finish(*later, from);
                self.talk.world.wait(finish).unwrap_or_default()
            }
        }
    }

    /// Asks both ways, and the kept one again.
    fn ask(&mut self, query: &[u8], from: SocketAddr) -> Result<(), TestCaseError> {
        // The first one may be the one that legacy DNS is asked for.
        drop(self.anew(query, from));
        let anew = self.anew(query, from);
        for _ in 0..2 {
            let kept = self.kept(query, from);
            prop_assert_eq!(&kept, &anew, "{:?} from {}", lines_of(&kept), from);
        }
        Ok(())
    }
}

fn lines_of(reply: &[u8]) -> Vec<String> {
    // Without EDNS there are no lines.
    let has_edns = reply.get(11) == Some(&1);
    if has_edns { lines(reply) } else { Vec::new() }
}

fn from(caller: &str) -> SocketAddr {
    SocketAddr::new(caller.parse::<IpAddr>().unwrap(), 5_353)
}

/// A question as clients send it: in letters of any case, with flags and sizes of their own.
fn query(name: &str, kind: u16, (case, flags, size): (u64, u8, Option<u16>)) -> Vec<u8> {
    let mut query = vec![case.to_le_bytes()[0], flags];
    let bit = |bit: u8, value: u8| if flags & bit != 0 { value } else { 0 };
    query.extend([bit(1, 0x01), bit(2, 0x10) | bit(4, 0x20)]);
    query.extend([0, 1, 0, 0, 0, 0, 0, u8::from(size.is_some())]);
    let wire = question_of(name).name;
    for (at, byte) in wire.as_wire().iter().enumerate() {
        let upper = case >> (at % 64) & 1 == 1 && byte.is_ascii_lowercase();
        query.push(if upper {
            byte.to_ascii_uppercase()
        } else {
            *byte
        });
    }
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    if let Some(size) = size {
        query.extend([0, 0, 41]);
        query.extend(size.to_be_bytes());
        query.extend([0, 0, bit(8, 0x80), 0]);
        if flags & 16 != 0 {
            query.extend([0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        } else {
            query.extend([0, 0]);
        }
    }
    query
}

#[derive(Debug, Clone)]
enum Step {
    Ask(usize, usize, usize, (u64, u8, Option<u16>)),
    Put(usize, u8),
    Remove(usize),
    Retire(usize),
    Rename(usize, usize),
    Policy(bool, usize),
    Zone(u8),
    Pass(u64),
    Break(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![
        Just(None),
        Just(Some(0)),
        Just(Some(512)),
        Just(Some(1_232)),
        Just(Some(4_096))
    ];
    let manner = (any::<u64>(), 0..32_u8, size);
    let name = 0..NAMES.len();
    let governed = 2..11_usize;
    prop_oneof![
        24 => (name, 0..KINDS.len(), 0..CALLERS.len(), manner)
            .prop_map(|(name, kind, caller, manner)| Step::Ask(name, kind, caller, manner)),
        3 => (governed.clone(), any::<u8>()).prop_map(|(name, last)| Step::Put(name, last)),
        1 => governed.clone().prop_map(Step::Remove),
        1 => governed.clone().prop_map(Step::Retire),
        1 => (governed.clone(), governed).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (any::<bool>(), 0..POLICIES.len()).prop_map(|(top, which)| Step::Policy(top, which)),
        1 => any::<u8>().prop_map(Step::Zone),
        3 => (0..40_u64).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Break),
    ]
}

fn take(both: &mut Both, step: &Step) -> Result<(), TestCaseError> {
    let name = |at: usize| support::name(&format!("{}.", NAMES[at]));
    let world = &both.talk.world;
    // What is refused changes nothing, and that is as good.
    match step {
        Step::Ask(at, kind, caller, manner) => {
            let query = query(NAMES[*at], KINDS[*kind], *manner);
            return both.ask(&query, from(CALLERS[*caller]));
        }
        Step::Put(at, last) => drop(world.put(
            &name(*at),
            kedge::namespace::rtype::RecordType::A,
            &[&format!("10.2.0.{last}")],
        )),
        Step::Remove(at) => {
            drop(world.remove(&name(*at), kedge::namespace::rtype::RecordType::A));
        }
        Step::Retire(at) => drop(world.retire(&name(*at))),
        Step::Rename(at, to) => drop(world.rename(&name(*at), &name(*to), false)),
        Step::Policy(top, which) => {
            let scope = if *top {
                "mesh.internal"
            } else {
                "eu.mesh.internal"
            };
            let policy = format!("POLICY {scope} {}", POLICIES[*which]);
            both.talk.then(policy.trim_end());
        }
        Step::Zone(last) => {
            let zone = format!(
                "ZONE corp.example\n  $TTL 300\n  @ SOA ns1 hostmaster 1 3600 600 604800 60\n  \
                 @ NS ns1\n  ns1 A 192.0.2.53\n  www A 192.0.2.{last}"
            );
            both.talk.then(&zone);
        }
        Step::Pass(secs) => world.clock.pass_secs(*secs),
        Step::Break(broken) => world.legacy.set_broken(*broken),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn kept_bytes_are_the_bytes_made_anew(
        steps in proptest::collection::vec(any_step(), 1..80),
    ) {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut both = Both::new(transport);
            for step in &steps {
                take(&mut both, step)?;
            }
        }
    }
}

#[test]
fn a_change_is_in_the_very_next_answer() {
    let mut both = Both::new(Transport::Udp);
    let question = query("api.eu.mesh.internal", 1, (0, 1, Some(1_232)));
    let name = support::name("api.eu.mesh.internal.");
    let kind = kedge::namespace::rtype::RecordType::A;
    for number in 0..2_000_u16 {
        let [high, low] = number.to_be_bytes();
        let address = format!("10.3.{high}.{low}");
        both.talk.world.put(&name, kind, &[&address]).unwrap();
        for _ in 0..2 {
            let reply = both.kept(&question, from("127.0.0.1"));
            assert!(
                lines(&reply)[1].ends_with(&format!(" A {address}")),
                "{number}"
            );
        }
    }
}

#[test]
fn what_is_kept_is_answered_without_the_store() {
    let mut both = Both::new(Transport::Udp);
    for (name, is_kept) in [
        ("api.eu.mesh.internal", true),
        ("nope.eu.mesh.internal", true),
        ("www.corp.example", true),
        ("back.corp.example", true),
        ("first.eu.mesh.internal", true),
        ("_view._act.db.eu.mesh.internal", true),
        ("_pay._act.db.eu.mesh.internal", false),
        ("_pay._act.nope.eu.mesh.internal", false),
    ] {
        let question = query(name, 1, (0, 1, Some(1_232)));
        let first = both.kept(&question, from("127.0.0.1"));
        both.talk.world.store.fail_after(0);
        let again = both.kept(&question, from("127.0.0.99"));
        both.talk.world.store.mend();
        assert_eq!(first == again, is_kept, "{name}");
    }
}

#[test]
fn answers_of_legacy_dns_are_kept_for_their_time_and_counted() {
    let mut both = Both::new(Transport::Udp);
    let question = query("www.example.com", 1, (0, 1, Some(1_232)));
    let mut ttl = |after: u64| {
        both.talk.world.clock.pass_secs(after);
        let reply = both.kept(&question, from("127.0.0.1"));
        lines(&reply)[1].clone()
    };
    assert_eq!(ttl(0), "www.example.com. 30 A 192.0.2.44");
    assert_eq!(ttl(10), "www.example.com. 20 A 192.0.2.44");
    assert_eq!(ttl(19), "www.example.com. 1 A 192.0.2.44");
    assert_eq!(ttl(1), "www.example.com. 30 A 192.0.2.44");
    let stats = both.responder.legacy_stats();
    assert_eq!((stats.exchanges, stats.hits), (2, 2));
}

/// The question with a cookie in place of the options that it has not.
fn with_cookie(cookie: &[u8]) -> Vec<u8> {
    let mut question = query("api.eu.mesh.internal", 1, (0, 1, Some(1_232)));
    let length = u8::try_from(cookie.len()).unwrap();
    question.truncate(question.len() - 2);
    question.extend([0, length + 4, 0, 10, 0, length]);
    question.extend(cookie);
    question
}

#[test]
fn a_kept_answer_ends_with_the_cookie_of_whoever_asks() {
    let mut both = Both::new(Transport::Udp);
    let mut known = both.kept(&with_cookie(b"client-1"), from("127.0.0.1"));
    let first = known.split_off(known.len() - 24);
    assert!(first.starts_with(b"client-1\x01\0\0\0"), "{first:?}");
    both.talk.world.store.fail_after(0);
    for (cookie, caller) in [(&b"client-2"[..], "127.0.0.2"), (&first, "127.0.0.1")] {
        let reply = both.kept(&with_cookie(cookie), from(caller));
        let anew = reply.split_last_chunk::<24>().unwrap();
        assert_eq!(anew.0, known, "all else is alike");
        assert!(anew.1.starts_with(&cookie[..8]));
        assert_eq!(anew.1 == first.as_slice(), cookie == first, "{caller}");
    }
    let without = query("api.eu.mesh.internal", 1, (0, 1, Some(1_232)));
    let reply = both.kept(&without, from("127.0.0.1"));
    assert_eq!(lines(&reply)[0], "SERVFAIL ra", "the store was asked");
}

#[test]
fn what_is_kept_is_for_one_transport_and_for_who_shows_no_certificate() {
    let mut both = Both::new(Transport::Tls);
    let question = query("api.eu.mesh.internal", 1, (0, 1, Some(1_232)));
    let plain = Line::plain(from("127.0.0.1"), Transport::Tls);
    let known = Identity::from_dns_name("ci.example").unwrap();
    let first = both.kept_on(&question, &plain);
    both.talk.world.store.fail_after(0);
    assert_eq!(both.kept_on(&question, &plain), first);
    let certificate = Some(&known);
    for other in [
        Line {
            certificate,
            ..plain
        },
        Line {
            transport: Transport::Tcp,
            ..plain
        },
    ] {
        let reply = both.kept_on(&question, &other);
        assert_eq!(lines(&reply)[0], "SERVFAIL ra", "the store was asked");
    }
}
