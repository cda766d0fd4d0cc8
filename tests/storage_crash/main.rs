//! The store on a machine that stops at every possible moment, and on files it should not touch.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

#[path = "../disk/mod.rs"]
mod disk;
mod histories;
#[path = "../history/mod.rs"]
mod history;
#[path = "../world/mod.rs"]
mod world;

use kedge::adapters::storage::{OpenOptions, RedbStore, StoreError};
use kedge::governance::op::{Op, SetChange};
use kedge::index::lineage::LinkError;
use kedge::index::memory::MemoryIndex;
use kedge::index::state::ScopeNo;
use kedge::index::verify::verify;
use kedge::index::view::{IndexTxn, IndexView};
use kedge::service::ports::Store;
use redb::{ReadableDatabase, TableDefinition};

use disk::{Disk, Fault};
use world::{World, key, move_entry, path, register, set};

const ROOT: ScopeNo = ScopeNo(0);
const EU: ScopeNo = ScopeNo(1);
/// Transactions of the workload.
const TRANSACTIONS: usize = 6;

fn options() -> OpenOptions {
    OpenOptions {
        cache_bytes: 1 << 20,
    }
}

/// One transaction of the workload.
fn transaction<T: IndexTxn>(world: &mut World, txn: &mut T, number: usize) {
    match number {
        0 => {
            world.root(txn, "mesh.internal.", &[key(1)]);
            world.child(txn, ROOT, "eu", &[key(2)]).unwrap();
        }
        1 => {
            let ops = vec![register("api", &["A 60 10.0.0.1"])];
            world.seal(txn, ROOT, ops).unwrap();
        }
        2 => {
            let names = (0..120)
                .map(|number| register(&format!("n{number}"), &["TXT 60 \"some text\""]))
                .collect();
            world.seal(txn, EU, names).unwrap();
        }
        3 => {
            let changes = vec![SetChange::Put(set("A 60 10.0.0.2"))];
            let op = Op::Update {
                path: path("api"),
                changes,
                may_empty: false,
            };
            world.seal(txn, ROOT, vec![op]).unwrap();
        }
        4 => {
            let (from, to) = (path("api"), path("moved"));
            move_entry(world, txn, (ROOT, &from), (EU, &to)).unwrap();
        }
        _ => {
            let retired = (0..60)
                .map(|number| Op::Retire {
                    path: path(&format!("n{number}")),
                })
                .collect();
            world.seal(txn, EU, retired).unwrap();
        }
    }
}

/// The index after each transaction, the empty one first.
fn states() -> Vec<MemoryIndex> {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let mut states = vec![index.clone()];
    for number in 0..TRANSACTIONS {
        transaction(&mut world, &mut index, number);
        states.push(index.clone());
    }
    states
}

/// Runs the workload until the disk dies; gives how many transactions were acknowledged, or none
/// if not even the empty store was made.
fn run(disk: &Disk) -> Option<usize> {
    let Ok(store) = RedbStore::with_backend(disk.clone(), options()) else {
        assert!(disk.is_dead(), "a healthy disk opens");
        return None;
    };
    let mut world = World::new();
    for number in 0..TRANSACTIONS {
        let written = store.write(|txn| {
            // A disk that dies within the transaction fails the calls inside it.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                transaction(&mut world, txn, number);
            }))
            .map_err(|_| LinkError::UnknownScope(kedge_scope()))
        });
        if written.is_err() {
            assert!(disk.is_dead(), "a healthy disk writes");
            return Some(number);
        }
    }
    Some(TRANSACTIONS)
}

fn kedge_scope() -> kedge::namespace::scope::ScopeUid {
    kedge::namespace::scope::ScopeUid::new(kedge::base::digest::Digest::ZERO)
}

/// What a store holds, proven.
fn proven(store: &RedbStore) -> MemoryIndex {
    let mut fresh = MemoryIndex::new();
    verify(&*store.latest(), &mut fresh, |_| {}).unwrap();
    fresh
}

#[test]
fn every_acknowledged_commit_survives_a_crash_at_every_step_and_none_is_half_there() {
    let states = states();
    let healthy = Disk::new();
    assert_eq!(run(&healthy), Some(TRANSACTIONS));
    let steps = healthy.steps();
    println!("{steps} steps");
    let mut more_than_acknowledged = 0;
    for at in 1..=steps {
        for seed in [at, at + 1_000_000] {
            let disk = Disk::new();
            disk.fail(Fault::Crash { at, seed });
            let Some(acknowledged) = run(&disk) else {
                // Such a file has no name yet: see `an_unfinished_store_is_made_anew`.
                continue;
            };
            disk.restart();
            let store = RedbStore::with_backend(disk.clone(), options())
                .unwrap_or_else(|error| panic!("step {at}, seed {seed}: {error:?}"));
            let index = proven(&store);
            let is = |number: usize| states.get(number) == Some(&index);
            // A commit whose acknowledgement was lost may be there, whole.
            let one_more = !is(acknowledged) && is(acknowledged + 1);
            assert!(
                is(acknowledged) || one_more,
                "step {at}, seed {seed}: {acknowledged} transactions were acknowledged"
            );
            more_than_acknowledged += usize::from(one_more);
            go_on(&store, &index);
        }
    }
    println!("{more_than_acknowledged} times one more than was acknowledged");
}

