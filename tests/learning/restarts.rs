//! What was proven is kept on the disk, and used again after a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kedge::adapters::storage::{FloorFile, ProofFile};
use kedge::base::canonical::Form;
use kedge::base::digest::Digest;
use kedge::index::proof::{KeptProofs, KeptScope, KeptSlot, Lineage, Part, Unreadable};
use kedge::namespace::path::NamePath;
use kedge::namespace::scope::ScopeUid;
use kedge::service::learner::{FRESH_MS, ProofStore, STALE_MS_MAX, Unwritten};
use kedge::service::ports::FloorStore as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::network::{Manner, Network};
use crate::support::World;
use crate::{API, Far, TREE};

/// Stale; and nobody says whether the entry has instances, which no proof shows.
const STALE: [&str; 4] = [
    API[0],
    "api.eu.mesh.internal. 30 A 10.1.0.10",
    "ede 0",
    "ede 3",
];
const NOTHING: [&str; 2] = ["SERVFAIL ra", "ede 22"];

impl Far {
    fn keep_in(&self, store: Arc<dyn ProofStore>) {
        self.here.learner().keep_in(store, 0);
    }

    /// Writes down what is to be written.
    fn write(&self) {
        let stop = CancellationToken::new();
        stop.cancel();
        let learner = Arc::clone(self.here.learner());
        self.here.wait(learner.keep_proofs(stop));
    }

    /// The same node after a restart, in the dark if told so.
    fn restarted(mut self, store: impl FnOnce() -> Arc<dyn ProofStore>, is_dark: bool) -> Self {
        self.write();
        let manner = if is_dark {
            Manner::Dark
        } else {
            Manner::Honest
        };
        self.network.set(0, manner);
        self.network.set(1, manner);
        self.network.take_asked();
        let network = Arc::<Network>::clone(&self.network);
        let here = World::far_from(&self.talk.world, self.talk.world.apexes(), network);
        drop(std::mem::replace(&mut self.here, here));
        let far = self;
        far.keep_in(store());
        far
    }
}

fn file(home: &TempDir) -> Arc<dyn ProofStore> {
    let (file, has_failed) = ProofFile::open(&home.path().join("proofs.redb"));
    assert!(!has_failed);
    Arc::new(file)
}

#[test]
fn a_node_that_starts_in_the_dark_answers_what_it_knew_for_a_day() {
    let (far, home) = (Far::new(TREE), TempDir::new().unwrap());
    far.keep_in(file(&home));
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    assert_eq!(far.ask("nope.eu.mesh.internal.")[0], "NXDOMAIN aa ra");
    let deep = far.ask("ledger.payments.eu.mesh.internal.");
    far.write();
    let written = far.here.learner().kept_stats().written;
    assert!(written >= 5, "{written}");
    let far = far.restarted(|| file(&home), true);
    assert_eq!(far.ask("api.eu.mesh.internal."), STALE);
    let absent = far.ask("nope.eu.mesh.internal.");
    assert_eq!((&*absent[0], &*absent[2]), ("NXDOMAIN aa ra", "ede 19"));
    let again = far.ask("ledger.payments.eu.mesh.internal.");
    assert_eq!(again[1], deep[1].replace(" 60 ", " 30 "));
    assert_eq!(far.ask("www.us.mesh.internal."), NOTHING);
    let stats = far.here.learner().kept_stats();
    assert_eq!((stats.restored >= 3, stats.refused), (true, 0));
    far.here.clock.pass_secs((FRESH_MS + STALE_MS_MAX) / 1_000);
    assert_eq!(far.ask("api.eu.mesh.internal."), NOTHING);
}

