//! `Runners`: the upstreams of one group, of which the quickest is asked first, and others beside it
//! when it takes longer than it usually does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::NameServerPool;
use hickory_resolver::net::NetError;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use tokio::time::{Instant, sleep};

use crate::resolution::legacy::LegacyReply;
use crate::service::legacy_cache::UpstreamStanding;
use crate::service::steps::note_step;

use super::asking::Asked;
use super::datagrams::{Came as Heard, Datagrams};
use super::line::{Lines, Refusal};
use super::reply;
use super::speed::{Came, PATIENCE_MAX, Speed, line_up};
use super::upstream::Upstream;

/// One that said nothing for so long when everybody's time was up cannot be reached.
const SILENCE_MAX: Duration = Duration::from_millis(800);

/// What is known of each upstream, whatever groups it is in.
#[derive(Debug, Default)]
pub(super) struct Speeds {
    each: BTreeMap<Upstream, Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    speed: Arc<Mutex<Speed>>,
    began: Instant,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Speed> {
        // It is whole between any two statements.
        self.speed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Speeds {
    fn of(&mut self, upstream: &Upstream) -> Shared {
        let began = Instant::now();
        let shared = || Shared {
            speed: Arc::default(),
            began,
        };
        let shared = self.each.entry(upstream.clone()).or_insert_with(shared);
        shared.clone()
    }

    /// How each upstream does.
    pub(super) fn standing(&self) -> Vec<UpstreamStanding> {
        let standing = |(upstream, shared): (&Upstream, &Shared)| {
            let speed = *shared.lock();
            UpstreamStanding {
                upstream: upstream.to_string(),
                usual: speed.smoothed(),
                answered: speed.answered,
                failed: speed.failed,
                is_paused: speed.is_paused(shared.now()),
            }
        };
        self.each.iter().map(standing).collect()
    }
}

/// The ways to an upstream.
pub(super) struct Ways {
    /// Plain UDP, where it may be used; what it cannot carry goes over a connection.
    pub(super) datagrams: Option<Datagrams>,
    /// Connections.
    pub(super) pool: NameServerPool<Lines>,
}

/// An upstream of a group.
struct Runner {
    name: String,
    /// Its place in the group.
    place: u16,
    ways: Ways,
    shared: Shared,
}

/// An upstream's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The upstream's place in its group.
    pub(super) place: u16,
    /// What it said.
    pub(super) reply: LegacyReply,
}

/// Why an upstream gave no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It said that it gives none, or what it said is none.
    Refusal(Refusal),
    /// It was not heard.
    Net(NetError),
}

impl From<NetError> for NoAnswer {
    fn from(error: NetError) -> Self {
        Refusal::undressed(&error).map_or(Self::Net(error), Self::Refusal)
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusal(refusal) => f.write_str(&refusal.what),
            Self::Net(error) => error.fmt(f),
        }
    }
}

/// The upstreams of a group.
pub(super) struct Runners {
    runners: Vec<Runner>,
    /// However slow the ones before it are, the last one is asked within half of the time.
    patience_max: Duration,
}

/// A question that an upstream has; whatever becomes of it is noted.
struct Run<'r> {
    runner: &'r Runner,
    began: Instant,
    is_noted: bool,
}

impl Run<'_> {
    fn note(&mut self, came: Came) {
        self.is_noted = true;
        let took = self.began.elapsed();
        let (now, mut speed) = (self.runner.shared.now(), self.runner.shared.lock());
        speed.note(came, took, now);
    }
}

impl Drop for Run<'_> {
    /// Another one answered, or nobody waits any more.
    fn drop(&mut self) {
        if !self.is_noted {
            let is_mute = self.began.elapsed() >= SILENCE_MAX;
            self.note(if is_mute {
                Came::Nothing
            } else {
                Came::Silence
            });
        }
    }
}

