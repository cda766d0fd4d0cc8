//! Verification finds every change of what is stored, and nothing where nothing was changed.

use std::collections::BTreeMap;

use kedge::adapters::storage::{OpenOptions, RedbStore, Snapshot, StoreError};
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::governance::certificate::Certificate;
use kedge::governance::op::{Op, SetChange};
use kedge::index::changeset::ChangeSet;
use kedge::index::entry::{Entry, Slot};
use kedge::index::lineage::LinkError;
use kedge::index::memory::MemoryIndex;
use kedge::index::state::{Location, ScopeNo};
use kedge::index::trie::{self, Prefix, TrieStore, TrieView};
use kedge::index::verify::{Progress, Report, Row, VerifyError, verify};
use kedge::index::view::{DecidedAt, IndexTxn, IndexView, Link};
use kedge::namespace::path::NamePath;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use kedge::service::ports::Store;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use crate::disk::{Chance, Disk};
use crate::world::{World, head, key, move_entry, path, register, scope_uid, set, slot, uid_at};

const ROOT: ScopeNo = ScopeNo(0);
const EU: ScopeNo = ScopeNo(1);

/// A root with two children, one of them renamed, and an entry of every kind.
fn populate<T: IndexTxn>(txn: &mut T) {
    let mut world = World::new();
    world.root(txn, "mesh.internal.", &[key(1), key(2), key(3)]);
    world.child(txn, ROOT, "europe", &[key(4)]).unwrap();
    world.child(txn, EU, "de", &[key(5)]).unwrap();
    let names: Vec<Op> = (0..40)
        .map(|number| register(&format!("n{number}"), &["A 60 10.0.0.1"]))
        .collect();
    world.seal(txn, EU, names).unwrap();
    let (from, to) = (path("europe"), path("eu"));
    let relabel = Op::Rename {
        from,
        to,
        subtree: false,
    };
    world.seal(txn, ROOT, vec![relabel]).unwrap();
    world
        .seal(txn, ROOT, vec![register("api", &["A 60 10.0.0.1"])])
        .unwrap();
    let update = Op::Update {
        path: path("api"),
        changes: vec![SetChange::Put(set("A 60 10.0.0.2"))],
        may_empty: false,
    };
    world.seal(txn, ROOT, vec![update]).unwrap();
    let moved = path("moved");
    move_entry(&mut world, txn, (ROOT, &path("api")), (EU, &moved)).unwrap();
    let retire = Op::Retire { path: path("n7") };
    world.seal(txn, EU, vec![retire]).unwrap();
    let reserve = Op::Reserve {
        path: path("kept"),
        uid: Uid::from_bytes([7; 16]),
        from: scope_uid(txn, EU),
    };
    world.seal(txn, ROOT, vec![reserve]).unwrap();
}

fn memory() -> MemoryIndex {
    let mut index = MemoryIndex::new();
    populate(&mut index);
    index
}

type Verdict<E> = Result<Report, VerifyError<E, std::convert::Infallible>>;

fn verdict<V: kedge::index::rows::IndexRows>(stored: &V) -> Verdict<<V as IndexView>::Error> {
    verify(stored, &mut MemoryIndex::new(), |_| {})
}

fn found_in(index: &MemoryIndex) -> String {
    verdict(index).unwrap_err().to_string()
}

#[test]
fn an_untouched_index_passes_and_reports_what_was_proven() {
    let index = memory();
    let mut fresh = MemoryIndex::new();
    let mut progress = Vec::new();
    let report = verify(&index, &mut fresh, |step| progress.push(step)).unwrap();
    assert_eq!(fresh, index);
    assert_eq!(report.scopes.len(), 3);
    for scope in &report.scopes {
        let state = index.scope(scope.no).unwrap().unwrap();
        assert_eq!((scope.uid, scope.head), (state.uid, state.head));
        assert_eq!((scope.height, scope.live), (state.height, state.live));
    }
    assert_eq!(report.apexes, index.apexes().unwrap());
    assert_eq!(report.proposals, report.rows.decided);
    let total = index.commit_count().unwrap();
    assert!(progress.contains(&Progress::Replayed { done: total, total }));
    assert_eq!(
        progress.last(),
        Some(&Progress::Compared { done: 3, total: 3 })
    );
    assert!(matches!(
        verify(&index, &mut fresh, |_| {}),
        Err(VerifyError::NotEmpty)
    ));
}