#[test]
fn what_is_kept_is_fresh_once_somebody_says_that_it_did_not_go_on() {
    let (far, home) = (Far::new(TREE), TempDir::new().unwrap());
    far.keep_in(file(&home));
    for name in ["api.eu.mesh.internal.", "b.wild.eu.mesh.internal."] {
        far.ask(name);
    }
    let far = far.restarted(|| file(&home), false);
    // One proof for the scopes; the other name needs none.
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    assert!(far.network.take_asked() > 0);
    let wild = ["NOERROR aa ra", "b.wild.eu.mesh.internal. 60 A 10.1.0.11"];
    assert_eq!(far.ask("b.wild.eu.mesh.internal."), wild);
    assert_eq!(far.network.take_asked(), 0);
}

#[test]
fn no_clock_makes_what_is_kept_fresh() {
    for seconds in [0, 86_000] {
        let (far, home) = (Far::new(TREE), TempDir::new().unwrap());
        far.keep_in(file(&home));
        far.here.clock.pass_secs(200_000);
        assert_eq!(far.ask("api.eu.mesh.internal."), API);
        let far = far.restarted(|| file(&home), true);
        far.here.clock.go_back_secs(seconds);
        assert_eq!(far.ask("api.eu.mesh.internal."), STALE, "{seconds}");
        far.here.clock.pass_secs(seconds);
        assert_eq!(far.ask("api.eu.mesh.internal."), STALE, "{seconds}");
    }
}

#[test]
fn a_name_outlasts_that_its_scope_goes_on() {
    let (mut far, home) = (Far::new(TREE), TempDir::new().unwrap());
    far.keep_in(file(&home));
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    for command in [
        "PUT other.eu.mesh.internal. A 10.1.0.1",
        "PUT top.mesh.internal. A 10.1.0.2",
    ] {
        far.talk.then(command);
        far.announce();
        far.ask("other.eu.mesh.internal.");
        far.ask("top.mesh.internal.");
    }
    let far = far.restarted(|| file(&home), true);
    assert_eq!(far.ask("api.eu.mesh.internal."), STALE);
    let other = far.ask("other.eu.mesh.internal.");
    assert_eq!(other[1], "other.eu.mesh.internal. 30 A 10.1.0.1");
}

#[test]
fn an_old_disk_brings_nothing_back_that_was_overtaken() {
    let (mut far, home) = (Far::new(TREE), TempDir::new().unwrap());
    far.keep_in(file(&home));
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.write();
    let path = |name: &str| home.path().join(name);
    std::fs::copy(path("proofs.redb"), path("old.redb")).unwrap();
    far.talk.then("PUT api.eu.mesh.internal. A 10.1.0.99");
    far.announce();
    let changed = far.ask("api.eu.mesh.internal.");
    assert_eq!(changed[1], "api.eu.mesh.internal. 60 A 10.1.0.99");
    let stop = CancellationToken::new();
    stop.cancel();
    let floors = FloorFile::open(&path("learned.redb")).unwrap();
    let learner = Arc::clone(far.here.learner());
    far.here.wait(learner.keep_floors(floors, stop));
    let old = || -> Arc<dyn ProofStore> { Arc::new(ProofFile::open(&path("old.redb")).0) };
    let far = far.restarted(old, true);
    let floors = FloorFile::open(&path("learned.redb")).unwrap();
    far.here.learner().remember(floors.load().unwrap());
    assert_eq!(far.ask("api.eu.mesh.internal."), NOTHING);
}

#[test]
fn what_is_old_makes_room() {
    let (far, home) = (Far::new(TREE), TempDir::new().unwrap());
    let path = home.path().join("proofs.redb");
    let store: Arc<dyn ProofStore> = Arc::new(ProofFile::bounded(&path, 12_000).0);
    far.keep_in(store);
    let mut largest = 0;
    for number in 0..100 {
        far.ask(&format!("n{number}.eu.mesh.internal."));
        far.write();
        largest = std::fs::metadata(&path).unwrap().len().max(largest);
    }
    assert!(largest < 2_000_000, "{largest}");
    let far = far.restarted(|| file(&home), true);
    assert_eq!(far.ask("n99.eu.mesh.internal.")[0], "NXDOMAIN aa ra");
    assert_eq!(far.ask("n0.eu.mesh.internal."), NOTHING);
}

