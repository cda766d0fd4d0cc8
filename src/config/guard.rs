//! `[guard]`: how the node guards itself, as it can be carried out.

use std::path::{Path, PathBuf};

use crate::adapters::dns::{GuardPlan, Limits, RATE_MAX, Rates};

use super::file_v1;
use super::valid::{Fault, each};

/// With more nobody would be told within a second that there is another way.
const SLIP_MAX: u32 = 100;

/// How the node guards itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// What is to be done.
    pub plan: GuardPlan,
    /// The secrets that cookies are made with; made up at each start if none.
    pub secret_file: Option<PathBuf>,
}

pub(super) fn guard(written: &file_v1::Guard, base: &Path) -> Result<Guard, Fault> {
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
