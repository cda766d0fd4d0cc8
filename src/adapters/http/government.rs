//! Calls about who governs a scope: policy, anchors, grants, trust.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};

use crate::base::keys::PublicKey;
use crate::base::limits::{ANCHORS_MAX, GRANTS_MAX, SETS_PER_NAME_MAX};
use crate::base::time::Ttl;
use crate::governance::descriptor::Descriptor;
use crate::governance::grant::{Deed, Grant};
use crate::governance::policy::{self, Pace, Quorum, Requirement};
use crate::governance::trust::earned_weights;
use crate::service::changes::{Reform, Seat};
use crate::service::ports::Parts;

use super::access;
use super::names::done;
use super::render::{bad_value, read_name};
use super::routes::{Node, Reply};
use super::scopes::scope_at;
use super::status::Failure;
use super::wire;
use super::wire_government::{
    AnchorsBody, ClassRule, GrantView, GrantsBody, Policy, PolicyBody, QuorumRule, SeatBody,
    TrustView,
};

pub(super) async fn set_policy<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<PolicyBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let reform = Reform::Policy(Box::new(read_policy(&body.policy)?));
    let apexes = &api.resolver.setup().apexes;
    let changed = api
        .changes
        .reform(apexes, &name, (reform, body.if_epoch), &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn set_grants<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<GrantsBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    at_most("grants", body.grants.len(), GRANTS_MAX)?;
    let grants = body
        .grants
        .iter()
        .map(read_grant)
        .collect::<Result<_, _>>()?;
    let apexes = &api.resolver.setup().apexes;
    let reform = Reform::Grants(grants);
    let changed = api
        .changes
        .reform(apexes, &name, (reform, body.if_epoch), &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn set_anchors<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<AnchorsBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    at_most("anchors", body.anchors.len(), ANCHORS_MAX)?;
    let seats = body
        .anchors
        .into_iter()
        .map(read_seat)
        .collect::<Result<_, _>>()?;
    let apexes = &api.resolver.setup().apexes;
    let reform = Reform::Anchors(seats);
    let changed = api
        .changes
        .reform(apexes, &name, (reform, body.if_epoch), &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn trust<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<Vec<TrustView>> {
    let (_, state) = scope_at(&api, &name)?;
    let descriptor = &state.descriptor;
    let earned = earned_weights(
        &state.ledger,
        &descriptor.anchors,
        descriptor.policy.cap_weight,
    );
    let mut ids: Vec<_> = state.ledger.keys().copied().collect();
    ids.extend(descriptor.anchors.anchors().iter().map(|anchor| anchor.id));
    ids.sort_unstable();
    ids.dedup();
    let shown = ids.into_iter().map(|id| {
        let tally = state.tally(&id);
        let seat = descriptor.anchors.get(&id);
        TrustView {
            anchor: id.to_string(),
            seated: seat.is_some(),
            trust: tally.trust(),
            aligned: tally.aligned,
            contested: tally.contested,
            missed: tally.missed,
            contradicted: tally.contradicted,
            weight: seat.map_or(0, |anchor| anchor.weight),
            earned_weight: earned.get(&id).copied().unwrap_or(0),
        }
    });
    Ok(Json(shown.collect()))
}

/// What of a scope's government another descriptor changes, a line each.
pub(super) fn reform_lines(now: &Descriptor, next: &Descriptor) -> Vec<String> {
    let fields = |descriptor: &Descriptor| {
        let mut fields = BTreeMap::new();
        let policy = serde_json::to_value(policy_view(&descriptor.policy)).unwrap_or_default();
        for (name, value) in policy.as_object().into_iter().flatten() {
            fields.insert(format!("policy {name}"), value.to_string());
        }
        for anchor in descriptor.anchors.anchors() {
            let shown = format!(
                "weight {} key {} region {:?} organisation {:?}",
                anchor.weight,
                anchor.vote_key.short(),
                anchor.region,
                anchor.organisation
            );
            fields.insert(format!("anchor {}", anchor.id.short()), shown);
        }
        for grant in &descriptor.grants {
            let shown = serde_json::to_string(&grant_view(grant)).unwrap_or_default();
            fields.insert(format!("grant {}", grant.digest().short()), shown);
        }
        fields
    };
    let (before, after) = (fields(now), fields(next));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let none = "none".to_owned();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            let was = before.get(name).unwrap_or(&none);
            let is = after.get(name).unwrap_or(&none);
            format!("{name}: {was} -> {is}")
        })
        .collect()
}

pub(super) fn at_most(what: &str, count: usize, max: usize) -> Result<(), Failure> {
    if count > max {
        return Err(Failure::bad(
            format!("{what}: {count}, at most {max}"),
            None,
        ));
    }
    Ok(())
}

pub(super) fn read_key(what: &str, text: &str) -> Result<PublicKey, Failure> {
    text.parse()
        .map_err(|error| bad_value(&format!("{what} {text:?}"), &error))
}

fn read_seat(body: SeatBody) -> Result<Seat, Failure> {
    let key = body.key.map(|text| read_key("key", &text)).transpose()?;
    Ok(Seat {
        id: body.id,
        key,
        weight: body.weight,
        region: body.region,
        organisation: body.organisation,
    })
}

pub(super) fn grant_view(grant: &Grant) -> GrantView {
    GrantView {
        key: grant.key.to_string(),
        holder: grant.holder.clone(),
        names: grant.names.to_string(),
        types: grant.kinds.iter().map(ToString::to_string).collect(),
        deeds: grant.deeds.iter().map(ToString::to_string).collect(),
        changes_per_day: grant.changes_per_day,
    }
}

fn read_grant(body: &GrantView) -> Result<Grant, Failure> {
    let mut kinds = Vec::with_capacity(body.types.len());
    at_most("types", body.types.len(), SETS_PER_NAME_MAX)?;
    for text in &body.types {
        kinds.push(
            text.parse()
                .map_err(|error| bad_value(&format!("type {text:?}"), &error))?,
        );
    }
    kinds.sort_unstable();
    kinds.dedup();
    let mut deeds = Vec::new();
    for text in &body.deeds {
        let deed = Deed::ALL.iter().find(|deed| deed.to_string() == *text);
        deeds.push(*deed.ok_or_else(|| {
            let error = "expected register, update, retire, rename, move or announce";
            bad_value(&format!("deed {text:?}"), &error)
        })?);
    }
    deeds.sort_unstable();
    deeds.dedup();
    if deeds.is_empty() {
        let error = "a grant without deeds allows nothing";
        return Err(Failure::bad(error, Some("for example register,update")));
    }
    Ok(Grant {
        key: read_key("key", &body.key)?,
        holder: body.holder.clone(),
        names: body
            .names
            .parse()
            .map_err(|error| bad_value(&format!("names {:?}", body.names), &error))?,
        kinds,
        deeds,
        changes_per_day: body.changes_per_day,
    })
}

pub(super) fn policy_view(policy: &policy::Policy) -> Policy {
    let rule = |rule: policy::ClassRule| ClassRule {
        requirement: match rule.requirement {
            Requirement::Author => "author".to_owned(),
            Requirement::Approvals => "approvals".to_owned(),
        },
        weight: rule.weight,
        delay: rule.delay_secs,
        expiry: rule.expiry_secs,
    };
    Policy {
        quorum: match policy.quorum {
            Quorum::Bft => QuorumRule::Bft,
            Quorum::Majority => QuorumRule::Majority,
        },
        pace: match policy.pace {
            Pace::Interactive => "interactive".into(),
            Pace::Hourly => "hourly".into(),
            Pace::Daily => "daily".into(),
        },
        ttl_min: policy.ttl_min.as_secs(),
        ttl_max: policy.ttl_max.as_secs(),
        entries_max: policy.entries_max,
        cap_weight: policy.cap_weight,
        trust_floor: policy.trust_floor,
        routine: rule(policy.routine),
        alias: rule(policy.alias),
        governance: rule(policy.governance),
        restricted: policy.restricted.iter().map(ToString::to_string).collect(),
        challenge: policy.challenge.clone(),
        verbs: policy
            .verbs
            .iter()
            .map(|verb| (verb.name.clone(), verb.class.to_string()))
            .collect(),
        access: access::view(&policy.access),
    }
}

fn read_rule(what: &str, body: &ClassRule) -> Result<policy::ClassRule, Failure> {
    Ok(policy::ClassRule {
        requirement: match body.requirement.as_str() {
            "author" => Requirement::Author,
            "approvals" => Requirement::Approvals,
            text => {
                let error = format!("{what}: {text:?}: expected author or approvals");
                return Err(Failure::bad(error, None));
            }
        },
        weight: body.weight,
        delay_secs: body.delay,
        expiry_secs: body.expiry,
    })
}

fn read_policy(body: &Policy) -> Result<policy::Policy, Failure> {
    if body.ttl_min > body.ttl_max || body.ttl_max > Ttl::MAX.as_secs() {
        let error = format!(
            "ttl-min {} and ttl-max {} hold no TTL",
            body.ttl_min, body.ttl_max
        );
        return Err(Failure::bad(error, None));
    }
    if body.entries_max == 0 {
        let error = "entries-max: a scope holds at least one entry";
        return Err(Failure::bad(error, None));
    }
    Ok(policy::Policy {
        quorum: match body.quorum {
            QuorumRule::Bft => Quorum::Bft,
            QuorumRule::Majority => Quorum::Majority,
        },
        routine: read_rule("routine", &body.routine)?,
        alias: read_rule("alias", &body.alias)?,
        governance: read_rule("governance", &body.governance)?,
        pace: match body.pace.as_str() {
            "interactive" => Pace::Interactive,
            "hourly" => Pace::Hourly,
            "daily" => Pace::Daily,
            text => {
                let error = format!("pace: {text:?}: expected interactive, hourly or daily");
                return Err(Failure::bad(error, None));
            }
        },
        ttl_min: Ttl::from_secs(body.ttl_min),
        ttl_max: Ttl::from_secs(body.ttl_max),
        entries_max: body.entries_max,
        cap_weight: body.cap_weight,
        trust_floor: body.trust_floor,
        restricted: access::read_kinds(&body.restricted)?,
        challenge: access::read_challenge(&body.challenge)?,
        verbs: access::read_verbs(&body.verbs)?,
        access: access::read(&body.access)?,
    })
}
