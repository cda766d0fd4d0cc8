//! What a call touches: the names by which callers of some scopes only are judged.

use crate::base::digest::Digest;
use crate::index::place::{absolute, scope_name};
use crate::index::state::ScopeNo;
use crate::index::view::IndexView;
use crate::namespace::action_name;
use crate::namespace::alias;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name;
use crate::service::ports::{Parts, Store};

use super::super::names::uid_at;
use super::super::render;
use super::super::routes::{Api, unreadable};
use super::super::status::Failure;
use super::Input;

/// What a part of a call touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Touched {
    /// These names, and what lies below them.
    Names(Vec<Name>),
    /// The node itself: callers of some scopes only are refused.
    Node,
}

/// A body or a query, which says what names it is about besides those in the path.
pub(in super::super) trait About<P: Parts>: Input {
    /// The names.
    fn about(&self, api: &Api<P>) -> Result<Touched, Failure>;
}

impl Touched {
    pub(in super::super) const NOTHING: Self = Self::Names(Vec::new());

    pub(in super::super) fn one(name: Name) -> Self {
        Self::Names(vec![name])
    }

    /// Both.
    pub(in super::super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Names(mut names), Self::Names(more)) => {
                names.extend(more);
                Self::Names(names)
            }
            _ => Self::Node,
        }
    }
}

/// Bodies and queries that name nothing besides what the path names.
macro_rules! nothing {
    ($($kind:ty),* $(,)?) => {
        $(impl<P: crate::service::ports::Parts> $crate::adapters::http::calls::About<P> for $kind {
            fn about(
                &self,
                _: &$crate::adapters::http::routes::Api<P>,
            ) -> Result<$crate::adapters::http::calls::Touched, $crate::adapters::http::status::Failure> {
                Ok($crate::adapters::http::calls::Touched::NOTHING)
            }
        })*
    };
}

pub(in super::super) use nothing;

/// Everything that a text may mean as a name: itself, what it is a version of, what it acts on.
pub(in super::super) fn by_name(text: &str) -> Result<Touched, Failure> {
    let mut names = Vec::new();
    if let Ok(name) = alias::parse_either(text) {
        names.push(name);
    }
    if let Ok((name, _)) = alias::parse_versioned(text) {
        names.push(name);
    }
    if let Ok(request) = alias::parse(text) {
        names.push(request.name);
    }
    if names.is_empty() {
        render::read_name(text)?;
    }
    let about: Vec<Name> = names
        .iter()
        .flat_map(|name| {
            let version = version_name::parts(name).map(|(_, name)| name);
            version
                .into_iter()
                .chain(action_name::parts(name).map(|(_, name)| name))
        })
        .collect();
    names.extend(about);
    Ok(Touched::Names(names))
}

/// An entry by name or UID: what the name means, and where the entry lives now.
pub(in super::super) fn by_entry<P: Parts>(api: &Api<P>, text: &str) -> Result<Touched, Failure> {
    if let Ok(uid) = text.parse::<Uid>() {
        return by_uid(api, &uid);
    }
    let mut touched = by_name(text)?;
    let Touched::Names(names) = touched.clone() else {
        return Ok(touched);
    };
    for name in names {
        if let Ok(uid) = uid_at(api, &name) {
            touched = touched.and(by_uid(api, &uid)?);
        }
    }
    Ok(touched)
}

fn by_uid<P: Parts>(api: &Api<P>, uid: &Uid) -> Result<Touched, Failure> {
    let snapshot = api.resolver.store().latest();
    let view = snapshot.as_ref();
    let location = view.locate(uid).map_err(|error| unreadable(&error))?;
    // An entry that is nowhere, or where nobody knows its name, is not of any scope.
    let Some(location) = location else {
        return Ok(Touched::Node);
    };
    let apexes = &api.resolver.setup().apexes;
    let name = absolute(view, apexes, location.scope, &location.path);
    let name = name.map_err(|error| unreadable(&error))?;
    Ok(name.map_or(Touched::Node, Touched::one))
}

/// A scope by its UID; one that has no name here is the node's.
pub(in super::super) fn by_scope_uid<P: Parts>(
    api: &Api<P>,
    uid: &ScopeUid,
) -> Result<Touched, Failure> {
    let snapshot = api.resolver.store().latest();
    let no = snapshot.scope_no(uid);
    match no.map_err(|error| unreadable(&error))? {
        Some(no) => by_scope(api, no),
        None => Ok(Touched::Node),
    }
}

fn by_scope<P: Parts>(api: &Api<P>, no: ScopeNo) -> Result<Touched, Failure> {
    let snapshot = api.resolver.store().latest();
    let name = scope_name(snapshot.as_ref(), &api.resolver.setup().apexes, no);
    let name = name.map_err(|error| unreadable(&error))?;
    Ok(name.map_or(Touched::Node, Touched::one))
}

/// A proposal that waits, by its whole digest: between judging and acting first digits could come
/// to mean another one.
pub(in super::super) fn by_proposal<P: Parts>(api: &Api<P>, id: &str) -> Result<Touched, Failure> {
    let Ok(digest) = id.parse::<Digest>() else {
        let hint = "`kedge --json pending` prints it whole";
        let error = "a caller of some scopes only names a proposal by all of its 64 digits";
        return Err(Failure::bad(error, Some(hint)));
    };
    by_scope(api, api.changes.scope_of_waiting(&digest)?)
}
