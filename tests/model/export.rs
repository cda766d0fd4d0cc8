//! Exports: the same bytes after a round trip, and nothing taken that is not the whole of one.

use std::convert::Infallible;

use kedge::base::canonical::{Canonical, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::index::export::{
    Export, ExportError, ExportFault, Frame, Framing, HEADER_BYTES, Header, Restore, RestoreError,
    RestoreRefusal, Restored, Stopped,
};
use kedge::index::memory::MemoryIndex;
use kedge::index::state::{Edge, ScopeNo};
use kedge::index::verify::verify;
use kedge::index::view::{IndexTxn, IndexView};
use kedge::namespace::scope::ScopeUid;

use crate::world::{World, key, move_entry, path, register, scope_uid, slot};

type Fault = RestoreError<Infallible>;

fn export(index: &MemoryIndex, no: ScopeNo, tree: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let export = Export::of(index, no, tree).unwrap();
    let digest = export.write(index, |piece| {
        bytes.extend(piece);
        Ok(())
    });
    assert!(bytes.ends_with(digest.unwrap().as_bytes()));
    bytes
}

/// Takes an export in, or leaves the index as it was.
fn take(
    index: &mut MemoryIndex,
    bytes: &[u8],
    edge: Option<&(Edge, ScopeUid)>,
) -> Result<Restored, RestoreRefusal> {
    let mut txn = index.clone();
    let mut framing = Framing::keeping();
    let mut restore = None;
    // In small parts, so that every border falls inside one once.
    for part in bytes.chunks(97) {
        let each = |header: Header, link: Vec<u8>| -> Result<(), Fault> {
            let under_way = restore.get_or_insert_with(|| Restore::new(header, edge.cloned()));
            under_way.link(&mut txn, link)
        };
        if let Err(RestoreError::Refused(refusal)) = framing.push(part, each) {
            return Err(refusal);
        }
    }
    framing.finish()?;
    let restored = restore.ok_or(ExportFault::Foreign)?.finish()?;
    *index = txn;
    Ok(restored)
}

/// Bytes with a digest that fits them.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    let digest = Digest::of_bytes(Header::LABEL, &bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// A header and links as a whole file.
fn file(header: &Header, frames: &[Frame]) -> Vec<u8> {
    let mut bytes = header.to_bytes();
    for frame in frames {
        let mut out = Encoder::new();
        frame.encode(&mut out);
        let frame = out.into_bytes();
        bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&frame);
    }
    bytes.extend_from_slice(&[0; 32]);
    repaired(bytes)
}

/// What a file holds.
fn parts(bytes: &[u8]) -> (Header, Vec<Frame>) {
    let mut framing = Framing::keeping();
    let mut frames = Vec::new();
    let taken: Result<(), ExportFault> = framing.push(bytes, |_, link| {
        frames.push(Frame::read(&link).unwrap());
        Ok(())
    });
    taken.unwrap();
    (framing.finish().unwrap().0, frames)
}

/// A root scope of three links.
fn small() -> (World, MemoryIndex, ScopeNo) {
    let (mut world, mut index) = (World::new(), MemoryIndex::new());
    let root = world.root(&mut index, "mesh.internal.", &[key(1)]);
    for name in ["a", "b.c"] {
        let op = register(name, &["A 60 10.0.0.1"]);
        world.seal(&mut index, root, vec![op]).unwrap();
    }
    (world, index, root)
}

/// A tree whose scopes moved entries to each other, one of whose labels was changed.
fn tree() -> (World, MemoryIndex, [ScopeNo; 4]) {
    let (mut world, mut index, root) = small();
    let eu = world.child(&mut index, root, "eu", &[key(2)]).unwrap();
    let us = world.child(&mut index, root, "us", &[key(3)]).unwrap();
    let pay = world.child(&mut index, eu, "pay", &[key(4)]).unwrap();
    for (no, name) in [(eu, "api"), (us, "api"), (pay, "ledger")] {
        let op = register(name, &["A 60 10.1.0.1"]);
        world.seal(&mut index, no, vec![op]).unwrap();
    }
    let (api, west) = (path("api"), path("west"));
    move_entry(&mut world, &mut index, (eu, &api), (us, &west)).unwrap();
    move_entry(&mut world, &mut index, (us, &west), (root, &api)).unwrap();
    let relabelled = kedge::governance::op::Op::Rename {
        from: path("us"),
        to: path("america"),
        subtree: false,
    };
    world.seal(&mut index, root, vec![relabelled]).unwrap();
    // The redirect goes, so that only the order of commits shows that it was there.
    let retire = kedge::governance::op::Op::Retire { path: path("api") };
    world.seal(&mut index, eu, vec![retire]).unwrap();
    (world, index, [root, eu, us, pay])
}

