//! The bytes of every stored and signed form, fixed for ever by `tests/golden/forms`.
//!
//! A file that differs is a change of format: it needs a new version of the form, not a new file.
//! `KEDGE_GOLDEN=write` writes the files of forms that have none yet, and the seeds for fuzzing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod beacons;
mod devices;
mod export;
mod leases;
mod moves;
mod ordering;
mod peers;
mod proofs;
mod recoveries;
mod samples;
mod tickets;
mod tokens;
mod votes;
#[path = "../world/mod.rs"]
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use kedge::base::canonical::{DecodeError, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::governance::descriptor::Descriptor;
use kedge::index::entry::Slot;
use kedge::index::memory::MemoryIndex;
use kedge::index::state::ScopeNo;
use kedge::index::trie;
use kedge::index::view::IndexView;
use kedge::namespace::uid::Uid;
use proptest::prelude::*;
use proptest::sample::Index;

use samples::{Sample, samples};
use world::{World, key, path, register};

pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn hex(bytes: &[u8]) -> String {
    let hex = data_encoding::HEXLOWER.encode(bytes);
    let lines = hex.as_bytes().chunks(96);
    let lines = lines.map(|line| std::str::from_utf8(line).unwrap());
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn write_new(sample: &Sample) {
    let golden = here("tests/golden/forms")
        .join(sample.name)
        .with_extension("hex");
    if !golden.exists() {
        fs::write(golden, hex(&sample.bytes)).unwrap();
    }
    let target = match sample.name {
        "signed-proposal" => "proposal",
        "export-scope" | "export-tree" => "export",
        _ => "canonical",
    };
    let seeds = here("fuzz/seeds").join(target);
    fs::create_dir_all(&seeds).unwrap();
    fs::write(seeds.join(sample.name), &sample.bytes).unwrap();
}

#[test]
fn every_form_has_the_bytes_it_always_had() {
    for sample in samples() {
        let name = sample.name;
        if std::env::var_os("KEDGE_GOLDEN").is_some() {
            write_new(&sample);
        }
        let golden = here("tests/golden/forms").join(name).with_extension("hex");
        let golden = fs::read_to_string(&golden).unwrap_or_default();
        let found = hex(&sample.bytes);
        assert_eq!(found, golden, "{name} is not what tests/golden/forms holds");
        assert_eq!((sample.again)(&sample.bytes), Ok(sample.bytes), "{name}");
    }
    let files = fs::read_dir(here("tests/golden/forms")).unwrap().count();
    assert_eq!(files, samples().len(), "a golden file has no form");
}

#[test]
fn identities_and_digests_are_what_they_always_were() {
    let seen = [
        ("genesis", samples::root().digest().to_string()),
        ("proposal", Digest::of(&samples::proposal()).to_string()),
        ("block", samples::block().digest().to_string()),
        ("body", Digest::of(&samples::body()).to_string()),
        ("empty label", Digest::of_bytes("", b"").to_string()),
        ("anchor", samples::block().proposer.to_string()),
        ("key", key(1).public().to_string()),
    ];
    let golden = include_str!("digests.txt");
    let lines = seen.iter().map(|(what, digest)| [digest, " ", what, "\n"]);
    let shown: String = lines.flatten().collect();
    assert_eq!(shown, golden);
}

#[test]
fn uids_are_allocated_and_written_as_ever() {
    let scope = samples::root().scope_uid();
    let uid = Uid::allocate(&scope, 7, &samples::digest(1));
    assert_eq!(uid.to_string(), "yjpafext5hlgul2xknqper6cry");
    assert_eq!(
        Uid::from_bytes([0xff; 16]).to_string(),
        "77777777777777777777777774"
    );
    // 26 characters hold two bits more than a UID: they are zero.
    assert!("77777777777777777777777777".parse::<Uid>().is_err());
}

#[test]
fn a_key_file_holds_the_seed_in_hexadecimal() {
    let text = "0101010101010101010101010101010101010101010101010101010101010101";
    assert_eq!(key(1).to_seed_text().as_str(), text);
    let read = SecretKey::from_seed_text(&format!("{text}\n")).unwrap();
    assert_eq!(read.public(), key(1).public());
}

/// What an anchor signs to take a seat is no form of its own in the store; it is rebuilt here.
#[test]
fn a_seat_is_accepted_over_scope_and_descriptor() {
    let descriptor: Descriptor = samples::root();
    let mut out = Encoder::new();
    out.u8(10);
    out.fixed(b"kedge/seat");
    out.u8(1);
    out.fixed(descriptor.scope_uid().digest().as_bytes());
    out.fixed(descriptor.digest().as_bytes());
    let message = out.into_bytes();
    let seats = descriptor.accept_seats(&samples::anchors()).unwrap();
    assert_eq!(seats.len(), 3);
    for seat in seats {
        let anchor = descriptor.anchors.at(seat.seat).unwrap();
        assert!(anchor.vote_key.verifies(&message, &seat.signature));
    }
}

/// The trie by the text of docs/FORMATS.md, with nothing of the program but BLAKE3.
fn root_by_the_book(leaves: &[([u8; 32], [u8; 32])], bit: usize) -> [u8; 32] {
    let branch = blake3::derive_key("kedge/trie-branch/1", b"");
    match leaves {
        [] => [0; 32],
        [(_, leaf)] => *leaf,
        _ => {
            let is_right = |position: &[u8; 32]| {
                position
                    .get(bit / 8)
                    .is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1)
            };
            let (right, left): (Vec<_>, Vec<_>) =
                leaves.iter().partition(|(position, _)| is_right(position));
            let both = [
                root_by_the_book(&left, bit + 1),
                root_by_the_book(&right, bit + 1),
            ];
            match (left.len(), right.len()) {
                (0, 1) => both[1],
                (1, 0) => both[0],
                _ => *blake3::keyed_hash(&branch, &both.concat()).as_bytes(),
            }
        }
    }
}

fn leaf_by_the_book(key: &[u8], value: &[u8]) -> ([u8; 32], [u8; 32]) {
    let derived = |label| blake3::derive_key(label, b"");
    let position = *blake3::keyed_hash(&derived("kedge/trie-position/1"), key).as_bytes();
    let value = *blake3::keyed_hash(&derived("kedge/trie-value/1"), value).as_bytes();
    let both = [position, value].concat();
    let leaf = *blake3::keyed_hash(&derived("kedge/trie-leaf/1"), &both).as_bytes();
    (position, leaf)
}

#[test]
fn state_roots_follow_the_written_definition() {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let scope: ScopeNo = world.root(&mut index, "mesh.internal.", &[key(1)]);
    for count in 0..40 {
        let op = register(&format!("n{count}.a"), &["A 60 10.0.0.1"]);
        world.seal(&mut index, scope, vec![op]).unwrap();
        let state = index.scope(scope).unwrap().unwrap();
        let slots = index.slots(scope, &path("@"), None, 100).unwrap();
        let mut leaves: Vec<_> = slots
            .iter()
            .map(|(path, slot)| {
                let key = [&[0], path.as_bytes()].concat();
                leaf_by_the_book(&key, &slot.to_bytes())
            })
            .collect();
        let counters = [state.next_uid.to_be_bytes(), state.live.to_be_bytes()].concat();
        leaves.push(leaf_by_the_book(&[1], &counters));
        let root = Digest::from_bytes(root_by_the_book(&leaves, 0));
        assert_eq!(state.state_root, root);
    }
    let leaves: Vec<_> = ["a", "b", "c.b"]
        .iter()
        .map(|at| {
            let slot = Slot {
                entry: None,
                below: 1,
                recovery: None,
            };
            let (position, leaf) = trie::slot_leaf(&path(at), Some(&slot));
            (position, leaf.unwrap())
        })
        .collect();
    let mut leaves = leaves;
    leaves.sort_unstable();
    assert_eq!(
        trie::root_of(&leaves).to_string(),
        "51fb6454e85d6f95629d5394483730a26728a7eeab99ee1be9b81a6969838171"
    );
}

#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, u8),
    Remove(Index),
    Copy(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (place(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        place().prop_map(Damage::Cut),
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        place().prop_map(Damage::Remove),
        (place(), place()).prop_map(|(from, to)| Damage::Copy(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Set(at, byte) => *at.get_mut(bytes) = *byte,
        Damage::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Damage::Remove(at) => {
            bytes.remove(at.index(length));
        }
        Damage::Copy(from, to) => *to.get_mut(bytes) = *from.get(bytes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn bytes_that_are_read_are_the_only_bytes_of_their_value(
        which in any::<Index>(),
        damages in proptest::collection::vec(damage(), 1..4),
    ) {
        thread_local! {
            static SAMPLES: Vec<Sample> = samples();
        }
        let outcome = SAMPLES.with(|samples| {
            let sample = which.get(samples);
            let mut bytes = sample.bytes.clone();
            for damage in &damages {
                apply(&mut bytes, damage);
            }
            let again: Result<Vec<u8>, DecodeError> = (sample.again)(&bytes);
            again.map(|again| (again, bytes))
        });
        if let Ok((again, bytes)) = outcome {
            prop_assert_eq!(again, bytes);
        }
    }
}
