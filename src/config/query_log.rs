//! `[query-log]`: what is written down of questions.

use std::path::Path;

use serde::Deserialize;

use crate::adapters::query_log_file::QueryTarget;
use crate::service::query_log::QueryLogRules;

use super::QueryLog;
use super::valid::Fault;

const BITS_V4_MAX: u8 = 32;
const BITS_V6_MAX: u8 = 128;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct WrittenQueryLog {
    pub(super) to: String,
    pub(super) sample: u32,
    pub(super) client_bits_v4: u8,
    pub(super) client_bits_v6: u8,
}

impl Default for WrittenQueryLog {
    fn default() -> Self {
        Self {
            to: "off".into(),
            sample: 1,
            client_bits_v4: 32,
            client_bits_v6: 128,
        }
    }
}

pub(super) fn query_log(written: &WrittenQueryLog, base: &Path) -> Result<Option<QueryLog>, Fault> {
    let fault = |key: &str, problem: String| (format!("query-log.{key}"), problem);
    if written.sample == 0 {
        let problem = "expected 1 for every question, or more for one of so many".to_owned();
        return Err(fault("sample", problem));
    }
    for (key, bits, max) in [
        ("client-bits-v4", written.client_bits_v4, BITS_V4_MAX),
        ("client-bits-v6", written.client_bits_v6, BITS_V6_MAX),
    ] {
        if bits > max {
            return Err(fault(key, format!("expected 0 to {max}")));
        }
    }
    let target = match written.to.as_str() {
        "off" => return Ok(None),
        "" => {
            let problem = "expected off, stdout, stderr or a file".to_owned();
            return Err(fault("to", problem));
        }
        "stdout" => QueryTarget::Stdout,
        "stderr" => QueryTarget::Stderr,
        file => QueryTarget::File(base.join(file)),
    };
    Ok(Some(QueryLog {
        target,
        rules: QueryLogRules {
            sample: written.sample,
            client_bits_v4: written.client_bits_v4,
            client_bits_v6: written.client_bits_v6,
        },
    }))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    use super::*;

    #[test]
    fn where_it_goes_is_a_word_or_a_file() {
        let read = |text: &str| {
            let text = format!("[query-log]\n{text}");
            Config::parse(&text, Path::new("k.toml"), Path::new("/etc"))
        };
        for (text, expected) in [
            ("to = \"\"", "query-log.to"),
            ("to = \"q\"\nsample = 0", "query-log.sample"),
            ("client-bits-v4 = 33", "query-log.client-bits-v4"),
            ("client-bits-v6 = 129", "query-log.client-bits-v6"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        assert_eq!(read("to = \"off\"").unwrap().query_log, None);
        let target = read("to = \"q.jsonl\"").unwrap().query_log.unwrap().target;
        assert_eq!(target, QueryTarget::File("/etc/q.jsonl".into()));
    }
}
