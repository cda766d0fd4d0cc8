//! Leases in the name of this node's seats.

use crate::base::keys::PublicKey;
use crate::base::signed::Signed;
use crate::governance::lease::Lease;
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;
use crate::service::keyring::KeyringError;
use crate::service::ports::Parts;

use super::{Changes, PlanError};

impl<P: Parts> Changes<P> {
    /// Signs a lease with the key of this node's first seat in a scope.
    pub fn sign_lease(
        &self,
        state: &ScopeState,
        lease: impl FnOnce(PublicKey) -> Lease,
    ) -> Result<Signed<Lease>, PlanError> {
        let no_seat = || {
            let needed = state.descriptor.quorum_weight();
            PlanError::from(Refusal::Quorum { weight: 0, needed })
        };
        let seats = self.keyring.seats(&state.descriptor);
        let key = seats.first().ok_or_else(no_seat)?;
        let signed = Signed::new(lease(key.public()), key);
        signed.map_err(|error| KeyringError::from(error).into())
    }
}
