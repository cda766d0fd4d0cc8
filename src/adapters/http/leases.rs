//! Calls about the instances of services.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use crate::base::keys::PublicKey;
use crate::base::limits::{LEASE_SECS_MAX, REGION_BYTES_MAX};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::lease::{Condition, Lease};
use crate::index::entry::Entry;
use crate::index::place::Place;
use crate::index::view::IndexView;
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::name::Name;
use crate::namespace::uid::Uid;
use crate::resolution::instances::{Instance, Service, Services};
use crate::service::leases::Taken;
use crate::service::ports::{Parts, Store};

use super::audited::Heartbeat;
use super::government::at_most;
use super::names::{place_of, uid_of};
use super::proposals::read_signed;
use super::render::{bad_value, read_name};
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire_leases::{
    AnnounceBody, InstanceView, LeaseCounts, LeaseView, LeaveBody, ServiceView,
};
use super::wire_proposals::SignedBody;

/// How many instances there are now.
pub(super) fn counts<P: Parts>(api: &Api<P>) -> LeaseCounts {
    let counts = api.leases.counts(api.changes.now());
    LeaseCounts {
        services: counts.services,
        instances: counts.instances,
        unhealthy: counts.unhealthy,
        failing: counts.failing,
        stale: counts.stale,
    }
}

/// An entry that can have instances.
struct Found {
    name: Name,
    place: Place,
    uid: Uid,
}

fn find<P: Parts>(api: &Api<P>, name: &str) -> Result<Found, Failure> {
    let name = read_name(name)?;
    let place = place_of(api, &name)?;
    let slot = api.resolver.store().latest();
    let slot = slot
        .slot(place.scope.no, &place.path)
        .map_err(|error| unreadable(&error))?;
    let entry = slot.and_then(|slot| slot.entry);
    if let Some(Entry::Moved(_)) = entry {
        let hint = Some("`kedge explain NAME` shows where it leads");
        return Err(Failure::not_found(format!("{name} has moved"), hint));
    }
    let uid = uid_of(&name, entry)?;
    Ok(Found { name, place, uid })
}

/// Takes a lease that was signed elsewhere.
pub(super) async fn take<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<SignedBody>,
) -> Result<Response, Failure> {
    let lease: Signed<Lease> = read_signed("lease", &body)?;
    Ok(taken(&api.leases.announce(lease).await?))
}

pub(super) async fn list<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<ServiceView> {
    let found = find(&api, &name)?;
    let now = api.changes.now();
    let service = api.leases.table().service(&found.uid);
    let view = |service: &Service| {
        let choice = service.choose(now, |_| true);
        let instances = service.instances.iter();
        let instances = instances.map(|instance| {
            let shown = choice
                .shown
                .iter()
                .any(|shown| shown.label == instance.label);
            instance_view(instance, shown, now)
        });
        (choice.why.to_string(), instances.collect())
    };
    let none = || ("there are none".to_owned(), Vec::new());
    let (why, instances) = service.as_deref().map_or_else(none, view);
    Ok(Json(ServiceView {
        name: found.name.to_string(),
        uid: found.uid.to_string(),
        scope: found.place.scope_name.to_string(),
        scope_uid: found.place.scope.uid.to_string(),
        now: now.to_string(),
        region: own_region(&api),
        why,
        instances,
    }))
}

/// The region of this node.
fn own_region<P: Parts>(api: &Api<P>) -> String {
    api.leases.table().nearness().own.to_string()
}

fn instance_view(instance: &Instance, shown: bool, now: Timestamp) -> InstanceView {
    let ended = instance.condition == Condition::Ended;
    InstanceView {
        instance: instance.label.to_string(),
        address: instance.address.to_string(),
        port: instance.port,
        weight: instance.weight,
        region: instance.region.to_string(),
        condition: if ended || instance.is_live(now) {
            instance.condition.to_string()
        } else {
            "expired".to_owned()
        },
        check: instance.check.to_string(),
        health: instance.health.to_string(),
        shown,
        sequence: instance.sequence,
        issued: instance.issued.to_string(),
        until: instance.until.to_string(),
        lifetime_ms: instance.lifetime_millis,
        since: instance.since.to_string(),
        key: instance.key.to_string(),
    }
}

