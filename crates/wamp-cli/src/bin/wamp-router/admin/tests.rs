//! Connections in memory.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wamp_router::auth::Secret;

use super::*;

const TOKEN: &str = "correct-horse-battery";

/// The time after which a connection here is stalled.
const STALLED: Duration = Duration::from_millis(200);

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(5);

fn state() -> Arc<State> {
    let state = State::new(Router::builder().realm("realm1").build(), STALLED);
    let config = AdminConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
        token: Some(Secret::from(TOKEN)),
        hosts: Vec::new(),
        tls: false,
        allow_plain: false,
    };
    *state.settings.write().unwrap() = Arc::new(Settings { config: Some(config), tls: None });
    Arc::new(state)
}

/// Begins a connection, and sends this on it.
async fn connection(state: &Arc<State>, text: &str) -> (DuplexStream, JoinHandle<()>) {
    let (mut ours, theirs) = duplex(1 << 20);
    let (state, version) = (state.clone(), Version(state.version.subscribe()));
    let serving = tokio::spawn(async move {
        let local = SocketAddr::from(([127, 0, 0, 1], 9090));
        answer(&state, routes(state.clone()), local, version, theirs).await;
    });
    ours.write_all(text.as_bytes()).await.unwrap();
    (ours, serving)
}

/// The status line of the answer, or nothing if there is none.
async fn status(stream: &mut DuplexStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        match timeout(LONG, stream.read_u8()).await.unwrap() {
            Ok(byte) => line.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn a_peer_that_reads_no_answers_loses_its_connection_without_a_token_too() {
    let state = state();
    let pages = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let (_ours, serving) = connection(&state, &pages).await;
    timeout(LONG, serving).await.expect("it is closed").unwrap();
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_loses_its_connection() {
    let state = state();
    let watch =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let (mut ours, theirs) = duplex(512);
    ours.write_all(watch.as_bytes()).await.unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], 9090));
    let version = Version(state.version.subscribe());
    timeout(LONG, answer(&state, routes(state.clone()), local, version, theirs)).await.expect("it is closed");
    assert_eq!(state.watchers.available_permits(), WATCHERS);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let state = state();
    let head = format!(
        "POST /api/v1/calls/cancel HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{"
    );
    let (mut ours, serving) = connection(&state, &head).await;
    assert_eq!(status(&mut ours).await, "HTTP/1.1 408 Request Timeout\r\n");
    timeout(LONG, serving).await.expect("it is closed").unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_the_settings_that_it_was_accepted_with() {
    let state = state();
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (mut ours, serving) = connection(&state, health).await;
    assert_eq!(status(&mut ours).await, "HTTP/1.1 200 OK\r\n");
    state.version.send_modify(|version| *version += 1);
    timeout(LONG, serving).await.expect("it is closed").unwrap();
}

#[tokio::test]
async fn a_connection_from_before_gets_nothing_from_a_listener_that_was_closed() {
    let state = state();
    // The head has begun to arrive when the listener is closed.
    let (mut ours, _serving) = connection(&state, "GET /api/v1/sessions HTTP/1.1\r\n").await;
    tokio::time::sleep(STALLED / 4).await;
    *state.settings.write().unwrap() = Arc::new(Settings { config: None, tls: None });
    state.version.send_modify(|version| *version += 1);
    tokio::time::sleep(STALLED / 4).await;
    ours.write_all(b"Host: localhost\r\n\r\n").await.unwrap();
    let status = status(&mut ours).await;
    assert!(status.is_empty() || status.starts_with("HTTP/1.1 503 "), "{status}");
}

#[tokio::test]
async fn a_watcher_that_begins_during_a_change_of_the_settings_ends() {
    let state = state();
    let (mut ours, serving) = connection(&state, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n").await;
    tokio::time::sleep(STALLED / 4).await;
    state.version.send_modify(|version| *version += 1);
    tokio::time::sleep(STALLED / 4).await;
    ours.write_all(format!("Authorization: Bearer {TOKEN}\r\n\r\n").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    timeout(LONG, ours.read_to_end(&mut all)).await.expect("it ends").unwrap();
    timeout(LONG, serving).await.expect("it is closed").unwrap();
}
