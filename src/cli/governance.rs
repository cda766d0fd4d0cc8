//! `kedge anchor`, `kedge grant`, `kedge trust` and `kedge scope policy`.

use hyper::Method;

use crate::adapters::http::wire::{AnchorView, ScopeView};
use crate::adapters::http::wire_government::{
    AccessTest, AnchorsBody, ClassRule, GrantView, GrantsBody, Policy, PolicyBody, SeatBody,
    TrustView,
};
use crate::namespace::scope::ScopeUid;

use super::args_governance::{AnchorCommand, GrantCommand, PolicyArgs};
use super::connect::{Place, segment};
use super::exit::{Code, Failure};
use super::local::usage;
use super::name::change;
use super::output::show;
use super::propose;
use super::scope::{fetch, quorum_line};

/// A policy as TOML, which `--file` reads back.
pub(super) fn policy_text(policy: &Policy) -> String {
    toml::to_string(policy).unwrap_or_default()
}

pub(super) fn policy(place: &Place, args: PolicyArgs) -> Result<(), Failure> {
    let scope = fetch(place, &args.name)?;
    let present = scope.policy;
    let mut wanted = match &args.file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| usage(format!("{}: {error}", path.display()), None))?;
            toml::from_str(&text)
                .map_err(|error| usage(format!("{}: {error}", path.display()), None))?
        }
        None => present.clone(),
    };
    wanted.ttl_min = args.ttl_min.unwrap_or(wanted.ttl_min);
    wanted.ttl_max = args.ttl_max.unwrap_or(wanted.ttl_max);
    wanted.entries_max = args.entries_max.unwrap_or(wanted.entries_max);
    wanted.trust_floor = args.trust_floor.unwrap_or(wanted.trust_floor);
    let rules = [
        (&args.routine, &mut wanted.routine),
        (&args.alias, &mut wanted.alias),
        (&args.governance, &mut wanted.governance),
    ];
    for (text, rule) in rules {
        if let Some(text) = text {
            *rule = read_rule(rule, text)?;
        }
    }
    if args.open {
        wanted.access.clear();
    }
    if !args.access.is_empty() {
        wanted.access = args
            .access
            .iter()
            .map(|rule| access(rule))
            .collect::<Result<_, _>>()?;
    }
    for test in &mut wanted.access {
        name_device(place, test)?;
    }
    if wanted == present {
        return show(place.json, &present, |policy| {
            policy_text(policy).lines().map(ToOwned::to_owned).collect()
        });
    }
    let body = PolicyBody {
        policy: wanted,
        if_epoch: Some(scope.epoch),
        note: args.why.note,
    };
    change(
        place,
        Method::PUT,
        format!("/scopes/{}/policy", segment(&args.name)),
        body,
    )
}

/// A test of a device may name its scope; the policy holds what the scope keeps under every name.
fn name_device(place: &Place, test: &mut AccessTest) -> Result<(), Failure> {
    let Some(scope) = test.when.strip_prefix("device ").map(str::trim) else {
        return Ok(());
    };
    if scope != "own" && scope.parse::<ScopeUid>().is_err() {
        test.when = format!("device {}", fetch(place, scope)?.uid);
    }
    Ok(())
}

fn access(rule: &str) -> Result<AccessTest, Failure> {
    let hint = Some("for example --access 10.0.0.0/8=allow --access ::/0=hide");
    let (test, verdict) = rule
        .split_once('=')
        .ok_or_else(|| usage(format!("{rule:?} is no access rule"), hint))?;
    // A prefix alone means the source; every test has a word before a space.
    let when = if test.contains(' ') {
        test.to_owned()
    } else {
        format!("source {test}")
    };
    Ok(AccessTest {
        name: String::new(),
        when,
        then: verdict.to_owned(),
        otherwise: "next".to_owned(),
    })
}

