//! What a scope says of the recovery of a child: announced, confirmed after the delay, or taken back.

use crate::base::time::Timestamp;
use crate::governance::recovery::{Recovery, RecoveryOffer};
use crate::index::entry::Slot;
use crate::index::refusal::Refusal;
use crate::index::view::IndexView;
use crate::namespace::path::NamePath;

use super::{Outcome, Transition, not_bound};

impl<V: IndexView> Transition<'_, '_, V> {
    pub(super) fn recover(
        &mut self,
        label: &[u8],
        delay_secs: u64,
        offer: &RecoveryOffer,
    ) -> Outcome<(), V::Error> {
        let (path, slot) = self.delegated(label)?;
        offer.check().map_err(Refusal::Recovery)?;
        let is_of_child =
            slot.child() == Some(offer.scope()) && offer.parent() == Some(self.state.uid);
        if !is_of_child {
            return Err(Refusal::Descriptor("it recovers another scope").into());
        }
        if slot
            .recovery
            .is_some_and(|said| said.height >= offer.block().height && said.confirmed)
        {
            return Err(Refusal::Recovered.into());
        }
        let from: Timestamp = self.occasion.time;
        let recovery = offer.announced_at(from);
        if recovery.due < from.plus_millis(delay_secs.saturating_mul(1_000)) {
            return Err(Refusal::TooSoon {
                due: recovery.due,
                delay_secs,
            }
            .into());
        }
        self.say(&path, slot, Some(recovery));
        Ok(())
    }

    pub(super) fn confirm(&mut self, label: &[u8]) -> Outcome<(), V::Error> {
        let (path, slot) = self.delegated(label)?;
        let announced = slot.recovery.filter(|said| !said.confirmed);
        let announced = announced.ok_or_else(|| Refusal::NoRecovery(path.clone()))?;
        if self.occasion.time < announced.due {
            return Err(Refusal::NotDue(announced.due).into());
        }
        let confirmed = Recovery {
            confirmed: true,
            ..announced
        };
        self.say(&path, slot, Some(confirmed));
        Ok(())
    }

    pub(super) fn abandon(&mut self, label: &[u8]) -> Outcome<(), V::Error> {
        let (path, slot) = self.delegated(label)?;
        if slot.recovery.is_none_or(|said| said.confirmed) {
            return Err(Refusal::NoRecovery(path).into());
        }
        self.say(&path, slot, None);
        Ok(())
    }

    /// Carries what is said along with a child that gets another label.
    pub(super) fn put_recovery(
        &mut self,
        path: &NamePath,
        recovery: Option<Recovery>,
    ) -> Outcome<(), V::Error> {
        let slot = self.slot(path)?;
        self.say(path, slot, recovery);
        Ok(())
    }

    fn say(&mut self, path: &NamePath, slot: Slot, recovery: Option<Recovery>) {
        self.stage
            .put_recovery(self.occasion.scope, path, slot, recovery);
    }

    fn delegated(&self, label: &[u8]) -> Outcome<(NamePath, Slot), V::Error> {
        let path = NamePath::empty().child(label);
        let slot = self.slot(&path)?;
        if slot.child().is_none() {
            return Err(not_bound(&path, slot.entry.as_ref()).into());
        }
        Ok((path, slot))
    }
}
