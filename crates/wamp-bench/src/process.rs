//! CPU time and memory of a process; nothing where there is no `/proc`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// The ticks per second of CPU times in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds since its start, user and system.
pub(crate) fn cpu(pid: Option<u32>) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid?)).ok()?;
    // The name in parentheses may have spaces in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// Bytes of memory that are resident.
pub(crate) fn memory(pid: Option<u32>) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Samples the memory of a process every 50 ms.
pub(crate) struct Growth {
    pid: Option<u32>,
    before: Option<u64>,
    most: Arc<AtomicU64>,
    sampler: JoinHandle<()>,
}

impl Growth {
    pub(crate) fn start(pid: Option<u32>) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let seen = most.clone();
        let sampler = tokio::spawn(async move {
            loop {
                seen.fetch_max(memory(pid).unwrap_or(0), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { pid, before: memory(pid), most, sampler }
    }

    /// The greatest growth since the start, in bytes.
    pub(crate) fn end(self) -> Option<u64> {
        self.sampler.abort();
        let last = memory(self.pid).unwrap_or(0);
        let most = self.most.load(Ordering::Relaxed).max(last);
        (most > 0).then_some(most)?.checked_sub(self.before?)
    }
}

/// Fails if this process may not have this many files open.
pub(crate) fn need_files(wanted: u64) -> Result<(), String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    match limit {
        Some(limit) if limit < wanted => {
            Err(format!("this takes {wanted} open files, and {limit} are allowed: ulimit -n {wanted}"))
        }
        _ => Ok(()),
    }
}
