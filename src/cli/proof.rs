//! `kedge prove`, and `kedge verify` of a proof, which needs no node and no store.

use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use crate::adapters::http::wire::ProofView;
use crate::base::limits::PROOF_TEXT_BYTES_MAX;
use crate::base::text_form::TextForm as _;
use crate::index::entry::{Entry, Slot};
use crate::index::place::Apex;
use crate::index::proof::{Proof, Proven};
use crate::namespace::name::Name;

use super::connect::{Place, segment};
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::{complain, show};

pub(super) fn prove(place: &Place, name: &str) -> Result<(), Failure> {
    let path = format!("/names/{}/proof", segment(name));
    let view: ProofView =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    show(place.json, &view, |view| vec![view.proof.clone()])?;
    let apex = view.apex;
    complain(&format!(
        "check it with: kedge verify FILE --apex {apex}=UID, with the UID from where you trust it"
    ));
    Ok(())
}

/// What a proof shows.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    /// What stands at the name, or above it in its place: `bound`, `moved`, `delegated`, `retired`,
    /// `empty` or `absent`.
    state: &'static str,
    at: String,
    uid: Option<String>,
    version: Option<u64>,
    sets: Vec<String>,
    /// Where a redirect leads, or the scope that is delegated to.
    to: Option<String>,
    /// What stands at the wildcard beside a name that is absent, and its record sets.
    wildcard: Option<&'static str>,
    wildcard_sets: Vec<String>,
    scope: String,
    epoch: u64,
    quorum: String,
    height: u64,
    block: String,
    time: String,
}

pub(super) fn verify(
    json: bool,
    file: &Path,
    apex: Option<&str>,
    name: Option<&str>,
) -> Result<(), Failure> {
    let hint = "--apex mesh.internal=UID; `kedge scope show` prints the UID of an apex";
    let apex = apex.ok_or_else(|| usage("a proof needs something to trust", Some(hint)))?;
    let trusted = apex.split_once('=').and_then(|(name, root)| {
        let (name, root) = (name.parse().ok()?, root.parse().ok()?);
        Some(Apex { name, root })
    });
    let trusted = trusted.ok_or_else(|| usage(format!("{apex:?} is no apex"), Some(hint)))?;
    let text = read(file)?;
    let shown = file.display();
    let proof = Proof::from_text(&text).map_err(|error| {
        usage(
            format!("{shown}: {error}"),
            Some("`kedge prove` prints proofs"),
        )
    })?;
    let proven = proof.verify(&trusted).map_err(|error| {
        let hint = "ask for a new proof; if that fails too, do not trust who gave it";
        Failure::new(Code::Faults, format!("{shown}: {error}"), Some(hint))
    })?;
    if let Some(asked) = name {
        let asked: Name = asked
            .parse()
            .map_err(|error| usage(format!("{asked:?}: {error}"), None))?;
        if asked != proven.name {
            let error = format!("{shown}: it is a proof of {}, not of {asked}", proven.name);
            return Err(Failure::new(Code::Faults, error, None));
        }
    }
    show(json, &view(&proven), lines)
}

fn read(file: &Path) -> Result<String, Failure> {
    // Room for the prefix and a line end; what is longer is refused when it is read.
    let limit = u64::try_from(PROOF_TEXT_BYTES_MAX + 64).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(usage(format!("{}: {error}", file.display()), None)),
    }
}

fn view(proven: &Proven) -> Shown {
    let slot = proven.slot.as_ref();
    let (mut uid, mut version, mut to) = (None, None, None);
    match slot.and_then(|slot| slot.entry.as_ref()) {
        Some(Entry::Bound(head)) => {
            (uid, version) = (Some(head.uid.to_string()), Some(head.number));
        }
        Some(Entry::Moved(redirect)) => {
            to = Some(format!("{} of scope {}", redirect.path, redirect.scope));
        }
        Some(Entry::Delegated(child)) => to = Some(format!("scope {child}")),
        _ => {}
    }
    let wildcard = proven.wildcard.as_ref();
    Shown {
        name: proven.name.to_string(),
        state: state(slot),
        at: proven.path.to_string(),
        uid,
        version,
        sets: set_lines(slot),
        to,
        wildcard: wildcard.map(|slot| state(Some(slot))),
        wildcard_sets: set_lines(wildcard),
        scope: proven.scope.to_string(),
        epoch: proven.epoch,
        quorum: proven.quorum.to_string(),
        height: proven.height,
        block: proven.block.to_string(),
        time: proven.time.to_string(),
    }
}

/// What a slot is to a question.
fn state(slot: Option<&Slot>) -> &'static str {
    let Some(slot) = slot else { return "absent" };
    match &slot.entry {
        Some(Entry::Bound(_)) => "bound",
        Some(Entry::Moved(_)) => "moved",
        Some(Entry::Delegated(_)) => "delegated",
        Some(Entry::Retired { .. }) if slot.below == 0 => "retired",
        // Kept for an entry on its way, and not visible before it comes.
        Some(Entry::Reserved { .. }) if slot.below == 0 => "absent",
        Some(Entry::Retired { .. } | Entry::Reserved { .. }) | None => "empty",
    }
}

fn set_lines(slot: Option<&Slot>) -> Vec<String> {
    let Some(Entry::Bound(head)) = slot.and_then(|slot| slot.entry.as_ref()) else {
        return Vec::new();
    };
    let lines = head.sets.iter().flat_map(|set| {
        let (kind, ttl) = (set.kind(), set.ttl().as_secs());
        let records = set.records().iter();
        records.map(move |rdata| format!("{ttl} {kind} {}", rdata.to_text(kind)))
    });
    lines.collect()
}

fn lines(shown: &Shown) -> Vec<String> {
    let mut lines = vec![format!("{} is {}", shown.name, shown.state)];
    lines.push(format!("  at {} of scope {}", shown.at, shown.scope));
    lines.push(format!(
        "  epoch {}, height {} of {}",
        shown.epoch, shown.height, shown.time
    ));
    lines.push(format!("  decided by {} of the weight", shown.quorum));
    if let (Some(uid), Some(version)) = (&shown.uid, shown.version) {
        lines.push(format!("  uid {uid}, version {version}"));
    }
    lines.extend(shown.to.iter().map(|to| format!("  leads to {to}")));
    lines.extend(shown.sets.iter().map(|set| format!("  {set}")));
    if let Some(state) = shown.wildcard {
        lines.push(format!(
            "  the wildcard beside it is {state} and answers instead"
        ));
    }
    let sets = shown.wildcard_sets.iter();
    lines.extend(sets.map(|set| format!("  {set}")));
    lines
}
