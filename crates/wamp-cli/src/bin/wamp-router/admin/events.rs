//! `/api/v1/events`: a table as server-sent events, first whole, then its changes twice a second.
//!
//! An event is made when the connection has room for it, from the state at that time and the state that was sent last. So a slow
//! watcher gets fewer events, and never old ones.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router as Routes;
use axum::body::{Body, Bytes};
use axum::extract::State as Of;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};
use wamp_router::Query;

use super::api::{Selection, selected};
use super::rows::{Line, Table, View, list, summary};
use super::{State, Version};

/// The time between two events.
const TICK: Duration = Duration::from_millis(500);

/// A watcher waits for this many times as long as its event took, so that large tables leave the router its time.
const SHARE: u32 = 10;

/// The most rows for a watcher.
const ROWS: usize = 1000;

pub(super) fn routes() -> Routes<Arc<State>> {
    Routes::new().route("/api/v1/events", get(events))
}

async fn events(
    Of(state): Of<Arc<State>>,
    Extension(Version(version)): Extension<Version>,
    selection: Selection,
) -> Response {
    let view = selection.0.get("view").map_or("calls", String::as_str);
    let Some(view) = View::named(view) else {
        return (StatusCode::BAD_REQUEST, "there is no such view\n").into_response();
    };
    let query = match selected(&selection, ROWS) {
        Ok(query) => query,
        Err(wrong) => return wrong.into_response(),
    };
    let Ok(permit) = state.watchers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "there are too many watchers\n").into_response();
    };
    let due = Instant::now();
    let watcher = Watcher { state, view, query, due, version, sent: None, _permit: permit };
    let body = Body::from_stream(unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    }));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

struct Watcher {
    state: Arc<State>,
    view: View,
    query: Query,
    /// The time of the next event.
    due: Instant,
    version: watch::Receiver<u64>,
    /// The hashes of the rows that were sent last, by their keys.
    sent: Option<HashMap<String, u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// Returns the next event; `None` if the settings have changed, so that the watcher is to come again.
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            () = sleep_until(self.due) => {}
            _ = self.version.changed() => return None,
        }
        let (begun, now) = (Instant::now(), self.state.uptime());
        let table = Table::read(&self.state.router, self.view, &self.query, now).await;
        let summary = summary(&self.state.router, now);
        let Table { total, matching, rows } = table;
        let head = format!("\"summary\":{summary},\"total\":{total},\"matching\":{matching}");
        let (name, data) = match &mut self.sent {
            None => {
                self.sent = Some(rows.iter().map(|row| (row.key.clone(), row.hash)).collect());
                ("snapshot", format!("{{{head},\"rows\":{}}}", list(rows.iter().map(|row| &*row.json))))
            }
            Some(sent) => {
                let (set, gone) = changes(sent, rows);
                let (set, gone) = (list(set.iter().map(String::as_str)), json!(gone));
                ("change", format!("{{{head},\"set\":{set},\"gone\":{gone}}}"))
            }
        };
        self.due = begun + pause(begun.elapsed());
        Some(Bytes::from(format!("event: {name}\ndata: {data}\n\n")))
    }
}

/// Returns the time from the beginning of an event, which took this long, to that of the next one.
fn pause(took: Duration) -> Duration {
    TICK.max(took * SHARE)
}

/// Returns the rows that are new or different, and the keys of those that are gone. `sent` has the new rows then.
fn changes(sent: &mut HashMap<String, u64>, rows: Vec<Line>) -> (Vec<String>, Vec<String>) {
    let (mut new, mut set) = (HashMap::with_capacity(rows.len()), Vec::new());
    for Line { key, hash, json } in rows {
        if sent.remove(&key) != Some(hash) {
            set.push(json);
        }
        new.insert(key, hash);
    }
    let gone = std::mem::replace(sent, new).into_keys().collect();
    (set, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, hash: u64) -> Line {
        Line { key: key.to_owned(), hash, json: format!("{key}{hash}") }
    }

    #[test]
    fn a_large_table_is_read_less_often() {
        let millis = Duration::from_millis;
        assert_eq!([0, 50, 51, 400].map(|took| pause(millis(took))), [500, 500, 510, 4000].map(millis));
    }

    #[test]
    fn only_rows_that_differ_are_sent_again() {
        let mut sent = HashMap::new();
        let (set, gone) = changes(&mut sent, vec![line("a", 1), line("b", 2)]);
        assert_eq!((set.len(), gone.len()), (2, 0));
        let (set, gone) = changes(&mut sent, vec![line("a", 1), line("b", 3)]);
        assert_eq!((set, gone.len()), (vec!["b3".to_owned()], 0));
        let (set, gone) = changes(&mut sent, vec![line("b", 3)]);
        assert_eq!((set.len(), gone), (0, vec!["a".to_owned()]));
    }
}
