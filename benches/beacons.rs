//! What beacons of a thousand scopes cost, and what it costs to check them.
//!
//! `cargo bench --bench beacons`; everything is in memory.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]

use std::time::{Duration, Instant};

use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::signed::{Signed, Verified};
use kedge::base::time::Timestamp;
use kedge::governance::beacon::{Beacon, BeaconTree, Sight, Word};
use kedge::namespace::scope::ScopeUid;

// As the binary does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Scopes of a node.
const SCOPES: u32 = 1_000;
/// How often beacons are made and asked for, by default.
const PERIOD: Duration = Duration::from_secs(30);

fn sight(number: u32) -> Sight {
    Sight {
        scope: ScopeUid::new(Digest::of_bytes("scope", &number.to_be_bytes())),
        height: 7,
        head: Digest::of_bytes("head", &number.to_be_bytes()),
        has_precommitted: false,
    }
}

fn key(number: u32) -> SecretKey {
    let seed = Digest::of_bytes("key", &number.to_be_bytes());
    SecretKey::from_seed(seed.as_bytes())
}

fn lit(key: &SecretKey, sights: Vec<Sight>) -> (Verified<Beacon>, BeaconTree) {
    let tree = BeaconTree::new(sights).unwrap();
    let beacon = tree.beacon(key.public(), Timestamp::from_millis(1_700_000_000_000));
    (Verified::sign(beacon, key).unwrap(), tree)
}

fn report(what: &str, began: Instant) {
    let took_us = began.elapsed().as_micros();
    // Of a core, in millionths.
    let share = took_us * 1_000_000 / PERIOD.as_micros();
    println!(
        "{what:<44} {took_us:>8} us, {}.{:04} % of a core",
        share / 10_000,
        share % 10_000
    );
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{SCOPES} scopes, each {} s:", PERIOD.as_secs());
    let keys: Vec<SecretKey> = (0..SCOPES).map(key).collect();

    let began = Instant::now();
    let lit_each: Vec<_> = keys
        .iter()
        .zip(0..)
        .map(|(key, number)| lit(key, vec![sight(number)]))
        .collect();
    report("beacons made, a key for each scope", began);
    let signed: Vec<Signed<Beacon>> = lit_each
        .iter()
        .map(|(beacon, _)| beacon.signed().clone())
        .collect();
    let began = Instant::now();
    let checked: Vec<Verified<Beacon>> = signed
        .into_iter()
        .map(|signed| signed.verify().unwrap())
        .collect();
    report("the same checked at a mirror", began);
    assert_eq!(checked.len(), lit_each.len());

    let began = Instant::now();
    let (beacon, tree) = lit(keys.first().unwrap(), (0..SCOPES).map(sight).collect());
    report("a beacon made, one key for all scopes", began);
    let began = Instant::now();
    for number in 0..SCOPES {
        let placed = tree.place(&sight(number).scope).unwrap();
        Word::new(beacon.clone(), placed).unwrap();
    }
    report("every place under it given and checked", began);
}