#[test]
fn changed_state_is_found_and_named() {
    let good = memory();
    let uid = uid_at(&good, EU, "moved");
    let slot_at = |at: &str| slot(&good, EU, at);
    let changed = |change: &dyn Fn(&mut ChangeSet)| {
        let mut index = good.clone();
        let mut changes = ChangeSet::default();
        change(&mut changes);
        index.apply(&changes).unwrap();
        found_in(&index)
    };
    let put_slot = |at: &str, slot: Option<Slot>| {
        changed(&|changes| {
            changes.slots.insert((EU, path(at)), slot.clone());
        })
    };
    let differs = "is not what the lineage gives";
    let mut forged = head(&good, EU, "moved");
    forged.sets = vec![set("A 60 10.6.6.6")];
    let forged = Slot {
        entry: Some(Entry::Bound(forged)),
        below: 0,
    };
    let slot_of = |at: &str, what: &str| format!("the slot {at} of scope 1 {what}");
    assert_eq!(put_slot("moved", Some(forged)), slot_of("moved", differs));
    assert_eq!(put_slot("n1", None), slot_of("n1", "is missing"));
    let stranger = slot_of("zzz", "is stored and follows from no block");
    assert_eq!(put_slot("zzz", Some(slot_at("n1"))), stranger);
    let more = Slot {
        below: 9,
        ..slot_at("n1")
    };
    assert_eq!(put_slot("n1", Some(more)), slot_of("n1", differs));

    let elsewhere = Location {
        scope: ROOT,
        path: path("api"),
    };
    let locations = changed(&|changes| {
        changes.locations.insert(uid, elsewhere.clone());
    });
    assert_eq!(locations, format!("the location of entry {uid} {differs}"));
    let archived = changed(&|changes| {
        let mut version = good.archived(&uid, 1).unwrap().unwrap();
        version.sets = vec![set("A 60 10.6.6.6")];
        changes.archive.insert((uid, 1), version);
    });
    assert_eq!(archived, format!("version 1 of entry {uid} {differs}"));
    let decided = changed(&|changes| {
        let at = DecidedAt {
            scope: EU,
            height: 1,
        };
        changes.decided.insert(Digest::ZERO, at);
    });
    let what = "the decision on proposal 00000000 is stored and follows from no block";
    assert_eq!(decided, what);
    let scopes = changed(&|changes| {
        let mut state = good.scope(EU).unwrap().unwrap();
        state.next_uid += 1;
        changes.scopes.insert(EU, state);
    });
    assert_eq!(scopes, format!("the state of scope 1 {differs}"));
}

#[test]
fn a_forged_record_is_found_however_well_the_state_was_fixed_up() {
    let mut index = memory();
    let mut forged = head(&index, EU, "moved");
    forged.sets = vec![set("A 60 10.6.6.6")];
    let slot = Slot {
        entry: Some(Entry::Bound(forged)),
        below: 0,
    };
    let at = path("moved");
    let leaf = trie::slot_leaf(&at, Some(&slot));
    let root = trie::update(&mut index, EU, &[leaf]).unwrap();
    let mut state = index.scope(EU).unwrap().unwrap();
    state.state_root = root;
    let mut changes = ChangeSet::default();
    changes.slots.insert((EU, at), Some(slot));
    changes.scopes.insert(EU, state);
    index.apply(&changes).unwrap();
    let found = found_in(&index);
    assert_eq!(found, "the state of scope 1 is not what the lineage gives");
}

