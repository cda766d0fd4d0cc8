//! `kedge name`.

use std::cell::RefCell;
use std::path::Path;

use hyper::Method;

use crate::adapters::http::wire::{
    DoneView, HistoryView, NameView, PutBody, RenameBody, RetireBody, Set, TagBody, TagView,
    UndoBody, VersionView,
};
use crate::adapters::http::{Client, ClientError};
use crate::base::canonical::{Canonical as _, Encoder};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::service::changes::{ImportDraft, ImportEntry};
use crate::zonefile::{NoIncludes, load_entries};

use super::args::{NameCommand, PutArgs, TagArgs};
use super::connect::{Place, segment};
use super::difference;
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::{complain, show};

pub(super) fn run(place: &Place, what: NameCommand) -> Result<(), Failure> {
    match what {
        NameCommand::Put(args) => put(place, args),
        NameCommand::Get { name, at } => {
            let at = at.map_or_else(String::new, |at| format!("?at={}", segment(&at)));
            let path = format!("/names/{}{at}", segment(&name));
            let view: NameView =
                place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
            show(place.json, &view, name_lines)
        }
        NameCommand::Rename {
            from,
            to,
            subtree,
            why,
        } => {
            let body = RenameBody {
                to,
                subtree,
                note: why.note,
            };
            post(place, &from, "rename", body)
        }
        NameCommand::Move { from, to, why } => {
            let body = RenameBody {
                to,
                subtree: false,
                note: why.note,
            };
            post(place, &from, "move", body)
        }
        NameCommand::Retire {
            name,
            if_version,
            why,
        } => {
            let body = RetireBody {
                if_version,
                note: why.note,
            };
            post(place, &name, "retire", body)
        }
        NameCommand::Undo {
            name,
            to,
            if_version,
            why,
        } => {
            let body = UndoBody {
                to,
                if_version,
                note: why.note,
            };
            post(place, &name, "undo", body)
        }
        NameCommand::Tag(args) => tag(place, args),
        NameCommand::History { name, limit } => history(place, &name, limit),
        NameCommand::Diff { name, from, to } => difference::run(place, &name, &from, to.as_deref()),
        NameCommand::Import {
            scope,
            file,
            batch,
            why,
        } => import(place, &scope, &file, (batch, &why.note)),
    }
}

/// Makes a change that is a verb of a name.
fn post<B: serde::Serialize>(
    place: &Place,
    name: &str,
    verb: &str,
    body: B,
) -> Result<(), Failure> {
    let path = format!("/names/{}/{verb}", segment(name));
    change(place, Method::POST, path, body)
}

fn put(place: &Place, args: PutArgs) -> Result<(), Failure> {
    if args.data.is_empty() && !args.remove {
        let hint = "kedge name put api.eu.mesh.internal A 10.0.0.7; --remove removes a set";
        return Err(usage("there is no data to put", Some(hint)));
    }
    let body = PutBody {
        kind: args.kind,
        ttl: args.ttl,
        data: args.data,
        add: args.add,
        if_version: args.if_version,
        may_empty: args.may_empty,
        note: args.why.note,
    };
    change(
        place,
        Method::PUT,
        format!("/names/{}", segment(&args.name)),
        body,
    )
}

fn tag(place: &Place, args: TagArgs) -> Result<(), Failure> {
    let body = TagBody {
        version: args.version,
        remove: args.remove,
        if_version: None,
        note: args.why.note,
    };
    let path = format!("/names/{}/tags/{}", segment(&args.name), segment(&args.tag));
    change(place, Method::PUT, path, body)
}

/// Makes a change and says where it was committed.
pub(super) fn change<B: serde::Serialize>(
    place: &Place,
    method: Method,
    path: String,
    body: B,
) -> Result<(), Failure> {
    let done: DoneView =
        place.with_client(|client| async move { Ok(client.send(method, &path, &body).await?) })?;
    show(place.json, &done, |done| vec![done_line(done)])
}

pub(super) fn done_line(done: &DoneView) -> String {
    let short = |digest: &Option<String>| -> String {
        digest
            .iter()
            .flat_map(|text| text.chars())
            .take(16)
            .collect()
    };
    if done.outcome == "queued" {
        let lacks = done.lacks.as_deref().unwrap_or_default();
        return format!("queued: move {}: {lacks}", short(&done.proposal));
    }
    match done.height {
        Some(height) => format!(
            "{} in scope {} at height {height}, block {}",
            done.outcome,
            done.scope,
            short(&done.block)
        ),
        None => format!(
            "{} in scope {}: proposal {}: {}",
            done.outcome,
            done.scope,
            short(&done.proposal),
            done.lacks.as_deref().unwrap_or_default()
        ),
    }
}

fn set_lines(sets: &[Set]) -> Vec<String> {
    sets.iter()
        .flat_map(|set| {
            set.data
                .iter()
                .map(move |data| format!("  {} {} {data}", set.ttl, set.kind))
        })
        .collect()
}

fn tag_lines(tags: &[TagView]) -> Vec<String> {
    tags.iter()
        .map(|TagView { tag, version }| format!("  tag {tag} is version {version}"))
        .collect()
}