/// A rule as written on the command line; what it does not say stays, but for the weight and the
/// delay, which go with approvals.
fn read_rule(present: &ClassRule, text: &str) -> Result<ClassRule, Failure> {
    let hint = Some("for example author, or approvals,weight=2,delay=1h,expiry=7d");
    let wrong = |part: &str| usage(format!("{text:?}: {part:?} is no part of a rule"), hint);
    let mut parts = text.split(',');
    let mut rule = match parts.next() {
        Some("author") => ClassRule {
            requirement: "author".to_owned(),
            weight: 0,
            delay: 0,
            expiry: present.expiry,
        },
        Some("approvals") => ClassRule {
            requirement: "approvals".to_owned(),
            ..present.clone()
        },
        part => return Err(wrong(part.unwrap_or_default())),
    };
    for part in parts {
        match part.split_once('=') {
            Some(("weight", value)) => rule.weight = value.parse().map_err(|_| wrong(part))?,
            Some(("delay", value)) => rule.delay = seconds(value).ok_or_else(|| wrong(part))?,
            Some(("expiry", value)) => rule.expiry = seconds(value).ok_or_else(|| wrong(part))?,
            _ => return Err(wrong(part)),
        }
    }
    Ok(rule)
}

/// Seconds, or a number of minutes, hours or days.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (number, "s") => (number, 1),
        (number, "m") => (number, 60),
        (number, "h") => (number, 3_600),
        (number, "d") => (number, 86_400),
        _ => (text, 1),
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}

pub(super) fn anchor(place: &Place, what: AnchorCommand) -> Result<(), Failure> {
    match what {
        AnchorCommand::List { scope } => {
            let scope = fetch(place, &scope)?;
            show(place.json, &scope.anchors, |anchors| {
                let seats = anchors.iter().map(anchor_line);
                seats.chain([quorum_line(&scope)]).collect()
            })
        }
        AnchorCommand::Add {
            scope,
            key,
            weight,
            region,
            organisation,
            why,
        } => seats(place, &scope, why.note, |seats| {
            seats.push(SeatBody {
                id: None,
                key,
                weight,
                region,
                organisation,
            });
            Ok(())
        }),
        AnchorCommand::Remove {
            scope,
            anchors,
            why,
        } => seats(place, &scope, why.note, |seats| {
            for anchor in anchors {
                let id = seat(seats, &anchor)?.id.clone();
                seats.retain(|seat| seat.id != id);
            }
            Ok(())
        }),
        AnchorCommand::Weigh {
            scope,
            weights,
            why,
        } => seats(place, &scope, why.note, |seats| {
            for text in weights {
                let hint = Some("for example 3fa2b1=5");
                let wrong = || usage(format!("{text:?} is no ANCHOR=WEIGHT"), hint);
                let (anchor, weight) = text.split_once('=').ok_or_else(wrong)?;
                seat(seats, anchor)?.weight = weight.parse().map_err(|_| wrong())?;
            }
            Ok(())
        }),
        AnchorCommand::Rotate {
            scope,
            anchor,
            key,
            why,
        } => seats(place, &scope, why.note, |seats| {
            seat(seats, &anchor)?.key = Some(key);
            Ok(())
        }),
        AnchorCommand::Accept {
            id,
            key,
            passphrase_file,
        } => propose::accept(place, &id, (&key, passphrase_file.as_deref())),
    }
}

/// Proposes a scope's present seats with a change.
fn seats(
    place: &Place,
    scope: &str,
    note: String,
    edit: impl FnOnce(&mut Vec<SeatBody>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let view = fetch(place, scope)?;
    let mut anchors: Vec<SeatBody> = view
        .anchors
        .iter()
        .map(|anchor| SeatBody {
            id: Some(anchor.id.clone()),
            key: Some(anchor.key.clone()),
            weight: anchor.weight,
            region: anchor.region.clone(),
            organisation: anchor.organisation.clone(),
        })
        .collect();
    edit(&mut anchors)?;
    let path = format!("/scopes/{}/anchors", segment(scope));
    let body = AnchorsBody {
        anchors,
        if_epoch: Some(view.epoch),
        note,
    };
    change(place, Method::PUT, path, body)
}

/// The seat whose identity begins like this.
fn seat<'s>(seats: &'s mut [SeatBody], prefix: &str) -> Result<&'s mut SeatBody, Failure> {
    let like = |seat: &&mut SeatBody| seat.id.as_ref().is_some_and(|id| id.starts_with(prefix));
    let mut found = seats.iter_mut().filter(like);
    match (found.next(), found.next()) {
        (Some(seat), None) => Ok(seat),
        (None, _) => Err(Failure::new(
            Code::NotFound,
            format!("the scope has no anchor that begins with {prefix:?}"),
            Some("`kedge anchor list SCOPE` shows them"),
        )),
        (Some(_), Some(_)) => {
            let error = format!("several anchors begin with {prefix:?}");
            Err(usage(error, Some("give more digits")))
        }
    }
}

