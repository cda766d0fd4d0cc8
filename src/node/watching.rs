//! What monitoring asks, from the configuration to what runs. It outlives the listeners of DNS, so that
//! `/ready` says no while they end.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::http::{
    ApiListener, OBSERVE_PATIENCE, OBSERVE_ROOM, observe_calls, observe_router, serve_api,
};
use crate::adapters::service_manager::{Notice, ServiceManager};
use crate::service::observation::{NotNow, Observation};

use super::assemble::StartError;
use super::listeners::in_runtime;
use super::observer::Observer;
use super::sockets::TcpDoor;

/// The listeners of monitoring, and what they look at.
pub(super) struct Watching {
    pub(super) observer: Arc<Observer>,
    manager: Arc<ServiceManager>,
    stop: CancellationToken,
}

/// The observer as a connection sees it, which must not keep the node from ending.
struct Glance(Weak<Observer>);

impl Glance {
    fn look<T>(&self, look: impl FnOnce(&Observer) -> Result<T, NotNow>) -> Result<T, NotNow> {
        let gone = || NotNow("not ready: the node is stopping".to_owned());
        look(&*self.0.upgrade().ok_or_else(gone)?)
    }
}

impl Observation for Glance {
    fn admits(&self, from: IpAddr) -> bool {
        let observer = self.0.upgrade();
        observer.is_some_and(|observer| observer.admits(from))
    }

    fn alive(&self) -> Result<(), NotNow> {
        self.look(Observation::alive)
    }

    fn ready(&self) -> Result<(), NotNow> {
        self.look(Observation::ready)
    }

    fn metrics(&self) -> Result<String, NotNow> {
        self.look(Observation::metrics)
    }
}

/// Tells a service manager that the program goes on, as long as tasks are run at all.
async fn go_on_telling(manager: Arc<ServiceManager>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => manager.tell(Notice::Alive),
        }
    }
}

impl Watching {
    /// Answers monitoring from now on, though nothing else is answered yet.
    pub(super) fn begin(
        observer: Observer,
        listeners: Vec<TcpDoor>,
        say: &impl Fn(&str),
    ) -> Result<Self, StartError> {
        let manager = ServiceManager::of_environment().unwrap_or_else(|error| {
            tracing::warn!(%error, "NOTIFY_SOCKET names no socket; no service manager is told");
            ServiceManager::default()
        });
        let watching = Self {
            observer: Arc::new(observer),
            manager: Arc::new(manager),
            stop: CancellationToken::new(),
        };
        let tasks = TaskTracker::new();
        if let Some(every) = watching.manager.alive_every() {
            let manager = Arc::clone(&watching.manager);
            tasks.spawn(go_on_telling(manager, every, watching.stop.clone()));
        }
        for (address, listener) in listeners {
            say(&format!("metrics are at http://{address}/metrics"));
            let served = ApiListener {
                listener: in_runtime((address, listener))?,
                channel: None,
                router: observe_router(&watching.glance()),
                patience: OBSERVE_PATIENCE,
                room: OBSERVE_ROOM,
            };
            tasks.spawn(serve_api(served, tasks.clone(), watching.stop.clone()));
        }
        Ok(watching)
    }

    /// Says to everybody who watches that questions are answered.
    pub(super) fn serves(&self, say: &impl Fn(&str)) {
        self.observer.serves();
        self.manager.tell(Notice::Ready);
        say("ready");
    }

    /// Says that no new ones are to come.
    pub(super) fn stops(&self, say: &impl Fn(&str)) {
        self.observer.stops();
        self.manager.tell(Notice::Stopping);
        say("stopping");
    }

    /// The calls for whoever may call anything.
    pub(super) fn calls(&self) -> Router {
        observe_calls(self.glance())
    }

    /// Lets the listeners go.
    pub(super) fn over(self) {
        self.stop.cancel();
    }

    fn glance(&self) -> Arc<dyn Observation> {
        Arc::new(Glance(Arc::downgrade(&self.observer)))
    }
}
