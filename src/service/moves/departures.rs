//! The end at which an entry leaves.

use crate::base::canonical::Form as _;
use crate::base::keys::PublicKey;
use crate::governance::petition::Petition;
use crate::index::entry::Entry;
use crate::index::journey::{Journey, Stage};
use crate::index::passage::Passage;
use crate::index::state::ScopeState;
use crate::replication::pull::Complaint;
use crate::replication::wire::{Plea, PleaAnswer, PleaWord, Reply, Request};
use crate::service::ports::{Clock, Parts, Store};

use super::{Moves, shown, unreadable};

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
        if journey.stage.is_over() {
            return Ok(journey.clone());
        }
        let state = self.scope(&wish.from).map_err(|error| unreadable(&error))?;
        let state = state.ok_or("the scope that it leaves is not held any more")?;
        let entry = self.entry(state.no, &wish.from_path);
        match entry.map_err(|error| unreadable(&error))? {
            Some(Entry::Bound(head)) if head.uid == wish.uid => {
                if self.clock.now() > wish.not_after && !self.is_proposed(journey) {
                    return stage(Stage::Refused, "nobody kept a path for it in time");
                }
                self.ask_for_path(journey).await
            }
            Some(Entry::Moved(redirect))
                if (redirect.uid, redirect.scope) == (Some(wish.uid), wish.to)
                    && redirect.path == wish.to_path =>
            {
                self.bring(journey, &state).await
            }
            _ if journey.stage == Stage::Left => {
                stage(Stage::Left, "what it left behind is not there any more")
            }
            _ => stage(Stage::Refused, "the entry is not there any more"),
        }
    }

    async fn ask_for_path(&self, journey: &Journey) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        let (peer, answer) = self.plead(journey, PleaWord::Keep).await?;
        let next = |stage, said: String| Journey {
            stage,
            said,
            peer: Some(peer),
            ..journey.clone()
        };
        match answer {
            PleaAnswer::Held => Ok(next(Stage::Held, String::new())),
            PleaAnswer::Refused(reason) => Ok(next(Stage::Refused, reason)),
            PleaAnswer::Arrived(_) => Err("it cannot have come there before it left".to_owned()),
            PleaAnswer::Kept(proof) => {
                let kept = Entry::Reserved {
                    uid: wish.uid,
                    from: wish.from,
                };
                let slot = shown(&proof, wish.to, &wish.to_path);
                if slot.and_then(|slot| slot.entry) != Some(kept) {
                    return Err("the other node proves no path that is kept".to_owned());
                }
                match self.change(journey, self.changes.let_go(wish)).await {
                    Ok(None) => Ok(next(Stage::Left, String::new())),
                    Ok(Some(lacks)) => Ok(next(Stage::Admitted, lacks)),
                    Err(error) => Ok(next(Stage::Admitted, error.to_string())),
                }
            }
        }
    }

    /// Brings what proves that the entry left.
    async fn bring(&self, journey: &Journey, state: &ScopeState) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        let left = Journey {
            stage: Stage::Left,
            ..journey.clone()
        };
        if journey.stage != Stage::Left {
            // It is noted first: it is tried again from here.
            return Ok(left);
        }
        let passage = Passage::make(self.store.latest().as_ref(), state.no, &wish.from_path);
        let passage = passage.map_err(|error| unreadable(&error))?.to_bytes();
        let (peer, answer) = self.plead(journey, PleaWord::Take(passage)).await?;
        let next = |stage, said: String| Journey {
            stage,
            said,
            peer: Some(peer),
            ..journey.clone()
        };
        Ok(match answer {
            PleaAnswer::Held | PleaAnswer::Kept(_) => next(Stage::Left, String::new()),
            PleaAnswer::Refused(reason) => next(Stage::Left, reason),
            PleaAnswer::Arrived(proof) => {
                let slot = shown(&proof, wish.to, &wish.to_path);
                if came(wish, slot.and_then(|slot| slot.entry).as_ref()) {
                    next(Stage::Arrived, String::new())
                } else {
                    next(
                        Stage::Left,
                        "the other node does not prove that it came".to_owned(),
                    )
                }
            }
        })
    }

    /// Tells the other node that nothing comes of it, if it can be reached.
    pub(super) async fn drop_there(&self, journey: &Journey) {
        if journey.peer.is_some() {
            drop(self.plead(journey, PleaWord::Drop).await);
        }
    }

    /// Asks the nodes that are there until one says how the petition stands: the one that knows it
    /// first. A refusal counts if no other node says better.
    async fn plead(
        &self,
        journey: &Journey,
        word: PleaWord,
    ) -> Result<(PublicKey, PleaAnswer), String> {
        let Some(network) = self.network.get() else {
            return Err("this node reaches no peers".to_owned());
        };
        let peers = network.peers().into_iter();
        let mut peers: Vec<PublicKey> = peers
            .filter(|peer| peer.is_connected)
            .map(|peer| peer.id)
            .collect();
        peers.sort_by_key(|peer| Some(*peer) != journey.peer);
        let request = Request::Plea(Box::new(Plea {
            petition: journey.petition.clone(),
            word,
        }));
        let mut refused = None;
        for peer in peers {
            match network.ask(peer, request.clone()).await {
                Ok(Reply::Plea(PleaAnswer::Refused(reason))) => {
                    refused = refused.or(Some((peer, PleaAnswer::Refused(reason))));
                }
                Ok(Reply::Plea(answer)) => return Ok((peer, answer)),
                Ok(Reply::Turned(_)) | Err(_) => {}
                Ok(_) => {
                    let complaint = Complaint::Unasked("another reply than was asked for");
                    network.complain(&peer, &complaint);
                }
            }
        }
        refused.ok_or_else(|| "no node that governs the other scope answers".to_owned())
    }
}

/// Whether what stands at the path can only stand there because the entry came.
fn came(wish: &Petition, entry: Option<&Entry>) -> bool {
    match entry {
        Some(Entry::Bound(version)) => version.uid == wish.uid,
        Some(Entry::Moved(redirect)) => redirect.uid == Some(wish.uid),
        Some(Entry::Retired { .. }) => true,
        Some(Entry::Reserved { .. } | Entry::Delegated(_)) | None => false,
    }
}
