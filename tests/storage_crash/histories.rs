//! Random histories on a machine that stops at a random moment: after the restart everything
//! acknowledged is there, whole, and the history goes on as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use kedge::adapters::storage::RedbStore;
use kedge::base::time::Timestamp;
use kedge::governance::predicate::Transport;
use kedge::index::entry::Entry;
use kedge::index::lineage::LinkError;
use kedge::index::memory::MemoryIndex;
use kedge::index::place::held_apexes;
use kedge::index::state::ScopeNo;
use kedge::index::view::IndexView;
use kedge::namespace::path::NamePath;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::uid::Uid;
use kedge::resolution::answer::{Answer, Outcome};
use kedge::resolution::fallback::Rules;
use kedge::resolution::instances::NoServices;
use kedge::resolution::pipeline::{Realm, Step as Resolved, start};
use kedge::resolution::question::Question;
use kedge::resolution::trail::Trail;
use kedge::service::ports::Store;
use proptest::prelude::*;

use crate::disk::{Disk, Fault};
use crate::history::naive::{Holds, Naive};
use crate::history::{History, Step, check, found_root, model_step, steps};
use crate::world::World;
use crate::{kedge_scope, options, proven};

/// What stood before a step, or after the last.
struct Moment {
    world: World,
    naive: Naive,
    index: MemoryIndex,
}

/// Where the machine stops: in which step, after how many writes of it, and what it leaves.
#[derive(Debug, Clone, Copy)]
struct Crash {
    step: usize,
    after: u64,
    seed: u64,
}

/// A commit has fewer writes than this; some crashes come in a later step.
const WRITES_MAX: u64 = 40;

fn crashes() -> impl Strategy<Value = Crash> {
    let parts = (0..40_usize, 1..WRITES_MAX, any::<u64>());
    parts.prop_map(|(step, after, seed)| Crash { step, after, seed })
}

/// What a history leads to on a machine that does not stop.
fn moments(steps: &[Step]) -> Vec<Moment> {
    let mut index = MemoryIndex::new();
    let world = found_root(&mut index);
    let mut naive = Naive::default();
    let mut moments = vec![Moment {
        world: world.clone(),
        naive: naive.clone(),
        index: index.clone(),
    }];
    let txn = &mut index;
    let mut history = History { world, txn };
    for step in steps {
        let scopes = history.txn.scope_count().unwrap();
        let decided = history.take(step);
        let allowed = model_step(&mut naive, &*history.txn, step, scopes);
        assert_eq!(decided, allowed, "{step:?}");
        moments.push(Moment {
            world: history.world.clone(),
            naive: naive.clone(),
            index: history.txn.clone(),
        });
    }
    moments
}

/// Takes a step in a transaction of its own; gives whether it was acknowledged.
fn commit(store: &RedbStore, before: &Moment, step: &Step) -> bool {
    let written = store.write(|txn| {
        // A disk that dies within the transaction fails the calls inside it.
        let world = before.world.clone();
        catch_unwind(AssertUnwindSafe(|| History { world, txn }.take(step)))
            .map_err(|_| LinkError::UnknownScope(kedge_scope()))
    });
    written.is_ok()
}

/// Runs a history until the machine stops or the history ends; gives how many steps were
/// acknowledged.
fn run_until(disk: &Disk, steps: &[Step], moments: &[Moment], crash: Crash) -> usize {
    let store = RedbStore::with_backend(disk.clone(), options()).unwrap();
    store
        .write(|txn| {
            found_root(txn);
            Ok(())
        })
        .unwrap();
    for (number, step) in steps.iter().enumerate() {
        if number == crash.step % steps.len() {
            let (at, seed) = (disk.steps() + crash.after, crash.seed);
            disk.fail(Fault::Crash { at, seed });
        }
        if !commit(&store, moments.get(number).unwrap(), step) {
            assert!(disk.is_dead(), "a healthy disk writes");
            return number;
        }
    }
    steps.len()
}

