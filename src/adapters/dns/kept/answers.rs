//! `WireAnswers`: what one thread answers messages with: what it kept, or what it is told.

use std::collections::hash_map::RandomState;
use std::sync::Arc;

use arc_swap::Cache;
use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::service::ports::Parts;
use crate::service::query_log::{QueryLine, Sampler, Why, asked};
use crate::service::tallies::Tally;
use crate::telemetry::answers::{Account, Batch, Counts, Dropped};
use crate::telemetry::transport::Transport;

use super::super::guard::{Guard, GuardInForce, Verdict};
use super::super::responder::{
    Later, Line, Made, Noting, QUERY_LOG, Reply, Responder, nanos_since,
};
use super::asked::Asked;
use super::table::{KeptAnswers, Whose, least_ttl};

/// The answers of one thread to what comes over one transport.
pub struct WireAnswers<P: Parts> {
    responder: Responder<P>,
    kept: KeptAnswers,
    asked: Asked,
    /// With a key of its own, so that nobody can choose names that meet in one place.
    hasher: RandomState,
    legacy_hits: Tally,
    counts: Counts,
    sampler: Sampler,
    /// What was answered since things were looked at, and lines about it.
    batch: Batch,
    lines: Vec<QueryLine>,
    looked: Instant,
    now: Timestamp,
    is_on: bool,
    guard: Cache<GuardInForce, Arc<Guard>>,
    transport: Transport,
    bytes_max: usize,
}

impl<P: Parts> std::fmt::Debug for WireAnswers<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WireAnswers")
    }
}

impl<P: Parts> WireAnswers<P> {
    /// Answers of a responder, none of them kept yet, and memory for those that will be. What is kept
    /// for one transport must not be given over another.
    pub fn new(responder: Responder<P>, transport: Transport, bytes_max: usize) -> Self {
        Self {
            kept: KeptAnswers::new(bytes_max),
            asked: Asked::new(transport == Transport::Udp),
            transport,
            bytes_max,
            hasher: RandomState::new(),
            legacy_hits: responder.resolver().legacy_hits(),
            counts: responder.resolver().telemetry().alone(transport),
            sampler: Sampler::default(),
            batch: Batch::default(),
            lines: Vec::new(),
            looked: Instant::now(),
            now: responder.resolver().now(),
            is_on: true,
            guard: Cache::new(Arc::clone(responder.guard())),
            responder,
        }
    }

    /// Sees what stands now. Must be called after a message came and before it is answered: its
    /// answer is then at least as new as what anybody was told before it was sent.
    pub fn look_up(&mut self) {
        let resolver = self.responder.resolver();
        self.kept.stand(resolver.standing());
        self.now = resolver.now();
        self.looked = Instant::now();
        self.sampler.look(self.responder.query_log());
        // Who reads the log of questions wants every one of them.
        self.is_on = !tracing::enabled!(target: QUERY_LOG, tracing::Level::DEBUG);
    }

    /// Says that what was answered since then leaves now.
    pub fn leave(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let nanos = nanos_since(self.looked);
        self.batch.left(&self.counts, nanos);
        if !self.lines.is_empty() {
            let mut lines = std::mem::take(&mut self.lines);
            for line in &mut lines {
                line.nanos = nanos;
            }
            self.responder.query_log().add(lines);
        }
    }

    /// Says that a message is not answered.
    pub(in super::super) fn dropped(&self, why: Dropped) {
        self.counts.dropped(why);
    }

    /// Writes the answer to a message into `to`, which stays empty if there is none, or gives what
    /// has to be waited for.
    pub fn answer(
        &mut self,
        query: &[u8],
        line: &Line<'_>,
        to: &mut Vec<u8>,
    ) -> Option<Box<Later>> {
        let from = line.from;
        let noting = self.noting();
        // Kept answers are for anybody at an address; a certificate may tell more.
        let is_anybody = line.transport == self.transport && line.certificate.is_none();
        let guard = self.guard.load();
        self.asked.read_cookies(guard.reads_cookies());
        let mut is_plain = self.is_on && is_anybody && self.asked.read(query, &self.hasher);
        let cookie = self.asked.cookie().filter(|_| is_plain);
        let seen = guard.look_at(cookie, from.ip(), self.now);
        let is_datagram = self.transport == Transport::Udp;
        if is_datagram && seen.is_some_and(|seen| guard.turns_away(&seen)) {
            is_plain = false;
        }
        if is_plain && let Some(found) = self.kept.find(&self.asked, from.ip(), self.now) {
            found.write(query, seen.as_ref().map(|seen| &seen.reply[..]), to);
            if found.legacy_parts() > 0 {
                self.legacy_hits.add(found.legacy_parts().into());
            }
            let account = found.account();
            self.counts.kept(account);
            self.batch.add(account.route);
            if noting == Noting::Line {
                let made = (account, found.why(), true);
                self.note((query, line), made, to);
            }
            if is_datagram && !seen.is_some_and(|seen| seen.is_known()) {
                let verdict = self.guard.load().judge(to, from.ip(), self.now);
                self.cut(query, line, verdict, to);
            }
            return None;
        }
        if is_plain {
            self.counts.missed();
        }
        let made = self.responder.begin_on(query, line, noting);
        made.count(&self.counts);
        let Made {
            reply,
            keeping,
            account,
            why,
            is_known,
        } = made;
        let bytes = match reply {
            Reply::None => return None,
            Reply::Later(later) => return Some(later),
            Reply::Ready(bytes) => bytes,
        };
        to.extend_from_slice(&bytes);
        let account = account?;
        self.batch.add(account.route);
        if noting == Noting::Line {
            self.note((query, line), (account, why.clone(), false), &bytes);
        }
        if let Some(keeping) = keeping.filter(|_| is_plain) {
            let whose = Whose {
                reach: keeping.reach(from.ip()),
                account,
                why,
            };
            self.kept.keep(&self.asked, &bytes, &keeping, whose);
            self.counts.holds(self.kept.count(), self.kept.byte_count());
        }
        if is_datagram && !is_known {
            let verdict = self.guard.load().judge(to, from.ip(), self.now);
            self.cut(query, line, verdict, to);
        }
        None
    }

    /// Makes of a reply what became of it.
    fn cut(&self, query: &[u8], line: &Line<'_>, verdict: Verdict, to: &mut Vec<u8>) {
        if verdict == Verdict::Dropped {
            self.counts.dropped(Dropped::Limit);
        }
        self.responder.cut(query, line, verdict, to);
    }

    /// What is written down of the next question. While anything is, reasons are kept with answers.
    fn noting(&mut self) -> Noting {
        match (self.sampler.is_on(), self.sampler.takes_turn()) {
            (false, _) => Noting::Nothing,
            (true, false) => Noting::Why,
            (true, true) => Noting::Line,
        }
    }

    /// Writes a line about an answer; it is handed in with those of its batch.
    fn note(
        &mut self,
        (query, line): (&[u8], &Line<'_>),
        (account, why, is_kept): (Account, Option<Arc<Why>>, bool),
        reply: &[u8],
    ) {
        self.lines.push(QueryLine {
            time: self.now,
            client: line.from.ip(),
            transport: line.transport,
            asked: asked(query),
            account,
            why,
            is_kept,
            ttl: least_ttl(reply),
            bytes: reply.len(),
            nanos: 0,
        });
    }

    /// Gives up everything that is kept.
    pub(super) fn forget(&mut self) {
        self.kept = KeptAnswers::new(self.bytes_max);
        self.counts.holds(0, 0);
    }

    /// How many answers are kept, those included that are over.
    pub fn kept_count(&self) -> usize {
        self.kept.count()
    }
}
