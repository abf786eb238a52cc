//! What a process tree has used, from `/proc`.

use std::{collections::HashMap, fs, time::Duration};

/// CPU time and memory of a process and its descendants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

/// Clock ticks per second in `/proc/PID/stat` and bytes per page: 100 and 4096 on every Linux this runs on.
const TICKS: u64 = 100;
const PAGE: u64 = 4096;

impl Usage {
    /// Of `root` and all that descends from it.
    pub(crate) fn of_tree(root: u32) -> anyhow::Result<Self> {
        let mut all = HashMap::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may end between the listing and the reading.
            if let Some(stat) = fs::read_to_string(entry.path().join("stat"))
                .ok()
                .and_then(|text| Stat::parse(&text))
            {
                all.insert(pid, stat);
            }
        }
        anyhow::ensure!(all.contains_key(&root), "the server (process {root}) is gone");
        let mut usage = Self::default();
        for (pid, stat) in &all {
            let mut ancestor = *pid;
            while ancestor != root && ancestor > 1 {
                ancestor = all.get(&ancestor).map_or(0, |stat| stat.parent);
            }
            if ancestor == root {
                usage.cpu += stat.cpu;
                usage.resident += stat.resident;
            }
        }
        Ok(usage)
    }
}

struct Stat {
    parent: u32,
    cpu: Duration,
    resident: u64,
}

impl Stat {
    /// Reads `/proc/PID/stat` (proc_pid_stat(5)). The name in parentheses may hold anything, so it is skipped from behind.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: number(1)? as u32,
            cpu: Duration::from_millis((number(11)? + number(12)?) * 1000 / TICKS),
            resident: number(21)? * PAGE,
        })
    }
}
