//! Limits: what of the machine a worker may have.

use rustix::process::{Signal, nice, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

/// What of the machine a worker may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Lowers its priority, from 0 to 19.
    pub nice: u8,
    /// Most processor cores it may use; 0 is all.
    pub cores: usize,
    /// Most bytes of memory.
    pub memory: Option<u64>,
}

/// Takes them upon this process. Called before its threads begin, which inherit what the first one has. What the system
/// refuses is left as it is: a worker that runs with too much is better than none.
pub(super) fn apply(limits: &Limits) {
    if limits.nice > 0
        && let Err(error) = nice(limits.nice.into())
    {
        tracing::warn!(%error, "cannot lower the priority");
    }
    if limits.cores > 0
        && let Err(error) = keep_to(limits.cores)
    {
        tracing::warn!(%error, "cannot limit the cores");
    }
    // When memory is short this process is to go, and not the server.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "500") {
        tracing::debug!(%error, "cannot be the first to go when memory is short");
    }
}

/// Keeps to so many of the cores it may use. Which ones is left to chance, so that workers do not share the same.
fn keep_to(count: usize) -> rustix::io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None)?;
    let mut cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    if cores.len() <= count {
        return Ok(());
    }
    let first = rand::random_range(0..cores.len());
    cores.rotate_left(first);
    let mut chosen = CpuSet::new();
    for core in cores.into_iter().take(count) {
        chosen.set(core);
    }
    sched_setaffinity(None, &chosen)
}

/// Has the system end this process when the server ends without having been able to.
pub(super) fn die_with_the_server() -> std::io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}
