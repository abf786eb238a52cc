//! Usage: what a worker has taken of the machine.

use std::time::Duration;

use rustix::process::Pid;

/// What a process has taken of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its number.
    pub pid: u32,
    /// Processor time since it began.
    pub cpu: Duration,
    /// Memory it occupies, in bytes.
    pub memory: u64,
}

/// Of a process, as Linux tells; `None` if it is gone.
pub(super) fn usage(process: Pid) -> Option<Usage> {
    let pid = process.as_raw_nonzero().get();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    parse(
        pid.unsigned_abs(),
        &stat,
        &statm,
        rustix::param::clock_ticks_per_second(),
        rustix::param::page_size() as u64,
    )
}

/// From `proc(5)`: user and system time are the fields 14 and 15 of `stat`, resident pages the second of `statm`.
fn parse(pid: u32, stat: &str, statm: &str, ticks: u64, page: u64) -> Option<Usage> {
    // The name may hold spaces and brackets; what follows the last bracket does not.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Usage {
        pid,
        cpu: Duration::from_secs_f64((user + system) as f64 / ticks.max(1) as f64),
        memory: pages.saturating_mul(page),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_read() {
        let stat =
            "42 (a ) b) S 1 42 42 0 -1 4194304 500 0 0 0 150 50 0 0 20 0 6 0 100 1000000 300 18446744073709551615";
        let usage = parse(42, stat, "1000 300 100 1 0 200 0", 100, 4096);
        let expected = Usage {
            pid: 42,
            cpu: Duration::from_secs(2),
            memory: 300 * 4096,
        };
        assert_eq!(usage, Some(expected));
        assert_eq!(parse(42, "42 (x", "", 100, 4096), None);
    }
}
