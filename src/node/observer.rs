//! `Observer`: the node as monitoring sees it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use arc_swap::ArcSwap;
use ipnet::IpNet;

use crate::adapters::clock::SystemClock;
use crate::adapters::dns::Connections;
use crate::base::time::Timestamp;
use crate::config::Config;
use crate::index::freshness::Freshness;
use crate::index::view::IndexView as _;
use crate::service::governor::Health;
use crate::service::leases::Leases;
use crate::service::observation::{NotNow, Observation};
use crate::service::ports::{Clock as _, Store as _};
use crate::service::query_log::QueryLog;
use crate::service::resolver::{Resolver, error_chain};
use crate::telemetry::exposition::Exposition;

use super::Production;
use super::metrics;
use super::peers::Following;

/// Networks whose monitoring may look; replaced by a reload.
pub(super) type ObserveClients = Arc<ArcSwap<Vec<IpNet>>>;

/// How far a node has come.
const STARTING: u8 = 0;
const SERVING: u8 = 1;
const STOPPING: u8 = 2;

/// What is looked at.
pub(super) struct Observer {
    pub(super) resolver: Arc<Resolver<Production>>,
    pub(super) following: Following,
    pub(super) leases: Leases,
    pub(super) health: Health,
    pub(super) connections: Arc<Connections>,
    /// The files of the store, by what they are called.
    pub(super) files: Vec<(&'static str, PathBuf)>,
    pub(super) started: Timestamp,
    pub(super) query_log: QueryLog,
    clients: ObserveClients,
    state: AtomicU8,
}

/// What an observer shares with who changes it. It keeps no thread of the node running.
pub(super) struct Watched {
    /// Why the last change could not be written, if so.
    pub(super) health: Health,
    /// Who may look.
    pub(super) clients: ObserveClients,
    /// The query log.
    pub(super) query_log: QueryLog,
}

/// The parts that it looks at.
pub(super) type Seen = (Arc<Resolver<Production>>, Following, Leases);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    pub(super) fn new(
        config: &Config,
        (resolver, following, leases): Seen,
        watched: Watched,
        connections: Arc<Connections>,
    ) -> Self {
        let Watched {
            health,
            clients,
            query_log,
        } = watched;
        Self {
            resolver,
            following,
            leases,
            health,
            connections,
            files: vec![
                ("index", config.store_path()),
                ("leases", config.leases_path()),
                ("ordering", config.ordering_path()),
                ("moves", config.moves_path()),
                ("learned", config.learned_path()),
                ("proofs", config.proofs_path()),
                ("beacons", config.beacons_path()),
            ],
            started: SystemClock.now(),
            query_log,
            clients,
            state: AtomicU8::new(STARTING),
        }
    }

    /// Questions are answered from now on.
    pub(super) fn serves(&self) {
        self.state.store(SERVING, Ordering::Release);
    }

    /// No new ones are to come from now on.
    pub(super) fn stops(&self) {
        self.state.store(STOPPING, Ordering::Release);
    }

    /// Why questions are not answered as they should be; none if they are.
    fn obstacle(&self) -> Option<String> {
        match self.state.load(Ordering::Acquire) {
            STARTING => return Some("the node is starting".to_owned()),
            STOPPING => return Some("the node is stopping".to_owned()),
            _ => {}
        }
        let count = match self.resolver.store().latest().scope_count() {
            Ok(count) => u64::from(count),
            Err(error) => {
                return Some(format!("the store cannot be read: {}", error_chain(&error)));
            }
        };
        let expired = self.resolver.freshness().count(Freshness::Expired);
        (count > 0 && expired >= count)
            .then(|| format!("all of the {count} scope(s) that are held are expired"))
    }
}

impl Observation for Observer {
    fn admits(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.clients.load().iter().any(|net| net.contains(&from))
    }

    fn alive(&self) -> Result<(), NotNow> {
        // Who hears this was answered by the runtime that answers everything.
        Ok(())
    }

    fn ready(&self) -> Result<(), NotNow> {
        self.obstacle()
            .map_or(Ok(()), |why| Err(NotNow(format!("not ready: {why}"))))
    }

    fn metrics(&self) -> Result<String, NotNow> {
        let mut to = Exposition::default();
        metrics::write(self, self.obstacle().is_none(), &mut to).map_err(|error| {
            NotNow(format!("the store cannot be read: {}", error_chain(&error)))
        })?;
        Ok(to.into_text())
    }
}
