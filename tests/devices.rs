//! Devices of a node as a whole: its table, its challenges, and what it then answers to whom.

#![allow(
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::IpAddr;
use std::sync::{Arc, Barrier};

use kedge::base::limits::{CHALLENGES_PER_NETWORK_MAX, DEVICES_MAX};
use kedge::governance::access::{AccessGraph, AccessNode, Next, Verdict};
use kedge::governance::device::{
    Asked, Death, DeviceFile, DeviceId, DeviceProof, NoChallenge, Nonce,
};
use kedge::governance::policy::Policy;
use kedge::index::devices::DeviceRefusal;
use kedge::namespace::name::Name;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::scope::ScopeUid;
use kedge::service::devices::{DeviceError, Devices, Proved};
use kedge::service::governor::ChangeError;
use kedge::service::ports::{Parts, Store};
use support::wire::Ask;
use support::{World, name};

/// How long a proof counts in these tests.
const PRESENCE_SECS: u32 = 900;

fn home() -> IpAddr {
    IpAddr::from([10, 0, 0, 7])
}

fn private() -> Name {
    name("liz.mesh.internal.")
}

/// A node with a private scope that answers to its own devices.
fn world() -> (World, ScopeUid) {
    let world = World::default();
    world.found_apex(&name("mesh.internal."));
    world.found_scope(&private()).unwrap();
    let calendar = name("calendar.liz.mesh.internal.");
    world.put(&calendar, RecordType::A, &["10.9.9.9"]).unwrap();
    let test = AccessNode {
        name: String::new(),
        test: "device own".parse().unwrap(),
        then: Next::Verdict(Verdict::Allow),
        otherwise: Next::Verdict(Verdict::Challenge),
    };
    let policy = Policy {
        access: AccessGraph::new(vec![test]).unwrap(),
        challenge: "prove yourself".to_owned(),
        ..Policy::default()
    };
    world.set_policy(&private(), policy).unwrap();
    let scope = world.scope(&private());
    (world, scope)
}

fn enrol(world: &World, scope: ScopeUid) -> (DeviceId, DeviceFile) {
    let enrolling = world.devices.enrol(scope, "phone".to_owned(), Vec::new());
    world.wait(enrolling).unwrap()
}

fn challenged<P: Parts>(
    devices: &Devices<P>,
    file: &DeviceFile,
    address: IpAddr,
) -> Result<DeviceProof, NoChallenge> {
    let asked = Asked {
        scope: file.scope,
        handle: file.handle(),
        address,
    };
    let challenge = devices.challenge(asked)?;
    Ok(file.prove(challenge.nonce, Nonce::new([5; 32]), address))
}

async fn step<P: Parts>(
    devices: &Devices<P>,
    file: &mut DeviceFile,
    address: IpAddr,
) -> Result<Proved, DeviceError> {
    let proof = challenged(devices, file, address)?;
    let proved = devices.prove(proof.clone(), address, PRESENCE_SECS).await?;
    *file = file.after(&proof, &proved.seal).unwrap();
    Ok(proved)
}