fn verified(index: &MemoryIndex) {
    verify(index, &mut MemoryIndex::new(), |_| {}).unwrap();
}

#[test]
fn a_scope_comes_back_with_the_same_bytes_and_state() {
    let (_, index, root) = small();
    let bytes = export(&index, root, false);
    let mut other = MemoryIndex::new();
    let restored = take(&mut other, &bytes, None).unwrap();
    assert_eq!(
        (restored.scopes, restored.added, restored.present),
        (1, 3, 0)
    );
    assert_eq!(export(&other, ScopeNo(0), false), bytes);
    assert_eq!(other.scope(ScopeNo(0)), index.scope(root));
    other
        .put_apex(&"mesh.internal.".parse().unwrap(), &restored.scope)
        .unwrap();
    verified(&other);
    assert_eq!(other, index);
}

#[test]
fn a_tree_comes_back_whole_and_moves_between_its_scopes_replay() {
    let (_, index, [root, eu, ..]) = tree();
    let bytes = export(&index, root, true);
    assert_eq!(parts(&bytes).0.scopes, 4);
    let mut other = MemoryIndex::new();
    take(&mut other, &bytes, None).unwrap();
    let uid = scope_uid(&index, root);
    other
        .put_apex(&"mesh.internal.".parse().unwrap(), &uid)
        .unwrap();
    verified(&other);
    assert_eq!(other, index);
    assert_eq!(export(&other, root, true), bytes);
    assert_eq!(export(&other, eu, true), export(&index, eu, true));
}

#[test]
fn a_scope_that_took_entries_needs_the_others() {
    let (_, index, [root, ..]) = tree();
    let bytes = export(&index, root, false);
    let refusal = take(&mut MemoryIndex::new(), &bytes, None).unwrap_err();
    assert!(matches!(refusal, RestoreRefusal::Rules { .. }), "{refusal}");
}

#[test]
fn a_child_hangs_below_a_parent_that_delegates_to_it() {
    let (mut world, mut index, root) = small();
    let eu = world.child(&mut index, root, "eu", &[key(2)]).unwrap();
    let op = register("api", &["A 60 10.1.0.1"]);
    world.seal(&mut index, eu, vec![op]).unwrap();
    let (above, below) = (export(&index, root, false), export(&index, eu, false));
    let mut other = MemoryIndex::new();
    let nowhere = take(&mut other, &below, None).unwrap_err();
    assert!(
        matches!(nowhere, RestoreRefusal::Misplaced { .. }),
        "{nowhere}"
    );
    take(&mut other, &above, None).unwrap();
    let parent = other.scope(ScopeNo(0)).unwrap().unwrap();
    let edge = (parent.child_edge(b"eu"), parent.uid);
    let root_below = take(&mut MemoryIndex::new(), &above, Some(&edge)).unwrap_err();
    assert!(
        matches!(root_below, RestoreRefusal::Misplaced { .. }),
        "{root_below}"
    );
    take(&mut other, &below, Some(&edge)).unwrap();
    assert_eq!(other.scope(ScopeNo(1)), index.scope(eu));
    assert_eq!(export(&other, ScopeNo(1), false), below);
}

/// A tree meets a parent that is here already and has another label for the child by now.
#[test]
fn a_child_whose_label_changed_is_found_at_its_present_label() {
    let (mut world, mut index, root) = small();
    let eu = world.child(&mut index, root, "eu", &[key(2)]).unwrap();
    let rename = kedge::governance::op::Op::Rename {
        from: path("eu"),
        to: path("europe"),
        subtree: false,
    };
    world.seal(&mut index, root, vec![rename]).unwrap();
    let mut other = MemoryIndex::new();
    take(&mut other, &export(&index, root, false), None).unwrap();
    let restored = take(&mut other, &export(&index, root, true), None).unwrap();
    assert_eq!((restored.added, restored.present), (1, 5));
    assert_eq!(other.scope(ScopeNo(1)), index.scope(eu));
}

#[test]
fn a_prefix_is_continued_and_a_longer_lineage_is_left_alone() {
    let (mut world, mut index, root) = small();
    let short = export(&index, root, false);
    let op = register("later", &["A 60 10.0.0.9"]);
    world.seal(&mut index, root, vec![op]).unwrap();
    let long = export(&index, root, false);
    let mut other = MemoryIndex::new();
    take(&mut other, &short, None).unwrap();
    let restored = take(&mut other, &long, None).unwrap();
    assert_eq!((restored.added, restored.present), (1, 3));
    assert_eq!(export(&other, root, false), long);
    let restored = take(&mut other, &short, None).unwrap();
    assert_eq!((restored.added, restored.present), (0, 3));
    assert_eq!(export(&other, root, false), long);
}

