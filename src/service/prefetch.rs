//! `Prefetches`: questions whose answers end soon, on their way to being asked again.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::resolution::legacy::LegacyQuestion;

use super::ports::Parts;
use super::resolver::Resolver;

/// Questions that wait; further ones are asked for when their answers have ended.
const QUEUE_MAX: usize = 1_024;
/// Questions under way: as many as half of the usual answers of an upstream in its round trip, and a
/// small part of the places that clients' questions have.
const UNDER_WAY_MAX: usize = 64;

/// A bounded queue of questions.
#[derive(Debug)]
pub(super) struct Prefetches {
    sender: Sender<LegacyQuestion>,
    receiver: Mutex<Option<Receiver<LegacyQuestion>>>,
}

impl Default for Prefetches {
    fn default() -> Self {
        let (sender, receiver) = channel(QUEUE_MAX);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl Prefetches {
    /// Puts a question into the queue, without waiting. Whether there was room.
    pub(super) fn offer(&self, question: LegacyQuestion) -> bool {
        self.sender.try_send(question).is_ok()
    }

    fn take(&self) -> Option<Receiver<LegacyQuestion>> {
        let mut receiver = self.receiver.lock();
        receiver
            .as_mut()
            .unwrap_or_else(|poisoned| PoisonError::get_mut(poisoned))
            .take()
    }
}

/// Asks again for what is due, until it is told to stop. There is work for one of it.
pub async fn prefetch<P: Parts>(resolver: Arc<Resolver<P>>, stop: CancellationToken) {
    let Some(mut queue) = resolver.prefetches().take() else {
        return;
    };
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = under_way.join_next() => {}
            question = queue.recv(), if under_way.len() < UNDER_WAY_MAX => {
                let Some(question) = question else {
                    return;
                };
                let (legacy, setup) = (resolver.legacy(), resolver.setup());
                under_way.spawn(async move {
                    legacy.renew(&question, setup.deadline_ms).await;
                });
            }
        }
    }
}
