//! What a look-up costs, without sockets: governed names in redb and names of a zone file.
//!
//! `cargo bench --bench lookup`

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use divan::Bencher;
use kedge::adapters::storage::{OpenOptions, RedbStore};
use kedge::base::keys::{PublicKey, SecretKey};
use kedge::base::signed::Verified;
use kedge::base::time::{Timestamp, Ttl};
use kedge::governance::access::{AccessGraph, AccessNode, Next, Verdict};
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::lease::{Check, Condition};
use kedge::governance::op::Op;
use kedge::governance::policy::{Class, Policy};
use kedge::governance::predicate::Caller;
use kedge::governance::proposal::Proposal;
use kedge::index::admission::Candidate;
use kedge::index::entry::Entry;
use kedge::index::lineage::{Agenda, found, genesis_link, seal};
use kedge::index::place::Apex;
use kedge::index::view::IndexView as _;
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::uid::Uid;
use kedge::resolution::governed::{Asking, Governed};
use kedge::resolution::instances::{
    Elsewhere, Health, Instance, Nearness, NoServices, Service, Services, Standing,
};
use kedge::resolution::lookup::lookup;
use kedge::resolution::trail::Trail;
use kedge::resolution::zone::Zone;
use kedge::service::ports::Store as _;

/// When every question is asked.
const NOW: Timestamp = Timestamp::from_millis(1_000);
/// Names in each directory.
const NAMES: u32 = 100_000;

fn main() {
    divan::main();
}

fn address(number: u32) -> RecordSet {
    let rdata = Rdata::from_wire(RecordType::A, &number.to_be_bytes()).unwrap();
    RecordSet::new(RecordType::A, Ttl::from_secs(60), vec![rdata]).unwrap()
}

fn apex_name() -> Name {
    "bench.internal.".parse().unwrap()
}

struct Index {
    store: RedbStore,
    apexes: Vec<Apex>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| index(Policy::default()));

/// The same behind tests, the last of which lets the caller in.
static BEHIND_8: LazyLock<Index> = LazyLock::new(|| guarded(8));
static BEHIND_64: LazyLock<Index> = LazyLock::new(|| guarded(64));

fn guarded(tests: u16) -> Index {
    index(Policy {
        access: graph(tests),
        ..Policy::default()
    })
}

/// A graph of so many tests, all of which are walked.
fn graph(tests: u16) -> AccessGraph {
    let test = |number: u16| match number % 4 {
        _ if number + 1 == tests => "source 127.0.0.0/8".to_owned(),
        0 => format!("source 10.{number}.0.0/16"),
        1 => format!("source 2001:db8:{number}::/48"),
        2 => "type TXT,MX".to_owned(),
        _ => "class write".to_owned(),
    };
    let node = |number: u16| {
        let is_last = number + 1 == tests;
        AccessNode {
            name: String::new(),
            test: test(number).parse().unwrap(),
            then: Next::Verdict(if is_last {
                Verdict::Allow
            } else {
                Verdict::Refuse
            }),
            otherwise: if is_last {
                Next::Verdict(Verdict::Refuse)
            } else {
                Next::Node(number + 1)
            },
        }
    };
    AccessGraph::new((0..tests).map(node).collect()).unwrap()
}

fn caller() -> Caller<'static> {
    Caller {
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ..Caller::unknown(RecordType::A)
    }
}

fn index(policy: Policy) -> Index {
    let backend = redb::backends::InMemoryBackend::new();
    let store = RedbStore::with_backend(backend, OpenOptions::default()).unwrap();
    let keys = [SecretKey::from_seed(&[7; 32])];
    let group = AnchorGroup::new(vec![Anchor::new(keys[0].public(), "")]).unwrap();
    let genesis = Descriptor::genesis(None, [0; 16], group, policy);
    let now = Timestamp::from_millis(1);
    let link = genesis_link(&genesis, &keys, now).unwrap().unwrap();
    let ops = (0..NAMES).map(|number| {
        let label = format!("svc-{number}");
        Op::Register {
            path: NamePath::empty().child(label.as_bytes()),
            sets: vec![address(number)],
        }
    });
    let proposal = Proposal {
        scope: genesis.scope_uid(),
        class: Class::Routine,
        ops: ops.collect(),
        preconditions: Vec::new(),
        author: keys[0].public(),
        nonce: 0,
        made: now,
        not_after: now.plus_millis(3_600_000),
        note: String::new(),
    };
    let proposal = Verified::sign(proposal, &keys[0]).unwrap();
    store
        .write(|txn| {
            let no = found(txn, &genesis, None, &link)?;
            let agenda = Agenda {
                candidates: &[Candidate::new(proposal)],
                late: &[],
            };
            let sealed = seal(txn, no, agenda, &keys, now)?;
            assert_eq!(sealed.outcomes, [Ok(())]);
            Ok(())
        })
        .unwrap();
    let apexes = vec![Apex {
        name: apex_name(),
        root: genesis.scope_uid(),
    }];
    Index { store, apexes }
}