impl Runners {
    /// The upstreams, in the order in which they are written.
    pub(super) fn new(
        upstreams: Vec<(Upstream, Ways)>,
        speeds: &mut Speeds,
        deadline_ms: u64,
    ) -> Self {
        let twice = u64::try_from(upstreams.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(2);
        let share = Duration::from_millis(deadline_ms / twice.max(1));
        let runner = |(place, (upstream, ways)): (u16, (Upstream, _))| Runner {
            name: upstream.to_string(),
            place,
            ways,
            shared: speeds.of(&upstream),
        };
        Self {
            runners: (0..).zip(upstreams).map(runner).collect(),
            patience_max: share.min(PATIENCE_MAX),
        }
    }

    /// The first answer of any of them. Without one, what says most of why.
    pub(super) async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, NoAnswer> {
        let speeds: Vec<Speed> = self.runners.iter().map(|one| *one.shared.lock()).collect();
        let Some(now) = self.runners.first().map(|first| first.shared.now()) else {
            return Err(NetError::NoConnections.into());
        };
        let (order, at_once) = line_up(&speeds, now);
        let first = order.first().and_then(|at| speeds.get(*at));
        let mut waiting = order
            .into_iter()
            .filter_map(|at| self.runners.get(at))
            .peekable();
        let mut running: FuturesUnordered<_> = waiting
            .by_ref()
            .take(at_once)
            .map(|one| run(one, asked))
            .collect();
        let mut patience = first
            .map_or(PATIENCE_MAX, Speed::patience)
            .min(self.patience_max);
        let mut failure = NoAnswer::Net(NetError::NoConnections);
        loop {
            let next = tokio::select! {
                biased;
                Some((mut run, outcome)) = running.next() => match outcome {
                    Ok(answer) => {
                        run.note(Came::Answer);
                        return Ok(answer);
                    }
                    Err(error) => {
                        run.note(what_came(&error));
                        failure = telling(failure, error);
                        waiting.next()
                    }
                },
                () = sleep(patience), if waiting.peek().is_some() => waiting.next(),
            };
            if let Some(next) = next {
                patience = next.shared.lock().patience().min(self.patience_max);
                note_step(|| format!("{}: asked too", next.name));
                running.push(run(next, asked));
            } else if running.is_empty() {
                return Err(failure);
            }
        }
    }
}

impl Runner {
    async fn exchange(&self, asked: &Asked<'_>) -> Result<Answer, NoAnswer> {
        if let Some(datagrams) = &self.ways.datagrams {
            match datagrams.ask(asked).await? {
                Heard::Reply(message, said) => {
                    return match said.objection() {
                        None => self.read(&message, asked),
                        Some(what) => Err(self.refused(what)),
                    };
                }
                Heard::Malformed => return Err(self.refused("a malformed message".to_owned())),
                Heard::ForTcp => {}
            }
        }
        let request = asked.request();
        let request = request.ok_or_else(|| self.refused("FORMERR".to_owned()))?;
        let response = self.ways.pool.send(request).first_answer().await?;
        self.read(response.as_buffer(), asked)
    }

    fn read(&self, message: &[u8], asked: &Asked<'_>) -> Result<Answer, NoAnswer> {
        let read = reply::read(message, asked.question, asked.trusts_ad);
        let reply = read.map_err(|unreadable| self.refused(unreadable.to_string()))?;
        let place = self.place;
        Ok(Answer { place, reply })
    }

    fn refused(&self, what: String) -> NoAnswer {
        let place = self.place;
        NoAnswer::Refusal(Refusal { place, what })
    }
}

/// Asks one upstream. Its time runs from this call on, not from the first poll: who waits for it with
/// patience began to wait no earlier, so one that was overtaken has had all of that patience.
fn run<'r>(
    runner: &'r Runner,
    asked: &'r Asked<'_>,
) -> impl Future<Output = (Run<'r>, Result<Answer, NoAnswer>)> {
    // Now, or those who come together would all probe.
    runner.shared.lock().is_asked(runner.shared.now());
    let run = Run {
        runner,
        began: Instant::now(),
        is_noted: false,
    };
    async move {
        let outcome = runner.exchange(asked).await;
        note_step(|| tell(&run, &outcome));
        (run, outcome)
    }
}

/// What came of asking one upstream, for who wants every step explained.
fn tell(run: &Run<'_>, outcome: &Result<Answer, NoAnswer>) -> String {
    let usual = run.runner.shared.lock().smoothed();
    let usual = usual.map_or_else(
        || "for the first time".to_owned(),
        |usual| format!("usually {} ms", millis(usual)),
    );
    let what = match outcome {
        Ok(_) => "answered".to_owned(),
        Err(error) => error.to_string(),
    };
    let took = millis(run.began.elapsed());
    format!("{}: {what} in {took} ms, {usual}", run.runner.name)
}

fn millis(time: Duration) -> String {
    let tenths = time.as_micros() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn what_came(error: &NoAnswer) -> Came {
    match error {
        NoAnswer::Refusal(_)
        | NoAnswer::Net(
            NetError::Dns(_)
            | NetError::Truncated
            | NetError::QueryCaseMismatch
            | NetError::ForeignClassRecord { .. },
        ) => Came::Refusal,
        NoAnswer::Net(_) => Came::Nothing,
    }
}

/// The one of two failures that says more: what an upstream answered, then that it was silent.
fn telling(before: NoAnswer, now: NoAnswer) -> NoAnswer {
    let weight = |error: &NoAnswer| match error {
        NoAnswer::Net(NetError::NoConnections) => 0,
        NoAnswer::Net(NetError::Io(_)) => 1,
        NoAnswer::Net(NetError::Timeout) => 2,
        NoAnswer::Net(_) => 3,
        NoAnswer::Refusal(_) => 4,
    };
    if weight(&now) > weight(&before) {
        now
    } else {
        before
    }
}
