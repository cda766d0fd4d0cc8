//! What the writer decided: for the audit log, and for the anchors of joint scopes.

use crate::index::state::ScopeNo;
use crate::index::view::IndexView;
use crate::service::audit::{Audit, Event, bounded};
use crate::service::council::Council;
use crate::service::ports::Store;

use super::{Answered, Committed, Done};

/// Reports each block once, with the number of callers that waited for it, and each refusal; equal
/// ones that follow each other together.
pub(super) fn report<S: Store>(audit: &Audit, store: &S, answers: &[Answered]) {
    if !audit.is_kept() {
        return;
    }
    let same = |a: &Answered, b: &Answered| match (a, b) {
        (Ok(a), Ok(b)) => a.at().is_some() && a.at() == b.at(),
        (Err(a), Err(b)) => a.to_string() == b.to_string(),
        _ => false,
    };
    for group in answers.chunk_by(same) {
        let count = u64::try_from(group.len()).unwrap_or(u64::MAX);
        match group.first() {
            Some(Ok(Done::Waits {
                scope,
                proposal,
                lacks,
            })) => audit.note(Event::Waiting {
                scope: scope_of(store, *scope),
                proposal: proposal.to_string(),
                lacks: bounded(lacks.to_string()),
            }),
            Some(Ok(done)) => {
                if let Some(committed) = done.at() {
                    audit.note(block(store, committed, count));
                }
            }
            Some(Err(error)) => audit.note(Event::Refused {
                reason: bounded(error.to_string()),
                count,
            }),
            None => {}
        }
    }
}

fn block<S: Store>(store: &S, committed: &Committed, changes: u64) -> Event {
    Event::Committed {
        scope: scope_of(store, committed.scope),
        height: committed.height,
        block: committed.block.to_string(),
        changes,
    }
}

/// A scope's UID. A store that cannot be read gives none; the digest says which block it is.
fn scope_of<S: Store>(store: &S, no: ScopeNo) -> String {
    let state = store.latest().scope(no).ok().flatten();
    state.map_or_else(String::new, |state| state.uid.to_string())
}

/// Tells the anchors of joint scopes what came.
pub(super) fn convene(council: &Council, answers: &[Answered]) {
    for answered in answers {
        match answered {
            Ok(Done::Waits {
                scope, proposal, ..
            }) => council.laid(*scope, *proposal),
            Ok(Done::Heard(scope)) => council.convene(*scope),
            Ok(Done::Ripened { decided, .. }) if *decided > 0 => council.look_again(),
            Ok(done) => {
                if let Some(at) = done.at() {
                    council.went_on(at.scope);
                }
            }
            Err(_) => {}
        }
    }
}
