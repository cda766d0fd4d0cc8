//! Rows of a redb file, changed behind the store's back, are found by verification.

use std::collections::BTreeMap;

use kedge::adapters::storage::{OpenOptions, RedbStore, Snapshot, StoreError};
use kedge::index::verify::Report;
use kedge::service::ports::Store;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use crate::disk::{Chance, Disk};

use crate::verify::{Verdict, populate, verdict};

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
    "decided-3",
    "ballot-1",
    "block-1",
    "body-1",
    "order-1",
    "apex-1",
    "trie-1",
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
