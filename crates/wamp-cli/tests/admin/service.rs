//! A router with an admin listener, in a process of its own.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use wamp_client::Session;

use crate::http::Answer;
use crate::process;
use crate::rawsocket::PATIENCE;

pub(crate) const TOKEN: &str = "correct-horse-battery";

/// A configuration with a realm that is open to all, and an admin listener with these lines.
pub(crate) fn open_realm(admin: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\n[[realm]]\nname = \"realm1\"\n"
    )
}

/// The program, and its addresses.
pub(crate) struct Service {
    pub(crate) process: process::Service,
    /// The address of the router, as `127.0.0.1:1234`.
    pub(crate) router: String,
    /// The address of the admin listener.
    pub(crate) admin: String,
}

impl Service {
    pub(crate) fn start(name: &str, configuration: &str) -> Self {
        Self::start_in(process::folder(name), configuration)
    }

    /// Starts it with its configuration in a folder that exists.
    pub(crate) fn start_in(folder: PathBuf, configuration: &str) -> Self {
        let process = process::Service::spawn(folder, configuration, |command| command);
        let mut service = Self { process, router: String::new(), admin: String::new() };
        let line = service.process.line();
        let address = line.strip_prefix("Listening on ").and_then(|rest| rest.split_once("://"));
        let address = address.and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        service.router = address.to_owned();
        service.admin = service.admin_line();
        service
    }

    /// Reads the line with the address of the admin listener.
    pub(crate) fn admin_line(&self) -> String {
        let line = self.process.line();
        let address = line.strip_prefix("Admin listener on ").and_then(|rest| rest.split_once("://"));
        let address = address.unwrap_or_else(|| panic!("{line}"));
        address.1.trim_end_matches('/').to_owned()
    }

    /// Changes the configuration and has it read. Returns the line of the log with this text.
    pub(crate) fn reload(&self, configuration: &str, text: &str) -> String {
        self.process.reload(configuration);
        self.process.logged(text)
    }

    /// Joins over WebSocket.
    pub(crate) async fn join(&self) -> Session {
        wamp_client::connect(format!("ws://{}/ws", self.router)).no_reconnect().await.unwrap()
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
