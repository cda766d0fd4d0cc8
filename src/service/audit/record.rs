//! What is recorded: one event, one line of JSON.

use serde::Serialize;

use crate::base::time::Timestamp;

/// Bytes of one text in a record: a path or a reason that is longer is cut. Callers choose both.
const TEXT_BYTES_MAX: usize = 512;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// A node began to serve.
    Start {
        /// The program's version.
        version: String,
    },
    /// It was told to stop.
    Stop,
    /// Configuration and zones were read again.
    Reload {
        /// Why they are not in force.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A call of the admin API.
    Call {
        /// The method.
        method: String,
        /// The path, with its query.
        path: String,
        /// The caller's user.
        #[serde(skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// The caller's process.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<i32>,
        /// The caller's token.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Who the caller is by its certificate.
        #[serde(skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
        /// The caller's address.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The status code of the answer.
        status: u16,
        /// Why it was not done.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A token was made or revoked.
    Token {
        /// Its identifier.
        token: String,
        /// `made` or `revoked`.
        deed: String,
        /// What it is good for.
        rights: String,
        /// At and below which names; empty for everywhere.
        scopes: String,
        /// When it ends.
        expires: String,
    },
    /// Calls by nobody known, from somebody who made too many of them.
    Strangers {
        /// Where they came from.
        source: String,
        /// How many since they were last counted.
        count: u64,
    },
    /// A block, with all changes that it holds.
    Committed {
        /// The UID of the scope.
        scope: String,
        /// The height of the block.
        height: u64,
        /// Its digest.
        block: String,
        /// How many callers were waiting for it.
        changes: u64,
    },
    /// A proposal that is kept and waits.
    Waiting {
        /// The UID of the scope.
        scope: String,
        /// The proposal's digest.
        proposal: String,
        /// What it lacks.
        lacks: String,
    },
    /// A change that the rules or the store refused.
    Refused {
        /// Why.
        reason: String,
        /// How many, one after the other.
        count: u64,
    },
    /// Something that happened to a device of a private scope.
    Device {
        /// The UID of the scope.
        scope: String,
        /// What the scope's table calls the device; the device itself does not know it.
        device: String,
        /// `enrolled`, `renewed`, `revoked`, or `broken`: two copies of it were used.
        what: String,
    },
    /// Questions that a scope's policy denied.
    Denied {
        /// The UID of the scope.
        scope: String,
        /// `refuse` or `hide`.
        verdict: String,
        /// Where they came from.
        source: String,
        /// How many since they were last counted.
        count: u64,
    },
    /// Questions that legacy DNS was asked under a fall-back rule.
    Consulted {
        /// The suffix of the rule.
        suffix: String,
        /// Whether there was an answer.
        answered: bool,
        /// How many since they were last counted.
        count: u64,
    },
    /// Denials and consultations for which there was no counter of their own.
    Uncounted {
        /// How many since they were last counted.
        count: u64,
    },
    /// A file begins. It goes on from the batches before it.
    File {
        /// The version of the lines.
        format: u64,
        /// How many batches there were before.
        batches: u64,
        /// The digest of the last of them; zeros if there was none.
        before: String,
    },
    /// Bytes after the last whole batch were dropped: the node ended while it wrote.
    Recovered {
        /// How many.
        bytes: u64,
    },
    /// Events that could not be recorded.
    Gap {
        /// How many.
        lost: u64,
        /// Why.
        because: String,
    },
    /// A batch ends. Its own digest is the chain of this record.
    Batch {
        /// Its number, from 1.
        batch: u64,
        /// Records before this one in it.
        records: u64,
        /// The digest of the batch before; zeros if there was none.
        before: String,
    },
}

/// A record without its place in the chain.
#[derive(Serialize)]
struct Line<'e> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: &'e Event,
}

/// The line of an event, without its last brace: the chain follows.
pub(super) fn opened(sequence: u64, time: Timestamp, event: &Event) -> Vec<u8> {
    let line = Line {
        seq: sequence,
        time: time.to_string(),
        event,
    };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_else(|_| b"{}".to_vec());
    bytes.pop();
    bytes
}

/// A text within its bound, cut between characters.
pub fn bounded(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
    text
}
