//! `World`: a node in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use kedge::adapters::dns::{Reply, Responder, Transport};
use kedge::base::keys::SecretKey;
use kedge::base::time::{Timestamp, Ttl};
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::{Op, SetChange};
use kedge::governance::policy::Policy;
use kedge::governance::predicate;
use kedge::index::entry::{Entry, Version};
use kedge::index::freshness::Freshness;
use kedge::index::place::{Apex, find, held_apexes};
use kedge::index::view::IndexView;
use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::scope::ScopeUid;
use kedge::resolution::fallback::{Rule, Rules};
use kedge::resolution::instances::NoServices;
use kedge::resolution::pipeline::{Realm, Step, start};
use kedge::resolution::question::Question;
use kedge::resolution::trail::Trail;
use kedge::resolution::zone::Zone;
use kedge::service::audit::Audit;
use kedge::service::changes::{Changes, Put, Reform};
use kedge::service::devices::{Devices, PresenceTable};
use kedge::service::governor::{Done, Governor};
use kedge::service::keyring::Keyring;
use kedge::service::learner::Learner;
use kedge::service::legacy_cache::{CachedLegacy, LegacyCacheSettings};
use kedge::service::ports::{PeerNetwork, Store};
use kedge::service::resolver::{Begun, Resolver};
use kedge::service::setup::{Access, Setup};
use kedge::service::standing::Standing;
use kedge::zonefile::{self, NoIncludes};
use tokio::runtime::Runtime;

use super::legacy::ScriptedLegacy;
use super::parts::{Counted, ManualClock, NoFiles, TestParts};
use super::store::MemoryStore;
use super::talk::question_of;
use super::wire::{self, Ask};

/// TTL of records that a test puts.
const TTL: Ttl = Ttl::from_secs(60);

/// A node over a store, scripted legacy DNS and a manual clock.
pub struct World<S: Store = MemoryStore> {
    pub store: Arc<S>,
    pub legacy: ScriptedLegacy,
    pub clock: ManualClock,
    pub zones: BTreeMap<Name, Arc<Zone>>,
    pub rules: Vec<Rule>,
    pub routes: Vec<Name>,
    pub devices: Arc<Devices<TestParts<S>>>,
    changes: Changes<TestParts<S>>,
    keyring: Arc<Keyring>,
    resolver: Arc<Resolver<TestParts<S>>>,
    pinned: Vec<Apex>,
    runtime: Runtime,
    writer: Option<JoinHandle<()>>,
}

impl<S: Store + Default> Default for World<S> {
    fn default() -> Self {
        Self::over(S::default())
    }
}

impl<S: Store> World<S> {
    /// A node without any name.
    pub fn over(store: S) -> Self {
        let around = (ScriptedLegacy::default(), ManualClock::default());
        Self::within(store, around, Vec::new())
    }

    /// A node of the same world, which holds nothing, trusts these apexes and asks other nodes.
    pub fn far_from(other: &Self, pinned: Vec<Apex>, network: Arc<dyn PeerNetwork>) -> Self
    where
        S: Default,
    {
        let around = (other.legacy.clone(), other.clock.clone());
        let far = Self::within(S::default(), around, pinned);
        far.resolver.learner().connect(network);
        far.reload();
        far
    }

