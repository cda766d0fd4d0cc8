//! A call of the admin API: the first line is the method and the path, the rest the body. Whatever
//! it says, the node answers, and never that it failed itself.

#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use kedge::adapters::clock::SystemClock;
use kedge::adapters::http::{Api, Via, router};
use kedge::adapters::keys::files::KeyFiles;
use kedge::adapters::legacy::sources::{SourcePlan, Sources};
use kedge::adapters::randomness::SystemRandomness;
use kedge::adapters::storage::{OpenOptions, RedbStore};
use kedge::index::held_lease::{KeptLease, LeaseChange};
use kedge::index::journey::Journey;
use kedge::index::place::held_apexes;
use kedge::node::Production;
use kedge::resolution::fallback::Rules;
use kedge::service::audit::Audit;
use kedge::service::callers::{Callers, Clients};
use kedge::service::changes::Changes;
use kedge::service::council::Council;
use kedge::service::devices::Devices;
use kedge::service::governor::Governor;
use kedge::service::keyring::Keyring;
use kedge::service::leases::{LeaseRules, Leases};
use kedge::service::legacy_cache::{CachedLegacy, LegacyCacheSettings};
use kedge::service::moves::Moves;
use kedge::service::ports::{
    JourneyChange, JourneyStore, LeaseStore, Operations, Spool, Store, Symptom, TokenStore,
    Verified,
};
use kedge::service::replicator::Replicator;
use kedge::service::resolver::Resolver;
use kedge::service::setup::{Access, Setup};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tower::ServiceExt;

struct Node {
    runtime: Runtime,
    router: Router,
}

/// What only a whole node can do is not what is tried here.
struct Nothing;

impl Operations for Nothing {
    fn reload(&self) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn verify(&self) -> Result<Verified, String> {
        Ok(Verified::default())
    }

    fn spool(&self) -> Result<Box<dyn Spool>, String> {
        Ok(Box::new(std::io::Cursor::new(Vec::new())))
    }

    fn doctor(&self) -> Vec<Symptom> {
        Vec::new()
    }
}

/// Leases are kept in memory only.
struct Forgetful;

impl LeaseStore for Forgetful {
    type Error = Infallible;

    fn load(&self) -> Result<Vec<KeptLease>, Infallible> {
        Ok(Vec::new())
    }

    fn write(&mut self, _: &[LeaseChange]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Journeys, too.
impl JourneyStore for Forgetful {
    fn load(&self) -> Result<Vec<Journey>, String> {
        Ok(Vec::new())
    }

    fn write(&self, _: &[JourneyChange]) -> Result<(), String> {
        Ok(())
    }
}

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let backend = redb::backends::InMemoryBackend::new();
    let store = RedbStore::with_backend(backend, OpenOptions::default()).expect("a store");
    let store = Arc::new(store);
    let keyring = Arc::new(Keyring::default());
    let (governor, writer) = Governor::new(Arc::clone(&store), Arc::clone(&keyring), SystemClock);
    std::thread::spawn(move || writer.run());
    let following = governor.clone();
    let keys = KeyFiles::new(std::env::temp_dir().join("kedge-fuzz-keys"), None);
    let changes: Changes<Production> = Changes::new(
        Arc::clone(&store),
        governor.clone(),
        keyring,
        (SystemRandomness, SystemClock),
        keys,
    );
    let apex = "mesh.internal.".parse().expect("a name");
    runtime
        .block_on(changes.found_apex(&apex, ""))
        .expect("a new apex");
    let setup = Setup {
        apexes: held_apexes(store.latest().as_ref()).expect("readable"),
        zones: Default::default(),
        rules: Rules::default(),
        routes: Vec::new(),
        designated: Vec::new(),
        access: Access {
            query: Vec::new(),
            recurse: Vec::new(),
        },
        deadline_ms: 100,
        presence_secs: 900,
        forwards: false,
    };
    let sources = Sources::new(SourcePlan::default(), |_| ()).expect("no upstreams");
    let legacy = CachedLegacy::new(sources, SystemClock, LegacyCacheSettings::default());
    let rules = LeaseRules {
        check: Vec::new(),
        local: true,
    };
    let opened = Leases::open(Arc::clone(&store), Forgetful, SystemClock, rules);
    let Ok((leases, keeper)) = opened;
    std::thread::spawn(move || keeper.run());
    let resolver = Resolver::new(Arc::clone(&store), setup, legacy).with_services(leases.table());
    let resolver = Arc::new(resolver);
    let parts = (SystemRandomness, SystemClock);
    let devices = Devices::new(store, governor, parts, resolver.presences(), Audit::off());
    let tokens: Arc<dyn TokenStore> = Arc::<RedbStore>::clone(resolver.store());
    let callers = Callers::load(tokens, SystemRandomness, Clients::new()).expect("no tokens");
    let callers = Arc::new(callers);
    let (council, _) = Council::new(Arc::new(Keyring::default()));
    let store = Arc::clone(resolver.store());
    let (changes, kept) = (Arc::new(changes), Arc::new(Forgetful));
    let parts = (council.clone(), SystemClock);
    let moves = Moves::new(Arc::clone(&store), Arc::clone(&changes), parts, kept);
    let moves = Arc::new(moves.expect("no journeys"));
    let others = (council, Arc::clone(resolver.learner()));
    let replicator = Replicator::new(store, following, SystemClock, others);
    let api = Api {
        resolver,
        changes,
        moves,
        devices,
        leases,
        callers,
        replicator: Arc::new(replicator),
        operations: Arc::new(Nothing),
    };
    Node {
        runtime,
        router: router(Arc::new(api)),
    }
});

fuzz_target!(|input: &[u8]| {
    let end = input
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(input.len());
    let Ok(line) = std::str::from_utf8(&input[..end]) else {
        return;
    };
    let Some((method, path)) = line.split_once(' ') else {
        return;
    };
    // A new scope, offer or anchor needs a key file: not here, where thousands would be written.
    let last = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    if matches!(last, "scopes" | "offers" | "anchors") && method != "GET" {
        return;
    }
    let body = input.get(end + 1..).unwrap_or_default().to_vec();
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .extension(Via::ourselves());
    let request = request.header("content-type", "application/json");
    let Ok(request) = request.body(Body::from(body)) else {
        return;
    };
    let response = NODE.runtime.block_on(NODE.router.clone().oneshot(request));
    let status = response
        .map(|response| response.status())
        .unwrap_or_default();
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
});
