//! Drives a pull: asks, replays, and reads what is held.

use std::collections::BTreeMap;

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::governance::descriptor::Descriptor;
use crate::index::export::encoded_length;
use crate::index::history::voters_of;
use crate::index::replica::Mirror;
use crate::index::view::{IndexView, Link};
use crate::namespace::scope::ScopeUid;
use crate::replication::pull::{Ended, Heard, Position, Pull, Want};
use crate::replication::wire::{Reply, Request, Turned};
use crate::service::governor::{ChangeError, Done, Follow, Placement, Work};
use crate::service::ports::{Clock, Parts, PeerFailure, Store};

use super::{MirrorError, Replicator, Standing, unreadable};

/// Where a scope is to be that is not held, and how it is followed then.
type First = Option<(Placement, Mirror)>;

impl<P: Parts> Replicator<P> {
    /// Brings a scope to where the first of these peers has it that is of use.
    pub(super) async fn pull(
        &self,
        scope: ScopeUid,
        sources: Vec<PublicKey>,
        mut first: First,
    ) -> Result<Ended, MirrorError> {
        let peer = sources.first().copied().unwrap_or(PublicKey::NOBODY);
        let _room = self.slots.take(peer).await;
        let at = self.state(&scope)?.map(|state| Position {
            height: state.height,
            block: state.head,
        });
        let mut pull = Pull::new(scope, at, sources);
        let mut want = pull.start();
        let ended = loop {
            let heard = match want {
                Want::Nothing(ended) => break ended,
                Want::Replay { genesis, links } => {
                    self.replay(scope, genesis, links, &mut first).await?
                }
                Want::Judge { link } => self.judge(&scope, &link)?,
                Want::Head { of } => self.head(scope, of).await?,
                Want::Links { of, from, count } => {
                    let request = Request::Links { scope, from, count };
                    heard(self.ask(of, request).await?)
                }
                Want::Compare { of, height } => self.compared(scope, of, height).await?,
            };
            want = pull.step(heard);
        };
        self.conclude(scope, &pull, ended).await
    }

    async fn ask(
        &self,
        peer: PublicKey,
        request: Request,
    ) -> Result<Result<Reply, PeerFailure>, MirrorError> {
        let network = self.network().ok_or(MirrorError::NoNetwork)?;
        Ok(network.ask(peer, request).await)
    }

    async fn head(&self, scope: ScopeUid, of: PublicKey) -> Result<Heard, MirrorError> {
        let heads = match self.ask(of, Request::Heads(vec![scope])).await? {
            Ok(Reply::Heads(heads)) => heads,
            other => return Ok(heard(other)),
        };
        let Some(head) = heads.into_iter().next() else {
            return Ok(Heard::Head(None, None));
        };
        let now = self.clock.now();
        self.note(&scope, |standing| {
            standing.heard = Some((of, now));
            standing.height_there = head.height;
        });
        Ok(Heard::Head(Some(head), self.held_at(&scope, head.height)?))
    }

    async fn compared(
        &self,
        scope: ScopeUid,
        of: PublicKey,
        height: u64,
    ) -> Result<Heard, MirrorError> {
        let request = Request::Links {
            scope,
            from: height,
            count: 1,
        };
        let links = match self.ask(of, request).await? {
            Ok(Reply::Links(links)) => links.links,
            other => return Ok(heard(other)),
        };
        let link = links.into_iter().next().map(Box::new);
        let held = self.held_at(&scope, height)?.unwrap_or(Digest::ZERO);
        Ok(Heard::Compared(link, held))
    }

    /// The digest of the block that is held at a height.
    fn held_at(&self, scope: &ScopeUid, height: u64) -> Result<Option<Digest>, MirrorError> {
        let Some(state) = self.state(scope)? else {
            return Ok(None);
        };
        let header = self.store.latest().header(state.no, height);
        let header = header.map_err(|error| unreadable(&error))?;
        Ok(header.map(|block| block.digest()))
    }

    /// Has the writer replay blocks; what does not follow is the peer's fault, everything else ours.
    async fn replay(
        &self,
        scope: ScopeUid,
        genesis: Option<Box<Descriptor>>,
        links: Vec<Link>,
        first: &mut First,
    ) -> Result<Heard, MirrorError> {
        let (founding, mirror) = match (genesis, first.take()) {
            (Some(genesis), Some((placement, mirror))) => {
                (Some((placement, genesis)), Some(mirror))
            }
            (_, first) => {
                drop(first);
                (None, None)
            }
        };
        let again = founding.as_ref().map(|(placement, _)| placement.clone());
        let follow = Follow {
            scope,
            founding,
            byte_count: links.iter().map(encoded_length).sum(),
            links,
            mirror: mirror.clone(),
        };
        let done = self.governor.commit(Work::Follow(Box::new(follow))).await?;
        let Done::Followed(followed) = done else {
            return Err(ChangeError::Stopping.into());
        };
        if followed.at.is_none() {
            // Another peer may give the scope.
            *first = again.zip(mirror);
        }
        Ok(Heard::Replayed {
            at: followed.at.map(|at| Position {
                height: at.height,
                block: at.block,
            }),
            unfit: followed.unfit,
        })
    }

    /// Whether the anchors that decided the block held at a height decided another one, too.
    fn judge(&self, scope: &ScopeUid, other: &Link) -> Result<Heard, MirrorError> {
        let Some(state) = self.state(scope)? else {
            return Ok(Heard::Judged { certified: false });
        };
        let snapshot = self.store.latest();
        let voters = voters_of(snapshot.as_ref(), &state, other.block.height);
        let voters = voters.map_err(|error| unreadable(&error))?;
        let holds = |voters: Descriptor| other.certificate.verify(&other.block, &voters).is_ok();
        Ok(Heard::Judged {
            certified: voters.is_some_and(holds),
        })
    }

    async fn conclude(
        &self,
        scope: ScopeUid,
        pull: &Pull,
        ended: Ended,
    ) -> Result<Ended, MirrorError> {
        let network = self.network().ok_or(MirrorError::NoNetwork)?;
        let names: BTreeMap<PublicKey, String> = network
            .peers()
            .into_iter()
            .map(|peer| (peer.id, peer.name))
            .collect();
        let mut complaints = Vec::new();
        for (peer, complaint) in pull.complaints() {
            if complaint.is_lie() {
                network.complain(peer, complaint);
            }
            let name = names.get(peer).cloned().unwrap_or_else(|| peer.short());
            complaints.push(format!("{name}: {complaint}"));
        }
        match ended {
            Ended::Level { with } => {
                let now = self.clock.now();
                let height = pull.at().map_or(0, |at| at.height);
                self.note(&scope, |standing| {
                    *standing = Standing {
                        heard: Some((with, now)),
                        height_there: height,
                        error: None,
                    };
                });
                Ok(Ended::Level { with })
            }
            Ended::Ahead => Ok(Ended::Ahead),
            Ended::GivenUp => Err(MirrorError::Peers { complaints }),
            Ended::Forked { with, link } => {
                let height = link.block.height;
                let work = Work::Freeze(Box::new(link.into_certified()), with);
                self.governor.commit(work).await?;
                Err(MirrorError::Forked { height })
            }
        }
    }
}

/// What a reply says to a pull, where it needs nothing that is held.
fn heard(reply: Result<Reply, PeerFailure>) -> Heard {
    match reply {
        Ok(Reply::Links(links)) => Heard::Links(links),
        Ok(_) => Heard::Nonsense,
        Err(PeerFailure::Turned(Turned::NotHeld)) => Heard::Head(None, None),
        Err(failure) => Heard::Silent(failure.to_string()),
    }
}
