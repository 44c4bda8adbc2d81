//! A router with an admin listener, in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use wamp_client::Session;

use crate::http::Answer;
use crate::rawsocket::PATIENCE;

pub(crate) const TOKEN: &str = "correct-horse-battery";

/// A configuration with a realm that is open to all, and an admin listener with these lines.
pub(crate) fn open_realm(admin: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\n[[realm]]\nname = \"realm1\"\n"
    )
}

/// The program and its configuration, both gone after the test.
pub(crate) struct Service {
    folder: PathBuf,
    pub(crate) child: Child,
    pub(crate) output: Receiver<String>,
    pub(crate) log: Receiver<String>,
    /// The address of the router, as `127.0.0.1:1234`.
    pub(crate) router: String,
    /// The address of the admin listener.
    pub(crate) admin: String,
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    lines
}

impl Service {
    pub(crate) fn start(name: &str, configuration: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wamp-admin-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self::start_in(folder, configuration)
    }

    /// Starts it with its configuration in a folder that exists.
    pub(crate) fn start_in(folder: PathBuf, configuration: &str) -> Self {
        let file = folder.join("router.toml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.arg("--config").arg(&file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (output, log) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        let (router, admin) = (String::new(), String::new());
        let mut service = Self { folder, child, output, log, router, admin };
        let line = service.line();
        let address = line.strip_prefix("Listening on ").and_then(|rest| rest.split_once("://"));
        let address = address.and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        service.router = address.to_owned();
        service.admin = service.admin_line();
        service
    }

    pub(crate) fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("another line")
    }

    /// Reads the line with the address of the admin listener.
    pub(crate) fn admin_line(&self) -> String {
        let line = self.line();
        let address = line.strip_prefix("Admin listener on ").and_then(|rest| rest.split_once("://"));
        let address = address.unwrap_or_else(|| panic!("{line}"));
        address.1.trim_end_matches('/').to_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Changes the configuration and has it read. Returns the line of the log with this text.
    pub(crate) fn reload(&self, configuration: &str, text: &str) -> String {
        std::fs::write(self.folder.join("router.toml"), configuration).unwrap();
        self.signal("HUP");
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("a line of the log");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Joins over WebSocket.
    pub(crate) async fn join(&self) -> Session {
        wamp_client::connect(format!("ws://{}/ws", self.router)).no_reconnect().await.unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Asks again until the answer is as expected.
pub(crate) fn until(mut ask: impl FnMut() -> Answer, is_so: impl Fn(&Answer) -> bool) -> Answer {
    let start = Instant::now();
    loop {
        let answer = ask();
        if is_so(&answer) {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{answer:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
