//! Processes beside the test: `wamp-router`, and a victim that uses the client library; and their memory.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The budget that `wamp-router` has by default, in MiB.
pub const BUDGET: f64 = 64.0;

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a program and returns the first line that it prints.
    fn start(command: &mut Command) -> io::Result<(Self, String)> {
        let mut process = Self { child: command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()? };
        let mut line = String::new();
        if let Some(stdout) = process.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok((process, line))
    }

    /// The resident memory, in MiB.
    pub fn rss(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most resident memory since [`reset_peak`](Self::reset_peak), in MiB.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    pub fn reset_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    fn status(&self, key: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
    }

    /// Waits, at most this long, until at most this many MiB are resident, and returns how many are.
    pub fn rss_falls_to(&self, limit: f64, patience: Duration) -> f64 {
        let start = Instant::now();
        while self.rss() > limit && start.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.rss()
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and returns how long that took.
    pub fn terminate(&mut self, patience: Duration) -> io::Result<Option<Duration>> {
        let start = Instant::now();
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        while start.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(Some(start.elapsed()))
                } else {
                    Err(io::Error::other(status.to_string()))
                };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }

    /// Stops it, like a machine that hangs.
    pub fn freeze(&self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::STOP);
        }
    }
}

/// A router in a process of its own, with the defaults.
#[derive(Debug)]
pub struct Router {
    pub process: Process,
    pub port: u16,
}

impl Router {
    pub fn start() -> io::Result<Self> {
        Self::start_by(Command::new(program()?))
    }

    /// With this many file descriptors.
    pub fn with_files(files: u32) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(program()?);
        Self::start_by(command)
    }

    /// With this configuration file.
    pub fn configured(text: &str) -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("wamp-hostile-{}-{number}.toml", std::process::id()));
        let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        written.write_all(text.as_bytes())?;
        let mut command = Command::new(program()?);
        command.arg("--config").arg(&file);
        let router = Self::start_by(command);
        std::fs::remove_file(file)?;
        router
    }

    fn start_by(mut command: Command) -> io::Result<Self> {
        command.args(["--listen", "127.0.0.1:0", "--log", "off"]);
        let (process, line) = Process::start(&mut command)?;
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| io::Error::other(format!("the router says {line:?}")))?;
        Ok(Self { process, port })
    }

    pub fn url(&self) -> String {
        format!("rs://127.0.0.1:{}", self.port)
    }
}

/// Starts the program `victim`, which is ready when this returns.
pub fn victim(url: &str) -> io::Result<Process> {
    let (process, line) = Process::start(Command::new(env!("CARGO_BIN_EXE_victim")).arg(url))?;
    if line.trim() == "ready" {
        Ok(process)
    } else {
        Err(io::Error::other(format!("the victim says {line:?}")))
    }
}

/// The program `wamp-router`: `WAMP_ROUTER`, or the one of this workspace, which is built in the profile of the test.
fn program() -> io::Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| match std::env::var_os("WAMP_ROUTER") {
        Some(path) => Ok(path.into()),
        None => build().map_err(|error| error.to_string()),
    });
    program.clone().map_err(io::Error::other)
}

/// Whether the router is built with jemalloc: `HOSTILE_JEMALLOC=1`.
pub fn has_jemalloc() -> bool {
    std::env::var_os("HOSTILE_JEMALLOC").is_some_and(|value| value == "1")
}

fn build() -> io::Result<PathBuf> {
    // TARGET/PROFILE/victim
    let folder = Path::new(env!("CARGO_BIN_EXE_victim")).parent().unwrap_or(Path::new("."));
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "wamp-cli", "--profile", profile]);
    if has_jemalloc() {
        build.args(["--features", "jemalloc"]);
    }
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).status()?;
    if status.success() {
        Ok(folder.join("wamp-router"))
    } else {
        Err(io::Error::other("wamp-router does not build"))
    }
}

/// Lowers the priority of this thread.
pub fn be_nice() {
    let _ = rustix::process::nice(5);
}

/// Takes as many file descriptors as the system allows.
pub fn take_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
