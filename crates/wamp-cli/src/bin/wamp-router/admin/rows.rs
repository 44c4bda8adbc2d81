//! The rows of tables as JSON.
//!
//! Times are milliseconds since the start of the router, so that they stay the same while nothing happens.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::{Map, Value, json};
use wamp_router::{
    CallInfo, CallState, Listed, Order, Party, Query, RealmFigures, RegistrationInfo, Router, Row,
    SessionRow, SubscriptionInfo,
};

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Calls,
    Sessions,
    Registrations,
    Subscriptions,
    Realms,
}

impl View {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "calls" => Self::Calls,
            "sessions" => Self::Sessions,
            "registrations" => Self::Registrations,
            "subscriptions" => Self::Subscriptions,
            "realms" => Self::Realms,
            _ => return None,
        })
    }
}

/// Rows of a table, with their numbers.
pub(super) struct Table {
    pub(super) total: usize,
    pub(super) matching: usize,
    pub(super) rows: Vec<Line>,
}

/// A row.
pub(super) struct Line {
    /// The realm and the id.
    pub(super) key: String,
    /// A hash of the fields. Times are left out: those of a row change only together with its other fields.
    pub(super) hash: u64,
    /// The fields as JSON.
    pub(super) json: String,
}

impl Line {
    fn new(key: String, mut fields: Map<String, Value>) -> Self {
        let json = Value::from(fields.clone()).to_string();
        fields.retain(|name, _| name != "since_ms" && name != "last_ms");
        let mut hasher = DefaultHasher::new();
        Value::from(fields).to_string().hash(&mut hasher);
        Self { key, hash: hasher.finish(), json }
    }
}

/// Returns rows as a list in JSON.
pub(super) fn list<'a>(rows: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

impl Table {
    /// Reads a table. `now` is the time since the start of the router.
    pub(super) async fn read(router: &Router, view: View, query: &Query, now: Duration) -> Self {
        match view {
            View::Calls => {
                let since = |age: Duration| millis(now.saturating_sub(age));
                Self::of(router.calls(query).await, |row| (row.info.id.to_string(), call(row, since)))
            }
            View::Sessions => {
                let since = |age: Duration| millis(now.saturating_sub(age));
                let row =
                    |row: &Row<SessionRow>| (row.info.session.key.id().to_string(), session(row, since));
                Self::of(router.sessions(query).await, row)
            }
            View::Registrations => {
                let row = |row: &Row<RegistrationInfo>| (row.info.id.to_string(), registration(row));
                Self::of(router.registrations(query).await, row)
            }
            View::Subscriptions => {
                let row = |row: &Row<SubscriptionInfo>| (row.info.id.to_string(), subscription(row));
                Self::of(router.subscriptions(query).await, row)
            }
            View::Realms => {
                let realms = router.realms();
                let rows = realms.iter().map(|figures| Line::new(figures.name.to_string(), realm(figures)));
                Self { total: realms.len(), matching: realms.len(), rows: rows.collect() }
            }
        }
    }

    fn of<T>(listed: Listed<T>, show: impl Fn(&Row<T>) -> (String, Map<String, Value>)) -> Self {
        let Listed { total, matching, rows, .. } = listed;
        let show = |row| {
            let (id, mut fields) = show(row);
            fields.insert("realm".to_owned(), json!(row.realm.as_str()));
            fields.insert("id".to_owned(), json!(id));
            Line::new(format!("{} {id}", row.realm), fields)
        };
        Self { total, matching, rows: rows.iter().map(show).collect() }
    }

    /// Returns the table as JSON. `now` is the time since the start of the router.
    pub(super) fn to_json(&self, now: Duration) -> String {
        let Self { total, matching, rows } = self;
        let rows = list(rows.iter().map(|row| &*row.json));
        format!("{{\"total\":{total},\"matching\":{matching},\"now_ms\":{},\"rows\":{rows}}}", millis(now))
    }
}