#[test]
fn a_forged_trie_is_found() {
    let good = memory();
    let first = *good.leaves(EU, Prefix::ALL).unwrap().first().unwrap();
    let mut index = good.clone();
    index.put_leaf(EU, &first.0, Some(&Digest::ZERO)).unwrap();
    let leaf = format!(
        "trie leaf {} of scope 1 is not what the lineage gives",
        Digest::from_bytes(first.0).short()
    );
    assert_eq!(found_in(&index), leaf);
    let mut index = good.clone();
    index.put_leaf(EU, &first.0, None).unwrap();
    assert!(found_in(&index).ends_with("is missing"));
    let mut index = good.clone();
    index.put_page(EU, Prefix::ALL, None).unwrap();
    assert_eq!(found_in(&index), "a trie page of scope 1 is missing");
    let mut index = good.clone();
    let page = good.page(EU, Prefix::ALL).unwrap();
    let deep = Prefix::ALL.child(1).child(2);
    index.put_page(EU, deep, page.as_ref()).unwrap();
    assert!(found_in(&index).contains("trie page"));
}

/// The lineage of `EU` as it is, and a block that its rules allow but its anchors never signed.
fn forged_link(index: &MemoryIndex, keys: &[SecretKey]) -> Link {
    let mut link = index.link(EU, 2).unwrap().unwrap();
    link.block.time = link.block.time.plus_millis(1);
    let state = index.scope(EU).unwrap().unwrap();
    link.certificate = Certificate::sign(&link.block, &state.descriptor, keys);
    link
}

#[test]
fn a_block_that_is_not_the_lineages_is_found() {
    let good = memory();
    let commits = good.commit_count().unwrap();
    // Signed by strangers: the certificate proves nothing.
    let mut index = good.clone();
    let link = forged_link(&good, &[key(9)]);
    index.append(EU, &link).unwrap();
    let error = verdict(&index).unwrap_err();
    assert!(matches!(
        error,
        VerifyError::Link {
            scope: EU,
            height: 2,
            source: LinkError::Certificate { .. }
        }
    ));
    // Signed by the anchors themselves: the state that it claims is not the state it makes.
    let mut index = good.clone();
    let link = forged_link(&good, &[key(4)]);
    index.append(EU, &link).unwrap();
    let error = verdict(&index).unwrap_err();
    let wrong = "scope 1, height 2: block 2 does not continue the lineage: its state root is wrong";
    assert_eq!(error.to_string(), wrong);
    // The same block twice in the order.
    let mut index = good.clone();
    index
        .append(EU, &good.link(EU, 2).unwrap().unwrap())
        .unwrap();
    assert_eq!(index.commit_count().unwrap(), commits + 1);
    assert!(found_in(&index).starts_with("scope 1, height 2"));
    // An apex whose scope is not held.
    let mut index = good.clone();
    let nowhere = ScopeUid::new(Digest::ZERO);
    index.put_apex(&"else.".parse().unwrap(), &nowhere).unwrap();
    assert!(matches!(
        verdict(&index),
        Err(VerifyError::Extra(Row::Apex(_)))
    ));
    // A genesis that claims to be of the scope instead of hashing to it.
    let mut index = good.clone();
    let mut genesis = good.genesis(ROOT).unwrap().unwrap();
    genesis.scope = Some(scope_uid(&good, ROOT));
    index.put_genesis(ROOT, &genesis).unwrap();
    assert!(found_in(&index).starts_with("scope 0, height 0"));
}

