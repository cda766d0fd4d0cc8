//! `LegacyCacheSettings`: what a cache is made with, and the rules that may change later.

/// Answers are asked for again after a day, whatever their TTL: a wrong one does not live for the
/// 68 years that a TTL can state (RFC 8767 section 4 advises days at most).
pub const TTL_SECS_MAX: u32 = 86_400;
/// Absences are asked for again after three hours (RFC 2308 section 5).
pub const NEGATIVE_TTL_SECS_MAX: u32 = 10_800;
/// TTL of stale records (RFC 8767 section 4).
pub const STALE_TTL_SECS: u32 = 30;
/// How long the first failure of a question is remembered (RFC 9520 section 3.2: at least 1 s).
pub const FAILURE_SECS_FIRST: u32 = 5;
/// How long repeated failures are remembered; each doubles the time (RFC 9520 section 3.2).
pub const FAILURE_SECS_MAX: u32 = 30;

/// What a cache is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyCacheSettings {
    /// Memory for answers.
    pub bytes_max: u64,
    /// Questions that may wait for upstreams at the same time, followers included.
    pub waiting_max: usize,
    /// How long after its end an answer may be served when upstreams fail; 0 turns that off.
    pub stale_secs_max: u32,
    /// How long what is kept.
    pub rules: LegacyCacheRules,
}

impl Default for LegacyCacheSettings {
    fn default() -> Self {
        Self {
            // Some 80,000 answers.
            bytes_max: 64 << 20,
            // At the usual 50 ms per exchange some 40,000 questions a second.
            waiting_max: 2_048,
            // RFC 8767 section 5 advises one to three days.
            stale_secs_max: 86_400,
            rules: LegacyCacheRules::default(),
        }
    }
}

/// How long what is kept. May be replaced while the cache stays; what is kept already stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyCacheRules {
    /// Positive answers are kept at least this long; 0 keeps to their TTL.
    pub ttl_secs_min: u32,
    /// Positive answers are kept at most this long.
    pub ttl_secs_max: u32,
    /// Absences are kept at most this long; 0 keeps none.
    pub negative_ttl_secs_max: u32,
    /// How long the first failure of a question is remembered.
    pub failure_secs: u32,
    /// How long failures that follow on each other are remembered; each doubles the time.
    pub failure_secs_max: u32,
    /// How long after the end of records an absence in their place counts as a failure; 0 for never.
    pub empty_secs: u32,
    /// Whether what is asked for often is asked for again before it ends.
    pub prefetch: bool,
}

impl Default for LegacyCacheRules {
    fn default() -> Self {
        Self {
            ttl_secs_min: 0,
            ttl_secs_max: TTL_SECS_MAX,
            negative_ttl_secs_max: NEGATIVE_TTL_SECS_MAX,
            failure_secs: FAILURE_SECS_FIRST,
            failure_secs_max: FAILURE_SECS_MAX,
            // Whoever takes a name away means it, but for those who were bitten by an upstream.
            empty_secs: 0,
            prefetch: true,
        }
    }
}
