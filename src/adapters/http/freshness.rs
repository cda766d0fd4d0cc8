//! How fresh scopes are, in words.

use crate::base::time::Timestamp;
use crate::index::freshness::Freshness;
use crate::index::state::ScopeState;
use crate::service::beacons::Report;
use crate::service::ports::Parts;

use super::routes::{Api, unreadable};
use super::status::Failure;
use super::wire_peers::FreshnessView;

/// How fresh a scope is; none where this node alone decides over it.
pub(super) fn freshness<P: Parts>(
    api: &Api<P>,
    state: &ScopeState,
) -> Result<Option<FreshnessView>, Failure> {
    let report = api.replicator.report(state);
    let report = report.map_err(|error| unreadable(&error))?;
    let now = api.changes.now();
    Ok(report.map(|report| FreshnessView {
        state: report.freshness.map(|freshness| freshness.to_string()),
        confirmed: report.confirmed.map(|time| time.to_string()),
        weight: report.findings.weight,
        needed: report.needed,
        ahead: report.findings.ahead,
        said: said(&report, now),
    }))
}

/// The line about a scope for whoever wants to know where an answer comes from.
pub(super) fn line(name: &str, view: &FreshnessView) -> String {
    let state = view.state.as_deref().unwrap_or("beacons");
    format!("{state:<8} {name} {}", view.said)
}

fn said(report: &Report, now: Timestamp) -> String {
    let findings = &report.findings;
    let Report { needed, .. } = report;
    let weight = findings.weight;
    let level = format!("weight {weight} of the {needed} needed knew of nothing newer");
    let mut parts = match report.confirmed {
        Some(time) => {
            let ago = now.millis_since(time);
            let confirmed = format!("confirmed {}.{:03} s ago", ago / 1_000, ago % 1_000);
            vec![confirmed, level]
        }
        None => vec!["not confirmed by its anchors yet".to_owned(), level],
    };
    if let Some(height) = findings.ahead {
        parts.push(format!("an anchor holds height {height}"));
    }
    if findings.deciding > 0 {
        parts.push("its next block is being decided".to_owned());
    }
    if findings.contradicting > 0 {
        parts.push("an anchor holds another block at this height".to_owned());
    }
    if report.freshness == Some(Freshness::Expired) {
        parts.push("it is not served any more".to_owned());
    }
    parts.join("; ")
}
