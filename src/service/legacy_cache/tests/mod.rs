//! The cache before a scripted upstream and a clock that is moved by hand.

mod ahead;
mod flying;
mod keeping;
mod looking;
mod sudden;

use super::*;
use crate::base::time::Ttl;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;
use crate::resolution::legacy::{Flaw, LegacyCode};
use crate::service::ports::LegacyAnswered;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Notify;
use tokio::task::JoinSet;

const START_MS: u64 = 1_700_000_000_000;
const PATIENCE_MS: u64 = 4_000;

#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    fn set_secs(&self, secs: u64) {
        self.0.store(START_MS + secs * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

type Outcome = Result<LegacyReply, LegacyFailure>;

/// Gives the same outcome until it is given another; may be held.
#[derive(Clone)]
struct Upstream {
    outcome: Arc<Mutex<Outcome>>,
    asked: Arc<AtomicUsize>,
    held: Arc<Semaphore>,
    arrived: Arc<Notify>,
}

impl LegacyDns for Upstream {
    async fn ask(
        &self,
        _question: &LegacyQuestion,
        _patience_ms: u64,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.arrived.notify_one();
        drop(self.held.acquire().await.unwrap());
        let reply = self.outcome.lock().unwrap().clone()?;
        Ok(LegacyAnswered {
            reply,
            upstream: "upstream".to_owned(),
        })
    }
}

struct World {
    cache: Arc<CachedLegacy<Upstream, ManualClock>>,
    upstream: Upstream,
    clock: ManualClock,
}

impl World {
    fn new(outcome: Outcome) -> Self {
        Self::with(outcome, LegacyCacheSettings::default())
    }

    fn with(outcome: Outcome, settings: LegacyCacheSettings) -> Self {
        let clock = ManualClock::default();
        clock.set_secs(0);
        let upstream = Upstream {
            outcome: Arc::new(Mutex::new(outcome)),
            asked: Arc::default(),
            held: Arc::new(Semaphore::new(1)),
            arrived: Arc::default(),
        };
        let cache = CachedLegacy::new(upstream.clone(), clock.clone(), settings);
        Self {
            cache: Arc::new(cache),
            upstream,
            clock,
        }
    }

    fn now_gives(&self, outcome: Outcome) {
        *self.upstream.outcome.lock().unwrap() = outcome;
    }

    fn asked(&self) -> usize {
        self.upstream.asked.load(Ordering::SeqCst)
    }

    async fn ask(&self, text: &str) -> Result<CacheAnswer, CacheFailure> {
        self.cache.ask(&question(text), PATIENCE_MS).await
    }

    /// The state and the TTLs of an answer at a time, as text.
    async fn at(&self, secs: u64, text: &str) -> String {
        self.clock.set_secs(secs);
        match self.ask(text).await {
            Ok(answer) => shown(&answer),
            Err(failure) => failure.to_string(),
        }
    }
}

fn shown(answer: &CacheAnswer) -> String {
    let ttls = |records: &[Record]| {
        let ttls = records.iter().map(|record| record.ttl.to_string());
        ttls.collect::<Vec<_>>().join(" ")
    };
    let reply = &answer.reply;
    format!(
        "{:?} [{}] [{}] [{}]",
        answer.state,
        ttls(&reply.answers),
        ttls(&reply.authorities),
        ttls(&reply.additionals)
    )
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

fn record(kind: RecordType, ttl: u32, data: &[u8]) -> Record {
    Record {
        owner: "a.example".parse().unwrap(),
        kind,
        ttl: Ttl::from_secs(ttl),
        rdata: Rdata::from_wire(kind, data).unwrap(),
    }
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let mut data = b"\x02ns\0\x04host\0".to_vec();
    for field in [7, 1, 2, 3, minimum] {
        data.extend_from_slice(&u32::to_be_bytes(field));
    }
    record(RecordType::SOA, ttl, &data)
}

fn reply(code: LegacyCode, answers: Vec<Record>, authorities: Vec<Record>) -> LegacyReply {
    LegacyReply {
        code,
        authentic: false,
        answers,
        authorities,
        additionals: Vec::new(),
    }
}

fn address(ttl: u32) -> Record {
    record(RecordType::A, ttl, &[192, 0, 2, 1])
}

fn positive(ttl: u32) -> LegacyReply {
    reply(LegacyCode::NoError, vec![address(ttl)], Vec::new())
}

fn absent(soa: Record) -> LegacyReply {
    reply(LegacyCode::NxDomain, Vec::new(), vec![soa])
}

fn servfail() -> LegacyFailure {
    LegacyFailure::Code {
        upstream: "upstream".to_owned(),
        rcode: "SERVFAIL".to_owned(),
    }
}

fn spawn_ask(world: &World, tasks: &mut JoinSet<Result<CacheAnswer, CacheFailure>>) {
    let cache = Arc::clone(&world.cache);
    tasks.spawn(async move { cache.ask(&question("a.example A"), PATIENCE_MS).await });
}