#[test]
fn a_child_that_its_parent_never_delegated_is_found() {
    let mut index = MemoryIndex::new();
    let mut world = World::new();
    world.root(&mut index, "mesh.internal.", &[key(1)]);
    let parent = index.scope(ROOT).unwrap().unwrap();
    let descriptor = crate::world::genesis(Some(parent.uid), 3, &[key(2)]);
    let keys = [key(2)];
    let link = kedge::index::lineage::genesis_link(&descriptor, &keys, world.now()).unwrap();
    let edge = Some(parent.child_edge(b"eu"));
    kedge::index::lineage::found(&mut index, &descriptor, edge, &link).unwrap();
    assert!(matches!(
        verdict(&index),
        Err(VerifyError::NotDelegated(EU))
    ));
}

// What follows changes the rows of a redb file directly.

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Definition<'n> = TableDefinition<'n, &'static [u8], &'static [u8]>;

const TABLES: [&str; 14] = [
    "meta",
    "scope-1",
    "scope-no-1",
    "genesis-1",
    "slot-1",
    "location-1",
    "archive-1",
    "decided-1",
    "block-1",
    "body-1",
    "order-1",
    "apex-1",
    "leaf-1",
    "page-1",
];

fn options() -> OpenOptions {
    OpenOptions {
        cache_bytes: 1 << 20,
    }
}

fn stored() -> Vec<u8> {
    let disk = Disk::new();
    let store = RedbStore::with_backend(disk.clone(), options()).unwrap();
    store
        .write(|txn| {
            populate(txn);
            Ok(())
        })
        .unwrap();
    drop(store);
    disk.bytes()
}

fn raw(disk: &Disk) -> redb::Database {
    redb::Builder::new()
        .create_with_backend(disk.clone())
        .unwrap()
}

fn rows_of(bytes: &[u8], table: &str) -> Rows {
    let database = raw(&Disk::of(bytes.to_vec()));
    let txn = database.begin_read().unwrap();
    let table = txn.open_table(Definition::new(table)).unwrap();
    table
        .iter()
        .unwrap()
        .map(|row| {
            let (key, value) = row.unwrap();
            (key.value().to_vec(), value.value().to_vec())
        })
        .collect()
}

/// The disk with the rows of a table replaced.
fn with_rows(bytes: &[u8], table: &str, rows: &Rows) -> Disk {
    let disk = Disk::of(bytes.to_vec());
    let database = raw(&disk);
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(Definition::new(table)).unwrap();
        table.retain(|_, _| false).unwrap();
        for (key, value) in rows {
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    }
    txn.commit().unwrap();
    drop(database);
    disk
}

enum Opened {
    Refused(StoreError),
    Verified(Box<Verdict<StoreError>>),
}

fn judge(disk: &Disk) -> Opened {
    match RedbStore::with_backend(disk.clone(), options()) {
        Err(error) => Opened::Refused(error),
        Ok(store) => {
            let snapshot: std::sync::Arc<Snapshot> = store.latest();
            Opened::Verified(Box::new(verdict(&*snapshot)))
        }
    }
}

/// Whether a change of rows is found, by opening, by verifying, or by the names in the report.
fn is_found(bytes: &[u8], original: &Report, table: &str, rows: &Rows) -> bool {
    match judge(&with_rows(bytes, table, rows)) {
        Opened::Refused(_) => true,
        Opened::Verified(verdict) => match *verdict {
            Err(_) => true,
            // The name of an apex is the node's own choice: the report shows it, the caller
            // compares it with the configuration.
            Ok(report) => table == "apex-1" && report.apexes != original.apexes,
        },
    }
}

fn original(bytes: &[u8]) -> Report {
    match judge(&Disk::of(bytes.to_vec())) {
        Opened::Verified(verdict) => verdict.unwrap(),
        Opened::Refused(error) => panic!("{error}"),
    }
}

