//! Exports that are taken in.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use crate::index::export::Restored;
use crate::index::place::Apex;
use crate::index::refusal::Refusal;
use crate::namespace::name::Name;
use crate::service::governor::{ChangeError, Committed, Placement, Takeover, Work};
use crate::service::ports::Parts;

use super::{Changes, PlanError};

impl<P: Parts> Changes<P> {
    /// Replays an export below the parent that `name` has here, or as the root of an apex. All of
    /// it is durable when this returns `Ok`; otherwise nothing changed.
    pub async fn take_export(
        &self,
        apexes: &[Apex],
        name: &Name,
        is_apex: bool,
        source: Box<dyn Read + Send>,
    ) -> Result<(Committed, Restored), PlanError> {
        let placement = if is_apex {
            Placement::Apex(name.clone())
        } else {
            self.placement(apexes, name)?
        };
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

    fn placement(&self, apexes: &[Apex], name: &Name) -> Result<Placement, PlanError> {
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
