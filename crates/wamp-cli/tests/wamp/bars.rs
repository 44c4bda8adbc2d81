//! Bars, as a person sees them: standard error is a pseudo terminal, and its screen is read.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{PATIENCE, Router};

/// A pseudo terminal of 24 rows and 80 columns, and a program that writes its errors there.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    keys: File,
}

impl Terminal {
    fn spawn(command: Command, has_stdout: bool) -> Self {
        Self::with(command, has_stdout, false)
    }

    fn with(mut command: Command, has_stdout: bool, has_stdin: bool) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let slave = || OpenOptions::new().read(true).write(true).open(path).unwrap();
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        command.stderr(slave());
        match has_stdout {
            true => command.stdout(slave()),
            false => command.stdout(Stdio::piped()),
        };
        if has_stdin {
            command.stdin(slave());
        }
        let child = command.spawn().unwrap();
        // The terminal ends with the last program that has it.
        drop(command);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            NonZeroU16::new(24).unwrap(),
            NonZeroU16::new(80).unwrap(),
            0,
        )));
        let shown = screen.clone();
        let mut master = File::from(master);
        let keys = master.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = master.read(&mut buffer) {
                shown.lock().unwrap().process(&buffer[..len]);
            }
        });
        Self { child, screen, keys }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn rows(&self) -> Vec<String> {
        self.screen.lock().unwrap().screen().rows(0, 80).collect()
    }

    /// Waits until the screen is as wanted, and returns it.
    fn wait(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if is_wanted(&text) {
                return text;
            }
            assert!(start.elapsed() < PATIENCE, "the screen is:\n{text}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end. Returns the exit code and standard output.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut stdout = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut stdout).unwrap();
        }
        (self.child.wait().unwrap().code(), stdout)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_fraction_is_a_bar_with_a_label_and_standard_output_has_data_only() {
    let router = Router::start();
    let _peer = router.peer();
    let mut terminal = Terminal::spawn(router.command(&["call", "com.test.steps"]), false);
    let screen = terminal.wait(|text| text.contains("25%") && text.contains("copying"));
    assert!(screen.starts_with("com.test.steps [======> "), "{screen}");
    assert!(screen.contains(" 25%  copying  3 results  "), "{screen}");
    terminal.interrupt();
    let (code, stdout) = terminal.end();
    assert_eq!(code, Some(130));
    assert_eq!(stdout.lines().count(), 3);
    assert!(stdout.lines().all(|line| line.starts_with("{\"done\":")), "{stdout}");
    // The bar is gone, and the note is there.
    terminal.wait(|text| text.trim() == "canceled: com.test.steps");
}

#[test]
fn the_command_line_says_where_the_fraction_is() {
    let router = Router::start();
    let _peer = router.peer();
    for (arguments, percent) in [
        (&["com.test.steps", "--total", "6"][..], "50%"),
        (&["com.test.steps", "--done", "/total", "--total", "/total"], "100%"),
        (&["com.test.slow", "--total", "4"], "25%"),
    ] {
        let terminal = Terminal::spawn(router.command(&[&["call"], arguments].concat()), false);
        terminal.wait(|text| text.contains(percent));
    }
}

#[test]
fn without_a_fraction_there_is_a_spinner_with_the_number_of_results_and_the_last_one() {
    let router = Router::start();
    let _peer = router.peer();
    let mut terminal = Terminal::spawn(router.command(&["call", "com.test.slow"]), false);
    let screen = terminal.wait(|text| text.contains("1 results"));
    assert!(screen.contains("com.test.slow  1 results") && screen.trim_end().ends_with(" s  1"), "{screen}");
    terminal.interrupt();
    assert_eq!(terminal.end(), (Some(130), "1\n".to_owned()));
}

#[test]
fn results_are_written_above_the_bar_of_the_same_terminal() {
    let router = Router::start();
    let _peer = router.peer();
    let terminal = Terminal::spawn(router.command(&["call", "com.test.steps"]), true);
    let screen = terminal.wait(|text| text.contains("25%") && text.lines().count() == 4);
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[..3].iter().all(|line| line.starts_with("{\"done\":")), "{screen}");
    assert!(lines[3].contains("25%"), "{screen}");
}

