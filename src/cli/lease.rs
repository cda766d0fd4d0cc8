//! `kedge lease`: instances announced, listed, drained and ended.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::signal::unix::{SignalKind, signal};

use crate::adapters::clock::SystemClock;
use crate::adapters::http::Client;
use crate::adapters::http::wire_leases::{
    AnnounceBody, InstanceView, LeaseView, LeaveBody, ServiceView,
};
use crate::adapters::http::wire_proposals::SignedBody;
use crate::base::keys::Signer;
use crate::base::limits::{LEASE_SECS_MAX, LEASE_SECS_MIN};
use crate::base::signed::Signed;
use crate::governance::lease::{Condition, Lease};
use crate::service::ports::Clock as _;

use super::args_lease::{AnnounceArgs, InstanceArgs, LeaseCommand};
use super::connect::{Place, segment};
use super::exit::{Code, Failure};
use super::governance::seconds;
use super::key::not_signed;
use super::local::usage;
use super::output::{complain, show};
use super::propose::{body, strange};

/// Renewals within one lease: two may be lost.
const RENEWALS_PER_LEASE: u32 = 3;

pub(super) fn run(place: &Place, what: LeaseCommand) -> Result<(), Failure> {
    match what {
        LeaseCommand::Announce(args) => announce(place, &args),
        LeaseCommand::List { name } => list(place, &name),
        LeaseCommand::Drain(args) => leave(place, &args, Condition::Draining),
        LeaseCommand::Resume(args) => leave(place, &args, Condition::Up),
        LeaseCommand::End(args) => leave(place, &args, Condition::Ended),
    }
}

fn list(place: &Place, name: &str) -> Result<(), Failure> {
    let path = instances_path(name);
    let service: ServiceView =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    show(place.json, &service, |service| {
        let shown = service.instances.iter().filter(|view| view.shown).count();
        let count = service.instances.len();
        let mut lines = vec![format!(
            "{}: {shown} of {count} instance(s) shown: {}",
            service.name, service.why
        )];
        lines.extend(service.instances.iter().map(instance_line));
        lines
    })
}

fn instance_line(view: &InstanceView) -> String {
    let mark = if view.shown { "*" } else { " " };
    let region = if view.region.is_empty() {
        String::new()
    } else {
        format!(" region {}", view.region)
    };
    let check = if view.check == "none" {
        String::new()
    } else {
        format!(", {} {}", view.check, view.health)
    };
    format!(
        "{mark} {} {} port {} weight {}{region} {}{check}, until {}",
        view.instance, view.address, view.port, view.weight, view.condition, view.until
    )
}

fn instances_path(name: &str) -> String {
    format!("/names/{}/instances", segment(name))
}

/// An instance as it is announced.
struct Announcer {
    name: String,
    body: AnnounceBody,
    instance: String,
    key: Option<Arc<dyn Signer>>,
}

fn announce(place: &Place, args: &AnnounceArgs) -> Result<(), Failure> {
    let ttl = seconds(&args.ttl)
        .filter(|secs| (LEASE_SECS_MIN..=LEASE_SECS_MAX).contains(&u64::from(*secs)))
        .ok_or_else(|| {
            let bounds = format!("expected {LEASE_SECS_MIN} to {LEASE_SECS_MAX} seconds");
            usage(
                format!("--ttl {:?}: {bounds}", args.ttl),
                Some("for example 30s"),
            )
        })?;
    let announcer = Announcer {
        name: args.name.clone(),
        instance: args.instance.clone(),
        body: AnnounceBody {
            address: args.address.to_string(),
            port: args.port,
            weight: args.weight,
            region: args.region.clone(),
            ttl,
            check: args.check.clone(),
            condition: Condition::Up.to_string(),
            may_empty: false,
        },
        key: args.by.signer()?,
    };
    if args.keep {
        return place.with_client(|client| keep(place.json, client, announcer));
    }
    let view = place.with_client(|client| async move { announcer.announce(&client).await })?;
    show(place.json, &view, |view| vec![lease_line(view)])
}

fn lease_line(view: &LeaseView) -> String {
    let what = if view.renewed { "renewed" } else { "taken" };
    format!(
        "{what}: {} is {}, {}, until {}",
        view.instance, view.condition, view.health, view.until
    )
}

impl Announcer {
    async fn announce(&self, client: &Client) -> Result<LeaseView, Failure> {
        let Some(key) = &self.key else {
            let path = format!("{}/{}", instances_path(&self.name), segment(&self.instance));
            return Ok(client.send(Method::PUT, &path, &self.body).await?);
        };
        let service: ServiceView = client.get(&instances_path(&self.name)).await?;
        let held = held(&service, &self.instance);
        let lease = self.lease(&service, held, key)?;
        Ok(client
            .send(Method::POST, "/leases", &signed(lease, key)?)
            .await?)
    }

