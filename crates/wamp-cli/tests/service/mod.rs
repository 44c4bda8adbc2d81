//! The program `wamp-router` in a process of its own, with a configuration that can be changed.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::rawsocket::PATIENCE;

/// A folder with a configuration and a program that uses it; both are gone after the test.
pub(crate) struct Service {
    pub(crate) folder: PathBuf,
    pub(crate) child: Child,
    output: Receiver<String>,
    log: Receiver<String>,
}

/// Returns a folder for the files of a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wamp-router-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Returns the lines of an output.
pub(crate) fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    lines
}

impl Service {
    pub(crate) fn spawn(
        folder: PathBuf,
        configuration: &str,
        set: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let file = folder.join("router.toml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.arg("--config").arg(&file);
        let mut child = set(&mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (output, log) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { folder, child, output, log }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Changes the configuration and has it read.
    pub(crate) fn reload(&self, configuration: &str) {
        std::fs::write(self.folder.join("router.toml"), configuration).unwrap();
        self.signal("HUP");
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("another line")
    }

    /// The next line of the log with this text.
    pub(crate) fn logged(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line with {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
