//! How fast leases are taken, and what a hundred thousand of them take.
//!
//! `cargo bench --bench leases`; the leases are in a file in a temporary directory.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kedge::adapters::clock::SystemClock;
use kedge::adapters::storage::{LeaseFile, OpenOptions, RedbStore};
use kedge::base::keys::SecretKey;
use kedge::base::signed::{Signed, Verified};
use kedge::base::time::{Timestamp, Ttl};
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::lease::{Check, Condition, Lease};
use kedge::governance::op::Op;
use kedge::governance::policy::{Class, Policy};
use kedge::governance::proposal::Proposal;
use kedge::index::admission::Candidate;
use kedge::index::lineage::{Agenda, found, genesis_link, seal};
use kedge::index::view::IndexView as _;
use kedge::namespace::path::NamePath;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use kedge::service::leases::{LeaseRules, Leases};
use kedge::service::ports::{Clock as _, Store as _};

// As the binary does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Entries with instances.
const SERVICES: usize = 10_000;
/// Instances of each.
const INSTANCES: usize = 10;
/// Keys, as one has at most 65,536 leases.
const KEYS: usize = 4;
/// Announcers at the same time.
const CONCURRENT: usize = 1_024;
/// How long a lease lasts; longer than the benchmark takes.
const LEASE_MILLIS: u64 = 3_000_000;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let keys: Vec<SecretKey> = (0..KEYS)
        .map(|number| SecretKey::from_seed(&[u8::try_from(number).unwrap(); 32]))
        .collect();
    let (store, scope, services) = index(&keys);
    let directory = tempfile::tempdir().unwrap();
    let file = LeaseFile::open(&directory.path().join("leases.redb")).unwrap();
    let rules = LeaseRules {
        check: Vec::new(),
        local: false,
    };
    let (leases, keeper) =
        Leases::open(Arc::clone(&store), file, SystemClock, rules.clone()).unwrap();
    let keeping = std::thread::spawn(move || keeper.run());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (what, sequence) in [("new", 1), ("renewals", 2)] {
        let signed = sign(&keys, scope, &services, sequence);
        let before = resident_kib();
        let started = Instant::now();
        runtime.block_on(announce(&leases, signed));
        report(what, SERVICES * INSTANCES, started.elapsed());
        if sequence == 1 {
            println!("{:<10} {:>8} KiB more memory", "", resident_kib() - before);
        }
    }
    drop(leases);
    keeping.join().unwrap();
    let started = Instant::now();
    let file = LeaseFile::open(&directory.path().join("leases.redb")).unwrap();
    let opened = Leases::open(store, file, SystemClock, rules).unwrap();
    report("opened", SERVICES * INSTANCES, started.elapsed());
    drop(opened);
}

/// A scope of these keys' with entries.
fn index(keys: &[SecretKey]) -> (Arc<RedbStore>, ScopeUid, Vec<Uid>) {
    let backend = redb::backends::InMemoryBackend::new();
    let store = RedbStore::with_backend(backend, OpenOptions::default()).unwrap();
    let seats = keys.iter().map(|key| Anchor::new(key.public(), ""));
    let group = AnchorGroup::new(seats.collect()).unwrap();
    let policy = Policy::default();
    let genesis = Descriptor::genesis(None, [0; 16], group, policy);
    let scope = genesis.scope_uid();
    let now = SystemClock.now();
    let link = genesis_link(&genesis, keys, now).unwrap().unwrap();
    let rdata = Rdata::from_wire(RecordType::A, &[10, 0, 0, 1]).unwrap();
    let set = RecordSet::new(RecordType::A, Ttl::from_secs(60), vec![rdata]).unwrap();
    let ops = (0..SERVICES).map(|number| Op::Register {
        path: NamePath::empty().child(format!("svc-{number}").as_bytes()),
        sets: vec![set.clone()],
    });
    let author = keys.first().unwrap();
    let proposal = Proposal {
        scope,
        class: Class::Routine,
        ops: ops.collect(),
        preconditions: Vec::new(),
        author: author.public(),
        nonce: 0,
        made: now,
        not_after: now.plus_millis(3_600_000),
        note: String::new(),
    };
    let proposal = Verified::sign(proposal, author).unwrap();
    let no = store
        .write(|txn| {
            let no = found(txn, &genesis, None, &link)?;
            let agenda = Agenda {
                candidates: &[Candidate::new(proposal)],
                late: &[],
            };
            let sealed = seal(txn, no, agenda, keys, now)?;
            assert_eq!(sealed.outcomes, [Ok(())]);
            Ok(no)
        })
        .unwrap();
    let slots = store
        .latest()
        .slots(no, &NamePath::empty(), None, SERVICES + 1)
        .unwrap();
    let uids = slots.into_iter().filter_map(|(_, slot)| match slot.entry {
        Some(kedge::index::entry::Entry::Bound(head)) => Some(head.uid),
        _ => None,
    });
    let uids = uids.collect();
    (Arc::new(store), scope, uids)
}

fn sign(
    keys: &[SecretKey],
    scope: ScopeUid,
    services: &[Uid],
    sequence: u64,
) -> Vec<Signed<Lease>> {
    let issued: Timestamp = SystemClock.now();
    let mut signed = Vec::with_capacity(services.len() * INSTANCES);
    for (at, service) in services.iter().enumerate() {
        let key = keys.get(at % keys.len()).unwrap();
        for number in 0..INSTANCES {
            let lease = Lease {
                scope,
                service: *service,
                instance: format!("instance-{number}").parse().unwrap(),
                address: IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()]),
                port: 8_080,
                weight: 1,
                region: "eu".to_owned(),
                condition: Condition::Up,
                check: Check::None,
                sequence,
                issued,
                expires: issued.plus_millis(LEASE_MILLIS),
                may_empty: false,
                key: key.public(),
            };
            signed.push(Signed::new(lease, key).unwrap());
        }
    }
    signed
}

async fn announce(leases: &Leases, signed: Vec<Signed<Lease>>) {
    let lanes = signed.len().div_ceil(CONCURRENT);
    let mut tasks = tokio::task::JoinSet::new();
    for lane in signed.chunks(lanes) {
        let (leases, lane) = (leases.clone(), lane.to_vec());
        tasks.spawn(async move {
            for lease in lane {
                leases.announce(lease).await.unwrap();
            }
        });
    }
    while let Some(lane) = tasks.join_next().await {
        lane.unwrap();
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

fn report(what: &str, count: usize, elapsed: Duration) {
    let count = u128::try_from(count).unwrap();
    let rate = count * 1_000_000 / elapsed.as_micros().max(1);
    let millis = elapsed.as_millis();
    println!("{what:<10} {count:>8} leases in {millis:>6} ms, {rate:>7} a second");
}
