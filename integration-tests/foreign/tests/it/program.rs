//! The program `wamp`: its completion in real shells, its manual pages, its bar under tmux, and its exit codes and errors
//! with Crossbar.io.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use wamp_client::{Failure, Invocation, Session, Value, connect};

use crate::log::Log;
use crate::peer::Transport;
use crate::process::PATIENCE;
use crate::routers::{Running, Which};
use crate::run::{Chapter, Outcome, with_log};
use crate::tools::Tools;

const SHELLS: [&str; 3] = ["wamp completion in bash", "wamp completion in zsh", "wamp completion in fish"];

const MANUAL: &str = "wamp man, shown by man";

const BAR: &str = "wamp call's bar under tmux";

const CROSSBAR: &str = "wamp with Crossbar.io";

/// Runs the rows that have one of the words in them, or all.
pub async fn chapter(tools: &Tools, wanted: &[String]) -> Option<Chapter> {
    let rows = SHELLS.into_iter().chain([MANUAL, BAR, CROSSBAR]);
    let mut outcomes = Vec::new();
    for row in rows.filter(|row| wanted.is_empty() || wanted.iter().any(|word| row.contains(&**word))) {
        let (started, log) = (Instant::now(), Log::default());
        let result = play(row, tools, &log).await.map_err(|why| with_log(why, &log));
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    (!outcomes.is_empty()).then_some(Chapter { title: "P: the program wamp", outcomes })
}

async fn play(row: &str, tools: &Tools, log: &Log) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(text)?;
    match row {
        MANUAL => manual(tools, folder.path()).await,
        BAR => bar(tools, folder.path()).await,
        CROSSBAR => with_crossbar(tools, log).await,
        row => completion(tools, folder.path(), row.rsplit(' ').next().unwrap_or_default()).await,
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Fails with what was found.
fn check(is_right: bool, what: &str, found: &dyn std::fmt::Debug) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(format!("{what}: {found:?}")) }
}

/// Writes the script of a shell, and completes a subcommand and an option in that shell.
async fn completion(tools: &Tools, folder: &Path, shell: &str) -> Result<(), String> {
    let script = Command::new(&tools.wamp).args(["completion", shell]).output().await.map_err(text)?;
    let (name, start, source) = match shell {
        "bash" => ("wamp.bash", "bash --noprofile --norc -i", "source wamp.bash"),
        "zsh" => ("_wamp", "zsh -f -i", "fpath=($PWD $fpath); autoload -U compinit; compinit -u -D"),
        _ => ("wamp.fish", "fish --no-config -i", "source wamp.fish"),
    };
    std::fs::write(folder.join(name), script.stdout).map_err(text)?;
    let terminal = Terminal::start(folder, start, tools).await?;
    terminal.keys(&[source, "Enter"]).await?;
    terminal.keys(&["echo rea''dy", "Enter"]).await?;
    terminal.wait(|screen| screen.lines().any(|line| line.trim() == "ready")).await?;
    terminal.keys(&["clear", "Enter"]).await?;
    for (typed, completed) in [
        ("wamp subsc", "wamp subscribe"),
        ("wamp call --max-t", "wamp call --max-time"),
        ("wamp rou", "wamp router"),
    ] {
        terminal.keys(&[typed, "Tab"]).await?;
        terminal.wait(|screen| screen.contains(completed)).await?;
        terminal.keys(&["C-c"]).await?;
    }
    terminal.end().await
}

