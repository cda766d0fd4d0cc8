//! Calls about versions, and about what was there at a time.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::base::time::Timestamp;
use crate::index::as_of::{AsOf, AsOfError};
use crate::index::difference::{Sign, difference};
use crate::index::entry::{Change, Slot, Version};
use crate::index::history::{head, version, versions};
use crate::index::place::{Apex, NoPlace, Place, absolute, apex_of, find};
use crate::index::view::IndexView;
use crate::namespace::action_name;
use crate::namespace::alias;
use crate::namespace::name::Name;
use crate::namespace::record::Record;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::{self, Which};
use crate::resolution::answer::{Answer, Outcome};
use crate::resolution::question::Question;
use crate::resolution::trail::{Trail, TrailStep};
use crate::service::ports::{Parts, Store};

use super::aside::apart;
use super::caller::Caller;
use super::names::uid_of;
use super::render;
use super::routes::{Api, Node, Reply, unreadable};
use super::sight::Sight;
use super::status::Failure;
use super::wire::NameView;
use super::wire_past::{DiffLine, DiffView, Moment, Side};

/// A name as a person asks for it: an entry, or one version of it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    name: Name,
    version: Option<Which>,
}

/// Why there is nothing to show.
enum Unshown<E> {
    NotThere(Failure),
    View(E),
}

impl<E> From<Failure> for Unshown<E> {
    fn from(failure: Failure) -> Self {
        Self::NotThere(failure)
    }
}

/// The name that asks with a verb, if this is an alias with one (`view tld@domain/name`).
pub(super) fn with_verb(text: &str) -> Result<Option<Name>, Failure> {
    let Ok(request) = alias::parse(text) else {
        return Ok(None);
    };
    let Some(verb) = &request.verb else {
        return Ok(None);
    };
    if request.version.is_some() {
        let error = format!("{text:?}: a version is only read, never acted on");
        return Err(Failure::bad(error, None));
    }
    let name = action_name::of(&request.name, &verb.to_ascii_lowercase());
    name.map(Some)
        .map_err(|error| Failure::bad(format!("{text:?}: {error}"), None))
}

impl Asked {
    /// Reads `_v3._ver.<name>`, `_stable._ver.<name>`, an alias that ends with `.v3`, or a name.
    pub(super) fn read(text: &str, apexes: &[Apex]) -> Result<Self, Failure> {
        let (name, suffix) =
            alias::parse_versioned(text).map_err(|error| render::bad_name(text, &error))?;
        let is_governed = apex_of(apexes, &name).is_some();
        match (suffix, version_name::parts(&name)) {
            (Some(_), _) if !is_governed => Err(Failure::bad(
                format!("{text:?}: {name} has no versions; it lies under no apex of this node"),
                Some("leave the .v and the number out, or write / before a label such as v3"),
            )),
            (Some(number), None) => Ok(Self {
                name,
                version: Some(Which::Number(number)),
            }),
            (None, Some((which, name))) if is_governed => Ok(Self {
                name,
                version: Some(which),
            }),
            _ => Ok(Self {
                name,
                version: None,
            }),
        }
    }

