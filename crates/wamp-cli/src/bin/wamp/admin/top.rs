//! `wamp top`: what runs at a router, again and again.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use rustix::termios::tcgetwinsize;
use serde_json::Value;
use tokio::time::sleep;

use super::calls::{cells, columns};
use super::table::{bytes, lines, rate, span};
use super::{AdminApi, AdminOptions};
use crate::connect::unless_ended;
use crate::fail::{Code, Fail};
use crate::options::{Global, time};
use crate::output::{Form, Output};
use crate::signals::Signals;

/// Show what runs at a router: sessions, running calls with their rates, queues, held links. It asks the admin listener of the
/// router and draws again until Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Top {
    #[command(flatten)]
    admin: AdminOptions,

    /// Print the table once, with the rates of one interval, and end.
    #[arg(long)]
    once: bool,

    /// Time from one table to the next.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    interval: Duration,

    /// Only calls with this text in the procedure, the authid of an end, or the state.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,

    /// Most calls in the table, those with the most results first.
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
}

/// The figures of one moment.
struct Sample {
    summary: Value,
    calls: Value,
}

impl Sample {
    fn now(&self) -> u64 {
        self.summary["now_ms"].as_u64().unwrap_or(0)
    }

    /// The results of each call.
    fn results(&self) -> HashMap<(String, String), f64> {
        let rows = self.calls["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().map(|row| (key(row), row["results"].as_f64().unwrap_or(0.0))).collect()
    }
}

fn key(row: &Value) -> (String, String) {
    (row["realm"].to_string(), row["id"].to_string())
}

pub(crate) async fn run(top: Top, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let api = AdminApi::new(&top.admin, global)?;
    let take = async || -> Result<Sample, Fail> {
        let limit = top.limit.to_string();
        let mut parameters = vec![("order", "results"), ("filter", &*top.filter), ("limit", &*limit)];
        parameters.extend(global.realm.as_deref().map(|realm| ("realm", realm)));
        let calls = api.get("/api/v1/calls", &parameters).await?;
        Ok(Sample { summary: api.get("/api/v1/summary", &[]).await?, calls })
    };
    let mut before = unless_ended(&mut signals, take()).await??;
    let screen = (!top.once && std::io::stdout().is_terminal()).then(Screen::open);
    loop {
        unless_ended(&mut signals, sleep(top.interval)).await?;
        let now = unless_ended(&mut signals, take()).await??;
        let width = screen.as_ref().map(|_| size());
        let mut shown = show(&before, &now, width.map(|(width, _)| width));
        match (&screen, width) {
            (Some(screen), Some((_, height))) => {
                shown.truncate(height);
                screen.draw(&shown)?;
            }
            _ => {
                let mut output = Output::new(Form::new(global, false));
                match global.json {
                    true => output.line(&to_json(&before, &now).to_string())?,
                    false => shown.iter().try_for_each(|line| output.line(line))?,
                }
                output.flush()?;
            }
        }
        if top.once {
            return Ok(Code::Done);
        }
        before = now;
    }
}

/// The seconds between two samples.
fn seconds(before: &Sample, now: &Sample) -> f64 {
    (now.now().saturating_sub(before.now()).max(1)) as f64 / 1000.0
}

/// The lines of the screen.
fn show(before: &Sample, now: &Sample, width: Option<usize>) -> Vec<String> {
    let seconds = seconds(before, now);
    let number = |name: &str| now.summary[name].as_f64().unwrap_or(0.0);
    let speed = |name: &str| (number(name) - before.summary[name].as_f64().unwrap_or(0.0)) / seconds;
    let version = now.summary["version"].as_str().unwrap_or_default();
    let up = span(Duration::from_millis(now.now()));
    let mut shown = vec![
        format!(
            "wamp-router {version}, up {up}: {} sessions, {} calls, {} held, {} starved",
            number("sessions"),
            number("calls"),
            number("held"),
            number("starved")
        ),
        format!(
            "results {}, in {}/s, out {}/s, queued {}, dropped {}",
            rate(speed("results")),
            bytes(speed("received")),
            bytes(speed("sent")),
            bytes(number("queued")),
            number("dropped")
        ),
    ];
    if let Some(width) = width {
        shown.iter_mut().for_each(|line| *line = line.chars().take(width).collect());
    }
    let old = before.results();
    let rows = now.calls["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows: Vec<(f64, &Value)> = rows
        .iter()
        .map(|row| {
            // A call that has begun since had no results.
            let earlier = old.get(&key(row)).copied().unwrap_or(0.0);
            ((row["results"].as_f64().unwrap_or(0.0) - earlier).max(0.0) / seconds, row)
        })
        .collect();
    rows.sort_by(|one, other| other.0.total_cmp(&one.0));
    let rows: Vec<Vec<String>> =
        rows.iter().map(|(speed, row)| cells(row, now.now(), Some(rate(*speed)))).collect();
    shown.push(String::new());
    shown.extend(lines(&columns(true), &rows, width));
    shown
}

/// The figures as one object.
fn to_json(before: &Sample, now: &Sample) -> Value {
    let mut object = now.summary.clone();
    let seconds = seconds(before, now);
    let speed = |name: &str| {
        (now.summary[name].as_f64().unwrap_or(0.0) - before.summary[name].as_f64().unwrap_or(0.0)) / seconds
    };
    object["results_per_second"] = speed("results").into();
    object["rows"] = now.calls["rows"].clone();
    object
}

/// The width and height of the terminal.
fn size() -> (usize, usize) {
    match tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}

/// The alternate screen of the terminal, until this is dropped.
struct Screen;

impl Screen {
    fn open() -> Self {
        let _ = std::io::stdout().write_all(b"\x1b[?1049h\x1b[?25l");
        Self
    }

    fn draw(&self, lines: &[String]) -> Result<(), Fail> {
        let mut text = "\x1b[H".to_owned();
        text += &lines.iter().map(|line| format!("{line}\x1b[K")).collect::<Vec<_>>().join("\r\n");
        text += "\x1b[J";
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| Fail::usage(format!("standard output: {error}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| stdout.flush());
    }
}
