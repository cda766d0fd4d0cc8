//! What the kernel says of this process.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Processor time in `/proc` is told in so many nanoseconds, on every Linux.
const TICK_NANOS: u64 = 10_000_000;
const BYTES_PER_KIB: u64 = 1_024;

/// What the process uses. What cannot be read is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessUse {
    /// Processor time, in nanoseconds.
    pub cpu_nanos: Option<u64>,
    /// Memory in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Memory that is mapped, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Files and sockets that are open.
    pub open_files: Option<u64>,
    /// And how many may be.
    pub open_files_max: Option<u64>,
}

impl ProcessUse {
    /// What is used now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |field: &str| Some(number(&status, field)? * BYTES_PER_KIB);
        Self {
            cpu_nanos: fs::read_to_string("/proc/self/stat")
                .ok()
                .and_then(|stat| cpu_ticks(&stat))
                .map(|ticks| ticks.saturating_mul(TICK_NANOS)),
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: number(&status, "Threads:"),
            open_files: open_files(),
            open_files_max: getrlimit(Resource::Nofile).current,
        }
    }
}

/// The first number of a line of `/proc/self/status`.
fn number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Ticks in user and in kernel mode of a line of `/proc/self/stat`. The name of the program, in
/// parentheses, may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

/// The one through which they are counted is no longer open afterwards.
fn open_files() -> Option<u64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count.saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_name_of_any_form_is_read() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 21 34 0 0 20 0 9 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(55));
        assert_eq!(cpu_ticks("7"), None);
    }

    #[test]
    fn this_process_uses_something_of_everything() {
        let used = ProcessUse::now();
        for some in [used.resident_bytes, used.virtual_bytes, used.threads] {
            assert!(some.is_some_and(|some| some > 0), "{used:?}");
        }
        assert!(used.cpu_nanos.is_some() && used.open_files.is_some());
    }
}
