//! Every metric: its name, labels and meaning. `docs/METRICS.md` says the same at more length.

use super::exposition::{Family, Kind};

/// Writes the families down once, as statics and as the list of all.
macro_rules! families {
    ($($id:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every family.
        pub static ALL: &[&Family] = &[$(&$id),+];
    };
}

families! {
    BUILD = "kedge_build_info" Gauge ["version"] "Always 1; the version of the program.";
    READY = "kedge_ready" Gauge [] "Whether /ready says yes: 1 or 0.";
    STARTED = "process_start_time_seconds" Gauge [] "When the process started, since 1970.";
    CPU = "process_cpu_seconds_total" Counter [] "Processor time of the process.";
    RESIDENT = "process_resident_memory_bytes" Gauge [] "Memory of the process that is in RAM.";
    VIRTUAL = "process_virtual_memory_bytes" Gauge [] "Memory that the process has mapped.";
    OPEN_FILES = "process_open_fds" Gauge [] "Files and sockets that are open.";
    OPEN_FILES_MAX = "process_max_fds" Gauge [] "Files and sockets that may be open.";
    THREADS = "process_threads" Gauge [] "Threads of the process.";

    QUESTIONS = "kedge_questions_total" Counter ["transport", "route", "rcode"] "Answers by how they were asked for, where they came from and their response code.";
    ANSWER_SECONDS = "kedge_answer_seconds" Histogram ["route"] "From reading a question to handing its answer to the system; answers of one batch count as long as the batch.";
    REFUSED = "kedge_refused_total" Counter ["transport", "reason"] "Messages that were answered without a look at names.";
    DROPPED = "kedge_dropped_total" Counter ["transport", "reason"] "Messages that were not answered.";
    KEPT_HITS = "kedge_kept_hits_total" Counter ["transport"] "Answers that were kept and given again.";
    KEPT_MISSES = "kedge_kept_misses_total" Counter ["transport"] "Questions that no kept answer was found for.";
    KEPT_ANSWERS = "kedge_kept_answers" Gauge ["transport"] "Answers that are kept.";
    KEPT_BYTES = "kedge_kept_bytes" Gauge ["transport"] "Memory of the answers that are kept.";

    CONNECTIONS = "kedge_connections" Gauge ["transport"] "Connections that are open.";
    CONNECTIONS_ACCEPTED = "kedge_connections_accepted_total" Counter ["transport"] "Connections that were let in.";
    CONNECTIONS_REFUSED = "kedge_connections_refused_total" Counter ["transport"] "Connections of clients that had all that one may have.";
    CONNECTIONS_EVICTED = "kedge_connections_evicted_total" Counter [] "Idle connections that made room for others.";
    HANDSHAKES_FAILED = "kedge_tls_handshakes_failed_total" Counter ["transport"] "TLS handshakes that came to nothing.";
    ACCEPTS_FAILED = "kedge_accepts_failed_total" Counter ["transport"] "Times that the system gave no connection that was waiting, such as without descriptors.";

    QUIC_RETRIES = "kedge_quic_retries_total" Counter [] "Clients of QUIC that first had to show that they are at their address.";
    QUIC_CLOSED = "kedge_quic_closed_total" Counter ["reason"] "QUIC connections that were closed for what their client did.";

    LEGACY_HITS = "kedge_legacy_cache_hits_total" Counter [] "Answers of the legacy cache that were fresh.";
    LEGACY_MISSES = "kedge_legacy_cache_misses_total" Counter [] "Questions that the legacy cache handed on.";
    LEGACY_JOINED = "kedge_legacy_cache_joined_total" Counter [] "Questions that waited for an equal one.";
    LEGACY_STALE = "kedge_legacy_cache_stale_total" Counter [] "Answers of the legacy cache past their time.";
    LEGACY_FAILURE_HITS = "kedge_legacy_cache_failure_hits_total" Counter [] "Questions that were not asked as they had failed just before.";
    LEGACY_OVERLOADS = "kedge_legacy_cache_overloads_total" Counter [] "Questions that were not asked as too many waited.";
    LEGACY_SUDDEN_EMPTIES = "kedge_legacy_cache_sudden_empties_total" Counter [] "Absences that were not believed as there were records until just before.";
    LEGACY_PREFETCHES = "kedge_legacy_cache_prefetches_total" Counter ["result"] "Answers that were to be asked for again before they ended.";
    LEGACY_ENTRIES = "kedge_legacy_cache_entries" Gauge [] "Questions in the legacy cache.";
    LEGACY_BYTES = "kedge_legacy_cache_bytes" Gauge [] "Memory of the legacy cache.";
    LEGACY_WAITING = "kedge_legacy_waiting" Gauge [] "Questions that wait for legacy DNS.";
    LEGACY_EXCHANGES = "kedge_legacy_exchanges_total" Counter ["result"] "Exchanges with upstreams or authorities, by what came of them.";
    LEGACY_SECONDS = "kedge_legacy_exchange_seconds" Histogram [] "How long such exchanges took.";
    UPSTREAM_SECONDS = "kedge_upstream_answer_seconds" Gauge ["upstream"] "The smoothed time in which an upstream answers.";
    UPSTREAM_ANSWERS = "kedge_upstream_answers_total" Counter ["upstream"] "Answers of an upstream that were used.";
    UPSTREAM_FAILURES = "kedge_upstream_failures_total" Counter ["upstream"] "Times that an upstream refused, was silent or could not be reached.";
    UPSTREAM_PAUSED = "kedge_upstream_paused" Gauge ["upstream"] "Whether an upstream is asked last as it failed: 1 or 0.";

    APEXES = "kedge_apexes" Gauge [] "Apexes that are served.";
    ZONES = "kedge_zones" Gauge [] "Zone files that are served.";
    ZONE_RECORDS = "kedge_zone_records" Gauge [] "Records of all zone files.";
    SCOPES = "kedge_scopes" Gauge ["state"] "Scopes that are held, by whether they may have been overtaken.";
    SCOPES_FROZEN = "kedge_scopes_frozen" Gauge ["reason"] "Scopes that take no blocks.";
    COMMITS = "kedge_commits_total" Counter [] "Blocks of all scopes that were committed.";
    SCOPE_QUESTIONS = "kedge_scope_questions_total" Counter ["scope"] "Answers by the scope that decided over the name; (other) for those not told apart.";
    SCOPE_HEIGHT = "kedge_scope_height" Gauge ["scope"] "Blocks of a scope.";
    SCOPE_ENTRIES = "kedge_scope_entries" Gauge ["scope"] "Entries of a scope.";
    SCOPE_FRESHNESS = "kedge_scope_freshness" Gauge ["scope"] "0 fresh, 1 stale, 2 expired.";
    PENDING = "kedge_proposals_waiting" Gauge [] "Proposals that wait for approvals, seats or time.";
    COUNCIL_SCOPES = "kedge_council_scopes" Gauge [] "Scopes that are decided with anchors on other nodes.";
    COUNCIL_SITTINGS = "kedge_council_sittings" Gauge [] "Heights that are being decided with others.";
    COUNCIL_ROUND = "kedge_council_round" Gauge [] "The highest round of those sittings; the first is 0.";
    COUNCIL_DRAFTED = "kedge_council_drafted_total" Counter [] "Rounds in which it was the turn of an anchor here to offer a block.";
    COUNCIL_DECIDED = "kedge_council_decided_total" Counter [] "Heights that were decided with others.";
    COUNCIL_EVIDENCE = "kedge_council_evidence_total" Counter [] "Anchors that contradicted themselves in a sitting.";
    BEACON_EVIDENCE = "kedge_beacon_evidence" Gauge [] "Anchors that took a beacon back.";
    WRITE_FAILED = "kedge_store_write_failed" Gauge [] "Whether the last change could not be written: 1 or 0.";
    STORE_BYTES = "kedge_store_bytes" Gauge ["file"] "Bytes of the files of the store.";

    LEASES = "kedge_leases" Gauge [] "Instances whose lease lasts.";
    LEASE_SERVICES = "kedge_lease_services" Gauge ["state"] "Services with instances, by how they are.";
    LEASES_UNHEALTHY = "kedge_leases_unhealthy" Gauge [] "Instances whose check fails or is still to come.";
    LEARNED_SCOPES = "kedge_learned_scopes" Gauge [] "Scopes of other nodes of which something was proven.";
    PROOFS_ASKED = "kedge_proofs_asked_total" Counter [] "Times that other nodes were asked for a proof.";
    PROOFS_KEPT = "kedge_proofs_kept_total" Counter ["result"] "Scopes of proofs for the disk, by whether they were written or lost.";
    PROOFS_RESTORED = "kedge_proofs_restored_total" Counter ["result"] "Times that a name was looked for among what was proven before the start, by whether it held.";
    PROOFS_FAILED = "kedge_proofs_failed_total" Counter [] "Times that nobody proved what was asked.";

    PEERS = "kedge_peers" Gauge ["state"] "Other nodes that are known, by whether they are connected.";
    PEER_REQUESTS = "kedge_peer_requests_total" Counter ["peer", "result"] "Requests of a peer that were answered or refused.";
    PEER_COMPLAINTS = "kedge_peer_complaints_total" Counter ["peer"] "What a peer did wrong.";
    PEER_RTT = "kedge_peer_rtt_seconds" Gauge ["peer"] "The round trip to a peer that is connected.";

    QUERY_LOG_LINES = "kedge_query_log_lines_total" Counter [] "Lines of the query log that were written.";
    QUERY_LOG_LOST = "kedge_query_log_lost_total" Counter ["reason"] "Lines that were not written: too many waited, or the file could not be written.";
    QUERY_LOG_FAILING = "kedge_query_log_failing" Gauge [] "Whether the query log cannot be written: 1 or 0.";
    AUDIT_BATCHES = "kedge_audit_batches_total" Counter [] "Batches of the audit log.";
    AUDIT_LOST = "kedge_audit_lost_total" Counter [] "Events that the audit log lost since the start.";
    AUDIT_FAILING = "kedge_audit_failing" Gauge [] "Whether the audit log cannot be written: 1 or 0.";
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/METRICS.md");

    /// The first cells of the rows of the page's tables whose name looks like a metric.
    fn documented() -> Vec<(String, String, String)> {
        let cells = |line: &str| -> Vec<String> {
            let inner = line.trim_matches('|').split('|');
            inner.map(|cell| cell.trim().replace('`', "")).collect()
        };
        let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
        rows.filter_map(|line| match cells(line).as_slice() {
            [name, kind, labels, ..] => Some((name.clone(), kind.clone(), labels.clone())),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn the_page_of_metrics_says_what_there_is_and_nothing_else() {
        let there_is: Vec<_> = ALL
            .iter()
            .map(|family| {
                let labels = family.labels.join(", ");
                (family.name.to_owned(), family.kind.to_string(), labels)
            })
            .collect();
        let mut sorted = (there_is, documented());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
    }

    #[test]
    fn names_follow_the_conventions() {
        for family in ALL {
            let Family { name, kind, .. } = **family;
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            if kind == Kind::Histogram {
                assert!(name.ends_with("_seconds"), "{name}");
            }
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.bytes().all(is_plain), "{name}");
            assert!(name.starts_with("kedge_") || name.starts_with("process_"));
        }
    }
}
