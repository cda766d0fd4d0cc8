//! Other nodes, from the configuration to what runs.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::clock::SystemClock;
use crate::adapters::keys::files::{KeyFileError, Passphrase, load_key, write_key};
use crate::adapters::peers::PeerEndpoint;
use crate::adapters::randomness::SystemRandomness;
use crate::adapters::storage::{BeaconFile, FloorFile, Found, OrderingFile, ProofFile, RedbStore};
use crate::base::keys::{PublicKey, SecretKey};
use crate::base::time::Timestamp;
use crate::config::Config;
use crate::governance::beacon::TakenBack;
use crate::index::freshness::Freshness;
use crate::index::journey::{Journey, Side, Stage};
use crate::index::recovery::announced_of;
use crate::index::replica::Fork;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::Row;
use crate::replication::wire::WIRE_VERSIONS;
use crate::service::beacons::{Beacons, Report};
use crate::service::council::{Chair, Council, Quarantine};
use crate::service::governor::{Governor, Writer};
use crate::service::keyring::Keyring;
use crate::service::learner::Learner;
use crate::service::leases::{Leases, Sharing};
use crate::service::ports::{
    BeaconStore as _, Clock, FloorStore as _, Level, OrderingStore as _, PeerNetwork, PeerRequests,
    PeerStanding, Randomness as _, Store as _, Symptom,
};
use crate::service::replicator::{Replicator, Standing};
use crate::service::resolver::Resolver;

use super::Production;
use super::assemble::StartError;

/// The endpoint of a node that serves, once it is open.
pub(super) type OpenPeers = Arc<OnceLock<Arc<PeerEndpoint>>>;

/// The key by which other nodes know this one, which is none of those that vote. It is made when it
/// is first needed.
pub fn node_key(config: &Config) -> Result<SecretKey, KeyFileError> {
    let passphrase = config.keys.passphrase_file.as_deref();
    let passphrase = passphrase.map(Passphrase::read).transpose()?;
    let path = config.node_key_path();
    if is_missing(&path) {
        let key = SecretKey::from_seed(&SystemRandomness.seed());
        write_key(&path, &key, passphrase.as_ref())?;
        return Ok(key);
    }
    load_key(&path, passphrase.as_ref())
}

fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

/// What follows scopes of other nodes.
#[derive(Debug, Clone)]
pub struct Following {
    pub(super) replicator: Arc<Replicator<Production>>,
    /// The peers, once they can be reached.
    pub(super) peers: OpenPeers,
    /// Rung when there may be new blocks.
    committed: Arc<Notify>,
    pub(super) council: Council,
    learner: Arc<Learner>,
    sharing: Arc<Sharing<RedbStore>>,
    pub(super) beacons: Arc<Beacons<Production>>,
}

type NodeWriter = Writer<RedbStore, SystemClock>;

/// What has anchors decide together in a real node.
pub type NodeChair = Chair<RedbStore, SystemClock, OrderingFile>;

impl Following {
    /// Follows what the store says, and is told by the writer.
    pub(super) fn new(
        config: &Config,
        store: &Arc<RedbStore>,
        (governor, keyring): (&Governor, &Arc<Keyring>),
        (writer, resolver, leases): (NodeWriter, &Resolver<Production>, &Leases),
    ) -> Result<(Self, NodeWriter, NodeChair), StartError> {
        let committed = Arc::new(Notify::new());
        let (council, jobs) = Council::new(Arc::clone(keyring));
        let writer = writer
            .with_notice(Arc::clone(&committed))
            .with_council(council.clone());
        let found = Found {
            is_index_new: store.latest().scope_count()? == 0,
            instance: SystemRandomness.seed(),
            now: SystemClock.now(),
        };
        let journal = OrderingFile::open(&config.ordering_path(), &found)?;
        // Before anything can be sealed.
        for (scope, height) in journal.signed()? {
            council.begin(scope, height);
            let kept = journal.load(&scope, height);
            if !kept.is_ok_and(|kept| !kept.rows.iter().any(Row::is_precommit)) {
                council.precommit(scope, height);
            }
        }
        let chair = Chair::new(
            (council.clone(), jobs),
            Arc::clone(store),
            governor.clone(),
            (SystemClock, journal),
        );
        let learner = resolver.learner();
        let others = (council.clone(), Arc::clone(learner));
        let beacons = Arc::new(Beacons::new(
            Arc::clone(store),
            (Arc::clone(keyring), council.clone()),
            SystemClock,
            config.freshness,
            Arc::clone(resolver.freshness()),
        ));
        let sharing = Arc::new(Sharing::new(leases.clone(), Arc::clone(store)));
        let replicator = Replicator::new(Arc::clone(store), governor.clone(), SystemClock, others)
            .with_sharing(Arc::clone(&sharing))
            .with_beacons(Arc::clone(&beacons));
        let following = Self {
            replicator: Arc::new(replicator),
            peers: OpenPeers::default(),
            committed,
            council,
            learner: Arc::clone(learner),
            sharing,
            beacons,
        };
        Ok((following, writer, chair))
    }
}

