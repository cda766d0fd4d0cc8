//! Exports that are taken in.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use crate::index::entry::Entry;
use crate::index::export::Restored;
use crate::index::place::Apex;
use crate::index::refusal::Refusal;
use crate::index::view::IndexView as _;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::service::governor::{ChangeError, Committed, Placement, Takeover, Work, no_apex};
use crate::service::ports::{Parts, Store as _};
use crate::service::resolver::error_chain;

use super::{Changes, PlanError};

impl<P: Parts> Changes<P> {
    /// Whether an export can be taken in at a name at all, whatever it holds.
    pub fn may_take_export(
        &self,
        apexes: &[Apex],
        name: &Name,
        is_apex: bool,
    ) -> Result<(), PlanError> {
        let snapshot = self.store.latest();
        let unread = |error| ChangeError::Store(error_chain(&error));
        match self.place_of_export(apexes, name, is_apex)? {
            Placement::Apex(name) => {
                let present = snapshot.apexes().map_err(unread)?;
                let held = present.iter().any(|(held, _)| *held == name);
                match no_apex(&name, &present).filter(|_| !held) {
                    Some(reason) => Err(Refusal::Apex { name, reason }.into()),
                    None => Ok(()),
                }
            }
            Placement::Below { parent, label } => {
                let slot = snapshot.slot(parent, &NamePath::empty().child(&label));
                match slot.map_err(unread)?.and_then(|slot| slot.entry) {
                    Some(Entry::Delegated(_)) => Ok(()),
                    _ => Err(PlanError::NoPlace(format!(
                        "the scope above {name} delegates nothing there"
                    ))),
                }
            }
        }
    }

    fn place_of_export(
        &self,
        apexes: &[Apex],
        name: &Name,
        is_apex: bool,
    ) -> Result<Placement, PlanError> {
        if is_apex {
            return Ok(Placement::Apex(name.clone()));
        }
        self.placement(apexes, name)
    }

    /// Replays an export below the parent that `name` has here, or as the root of an apex. All of
    /// it is durable when this returns `Ok`; otherwise nothing changed.
    pub async fn take_export(
        &self,
        apexes: &[Apex],
        name: &Name,
        is_apex: bool,
        source: Box<dyn Read + Send>,
    ) -> Result<(Committed, Restored), PlanError> {
        let placement = self.place_of_export(apexes, name, is_apex)?;
        let done = Arc::new(OnceLock::new());
        let takeover = Takeover {
            placement,
            source,
            done: Arc::clone(&done),
        };
        let work = Work::TakeOver(Box::new(takeover));
        let done_at = self.governor.commit(work).await?;
        let committed = *done_at.at().ok_or(ChangeError::Stopping)?;
        let restored = done.get().copied().ok_or(ChangeError::Stopping)?;
        Ok((committed, restored))
    }

    /// Where a scope belongs whose parent is held here.
    pub fn placement(&self, apexes: &[Apex], name: &Name) -> Result<Placement, PlanError> {
        let (Some(above), Some(label)) = (name.parent(), name.first_label()) else {
            let (name, reason) = (name.clone(), "it is the root of all names");
            return Err(Refusal::Apex { name, reason }.into());
        };
        if apexes.iter().any(|apex| apex.name == *name) {
            return Err(PlanError::Misdirected(format!(
                "{name} is an apex of this node; say so with --apex"
            )));
        }
        let place = self.scope_at(apexes, &above)?;
        Ok(Placement::Below {
            parent: place.scope.no,
            label: label.to_vec(),
        })
    }
}
