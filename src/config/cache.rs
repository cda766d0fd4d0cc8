//! `[cache]`: how long answers of legacy DNS are kept, as it can be carried out.

use serde::Deserialize;

use crate::service::legacy_cache::LegacyCacheRules;

use super::valid::Fault;

/// A week: RFC 8767 section 4 advises against more.
const TTL_SECS_MAX: u32 = 604_800;
/// With a longer least TTL nobody could move a name any more.
const TTL_SECS_MIN_MAX: u32 = 3_600;
/// RFC 2308 section 5 found more than a day to be trouble.
const NEGATIVE_TTL_SECS_MAX: u32 = 86_400;
/// RFC 9520 section 3.2: failures must not be remembered for longer than five minutes.
const FAILURE_SECS_MAX: u32 = 300;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct WrittenCache {
    pub(super) ttl_min_secs: u32,
    pub(super) ttl_max_secs: u32,
    pub(super) negative_ttl_max_secs: u32,
    pub(super) failure_secs: u32,
    pub(super) failure_max_secs: u32,
    pub(super) empty_secs: u32,
    pub(super) prefetch: bool,
}

impl Default for WrittenCache {
    fn default() -> Self {
        let rules = LegacyCacheRules::default();
        Self {
            ttl_min_secs: rules.ttl_secs_min,
            ttl_max_secs: rules.ttl_secs_max,
            negative_ttl_max_secs: rules.negative_ttl_secs_max,
            failure_secs: rules.failure_secs,
            failure_max_secs: rules.failure_secs_max,
            empty_secs: rules.empty_secs,
            prefetch: rules.prefetch,
        }
    }
}

/// The rules; stale answers may be served for `stale_secs`.
pub(super) fn rules(written: &WrittenCache, stale_secs: u32) -> Result<LegacyCacheRules, Fault> {
    let within = |key: &str, secs: u32, (min, max): (u32, u32), why: &str| {
        if (min..=max).contains(&secs) {
            return Ok(secs);
        }
        let problem = format!("{secs}: expected {min} to {max} seconds; {why}");
        Err((format!("cache.{key}"), problem))
    };
    let ttl_secs_max = within(
        "ttl-max-secs",
        written.ttl_max_secs,
        (1, TTL_SECS_MAX),
        "a wrong answer lives as long",
    )?;
    let failure_secs = within(
        "failure-secs",
        written.failure_secs,
        (1, FAILURE_SECS_MAX),
        "RFC 9520 has failures remembered for a second at least and five minutes at most",
    )?;
    Ok(LegacyCacheRules {
        ttl_secs_min: within(
            "ttl-min-secs",
            written.ttl_min_secs,
            (0, ttl_secs_max.min(TTL_SECS_MIN_MAX)),
            "it is at most ttl-max-secs and an hour, 0 keeps to the TTL of the answer",
        )?,
        ttl_secs_max,
        negative_ttl_secs_max: within(
            "negative-ttl-max-secs",
            written.negative_ttl_max_secs,
            (0, NEGATIVE_TTL_SECS_MAX),
            "0 keeps no absence",
        )?,
        failure_secs,
        failure_secs_max: within(
            "failure-max-secs",
            written.failure_max_secs,
            (failure_secs, FAILURE_SECS_MAX),
            "it is at least failure-secs",
        )?,
        empty_secs: within(
            "empty-secs",
            written.empty_secs,
            (0, stale_secs),
            "it is at most legacy.stale-secs, as stale answers stand in for such an absence; 0 \
             believes every absence",
        )?,
        prefetch: written.prefetch,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use std::path::Path;

    fn read(text: &str) -> Result<Config, String> {
        let parsed = Config::parse(text, Path::new("k.toml"), Path::new(""));
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn a_cache_that_could_not_work_is_a_fault_that_says_what_is_expected() {
        for (text, expected) in [
            (
                "ttl-max-secs = 0",
                "cache.ttl-max-secs: 0: expected 1 to 604800 seconds",
            ),
            (
                "ttl-min-secs = 3601",
                "cache.ttl-min-secs: 3601: expected 0 to 3600",
            ),
            (
                "ttl-min-secs = 61\nttl-max-secs = 60",
                "cache.ttl-min-secs: 61: expected 0 to 60",
            ),
            (
                "negative-ttl-max-secs = 86401",
                "cache.negative-ttl-max-secs",
            ),
            (
                "failure-secs = 0",
                "cache.failure-secs: 0: expected 1 to 300",
            ),
            (
                "failure-max-secs = 4",
                "cache.failure-max-secs: 4: expected 5 to 300",
            ),
            ("failure-max-secs = 301", "cache.failure-max-secs"),
            ("empty-secs = 86401", "at most legacy.stale-secs"),
            ("ttl = 1", "unknown field"),
        ] {
            let error = read(&format!("[cache]\n{text}")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let without_stale = "[legacy]\nstale-secs = 0\n[cache]\nempty-secs = 1";
        assert!(
            read(without_stale)
                .unwrap_err()
                .contains("cache.empty-secs")
        );
    }

    #[test]
    fn what_is_written_is_in_force() {
        let text =
            "[cache]\nttl-min-secs = 5\nttl-max-secs = 600\nfailure-secs = 1\nprefetch = false";
        let cache = read(text).unwrap().cache;
        assert_eq!((cache.ttl_secs_min, cache.ttl_secs_max), (5, 600));
        assert_eq!((cache.failure_secs, cache.failure_secs_max), (1, 30));
        assert!(!cache.prefetch);
    }
}