fn name_lines(view: &NameView) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} in scope {}",
        view.name, view.state, view.scope
    )];
    if let Some(at) = &view.at {
        let (time, height, epoch) = (&at.time, at.height, at.epoch);
        lines.push(format!("  at {time}, scope height {height}, epoch {epoch}"));
    }
    if let Some(alias) = &view.alias {
        lines.push(format!("  alias {alias}"));
    }
    if let Some(uid) = &view.uid {
        lines.push(format!("  uid {uid}"));
    }
    if let (Some(version), Some(time)) = (view.version, &view.time) {
        lines.push(format!("  version {version} of {time}"));
    }
    lines.extend(tag_lines(&view.tags));
    if let Some(to) = &view.to {
        lines.push(format!("  leads to {to}"));
    }
    if view.below > 0 {
        lines.push(format!("  {} name(s) below", view.below));
    }
    lines.extend(set_lines(&view.sets));
    lines
}

pub(super) fn history(place: &Place, name: &str, limit: Option<usize>) -> Result<(), Failure> {
    let limit = limit.map_or_else(String::new, |limit| format!("?limit={limit}"));
    let path = format!("/names/{}/history{limit}", segment(name));
    let view: HistoryView =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    show(place.json, &view, history_lines)
}

fn history_lines(view: &HistoryView) -> Vec<String> {
    let mut lines = vec![format!("uid {}", view.uid)];
    for version in &view.versions {
        let VersionView {
            version: number,
            change,
            time,
            name,
            scope,
            height,
            ..
        } = version;
        let height = height.map_or_else(String::new, |height| format!(" height {height}"));
        lines.push(format!("version {number} {change}: {name}"));
        lines.push(format!("  at {time}, scope {scope}{height}"));
        if let Some(author) = &version.author {
            let author: String = author.chars().take(16).collect();
            let proposal: String = version.proposal.chars().take(16).collect();
            lines.push(format!("  by {author}, proposal {proposal}"));
        }
        if let Some(note) = version.note.as_deref().filter(|note| !note.is_empty()) {
            lines.push(format!("  note: {note}"));
        }
        lines.extend(tag_lines(&version.tags));
        lines.extend(set_lines(&version.sets));
    }
    lines
}

fn import(
    place: &Place,
    scope: &str,
    file: &Path,
    (batch, note): (usize, &str),
) -> Result<(), Failure> {
    let scope_name: Name = scope
        .parse()
        .map_err(|error| usage(format!("{scope:?}: {error}"), None))?;
    let bytes = std::fs::read(file).map_err(|error| {
        Failure::new(Code::Failed, format!("{}: {error}", file.display()), None)
    })?;
    let names = load_entries(
        &file.display().to_string(),
        &bytes,
        &scope_name,
        &NoIncludes,
    )
    .map_err(|findings| {
        let text = findings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        usage(text, Some("nothing was imported"))
    })?;
    if names.is_empty() {
        return Err(usage(format!("{} holds no records", file.display()), None));
    }
    let drafts = Drafts {
        names: names.into_iter(),
        scope: scope_name,
        batch: batch.max(1),
        note: note.to_owned(),
    };
    let path = format!("/scopes/{}/import", segment(scope));
    let done: Vec<DoneView> =
        place.with_client(|client| async move { send_drafts(&client, &path, drafts).await })?;
    show(place.json, &done, |done| {
        done.iter().map(done_line).collect()
    })
}

/// The batches of an import, each made when it is asked for.
struct Drafts {
    names: std::vec::IntoIter<(Name, Vec<RecordSet>)>,
    scope: Name,
    batch: usize,
    note: String,
}

impl Iterator for Drafts {
    type Item = ImportDraft;

    fn next(&mut self) -> Option<ImportDraft> {
        let names = self.names.by_ref().take(self.batch);
        let entries: Vec<ImportEntry> = names
            .filter_map(|(name, sets)| {
                let path = NamePath::between(&name, &self.scope)?;
                Some(ImportEntry { path, sets })
            })
            .collect();
        (!entries.is_empty()).then(|| ImportDraft {
            entries,
            note: self.note.clone(),
        })
    }
}

/// How far an import is.
struct Sending {
    /// None once a batch was refused.
    drafts: Option<Drafts>,
    names: usize,
    done: Vec<DoneView>,
}

/// Keeps two drafts under way: the node reads one while it commits the other.
async fn send_drafts(
    client: &Client,
    path: &str,
    drafts: Drafts,
) -> Result<Vec<DoneView>, Failure> {
    let sending = RefCell::new(Sending {
        drafts: Some(drafts),
        names: 0,
        done: Vec::new(),
    });
    let lane = async || {
        loop {
            let draft = sending.borrow_mut().drafts.as_mut().and_then(Drafts::next);
            let Some(draft) = draft else { return Ok(()) };
            let count = draft.entries.len();
            let mut out = Encoder::new();
            draft.encode(&mut out);
            drop(draft);
            let answered = client.send_bytes(path, out.into_bytes()).await;
            let sending = &mut *sending.borrow_mut();
            match answered {
                Ok(committed) => sending.done.push(committed),
                Err(error) => {
                    sending.drafts = None;
                    return Err(error);
                }
            }
            sending.names += count;
            complain(&format!("{} name(s) imported", sending.names));
        }
    };
    // Both end by themselves, so that what is told as imported is all that is.
    let (first, second): (Result<(), ClientError>, _) = tokio::join!(lane(), lane());
    let Sending { names, done, .. } = sending.into_inner();
    match (first, second) {
        (Ok(()), Ok(())) => Ok(done),
        (Err(error), other) | (other, Err(error)) => {
            if let Err(other) = other {
                complain(&format!("another batch failed, too: {other}"));
            }
            complain(&format!(
                "{names} name(s) were imported; batches go two at a time, so not all of them need \
                 stand before the one that failed"
            ));
            Err(error.into())
        }
    }
}
