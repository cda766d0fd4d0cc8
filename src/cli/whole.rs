//! Commands about the node as a whole: verify, doctor, status, reload.

use hyper::Method;

use crate::adapters::http::wire::{AuditView, FindingView, StatusView, VerifyView};

use super::connect::Place;
use super::exit::{Code, Failure};
use super::output::show;

pub(super) fn verify(place: &Place) -> Result<(), Failure> {
    let verified = place.with_client(|client| async move {
        match client
            .send::<_, VerifyView>(Method::POST, "/verify", &())
            .await
        {
            Err(crate::adapters::http::ClientError::Node {
                status: 400,
                error,
                hint,
            }) => Err(Failure::new(Code::Faults, error, hint.as_deref())),
            other => Ok(other?),
        }
    })?;
    show(place.json, &verified, |view| {
        let mut lines = vec![format!(
            "verified from genesis: {} scope(s), {} block(s), {} proposal(s), {} entries",
            view.scopes, view.blocks, view.proposals, view.entries
        )];
        if view.crash_only > 0 {
            lines.push(format!(
                "  {} scope(s) of them decide by majority (crash-only): one lying anchor could \
                 fork them",
                view.crash_only
            ));
        }
        lines
    })
}

pub(super) fn doctor(place: &Place) -> Result<(), Failure> {
    let findings: Vec<FindingView> =
        place.with_client(|client| async move { Ok(client.get("/doctor").await?) })?;
    show(place.json, &findings, |findings| {
        findings.iter().flat_map(finding_lines).collect()
    })?;
    if findings.iter().any(|finding| finding.level == "fail") {
        return Err(Failure::new(Code::Faults, "something does not work", None));
    }
    Ok(())
}

fn finding_lines(finding: &FindingView) -> Vec<String> {
    let FindingView {
        level,
        what,
        message,
        hint,
    } = finding;
    let mut lines = vec![format!("{level:<5} {what}: {message}")];
    lines.extend(hint.iter().map(|hint| format!("      hint: {hint}")));
    lines
}

pub(super) fn status(place: &Place) -> Result<(), Failure> {
    let view: StatusView =
        place.with_client(|client| async move { Ok(client.get("/status").await?) })?;
    show(place.json, &view, |view| {
        let mut lines = vec![
            format!("kedge {}", view.version),
            format!("  apexes {}", view.apexes.join(", ")),
            format!("  {} scope(s), {} commit(s)", view.scopes, view.commits),
            format!("  {} zone(s)", view.zones),
            format!(
                "  other names {}",
                if view.forwards {
                    "forwarded"
                } else {
                    "not resolved"
                }
            ),
            format!(
                "  legacy cache: {} answers in {} bytes, {} hits, {} exchanges",
                view.cache_entries, view.cache_bytes, view.cache_hits, view.exchanges
            ),
        ];
        let learned = view.learned;
        if learned.asked > 0 {
            lines.push(format!(
                "  {} scope(s) of other nodes known by proofs, {} place(s); asked {} time(s), {} in \
                 vain",
                learned.scopes, learned.places, learned.asked, learned.failed
            ));
        }
        let leases = view.leases;
        lines.push(format!(
            "  {} service(s) with {} instance(s), {} unhealthy; {} without a healthy one, {} stale",
            leases.services, leases.instances, leases.unhealthy, leases.failing, leases.stale
        ));
        lines.extend(view.audit.as_ref().map(audit_line));
        lines
    })
}

fn audit_line(audit: &AuditView) -> String {
    let head = audit.head.as_deref().unwrap_or("none");
    let batches = audit.batches;
    match &audit.failing {
        None => format!("  audit log: {batches} batches, head {head}"),
        Some(error) => format!(
            "  audit log: cannot be written ({error}); {} events lost",
            audit.lost
        ),
    }
}

pub(super) fn reload(place: &Place) -> Result<(), Failure> {
    let lines: Vec<String> = place.with_client(|client| async move {
        Ok(client.send(Method::POST, "/reload", &()).await?)
    })?;
    show(place.json, &lines, Clone::clone)
}
