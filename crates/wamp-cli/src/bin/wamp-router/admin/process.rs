//! The process as Linux shows it.

use std::fs;

/// The processor time, memory and file descriptors of this process. On other systems nothing is known.
pub(super) struct Process {
    /// Seconds, in user and system mode.
    pub(super) cpu: f64,
    /// Bytes.
    pub(super) resident: u64,
    pub(super) open_files: u64,
    pub(super) max_files: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in brackets, may have spaces.
        let (_, after) = stat.rsplit_once(')')?;
        let number = |index: usize| after.split_ascii_whitespace().nth(index)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident = resident.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10;
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let max_files = files.and_then(|files| files.split_ascii_whitespace().next()?.parse().ok());
        // The kernel shows ticks of 10 ms to programs, whatever its own are.
        Some(Self { cpu: ticks as f64 / 100.0, resident, open_files, max_files })
    }
}
