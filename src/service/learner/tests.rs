//! What a book takes for going on from what it knows.

use std::slice::from_ref;

use crate::base::digest::Digest;
use crate::base::keys::{PublicKey, SecretKey};
use crate::base::time::Timestamp;
use crate::governance::anchor::{Anchor, AnchorGroup};
use crate::governance::block::Block;
use crate::governance::descriptor::Descriptor;
use crate::governance::policy::Policy;
use crate::index::proof::ProvenScope;

use super::book::Book;
use super::untaught::Untaught;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn key(seed: u8) -> PublicKey {
    SecretKey::from_seed(&[seed; 32]).public()
}

fn genesis() -> Descriptor {
    let anchors = AnchorGroup::new(vec![Anchor::new(key(1), "")]);
    Descriptor::genesis(None, [1; 16], anchors.unwrap(), Policy::default())
}

/// The descriptor after another one, with another anchor.
fn after(before: &Descriptor, seed: u8) -> Descriptor {
    Descriptor {
        scope: Some(genesis().scope_uid()),
        epoch: before.epoch + 1,
        anchors: AnchorGroup::new(vec![Anchor::new(key(seed), "")]).unwrap(),
        ..before.clone()
    }
}

/// A scope as a proof shows it that leads through these descriptors to a block.
fn proven(descriptors: &[Descriptor], height: u64, block: u8) -> ProvenScope {
    let (last, before) = descriptors.split_last().unwrap();
    let before: Vec<Digest> = before.iter().map(Descriptor::digest).collect();
    ProvenScope {
        uid: genesis().scope_uid(),
        descriptor: last.clone(),
        before,
        head: Block {
            scope: genesis().scope_uid(),
            epoch: last.epoch,
            height,
            prev: Digest::ZERO,
            descriptor: last.digest(),
            next_descriptor: last.digest(),
            prev_epoch_block: Digest::ZERO,
            time: NOW,
            proposer: last.anchors.anchors()[0].id,
            body_root: Digest::ZERO,
            state_root: Digest::from_bytes([block; 32]),
        },
        slots: Vec::new(),
    }
}

fn take(book: &Book, scope: ProvenScope) -> Result<(), Untaught> {
    book.take((vec![scope], None), key(9), NOW)
}

#[test]
fn anchors_that_were_voted_out_change_nothing_whatever_height_they_sign() {
    let (old, book) = (genesis(), Book::default());
    let new = after(&old, 2);
    take(&book, proven(&[old.clone(), new.clone()], 5, 1)).unwrap();
    let forged = take(&book, proven(from_ref(&old), u64::MAX, 2));
    assert!(matches!(forged, Err(Untaught::Behind { .. })), "{forged:?}");
    take(&book, proven(&[old, new], 6, 3)).unwrap();
}

#[test]
fn who_believed_them_first_believes_those_who_followed() {
    let (old, book) = (genesis(), Book::default());
    let new = after(&old, 2);
    take(&book, proven(from_ref(&old), u64::MAX, 2)).unwrap();
    take(&book, proven(&[old, new], 5, 1)).unwrap();
}

#[test]
fn another_line_of_descriptors_is_refused_and_freezes_nothing() {
    let (old, book) = (genesis(), Book::default());
    let (new, other) = (after(&old, 2), after(&old, 3));
    take(&book, proven(&[old.clone(), new.clone()], 5, 1)).unwrap();
    let further = after(&other, 4);
    for line in [
        vec![old.clone(), other.clone()],
        vec![old.clone(), other, further],
    ] {
        let parted = take(&book, proven(&line, 9, 2));
        assert!(matches!(parted, Err(Untaught::Parted { .. })), "{parted:?}");
    }
    assert!(book.frozen().is_empty());
    take(&book, proven(&[old, new], 6, 3)).unwrap();
}

#[test]
fn two_blocks_of_one_height_freeze_the_scope_for_good() {
    let (old, book) = (genesis(), Book::default());
    take(&book, proven(from_ref(&old), 5, 1)).unwrap();
    take(&book, proven(from_ref(&old), 5, 1)).unwrap();
    let behind = take(&book, proven(from_ref(&old), 4, 1));
    assert!(matches!(behind, Err(Untaught::Behind { .. })), "{behind:?}");
    for height in [5, 6] {
        let forked = take(&book, proven(from_ref(&old), height, 2));
        assert!(matches!(forked, Err(Untaught::Forked { .. })), "{forked:?}");
    }
    assert_eq!(book.frozen(), [(old.scope_uid(), 5)]);
}

#[test]
fn what_was_proven_before_a_restart_is_the_floor_after_it() {
    let (old, book) = (genesis(), Book::default());
    let new = after(&old, 2);
    take(&book, proven(&[old.clone(), new.clone()], 5, 1)).unwrap();
    let kept = |book: &Book| {
        let changes = book.take_changed_floors().into_iter();
        changes.filter_map(|(_, floor)| floor).collect::<Vec<_>>()
    };
    let floors = kept(&book);
    assert_eq!(floors.len(), 1);
    // Nothing new is to be written while nothing rises.
    take(&book, proven(&[old.clone(), new.clone()], 5, 1)).unwrap();
    assert!(kept(&book).is_empty());
    let restarted = Book::default();
    restarted.remember(floors);
    for behind in [
        proven(&[old.clone(), new.clone()], 4, 1),
        proven(from_ref(&old), u64::MAX, 2),
    ] {
        let refused = take(&restarted, behind);
        assert!(
            matches!(refused, Err(Untaught::Behind { .. })),
            "{refused:?}"
        );
    }
    let other = after(&old, 3);
    let parted = take(&restarted, proven(&[old.clone(), other], 9, 2));
    assert!(matches!(parted, Err(Untaught::Parted { .. })), "{parted:?}");
    take(&restarted, proven(&[old.clone(), new.clone()], 5, 1)).unwrap();
    // A fork is not forgotten either.
    let forked = take(&restarted, proven(&[old.clone(), new.clone()], 5, 7));
    assert!(matches!(forked, Err(Untaught::Forked { .. })), "{forked:?}");
    let again = Book::default();
    again.remember(kept(&restarted));
    assert_eq!(again.frozen(), [(old.scope_uid(), 5)]);
    let refused = take(&again, proven(&[old, new], 6, 1));
    assert!(
        matches!(refused, Err(Untaught::Forked { .. })),
        "{refused:?}"
    );
}
