//! Health, tables in JSON, and the two acts: cancel a call, end a session.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query as Parameters, State as Of};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router as Routes};
use serde_json::{Value, json};
use wamp_proto::SessionId;
use wamp_router::CallId;

use super::State;
use super::rows::{Table, View, query, summary};

/// The time in which all realms have to answer.
const READY: Duration = Duration::from_secs(1);

/// The number of rows if no limit is given.
const ROWS: usize = 200;

/// The longest body of a request.
const BODY: usize = 4 << 10;

pub(super) fn routes() -> Routes<Arc<State>> {
    Routes::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/v1/summary", get(whole))
        .route("/api/v1/{table}", get(table))
        .route("/api/v1/calls/cancel", post(cancel_call))
        .route("/api/v1/sessions/end", post(end_session))
        .layer(axum::extract::DefaultBodyLimit::max(BODY))
}

async fn ready(Of(state): Of<Arc<State>>) -> Response {
    match state.router.is_well(READY).await {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready: shutting down, or too busy\n").into_response(),
    }
}

async fn whole(Of(state): Of<Arc<State>>) -> Json<Value> {
    Json(summary(&state.router, state.uptime()))
}

/// The parameters of a table.
pub(super) type Selection = Parameters<std::collections::HashMap<String, String>>;

/// Returns the query of the parameters, with `most` rows at most.
///
/// # Errors
/// A parameter is unknown, or its value is.
pub(super) fn selected(
    selection: &Selection,
    most: usize,
) -> Result<wamp_router::Query, (StatusCode, String)> {
    let Parameters(parameters) = selection;
    let wrong = |text: String| (StatusCode::BAD_REQUEST, text);
    let known = ["realm", "filter", "order", "limit", "view"];
    if let Some(unknown) = parameters.keys().find(|key| !known.contains(&&***key)) {
        return Err(wrong(format!("unknown parameter {unknown:?}; known are realm, filter, order, limit\n")));
    }
    let get = |name: &str| parameters.get(name).map(String::as_str);
    if let Some(order) = get("order").filter(|order| !["age", "results"].contains(order)) {
        return Err(wrong(format!("order is {order:?}, but must be age or results\n")));
    }
    let limit =
        get("limit").map(|limit| limit.parse().map_err(|_| wrong(format!("{limit:?} is no limit\n"))));
    let realm = get("realm").map(str::to_owned);
    let limit = limit.transpose()?.unwrap_or(ROWS).min(most);
    Ok(query(realm, get("filter").unwrap_or_default(), get("order"), limit))
}

async fn table(Of(state): Of<Arc<State>>, Path(name): Path<String>, selection: Selection) -> Response {
    let Some(view) = View::named(&name) else {
        let text = "there are the tables calls, sessions, registrations, subscriptions and realms\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    match selected(&selection, usize::MAX) {
        Ok(query) => {
            let now = state.uptime();
            let table = Table::read(&state.router, view, &query, now).await;
            ([(header::CONTENT_TYPE, "application/json")], table.to_json(now)).into_response()
        }
        Err(wrong) => wrong.into_response(),
    }
}

/// The realm and the id in the body of an act.
fn target(body: &Value) -> Option<(&str, &str)> {
    Some((body.get("realm")?.as_str()?, body.get("id")?.as_str()?))
}

fn wrong_target() -> Response {
    let text = "the body must be {\"realm\": NAME, \"id\": ID}, with the id as text as in the table\n";
    (StatusCode::BAD_REQUEST, text).into_response()
}

fn outcome(is_done: bool) -> Response {
    match is_done {
        true => Json(json!({ "done": true })).into_response(),
        false => (StatusCode::NOT_FOUND, "it has ended already\n").into_response(),
    }
}

async fn cancel_call(Of(state): Of<Arc<State>>, Json(body): Json<Value>) -> Response {
    let Some((realm, id)) = target(&body) else { return wrong_target() };
    let Ok(call) = id.parse::<CallId>() else { return wrong_target() };
    tracing::warn!(realm, id, "an administrator cancels a call");
    outcome(state.router.cancel_call(realm, call, "the call was canceled by an administrator").await)
}

async fn end_session(Of(state): Of<Arc<State>>, Json(body): Json<Value>) -> Response {
    let Some((realm, id)) = target(&body) else { return wrong_target() };
    let Some(session) = id.parse().ok().and_then(SessionId::new) else { return wrong_target() };
    tracing::warn!(realm, id, "an administrator ends a session");
    outcome(state.router.end_session(realm, session, "ended by an administrator").await)
}
