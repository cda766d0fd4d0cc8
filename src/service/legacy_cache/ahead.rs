//! Answers that are asked for again before they end, so that nobody waits for them.

use crate::resolution::legacy::LegacyQuestion;

use super::super::ports::{Clock, LegacyDns};
use super::{CachedLegacy, Purpose};

impl<L: LegacyDns, C: Clock> CachedLegacy<L, C> {
    /// Whether a question is asked again ahead of time, if it is asked for.
    pub(super) fn renews(&self, question: &LegacyQuestion) -> bool {
        self.rules.load().prefetch && self.upstream.can_renew(question)
    }

    /// Asks again for what said that it is due. If that fails, everything is as it was.
    pub async fn renew(&self, question: &LegacyQuestion, patience_ms: u64) {
        let Ok(_place) = self.waiting.try_acquire() else {
            return self.not_renewed(question);
        };
        let flown = self.fly(question, patience_ms, Purpose::Ahead).await;
        self.counters.prefetched(flown.is_ok());
    }

    /// Says that nobody had time to ask again.
    pub fn not_renewed(&self, question: &LegacyQuestion) {
        self.counters.prefetch_dropped();
        if let Some(entry) = self.entries.peek(question) {
            entry.not_renewed();
        }
    }
}