/// Uses the sockets for peers, if the configuration has any or listens for some, and follows what is
/// followed.
pub(super) fn open(
    config: &Config,
    (following, listen): (Following, Vec<UdpSocket>),
    (tasks, stop): (&TaskTracker, &CancellationToken),
    say: &impl Fn(&str),
) -> Result<(), StartError> {
    let plan = &config.peers;
    // Also without peers: what nobody can be asked about becomes stale.
    let beacons = Arc::clone(&following.beacons);
    let said = Arc::new(BeaconFile::open(&config.beacons_path())?);
    beacons.remember(said.load()?);
    tasks.spawn(Arc::clone(&beacons).run(tasks.clone(), stop.clone()));
    tasks.spawn(Arc::clone(&beacons).keep(Arc::clone(&said), stop.clone()));
    if !plan.is_open() {
        return Ok(());
    }
    tasks.spawn(beacons.shine(said, stop.clone()));
    let key = node_key(config)?;
    let floors = FloorFile::open(&config.learned_path())?;
    following.learner.remember(floors.load()?);
    let (proofs, has_failed) = ProofFile::open(&config.proofs_path());
    let proofs = Arc::new(proofs);
    following.learner.keep_in(proofs, u64::from(has_failed));
    let Following {
        replicator,
        peers,
        committed,
        council,
        learner,
        sharing,
        beacons: _,
    } = following;
    let requests: Weak<Replicator<Production>> = Arc::downgrade(&replicator);
    let requests: Weak<dyn PeerRequests> = requests;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let endpoint = PeerEndpoint::open((plan, listen), &key, (requests, clock), (tasks, stop))?;
    for address in endpoint.ourselves().addresses {
        say(&format!("listening on {address} (peers)"));
    }
    let network: Arc<dyn PeerNetwork> = Arc::<PeerEndpoint>::clone(&endpoint);
    council.connect(Arc::clone(&network));
    learner.connect(Arc::clone(&network));
    let table = sharing.table();
    tasks.spawn(super::leases::measure(
        table,
        Arc::clone(&network),
        stop.clone(),
    ));
    sharing.connect(network);
    drop(peers.set(endpoint));
    tasks.spawn(Arc::clone(&replicator).run(tasks.clone(), stop.clone()));
    tasks.spawn(replicator.announce(committed, stop.clone()));
    tasks.spawn(Arc::clone(&learner).keep_floors(floors, stop.clone()));
    tasks.spawn(Arc::clone(&learner).keep_proofs(stop.clone()));
    tasks.spawn(learner.keep(stop.clone()));
    tasks.spawn(Arc::clone(&sharing).run(tasks.clone(), stop.clone()));
    tasks.spawn(sharing.tell(stop.clone()));
    Ok(())
}

/// That other anchors will take over a scope is for everybody to know, while its own can object.
pub(super) fn look_at_recovery<V: IndexView>(
    view: &V,
    state: &ScopeState,
    what: &str,
) -> Result<Option<Symptom>, V::Error> {
    let Some(said) = announced_of(view, state)? else {
        return Ok(None);
    };
    let message = format!(
        "the scope above announced that other anchors take over, from {} on",
        said.due
    );
    let hint = "any change by the scope's own anchors is their veto; `kedge scope recovery show`";
    Ok(Some(Symptom {
        level: Level::Warn,
        what: what.to_owned(),
        message,
        hint: Some(hint.to_owned()),
    }))
}

/// How a peer is.
pub(super) fn look_at_peer(peer: &PeerStanding) -> Symptom {
    let newest = WIRE_VERSIONS.first().copied();
    let is_older = peer.version.is_some() && peer.version < newest;
    let ok = peer.is_connected && peer.complaints == 0 && !is_older;
    let mut parts = vec![if peer.is_connected {
        "connected".to_owned()
    } else {
        "not connected".to_owned()
    }];
    if let Some(error) = peer.last_error.as_ref().filter(|_| !ok) {
        parts.push(error.clone());
    }
    if peer.complaints > 0 {
        parts.push(format!("{} complaint(s)", peer.complaints));
    }
    if let (Some(version), Some(newest)) = (peer.version.filter(|_| is_older), newest) {
        parts.push(format!(
            "its program is an older one, {}: version {version} is spoken with it, not {newest}",
            peer.software
        ));
    }
    let hint = if is_older {
        "upgrade it; docs/NODES.md says what it is not asked until then"
    } else {
        "`kedge nodes` shows how peers do"
    };
    Symptom {
        level: if ok { Level::Ok } else { Level::Warn },
        what: format!("peer {}", peer.name),
        message: parts.join("; "),
        hint: (!ok).then(|| hint.to_owned()),
    }
}

