//! Bodies of the admin API about the cache of legacy answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cache as a whole, since its start.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CacheView {
    /// Questions with an entry.
    pub entries: usize,
    /// Their memory, about.
    pub bytes: u64,
    /// Exchanges with upstreams or authorities under way.
    pub under_way: usize,
    /// Questions that wait for them.
    pub waiting: usize,
    /// Answers that were fresh.
    pub hits: u64,
    /// Questions that were handed on.
    pub exchanges: u64,
    /// Questions that waited for an equal one.
    pub joined: u64,
    /// Answers past their time.
    pub stale: u64,
    /// Questions that were not asked as they had failed just before.
    pub failure_hits: u64,
    /// Questions that were not asked as too many waited.
    pub overloads: u64,
    /// Absences that were not believed.
    pub sudden_empties: u64,
    /// Answers that were asked for again before they ended.
    pub prefetched: u64,
    /// The upstreams.
    pub upstreams: Vec<UpstreamView>,
}

/// An upstream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamView {
    /// As it is configured.
    pub upstream: String,
    /// The smoothed time to its answers, in microseconds.
    pub usual_us: Option<u64>,
    /// Answers that were used.
    pub answered: u64,
    /// Times that it refused, was silent or could not be reached.
    pub failed: u64,
    /// Whether it is asked last for a while.
    pub paused: bool,
}

/// What is held for one question of a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CacheEntryView {
    /// `fresh`, `past its time`, or `failed` without any reply.
    pub state: String,
    /// Seconds for which it is fresh.
    pub left_secs: u32,
    /// Seconds since it came.
    pub age_secs: Option<u32>,
    /// How often it was asked for, as far as the cache saw.
    pub asked: u32,
    /// Memory, about.
    pub bytes: u64,
    /// Why nobody is asked at present.
    pub failure: Option<String>,
    /// For how many seconds more.
    pub failure_left_secs: Option<u32>,
    /// The question and the reply, with the TTLs of when it came.
    pub line: CacheLine,
}

/// A reply as it is dumped and loaded, a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheLine {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// DO: with signatures.
    #[serde(default)]
    pub dnssec_ok: bool,
    /// CD: without validation upstream.
    #[serde(default)]
    pub checking_disabled: bool,
    /// NOERROR or NXDOMAIN.
    pub code: String,
    /// Who gave it.
    pub upstream: String,
    /// When it came, in milliseconds since 1970.
    pub stored_ms: u64,
    /// The answer section, a record a line.
    #[serde(default)]
    pub answers: Vec<String>,
    /// The authority section.
    #[serde(default)]
    pub authorities: Vec<String>,
    /// The additional section.
    #[serde(default)]
    pub additionals: Vec<String>,
}

/// What shall be forgotten.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlushBody {
    /// A name; everything without one.
    #[serde(default)]
    pub name: Option<String>,
    /// With everything below it.
    #[serde(default)]
    pub below: bool,
}

/// What was forgotten.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FlushedView {
    /// Entries, about.
    pub flushed: usize,
}

/// What became of lines that were loaded.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct LoadedView {
    /// They are held.
    pub kept: u64,
    /// What is held was newer.
    pub older: u64,
    /// Their time was over.
    pub over: u64,
    /// They could not be read, or are none that a cache keeps.
    pub unfit: u64,
    /// The first of those, and why.
    pub first_unfit: Option<String>,
}
