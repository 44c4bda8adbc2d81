//! Programs that do not outlive their test, and a peer with procedures.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wamp_client::{Bytes, CancelReason, Failure, Invocation, Payload, Session};

/// A test that waits longer than this will wait for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs. Its output is read by threads.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    notes: Receiver<String>,
}

/// How a program has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let notes = lines_of(child.stderr.take().unwrap());
        Self { child, lines, notes }
    }

    /// Starts it with a pipe as standard input.
    pub(crate) fn spawn_with_input(mut command: Command) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped());
        let mut program = Self::spawn(command);
        let stdin = program.child.stdin.take().unwrap();
        (program, stdin)
    }

    /// The next line on standard output.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The next line on standard error.
    pub(crate) fn note(&self) -> String {
        self.notes.recv_timeout(PATIENCE).expect("another line on standard error")
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end. The output is what was not read before.
    pub(crate) fn end(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let rest = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        Ended { code: status.code(), stdout: rest(&self.lines), stderr: rest(&self.notes) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    let output = BufReader::new(output);
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    lines
}

/// The program `wamp-router` on a port of its own.
pub(crate) struct Router {
    program: Program,
    pub(crate) url: String,
}

impl Router {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments).stdin(Stdio::null());
        let program = Program::spawn(command);
        let line = program.line();
        let (ws, _) = line.strip_prefix("Listening on ").and_then(|rest| rest.split_once(' ')).unwrap();
        Self { url: format!("{ws}/ws"), program }
    }

    pub(crate) fn kill(&self) {
        self.program.signal("KILL");
    }

    /// The program `wamp` with these arguments, for this router.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wamp(arguments);
        command.env("WAMP_URL", &self.url);
        command
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Program {
        Program::spawn(self.command(arguments))
    }

    /// Runs the program `wamp` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.spawn(arguments).end()
    }

    /// Runs the program `wamp` to its end, with this standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let (program, mut stdin) = Program::spawn_with_input(self.command(arguments));
        // A program that has ended does not read.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        program.end()
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer::new(&self.url)
    }
}

/// The program `wamp` without an environment that changes what it does.
pub(crate) fn wamp(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAMP_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env_remove("NO_COLOR");
    command
}

/// A directory, also for configuration, removed with its test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wamp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = wamp(arguments);
        command.env("XDG_CONFIG_HOME", &self.0);
        Program::spawn(command).end()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A session in the test, with procedures.
pub(crate) struct Peer {
    _runtime: Runtime,
    _session: Session,
    /// Why invocations of `com.test.slow` were canceled.
    canceled: Arc<Mutex<Vec<CancelReason>>>,
}

impl Peer {
    fn new(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let canceled = Arc::<Mutex<Vec<CancelReason>>>::default();
        let session = runtime.block_on(wamp_client::connect(url).no_reconnect().send()).unwrap();
        runtime.block_on(register(&session, canceled.clone()));
        Self { _runtime: runtime, _session: session, canceled }
    }

    /// Waits until an invocation was canceled, and returns why.
    pub(crate) fn canceled(&self) -> CancelReason {
        let start = Instant::now();
        loop {
            if let Some(reason) = self.canceled.lock().unwrap().pop() {
                return reason;
            }
            assert!(start.elapsed() < PATIENCE, "no invocation is canceled");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn register(session: &Session, canceled: Arc<Mutex<Vec<CancelReason>>>) {
    let echo = |call: Invocation| async move { Ok(call.payload().clone()) };
    session.register("com.test.echo", echo).await.unwrap();
    let sum = |call: Invocation| async move {
        let (a, b): (i64, i64) = call.args()?;
        Ok(a + b)
    };
    session.register("com.test.sum", sum).await.unwrap();
    let longop = |call: Invocation| async move {
        let (n,): (i64,) = call.args()?;
        if let Some(progress) = call.progress() {
            for i in 0..n {
                progress.send((i,)).await?;
            }
        }
        Ok((n,))
    };
    session.register("com.test.longop", longop).await.unwrap();
    let fail = |call: Invocation| async move {
        let (uri,): (Option<String>,) = call.args()?;
        let uri = uri.unwrap_or_else(|| "com.test.error.bad".to_owned());
        Err::<(), _>(Failure::new(uri).arg("too short").kwarg("least", 8))
    };
    session.register("com.test.fail", fail).await.unwrap();
    // One progressive result, and no other answer.
    let slow = move |call: Invocation| {
        let canceled = canceled.clone();
        async move {
            if let Some(progress) = call.progress() {
                progress.send(1).await?;
            }
            let reason = call.canceled().await;
            canceled.lock().unwrap().push(reason);
            Ok(Payload::empty())
        }
    };
    session.register("com.test.slow", slow).await.unwrap();
    let stubborn = |call: Invocation| async move {
        call.answer_cancel_myself();
        if let Some(progress) = call.progress() {
            progress.send(1).await?;
        }
        std::future::pending::<()>().await;
        Ok(())
    };
    session.register("com.test.stubborn", stubborn).await.unwrap();
    let endless = |call: Invocation| async move {
        let progress = call.progress().expect("asked for");
        for i in 0_u64.. {
            progress.send(i).await?;
        }
        Ok(())
    };
    session.register("com.test.endless", endless).await.unwrap();
    // Each chunk, and the sum of them.
    let chunks = |call: Invocation| async move {
        let (mut sum, mut chunks) = (0, call.chunks::<i64>());
        while let Some(chunk) = chunks.try_next().await? {
            sum += chunk;
            if let Some(progress) = call.progress() {
                progress.send(chunk).await?;
            }
        }
        Ok(sum)
    };
    session.register("com.test.chunks", chunks).await.unwrap();
    let bytes = |call: Invocation| async move {
        let (mut sum, mut chunks) = (0, call.chunks::<Bytes>());
        while let Some(chunk) = chunks.try_next().await? {
            sum += chunk.len();
            if let Some(progress) = call.progress() {
                progress.send(chunk.len()).await?;
            }
        }
        Ok(sum)
    };
    session.register("com.test.bytes", bytes).await.unwrap();
    // A quarter of its way, and no answer.
    let steps = |call: Invocation| async move {
        let progress = call.progress().expect("asked for");
        for done in 1..=3 {
            let step = Step { done, total: 12, message: "copying" };
            progress.send(wamp_client::Value(step)).await?;
        }
        call.canceled().await;
        Ok(())
    };
    session.register("com.test.steps", steps).await.unwrap();
}

#[derive(serde::Serialize)]
struct Step {
    done: u32,
    total: u32,
    message: &'static str,
}
