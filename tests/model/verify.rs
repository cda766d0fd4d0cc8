//! Verification finds every change of what is stored, and nothing where nothing was changed.

use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::time::Timestamp;
use kedge::governance::certificate::Certificate;
use kedge::governance::op::{Op, SetChange};
use kedge::index::changeset::ChangeSet;
use kedge::index::entry::{Entry, Slot};
use kedge::index::lineage::LinkError;
use kedge::index::memory::MemoryIndex;
use kedge::index::state::{Location, ScopeNo};
use kedge::index::trie::{self, Node, Prefix, TrieStore, TrieView};
use kedge::index::verify::{Progress, Report, Row, VerifyError, verify};
use kedge::index::view::{Decision, IndexTxn, IndexView, Link};
use kedge::namespace::path::NamePath;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;

use crate::world::{World, head, key, move_entry, path, register, scope_uid, set, slot, uid_at};

const ROOT: ScopeNo = ScopeNo(0);
const EU: ScopeNo = ScopeNo(1);

/// A root with two children, one of them renamed, and an entry of every kind.
pub(crate) fn populate<T: IndexTxn>(txn: &mut T) {
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

pub(crate) type Verdict<E> = Result<Report, VerifyError<E, std::convert::Infallible>>;

pub(crate) fn verdict<V: kedge::index::rows::IndexRows>(
    stored: &V,
) -> Verdict<<V as IndexView>::Error> {
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
            changes.put_slot(EU, path(at), slot.clone());
        })
    };
    let differs = "is not what the lineage gives";
    let mut forged = head(&good, EU, "moved");
    forged.sets = vec![set("A 60 10.6.6.6")];
    let forged = Slot {
        entry: Some(Entry::Bound(forged)),
        below: 0,
        recovery: None,
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
        let decision = Decision {
            scope: EU,
            not_after: Timestamp::from_millis(9),
            proposal: Digest::ZERO,
        };
        changes.decided.insert(decision, 1);
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
        recovery: None,
    };
    let at = path("moved");
    let leaf = trie::slot_leaf(&at, Some(&slot));
    let root = trie::update(&mut index, EU, &[leaf]).unwrap();
    let mut state = index.scope(EU).unwrap().unwrap();
    state.state_root = root;
    let mut changes = ChangeSet::default();
    changes.put_slot(EU, at, Some(slot));
    changes.scopes.insert(EU, state);
    index.apply(&changes).unwrap();
    let found = found_in(&index);
    assert_eq!(found, "the state of scope 1 is not what the lineage gives");
}

#[test]
fn a_forged_trie_is_found() {
    let good = memory();
    let forged = |prefix: Prefix, node: Option<&Node>| {
        let mut index = good.clone();
        index.put_node(EU, prefix, node).unwrap();
        found_in(&index)
    };
    let page = good.node(EU, Prefix::ALL).unwrap();
    assert!(matches!(page, Some(Node::Page(_))), "{page:?}");
    let (prefix, leaves) = (0..16)
        .map(|nibble| Prefix::ALL.child(nibble))
        .find_map(|prefix| match good.node(EU, prefix).unwrap() {
            Some(Node::Bucket(leaves)) => Some((prefix, leaves)),
            _ => None,
        })
        .unwrap();
    let (position, _) = leaves[0];
    let short = Digest::from_bytes(position).short();
    let mut others = leaves.clone();
    others[0].1 = Digest::ZERO;
    assert_eq!(
        forged(prefix, Some(&Node::Bucket(others.clone()))),
        format!("trie leaf {short} of scope 1 is not what the lineage gives")
    );
    others.remove(0);
    assert_eq!(
        forged(prefix, Some(&Node::Bucket(others))),
        format!("trie leaf {short} of scope 1 is missing")
    );
    let missing = "a trie node of scope 1 is missing";
    assert_eq!(forged(prefix, None), missing);
    assert_eq!(forged(Prefix::ALL, None), missing);
    let differs = "a trie node of scope 1 is not what the lineage gives";
    assert_eq!(forged(prefix, page.as_ref()), differs);
    // Where nothing points, only the count of rows tells.
    let deep = prefix.child(1).child(2);
    assert!(forged(deep, page.as_ref()).contains("trie nodes"));
}

/// The lineage of `EU` as it is, and a block that its rules allow but its anchors never signed.
fn forged_link(index: &MemoryIndex, keys: &[SecretKey]) -> Link {
    let mut link = index.link(EU, 2).unwrap().unwrap();
    link.block.time = link.block.time.plus_millis(1);
    let state = index.scope(EU).unwrap().unwrap();
    link.certificate = Certificate::sign(&link.block, &state.descriptor, keys).unwrap();
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
    let link = kedge::index::lineage::genesis_link(&descriptor, &keys, world.now())
        .unwrap()
        .unwrap();
    let edge = Some(parent.child_edge(b"eu"));
    kedge::index::lineage::found(&mut index, &descriptor, edge, &link).unwrap();
    assert!(matches!(
        verdict(&index),
        Err(VerifyError::NotDelegated(EU))
    ));
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
    changes.put_slot(ROOT, last.0.clone(), None);
    index.apply(&changes).unwrap();
    let missing = Row::Slot(ROOT, last.0);
    assert_eq!(found_in(&index), format!("{missing} is missing"));
}