fn refusal(result: Result<Proved, DeviceError>) -> DeviceRefusal {
    match result {
        Err(DeviceError::Change(ChangeError::Device(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

/// The response code that a client at an address gets, over a connection.
fn told(world: &World, from: IpAddr) -> String {
    let ask = Ask {
        name: name("calendar.liz.mesh.internal."),
        kind: RecordType::A,
        from,
        recursion_desired: true,
        dnssec_ok: false,
        checking_disabled: false,
    };
    let status = world.ask(&ask)[0].clone();
    status.split(' ').next().unwrap().to_owned()
}

#[test]
fn an_address_counts_from_the_proof_on_and_for_a_while() {
    let (world, scope) = world();
    let (_, mut file) = enrol(&world, scope);
    assert_eq!(told(&world, home()), "REFUSED");
    world.wait(step(&world.devices, &mut file, home())).unwrap();
    assert_eq!(told(&world, home()), "NOERROR");
    assert_eq!(told(&world, IpAddr::from([10, 0, 0, 8])), "REFUSED");
    world.clock.pass_secs(u64::from(PRESENCE_SECS));
    assert_eq!(told(&world, home()), "NOERROR");
    world.clock.pass_secs(1);
    assert_eq!(told(&world, home()), "REFUSED");
}

#[test]
fn what_is_refused_is_not_committed_and_tells_nothing() {
    let (world, scope) = world();
    let (id, file) = enrol(&world, scope);
    let before = world.store.latest();
    let stranger = DeviceFile {
        mark: file.value.clone(),
        ..file.clone()
    };
    let elsewhere = DeviceFile {
        scope: world.scope(&name("mesh.internal.")),
        ..file.clone()
    };
    let nowhere = ScopeUid::new(file.mark.shown_as("nowhere"));
    let nowhere = DeviceFile {
        scope: nowhere,
        ..file.clone()
    };
    for file in [stranger, elsewhere, nowhere] {
        let proof = challenged(&world.devices, &file, home()).unwrap();
        let proving = world.devices.prove(proof, home(), PRESENCE_SECS);
        assert_eq!(refusal(world.wait(proving)), DeviceRefusal::Stranger);
    }
    assert!(Arc::ptr_eq(&before, &world.store.latest()), "a commit");
    let id = id.short();
    world.wait(world.devices.revoke(scope, &id)).unwrap();
    let before = world.store.latest();
    let proof = challenged(&world.devices, &file, home()).unwrap();
    let proving = world.devices.prove(proof, home(), PRESENCE_SECS);
    let dead = DeviceRefusal::Dead(Death::Revoked);
    assert_eq!(refusal(world.wait(proving)), dead);
    assert!(Arc::ptr_eq(&before, &world.store.latest()), "a commit");
}

#[test]
fn a_proof_that_comes_again_makes_no_presence() {
    let (world, scope) = world();
    let (_, file) = enrol(&world, scope);
    let proof = challenged(&world.devices, &file, home()).unwrap();
    let prove = |from| {
        let proving = world.devices.prove(proof.clone(), from, PRESENCE_SECS);
        world.wait(proving)
    };
    prove(home()).unwrap();
    world.clock.pass_secs(30);
    let until = |world: &World| {
        let presences = world.presences().load().clone();
        (presences.count(), told(world, home()))
    };
    let before = until(&world);
    for from in [home(), IpAddr::from([192, 0, 2, 7])] {
        let again = prove(from);
        let unknown = NoChallenge::Unknown;
        assert!(matches!(again, Err(DeviceError::Challenge(why)) if why == unknown));
    }
    assert_eq!(until(&world), before);
}

#[test]
fn only_a_seat_of_this_node_keeps_devices() {
    let (world, _) = world();
    let far = name("far.mesh.internal.");
    world.delegate_elsewhere(&far).unwrap();
    let unknown = ScopeUid::new(enrol(&world, world.scope(&private())).1.mark.shown_as("x"));
    let enrolling = world.devices.enrol(unknown, String::new(), Vec::new());
    let refused = world.wait(enrolling).unwrap_err();
    assert!(matches!(
        refused,
        DeviceError::Change(ChangeError::Device(DeviceRefusal::NoSeat))
    ));
}

#[test]
fn a_scope_has_so_many_devices_and_revoked_ones_make_room() {
    let (world, scope) = world();
    let ids: Vec<DeviceId> = (0..DEVICES_MAX).map(|_| enrol(&world, scope).0).collect();
    let enrolling = || world.wait(world.devices.enrol(scope, String::new(), Vec::new()));
    let full = enrolling().unwrap_err();
    assert!(matches!(
        full,
        DeviceError::Change(ChangeError::Device(DeviceRefusal::Full))
    ));
    for id in [ids[7], ids[3]] {
        world
            .wait(world.devices.revoke(scope, &id.short()))
            .unwrap();
        world.clock.pass_secs(1);
    }
    enrolling().unwrap();
    let left: Vec<DeviceId> = world
        .devices
        .list(&scope)
        .unwrap()
        .iter()
        .map(|row| row.0)
        .collect();
    assert!(
        !left.contains(&ids[7]) && left.contains(&ids[3]),
        "the oldest goes"
    );
    let several = world.wait(world.devices.revoke(scope, "")).unwrap_err();
    assert!(matches!(several, DeviceError::Several(_)));
}

#[test]
fn a_network_gets_so_many_challenges() {
    let (world, scope) = world();
    let (_, mut file) = enrol(&world, scope);
    for _ in 0..CHALLENGES_PER_NETWORK_MAX {
        challenged(&world.devices, &file, home()).unwrap();
    }
    let more = challenged(&world.devices, &file, home());
    assert_eq!(more.unwrap_err(), NoChallenge::TooMany);
    world.clock.pass_secs(61);
    world.wait(step(&world.devices, &mut file, home())).unwrap();
}

/// Whoever wins: a device that is revoked counts nowhere.
#[test]
fn a_device_that_is_revoked_while_it_proves_itself_does_not_stay() {
    for round in 0..30 {
        let (world, scope) = world();
        let (id, mut file) = enrol(&world, scope);
        let start = Arc::new(Barrier::new(2));
        let (devices, ready) = (Arc::clone(&world.devices), Arc::clone(&start));
        let proving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            ready.wait();
            drop(runtime.block_on(step(&devices, &mut file, home())));
        });
        start.wait();
        world
            .wait(world.devices.revoke(scope, &id.short()))
            .unwrap();
        proving.join().unwrap();
        assert_eq!(told(&world, home()), "REFUSED", "round {round}");
        assert_eq!(world.presences().load().count(), 0, "round {round}");
    }
}

/// Devices of one scope that all prove themselves at once do not get in each other's way.
#[test]
fn devices_that_prove_themselves_at_once_all_get_through() {
    let (world, scope) = world();
    let files: Vec<DeviceFile> = (0..8).map(|_| enrol(&world, scope).1).collect();
    let start = Arc::new(Barrier::new(files.len()));
    let threads: Vec<_> = (0_u8..)
        .zip(files)
        .map(|(number, mut file)| {
            let (devices, start) = (Arc::clone(&world.devices), Arc::clone(&start));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                start.wait();
                let from = IpAddr::from([10, 0, 1, number]);
                for _ in 0..10 {
                    runtime.block_on(step(&devices, &mut file, from)).unwrap();
                }
                from
            })
        })
        .collect();
    for thread in threads {
        let from = thread.join().unwrap();
        assert_eq!(told(&world, from), "NOERROR");
    }
    assert_eq!(world.presences().load().count(), 8);
}
