//! Consultations of legacy DNS under a fall-back rule, written down.

use crate::resolution::legacy::{LegacyCode, LegacyQuestion};
use crate::resolution::pipeline::{LegacyOutcome, Waiting};

/// Writes a consultation of legacy DNS down, if the rule wants that.
pub(super) fn note_consultation(
    waiting: &Waiting,
    question: &LegacyQuestion,
    outcome: &LegacyOutcome,
) {
    let Some(rule) = waiting.audited_by() else {
        return;
    };
    let because = waiting
        .fallen()
        .map_or_else(|| "first".to_owned(), |outcome| outcome.to_string());
    let rcode = match &outcome.reply {
        Ok(reply) if reply.code == LegacyCode::NxDomain => "NXDOMAIN",
        Ok(_) => "NOERROR",
        Err(_) => "none",
    };
    let validated = outcome.reply.as_ref().is_ok_and(|reply| reply.authentic);
    tracing::info!(
        target: "kedge::audit",
        asked = %waiting.asked_name(),
        name = %question.name,
        kind = %question.kind,
        rule = %rule.suffix,
        order = %rule.order,
        because = %because,
        rcode = %rcode,
        validated,
        result = %outcome.note,
        "legacy DNS was consulted under a fall-back rule"
    );
}