#[test]
fn a_fork_is_refused_with_both_blocks_and_changes_nothing() {
    let (mut world, mut index, root) = small();
    let mut other = index.clone();
    let op = |name| vec![register(name, &["A 60 10.0.0.9"])];
    let here = world.seal(&mut index, root, op("here")).unwrap();
    let there = world.seal(&mut other, root, op("there")).unwrap();
    let before = index.clone();
    let refusal = take(&mut index, &export(&other, root, false), None).unwrap_err();
    let RestoreRefusal::Fork {
        height,
        held,
        offered,
        ..
    } = refusal
    else {
        panic!("{refusal}");
    };
    assert_eq!(height, 3);
    assert_eq!((held, offered), (here.block.digest(), there.block.digest()));
    assert_eq!(index, before);
}

/// Flips one bit of every byte, as it is and with a digest that fits: no file but the right one is
/// taken, and none leaves a trace.
#[test]
fn every_flipped_byte_is_refused() {
    let (_, index, root) = small();
    let bytes = export(&index, root, false);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let mut files = vec![flipped.clone()];
        if at < bytes.len() - 32 {
            files.push(repaired(flipped));
        }
        for file in files {
            let mut other = MemoryIndex::new();
            assert!(take(&mut other, &file, None).is_err(), "byte {at}");
            assert_eq!(other, MemoryIndex::new(), "byte {at}");
        }
    }
}

#[test]
fn every_cut_and_every_extension_is_refused() {
    let (_, index, root) = small();
    let bytes = export(&index, root, false);
    for length in 0..bytes.len() {
        let refusal = take(&mut MemoryIndex::new(), &bytes[..length], None).unwrap_err();
        assert!(
            matches!(refusal, RestoreRefusal::File(ExportFault::Cut { .. })),
            "{length}: {refusal}"
        );
    }
    let cut = repaired(bytes[..bytes.len() - 1].to_vec());
    assert!(take(&mut MemoryIndex::new(), &cut, None).is_err());
    let longer = [bytes.as_slice(), &[0]].concat();
    let refusal = take(&mut MemoryIndex::new(), &longer, None).unwrap_err();
    assert!(
        matches!(refusal, RestoreRefusal::File(ExportFault::Trailing)),
        "{refusal}"
    );
    let foreign = take(&mut MemoryIndex::new(), b"$TTL 60\na A 10.0.0.1\n", None).unwrap_err();
    assert_eq!(foreign.to_string(), "this is no export of a scope");
}

#[test]
fn links_out_of_order_twice_or_left_out_are_refused() {
    let (_, index, root) = small();
    let (header, frames) = parts(&export(&index, root, false));
    assert_eq!(file(&header, &frames), export(&index, root, false));
    let [genesis, one, two] = <[Frame; 3]>::try_from(frames).unwrap();
    let with = |links: u64, frames: &[&Frame]| {
        let frames: Vec<Frame> = frames.iter().map(|frame| (*frame).clone()).collect();
        let bytes = file(&Header { links, ..header }, &frames);
        take(&mut MemoryIndex::new(), &bytes, None)
    };
    let order = |frames: &[&Frame]| {
        let refusal = with(3, frames).unwrap_err();
        assert!(matches!(refusal, RestoreRefusal::Order { .. }), "{refusal}");
    };
    order(&[&genesis, &two, &one]);
    let twice = with(4, &[&genesis, &one, &one, &two]).unwrap_err();
    assert!(
        matches!(
            twice,
            RestoreRefusal::Order {
                expected: 2,
                found: 1,
                ..
            }
        ),
        "{twice}"
    );
    let left_out = with(2, &[&genesis, &two]).unwrap_err();
    assert!(
        matches!(
            left_out,
            RestoreRefusal::Order {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{left_out}"
    );
    let headless = with(2, &[&one, &two]).unwrap_err();
    assert!(
        matches!(headless, RestoreRefusal::Scope { link: 1 }),
        "{headless}"
    );
    let mut two_scopes = header;
    two_scopes.scopes = 2;
    let bytes = file(&two_scopes, &[genesis, one, two]);
    let refusal = take(&mut MemoryIndex::new(), &bytes, None).unwrap_err();
    assert!(matches!(refusal, RestoreRefusal::Scope { .. }), "{refusal}");
}

#[test]
fn the_header_has_its_size_and_a_reader_that_goes_away_ends_the_writing() {
    let (_, index, root) = small();
    let export = Export::of(&index, root, false).unwrap();
    assert_eq!(export.header().to_bytes().len(), HEADER_BYTES);
    let mut pieces = 0;
    let stopped = export.write(&index, |_| {
        pieces += 1;
        if pieces == 3 { Err(Stopped) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(ExportError::Stopped)));
    assert_eq!(pieces, 3);
    assert!(slot(&index, root, "a").entry.is_some());
}
