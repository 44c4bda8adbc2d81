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
use crate::document::Document;
use crate::fail::{Code, Fail};
use crate::options::{Global, time};
use crate::output::{Form, Object, Output};
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
                    true => output.object(object(&before, &now))?,
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
    let mut rows: Vec<(Option<f64>, &Value)> = rows
        .iter()
        .map(|row| {
            // A call that has begun since had no results. One that was beyond the limit had some, and its rate is not known.
            let is_new = row["since_ms"].as_u64().is_some_and(|since| since >= before.now());
            let earlier = old.get(&key(row)).copied().or_else(|| is_new.then_some(0.0));
            let results = row["results"].as_f64().unwrap_or(0.0);
            (earlier.map(|earlier| (results - earlier).max(0.0) / seconds), row)
        })
        .collect();
    rows.sort_by(|one, other| other.0.unwrap_or(0.0).total_cmp(&one.0.unwrap_or(0.0)));
    let shown_rate = |speed: Option<f64>| speed.map_or_else(|| "-".to_owned(), rate);
    let rows: Vec<Vec<String>> =
        rows.iter().map(|(speed, row)| cells(row, now.now(), Some(shown_rate(*speed)))).collect();
    shown.push(String::new());
    shown.extend(lines(&columns(true), &rows, width));
    shown
}

/// The figures as one object.
fn object(before: &Sample, now: &Sample) -> Object {
    let seconds = seconds(before, now);
    let number = |sample: &Sample| sample.summary["results"].as_f64().unwrap_or(0.0);
    let speed = (number(now) - number(before)) / seconds;
    super::object("top", &now.summary)
        .with("results_per_second", Document::Float(speed))
        .with("rows", super::document(&now.calls["rows"]))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(now: u64, results: &[(&str, u64, u64)]) -> Sample {
        let row = |(id, since, results): &(&str, u64, u64)| json!({ "realm": "realm1", "id": id, "since_ms": since, "results": results, "procedure": "p", "state": "running" });
        let rows: Vec<Value> = results.iter().map(row).collect();
        Sample { summary: json!({ "now_ms": now }), calls: json!({ "rows": rows }) }
    }

    #[test]
    fn a_call_that_was_beyond_the_limit_before_has_no_rate() {
        let before = sample(10_000, &[("1-0", 0, 500)]);
        let now = sample(12_000, &[("2-1", 5_000, 9_000), ("1-0", 0, 700), ("3-2", 11_000, 20)]);
        let lines = show(&before, &now, None);
        let shown = |id: &str| lines.iter().find(|line| line.starts_with(id)).unwrap().clone();
        assert!(shown("1-0").contains(" 100/s "), "{lines:?}");
        assert!(shown("3-2").contains(" 10/s "), "{lines:?}");
        assert!(!shown("2-1").contains("/s") && shown("2-1").contains(" - "), "{lines:?}");
    }
}
