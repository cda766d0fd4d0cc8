//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit towards `wanted`, as far as the hard limit lets it, and gives the limit
/// that is then in force. Systems start programs with a soft limit of 1,024 for the sake of old
/// ones; a server is meant to raise it.
pub fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let unlimited = u64::MAX;
    let present = current.unwrap_or(unlimited);
    let raised = wanted.min(maximum.unwrap_or(unlimited));
    if present >= raised {
        return present;
    }
    let limit = Rlimit {
        current: Some(raised),
        maximum,
    };
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            present
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_lowered_and_never_above_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let hard = before.maximum.unwrap_or(u64::MAX);
        assert_eq!(Some(raise(1)), before.current.or(Some(u64::MAX)));
        assert_eq!(raise(u64::MAX), hard);
        assert_eq!(
            getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            hard
        );
    }
}