    /// The name that DNS has for it.
    pub(super) fn dns_name(&self) -> Result<Name, Failure> {
        match &self.version {
            Some(which) => which
                .name_below(&self.name)
                .map_err(|error| Failure::bad(error.to_string(), None)),
            None => Ok(self.name.clone()),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetQuery {
    /// A time, or a height of the scope that decides over the name.
    at: Option<String>,
}

/// What a name, or one version of it, holds or held.
pub(super) async fn get<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Query<GetQuery>,
) -> Reply<NameView> {
    let asked = Asked::read(&name, &api.resolver.setup().apexes)?;
    let Some(at) = query.at else {
        let setup = api.resolver.setup();
        let snapshot = api.resolver.store().latest();
        let shown = show(snapshot.as_ref(), caller.sight(&setup.apexes), &asked);
        return match shown {
            Ok((view, _)) => Ok(Json(view)),
            Err(Unshown::NotThere(failure)) => Err(failure),
            Err(Unshown::View(error)) => Err(unreadable(&error)),
        };
    };
    let time = moment(&api, &asked.name, &at)?;
    apart(move || {
        let setup = api.resolver.setup();
        let snapshot = api.resolver.store().latest();
        let past = AsOf::new(snapshot.as_ref(), time);
        match show(&past, caller.sight(&setup.apexes), &asked) {
            Ok((mut view, place)) => {
                view.at = Some(Moment {
                    time: time.to_string(),
                    height: place.scope.height,
                    epoch: place.scope.descriptor.epoch,
                });
                Ok(Json(view))
            }
            Err(Unshown::NotThere(failure)) => Err(failure),
            Err(Unshown::View(error)) => Err(unseen(&error)),
        }
    })
    .await
}

/// What a question was answered at a time, and the steps to it.
pub(super) async fn explain<P: Parts>(
    api: &Arc<Api<P>>,
    question: Question,
    at: &str,
) -> Result<(Answer, Trail, Timestamp), Failure> {
    let time = moment(api, &question.name, at)?;
    let question = Question {
        time: Some(time),
        ..question
    };
    let api = Arc::clone(api);
    apart(move || {
        let mut trail = Trail::on();
        let answer = api.resolver.look_back(question, time, &mut trail);
        let answer = answer.map_err(|error| unseen(&error))?;
        let left_the_index = matches!(trail.steps().last(), Some(TrailStep::Route { .. }));
        if left_the_index || answer.outcome == Outcome::NotOurs {
            trail.note(|| TrailStep::Kept {
                reason: "what zone files and legacy DNS said then is not known",
            });
        }
        Ok((answer, trail, time))
    })
    .await
}

/// The time that is meant: itself, or that of a height of the scope that decides over a name now.
fn moment<P: Parts>(api: &Api<P>, name: &Name, at: &str) -> Result<Timestamp, Failure> {
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    let Some(apex) = apex_of(&setup.apexes, name) else {
        let hint = Some("leave --at out; legacy DNS and zone files keep no history");
        let error = format!("{name} lies under no apex of this node, so its past is not known");
        return Err(Failure::bad(error, hint));
    };
    let time_of = |scope: &crate::index::state::ScopeState, height| {
        let header = snapshot.header(scope.no, height);
        let header = header.map_err(|error| unreadable(&error))?;
        let missing = || Failure::internal(format!("block {height} is missing"));
        Ok::<_, Failure>(header.ok_or_else(missing)?.time)
    };
    if at.bytes().all(|byte| byte.is_ascii_digit()) && !at.is_empty() {
        let place =
            find(snapshot.as_ref(), &setup.apexes, name).map_err(|error| no_place(&error))?;
        let last = place.scope.height;
        let Some(height) = at.parse().ok().filter(|height| *height <= last) else {
            let scope = &place.scope_name;
            let error = format!("{at} is above {last}, the height of scope {scope}");
            return Err(Failure::bad(error, None));
        };
        return time_of(&place.scope, height);
    }
    let time: Timestamp = at.parse().map_err(|error| {
        let hint = Some("a number is a height of the name's scope; `kedge log` lists them");
        Failure::bad(format!("{at:?}: {error}"), hint)
    })?;
    let root = snapshot
        .scope_no(&apex.root)
        .and_then(|no| no.map_or(Ok(None), |no| snapshot.scope(no)))
        .map_err(|error| unreadable(&error))?;
    if let Some(root) = root {
        let founded = time_of(&root, 0)?;
        if time < founded {
            let error = format!("{} was founded later, at {founded}", apex.name);
            return Err(Failure::not_found(error, None));
        }
    }
    Ok(time)
}

fn show<V: IndexView>(
    view: &V,
    sight: Sight<'_>,
    asked: &Asked,
) -> Result<(NameView, Place), Unshown<V::Error>> {
    let apexes = sight.apexes;
    let name = &asked.name;
    let place = find(view, apexes, name).map_err(|error| match error {
        NoPlace::View(error) => Unshown::View(error),
        other => Unshown::NotThere(no_place(&other)),
    })?;
    let slot = view
        .slot(place.scope.no, &place.path)
        .map_err(Unshown::View)?
        .or_else(|| place.path.is_empty().then(Default::default));
    let Some(slot) = slot else {
        let hint = "`kedge name put` registers it";
        return Err(Failure::not_found(format!("there is no entry at {name}"), Some(hint)).into());
    };
    let names = (name, &place.scope_name);
    let shown = match &asked.version {
        None => render::name_view(view, apexes, names, &slot).map_err(Unshown::View)?,
        Some(which) => {
            let below = slot.below;
            let uid = uid_of(name, slot.entry)?;
            let past = meant(view, &uid, which).map_err(Unshown::View)?;
            let past = past.ok_or_else(|| no_version(name, which))?;
            sight.allow(view, &past)?;
            version_shown(view, apexes, names, (past, below)).map_err(Unshown::View)?
        }
    };
    Ok((shown, place))
}

/// The version of an entry that is meant.
fn meant<V: IndexView>(view: &V, uid: &Uid, which: &Which) -> Result<Option<Version>, V::Error> {
    let number = match which {
        Which::Number(number) => Some(*number),
        Which::Tagged(_) => head(view, uid)?.and_then(|head| head.number_of(which)),
    };
    number.map_or(Ok(None), |number| version(view, uid, number))
}

/// One version as a name is shown, with what it is to the head.
fn version_shown<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    names: (&Name, &Name),
    (version, below): (Version, u64),
) -> Result<NameView, V::Error> {
    let is_head = view.archived(&version.uid, version.number)?.is_none();
    let state = match version.change {
        _ if is_head => "bound",
        Change::Retired => "retired",
        _ => "past",
    };
    let number = version.number;
    let slot = Slot {
        entry: Some(crate::index::entry::Entry::Bound(version)),
        below,
        recovery: None,
    };
    let mut shown = render::name_view(view, apexes, names, &slot)?;
    state.clone_into(&mut shown.state);
    shown.alias = shown.alias.map(|alias| format!("{alias}.v{number}"));
    Ok(shown)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    /// The first version, by number or tag.
    from: String,
    /// The second; the head unless told.
    to: Option<String>,
}

/// What differs between two versions of the entry that a name or a UID stands for.
pub(super) async fn diff<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Reply<DiffView> {
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    let view = snapshot.as_ref();
    let (uid, name) = if let Ok(uid) = text.parse::<Uid>() {
        (uid, None)
    } else {
        let name = render::read_name(&text)?;
        let place = find(view, &setup.apexes, &name).map_err(|error| no_place(&error))?;
        let slot = view.slot(place.scope.no, &place.path);
        let slot = slot.map_err(|error| unreadable(&error))?;
        let uid = uid_of(&name, slot.and_then(|slot| slot.entry))?;
        (uid, Some(name))
    };
    let newest = versions(view, &uid, 1).map_err(|error| unreadable(&error))?;
    let newest = newest
        .into_iter()
        .next()
        .ok_or_else(|| Failure::not_found(format!("no entry has the UID {uid}"), None))?;
    let of = |asked: &str| {
        let which = render::read_which(asked)?;
        let found = meant(view, &uid, &which).map_err(|error| unreadable(&error))?;
        found.ok_or_else(|| no_version(&text, &which))
    };
    let from = of(&query.from)?;
    let to = query.to.as_deref().map_or(Ok(newest.clone()), of)?;
    let sight = caller.sight(&setup.apexes);
    sight.allow(view, &from)?;
    sight.allow(view, &to)?;
    let name = match name {
        Some(name) => name,
        None => last_name(view, &setup.apexes, &newest).map_err(|error| unreadable(&error))?,
    };
    Ok(Json(diff_view(&name, &from, &to)))
}

fn diff_view(name: &Name, from: &Version, to: &Version) -> DiffView {
    let side = |version: &Version| Side {
        version: version.number,
        time: version.time.to_string(),
    };
    let lines = difference(&from.sets, &to.sets).into_iter().map(|line| {
        let record = Record {
            owner: name.clone(),
            kind: line.kind,
            ttl: line.ttl,
            rdata: line.rdata,
        };
        let sign = match line.sign {
            Sign::Removed => "-",
            Sign::Added => "+",
        };
        DiffLine {
            sign: sign.to_owned(),
            record: render::record(&record),
        }
    });
    DiffView {
        uid: from.uid.to_string(),
        name: name.to_string(),
        from: side(from),
        to: side(to),
        lines: lines.collect(),
    }
}

/// The name of an entry at a version; relative to its scope where that is not held here.
fn last_name<V: IndexView>(view: &V, apexes: &[Apex], version: &Version) -> Result<Name, V::Error> {
    let name = match view.scope_no(&version.scope)? {
        Some(no) => absolute(view, apexes, no, &version.path)?,
        None => None,
    };
    let relative = || {
        version
            .path
            .to_name(&Name::root())
            .unwrap_or_else(|_| Name::root())
    };
    Ok(name.unwrap_or_else(relative))
}

fn no_version(name: &dyn std::fmt::Display, which: &Which) -> Failure {
    let hint = "`kedge name history` lists the versions";
    Failure::not_found(format!("{name} has no {which}"), Some(hint))
}

fn no_place<E: std::error::Error + 'static>(error: &NoPlace<E>) -> Failure {
    match error {
        NoPlace::View(source) => unreadable(source),
        _ => Failure::not_found(
            error.to_string(),
            Some("`kedge scope list` shows what is held; `kedge explain` answers any name"),
        ),
    }
}

/// Why the past could not be seen.
fn unseen<E: std::error::Error + 'static>(error: &AsOfError<E>) -> Failure {
    match error {
        AsOfError::TooMuch { .. } => Failure::bad(
            error.to_string(),
            Some("`kedge name history` shows versions of any age"),
        ),
        _ => unreadable(error),
    }
}