pub(super) fn anchor_line(anchor: &AnchorView) -> String {
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "anchor {} weight {} trust {} region {} organisation {} key {}",
        anchor.id.chars().take(16).collect::<String>(),
        anchor.weight,
        anchor.trust,
        or_dash(&anchor.region),
        or_dash(&anchor.organisation),
        anchor.key
    )
}

pub(super) fn grant(place: &Place, what: GrantCommand) -> Result<(), Failure> {
    match what {
        GrantCommand::List { scope } => {
            let scope = fetch(place, &scope)?;
            show(place.json, &scope.grants, |grants| {
                grants.iter().map(grant_line).collect()
            })
        }
        GrantCommand::Add {
            scope,
            key,
            names,
            types,
            deeds,
            per_day,
            holder,
            why,
        } => {
            let mut view = fetch(place, &scope)?;
            view.grants.push(GrantView {
                key,
                holder,
                names,
                types,
                deeds,
                changes_per_day: per_day,
            });
            put_grants(place, &scope, view, why.note)
        }
        GrantCommand::Revoke { scope, key, why } => {
            let mut view = fetch(place, &scope)?;
            let before = view.grants.len();
            view.grants.retain(|grant| grant.key != key);
            if view.grants.len() == before {
                let hint = Some("`kedge grant list SCOPE` shows the grants");
                return Err(Failure::new(Code::NotFound, "the key holds no grant", hint));
            }
            put_grants(place, &scope, view, why.note)
        }
    }
}

/// Proposes the grants of a scope as it was read.
fn put_grants(place: &Place, scope: &str, wanted: ScopeView, note: String) -> Result<(), Failure> {
    let path = format!("/scopes/{}/grants", segment(scope));
    let body = GrantsBody {
        grants: wanted.grants,
        if_epoch: Some(wanted.epoch),
        note,
    };
    change(place, Method::PUT, path, body)
}

pub(super) fn grant_line(grant: &GrantView) -> String {
    let types = if grant.types.is_empty() {
        "all types".to_owned()
    } else {
        grant.types.join(" ")
    };
    let quota = match grant.changes_per_day {
        0 => String::new(),
        count => format!(", {count} a day"),
    };
    let holder = if grant.holder.is_empty() {
        String::new()
    } else {
        format!(" ({})", grant.holder)
    };
    format!(
        "grant to {}{holder}: {} {types} at {}{quota}",
        grant.key,
        grant.deeds.join(","),
        grant.names
    )
}

pub(super) fn trust(
    place: &Place,
    scope: &str,
    propose: bool,
    note: String,
) -> Result<(), Failure> {
    let path = format!("/scopes/{}/trust", segment(scope));
    let views: Vec<TrustView> =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    if !propose {
        return show(place.json, &views, |views| {
            views.iter().map(trust_line).collect()
        });
    }
    if views
        .iter()
        .all(|view| !view.seated || view.weight == view.earned_weight)
    {
        return Err(usage("the anchors have the weights that they earned", None));
    }
    seats(place, scope, note, |seats| {
        for seat in seats {
            let earned = views
                .iter()
                .find(|view| Some(&view.anchor) == seat.id.as_ref());
            seat.weight = earned.map_or(seat.weight, |view| view.earned_weight);
        }
        Ok(())
    })
}

fn trust_line(view: &TrustView) -> String {
    let id: String = view.anchor.chars().take(16).collect();
    let seat = if view.seated {
        format!("weight {}, earned {}", view.weight, view.earned_weight)
    } else {
        "no seat".to_owned()
    };
    format!(
        "anchor {id} trust {}: {} aligned, {} contested, {} missed, {} contradicted; {seat}",
        view.trust, view.aligned, view.contested, view.missed, view.contradicted
    )
}
