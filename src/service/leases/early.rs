//! `Early`: leases that came from other nodes before the block that lets them be taken.
//!
//! Names and grants come over other ways than leases, and not in step with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::index::held_lease::LeaseKey;
use crate::namespace::scope::ScopeUid;

use super::Heard;

/// Leases of one peer that are kept until a block comes: as many as some pages hold.
const EARLY_PER_PEER_MAX: usize = 1_024;

/// Leases that may be taken later, by the scope whose next block may let them.
#[derive(Debug, Default)]
pub(super) struct Early {
    by_scope: BTreeMap<ScopeUid, BTreeMap<(PublicKey, LeaseKey), Heard>>,
    by_peer: BTreeMap<PublicKey, usize>,
}

impl Early {
    /// Keeps a lease, or lets it go if its peer has too many here.
    pub(super) fn keep(&mut self, peer: PublicKey, heard: Heard) {
        let lease = heard.lease.object();
        let (scope, key) = (lease.scope, (lease.service, lease.instance.clone()));
        let of_peer = self.by_peer.entry(peer).or_default();
        let of_scope = self.by_scope.entry(scope).or_default();
        let is_new = !of_scope.contains_key(&(peer, key.clone()));
        if is_new && *of_peer >= EARLY_PER_PEER_MAX {
            return;
        }
        *of_peer += usize::from(is_new);
        of_scope.insert((peer, key), heard);
    }

    /// What may be tried again now that these scopes went on, by the peers that brought it.
    pub(super) fn take(&mut self, scopes: &BTreeSet<ScopeUid>) -> BTreeMap<PublicKey, Vec<Heard>> {
        let mut taken: BTreeMap<PublicKey, Vec<Heard>> = BTreeMap::new();
        for scope in scopes {
            for ((peer, _), heard) in self.by_scope.remove(scope).unwrap_or_default() {
                self.count_down(&peer);
                taken.entry(peer).or_default().push(heard);
            }
        }
        taken
    }

    /// Lets go of what is over.
    pub(super) fn tick(&mut self, now: Timestamp) {
        let mut over = Vec::new();
        for of_scope in self.by_scope.values_mut() {
            of_scope.retain(|(peer, _), heard| {
                let lasts = heard.lease.object().expires > now;
                if !lasts {
                    over.push(*peer);
                }
                lasts
            });
        }
        self.by_scope.retain(|_, of_scope| !of_scope.is_empty());
        for peer in over {
            self.count_down(&peer);
        }
    }

    fn count_down(&mut self, peer: &PublicKey) {
        if let Some(count) = self.by_peer.get_mut(peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_peer.remove(peer);
            }
        }
    }
}
