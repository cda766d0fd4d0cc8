//! `QueryLogWriter`: the thread that writes lines down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Lines, Message, NewLog, QueryLine, QueryLogRules, QuerySink};

/// Bytes that are written together: a few pages, so that a system call is for hundreds of lines.
const TOGETHER_BYTES: usize = 64 << 10;
/// After a failure it is tried again so often; what comes meanwhile is lost and counted.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// A loop for a thread of its own.
pub struct QueryLogWriter {
    lines: Lines,
    rules: Option<QueryLogRules>,
    sink: Option<Box<dyn QuerySink>>,
    bytes: Vec<u8>,
    count: u64,
    /// When it failed last; none while it works.
    failed: Option<Instant>,
}

impl std::fmt::Debug for QueryLogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueryLogWriter")
    }
}

impl QueryLogWriter {
    pub(super) const fn new(lines: Lines) -> Self {
        Self {
            lines,
            rules: None,
            sink: None,
            bytes: Vec::new(),
            count: 0,
            failed: None,
        }
    }

    /// Writes until it is closed or nobody is left who could hand lines in.
    pub fn run(mut self) {
        while let Ok(message) = self.lines.queue.recv() {
            let mut next = Some(message);
            // What came meanwhile is written with it.
            while let Some(message) = next {
                if !self.take(message) {
                    self.write();
                    return;
                }
                next = self.lines.queue.try_recv().ok();
            }
            self.write();
        }
    }

    /// Takes a message; false if nothing comes after it.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Lines(lines) => {
                self.add(&lines);
                let waiting = &self.lines.shared.waiting;
                waiting.fetch_sub(lines.len(), Ordering::Relaxed);
            }
            Message::Put(log) => {
                self.write();
                let log = log.map(|NewLog { rules, sink }| (rules, sink));
                (self.rules, self.sink) = log.unzip();
                self.heal();
            }
            Message::Close => return false,
        }
        true
    }

    fn add(&mut self, lines: &[QueryLine]) {
        // What comes late, after the log was switched off, is not written.
        let Some(rules) = self.rules else {
            return;
        };
        for line in lines {
            line.write(rules, &mut self.bytes);
            self.count += 1;
        }
        if self.bytes.len() >= TOGETHER_BYTES {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.count == 0 {
            return;
        }
        let count = std::mem::take(&mut self.count);
        let shared = &self.lines.shared;
        let is_early = self
            .failed
            .is_some_and(|failed| failed.elapsed() < RETRY_EVERY);
        let written = match &mut self.sink {
            Some(sink) if !is_early => {
                let reopened = if self.failed.is_some() {
                    sink.open()
                } else {
                    Ok(())
                };
                reopened.and_then(|()| sink.append(&self.bytes))
            }
            Some(_) => Err(std::io::ErrorKind::Other.into()),
            None => Ok(()),
        };
        self.bytes.clear();
        match written {
            Ok(()) => {
                shared.written.fetch_add(count, Ordering::Relaxed);
                self.heal();
            }
            Err(error) => {
                shared.lost.fetch_add(count, Ordering::Relaxed);
                if is_early {
                    return;
                }
                if self.failed.is_none() {
                    // Once, not for each line.
                    tracing::warn!(%error, "the query log cannot be written; answers go on");
                }
                self.failed = Some(Instant::now());
                shared.is_failing.store(true, Ordering::Relaxed);
            }
        }
    }

    fn heal(&mut self) {
        if self.failed.take().is_some() {
            tracing::info!("the query log is written again");
        }
        self.lines.shared.is_failing.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::super::QueryLog;
    use super::*;
    use crate::base::lock::locked;

    const RULES: QueryLogRules = QueryLogRules {
        sample: 1,
        client_bits_v4: 32,
        client_bits_v6: 128,
    };

    #[derive(Clone, Default)]
    struct Memory {
        bytes: Arc<Mutex<Vec<u8>>>,
        is_full: bool,
    }

    impl QuerySink for Memory {
        fn open(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn append(&mut self, lines: &[u8]) -> io::Result<()> {
            if self.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            locked(&self.bytes).extend_from_slice(lines);
            Ok(())
        }
    }

    fn put(log: &QueryLog, sink: &Memory) {
        log.replace(Some(NewLog {
            rules: RULES,
            sink: Box::new(sink.clone()),
        }));
    }

    #[test]
    fn lines_are_written_where_they_were_to_be_when_they_came() {
        let (log, writer) = QueryLog::new();
        let (first, second) = (Memory::default(), Memory::default());
        put(&log, &first);
        log.add(vec![QueryLine::sample(); 3]);
        put(&log, &second);
        log.add(vec![QueryLine::sample(); 500]);
        log.close();
        writer.run();
        let count = |sink: &Memory| {
            let text = String::from_utf8(locked(&sink.bytes).clone()).unwrap();
            text.lines().count()
        };
        assert_eq!((count(&first), count(&second)), (3, 500));
        assert_eq!(log.stats().written, 503);
        assert!(!log.is_on());
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_counted() {
        let (log, writer) = QueryLog::new();
        let full = Memory {
            is_full: true,
            ..Memory::default()
        };
        put(&log, &full);
        log.add(vec![QueryLine::sample(); 3]);
        put(&log, &full);
        log.add(vec![QueryLine::sample()]);
        log.close();
        writer.run();
        let stats = log.stats();
        assert_eq!((stats.written, stats.lost, stats.dropped), (0, 4, 0));
        assert!(stats.is_failing);
    }
}
