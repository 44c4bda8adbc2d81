//! `/api/v1/events`: a table as server-sent events, first whole, then its changes twice a second.
//!
//! An event is made when the connection has room for it, from the state at that time and the state that was sent last. So a slow
//! watcher gets fewer events, and never old ones.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::Router as Routes;
use axum::body::{Body, Bytes};
use axum::extract::State as Of;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use wamp_router::Query;

use super::api::{Selection, selected};
use super::rows::{Table, View, summary};
use super::{LastEvent, State};

/// The time between two events.
const TICK: Duration = Duration::from_millis(500);

/// A time in a row that has changed by less than this is the same, since two clocks are read for it.
const SAME: u64 = 50;

pub(super) fn routes() -> Routes<Arc<State>> {
    Routes::new().route("/api/v1/events", get(events))
}

async fn events(
    Of(state): Of<Arc<State>>,
    Extension(last): Extension<LastEvent>,
    selection: Selection,
) -> Response {
    let view = selection.0.get("view").map_or("calls", String::as_str);
    let Some(view) = View::named(view) else {
        return (StatusCode::BAD_REQUEST, "there is no such view\n").into_response();
    };
    let query = match selected(&selection) {
        Ok(query) => query,
        Err(wrong) => return wrong.into_response(),
    };
    let Ok(permit) = state.watchers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "there are too many watchers\n").into_response();
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut version = state.version.subscribe();
    version.mark_unchanged();
    let watcher = Watcher { state, view, query, ticks, version, sent: None, last, _permit: permit };
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
    ticks: Interval,
    version: watch::Receiver<u64>,
    /// The rows as they were sent last.
    sent: Option<HashMap<String, Map<String, Value>>>,
    last: LastEvent,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.last.0.store(0, Ordering::Relaxed);
    }
}

impl Watcher {
    /// Returns the next event; `None` if the settings have changed, so that the watcher is to come again.
    async fn next(&mut self) -> Option<Bytes> {
        self.note();
        tokio::select! {
            _ = self.ticks.tick() => {}
            _ = self.version.changed() => return None,
        }
        let now = self.state.uptime();
        let table = Table::read(&self.state.router, self.view, &self.query, now).await;
        let summary = summary(&self.state.router, now);
        let (name, event) = match &mut self.sent {
            None => {
                let snapshot = json!({
                    "summary": summary, "total": table.total, "matching": table.matching,
                    "rows": table.rows.iter().map(|(_, fields)| fields).collect::<Vec<_>>(),
                });
                self.sent = Some(table.rows.into_iter().collect());
                ("snapshot", snapshot)
            }
            Some(sent) => {
                let (total, matching) = (table.total, table.matching);
                let (set, gone) = changes(sent, table.rows);
                let change = json!({
                    "summary": summary, "total": total, "matching": matching, "set": set, "gone": gone,
                });
                ("change", change)
            }
        };
        self.note();
        Some(Bytes::from(format!("event: {name}\ndata: {event}\n\n")))
    }

    /// Notes that the connection has had room for an event.
    fn note(&self) {
        let now = u64::try_from(self.state.uptime().as_millis()).unwrap_or(u64::MAX);
        self.last.0.store(now.max(1), Ordering::Relaxed);
    }
}

/// Returns the rows that are new or different, and the realm and id of those that are gone. `sent` has the new rows then.
fn changes(
    sent: &mut HashMap<String, Map<String, Value>>,
    rows: Vec<(String, Map<String, Value>)>,
) -> (Vec<Map<String, Value>>, Vec<String>) {
    let (mut new, mut set) = (HashMap::with_capacity(rows.len()), Vec::new());
    for (key, row) in rows {
        match sent.remove(&key) {
            Some(before) if is_same(&before, &row) => drop(new.insert(key, before)),
            _ => {
                set.push(row.clone());
                new.insert(key, row);
            }
        }
    }
    let gone = std::mem::replace(sent, new).into_keys().collect();
    (set, gone)
}

fn is_same(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    after.iter().all(|(key, value)| match (key.as_str(), before.get(key)) {
        ("since_ms" | "last_ms", Some(old)) => match (old.as_u64(), value.as_u64()) {
            (Some(old), Some(new)) => old.abs_diff(new) < SAME,
            _ => old == value,
        },
        (_, old) => old == Some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(results: u64, since: u64) -> Map<String, Value> {
        let Value::Object(row) = json!({ "results": results, "since_ms": since }) else { unreachable!() };
        row
    }

    #[test]
    fn only_rows_that_differ_are_sent_again() {
        let mut sent = HashMap::new();
        let (set, gone) = changes(&mut sent, vec![("a".into(), row(1, 0)), ("b".into(), row(2, 0))]);
        assert_eq!((set.len(), gone.len()), (2, 0));
        let (set, gone) = changes(&mut sent, vec![("a".into(), row(1, 3)), ("b".into(), row(3, 1))]);
        assert_eq!((set, gone.len()), (vec![row(3, 1)], 0));
        let (set, gone) = changes(&mut sent, vec![("b".into(), row(3, 2))]);
        assert_eq!((set.len(), gone), (0, vec!["a".to_owned()]));
        // The time that was sent stays, so that small differences do not add up.
        let (set, _) = changes(&mut sent, vec![("b".into(), row(3, 60))]);
        assert_eq!(set.len(), 1);
    }
}
