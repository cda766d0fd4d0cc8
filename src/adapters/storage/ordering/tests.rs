//! The file of what anchors here signed: what survives what.

use super::*;
use crate::base::keys::SecretKey;
use crate::governance::anchor::AnchorId;
use crate::replication::ordering::{GuardRow, Kind, Timer, Wait};

const FOUND: Found = Found {
    is_index_new: true,
    instance: [1; 32],
    now: Timestamp::from_millis(7),
};

fn open(path: &Path) -> OrderingFile {
    let found = Found {
        is_index_new: false,
        instance: [2; 32],
        ..FOUND
    };
    OrderingFile::open(path, &found).unwrap()
}

fn why(file: &OrderingFile) -> Option<Old> {
    file.doubts().unwrap().old.map(|(old, _)| old)
}

fn vote(round: u32) -> [Row; 1] {
    let anchor = AnchorId::of_first_key(&SecretKey::from_seed(&[1; 32]).public());
    let kind = Kind::Prevote;
    [Row::Guard(GuardRow {
        anchor,
        round,
        kind,
        value: None,
    })]
}

#[test]
fn an_older_file_is_known_by_its_starts_or_by_what_was_signed_since() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ordering.redb");
    let copy = directory.path().join("copy");
    let scope = ScopeUid::new(Digest::of_bytes("test", b"scope"));
    let mut file = OrderingFile::open(&path, &FOUND).unwrap();
    file.append(&scope, 3, &vote(0)).unwrap();
    assert_eq!(why(&file), None);
    drop(file);
    std::fs::copy(&path, &copy).unwrap();
    // Another start: what was signed is at the same height, but more.
    open(&path).append(&scope, 3, &vote(1)).unwrap();
    std::fs::copy(&copy, &path).unwrap();
    let file = open(&path);
    assert_eq!(why(&file), Some(Old::Behind));
    assert_eq!(file.doubts().unwrap().up_to, BTreeMap::from([(scope, 3)]));
    drop(file);
    // It stays known, and the next one is no older than this one.
    let mut file = open(&path);
    assert_eq!(why(&file), Some(Old::Behind));
    file.append(&scope, 3, &vote(2)).unwrap();
    drop(file);
    let mut file = open(&path);
    assert_eq!(why(&file), Some(Old::Behind));
    // The same start, but one height more.
    file.append(&scope, 3, &vote(3)).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    file.append(&scope, 4, &vote(0)).unwrap();
    drop(file);
    std::fs::copy(&copy, &path).unwrap();
    let up_to = open(&path).doubts().unwrap().up_to;
    assert_eq!(up_to, BTreeMap::from([(scope, 4)]));
}

#[test]
fn a_file_that_is_gone_is_missed_and_a_new_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ordering.redb");
    let mark = path.with_extension("mark");
    let scope = ScopeUid::new(Digest::of_bytes("test", b"scope"));
    assert_eq!(why(&open(&path)), Some(Old::Lost), "with an index");
    assert_eq!(why(&open(&path)), Some(Old::Lost), "it stays known");
    std::fs::remove_file(&path).unwrap();
    let mut file = OrderingFile::open(&path, &FOUND).unwrap();
    assert_eq!(why(&file), None, "without one");
    file.append(&scope, 3, &vote(0)).unwrap();
    drop(file);
    std::fs::remove_file(&path).unwrap();
    let file = open(&path);
    assert_eq!(why(&file), Some(Old::Behind));
    assert_eq!(file.doubts().unwrap().up_to, BTreeMap::from([(scope, 3)]));
    drop(file);
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&mark).unwrap();
    let mut file = OrderingFile::open(&path, &FOUND).unwrap();
    file.append(&scope, 3, &vote(0)).unwrap();
    drop(file);
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(why(&open(&path)), Some(Old::Unmarked));
}

#[test]
fn what_was_signed_stays_and_the_rest_goes_with_its_height() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ordering.redb");
    let scope = ScopeUid::new(Digest::of_bytes("test", b"scope"));
    let anchor = AnchorId::of_first_key(&SecretKey::from_seed(&[1; 32]).public());
    let guard = |round| {
        Row::Guard(GuardRow {
            anchor,
            round,
            kind: Kind::Prevote,
            value: None,
        })
    };
    let timer = |round| {
        let wait = Wait::Bid;
        Row::Timer(anchor, Timer { round, wait }, Timestamp::from_millis(7))
    };
    let mut file = OrderingFile::open(&path, &FOUND).unwrap();
    file.append(&scope, 3, &[timer(0), guard(0)]).unwrap();
    file.append(&scope, 3, &[guard(1), timer(1)]).unwrap();
    file.append(&scope, 4, &[timer(9)]).unwrap();
    drop(file);
    let mut file = OrderingFile::open(&path, &FOUND).unwrap();
    let rows = file.load(&scope, 3).unwrap().rows;
    assert_eq!(rows, [guard(0), guard(1), timer(0), timer(1)]);
    file.forget(&scope, 3).unwrap();
    assert_eq!(file.load(&scope, 3).unwrap().rows, [guard(0), guard(1)]);
    assert_eq!(file.load(&scope, 4).unwrap().rows, [timer(9)]);
    let other = ScopeUid::new(Digest::of_bytes("test", b"other"));
    file.append(&other, 8, &[guard(0)]).unwrap();
    let mut signed = file.signed().unwrap();
    signed.sort_by_key(|(_, height)| *height);
    assert_eq!(signed, [(scope, 3), (other, 8)]);
    assert!(file.load(&other, 3).unwrap().rows.is_empty());
}
