//! The end at which an entry leaves.

use tokio::task::JoinSet;

use crate::base::canonical::Form as _;
use crate::base::keys::PublicKey;
use crate::governance::petition::Petition;
use crate::index::entry::{Entry, Last};
use crate::index::journey::{Journey, Stage};
use crate::index::passage::Passage;
use crate::index::state::ScopeState;
use crate::replication::pull::Complaint;
use crate::replication::wire::{Plea, PleaAnswer, PleaWord, Reply, Request};
use crate::service::ports::{Clock, Parts, PeerFailure, Store};
use crate::service::resolver::error_chain;

use super::{Moves, shown};

impl<P: Parts> Moves<P> {
    /// Takes the next step of an entry that leaves; an error is what it waits for.
    pub(super) async fn depart(&self, journey: &Journey) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        let stage = |stage, said: &str| {
            Ok(Journey {
                stage,
                said: said.to_owned(),
                ..journey.clone()
            })
        };
        if journey.stage == Stage::Arrived {
            return Ok(journey.clone());
        }
        let state = self
            .scope(&wish.from)
            .map_err(|error| error_chain(&error))?;
        let state = state.ok_or("the scope that it leaves is not held any more")?;
        let entry = self.entry(state.no, &wish.from_path);
        match entry.map_err(|error| error_chain(&error))? {
            _ if self.is_proposed(journey) => Ok(journey.clone()),
            Some(Entry::Bound(head)) if head.uid == wish.uid => {
                if journey.stage.is_over() {
                    return Ok(journey.clone());
                }
                if self.clock.now() > wish.not_after {
                    return stage(Stage::Refused, "nobody kept a path for it in time");
                }
                self.ask_for_path(journey).await
            }
            Some(Entry::Moved(redirect))
                if (redirect.uid, redirect.scope) == (Some(wish.uid), wish.to)
                    && redirect.path == wish.to_path =>
            {
                // Whatever was said meanwhile: it left, and must come somewhere.
                self.bring(journey, &state, redirect.last).await
            }
            _ if journey.stage.is_over() => Ok(journey.clone()),
            _ if journey.stage == Stage::Left => {
                stage(Stage::Left, "what it left behind is not there any more")
            }
            _ => stage(Stage::Refused, "the entry is not there any more"),
        }
    }

    async fn ask_for_path(&self, journey: &Journey) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        let kept = Entry::Reserved {
            uid: wish.uid,
            from: wish.from,
        };
        let is_good = |answer: &PleaAnswer| match answer {
            PleaAnswer::Kept(proof) => {
                let slot = shown(proof, wish.to, &wish.to_path);
                slot.and_then(|slot| slot.entry).as_ref() == Some(&kept)
            }
            PleaAnswer::Arrived(_) => false,
            PleaAnswer::Held | PleaAnswer::Refused(_) => true,
        };
        let (peer, answer) = self.plead(journey, PleaWord::Keep, is_good).await?;
        let next = |stage, said: String| Journey {
            stage,
            said,
            peer: Some(peer),
            ..journey.clone()
        };
        match answer {
            PleaAnswer::Refused(reason) => Ok(next(Stage::Refused, reason)),
            PleaAnswer::Kept(_) => {
                let admitted = next(Stage::Admitted, String::new());
                match self.change(&admitted, self.changes.let_go(wish)).await {
                    Ok((next, true)) => Ok(Journey {
                        stage: Stage::Left,
                        ..next
                    }),
                    Ok((next, false)) => Ok(next),
                    Err(error) => Ok(Journey {
                        said: error.to_string(),
                        ..admitted
                    }),
                }
            }
            PleaAnswer::Held | PleaAnswer::Arrived(_) => Ok(next(Stage::Held, String::new())),
        }
    }

    /// Brings what proves that the entry left.
    async fn bring(
        &self,
        journey: &Journey,
        state: &ScopeState,
        last: Option<Last>,
    ) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        if journey.stage != Stage::Left {
            // It is noted first: it is tried again from here.
            return Ok(Journey {
                stage: Stage::Left,
                said: String::new(),
                proposal: None,
                ..journey.clone()
            });
        }
        let passage = Passage::make(self.store.latest().as_ref(), state.no, &wish.from_path);
        let passage = passage.map_err(|error| error_chain(&error))?.to_bytes();
        let number = last.map_or(0, |last| last.number);
        let is_good = |answer: &PleaAnswer| match answer {
            PleaAnswer::Arrived(proof) => {
                let slot = shown(proof, wish.to, &wish.to_path);
                came(wish, number, slot.and_then(|slot| slot.entry).as_ref())
            }
            _ => true,
        };
        let word = PleaWord::Take(passage);
        let (peer, answer) = self.plead(journey, word, is_good).await?;
        let next = |stage, said: String| Journey {
            stage,
            said,
            peer: Some(peer),
            ..journey.clone()
        };
        Ok(match answer {
            PleaAnswer::Held | PleaAnswer::Kept(_) => next(Stage::Left, String::new()),
            PleaAnswer::Refused(reason) => next(Stage::Left, reason),
            PleaAnswer::Arrived(_) => next(Stage::Arrived, String::new()),
        })
    }

    /// Tells the other node that nothing comes of it, if it can be reached.
    pub(super) async fn drop_there(&self, journey: &Journey) {
        let withdrawal = self.changes.drop_petition(&journey.petition);
        if let (Some(_), Some(withdrawal)) = (journey.peer, withdrawal) {
            drop(
                self.plead(journey, PleaWord::Drop(withdrawal), |_| true)
                    .await,
            );
        }
    }

    /// Asks the nodes that are there, all at once, and takes the best of the answers that are good: a
    /// peer that governs nothing there can neither stand before the one that does nor hold it up.
    async fn plead(
        &self,
        journey: &Journey,
        word: PleaWord,
        is_good: impl Fn(&PleaAnswer) -> bool,
    ) -> Result<(PublicKey, PleaAnswer), String> {
        let Some(network) = self.network.get() else {
            return Err("this node reaches no peers".to_owned());
        };
        let request = Request::Plea(Box::new(Plea {
            petition: journey.petition.clone(),
            word,
        }));
        let mut asked = JoinSet::new();
        for peer in network.peers().into_iter().filter(|peer| peer.is_connected) {
            let ask = network.ask(peer.id, request.clone());
            asked.spawn(async move { (peer.id, ask.await) });
        }
        let mut best: Option<(PublicKey, PleaAnswer)> = None;
        let mut older_count = 0;
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((peer, Ok(Reply::Plea(answer)))) if is_good(&answer) => {
                    let rank = rank(&answer);
                    if best
                        .as_ref()
                        .is_none_or(|(_, best)| rank > self::rank(best))
                    {
                        best = Some((peer, answer));
                    }
                }
                Ok((_, Err(PeerFailure::TooNew(_)))) => older_count += 1,
                Ok((_, Ok(Reply::Plea(_) | Reply::Turned(_)) | Err(_))) | Err(_) => {}
                Ok((peer, Ok(_))) => {
                    let complaint = Complaint::Unasked("another reply than was asked for");
                    network.complain(&peer, &complaint);
                }
            }
        }
        best.ok_or_else(|| match older_count {
            0 => "no node that governs the other scope answers".to_owned(),
            count => format!(
                "no node that governs the other scope answers; {count} peer(s) run a program that \
                 moves nothing between nodes"
            ),
        })
    }
}

/// How far an answer takes a move.
const fn rank(answer: &PleaAnswer) -> u8 {
    match answer {
        PleaAnswer::Refused(_) => 0,
        PleaAnswer::Held => 1,
        PleaAnswer::Kept(_) => 2,
        PleaAnswer::Arrived(_) => 3,
    }
}

/// Whether what stands at the path can only stand there because the entry came since it left with that
/// version: a proof may be an old one.
fn came(wish: &Petition, number: u64, entry: Option<&Entry>) -> bool {
    match entry {
        Some(Entry::Bound(version)) => version.uid == wish.uid && version.number > number,
        Some(Entry::Moved(redirect)) => {
            redirect.uid == Some(wish.uid) && redirect.last.is_none_or(|last| last.number > number)
        }
        _ => false,
    }
}