/// Returns the query that parameters of a URL describe.
pub(super) fn query(realm: Option<String>, filter: &str, order: Option<&str>, limit: usize) -> Query {
    let order = if order == Some("results") { Order::Results } else { Order::Age };
    let query = Query::new().filter(filter).order(order).limit(limit);
    match realm {
        Some(realm) => query.realm(realm),
        None => query,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn party(party: Option<&Party>) -> Value {
    party.map_or(Value::Null, |party| json!({ "session": party.session.get(), "authid": &*party.authid }))
}

fn call(row: &Row<CallInfo>, since: impl Fn(Duration) -> u64) -> Map<String, Value> {
    let info = &row.info;
    let held_by = match info.state {
        CallState::Held { by } => by.map(wamp_proto::SessionId::get),
        _ => None,
    };
    fields(json!({
        "procedure": info.procedure,
        "registration": info.registration.get(),
        "caller": party(info.caller.as_ref()),
        "callee": party(info.callee.as_ref()),
        "since_ms": since(info.age),
        "results": info.results,
        "bytes": info.bytes,
        "last_ms": info.last.map(since),
        "credit": info.credit,
        "state": info.state.name(),
        "held_by": held_by,
        "progressive": info.wants_progress,
        "chunks": info.in_chunks,
    }))
}

fn session(row: &Row<SessionRow>, since: impl Fn(Duration) -> u64) -> Map<String, Value> {
    let SessionRow { session, queued, high_water, .. } = &row.info;
    fields(json!({
        "authid": &*session.authid,
        "authrole": &*session.authrole,
        "authmethod": &*session.authmethod,
        "agent": session.agent,
        "peer": session.peer,
        "transport": session.protocol.name(),
        "secure": session.is_secure,
        "serializer": session.serializer.to_string(),
        "since_ms": since(session.age),
        "calls": session.calls,
        "invocations": session.invocations,
        "registrations": session.registrations,
        "subscriptions": session.subscriptions,
        "queued": queued,
        "high_water": high_water,
        "full": session.is_full,
        "held": session.is_held,
        "held_by": session.held_by.map(wamp_proto::SessionId::get),
        "held_ms": millis(session.held_time),
    }))
}

fn registration(row: &Row<RegistrationInfo>) -> Map<String, Value> {
    let RegistrationInfo { uri, policy, invoke, callees, .. } = &row.info;
    fields(json!({ "uri": uri, "match": policy.as_str(), "invoke": invoke.as_str(), "callees": callees }))
}

fn subscription(row: &Row<SubscriptionInfo>) -> Map<String, Value> {
    let SubscriptionInfo { uri, policy, subscribers, .. } = &row.info;
    fields(json!({ "uri": uri.as_str(), "match": policy.as_str(), "subscribers": subscribers }))
}

fn realm(figures: &RealmFigures) -> Map<String, Value> {
    let RealmFigures { name, total, now, held_time, .. } = figures;
    fields(json!({
        "id": name.as_str(),
        "realm": name.as_str(),
        "sessions": now.sessions,
        "calls": now.calls,
        "registrations": now.registrations,
        "topics": now.topics,
        "held": now.held,
        "starved": now.starved,
        "held_ms": millis(*held_time),
        "calls_total": total.calls,
        "results_total": total.results,
        "events_total": total.events,
        "errors_total": total.callee_errors + total.ended + total.requests_refused,
    }))
}

/// The figures of the whole router. Those in `faults` are zero in a good day.
pub(super) fn summary(router: &Router, now: Duration) -> Value {
    let (stats, traffic) = (router.stats(), router.traffic());
    let mut faults = Map::new();
    let mut fault = |text: String, count: u64| drop(faults.insert(text, json!(count)));
    fault("events dropped".to_owned(), stats.total.events_dropped);
    fault("calls ended, slow consumer".to_owned(), stats.total.slow_consumers);
    fault("calls refused, no callee had room".to_owned(), stats.total.unavailable);
    fault("protocol violations".to_owned(), stats.total.violations);
    fault("connections refused, too many".to_owned(), stats.refusals);
    fault("links dropped, memory used up".to_owned(), stats.gave_way);
    for (reason, count) in router.join_failures() {
        fault(format!("joins refused, {reason}"), count);
    }
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now_ms": millis(now),
        "sessions": stats.now.sessions,
        "connections": stats.connections,
        "calls": stats.now.calls,
        "results": stats.total.results,
        "events": stats.total.events,
        "received": traffic.received,
        "sent": traffic.sent,
        "queued": stats.bytes_queued,
        "held": stats.now.held,
        "starved": stats.now.starved,
        "dropped": stats.total.events_dropped,
        "faults": faults,
    })
}
