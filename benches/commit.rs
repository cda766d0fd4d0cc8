//! How fast changes become durable: one after the other, and many at the same time.
//!
//! `cargo bench --bench commit` prints changes a second for each; the store is a file in a
//! temporary directory, so the disk below it sets the pace of the first.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kedge::adapters::clock::SystemClock;
use kedge::adapters::keys::files::KeyFiles;
use kedge::adapters::randomness::SystemRandomness;
use kedge::adapters::storage::{OpenOptions, RedbStore};
use kedge::base::time::Ttl;
use kedge::governance::op::SetChange;
use kedge::index::place::{Apex, held_apexes};
use kedge::index::view::IndexView as _;
use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::node::Production;
use kedge::service::changes::{Changes, Put};
use kedge::service::governor::Governor;
use kedge::service::keyring::Keyring;
use kedge::service::ports::Store as _;

// As the binary does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each way is measured.
const MEASURE: Duration = Duration::from_secs(5);
/// Changes under way at the same time, one measurement each.
const CONCURRENT: [usize; 3] = [256, 1_024, 4_096];

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.redb");
    let store = Arc::new(RedbStore::open(&path, OpenOptions::default()).unwrap());
    let keyring = Arc::new(Keyring::default());
    let (governor, writer) = Governor::new(Arc::clone(&store), Arc::clone(&keyring), SystemClock);
    let writing = std::thread::spawn(move || writer.run());
    let keys = KeyFiles::new(directory.path().join("keys"), None);
    let changes: Arc<Changes<Production>> = Arc::new(Changes::new(
        Arc::clone(&store),
        governor,
        keyring,
        (SystemRandomness, SystemClock),
        keys,
    ));
    runtime.block_on(async {
        let apex: Name = "bench.internal.".parse().unwrap();
        changes.found_apex(&apex, "").await.unwrap();
        let apexes = Arc::new(held_apexes(store.latest().as_ref()).unwrap());
        one_after_the_other(&changes, &apexes).await;
        for concurrent in CONCURRENT {
            let before = store.latest().commit_count().unwrap();
            at_the_same_time(&changes, &apexes, concurrent).await;
            let blocks = store.latest().commit_count().unwrap() - before;
            println!("{:<24} {blocks:>8} blocks", "");
        }
    });
    drop(changes);
    writing.join().unwrap();
}

async fn put(changes: &Changes<Production>, apexes: &[Apex], name: String) {
    let rdata = Rdata::from_wire(RecordType::A, &[10, 0, 0, 1]).unwrap();
    let set = RecordSet::new(RecordType::A, Ttl::from_secs(60), vec![rdata]).unwrap();
    let put = Put {
        changes: vec![SetChange::Put(set)],
        if_version: None,
        may_empty: false,
        note: String::new(),
    };
    changes
        .put(apexes, &name.parse().unwrap(), put)
        .await
        .unwrap();
}

async fn one_after_the_other(changes: &Changes<Production>, apexes: &[Apex]) {
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < MEASURE {
        put(changes, apexes, format!("single-{count}.bench.internal.")).await;
        count += 1;
    }
    report("one after the other", count, started.elapsed());
}

async fn at_the_same_time(
    changes: &Arc<Changes<Production>>,
    apexes: &Arc<Vec<Apex>>,
    concurrent: usize,
) {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..concurrent {
        let (changes, apexes) = (Arc::clone(changes), Arc::clone(apexes));
        tasks.spawn(async move {
            let mut count = 0_u32;
            while started.elapsed() < MEASURE {
                put(
                    &changes,
                    &apexes,
                    format!("g-{concurrent}-{lane}-{count}.bench.internal."),
                )
                .await;
                count += 1;
            }
            count
        });
    }
    let mut count = 0;
    while let Some(lane) = tasks.join_next().await {
        count += lane.unwrap();
    }
    report(
        &format!("{concurrent} at the same time"),
        count,
        started.elapsed(),
    );
}

fn report(how: &str, count: u32, elapsed: Duration) {
    let rate = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
    println!("{how:<24} {count:>8} durable changes, {rate:>7} a second");
}
