//! The bar of a call: drawn on a tick, never on a result.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;
use wamp_client::Payload;
use wamp_proto::shown;

use crate::call::fraction::Places;
use crate::document::{Arguments, Document};
use crate::output;

/// A call that ends before shows no bar.
const DELAY: Duration = Duration::from_millis(300);

/// The time from one drawing to the next: 15 in a second.
const TICK: Duration = Duration::from_millis(66);

/// The drawings in a second that the library does not drop. It draws for each part that a tick changes.
const LIBRARY_RATE: u8 = 60;

/// The ticks of which the rate is the mean: one second.
const TICKS: usize = 15;

/// The steps of a full bar.
const FULL: u64 = 1000;

/// The longest value and label, in bytes. The terminal cuts them to its width.
const SHOWN: usize = 200;

/// The longest procedure that is shown, in bytes.
const PROCEDURE: usize = 40;

/// The columns of a bar besides the procedure and the text.
const FRACTION: usize = 34;

/// The columns of a spinner besides the procedure and the text.
const SPINNER: usize = 4;

/// The columns that stay free at the end of a line.
const BEHIND: usize = 4;

/// The least columns of the text.
const LEAST: usize = 10;

/// Longer results are not looked into, in bytes.
const LOOKED_INTO: usize = 64 << 10;

/// The bars on standard error.
pub(super) struct Bars(MultiProgress);

impl Bars {
    /// `None`: standard error is not a terminal that can draw them.
    pub(super) fn new() -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_dumb || !std::io::stderr().is_terminal() {
            return None;
        }
        Some(Self(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(LIBRARY_RATE))))
    }

    pub(super) fn drawn(&self) -> &MultiProgress {
        &self.0
    }

    /// Adds the bar of a call, which is drawn until it is dropped.
    pub(super) fn add(&self, procedure: &str, places: Places) -> Bar {
        let counts = Arc::<Mutex<Counts>>::default();
        let drawn = Drawn::new(&self.0, procedure, places, counts.clone());
        Bar { counts, bar: drawn.bar.clone(), ticks: tokio::spawn(drawn.run()) }
    }
}

/// The bar of one call. It is cleared when this is dropped.
pub(super) struct Bar {
    counts: Arc<Mutex<Counts>>,
    bar: ProgressBar,
    ticks: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Counts {
    results: u64,
    bytes: u64,
    last: Option<Payload>,
}

impl Bar {
    /// Counts a progressive result.
    pub(super) fn note(&self, payload: &Payload) {
        let mut counts = lock(&self.counts);
        counts.results += 1;
        counts.bytes += payload.len() as u64;
        counts.last = Some(payload.clone());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.ticks.abort();
        self.bar.finish_and_clear();
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The drawing of a bar.
struct Drawn {
    bar: ProgressBar,
    places: Places,
    counts: Arc<Mutex<Counts>>,
    start: Instant,
    /// Times, results and bytes of the last second.
    before: VecDeque<(Instant, u64, u64)>,
    has_fraction: bool,
}

impl Drawn {
    fn new(bars: &MultiProgress, procedure: &str, places: Places, counts: Arc<Mutex<Counts>>) -> Self {
        let bar = ProgressBar::hidden();
        bar.set_length(FULL);
        bar.set_prefix(shown(procedure, PROCEDURE).to_string());
        bar.set_style(spinner());
        // Its place is that of the call. It is not drawn before a tick.
        let bar = bars.add(bar);
        let start = Instant::now();
        Self { bar, places, counts, start, before: VecDeque::new(), has_fraction: false }
    }

    async fn run(mut self) {
        tokio::time::sleep(DELAY).await;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.draw();
        }
    }

    /// Draws the line. It stays shorter than the terminal is wide, so that the lines of several calls are not taken for one.
    fn draw(&mut self) {
        let counts = lock(&self.counts).clone();
        let now = Instant::now();
        let last = counts.last.filter(|payload| payload.len() <= LOOKED_INTO);
        let arguments = last.and_then(|payload| Arguments::read(&payload).ok());
        let (fraction, label) = arguments.clone().map(|last| self.places.look(last)).unwrap_or_default();
        if fraction.is_some() && !std::mem::replace(&mut self.has_fraction, true) {
            self.bar.set_style(fraction_style());
        }
        let (results, bytes) = self.rates(now, counts.results, counts.bytes);
        let elapsed = self.start.elapsed().as_secs_f64();
        let mut text = format!(
            "{} results  {results:.0}/s  {}/s  {elapsed:.1} s",
            counts.results,
            bytesize::ByteSize(bytes as u64)
        );
        match label {
            Some(label) => text = format!("{}  {text}", shown(&label, SHOWN)),
            None if self.has_fraction => {}
            None => {
                let value = arguments.and_then(Arguments::into_value).as_ref().map(Document::to_json);
                text.extend(value.map(|value| format!("  {}", shown(&value, SHOWN))));
            }
        }
        let before = self.bar.prefix().chars().count() + if self.has_fraction { FRACTION } else { SPINNER };
        let room = columns().saturating_sub(before + BEHIND).max(LEAST);
        self.bar.set_message(text.chars().take(room).collect::<String>());
        if let Some(fraction) = fraction {
            self.bar.set_position((fraction * FULL as f64) as u64);
        }
        // Moves the spinner, and draws.
        self.bar.tick();
        output::return_cursor();
    }

    /// Results and bytes in a second.
    fn rates(&mut self, now: Instant, results: u64, bytes: u64) -> (f64, f64) {
        let (since, results_before, bytes_before) = *self.before.front().unwrap_or(&(self.start, 0, 0));
        self.before.push_back((now, results, bytes));
        if self.before.len() > TICKS {
            self.before.pop_front();
        }
        let seconds = now.duration_since(since).as_secs_f64().max(0.001);
        ((results - results_before) as f64 / seconds, (bytes - bytes_before) as f64 / seconds)
    }
}

/// The width of the terminal.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(80, |size| usize::from(size.ws_col)).max(1)
}

fn spinner() -> ProgressStyle {
    style(&["{spinner} {prefix}  {msg}", "{spinner:.cyan} {prefix:.bold}  {msg}"])
}

fn fraction_style() -> ProgressStyle {
    let templates =
        ["{prefix} [{bar:24}] {percent:>3}%  {msg}", "{prefix:.bold} [{bar:24.cyan}] {percent:>3}%  {msg}"];
    style(&templates).progress_chars("=> ")
}

/// The style of the first template, or of the second one with colors.
fn style(templates: &[&str; 2]) -> ProgressStyle {
    let template = templates[usize::from(output::has_colors())];
    // The templates are constant; the plain style is for one with a fault.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
