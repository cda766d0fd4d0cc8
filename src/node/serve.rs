//! `serve`: sockets bound, everything run until a signal, and stopped in order.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::audit_file::AuditPath;
use crate::adapters::clock::SystemClock;
use crate::adapters::http::{Api, bind_admin, serve_admin};
use crate::adapters::storage::RedbStore;
use crate::config::Config;
use crate::service::audit::{Audit, Auditor, Event, Head};
use crate::service::governor::Writer;
use crate::service::ports::Operations;
use crate::service::prefetch::prefetch;
use crate::service::query_log::{QueryLog, QueryLogWriter};
use crate::service::resolver::Resolver;
use crate::service::setup::Setup;

use super::Production;
use super::assemble::{Node, StartError, assemble_with, open_query_log, secure};
use super::demo::{create_demo, is_new};
use super::designation::Listening;
use super::leases::{self, NodeKeeper};
use super::listeners::Listeners;
use super::observer::{Observer, Watched};
use super::peers::{self, NodeChair};
use super::sockets::{Sockets, listen_error};
use super::watching::Watching;

/// How long what is under way may take when the node stops; longer than any question's deadline
/// by default, shorter than a service manager's patience.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How late a proposal may take force after its delay, at most.
const RIPEN_EVERY: Duration = Duration::from_secs(1);

/// Runs a node until it is told to stop. `say` prints the lines that a person at the terminal
/// should see.
pub async fn serve(
    (config, source): (Config, Option<PathBuf>),
    sockets: Sockets,
    say: impl Fn(&str),
) -> Result<(), StartError> {
    // Signals first: one that comes during the start must not kill a half-made store.
    let signals = Signals::new().map_err(|source| listen_error("signals", source))?;
    let dns: Vec<SocketAddr> = sockets.dns.iter().map(|pair| pair.address).collect();
    let first = dns.first().copied();
    let listening = Listening::bound(dns, &sockets.streams);
    let channel = secure(&config)?;
    let node = assemble_with(&config, source, listening, channel.clone())?;
    let admin = bind_admin(&config.admin_socket)
        .map_err(|source| listen_error(&config.admin_socket.display().to_string(), source))?;
    let Node {
        resolver,
        responder,
        channels,
        api,
        router,
        writer,
        keeper,
        check_rules,
        auditor,
        following,
        watched,
        lines,
        chair,
        notices,
    } = node;
    let query_log = begun(&watched, &config)?;
    let council = following.council.clone();
    let workers = Workers::start(writer, keeper, chair, (auditor, lines))?;
    let audit = started(&resolver);
    first_start(&config, &api, &resolver, &say).await?;
    notices.iter().map(String::as_str).for_each(&say);
    let dns = Listeners::new(responder);
    let seen = (Arc::clone(&resolver), following.clone(), api.leases.clone());
    let observer = Observer::new(&config, seen, watched, Arc::clone(&dns.connections));
    let watching = Watching::begin(observer, sockets.observe, &say)?;
    dns.open(sockets.dns, &say)?;
    dns.open_streams(sockets.streams, channels.as_ref(), &config.http.rules, &say)?;
    dns.open_api(sockets.api, (channel.as_ref(), &router), &say)?;
    let peers = (following, sockets.peers);
    peers::open(&config, peers, (&dns.tasks, &dns.stop), &say)?;
    let Listeners {
        responder,
        tasks,
        under_way,
        stop,
        ..
    } = dns;
    let calls = router.merge(watching.calls());
    tasks.spawn(serve_admin(admin, calls, stop.clone()));
    go_on(&tasks, &api, &stop);
    tasks.spawn(prefetch(Arc::clone(&resolver), stop.clone()));
    leases::tend(&tasks, &api.leases, check_rules, &stop);
    watching.serves(&say);
    if let Some(address) = first.filter(|_| config.demo) {
        suggest(address, &resolver.setup(), &say);
    }
    signals.run(api.operations.as_ref(), &say).await;
    watching.stops(&say);
    stop.cancel();
    ended_within_patience([&tasks, &under_way]).await;
    watching.over();
    query_log.close();
    // With the last governor gone the writer commits what is queued and ends.
    drop((api, responder, resolver));
    council.over();
    workers.wind_down(&audit).await;
    Ok(())
}

/// The query log as configured.
fn begun(watched: &Watched, config: &Config) -> Result<QueryLog, StartError> {
    let query_log = watched.query_log.clone();
    query_log.replace(open_query_log(config)?);
    Ok(query_log)
}

/// Waits for what is under way, for a while.
async fn ended_within_patience(under_way: [&TaskTracker; 2]) {
    let ended = async {
        for tasks in under_way {
            tasks.close();
            tasks.wait().await;
        }
    };
    if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
        tracing::warn!("some questions were still waiting and are given up");
    }
}

/// Works on what waits in scopes, and between them.
fn go_on(tasks: &TaskTracker, api: &Arc<Api<Production>>, stop: &CancellationToken) {
    tasks.spawn(ripen(Arc::clone(api), stop.clone()));
    if let Some(network) = api.replicator.network() {
        api.moves.connect(Arc::clone(network));
    }
    tasks.spawn(Arc::clone(&api.moves).run(stop.clone()));
}

