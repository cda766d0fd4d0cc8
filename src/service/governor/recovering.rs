//! Scopes whose parent, which is held here, put other anchors in force: the block that it announced is
//! added to their lineage, by the same rules as one that a peer gives.

use crate::base::keys::Signer as _;
use crate::governance::descriptor::Descriptor;
use crate::index::recovery::confirmed_link;
use crate::index::replica::Mirror;
use crate::index::state::ScopeNo;
use crate::index::view::{IndexView, Link};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{Clock, Store};
use crate::service::resolver::error_chain;

use super::follow::{Follow, Followed};
use super::queue::Done;
use super::{Writer, Writing};

impl<S: Store, C: Clock> Writer<S, C> {
    /// Remembers a scope whose parent may have recovered it.
    pub(super) fn may_be_confirmed(&self, child: ScopeUid) {
        self.confirmed.borrow_mut().insert(child);
    }

    /// Remembers the child at a label.
    pub(super) fn note_confirmed<T: Writing<S>>(
        &self,
        txn: &T,
        parent: ScopeNo,
        label: &[u8],
    ) -> Result<(), S::Error> {
        let slot = txn.slot(parent, &NamePath::empty().child(label))?;
        if let Some(child) = slot.and_then(|slot| slot.child()) {
            self.may_be_confirmed(child);
        }
        Ok(())
    }

    /// Looks at every scope below another one: a node may have stopped between what the parent decided
    /// and what follows from it.
    pub(super) fn look_for_confirmed(&self) {
        let snapshot = self.store.latest();
        let count = snapshot.scope_count().unwrap_or(0);
        for no in 0..count {
            if let Ok(Some(state)) = snapshot.scope(ScopeNo(no))
                && state.edge.is_some()
            {
                self.may_be_confirmed(state.uid);
            }
        }
    }

    /// Adds the blocks of scopes that were recovered.
    pub(super) fn recover(&self) {
        let candidates = std::mem::take(&mut *self.confirmed.borrow_mut());
        for uid in candidates {
            let link = {
                let snapshot = self.store.latest();
                match snapshot.scope_of(&uid) {
                    Ok(Some(child)) => confirmed_link(snapshot.as_ref(), &child),
                    Ok(None) => Ok(None),
                    Err(error) => {
                        tracing::error!(error = error_chain(&error), "the index could not be read");
                        return;
                    }
                }
            };
            match link {
                Ok(None) => {}
                Ok(Some(link)) => self.add(uid, link),
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::error!(scope = %uid, error, "a scope cannot be recovered here");
                }
            }
        }
    }

    fn add(&self, scope: ScopeUid, link: Link) {
        let follow = Follow {
            scope,
            founding: None,
            byte_count: 0,
            links: vec![link],
            mirror: None,
        };
        let answered = self.follow(&follow);
        // Its own block is no reason to look again.
        self.confirmed.borrow_mut().remove(&scope);
        match &answered {
            Ok(Done::Followed(Followed {
                unfit: Some(why), ..
            })) => {
                tracing::error!(%scope, why, "what the parent scope put in force does not follow");
            }
            Ok(_) => tracing::warn!(%scope, "the parent scope put other anchors in force"),
            Err(error) => tracing::error!(%scope, %error, "a scope could not be recovered"),
        }
        let answers = [answered];
        self.note(&answers);
        self.tell(&answers);
    }

    /// Who recovers a scope follows it no more: it is decided over here. Who held its keys before follows
    /// it from now on, at any node.
    pub(super) fn note_recovered<T: Writing<S>>(
        &self,
        txn: &mut T,
        link: &Link,
    ) -> Result<(), S::Error> {
        let Some(next) = &link.body.recovered else {
            return Ok(());
        };
        let scope = link.block.scope;
        if self.decides(next) {
            return txn.put_mirror(&scope, None);
        }
        if txn.mirror(&scope)?.is_some() {
            return Ok(());
        }
        let mirror = Mirror {
            scope,
            sources: Vec::new(),
            since: self.clock.now(),
        };
        txn.put_mirror(&scope, Some(&mirror))
    }

    /// Whether keys of this node alone decide.
    fn decides(&self, descriptor: &Descriptor) -> bool {
        let seats = self.keyring.seats(descriptor);
        let weights = seats.iter().filter_map(|key| {
            let seat = descriptor.anchors.seat_of(&key.public());
            seat.map(|(_, anchor)| u64::from(anchor.weight))
        });
        weights.sum::<u64>() >= descriptor.quorum_weight()
    }
}