/// Announces an instance with a key of this node.
pub(super) async fn announce<P: Parts>(
    State(api): Node<P>,
    Path((name, instance)): Path<(String, String)>,
    Json(body): Json<AnnounceBody>,
) -> Result<Response, Failure> {
    let found = find(&api, &name)?;
    let label = read_label(&instance)?;
    at_most("bytes of region", body.region.len(), REGION_BYTES_MAX)?;
    if u64::from(body.ttl) > LEASE_SECS_MAX {
        let error = format!("{} s, at most {LEASE_SECS_MAX}", body.ttl);
        return Err(bad_value("ttl", &error));
    }
    let condition = Condition::ALL
        .into_iter()
        .find(|known| known.to_string() == body.condition);
    let now = api.changes.now();
    let held = held(&api, &found.uid, &label);
    let lease = Lease {
        scope: found.place.scope.uid,
        service: found.uid,
        address: body
            .address
            .parse()
            .map_err(|error| bad_value(&format!("address {:?}", body.address), &error))?,
        port: body.port,
        weight: body.weight,
        region: if body.region.is_empty() {
            own_region(&api)
        } else {
            body.region
        },
        condition: condition.ok_or_else(|| {
            let what = format!("condition {:?}", body.condition);
            bad_value(&what, &"expected up, draining or ended")
        })?,
        check: body
            .check
            .parse()
            .map_err(|error| bad_value(&format!("check {:?}", body.check), &error))?,
        sequence: next_sequence(held.as_ref(), now),
        issued: now,
        expires: now.plus_millis(u64::from(body.ttl) * 1_000),
        may_empty: body.may_empty,
        // Replaced by the key that signs.
        key: PublicKey::NOBODY,
        instance: label,
    };
    sign(&api, &found, lease).await
}

pub(super) async fn drain<P: Parts>(
    State(api): Node<P>,
    Path(of): Path<(String, String)>,
    Json(body): Json<LeaveBody>,
) -> Result<Response, Failure> {
    change(&api, of, Condition::Draining, body.may_empty).await
}

pub(super) async fn resume<P: Parts>(
    State(api): Node<P>,
    Path(of): Path<(String, String)>,
    Json(body): Json<LeaveBody>,
) -> Result<Response, Failure> {
    change(&api, of, Condition::Up, body.may_empty).await
}

pub(super) async fn end<P: Parts>(
    State(api): Node<P>,
    Path(of): Path<(String, String)>,
    Json(body): Json<LeaveBody>,
) -> Result<Response, Failure> {
    change(&api, of, Condition::Ended, body.may_empty).await
}

/// Gives an instance another condition with a key of this node; all else stays.
async fn change<P: Parts>(
    api: &Api<P>,
    (name, instance): (String, String),
    condition: Condition,
    may_empty: bool,
) -> Result<Response, Failure> {
    let found = find(api, &name)?;
    let label = read_label(&instance)?;
    let held = held(api, &found.uid, &label)
        .filter(|held| held.condition != Condition::Ended)
        .ok_or_else(|| {
            let error = format!("{} has no instance {label}", found.name);
            Failure::not_found(error, Some("`kedge lease list NAME` shows them"))
        })?;
    let now = api.changes.now();
    let lease = Lease {
        scope: found.place.scope.uid,
        service: found.uid,
        instance: label,
        address: held.address,
        port: held.port,
        weight: held.weight,
        region: held.region.to_string(),
        condition,
        check: held.check.clone(),
        sequence: next_sequence(Some(&held), now),
        issued: now,
        expires: now.plus_millis(held.lifetime_millis),
        may_empty,
        key: held.key,
    };
    sign(api, &found, lease).await
}

async fn sign<P: Parts>(api: &Api<P>, found: &Found, lease: Lease) -> Result<Response, Failure> {
    let state = &found.place.scope;
    let signed = api
        .changes
        .sign_lease(state, |key| Lease { key, ..lease })?;
    Ok(taken(&api.leases.announce(signed).await?))
}

fn held<P: Parts>(api: &Api<P>, uid: &Uid, label: &InstanceLabel) -> Option<Instance> {
    let service = api.leases.table().service(uid)?;
    service.instance(label.as_str()).cloned()
}

/// Above what is held, and above what an announcer that counts by its clock used last.
fn next_sequence(held: Option<&Instance>, now: Timestamp) -> u64 {
    let after = held.map_or(0, |held| held.sequence.saturating_add(1));
    after.max(now.as_millis())
}

fn read_label(text: &str) -> Result<InstanceLabel, Failure> {
    text.parse()
        .map_err(|error| bad_value(&format!("instance {text:?}"), &error))
}

/// What became of a lease. Nobody wants to read each heartbeat in the audit log.
fn taken(taken: &Taken) -> Response {
    let instance = &taken.instance;
    let view = Json(LeaseView {
        instance: instance.label.to_string(),
        condition: instance.condition.to_string(),
        sequence: instance.sequence,
        until: instance.until.to_string(),
        health: instance.health.to_string(),
        renewed: taken.renewed,
    });
    if taken.renewed {
        (Extension(Heartbeat), view).into_response()
    } else {
        view.into_response()
    }
}