    fn lease(
        &self,
        service: &ServiceView,
        held: Option<&InstanceView>,
        key: &dyn Signer,
    ) -> Result<Lease, Failure> {
        let body = &self.body;
        let wrong = |error: &dyn std::fmt::Display| usage(error.to_string(), None);
        let now = SystemClock.now();
        let condition = Condition::ALL
            .into_iter()
            .find(|known| known.to_string() == body.condition);
        Ok(Lease {
            scope: service.scope_uid.parse().map_err(|error| strange(&error))?,
            service: service.uid.parse().map_err(|error| strange(&error))?,
            instance: self
                .instance
                .parse()
                .map_err(|error| wrong(&format!("--instance {:?}: {error}", self.instance)))?,
            address: body.address.parse().map_err(|error| wrong(&error))?,
            port: body.port,
            weight: body.weight,
            region: if body.region.is_empty() {
                service.region.clone()
            } else {
                body.region.clone()
            },
            condition: condition.unwrap_or(Condition::Up),
            check: body
                .check
                .parse()
                .map_err(|error| wrong(&format!("--check {:?}: {error}", body.check)))?,
            sequence: now
                .as_millis()
                .max(held.map_or(0, |held| held.sequence.saturating_add(1))),
            issued: now,
            expires: now.plus_millis(u64::from(body.ttl) * 1_000),
            may_empty: body.may_empty,
            key: key.public(),
        })
    }
}

fn signed(lease: Lease, key: &dyn Signer) -> Result<SignedBody, Failure> {
    let signed = Signed::new(lease, key).map_err(|error| not_signed(&error))?;
    Ok(body(&signed))
}

fn held<'s>(service: &'s ServiceView, instance: &str) -> Option<&'s InstanceView> {
    let mut instances = service.instances.iter();
    instances.find(|view| view.instance == instance)
}

/// Announces until a signal, then ends the instance. If it is the last healthy one it is left to
/// expire: the service shows it as last known good then, and never is empty because of a restart.
async fn keep(json: bool, client: Client, mut announcer: Announcer) -> Result<(), Failure> {
    if matches!(client, Client::InProcess(_)) {
        let hint = Some("start one with `kedge serve`");
        return Err(Failure::new(
            Code::Unreachable,
            "--keep needs a running node",
            hint,
        ));
    }
    let no_signals = |error: std::io::Error| Failure::new(Code::Failed, error.to_string(), None);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let pause = Duration::from_secs(announcer.body.ttl.into()) / RENEWALS_PER_LEASE;
    let first = announcer.announce(&client).await?;
    show(json, &first, |view| vec![lease_line(view)])?;
    let mut failing = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(pause) => {}
        }
        match renew(&client, &mut announcer).await {
            Ok(true) => failing = false,
            Ok(false) => {
                complain("the instance was ended by somebody else");
                return Ok(());
            }
            // A node that restarts must find its announcers when it is back.
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    error.report();
                    complain("it is announced again until it works");
                }
            }
        }
    }
    announcer.body.condition = Condition::Ended.to_string();
    match announcer.announce(&client).await {
        Ok(view) => show(json, &view, |view| vec![lease_line(view)]),
        Err(error) => {
            error.report();
            complain("its lease is left to expire");
            Ok(())
        }
    }
}

/// Announces the instance in the condition that it was given meanwhile; false if it was ended.
async fn renew(client: &Client, announcer: &mut Announcer) -> Result<bool, Failure> {
    let service: ServiceView = client.get(&instances_path(&announcer.name)).await?;
    let condition = held(&service, &announcer.instance).map(|held| held.condition.as_str());
    let condition = match condition {
        Some("ended") => return Ok(false),
        Some("draining") => Condition::Draining,
        _ => Condition::Up,
    };
    announcer.body.condition = condition.to_string();
    announcer.announce(client).await?;
    Ok(true)
}

fn leave(place: &Place, args: &InstanceArgs, condition: Condition) -> Result<(), Failure> {
    let view = if let Some(key) = args.by.signer()? {
        place.with_client(|client| leave_with(client, args, condition, key))?
    } else {
        let verb = match condition {
            Condition::Up => "resume",
            Condition::Draining => "drain",
            Condition::Ended => "end",
        };
        let instance = segment(&args.instance);
        let path = format!("{}/{instance}/{verb}", instances_path(&args.name));
        let may_empty = args.may_empty;
        let body = LeaveBody { may_empty };
        place.with_client(
            |client| async move { Ok(client.send(Method::POST, &path, &body).await?) },
        )?
    };
    show(place.json, &view, |view: &LeaseView| vec![lease_line(view)])
}

/// Gives an instance another condition with a key that the node does not hold.
async fn leave_with(
    client: Client,
    args: &InstanceArgs,
    condition: Condition,
    key: Arc<dyn Signer>,
) -> Result<LeaseView, Failure> {
    let service: ServiceView = client.get(&instances_path(&args.name)).await?;
    let Some(held) = held(&service, &args.instance).filter(|held| held.condition != "ended") else {
        let error = format!("{} has no instance {}", service.name, args.instance);
        let hint = Some("`kedge lease list NAME` shows them");
        return Err(Failure::new(Code::NotFound, error, hint));
    };
    let secs = u32::try_from(held.lifetime_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
    let announcer = Announcer {
        name: args.name.clone(),
        instance: args.instance.clone(),
        body: AnnounceBody {
            address: held.address.clone(),
            port: held.port,
            weight: held.weight,
            region: held.region.clone(),
            ttl: secs,
            check: held.check.clone(),
            condition: condition.to_string(),
            may_empty: args.may_empty,
        },
        key: None,
    };
    let lease = announcer.lease(&service, Some(held), &key)?;
    Ok(client
        .send(Method::POST, "/leases", &signed(lease, &key)?)
        .await?)
}
