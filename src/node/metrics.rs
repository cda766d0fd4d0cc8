//! Every metric, read and written down for one look.

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::clock::SystemClock;
use crate::adapters::process::ProcessUse;
use crate::adapters::storage::StoreError;
use crate::index::freshness::Freshness;
use crate::index::place::scope_name;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::service::legacy_cache::UpstreamStanding;
use crate::service::ports::{Clock as _, LegacyDns as _, PeerStanding, Store as _};
use crate::service::setup::Setup;
use crate::telemetry::answers::{Dropped, Part, RCODES, Refusal, Route};
use crate::telemetry::connections::ConnectionCounts;
use crate::telemetry::exposition::{Exposition, Samples};
use crate::telemetry::families as f;
use crate::telemetry::legacy::Exchanged;
use crate::telemetry::quic::Closed;
use crate::telemetry::scopes::{SCOPES_COUNTED_MAX, ScopeSlot};
use crate::telemetry::transport::Transport;

use super::observer::Observer;

/// What scopes are called that are not counted apart.
const OTHER: &str = "(other)";
/// Peers that are shown; others are only counted.
const PEERS_SHOWN_MAX: usize = 1_024;

/// Writes everything.
pub(super) fn write(node: &Observer, ready: bool, to: &mut Exposition) -> Result<(), StoreError> {
    about_process(node, ready, to);
    let sums = node.resolver.telemetry().sums();
    about_answers(&sums, to);
    about_connections(node, to);
    about_legacy(node, to);
    about_setup(&node.resolver.setup(), to);
    about_scopes(node, &sums, to)?;
    about_decisions(node, to)?;
    about_files(node, to);
    about_leases(node, to);
    about_peers(node, to);
    about_logs(node, to);
    Ok(())
}