/// By table and key.
type Bytes = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// Rows in memory, of which one byte can be another one.
#[derive(Default)]
struct Rows {
    rows: Mutex<Bytes>,
    /// The row and the byte.
    bent: (AtomicUsize, AtomicUsize),
}

impl Rows {
    fn put<T: Form>(&self, kind: u8, key: Vec<u8>, row: &T) {
        self.rows
            .lock()
            .unwrap()
            .insert((kind, key), row.to_bytes());
    }

    fn read<T: Form>(&self, kind: u8, key: Vec<u8>) -> Result<Option<T>, Unreadable> {
        let rows = self.rows.lock().unwrap();
        let Some(index) = rows.keys().position(|held| *held == (kind, key.clone())) else {
            return Ok(None);
        };
        let mut bytes = rows[&(kind, key)].clone();
        if index == self.bent.0.load(Ordering::SeqCst) {
            let at = self.bent.1.load(Ordering::SeqCst);
            bytes[at] ^= 1;
        }
        let read = T::from_bytes(&bytes).map(Some);
        read.map_err(|error| Unreadable(Box::new(error)))
    }

    fn lengths(&self) -> Vec<usize> {
        self.rows.lock().unwrap().values().map(Vec::len).collect()
    }

    fn bend(&self, row: usize, byte: usize) {
        self.bent.0.store(row, Ordering::SeqCst);
        self.bent.1.store(byte, Ordering::SeqCst);
    }
}

fn key(scope: &ScopeUid, rest: &[u8]) -> Vec<u8> {
    [scope.digest().as_bytes(), rest].concat()
}

impl KeptProofs for Rows {
    fn scope(&self, scope: &ScopeUid) -> Result<Option<KeptScope>, Unreadable> {
        self.read(0, key(scope, &[]))
    }

    fn lineage(&self, scope: &ScopeUid, head: &Digest) -> Result<Option<Lineage>, Unreadable> {
        self.read(1, key(scope, head.as_bytes()))
    }

    fn slot(&self, scope: &ScopeUid, path: &NamePath) -> Result<Option<KeptSlot>, Unreadable> {
        self.read(2, key(scope, path.as_bytes()))
    }
}

impl ProofStore for Rows {
    fn write(&self, parts: &[Part], scopes: &[KeptScope]) -> Result<(), Unwritten> {
        for part in parts {
            self.put(1, key(&part.scope, part.head.as_bytes()), &part.lineage);
            for (path, slot) in &part.slots {
                self.put(2, key(&part.scope, path.as_bytes()), slot);
            }
        }
        for kept in scopes {
            self.put(0, key(&kept.scope, &[]), kept);
        }
        Ok(())
    }
}

#[test]
fn no_byte_on_the_disk_makes_another_answer() {
    let far = Far::new(TREE);
    let rows = Arc::new(Rows::default());
    rows.bend(usize::MAX, 0);
    let kept = || -> Arc<dyn ProofStore> { Arc::<Rows>::clone(&rows) };
    far.keep_in(kept());
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    let mut far = far.restarted(kept, true);
    assert_eq!(far.ask("api.eu.mesh.internal."), STALE);
    let (mut held, mut refused) = (0, 0);
    for (row, length) in rows.lengths().into_iter().enumerate() {
        // Every seventh byte, from another one on in each row.
        for byte in (row % 7..length).step_by(7) {
            rows.bend(row, byte);
            far = far.restarted(kept, true);
            let said = far.ask("api.eu.mesh.internal.");
            if said == STALE {
                held += 1;
            } else {
                assert_eq!(said, NOTHING, "row {row}, byte {byte}");
                refused += 1;
            }
        }
    }
    // Who proved it, and when, is this node's own word.
    assert!(refused > 10 * held, "{held} of {refused}");
}