static ZONE: LazyLock<Zone> = LazyLock::new(|| {
    let mut sets = BTreeMap::new();
    let origin = apex_name();
    let soa = Rdata::of_soa(&origin, &origin, [1, 2, 3, 4, 5]);
    let soa = RecordSet::new(RecordType::SOA, Ttl::from_secs(60), vec![soa]).unwrap();
    sets.insert(origin.clone(), vec![soa]);
    for number in 0..NAMES {
        let name = origin.child(format!("svc-{number}").as_bytes()).unwrap();
        sets.insert(name, vec![address(number)]);
    }
    Zone::new(origin, sets).unwrap()
});

/// Names in an order that no cache line likes.
fn names(prefix: &str) -> impl FnMut() -> Name {
    let mut number = 1_u32;
    let prefix = prefix.to_owned();
    move || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{prefix}-{}.bench.internal.", number % NAMES)
            .parse()
            .unwrap()
    }
}

/// Three instances behind every entry.
struct Everywhere(BTreeMap<Uid, Arc<Service>>);

impl Services for Everywhere {
    fn service(&self, uid: &Uid) -> Option<Arc<Service>> {
        self.0.get(uid).cloned()
    }

    fn arrivals(&self) -> u64 {
        0
    }

    fn elsewhere(&self, _: &Uid) -> Elsewhere {
        Elsewhere::Silent
    }

    fn nearness(&self) -> Arc<Nearness> {
        Arc::default()
    }
}

static SERVICES: LazyLock<Everywhere> = LazyLock::new(|| {
    let snapshot = INDEX.store.latest();
    let root = INDEX.apexes.first().unwrap().root;
    let no = snapshot.scope_no(&root).unwrap().unwrap();
    let state = snapshot.scope(no).unwrap().unwrap();
    let count = usize::try_from(NAMES).unwrap();
    let slots = snapshot.slots(no, &NamePath::empty(), None, count + 1);
    let services = slots.unwrap().into_iter().filter_map(|(path, slot)| {
        let Some(Entry::Bound(head)) = slot.entry else {
            return None;
        };
        let instances = (1..=3).map(|number| Arc::new(instance(number)));
        let service = Service {
            uid: head.uid,
            standing: Standing {
                scope: root,
                epoch: state.descriptor.epoch,
                path,
            },
            instances: instances.collect(),
        };
        Some((head.uid, Arc::new(service)))
    });
    Everywhere(services.collect())
});

fn instance(number: u8) -> Instance {
    Instance {
        label: format!("i{number}").parse().unwrap(),
        address: IpAddr::from([10, 0, 0, number]),
        port: 80,
        weight: 1,
        region: "".into(),
        condition: Condition::Up,
        check: Check::None,
        key: PublicKey::NOBODY,
        sequence: 1,
        issued: NOW,
        since: NOW,
        until: NOW.plus_millis(30_000),
        lifetime_millis: 30_000,
        health: Health::Passing,
    }
}

fn governed(bencher: Bencher<'_, '_>, index: &Index, prefix: &str) {
    governed_with(bencher, index, prefix, &NoServices);
}

fn governed_with(bencher: Bencher<'_, '_>, index: &Index, prefix: &str, services: &dyn Services) {
    let snapshot = index.store.latest();
    let caller = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    bencher
        .with_inputs(names(prefix))
        .bench_local_values(|name| {
            let apex = index.apexes.first().unwrap();
            let asking = Asking {
                address: caller,
                time: Some(NOW),
                ..Asking::default()
            };
            let tree = Governed::new(snapshot.as_ref(), &index.apexes, apex, asking);
            let tree = tree.with_services(services);
            lookup(&tree, &name, RecordType::A, &mut Trail::off()).unwrap()
        });
}

fn zone(bencher: Bencher<'_, '_>, prefix: &str) {
    let zone = &*ZONE;
    bencher
        .with_inputs(names(prefix))
        .bench_local_values(|name| lookup(zone, &name, RecordType::A, &mut Trail::off()));
}

#[divan::bench]
fn governed_hit(bencher: Bencher<'_, '_>) {
    governed(bencher, &INDEX, "svc");
}

#[divan::bench]
fn governed_hit_behind_8_tests(bencher: Bencher<'_, '_>) {
    governed(bencher, &BEHIND_8, "svc");
}

#[divan::bench]
fn governed_hit_behind_64_tests(bencher: Bencher<'_, '_>) {
    governed(bencher, &BEHIND_64, "svc");
}

#[divan::bench(args = [8, 32, 64])]
fn verdict_of_tests(bencher: Bencher<'_, '_>, tests: u16) {
    let (graph, caller) = (graph(tests), caller());
    bencher.bench_local(|| divan::black_box(&graph).verdict(divan::black_box(&caller)));
}

#[divan::bench(args = [8, 32, 64])]
fn class_of_caller(bencher: Bencher<'_, '_>, tests: u16) {
    let (graph, caller) = (graph(tests), caller());
    bencher.bench_local(|| divan::black_box(&graph).class_of(divan::black_box(&caller)));
}

#[divan::bench]
fn governed_hit_of_three_instances(bencher: Bencher<'_, '_>) {
    governed_with(bencher, &INDEX, "svc", &*SERVICES);
}

#[divan::bench]
fn governed_absent(bencher: Bencher<'_, '_>) {
    governed(bencher, &INDEX, "nope");
}

#[divan::bench]
fn zone_hit(bencher: Bencher<'_, '_>) {
    zone(bencher, "svc");
}

#[divan::bench]
fn zone_absent(bencher: Bencher<'_, '_>) {
    zone(bencher, "nope");
}