/// An entry that left and did not arrive answers nowhere.
pub(super) fn look_at_move(journey: &Journey) -> Option<Symptom> {
    if (journey.side, journey.stage) != (Side::Leaves, Stage::Left) {
        return None;
    }
    let wish = journey.petition.unverified();
    let said = match journey.said.as_str() {
        "" => "the other node has not taken it yet",
        said => said,
    };
    Some(Symptom {
        level: Level::Warn,
        what: format!("move {}", journey.key().1.short()),
        message: format!(
            "entry {} left for scope {}: {said}",
            wish.uid,
            wish.to.short()
        ),
        hint: Some("`kedge move list` there and here shows why".to_owned()),
    })
}

/// How a scope that is followed is.
pub(super) fn look_at_mirror(
    what: String,
    (standing, report): (&Standing, Option<&Report>),
    (height, live): (u64, u64),
) -> Symptom {
    let freshness = report.and_then(|report| report.freshness);
    let level = match (freshness, &standing.error) {
        (Some(Freshness::Expired), _) => Level::Fail,
        (Some(Freshness::Stale), _) | (_, Some(_)) => Level::Warn,
        _ => Level::Ok,
    };
    let mut parts = vec![match &standing.error {
        None => format!("a mirror at height {height}, {live} entries"),
        Some(error) => format!("a mirror at height {height} that cannot go on: {error}"),
    }];
    if let Some(report) = report
        && let Some(freshness) = freshness.filter(|is| *is != Freshness::Fresh)
    {
        let last = report.confirmed.map(|time| time.to_string());
        let last = last.unwrap_or_else(|| "never".to_owned());
        parts.push(format!(
            "{freshness}, confirmed by its anchors last: {last}"
        ));
        let ahead = report.findings.ahead.iter();
        parts.extend(ahead.map(|ahead| format!("an anchor holds height {ahead}")));
    }
    let hint = match level {
        Level::Ok => None,
        Level::Warn => {
            Some("answers go on as it is; `kedge mirror` and `kedge nodes` show why".to_owned())
        }
        Level::Fail => Some(
            "it is not served before its anchors are heard; [freshness] expire-secs says when"
                .to_owned(),
        ),
    };
    Symptom {
        level,
        what,
        message: parts.join("; "),
        hint,
    }
}

/// An anchor that takes back what it said, for ever.
pub(super) fn look_at_taken_back(taken: &TakenBack) -> Symptom {
    let (first, then) = (&taken.first, &taken.then);
    let (a, b) = (&first.placed.sight, &then.placed.sight);
    Symptom {
        level: Level::Fail,
        what: format!("anchor {}", first.beacon.unverified().anchor.short()),
        message: format!(
            "it takes back what it said of scope {}: at {} that it holds height {} ({}), at {} height {} ({})",
            a.scope.short(),
            first.beacon.unverified().time,
            a.height,
            a.head.short(),
            then.beacon.unverified().time,
            b.height,
            b.head.short(),
        ),
        hint: Some(
            "its node was restored from a backup, or its key is in two places: find out which"
                .to_owned(),
        ),
    }
}

/// An anchor whose clock is ahead.
pub(super) fn look_at_ahead((anchor, time): (PublicKey, Timestamp)) -> Symptom {
    Symptom {
        level: Level::Warn,
        what: format!("anchor {}", anchor.short()),
        message: format!("its beacons are not taken: the last one was of {time}, in the future"),
        hint: Some("set the clock of its node, or of this one".to_owned()),
    }
}

/// A scope of other nodes whose anchors contradict themselves.
pub(super) fn look_at_frozen((scope, height): (ScopeUid, u64)) -> Symptom {
    Symptom {
        level: Level::Fail,
        what: format!("scope {}", scope.short()),
        message: format!(
            "it is not held here, and forked: two blocks of height {height} have certificates; the \
             first that was proven is served as stale"
        ),
        hint: Some("its anchors signed twice, or their keys are in two places".to_owned()),
    }
}

/// A scope that this node decides no more until it starts again.
pub(super) fn look_at_quarantine(what: String, quarantine: &Quarantine) -> Symptom {
    Symptom {
        level: Level::Fail,
        what,
        message: format!("anchors here decide nothing in it: {quarantine}"),
        hint: Some(
            "restart the node, and report what it logged; answers and other scopes go on"
                .to_owned(),
        ),
    }
}

/// A scope that anchors here do not vote in, since they may have voted already.
pub(super) fn look_at_concern(what: String, concern: String) -> Symptom {
    Symptom {
        level: Level::Warn,
        what,
        message: concern,
        hint: Some(
            "it ends by itself if the other anchors can decide; `kedge anchor rotate` if somebody else \
             has the key; docs/OPERATIONS.md, \"An old disk\""
                .to_owned(),
        ),
    }
}

/// A fork, for ever.
pub(super) fn look_at_fork(what: String, fork: &Fork) -> Symptom {
    let (held, other) = fork.blocks();
    let from = fork.from.short();
    Symptom {
        level: Level::Fail,
        what,
        message: format!(
            "it forked at height {}: {held} is held, {other} came from peer {from}, and both have \
             certificates; it is frozen",
            fork.height()
        ),
        hint: Some(
            "its anchors signed twice, or their keys are in two places: find out which one holds"
                .to_owned(),
        ),
    }
}
