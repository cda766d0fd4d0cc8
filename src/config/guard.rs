//! `[guard]`: how the node guards itself, as it can be carried out.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::adapters::dns::{GuardPlan, Limits, RATE_MAX, Rates};

use super::file_v1::{NEAR, list};
use super::valid::{Fault, each};

/// With more nobody would be told within a second that there is another way.
const SLIP_MAX: u32 = 100;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct WrittenGuard {
    pub(super) cookies: bool,
    pub(super) require_cookies: bool,
    pub(super) cookie_secret_file: Option<String>,
    pub(super) answers_per_sec: u32,
    pub(super) nxdomain_per_sec: u32,
    pub(super) errors_per_sec: u32,
    pub(super) slip: u32,
    pub(super) exempt: Vec<String>,
}

impl Default for WrittenGuard {
    fn default() -> Self {
        Self {
            cookies: true,
            require_cookies: false,
            cookie_secret_file: None,
            answers_per_sec: 200,
            nxdomain_per_sec: 200,
            errors_per_sec: 50,
            slip: 2,
            exempt: list(&NEAR),
        }
    }
}

/// How the node guards itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// What is to be done.
    pub plan: GuardPlan,
    /// The secrets that cookies are made with; made up at each start if none.
    pub secret_file: Option<PathBuf>,
}

pub(super) fn guard(written: &WrittenGuard, base: &Path) -> Result<Guard, Fault> {
    let fault = |key: &str, problem: String| Err((format!("guard.{key}"), problem));
    let rates = [
        ("answers-per-sec", written.answers_per_sec),
        ("nxdomain-per-sec", written.nxdomain_per_sec),
        ("errors-per-sec", written.errors_per_sec),
    ];
    if let Some((key, _)) = rates.iter().find(|(_, rate)| *rate > RATE_MAX) {
        return fault(
            key,
            format!("expected at most {RATE_MAX}, or 0 for no limit"),
        );
    }
    if written.slip > SLIP_MAX {
        return fault("slip", format!("expected 0 to {SLIP_MAX}"));
    }
    if !written.cookies {
        let problem = "cookies are off; nothing has a use for it".to_owned();
        if written.require_cookies {
            return fault("require-cookies", problem);
        }
        if written.cookie_secret_file.is_some() {
            return fault("cookie-secret-file", problem);
        }
    }
    let secret_file = written.cookie_secret_file.as_ref();
    Ok(Guard {
        plan: GuardPlan {
            cookies: written.cookies,
            require_cookies: written.require_cookies,
            limits: Limits {
                rates: Rates {
                    answers_per_sec: written.answers_per_sec,
                    nxdomain_per_sec: written.nxdomain_per_sec,
                    errors_per_sec: written.errors_per_sec,
                },
                slip: written.slip,
                exempt: each("guard.exempt", &written.exempt)?,
            },
        },
        secret_file: secret_file.map(|path| base.join(path)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use std::path::Path;

    #[test]
    fn a_guard_that_could_not_work_is_a_fault() {
        for (text, expected) in [
            ("[guard]\nslip = 101", "guard.slip"),
            ("[guard]\nerrors-per-sec = 1000001", "guard.errors-per-sec"),
            ("[guard]\nexempt = [\"10.0.0.0/33\"]", "guard.exempt"),
            (
                "[guard]\ncookies=false\nrequire-cookies=true",
                "guard.require",
            ),
        ] {
            let error = Config::parse(text, Path::new("k.toml"), Path::new("")).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
