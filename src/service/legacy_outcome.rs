//! What the legacy cache gave, as resolutions go on with it.

use crate::resolution::legacy::LegacyFailure;
use crate::resolution::pipeline::LegacyOutcome;

use super::legacy_cache::{CacheAnswer, CacheFailure, CacheState};

/// The answer or the failure, with a line about where it comes from.
pub(super) fn outcome_of(result: Result<CacheAnswer, CacheFailure>) -> LegacyOutcome {
    match result {
        Ok(answer) => {
            let note = note_of(&answer);
            LegacyOutcome {
                stale: answer.state == CacheState::Stale,
                reply: Ok(answer.reply),
                remembered: false,
                note,
                steps: Vec::new(),
            }
        }
        Err(CacheFailure {
            failure,
            remembered,
        }) => LegacyOutcome {
            note: match remembered {
                Some(when) => format!(
                    "{failure}; that was {} s ago, nobody is asked for another {} s",
                    when.age_secs, when.left_secs
                ),
                None => failure.to_string(),
            },
            reply: Err(failure),
            remembered: remembered.is_some(),
            stale: false,
            steps: Vec::new(),
        },
    }
}

fn note_of(answer: &CacheAnswer) -> String {
    let CacheAnswer {
        upstream, because, ..
    } = answer;
    match (answer.state, because) {
        (CacheState::Hit { age_secs }, _) => {
            let ahead = if answer.is_due {
                "; asked again before it ends"
            } else {
                ""
            };
            format!("cache hit, {age_secs} s old, from {upstream}{ahead}")
        }
        (CacheState::Miss, _) => format!("cache miss, asked {upstream}"),
        (CacheState::Joined, _) => format!("joined a question under way to {upstream}"),
        (CacheState::Stale, Some(why)) => {
            format!("upstreams fail; stale answer from {upstream}: {why}")
        }
        (CacheState::Stale, None) => format!("upstreams fail; stale answer from {upstream}"),
    }
}

/// A question whose time was over before anybody could be asked.
pub(super) fn out_of_time() -> LegacyOutcome {
    LegacyOutcome {
        reply: Err(LegacyFailure::Timeout),
        remembered: false,
        stale: false,
        note: "the question's deadline passed".to_owned(),
        steps: Vec::new(),
    }
}