fn flip(bytes: &mut [u8], chance: &mut Chance) {
    let at = chance.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

#[test]
fn one_flipped_bit_one_dropped_or_one_added_row_of_any_table_is_found() {
    let bytes = stored();
    let original = original(&bytes);
    for (number, table) in TABLES.iter().enumerate() {
        let rows = rows_of(&bytes, table);
        assert!(!rows.is_empty(), "{table} holds nothing to change");
        let keys: Vec<&Vec<u8>> = rows.keys().collect();
        for seed in 0..6u64 {
            let mut chance = Chance::new(seed * 100 + u64::try_from(number).unwrap());
            let key = keys[chance.below(keys.len())].clone();
            let value = rows.get(&key).unwrap().clone();
            let check = |what: &str, changed: &Rows| {
                let found = is_found(&bytes, &original, table, changed);
                assert!(found, "seed {seed}: {what} in {table}, key {key:02x?}");
            };
            let mut changed = rows.clone();
            flip(changed.get_mut(&key).unwrap(), &mut chance);
            check("a flipped bit of a value", &changed);
            let mut changed = rows.clone();
            changed.remove(&key);
            check("a dropped row", &changed);
            let mut other = key.clone();
            flip(&mut other, &mut chance);
            if !rows.contains_key(&other) {
                let mut changed = rows.clone();
                changed.insert(other.clone(), value.clone());
                if *table != "meta" {
                    check("a copied row", &changed);
                }
                changed.remove(&key);
                check("a flipped bit of a key", &changed);
            }
        }
    }
}

#[test]
fn a_dropped_block_and_two_swapped_blocks_are_found() {
    let bytes = stored();
    let original = original(&bytes);
    let height = |height: u8| vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, height];
    for table in ["block-1", "body-1"] {
        let rows = rows_of(&bytes, table);
        for dropped in 0..=2 {
            let mut changed = rows.clone();
            changed.remove(&height(dropped)).unwrap();
            assert!(is_found(&bytes, &original, table, &changed));
        }
    }
    let swap = |bytes: &[u8], table: &str| {
        let mut rows = rows_of(bytes, table);
        let (one, two) = (rows[&height(1)].clone(), rows[&height(2)].clone());
        rows.insert(height(1), two);
        rows.insert(height(2), one);
        with_rows(bytes, table, &rows)
    };
    let half = swap(&bytes, "block-1");
    let both = swap(&half.bytes(), "body-1");
    for disk in [half, both] {
        let Opened::Verified(verdict) = judge(&disk) else {
            panic!("the store opens");
        };
        let error = verdict.unwrap_err();
        assert_eq!(
            error.to_string(),
            "block 1 of scope 1 is not what the lineage gives"
        );
    }
    let mut rows = rows_of(&bytes, "order-1");
    let keys: Vec<Vec<u8>> = rows.keys().cloned().collect();
    // Two blocks of one scope: between scopes no order is certified.
    let scope_of = |key: &Vec<u8>| rows[key][..4].to_vec();
    let pair = keys
        .windows(2)
        .find(|pair| scope_of(&pair[0]) == scope_of(&pair[1]))
        .unwrap();
    let (one, two) = (rows[&pair[0]].clone(), rows[&pair[1]].clone());
    rows.insert(pair[0].clone(), two);
    rows.insert(pair[1].clone(), one);
    assert!(is_found(&bytes, &original, "order-1", &rows));
}

#[test]
fn names_of_every_path_are_compared() {
    // More slots than one page of the comparison.
    let mut index = MemoryIndex::new();
    let mut world = World::new();
    world.root(&mut index, "mesh.internal.", &[key(1)]);
    let ops: Vec<Op> = (0..2_500)
        .map(|number| register(&format!("n{number}"), &["A 60 10.0.0.1"]))
        .collect();
    world.seal(&mut index, ROOT, ops).unwrap();
    verdict(&index).unwrap();
    let last = index
        .slots(ROOT, &NamePath::empty(), Some(&path("n998")), 9)
        .unwrap()
        .pop()
        .unwrap();
    let mut changes = ChangeSet::default();
    changes.slots.insert((ROOT, last.0.clone()), None);
    index.apply(&changes).unwrap();
    let missing = Row::Slot(ROOT, last.0);
    assert_eq!(found_in(&index), format!("{missing} is missing"));
}