/// Lets proposals take force when their delay is over, and gives up those that expired.
async fn ripen(api: Arc<Api<Production>>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(RIPEN_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                if let Err(error) = api.changes.ripen().await {
                    tracing::error!(%error, "proposals that wait could not be looked at");
                }
            }
        }
    }
}

impl Workers {
    fn start(
        writer: Writer<RedbStore, SystemClock>,
        keeper: NodeKeeper,
        chair: NodeChair,
        (auditor, lines): (Option<Auditor<AuditPath, SystemClock>>, QueryLogWriter),
    ) -> Result<Self, StartError> {
        let auditor = auditor.map(|auditor| thread("auditor", move || auditor.run()));
        Ok(Self {
            writer: thread("governor", move || writer.run())?,
            keeper: thread("leases", move || keeper.run())?,
            chair: thread("council", move || chair.run())?,
            auditor: auditor.transpose()?,
            lines: thread("query log", move || lines.run())?,
        })
    }

    /// Lets the threads end: the writer of changes first, as the audit log holds what it does.
    async fn wind_down(self, audit: &Audit) {
        // It asks the writer.
        ended(self.chair, "council").await;
        ended(self.keeper, "leases").await;
        ended(self.writer, "governor").await;
        audit.note(Event::Stop);
        audit.close();
        if let Some(auditor) = self.auditor {
            ended(auditor, "auditor").await;
        }
        note_head(audit);
        ended(self.lines, "query log").await;
    }
}

/// The audit log, with the start in it.
fn started(resolver: &Resolver<Production>) -> Audit {
    let audit = resolver.audit().clone();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    audit.note(Event::Start { version });
    note_head(&audit);
    audit
}

/// The threads that work beside those of the runtime.
struct Workers {
    writer: Working,
    keeper: Working,
    chair: Working,
    auditor: Option<Working>,
    lines: Working,
}

/// A thread, and the word that it ended.
struct Working {
    thread: JoinHandle<()>,
    over: oneshot::Receiver<()>,
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Working, StartError> {
    let (running, over) = oneshot::channel();
    let run = move || {
        work();
        drop(running);
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(run);
    let thread = thread.map_err(|source| listen_error(&format!("the {name}'s thread"), source))?;
    Ok(Working { thread, over })
}

/// Waits for a thread to end. Somebody who still holds the admin API open in the middle of a call
/// must not keep the node from stopping: what a thread has to do then is done.
async fn ended(working: Working, name: &str) {
    if tokio::time::timeout(STOP_PATIENCE, working.over)
        .await
        .is_err()
    {
        tracing::warn!(name, "a call is still open; its thread is given up");
    } else if working.thread.join().is_err() {
        tracing::error!(name, "a thread panicked");
    }
}

/// The head of the audit log, for whoever keeps the log of the program elsewhere.
fn note_head(audit: &Audit) {
    let head = audit.state().and_then(|state| state.head);
    if let Some(Head {
        batches, digest, ..
    }) = head
    {
        tracing::info!(target: "kedge::audit", batches, head = %digest, "the audit log's head");
    }
}

/// A first start: the demo, if the configuration wants it.
async fn first_start(
    config: &Config,
    api: &Api<Production>,
    resolver: &Resolver<Production>,
    say: &impl Fn(&str),
) -> Result<(), StartError> {
    if !config.demo || !is_new(resolver)? {
        return Ok(());
    }
    create_demo(api, resolver).await?;
    if let Err(error) = api.operations.reload() {
        tracing::error!(%error, "the demo is not served");
    }
    say("created the demo apex mesh.internal. with scopes eu, us and payments.eu");
    Ok(())
}

/// A question for each side that has an answer.
fn suggest(address: SocketAddr, setup: &Setup, say: &impl Fn(&str)) {
    let server = if address.ip().is_unspecified() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        address.ip()
    };
    say("try:");
    let has_zone = |origin: &str| setup.zones.keys().any(|name| name.to_string() == origin);
    let has_apex = setup
        .apexes
        .iter()
        .any(|apex| apex.name.to_string() == "mesh.internal.");
    let questions = [
        (has_apex, "api.eu.mesh.internal"),
        (has_zone("legacy.example."), "www.legacy.example"),
        (setup.forwards, "example.com"),
    ];
    for (_, question) in questions.into_iter().filter(|(answered, _)| *answered) {
        say(&format!("  dig @{server} -p {} {question}", address.port()));
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads on SIGHUP, returns on SIGTERM and SIGINT.
    async fn run(mut self, operations: &dyn Operations, say: &impl Fn(&str)) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => match operations.reload() {
                    Ok(lines) => {
                        for line in &lines {
                            say(line);
                        }
                        say("reloaded");
                    }
                    Err(error) => say(&format!("reload failed, nothing changed: {error}")),
                },
            }
        }
    }
}