#[test]
fn several_calls_have_a_bar_each() {
    let router = Router::start();
    let _peer = router.peer();
    let command = router.command(&["call", "com.test.steps", "com.test.slow", "--each"]);
    let mut terminal = Terminal::spawn(command, false);
    let screen = terminal.wait(|text| text.contains("25%") && text.contains("1 results"));
    let rows = terminal.rows();
    assert!(rows[0].starts_with("com.test.steps [") && rows[1].contains(" com.test.slow  "), "{screen}");
    terminal.interrupt();
    let (code, stdout) = terminal.end();
    assert_eq!(code, Some(130));
    assert!(stdout.lines().any(|line| line == "com.test.slow\t1"), "{stdout}");
}

#[test]
fn a_fast_stream_shows_its_rate() {
    let router = Router::start();
    let _peer = router.peer();
    let mut command = router.command(&["call", "com.test.endless"]);
    command.stdout(Stdio::null());
    let mut terminal = Terminal::spawn(command, false);
    // It is read, so that the stream flows.
    let mut output = terminal.child.stdout.take().unwrap();
    thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    terminal.wait(|text| {
        let rate = text.split("  ").find_map(|part| part.strip_suffix("/s")?.parse::<u64>().ok());
        rate.is_some_and(|rate| rate > 1000)
    });
}

#[test]
fn a_quiet_call_has_no_bar() {
    let router = Router::start();
    let _peer = router.peer();
    let terminal = Terminal::spawn(router.command(&["call", "com.test.steps", "-q"]), false);
    // A bar is drawn after 300 ms.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(terminal.text(), "");
}

#[test]
fn no_bar_is_drawn_if_none_is_wanted_or_the_terminal_cannot() {
    let router = Router::start();
    let _peer = router.peer();
    let mut dumb = router.command(&["call", "com.test.steps"]);
    dumb.env("TERM", "dumb");
    let terminals = [dumb, router.command(&["call", "com.test.steps", "--bar", "never"])]
        .map(|it| Terminal::spawn(it, false));
    // A bar is drawn after 300 ms.
    thread::sleep(Duration::from_secs(1));
    assert!(terminals.iter().all(|terminal| terminal.text().is_empty()));
}

#[test]
fn an_error_has_colors_on_a_terminal_unless_the_environment_forbids_it() {
    for (name, value, has_colors) in
        [("COLUMNS", "80", true), ("NO_COLOR", "1", false), ("TERM", "dumb", false)]
    {
        let mut command = crate::support::wamp(&["call", "a.b", "--url", "ws://127.0.0.1:1/ws"]);
        command.env(name, value);
        let terminal = Terminal::spawn(command, false);
        let screen = terminal.wait(|text| text.contains("hint: "));
        assert!(screen.starts_with("Error: connect: ws://127.0.0.1:1/ws: connection refused"), "{screen}");
        let screen = terminal.screen.lock().unwrap();
        let color = screen.screen().cell(0, 0).unwrap().fgcolor();
        assert_eq!(color != vt100::Color::Default, has_colors, "{name}");
    }
}

#[test]
fn ctrl_c_on_the_terminal_leaves_no_bar_behind() {
    let router = Router::start();
    let _peer = router.peer();
    let wamp = router.command(&["call", "com.test.steps"]);
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(wamp.get_program()).args(wamp.get_args()).env("WAMP_URL", &router.url);
    let mut terminal = Terminal::with(command, false, true);
    terminal.wait(|text| text.contains("25%"));
    // The terminal echoes it, at the cursor.
    terminal.keys.write_all(b"\x03").unwrap();
    assert_eq!(terminal.end().0, Some(130));
    terminal.wait(|text| text.trim() == "canceled: com.test.steps");
}

#[test]
fn ctrl_c_ends_a_prompt() {
    let mut command = Command::new("setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_wamp"), "ping", "--authid", "joe", "--ticket-file", "-"]);
    let mut terminal = Terminal::with(command, true, true);
    terminal.wait(|text| text.contains("Ticket: "));
    terminal.keys.write_all(b"\x03").unwrap();
    assert_eq!(terminal.end().0, Some(130));
}