/// What the index says of an entry by its UID.
fn by_uid<V: IndexView>(view: &V, uid: &Uid, kind: RecordType) -> Answer {
    let realm = Realm {
        view,
        apexes: &held_apexes(view).unwrap(),
        zones: &BTreeMap::new(),
        rules: &Rules::default(),
        routes: &[],
        designated: &[],
        presences: None,
        services: &NoServices,
        loads: None,
        asks_peers: false,
    };
    let question = Question {
        name: format!("{uid}._uid.mesh.internal.").parse().unwrap(),
        kind,
        recursion_desired: false,
        dnssec_ok: false,
        checking_disabled: false,
        caller: Some([127, 0, 0, 1].into()),
        transport: Some(Transport::Udp),
        time: Some(Timestamp::from_millis(0)),
        devices: Vec::new(),
        key: None,
        certificate: None,
        may_recurse: false,
    };
    match start(&realm, question, &mut Trail::off()).unwrap() {
        Resolved::Done(answer) => *answer,
        step => panic!("{uid} {kind}: {step:?}"),
    }
}

/// Every UID that was ever given leads to its latest state, by location and by question.
fn resolves<V: IndexView>(view: &V, naive: &Naive) {
    let mut bound = BTreeMap::new();
    for (at, holds) in &naive.names {
        if let Holds::Bound { uid, number, sets } = holds {
            assert!(
                bound.insert(*uid, (at, *number, sets)).is_none(),
                "{uid} is bound twice"
            );
        }
    }
    // Where the apex itself leads elsewhere, so does everything below it (RFC 6672), `_uid` too.
    let apex = naive.bound(&(0, NamePath::empty()));
    let kinds = apex.into_iter().flat_map(|(.., sets)| sets);
    let leads_elsewhere = kinds
        .map(|set| set.kind())
        .any(|kind| kind == RecordType::DNAME);
    let ever: BTreeSet<Uid> = naive.versions.keys().map(|(uid, _)| *uid).collect();
    for uid in ever {
        let Some((at, number, sets)) = bound.get(&uid) else {
            if leads_elsewhere {
                continue;
            }
            let outcome = by_uid(view, &uid, RecordType::A).outcome;
            let ended = [Outcome::Absent, Outcome::Retired].contains(&outcome);
            assert!(ended, "{uid} ended and is {outcome}");
            continue;
        };
        let location = view.locate(&uid).unwrap().unwrap();
        assert_eq!((location.scope, &location.path), (ScopeNo(at.0), &at.1));
        let slot = view.slot(location.scope, &location.path).unwrap().unwrap();
        let Some(Entry::Bound(version)) = slot.entry else {
            panic!("{uid} is located where nothing is bound");
        };
        assert_eq!((version.uid, version.number), (uid, *number));
        if leads_elsewhere {
            continue;
        }
        for set in *sets {
            let answer = by_uid(view, &uid, set.kind());
            let told: Vec<_> = answer.answers.iter().map(|row| &row.rdata).collect();
            let held: Vec<_> = set.records().iter().collect();
            assert_eq!(told, held, "{uid} {}", set.kind());
        }
        let other = by_uid(view, &uid, RecordType::MX).outcome;
        assert!(other != Outcome::Absent, "{uid} is there: {other}");
    }
}

/// Everything that must hold of a store whose history came to a moment.
fn holds(store: &RedbStore, moment: &Moment) {
    let view = store.latest();
    let (replayed, again) = (proven(store), proven(store));
    for scope in (0..view.scope_count().unwrap()).map(ScopeNo) {
        let stored = view.scope(scope).unwrap().unwrap().state_root;
        for replay in [&replayed, &again] {
            let root = replay.scope(scope).unwrap().unwrap().state_root;
            assert_eq!(root, stored, "{scope:?}");
        }
    }
    assert_eq!(replayed, moment.index);
    check(&*view, &moment.naive);
    resolves(&*view, &moment.naive);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_history_survives_a_crash_and_goes_on(steps in steps(), crash in crashes()) {
        let moments = moments(&steps);
        let disk = Disk::new();
        let acknowledged = run_until(&disk, &steps, &moments, crash);
        disk.restart();
        let store = RedbStore::with_backend(disk.clone(), options()).unwrap();
        // A commit whose acknowledgement was lost may be there, whole.
        let index = proven(&store);
        let is = |number: usize| moments.get(number).is_some_and(|then| then.index == index);
        let at = if is(acknowledged) { acknowledged } else { acknowledged + 1 };
        prop_assert!(is(at), "{acknowledged} steps were acknowledged");
        holds(&store, moments.get(at).unwrap());
        for (step, before) in steps.iter().zip(&moments).skip(at) {
            prop_assert!(commit(&store, before, step), "{step:?}");
        }
        holds(&store, moments.last().unwrap());
    }
}
