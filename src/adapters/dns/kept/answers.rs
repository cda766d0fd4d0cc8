//! `WireAnswers`: what one thread answers messages with: what it kept, or what it is told.

use std::collections::hash_map::RandomState;

use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::service::ports::Parts;
use crate::service::tallies::Tally;
use crate::telemetry::answers::{Batch, Counts, Dropped};

use super::super::responder::{Later, Line, QUERY_LOG, Reply, Responder, Transport, nanos_since};
use super::asked::Asked;
use super::table::KeptAnswers;

/// The answers of one thread to what comes over one transport.
pub struct WireAnswers<P: Parts> {
    responder: Responder<P>,
    kept: KeptAnswers,
    asked: Asked,
    /// With a key of its own, so that nobody can choose names that meet in one place.
    hasher: RandomState,
    legacy_hits: Tally,
    counts: Counts,
    /// What was answered since things were looked at.
    batch: Batch,
    looked: Instant,
    now: Timestamp,
    is_on: bool,
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
            counts: responder.resolver().telemetry().alone(transport.into()),
            batch: Batch::default(),
            looked: Instant::now(),
            now: responder.resolver().now(),
            is_on: true,
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
        // Who reads the log of questions wants every one of them.
        self.is_on = !tracing::enabled!(target: QUERY_LOG, tracing::Level::DEBUG);
    }

    /// Says that what was answered since then leaves now.
    pub fn leave(&mut self) {
        if !self.batch.is_empty() {
            self.batch.left(&self.counts, nanos_since(self.looked));
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
        // Kept answers are for anybody at an address; a certificate may tell more.
        let is_anybody = line.transport == self.transport && line.certificate.is_none();
        let is_plain = self.is_on && is_anybody && self.asked.read(query, &self.hasher);
        if is_plain && let Some(found) = self.kept.find(&self.asked, from.ip(), self.now) {
            found.write(query, to);
            if found.legacy_parts() > 0 {
                self.legacy_hits.add(found.legacy_parts().into());
            }
            let account = found.account();
            self.counts.kept(account);
            self.batch.add(account.route);
            return None;
        }
        if is_plain {
            self.counts.missed();
        }
        let made = self.responder.begin_on(query, line);
        made.count(&self.counts);
        if let Some(account) = made.account {
            self.batch.add(account.route);
        }
        match made.reply {
            Reply::None => {}
            Reply::Ready(bytes) => {
                to.extend_from_slice(&bytes);
                if let (true, Some(keeping), Some(account)) = (is_plain, made.keeping, made.account)
                {
                    let reach = keeping.reach(from.ip());
                    self.kept
                        .keep(&self.asked, &bytes, &keeping, (reach, account));
                    self.counts.holds(self.kept.count(), self.kept.byte_count());
                }
            }
            Reply::Later(later) => return Some(later),
        }
        None
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
