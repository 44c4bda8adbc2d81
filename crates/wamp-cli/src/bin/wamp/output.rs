//! Standard output for data, standard error for notes and errors.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;

use tracing_subscriber::EnvFilter;

use crate::document::{Arguments, Document};
use crate::fail::{Code, Fail};
use crate::options::{Global, When};

/// Data beyond this is written before more is collected, in bytes.
const BUFFER: usize = 64 << 10;

/// The time from one writing of lines above bars to the next, so that a fast stream does not draw the bars all the time.
const ABOVE_BARS: Duration = Duration::from_millis(66);

static STYLE: OnceLock<Style> = OnceLock::new();

#[derive(Clone, Copy, Default)]
struct Style {
    has_colors: bool,
    is_quiet: bool,
}

/// Sets how notes and errors look, and starts the log.
pub(crate) fn set_up(global: &Global) {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_colors = match global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            std::io::stderr().is_terminal() && !set("NO_COLOR") && !is_dumb
        }
    };
    let _ = STYLE.set(Style { has_colors, is_quiet: global.quiet });
    let filter = match global.verbose {
        0 => return,
        1 => "debug",
        _ => "trace",
    };
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_ansi(has_colors);
    // A closed pipe would be reported on the closed pipe, with a panic.
    log.with_writer(std::io::stderr).log_internal_errors(false).init();
}

/// Whether standard error shows colors.
pub(crate) fn has_colors() -> bool {
    style().has_colors
}

fn style() -> Style {
    STYLE.get().copied().unwrap_or_default()
}

/// Prints a note for people on standard error.
pub(crate) fn note(text: &str) {
    if !style().is_quiet {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Puts the cursor at the beginning of the line with a bar. A bar is as wide as the terminal, so that the ^C of a terminal
/// would be on the next line otherwise, and the bar would stay.
pub(crate) fn return_cursor() {
    let _ = std::io::stderr().write_all(b"\r");
}

/// Prints a warning on standard error, also with `--quiet`.
pub(crate) fn warning(text: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {text}");
}

/// Prints an error and a hint on standard error.
pub(crate) fn error(text: &str, hint: Option<&str>) {
    let (red, cyan, plain) = match style().has_colors {
        true => ("\x1b[1;31m", "\x1b[36m", "\x1b[0m"),
        false => ("", "", ""),
    };
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{red}Error:{plain} {text}");
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{cyan}hint:{plain} {hint}");
    }
}

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON value a line.
    Values,
    /// Strings and binary as they are; other values as JSON.
    Raw,
    /// A JSON object a line, with all there is to know.
    Objects,
}

impl Form {
    pub(crate) fn new(global: &Global, is_raw: bool) -> Self {
        match (global.json, is_raw) {
            (true, _) => Form::Objects,
            (false, true) => Form::Raw,
            (false, false) => Form::Values,
        }
    }
}

/// Standard output. Lines are collected until [`flush`](Self::flush), or until there is much of them.
pub(crate) struct Output {
    form: Form,
    buffer: Vec<u8>,
    /// The bars of the same terminal, above which the lines are written.
    bars: Option<MultiProgress>,
    flushed: Instant,
}

impl Output {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, buffer: Vec::new(), bars: None, flushed: Instant::now() }
    }

    /// Writes above these bars, if standard output is the terminal, too.
    pub(crate) fn above(self, bars: Option<&MultiProgress>) -> Self {
        let bars = bars.filter(|_| std::io::stdout().is_terminal()).cloned();
        Self { bars, ..self }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Adds the value that arguments stand for; nothing if there are none.
    pub(crate) fn value(&mut self, arguments: Arguments) -> Result<(), Fail> {
        match (arguments.into_value(), self.form) {
            (None, _) => return Ok(()),
            // Binary has no line feed of its own: the parts of a file are joined.
            (Some(Document::Binary(bytes)), Form::Raw) => self.buffer.extend(bytes),
            (Some(Document::Text(text)), Form::Raw) => self.add(&text),
            (Some(value), _) => self.add(&value.to_json()),
        }
        self.limit()
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Fail> {
        self.add(line);
        self.limit()
    }

    /// Adds an object.
    pub(crate) fn object(&mut self, object: Object) -> Result<(), Fail> {
        self.line(&Document::Dict(object.0).to_json())
    }

    fn add(&mut self, line: &str) {
        self.buffer.extend(line.as_bytes());
        self.buffer.push(b'\n');
    }

    fn limit(&mut self) -> Result<(), Fail> {
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Writes the collected lines, unless there are bars and lines were written just before. Returns the time to wait then.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub(crate) fn flush_soon(&mut self) -> Result<Option<Duration>, Fail> {
        if let (Some(_), false) = (&self.bars, self.buffer.is_empty()) {
            let wait = ABOVE_BARS.saturating_sub(self.flushed.elapsed());
            if !wait.is_zero() {
                return Ok(Some(wait));
            }
        }
        self.flush().map(|()| None)
    }

    /// Writes the collected lines.
    ///
    /// # Errors
    /// The reader of a pipe is gone, which ends the program without a word; or the data cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), Fail> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let write = || {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&self.buffer).and_then(|()| stdout.flush())
        };
        let written = match &self.bars {
            Some(bars) => {
                let written = bars.suspend(write);
                return_cursor();
                written
            }
            None => write(),
        };
        self.buffer.clear();
        self.flushed = Instant::now();
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Fail::silent(Code::Done),
            _ => Fail::usage(format!("standard output: {error}")),
        })
    }
}

/// A JSON object that is being built.
pub(crate) struct Object(Vec<(String, Document)>);

impl Object {
    /// An object of this type, which is its first entry.
    pub(crate) fn new(kind: &str) -> Self {
        Self(vec![("type".to_owned(), Document::Text(kind.to_owned()))])
    }

    pub(crate) fn with(mut self, key: &str, value: Document) -> Self {
        self.0.push((key.to_owned(), value));
        self
    }

    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        self.with(key, Document::Text(text.to_owned()))
    }

    pub(crate) fn number(self, key: &str, number: impl Into<i128>) -> Self {
        self.with(key, Document::Integer(number.into()))
    }

    /// Adds `args` and `kwargs`.
    pub(crate) fn arguments(self, arguments: Arguments) -> Self {
        self.with("args", Document::List(arguments.args)).with("kwargs", Document::Dict(arguments.kwargs))
    }
}