/// The store takes changes after the crash as before it.
fn go_on(store: &RedbStore, index: &MemoryIndex) {
    let mut world = World::new();
    let number = if index.scope_count().unwrap() == 0 {
        0
    } else {
        world.hand_over(world::scope_uid(index, ROOT), &[key(1)]);
        7
    };
    store
        .write(|txn| {
            if number == 0 {
                transaction(&mut world, txn, 0);
            } else {
                let ops = vec![register("after.the.crash", &["A 60 10.0.0.9"])];
                world.seal(txn, ROOT, ops).unwrap();
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_transaction_that_fails_leaves_no_trace() {
    let disk = Disk::new();
    let store = RedbStore::with_backend(disk, options()).unwrap();
    let mut world = World::new();
    store
        .write(|txn| {
            transaction(&mut world, txn, 0);
            Ok(())
        })
        .unwrap();
    let before = proven(&store);
    let failed: Result<(), _> = store.write(|txn| {
        transaction(&mut world, txn, 1);
        Err(LinkError::UnknownScope(kedge_scope()))
    });
    assert!(failed.is_err());
    assert_eq!(proven(&store), before);
}

#[test]
fn a_full_disk_is_an_error_and_the_old_state_stays() {
    let states = states();
    let disk = Disk::new();
    let store = RedbStore::with_backend(disk.clone(), options()).unwrap();
    let mut world = World::new();
    for number in 0..2 {
        store
            .write(|txn| {
                transaction(&mut world, txn, number);
                Ok(())
            })
            .unwrap();
    }
    let bytes = u64::try_from(disk.bytes().len()).unwrap();
    disk.fail(Fault::Full { bytes });
    let mut written = 0;
    let error = loop {
        let names: Vec<Op> = (0..500)
            .map(|number| register(&format!("x{number}.f{written}"), &["TXT 60 \"some text\""]))
            .collect();
        let result = store.write(|txn| {
            let uid = txn.scope(EU).map_err(LinkError::Store)?.unwrap().uid;
            let proposal = world.proposal(uid, names);
            let candidate = world::candidate(proposal, &key(2));
            let agenda = kedge::index::lineage::Agenda {
                candidates: &[candidate],
                late: &[],
            };
            let now = world.now();
            kedge::index::lineage::seal(txn, EU, agenda, &[key(2)], now)
        });
        match result {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "the disk never filled up");
    };
    assert!(matches!(&error, LinkError::Store(StoreError::Engine(_))));
    let count = states.get(2).unwrap().commit_count().unwrap() + written;
    // Readers go on, on what was there.
    assert_eq!(store.latest().commit_count().unwrap(), count);
    drop(store);
    disk.restart();
    let store = RedbStore::with_backend(disk, options()).unwrap();
    let index = proven(&store);
    assert_eq!(index.commit_count().unwrap(), count);
    go_on(&store, &index);
}

#[test]
fn an_unfinished_store_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kedge.redb");
    let unfinished = directory.path().join("kedge.redb.new");
    // A crash while the file was made: it has a length and no contents.
    std::fs::write(&unfinished, vec![0; 1 << 20]).unwrap();
    let store = RedbStore::open(&path, options()).unwrap();
    assert!(!unfinished.exists());
    go_on(&store, &proven(&store));
    drop(store);
    let store = RedbStore::open(&path, options()).unwrap();
    assert_eq!(store.latest().scope_count().unwrap(), 2);
}

#[test]
fn a_file_in_use_is_not_opened_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kedge.redb");
    let store = RedbStore::open(&path, options()).unwrap();
    let second = RedbStore::open(&path, options()).unwrap_err();
    assert!(matches!(&second, StoreError::InUse { path: found } if *found == path));
    assert!(second.hint().contains("stop the other kedge"));
    drop(store);
    RedbStore::open(&path, options()).unwrap();
}

#[test]
fn a_file_of_a_newer_program_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kedge.redb");
    drop(RedbStore::open(&path, options()).unwrap());
    let meta: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
    let put_format = |format: &[u8]| {
        let database = redb::Database::open(&path).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(meta)
            .unwrap()
            .insert(b"format".as_slice(), format)
            .unwrap();
        txn.commit().unwrap();
    };
    put_format(&1u64.to_be_bytes());
    let error = RedbStore::open(&path, options()).unwrap_err();
    assert!(matches!(
        error,
        StoreError::Older {
            found: 1,
            oldest: 7,
            ..
        }
    ));
    put_format(&8u64.to_be_bytes());
    let error = RedbStore::open(&path, options()).unwrap_err();
    assert!(matches!(
        error,
        StoreError::Newer {
            found: 8,
            known: 7,
            ..
        }
    ));
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_read().unwrap();
    let table = txn.open_table(meta).unwrap();
    let format = table.get(b"format".as_slice()).unwrap().unwrap();
    assert_eq!(format.value(), 8u64.to_be_bytes());
    drop((format, table, txn, database));
    for damaged in [&b"1"[..], &0u64.to_be_bytes()] {
        put_format(damaged);
        let error = RedbStore::open(&path, options()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { table: "meta", .. }));
    }
}

#[test]
fn a_file_of_another_program_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.redb");
    let other: TableDefinition<'_, u64, u64> = TableDefinition::new("other");
    let database = redb::Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(other).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path, options()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }));
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_read().unwrap();
    assert_eq!(txn.list_tables().unwrap().count(), 1);
}

#[test]
fn garbage_and_missing_directories_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage");
    let bytes = b"this is a text file, not a store\n".repeat(500);
    std::fs::write(&garbage, &bytes).unwrap();
    let error = RedbStore::open(&garbage, options()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    assert_eq!(std::fs::read(&garbage).unwrap(), bytes);
    let nowhere = directory.path().join("no/such/directory/kedge.redb");
    let error = RedbStore::open(&nowhere, options()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
}
