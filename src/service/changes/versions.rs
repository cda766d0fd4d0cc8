//! Changes that go by the versions of an entry.

use crate::governance::op::{Op, Precondition};
use crate::index::entry::{Change, Version};
use crate::index::place::{Apex, Place};
use crate::index::refusal::Refusal;
use crate::index::sets;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::version_name::{Tag, Which};
use crate::service::governor::{ChangeError, Done};
use crate::service::ports::{Parts, Store};
use crate::service::resolver::error_chain;

use super::{Changes, PlanError};

/// A tag, and what shall become of it.
#[derive(Debug, Clone)]
pub struct Tagging {
    /// The tag.
    pub tag: Tag,
    /// The version that gets it, the head if it is not said which; none to take the tag away.
    pub version: Option<Option<Which>>,
    /// The version that the author saw as the head; the present one if none is given.
    pub if_version: Option<u64>,
}

impl<P: Parts> Changes<P> {
    /// Gives a name the record sets of an older version again, as a new version.
    pub async fn restore(
        &self,
        apexes: &[Apex],
        name: &Name,
        (to, if_version): (Option<Which>, Option<u64>),
        note: &str,
    ) -> Result<Done, PlanError> {
        let place = self.place(apexes, name)?;
        let path = place.path.clone();
        let (head, older) = self.restorable((&place, name), to.as_ref())?;
        let changes = sets::restoring(&head.sets, &older.sets);
        if changes.is_empty() {
            return Err(PlanError::Misdirected(format!(
                "version {} of {name} has the record sets of the head; `name rename` and \
                 `name move` give a name back",
                older.number
            )));
        }
        let may_empty = older.sets.is_empty();
        let op = Op::Update {
            path,
            changes,
            may_empty,
        };
        let seen = Precondition::VersionIs(head.uid, if_version.unwrap_or(head.number));
        self.decide(&place.scope, vec![op], vec![seen], note).await
    }

    /// Gives a tag to a version of a name, or takes it away.
    pub async fn tag(
        &self,
        apexes: &[Apex],
        name: &Name,
        tagging: Tagging,
        note: &str,
    ) -> Result<Done, PlanError> {
        let place = self.place(apexes, name)?;
        let path = place.path.clone();
        let head = self.head(&place)?;
        let head = head.ok_or_else(|| Refusal::NoEntry(path.clone()))?;
        let number = match tagging.version {
            None => None,
            Some(None) => Some(head.number),
            Some(Some(which)) => {
                let missing = || PlanError::NoPlace(format!("{name} has no {which}"));
                Some(head.number_of(&which).ok_or_else(missing)?)
            }
        };
        let tag = tagging.tag;
        let op = Op::Tag { path, tag, number };
        let seen = tagging.if_version.unwrap_or(head.number);
        let seen = Precondition::VersionIs(head.uid, seen);
        self.decide(&place.scope, vec![op], vec![seen], note).await
    }

    /// The version that an undo would give back: the one that is named, or the one before the
    /// head's record sets came.
    pub fn undone_to(
        &self,
        apexes: &[Apex],
        name: &Name,
        to: Option<&Which>,
    ) -> Result<Version, PlanError> {
        let place = self.place(apexes, name)?;
        Ok(self.restorable((&place, name), to)?.1)
    }

    /// The head of an entry, and the version that an undo gives back.
    fn restorable(
        &self,
        (place, name): (&Place, &Name),
        to: Option<&Which>,
    ) -> Result<(Version, Version), PlanError> {
        let head = self.head(place)?;
        let head = head.ok_or_else(|| Refusal::NoEntry(place.path.clone()))?;
        let to = match to {
            Some(to) => to.clone(),
            None => Which::Number(self.before(&head)?),
        };
        let older = self.meant(&head, &to)?;
        let older = older.ok_or_else(|| PlanError::NoPlace(format!("{name} has no {to}")))?;
        Ok((head, older))
    }

    /// The number of the version before the head's record sets came: tags do not change them.
    fn before(&self, head: &Version) -> Result<u64, PlanError> {
        let mut at = head.clone();
        while at.change == Change::Tagged {
            match self.meant(head, &Which::Number(at.number - 1))? {
                Some(older) => at = older,
                None => break,
            }
        }
        Ok(at.number - 1)
    }

    /// A version of the entry with this head.
    fn meant(&self, head: &Version, which: &Which) -> Result<Option<Version>, PlanError> {
        let Some(number) = head.number_of(which) else {
            return Ok(None);
        };
        if number == head.number {
            return Ok(Some(head.clone()));
        }
        let archived = self.store.latest().archived(&head.uid, number);
        archived.map_err(|error| ChangeError::Store(error_chain(&error)).into())
    }
}