fn about_process(node: &Observer, ready: bool, to: &mut Exposition) {
    to.family(&f::BUILD).add(&[env!("CARGO_PKG_VERSION")], 1);
    to.value(&f::READY, u8::from(ready));
    let since = Duration::from_millis(node.started.as_millis());
    to.family(&f::STARTED).seconds(&[], nanos(since));
    let used = ProcessUse::now();
    let mut cpu = to.family(&f::CPU);
    used.cpu_nanos.map(|nanos| cpu.seconds(&[], nanos));
    for (family, value) in [
        (&f::RESIDENT, used.resident_bytes),
        (&f::VIRTUAL, used.virtual_bytes),
        (&f::THREADS, used.threads),
        (&f::OPEN_FILES, used.open_files),
        (&f::OPEN_FILES_MAX, used.open_files_max),
    ] {
        let mut samples = to.family(family);
        value.map(|value| samples.add(&[], value));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn about_answers(sums: &[(Transport, Part)], to: &mut Exposition) {
    let mut questions = to.family(&f::QUESTIONS);
    for (transport, sum) in sums {
        for route in Route::ALL {
            for (place, rcode) in RCODES.iter().enumerate() {
                let count = sum.answered(route, place);
                // What never happens would be most of all series.
                if count > 0 || is_usual(route, rcode) {
                    let labels = [&transport.to_string(), &route.to_string(), *rcode];
                    questions.add(&labels, count);
                }
            }
        }
    }
    let mut seconds = to.family(&f::ANSWER_SECONDS);
    for route in Route::ALL {
        let all = crate::telemetry::durations::Durations::default();
        let parts = sums.iter().filter_map(|(_, sum)| sum.durations(route));
        parts.for_each(|part| all.add_all(part));
        seconds.durations(&[&route.to_string()], &all);
    }
    let mut refused = to.family(&f::REFUSED);
    for (transport, sum) in sums {
        for why in Refusal::ALL {
            refused.add(
                &[&transport.to_string(), &why.to_string()],
                sum.refused(why),
            );
        }
    }
    let mut dropped = to.family(&f::DROPPED);
    for (transport, sum) in sums {
        for why in Dropped::ALL {
            dropped.add(
                &[&transport.to_string(), &why.to_string()],
                sum.dropped(why),
            );
        }
    }
    by_transport(sums, to.family(&f::KEPT_HITS), Part::hits);
    by_transport(sums, to.family(&f::KEPT_MISSES), Part::misses);
    by_transport(sums, to.family(&f::KEPT_ANSWERS), |sum| sum.held().0);
    by_transport(sums, to.family(&f::KEPT_BYTES), |sum| sum.held().1);
}

fn by_transport<T>(each: &[(Transport, T)], mut samples: Samples<'_>, count: impl Fn(&T) -> u64) {
    for (transport, counted) in each {
        samples.add(&[&transport.to_string()], count(counted));
    }
}

/// Whether a series is there from the start, so that its first rise is seen.
fn is_usual(route: Route, rcode: &str) -> bool {
    match route {
        Route::Governed | Route::Zone | Route::Legacy => {
            matches!(rcode, "NOERROR" | "NXDOMAIN" | "SERVFAIL")
        }
        Route::BuiltIn => false,
        Route::Refused => matches!(rcode, "REFUSED" | "FORMERR"),
    }
}

fn about_connections(node: &Observer, to: &mut Exposition) {
    let telemetry = node.resolver.telemetry();
    // A datagram has none.
    let connected = Transport::ALL
        .into_iter()
        .filter(|one| *one != Transport::Udp);
    let all: Vec<(Transport, Arc<ConnectionCounts>)> = connected
        .map(|transport| (transport, telemetry.connections(transport)))
        .collect();
    by_transport(&all, to.family(&f::CONNECTIONS), |counts| counts.opened());
    by_transport(&all, to.family(&f::CONNECTIONS_ACCEPTED), |counts| {
        counts.accepted()
    });
    by_transport(&all, to.family(&f::CONNECTIONS_REFUSED), |counts| {
        counts.refused()
    });
    to.value(&f::CONNECTIONS_EVICTED, node.connections.evicted());
    by_transport(&all, to.family(&f::HANDSHAKES_FAILED), |counts| {
        counts.handshakes_failed()
    });
    by_transport(&all, to.family(&f::ACCEPTS_FAILED), |counts| {
        counts.accepts_failed()
    });
    let quic = telemetry.quic();
    to.value(&f::QUIC_RETRIES, quic.retried());
    let mut samples = to.family(&f::QUIC_CLOSED);
    for why in Closed::ALL {
        samples.add(&[&why.to_string()], quic.closed(why));
    }
}

fn about_legacy(node: &Observer, to: &mut Exposition) {
    let stats = node.resolver.legacy_stats();
    to.value(&f::LEGACY_HITS, stats.hits);
    to.value(&f::LEGACY_MISSES, stats.exchanges);
    to.value(&f::LEGACY_JOINED, stats.joined);
    to.value(&f::LEGACY_STALE, stats.stale);
    to.value(&f::LEGACY_FAILURE_HITS, stats.failure_hits);
    to.value(&f::LEGACY_OVERLOADS, stats.overloads);
    to.value(&f::LEGACY_SUDDEN_EMPTIES, stats.sudden_empties);
    let mut samples = to.family(&f::LEGACY_PREFETCHES);
    samples.add(&["renewed"], stats.prefetched);
    samples.add(&["failed"], stats.prefetches_failed);
    samples.add(&["dropped"], stats.prefetches_dropped);
    to.value(&f::LEGACY_ENTRIES, stats.entries);
    to.value(&f::LEGACY_BYTES, stats.bytes);
    to.value(&f::LEGACY_WAITING, stats.waiting);
    let exchanges = node.resolver.telemetry().legacy();
    let mut samples = to.family(&f::LEGACY_EXCHANGES);
    for how in Exchanged::ALL {
        samples.add(&[&how.to_string()], exchanges.count(how));
    }
    let mut samples = to.family(&f::LEGACY_SECONDS);
    samples.durations(&[], exchanges.durations());
    about_upstreams(&node.resolver.legacy().upstream().upstreams(), to);
}

/// As many as are configured.
fn about_upstreams(upstreams: &[UpstreamStanding], to: &mut Exposition) {
    let mut samples = to.family(&f::UPSTREAM_SECONDS);
    for one in upstreams {
        if let Some(usual) = one.usual {
            samples.seconds(&[&one.upstream], nanos(usual));
        }
    }
    let mut samples = to.family(&f::UPSTREAM_ANSWERS);
    for one in upstreams {
        samples.add(&[&one.upstream], one.answered);
    }
    let mut samples = to.family(&f::UPSTREAM_FAILURES);
    for one in upstreams {
        samples.add(&[&one.upstream], one.failed);
    }
    let mut samples = to.family(&f::UPSTREAM_PAUSED);
    for one in upstreams {
        samples.add(&[&one.upstream], u8::from(one.is_paused));
    }
}

fn about_setup(setup: &Setup, to: &mut Exposition) {
    to.value(&f::APEXES, setup.apexes.len());
    to.value(&f::ZONES, setup.zones.len());
    let records = setup.zones.values().map(|zone| zone.record_count());
    to.value(&f::ZONE_RECORDS, records.sum::<usize>());
}

/// A scope that is shown.
struct Shown {
    name: String,
    state: ScopeState,
    questions: u64,
}

fn about_scopes(
    node: &Observer,
    sums: &[(Transport, Part)],
    to: &mut Exposition,
) -> Result<(), StoreError> {
    let snapshot = node.resolver.store().latest();
    let overdue = node.resolver.freshness();
    let count = u64::from(snapshot.scope_count()?);
    let [stale, expired] = [Freshness::Stale, Freshness::Expired].map(|how| overdue.count(how));
    let mut samples = to.family(&f::SCOPES);
    samples.add(&["fresh"], count.saturating_sub(stale + expired));
    samples.add(&["stale"], stale);
    samples.add(&["expired"], expired);
    let mut samples = to.family(&f::SCOPES_FROZEN);
    samples.add(&["fork"], snapshot.fork_count()?);
    samples.add(&["quarantine"], node.following.council.quarantine_count());
    to.value(&f::COMMITS, snapshot.commit_count()?);
    let asked = |slot: ScopeSlot| sums.iter().map(|(_, sum)| sum.asked(slot)).sum::<u64>();
    let shown = shown(node, snapshot.as_ref(), asked)?;
    let mut samples = to.family(&f::SCOPE_QUESTIONS);
    for scope in &shown {
        samples.add(&[&scope.name], scope.questions);
    }
    samples.add(&[OTHER], asked(ScopeSlot::OTHER));
    let mut samples = to.family(&f::SCOPE_HEIGHT);
    for scope in &shown {
        samples.add(&[&scope.name], scope.state.height);
    }
    let mut samples = to.family(&f::SCOPE_ENTRIES);
    for scope in &shown {
        samples.add(&[&scope.name], scope.state.live);
    }
    let mut samples = to.family(&f::SCOPE_FRESHNESS);
    for scope in &shown {
        let value = match overdue.of(&scope.state.uid) {
            Freshness::Fresh => 0,
            Freshness::Stale => 1,
            Freshness::Expired => 2,
        };
        samples.add(&[&scope.name], value);
    }
    Ok(())
}

/// The scopes that are counted apart, and as many others as there is room for.
fn shown<V: IndexView<Error = StoreError>>(
    node: &Observer,
    view: &V,
    asked: impl Fn(ScopeSlot) -> u64,
) -> Result<Vec<Shown>, StoreError> {
    let setup = node.resolver.setup();
    let slots = node.resolver.telemetry().scopes().all();
    let mut numbers = std::collections::BTreeSet::new();
    for uid in slots.keys() {
        numbers.extend(view.scope_no(uid)?);
    }
    let others = (0..view.scope_count()?).map(ScopeNo);
    for no in others.take(SCOPES_COUNTED_MAX) {
        if numbers.len() >= SCOPES_COUNTED_MAX {
            break;
        }
        numbers.insert(no);
    }
    let mut shown = Vec::with_capacity(numbers.len());
    for no in numbers {
        let Some(state) = view.scope(no)? else {
            continue;
        };
        let name = scope_name(view, &setup.apexes, no)?;
        shown.push(Shown {
            // One without a name is told apart by what nobody else has.
            name: name.map_or_else(|| state.uid.to_string(), |name| name.to_string()),
            questions: slots.get(&state.uid).map_or(0, |slot| asked(*slot)),
            state,
        });
    }
    Ok(shown)
}

fn about_decisions(node: &Observer, to: &mut Exposition) -> Result<(), StoreError> {
    let snapshot = node.resolver.store().latest();
    to.value(&f::PENDING, snapshot.pending_count()?);
    let stats = node.following.council.stats();
    to.value(&f::COUNCIL_SCOPES, stats.scopes);
    to.value(&f::COUNCIL_SITTINGS, stats.sittings);
    to.value(&f::COUNCIL_ROUND, stats.round);
    to.value(&f::COUNCIL_DRAFTED, stats.drafted);
    to.value(&f::COUNCIL_DECIDED, stats.decided);
    to.value(&f::COUNCIL_EVIDENCE, stats.evidence);
    let evidence = node.following.beacons.evidence().len();
    to.value(&f::BEACON_EVIDENCE, evidence);
    to.value(&f::WRITE_FAILED, u8::from(node.health.load().is_some()));
    Ok(())
}

fn about_files(node: &Observer, to: &mut Exposition) {
    let mut samples = to.family(&f::STORE_BYTES);
    for (name, path) in &node.files {
        // Those of other nodes are made when they are first needed.
        if let Ok(metadata) = std::fs::metadata(path) {
            samples.add(&[name], metadata.len());
        }
    }
}

fn about_leases(node: &Observer, to: &mut Exposition) {
    let counts = node.leases.counts(SystemClock.now());
    to.value(&f::LEASES, counts.instances);
    let mut samples = to.family(&f::LEASE_SERVICES);
    let working = counts
        .services
        .saturating_sub(counts.failing + counts.stale);
    samples.add(&["working"], working);
    samples.add(&["failing"], counts.failing);
    samples.add(&["last-known-good"], counts.stale);
    to.value(&f::LEASES_UNHEALTHY, counts.unhealthy);
    let learned = node.resolver.learner().stats();
    to.value(&f::LEARNED_SCOPES, learned.scopes);
    to.value(&f::PROOFS_ASKED, learned.asked);
    to.value(&f::PROOFS_FAILED, learned.failed);
    let kept = node.resolver.learner().kept_stats();
    let mut samples = to.family(&f::PROOFS_KEPT);
    samples.add(&["written"], kept.written);
    samples.add(&["lost"], kept.lost);
    let mut samples = to.family(&f::PROOFS_RESTORED);
    samples.add(&["held"], kept.restored);
    samples.add(&["refused"], kept.refused);
}

fn about_peers(node: &Observer, to: &mut Exposition) {
    let network = node.following.replicator.network();
    let peers: Vec<PeerStanding> = network.map_or_else(Vec::new, |network| network.peers());
    let connected = peers.iter().filter(|peer| peer.is_connected).count();
    let mut samples = to.family(&f::PEERS);
    samples.add(&["connected"], connected);
    samples.add(&["away"], peers.len() - connected);
    let shown = || {
        let shown = peers.iter().take(PEERS_SHOWN_MAX);
        shown.map(|peer| (peer, format!("{} {}", peer.name, peer.id.short())))
    };
    let mut samples = to.family(&f::PEER_REQUESTS);
    for (peer, name) in shown() {
        samples.add(&[&name, "answered"], peer.answered);
        samples.add(&[&name, "refused"], peer.refused);
    }
    let mut samples = to.family(&f::PEER_COMPLAINTS);
    for (peer, name) in shown() {
        samples.add(&[&name], peer.complaints);
    }
    let mut samples = to.family(&f::PEER_RTT);
    for (peer, name) in shown() {
        if let (true, Some(rtt_us)) = (peer.is_connected, peer.rtt_us) {
            samples.seconds(&[&name], rtt_us.saturating_mul(1_000));
        }
    }
}

fn about_logs(node: &Observer, to: &mut Exposition) {
    let stats = node.query_log.stats();
    to.value(&f::QUERY_LOG_LINES, stats.written);
    let mut samples = to.family(&f::QUERY_LOG_LOST);
    samples.add(&["queue"], stats.dropped);
    samples.add(&["write"], stats.lost);
    to.value(&f::QUERY_LOG_FAILING, u8::from(stats.is_failing));
    let state = node.resolver.audit().state();
    let batches =
        |state: &crate::service::audit::AuditState| state.head.map_or(0, |head| head.batches);
    let mut samples = to.family(&f::AUDIT_BATCHES);
    if let Some(state) = &state {
        samples.add(&[], batches(state));
    }
    let mut samples = to.family(&f::AUDIT_LOST);
    if let Some(state) = &state {
        samples.add(&[], state.lost);
    }
    let mut samples = to.family(&f::AUDIT_FAILING);
    if let Some(state) = &state {
        samples.add(&[], u8::from(state.failing.is_some()));
    }
}
