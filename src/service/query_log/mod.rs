//! The query log: a line of JSON for each question, or for one of so many, written by a thread of its
//! own. Nobody who answers a question waits for it.

mod line;
mod why;
mod writer;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use arc_swap::ArcSwapOption;
use ipnet::IpNet;

pub use self::line::{QueryLine, asked};
pub use self::why::Why;
pub use self::writer::QueryLogWriter;

/// Lines that wait to be written, some 20 MiB of them; further ones are dropped and counted. At
/// 100,000 questions a second a disk may be busy for a third of one.
const WAITING_MAX: usize = 32_768;

/// What is written of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLogRules {
    /// One of so many questions is written down.
    pub sample: u32,
    /// How many bits of a client's IPv4 address are written down.
    pub client_bits_v4: u8,
    /// The same of an IPv6 address.
    pub client_bits_v6: u8,
}

impl QueryLogRules {
    /// What is written down of a client's address.
    fn client(self, address: IpAddr) -> IpNet {
        let address = address.to_canonical();
        let bits = match address {
            IpAddr::V4(_) => self.client_bits_v4,
            IpAddr::V6(_) => self.client_bits_v6,
        };
        IpNet::new(address, bits).map_or(address.into(), |net| net.trunc())
    }
}

/// Where lines are written.
pub trait QuerySink: Send + 'static {
    /// Opens it, also if it was open: what it is called may be another file now.
    fn open(&mut self) -> io::Result<()>;

    /// Adds whole lines. After an error some of them may be there.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;
}

/// A log that is to be written from now on.
pub struct NewLog {
    /// What is written.
    pub rules: QueryLogRules,
    /// Where; open.
    pub sink: Box<dyn QuerySink>,
}

impl fmt::Debug for NewLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewLog").field(&self.rules).finish()
    }
}

enum Message {
    /// These are to be written.
    Lines(Vec<QueryLine>),
    /// From now on they are written so, or not at all.
    Put(Option<NewLog>),
    /// Nothing comes after it.
    Close,
}

/// What the log did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryLogStats {
    /// Lines that were written.
    pub written: u64,
    /// Lines that found too many waiting.
    pub dropped: u64,
    /// Lines that could not be written.
    pub lost: u64,
    /// Whether nothing can be written at present.
    pub is_failing: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// None while nothing is written.
    rules: ArcSwapOption<QueryLogRules>,
    waiting: AtomicUsize,
    /// Questions that were asked where nobody counts alone.
    turns: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    is_failing: AtomicBool,
}

/// Where lines are handed in; clones are the same log.
#[derive(Clone)]
pub struct QueryLog {
    shared: Arc<Shared>,
    queue: Sender<Message>,
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueryLog").field(&self.stats()).finish()
    }
}

/// The writer's end.
struct Lines {
    shared: Arc<Shared>,
    queue: Receiver<Message>,
}

impl QueryLog {
    /// A log that is off, and its writer.
    pub fn new() -> (Self, QueryLogWriter) {
        let (sender, queue) = channel();
        let shared = Arc::<Shared>::default();
        let lines = Lines {
            shared: Arc::clone(&shared),
            queue,
        };
        let log = Self {
            shared,
            queue: sender,
        };
        (log, QueryLogWriter::new(lines))
    }

    /// A log that stays off.
    pub fn off() -> Self {
        Self::new().0
    }

    /// Writes by other rules and elsewhere from now on, or nowhere.
    pub fn replace(&self, log: Option<NewLog>) {
        let rules = log.as_ref().map(|log| Arc::new(log.rules));
        // Lines of before are in the queue already, and are written as they were to be.
        drop(self.queue.send(Message::Put(log)));
        self.shared.rules.store(rules);
    }

    /// The rules in force; none while nothing is written.
    pub fn rules(&self) -> Option<Arc<QueryLogRules>> {
        self.shared.rules.load_full()
    }

    /// Whether anything is written.
    pub fn is_on(&self) -> bool {
        self.shared.rules.load().is_some()
    }

    /// Whether it is the turn of a question to be written down, for those who do not count alone.
    pub fn takes_turn(&self, rules: QueryLogRules) -> bool {
        let turn = self.shared.turns.fetch_add(1, Ordering::Relaxed);
        turn.is_multiple_of(rules.sample.into())
    }

    /// Hands lines in. Too many that wait are dropped, all that come together.
    pub fn add(&self, lines: Vec<QueryLine>) {
        let count = lines.len();
        let before = self.shared.waiting.fetch_add(count, Ordering::Relaxed);
        if before + count > WAITING_MAX || self.queue.send(Message::Lines(lines)).is_err() {
            self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.shared.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What it did so far.
    pub fn stats(&self) -> QueryLogStats {
        let shared = &self.shared;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        QueryLogStats {
            written: read(&shared.written),
            dropped: read(&shared.dropped),
            lost: read(&shared.lost),
            is_failing: shared.is_failing.load(Ordering::Relaxed),
        }
    }

    /// Ends the writer once it wrote what waits.
    pub fn close(&self) {
        self.shared.rules.store(None);
        drop(self.queue.send(Message::Close));
    }
}

/// Whose turn it is, for one who counts alone.
#[derive(Debug, Default)]
pub struct Sampler {
    rules: Option<Arc<QueryLogRules>>,
    until_next: u32,
}

impl Sampler {
    /// Sees which rules are in force.
    pub fn look(&mut self, log: &QueryLog) {
        if self.rules.is_none() && !log.is_on() {
            return;
        }
        self.rules = log.rules();
    }

    /// Whether anything is written down.
    pub const fn is_on(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether it is the turn of the next question.
    pub fn takes_turn(&mut self) -> bool {
        let Some(rules) = &self.rules else {
            return false;
        };
        if self.until_next == 0 {
            self.until_next = rules.sample.saturating_sub(1);
            return true;
        }
        self.until_next = (self.until_next - 1).min(rules.sample);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: QueryLogRules = QueryLogRules {
        sample: 3,
        client_bits_v4: 24,
        client_bits_v6: 48,
    };

    #[test]
    fn clients_are_masked_also_where_ipv4_is_written_as_ipv6() {
        for (address, said) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(RULES.client(address.parse().unwrap()).to_string(), said);
        }
    }

    #[test]
    fn one_of_so_many_takes_its_turn() {
        let log = QueryLog::off();
        let mut sampler = Sampler::default();
        sampler.look(&log);
        assert!(!sampler.takes_turn());
        log.shared.rules.store(Some(Arc::new(RULES)));
        sampler.look(&log);
        let turns: Vec<bool> = (0..7).map(|_| sampler.takes_turn()).collect();
        assert_eq!(turns, [true, false, false, true, false, false, true]);
        let shared = (0..7).filter(|_| log.takes_turn(RULES)).count();
        assert_eq!(shared, 3);
    }

    #[test]
    fn more_lines_than_may_wait_are_dropped_and_counted() {
        let (log, writer) = QueryLog::new();
        let line = QueryLine::sample();
        for _ in 0..WAITING_MAX / 32 {
            log.add(vec![line.clone(); 32]);
        }
        assert_eq!(log.stats().dropped, 0);
        log.add(vec![line.clone(); 5]);
        assert_eq!(log.stats().dropped, 5);
        drop(writer);
        log.add(vec![line]);
        assert_eq!(log.stats().dropped, 6);
    }
}
