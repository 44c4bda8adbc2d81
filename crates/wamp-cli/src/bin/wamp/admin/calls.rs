//! `wamp ps calls`: the running calls of a router.

use std::time::Duration;

use serde_json::Value;

use super::table::{Column, bytes, lines, span};
use super::{AdminApi, AdminOptions};
use crate::connect::unless_ended;
use crate::fail::{Code, Fail};
use crate::options::Global;
use crate::output::{Form, Output};
use crate::signals::Signals;

/// Print the running calls of a router: procedure, caller, callee, age, progressive results, their bytes, the time since the last
/// one, state. It asks the admin listener of the router.
#[derive(clap::Args)]
pub(crate) struct Calls {
    #[command(flatten)]
    admin: AdminOptions,

    /// Only calls with this text in the procedure, the authid of an end, or the state.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,

    /// Most calls to print, the oldest first.
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
}

pub(crate) async fn run(calls: Calls, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let api = AdminApi::new(&calls.admin, global)?;
    let limit = calls.limit.to_string();
    let mut parameters = vec![("filter", &*calls.filter), ("limit", &*limit)];
    // Without the option the calls of all realms.
    parameters.extend(global.realm.as_deref().map(|realm| ("realm", realm)));
    let table = unless_ended(&mut signals, api.get("/api/v1/calls", &parameters)).await??;
    let mut output = Output::new(Form::new(global, false));
    let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    if global.json {
        rows.iter().try_for_each(|row| output.object(super::object("call", row)))?;
    } else {
        let now = table["now_ms"].as_u64().unwrap_or(0);
        let shown: Vec<Vec<String>> = rows.iter().map(|row| cells(row, now, None)).collect();
        lines(&columns(false), &shown, None).iter().try_for_each(|line| output.line(line))?;
        let matching = table["matching"].as_u64().unwrap_or(0);
        if matching > rows.len() as u64 {
            crate::output::note(&format!("{} of {matching} calls; --limit N prints more", rows.len()));
        }
    }
    output.flush()?;
    Ok(Code::Done)
}

/// The columns, with rates or without.
pub(super) fn columns(with_rate: bool) -> Vec<Column> {
    let mut columns = vec![
        Column("ID", false),
        Column("PROCEDURE", false),
        Column("CALLER", false),
        Column("CALLEE", false),
        Column("AGE", true),
        Column("RESULTS", true),
        Column("BYTES", true),
        Column("LAST", true),
        Column("STATE", false),
    ];
    if with_rate {
        columns.insert(6, Column("RATE", true));
    }
    columns
}

/// The cells of a call. `rate` is that of its results.
pub(super) fn cells(row: &Value, now: u64, rate: Option<String>) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let since =
        |value: &Value| value.as_u64().map(|since| span(Duration::from_millis(now.saturating_sub(since))));
    let state = match row["held_by"].as_u64() {
        Some(session) => format!("held by {session}"),
        None => text(&row["state"]),
    };
    let mut cells = vec![
        text(&row["id"]),
        text(&row["procedure"]),
        text(&row["caller"]["authid"]),
        text(&row["callee"]["authid"]),
        since(&row["since_ms"]).unwrap_or_default(),
        row["results"].to_string(),
        bytes(row["bytes"].as_f64().unwrap_or(0.0)),
        since(&row["last_ms"]).unwrap_or_else(|| "-".to_owned()),
        state,
    ];
    if let Some(rate) = rate {
        cells.insert(6, rate);
    }
    cells
}
