//! A sitting that is opened again, with what an earlier run stored of it.

use crate::base::digest::Digest;
use crate::replication::ordering::engine::{Input, Ordering};
use crate::replication::ordering::guard::Guard;
use crate::replication::ordering::journal::{Entry, Row};
use crate::replication::ordering::message::Message;
use crate::replication::ordering::statement::Tender;
use crate::replication::ordering::terms::{Action, Kept};

use super::{For, Sitting, Work};

impl<O: Ordering, G: Guard> Sitting<O, G> {
    /// Puts what was journaled back into the mailbox. Gives what it tells an engine that did not hear it.
    pub(super) fn recall(&mut self, entry: &Entry, work: &mut Work) -> Vec<Input> {
        let tender = |digest: &Digest| self.mailbox.tender(digest).cloned();
        let message = match entry {
            Entry::Bid(bid) => tender(&bid.object.block).map(|of| Message::Bid(bid.clone(), of)),
            Entry::Vote(vote) => Some(Message::Vote(vote.clone())),
            Entry::Prevotes(certificate) => Some(Message::Prevotes(certificate.clone())),
            Entry::Judged(judged) => {
                self.verdicts.insert(judged.block, Some(judged.valid));
                None
            }
            Entry::TimedOut(_) => None,
        };
        // It was checked before it was journaled; what is refused now is only not handed on.
        let taken = message.and_then(|message| self.mailbox.take(message).ok());
        let taken = taken.unwrap_or_default();
        if let Some((tender, certificate)) = taken.decided {
            self.close(tender, certificate, work);
        }
        taken.inputs
    }

    /// Tells the seats here what only another one of them took in before the node stopped: it is known
    /// here, so no repetition by others would bring it.
    pub(super) fn share(&self, kept: &Kept, recalled: &[(&Entry, Vec<Input>)], work: &mut Work) {
        for voter in &self.voters {
            let took = |entry: &Entry| {
                let took = |row: &Row| matches!(row, Row::Entry(anchor, of) if *anchor == voter.anchor && of == entry);
                voter.said(entry) || kept.rows.iter().any(took)
            };
            for (_, inputs) in recalled.iter().filter(|(entry, _)| !took(entry)) {
                for input in inputs {
                    let judged = match input {
                        Input::Bid(bid) => self.known_verdict(&bid.object().block),
                        _ => None,
                    };
                    let told = std::iter::once(input.clone()).chain(judged.map(Input::Judged));
                    work.queue
                        .extend(told.map(|input| (For::Only(voter.seat), input)));
                }
            }
        }
    }

    /// What was signed here before counts also for seats that take no part.
    pub(super) fn remember(&mut self, kept: &Kept) {
        let guarded = kept.guarded();
        for voter in &mut self.voters {
            voter.remember(&guarded, &kept.rows);
        }
    }

    pub(super) fn begin(&mut self, kept: &Kept, work: &mut Work) {
        let guarded = kept.guarded();
        for at in 0..self.voters.len() {
            let Some(voter) = self.voters.get_mut(at) else {
                continue;
            };
            let journal: Vec<Entry> = kept
                .rows
                .iter()
                .filter_map(|row| match row {
                    Row::Entry(anchor, entry) if *anchor == voter.anchor => Some(entry.clone()),
                    _ => None,
                })
                .collect();
            let done = voter.begin(&self.electorate, &guarded, &journal);
            self.follow(at, done, work);
        }
    }

    /// Blocks whose verdict was not journaled are judged again.
    pub(super) fn ask_again(&mut self, work: &mut Work) {
        let open: Vec<Tender> = self
            .mailbox
            .tenders()
            .filter(|tender| !self.verdicts.contains_key(&tender.digest()))
            .cloned()
            .collect();
        for tender in open {
            self.verdicts.insert(tender.digest(), None);
            work.then.push(Action::Judge(tender));
        }
    }
}
