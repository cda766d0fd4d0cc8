//! What callers of some scopes only may see of what a call comes upon.

use axum::http::StatusCode;

use crate::index::entry::Version;
use crate::index::place::{Apex, absolute, apex_of};
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::resolution::answer::Answer;
use crate::resolution::trail::{Trail, TrailStep};
use crate::service::permission::Permission;

use super::routes::unreadable;
use super::status::Failure;

/// A caller's permission over the names of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) permission: &'a Permission,
    pub(super) apexes: &'a [Apex],
}

impl Sight<'_> {
    /// Whether a version was made where the caller may look. One that was made in a scope without
    /// a name here is nobody's but the node's.
    pub(super) fn sees<V: IndexView>(&self, view: &V, version: &Version) -> Result<bool, V::Error> {
        if self.permission.is_everywhere() {
            return Ok(true);
        }
        let name = match view.scope_no(&version.scope)? {
            Some(no) => absolute(view, self.apexes, no, &version.path)?,
            None => None,
        };
        Ok(name.is_some_and(|name| self.permission.covers(&name)))
    }

    /// Refuses a version that was made elsewhere, before the entry moved to where the caller may look.
    pub(super) fn allow<V: IndexView>(&self, view: &V, version: &Version) -> Result<(), Failure> {
        let is_seen = self.sees(view, version);
        if is_seen.map_err(|error| unreadable(&error))? {
            return Ok(());
        }
        let number = version.number;
        let error = format!("version {number} was made beyond the scopes of the caller");
        Err(Failure::new(StatusCode::FORBIDDEN, error, None))
    }

    /// Refuses an answer that leads to governed names where the caller may not look.
    pub(super) fn within(&self, answer: &mut Answer, trail: &Trail) -> Result<(), Failure> {
        if self.permission.is_everywhere() {
            return Ok(());
        }
        let leads = answer.answers.iter().any(|record| {
            let target = (record.kind == RecordType::CNAME)
                .then(|| record.rdata.to_text(record.kind).parse::<Name>().ok())
                .flatten();
            self.is_foreign(&record.owner) || target.is_some_and(|name| self.is_foreign(&name))
        });
        let led = trail.steps().iter().any(|step| match step {
            TrailStep::Route { name, .. }
            | TrailStep::Lookup { name, .. }
            | TrailStep::FallBack { name, .. }
            | TrailStep::Chain { to: name, .. } => self.is_foreign(name),
            _ => false,
        });
        if leads || led {
            let error = "the answer leads to names beyond the scopes of the caller";
            return Err(Failure::new(StatusCode::FORBIDDEN, error, None));
        }
        let additionals = &mut answer.additionals;
        additionals.retain(|record| !self.is_foreign(&record.owner));
        Ok(())
    }

    fn is_foreign(&self, name: &Name) -> bool {
        apex_of(self.apexes, name).is_some() && !self.permission.covers(name)
    }
}