    fn within(store: S, (legacy, clock): (ScriptedLegacy, ManualClock), pinned: Vec<Apex>) -> Self {
        let store = Arc::new(store);
        let keyring = Arc::new(Keyring::default());
        let (governor, writer) =
            Governor::new(Arc::clone(&store), Arc::clone(&keyring), clock.clone());
        let changes = Changes::new(
            Arc::clone(&store),
            governor.clone(),
            Arc::clone(&keyring),
            (Counted::default(), clock.clone()),
            NoFiles,
        );
        let cached = CachedLegacy::new(
            legacy.clone(),
            clock.clone(),
            LegacyCacheSettings::default(),
        );
        let setup = setup(Vec::new());
        let resolver = Resolver::new(Arc::clone(&store), setup, cached);
        let devices = Devices::new(
            Arc::clone(&store),
            governor,
            (Counted::default(), clock.clone()),
            resolver.presences(),
            Audit::off(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            store,
            legacy,
            clock,
            zones: BTreeMap::new(),
            rules: Vec::new(),
            routes: Vec::new(),
            devices: Arc::new(devices),
            changes,
            keyring,
            resolver: Arc::new(resolver),
            pinned,
            runtime,
            writer: Some(std::thread::spawn(move || writer.run())),
        }
    }

    pub fn apexes(&self) -> Vec<Apex> {
        let held = held_apexes(self.store.latest().as_ref()).unwrap();
        [held, self.pinned.clone()].concat()
    }

    /// Trusts these apexes beside those that are held.
    pub fn pin(&mut self, apexes: Vec<Apex>) {
        self.pinned = apexes;
        self.reload();
    }

    /// What is learned of scopes that are not held.
    pub fn learner(&self) -> &Arc<Learner> {
        self.resolver.learner()
    }

    /// Puts zones, rules, routes and apexes in force, as a reload does.
    pub fn reload(&self) {
        let setup = Setup {
            zones: self.zones.clone(),
            rules: Rules::new(self.rules.clone()),
            routes: self.routes.clone(),
            ..setup(self.apexes())
        };
        self.resolver.replace(setup, None);
    }

    pub fn found_apex(&self, name: &Name) {
        self.runtime
            .block_on(self.changes.found_apex(name, ""))
            .unwrap();
        self.reload();
    }

    pub fn found_scope(&self, name: &Name) -> Result<(), String> {
        let apexes = self.setup_apexes();
        let founding = self.changes.found_scope(&apexes, name, "", "");
        said(self.runtime.block_on(founding))
    }

    fn setup_apexes(&self) -> Vec<Apex> {
        self.resolver.setup().apexes.clone()
    }

    /// Delegates a label to a scope that this node does not hold.
    pub fn delegate_elsewhere(&self, name: &Name) -> Result<(), String> {
        let snapshot = self.store.latest();
        let place = find(snapshot.as_ref(), &self.setup_apexes(), name).unwrap();
        let key = SecretKey::from_seed(&[9; 32]);
        let anchors = AnchorGroup::new(vec![Anchor::new(key.public(), "far")]).unwrap();
        let parent = Some(place.scope.uid);
        let child = Descriptor::genesis(parent, [3; 16], anchors, Policy::default());
        let seats = child.accept_seats([&key]).unwrap();
        let op = Op::Delegate {
            label: place.path.labels().next().unwrap(),
            child: Box::new(child),
            seats,
        };
        self.submit(name, op)
    }

    /// Has the scope of a name decide an op as it stands.
    pub fn submit(&self, name: &Name, op: Op) -> Result<(), String> {
        let snapshot = self.store.latest();
        let place = find(snapshot.as_ref(), &self.setup_apexes(), name).unwrap();
        let apexes = self.setup_apexes();
        let plan = (vec![op], Vec::new());
        let proposing = self.changes.propose(&apexes, &place.scope_name, plan, "");
        said(self.runtime.block_on(proposing))
    }

    pub fn put(&self, name: &Name, kind: RecordType, data: &[&str]) -> Result<(), String> {
        let records = data
            .iter()
            .map(|text| Rdata::parse(kind, text, &Name::root()).unwrap())
            .collect();
        let set = RecordSet::new(kind, TTL, records).unwrap();
        self.change(name, SetChange::Put(set), false)
    }

    pub fn remove(&self, name: &Name, kind: RecordType) -> Result<(), String> {
        self.change(name, SetChange::Remove(kind), true)
    }

    fn change(&self, name: &Name, change: SetChange, may_empty: bool) -> Result<(), String> {
        let put = Put {
            changes: vec![change],
            if_version: None,
            may_empty,
            note: String::new(),
        };
        let apexes = self.setup_apexes();
        let putting = self.changes.put(&apexes, name, put);
        said(self.runtime.block_on(putting))
    }

    pub fn rename(&self, from: &Name, to: &Name, subtree: bool) -> Result<(), String> {
        let apexes = self.setup_apexes();
        let renaming = self.changes.rename(&apexes, (from, to), subtree, "");
        said(self.runtime.block_on(renaming))
    }

    pub fn relocate(&self, from: &Name, to: &Name) -> Result<(), String> {
        let apexes = self.setup_apexes();
        let moving = self.changes.relocate(&apexes, (from, to), "");
        said(self.runtime.block_on(moving))
    }

    pub fn retire(&self, name: &Name) -> Result<(), String> {
        let apexes = self.setup_apexes();
        let retiring = self.changes.retire(&apexes, name, None, "");
        said(self.runtime.block_on(retiring))
    }

    pub fn set_policy(&self, scope: &Name, policy: Policy) -> Result<(), String> {
        let apexes = self.setup_apexes();
        let reform = Reform::Policy(Box::new(policy));
        let setting = self.changes.reform(&apexes, scope, (reform, None), "");
        said(self.runtime.block_on(setting))
    }

    /// Serves zone text as the zone `origin`.
    pub fn add_zone(&mut self, origin: &Name, text: &str) {
        let data = zonefile::load("test", text.as_bytes(), origin, &NoIncludes)
            .unwrap_or_else(|findings| panic!("{findings:?}"));
        let zone = Zone::new(data.origin, data.sets).unwrap();
        self.zones.insert(origin.clone(), Arc::new(zone));
        self.reload();
    }

    /// The head of the entry bound at a name.
    pub fn head(&self, name: &Name) -> Option<Version> {
        let snapshot = self.store.latest();
        let place = find(snapshot.as_ref(), &self.setup_apexes(), name).ok()?;
        match snapshot.slot(place.scope.no, &place.path).ok()??.entry {
            Some(Entry::Bound(version)) => Some(version),
            _ => None,
        }
    }

    /// Asks over the wire format, and what legacy DNS was asked on the way.
    pub fn ask(&self, ask: &Ask) -> Vec<String> {
        drop(self.legacy.take_asked());
        let responder = Responder::new(Arc::clone(&self.resolver));
        let from = SocketAddr::new(ask.from, 5_353);
        let bytes = ask.to_bytes();
        let reply = match responder.begin(&bytes, from, Transport::Tcp) {
            Reply::None => panic!("no reply to {ask:?}"),
            Reply::Ready(bytes) => bytes,
            Reply::Later(later) => self
                .runtime
                .block_on(responder.finish(*later, from))
                .expect("a reply"),
        };
        let mut lines = wire::lines(&reply);
        for asked in self.legacy.take_asked() {
            lines.push(format!("asked {} {}", asked.name, asked.kind));
        }
        lines
    }

    /// What questions over the wire format are answered with.
    pub fn responder(&self) -> Responder<TestParts<S>> {
        Responder::new(Arc::clone(&self.resolver))
    }

    /// Lets the timer that looks at waiting proposals go off once.
    pub fn ripen(&self) {
        self.runtime.block_on(self.changes.ripen()).unwrap();
    }

    /// The scope of this name.
    pub fn scope(&self, name: &Name) -> ScopeUid {
        let snapshot = self.store.latest();
        let place = find(snapshot.as_ref(), &self.setup_apexes(), name).unwrap();
        assert!(place.path.is_empty(), "{name} is no scope");
        place.scope.uid
    }

    /// How fresh a scope is from now on; all others are.
    pub fn overdue(&self, scope: &str, freshness: Freshness) {
        let scope = self.scope(&scope.parse().unwrap());
        let due = (freshness, Timestamp::from_millis(0));
        let is_due = freshness != Freshness::Fresh;
        let overdue = is_due.then_some((scope, due)).into_iter().collect();
        self.resolver.freshness().publish(overdue);
    }

    /// What answers are made from now.
    pub fn standing(&self) -> Standing {
        self.resolver.standing()
    }

    /// Takes what the node does to its end.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Where devices have shown themselves.
    pub fn presences(&self) -> Arc<PresenceTable> {
        self.resolver.presences()
    }

    /// What the pipeline comes to before legacy DNS is asked.
    pub fn first_step(&self, question: &str) -> Step {
        let setup = self.resolver.setup();
        let snapshot = self.store.latest();
        let realm = Realm {
            view: snapshot.as_ref(),
            apexes: &setup.apexes,
            zones: &setup.zones,
            rules: &setup.rules,
            routes: &setup.routes,
            designated: &setup.designated,
            presences: None,
            services: &NoServices,
            loads: None,
            asks_peers: false,
        };
        let question = question_from(&question_of(question));
        start(&realm, question, &mut Trail::off()).unwrap()
    }

    /// The steps that led to the answer, a line each.
    pub fn explain(&self, ask: &Ask) -> Vec<String> {
        let mut trail = Trail::on();
        if let Begun::Pending(pending) = self.resolver.begin(question_from(ask), &mut trail) {
            self.runtime
                .block_on(self.resolver.finish(pending, &mut trail));
        }
        trail.steps().iter().map(ToString::to_string).collect()
    }
}

impl<S: Store> Drop for World<S> {
    fn drop(&mut self) {
        // The writer ends with the last governor, which `changes` holds; nobody waits for it.
        drop(self.writer.take());
    }
}

fn question_from(ask: &Ask) -> Question {
    Question {
        name: ask.name.clone(),
        kind: ask.kind,
        recursion_desired: ask.recursion_desired,
        dnssec_ok: ask.dnssec_ok,
        checking_disabled: ask.checking_disabled,
        caller: Some(ask.from),
        transport: Some(predicate::Transport::Udp),
        time: Some(Timestamp::from_millis(0)),
        devices: Vec::new(),
        key: None,
        certificate: None,
        may_recurse: true,
    }
}

fn said<E: std::fmt::Display>(result: Result<Done, E>) -> Result<(), String> {
    match result {
        Ok(Done::Waits { lacks, .. }) => Err(lacks.to_string()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn setup(apexes: Vec<Apex>) -> Setup {
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Setup {
        designated: Vec::new(),
        apexes,
        zones: BTreeMap::new(),
        rules: Rules::default(),
        routes: Vec::new(),
        access: Access {
            query: nets(&["0.0.0.0/0", "::/0"]),
            recurse: nets(&["127.0.0.0/8", "10.0.0.0/8"]),
        },
        deadline_ms: 4_500,
        presence_secs: 900,
        forwards: true,
    }
}