async fn manual(tools: &Tools, folder: &Path) -> Result<(), String> {
    let written = Command::new(&tools.wamp).arg("man").arg(folder).output().await.map_err(text)?;
    check(written.status.success(), "wamp man", &written)?;
    for (page, words) in [
        ("wamp.1", &["WAMP client", "wamp-call(1)", "wamp-bench(1)"][..]),
        ("wamp-call.1", &["--cancel-mode", "WAMP_URL"]),
        ("wamp-context-add.1", &["--ticket"]),
        ("wamp-router.1", &["--listen", "wamp-router-check(1)"]),
        ("wamp-router-check.1", &["--print"]),
    ] {
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(folder.join(page));
        man.env("MANPAGER", "cat").env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
        let shown = man.output().await.map_err(text)?;
        let (shown, errors) =
            (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
        for word in words {
            check(shown.contains(word), &format!("{page} has {word}"), &shown)?;
        }
        check(errors.is_empty(), &format!("{page} has no warnings"), &errors)?;
    }
    let router = std::fs::read_to_string(folder.join("wamp-router.1")).map_err(text)?;
    check(!router.contains("ticket"), "the page of the router has no options of clients", &router)
}

#[derive(Serialize)]
struct Step {
    done: u32,
    total: u32,
    message: &'static str,
}

/// A quarter of its way, and no answer.
async fn steps(call: Invocation) -> Result<(), Failure> {
    if let Some(progress) = call.progress() {
        for done in 1..=3 {
            progress.send(Value(Step { done, total: 12, message: "copying" })).await?;
        }
    }
    call.canceled().await;
    Ok(())
}

async fn bar(tools: &Tools, folder: &Path) -> Result<(), String> {
    let router = Running::start(Which::Embedded, tools).await?;
    let url = router.url(Transport::WebSocket);
    let callee = connect(&url).await.map_err(text)?;
    callee.register("com.myapp.steps", steps).await.map_err(text)?;
    let terminal = Terminal::start(folder, "bash --noprofile --norc -i", tools).await?;
    let line = format!("wamp call com.myapp.steps --url {url} > results; echo code=$?");
    terminal.keys(&[&line, "Enter"]).await?;
    let screen = terminal.wait(|screen| screen.contains(" 25%  copying  3 results")).await?;
    let drawn = screen.lines().find(|line| line.contains("25%")).unwrap_or_default().to_owned();
    check(drawn.starts_with("com.myapp.steps [======> "), "the bar", &screen)?;
    terminal.keys(&["C-c"]).await?;
    let screen = terminal.wait(|screen| screen.contains("code=130")).await?;
    check(screen.contains("canceled: com.myapp.steps") && !screen.contains("25%"), "the end", &screen)?;
    let results = std::fs::read_to_string(folder.join("results")).map_err(text)?;
    check(results.lines().count() == 3 && !results.contains('%'), "standard output", &results)?;
    terminal.end().await?;
    callee.leave().await;
    router.stop().await
}

/// A program under tmux.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    async fn start(folder: &Path, program: &str, tools: &Tools) -> Result<Self, String> {
        let terminal = Self { socket: folder.join("tmux") };
        let here = tools.wamp.parent().unwrap_or(Path::new(""));
        let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap_or_default());
        let mut command =
            terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", program]);
        command.current_dir(folder).env("PATH", path).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
        command.env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR").env_remove("WAMP_URL");
        output(command).await?;
        Ok(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(arguments);
        command
    }

    /// Types these keys.
    async fn keys(&self, keys: &[&str]) -> Result<(), String> {
        output(self.tmux(&[&["send-keys"], keys].concat())).await.map(drop)
    }

    /// Waits until the screen is as wanted, and returns it.
    async fn wait(&self, is_wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        let start = Instant::now();
        loop {
            let screen = output(self.tmux(&["capture-pane", "-p"])).await?;
            if is_wanted(&screen) {
                return Ok(screen);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("the screen is:\n{screen}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(&self) -> Result<(), String> {
        output(self.tmux(&["kill-server"])).await.map(drop)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = std::process::Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

async fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().await.map_err(|error| format!("tmux: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("tmux: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

async fn with_crossbar(tools: &Tools, log: &Log) -> Result<(), String> {
    let router = Running::start(Which::Crossbar, tools).await?;
    let url = router.url(Transport::WebSocket);
    let callee = connect(&url).no_reconnect().await.map_err(text)?;
    register(&callee).await.map_err(text)?;
    let wamp = Wamp { program: &tools.wamp, url: &url };
    wamp.table(log).await?;

    let subscriber =
        wamp.command(&["subscribe", "com.test.topic", "--count", "1", "--quiet"]).spawn().map_err(text)?;
    let lookup = ["call", "wamp.subscription.lookup", "com.test.topic"];
    while wamp.run(&lookup).await?.1.trim() == "null" {
        sleep(Duration::from_millis(50)).await;
    }
    let published = wamp.run(&["publish", "com.test.topic", "1", "-k", "a=x"]).await?;
    check(published.0 == Some(0), "publish", &published)?;
    let event = ended(subscriber.wait_with_output()).await?;
    check(event.1 == "{\"args\":[1],\"kwargs\":{\"a\":\"x\"}}\n", "the event", &event)?;

    let registered =
        wamp.command(&["register", "com.test.new", "--echo", "--count", "1"]).spawn().map_err(text)?;
    let call = async {
        loop {
            match callee.call("com.test.new").arg(7).await {
                Ok(result) => return result.decode::<u32>().map_err(text),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let echoed = timeout(PATIENCE, call).await.map_err(text)??;
    check(echoed == 7, "the call", &echoed)?;
    let registered = ended(registered.wait_with_output()).await?;
    check(registered.0 == Some(0), "register", &registered)?;

    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let call = wamp.command(&["call", "com.test.slow"]).spawn().map_err(text)?;
        sleep(Duration::from_secs(1)).await;
        let id = call.id().unwrap_or_default().to_string();
        let _ = Command::new("kill").args([&format!("-{signal}"), &id]).status().await;
        let canceled = ended(call.wait_with_output()).await?;
        check(canceled.0 == Some(code) && canceled.2 == "canceled: com.test.slow\n", signal, &canceled)?;
    }
    let call = wamp.command(&["call", "com.test.slow"]).spawn().map_err(text)?;
    sleep(Duration::from_secs(1)).await;
    router.kill().await?;
    let lost = ended(call.wait_with_output()).await?;
    let is_right = lost.0 == Some(4) && lost.2.starts_with("Error: com.test.slow: the session is over: ");
    check(is_right, "a router that is killed", &lost)
}

/// An exit code, standard output and standard error.
type Ended = (Option<i32>, String, String);

async fn ended(output: impl Future<Output = std::io::Result<Output>>) -> Result<Ended, String> {
    let output =
        timeout(PATIENCE, output).await.map_err(|_| "wamp does not end".to_owned())?.map_err(text)?;
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), lossy(&output.stdout), lossy(&output.stderr)))
}

/// The program, for one router.
struct Wamp<'a> {
    program: &'a Path,
    url: &'a str,
}

impl Wamp<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).env("WAMP_URL", self.url).env("XDG_CONFIG_HOME", "/nonexistent");
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Result<Ended, String> {
        ended(self.command(arguments).output()).await
    }

    /// Runs the commands that end by themselves: exit code, whole output, beginning of the errors.
    async fn table(&self, log: &Log) -> Result<(), String> {
        let Wamp { url, .. } = self;
        let refused = format!("Error: refused: {url}: wamp.error.no_such_realm");
        for (arguments, code, stdout, stderr) in [
            (&["call", "com.test.sum", "2", "40"][..], 0, "42\n", ""),
            (&["call", "com.test.longop", "2"], 0, "0\n1\n2\n", ""),
            (&["call", "com.test.longop", "2", "--no-progress"], 0, "2\n", ""),
            (&["call", "com.test.longop", "9", "--count", "1"], 0, "0\n", ""),
            (
                &["call", "com.test.fail"],
                1,
                "",
                "Error: com.test.fail: com.test.error.bad: too short (least: 8)\n",
            ),
            (&["call", "com.test.none"], 1, "", "Error: com.test.none: wamp.error.no_such_procedure"),
            (&["call", "com.test.sum", "[1 2"], 2, "", "Error: argument 1: not JSON at column 4: [1 2\n"),
            (&["call", "com.test.sum", "--realm", "relam1"], 3, "", &refused),
            (
                &["call", "com.test.slow", "--max-time", "300ms"],
                5,
                "",
                "Error: com.test.slow: wamp.error.timeout",
            ),
            (
                &["call", "com.test.fail", "wamp.error.canceled"],
                6,
                "",
                "Error: com.test.fail: wamp.error.canceled",
            ),
            (&["publish", "wamp.test"], 1, "", "Error: wamp.test: wamp.error."),
        ] {
            let found = self.run(arguments).await?;
            log.add(format!("wamp {arguments:?}: {found:?}"));
            let is_right = found.0 == Some(code) && found.1 == stdout && found.2.starts_with(stderr);
            check(is_right && found.2.is_empty() == stderr.is_empty(), &arguments.join(" "), &found)?;
        }
        let ping = self.run(&["ping", "--count", "1"]).await?;
        check(ping.0 == Some(0) && ping.1.starts_with("joined realm1 as session "), "ping", &ping)?;
        let sessions = self.run(&["ps", "sessions", "--json"]).await?;
        check(sessions.0 == Some(0) && sessions.1.lines().count() == 2, "ps sessions", &sessions)?;
        let registrations = self.run(&["ps", "registrations"]).await?;
        check(registrations.0 == Some(0) && registrations.1.contains("com.test.sum"), "ps", &registrations)?;
        for kind in ["stream", "call", "publish", "join"] {
            let measured = self.run(&["bench", kind, "--time", "300ms", "--json"]).await?;
            check(measured.0 == Some(0) && measured.1.contains("\"per_second\""), kind, &measured)?;
        }
        Ok(())
    }
}

async fn register(session: &Session) -> Result<(), wamp_client::RequestError> {
    let sum = |call: Invocation| async move {
        let (a, b): (i64, i64) = call.args()?;
        Ok(a + b)
    };
    session.register("com.test.sum", sum).await?;
    let longop = |call: Invocation| async move {
        let n: i64 = call.decode()?;
        if let Some(progress) = call.progress() {
            for i in 0..n {
                progress.send(i).await?;
            }
        }
        Ok(n)
    };
    session.register("com.test.longop", longop).await?;
    let fail = |call: Invocation| async move {
        let (uri,): (Option<String>,) = call.args()?;
        let uri = uri.unwrap_or_else(|| "com.test.error.bad".to_owned());
        Err::<(), _>(Failure::new(uri).arg("too short").kwarg("least", 8))
    };
    session.register("com.test.fail", fail).await?;
    let slow = |call: Invocation| async move {
        call.canceled().await;
        Ok(())
    };
    session.register("com.test.slow", slow).await?;
    Ok(())
}
