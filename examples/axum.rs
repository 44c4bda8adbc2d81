//! WAMP beside the routes of an axum server, on one port, and a route that calls a procedure.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wamp_client::{Client, Failure, Invocation, Serializer, Session, connect};
use wamp_router::Router;
use wamp_transport::socket::AnyStream;
use wamp_transport_ws::{Config, Role, WebSocket, accept_key};

#[derive(Clone)]
struct App {
    router: Router,
    session: Session,
}

/// `GET /ws`: answers the opening handshake, and the router serves the connection.
async fn wamp(State(app): State<App>, mut request: Request) -> Result<Response, StatusCode> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let accept = accept_key(header(header::SEC_WEBSOCKET_KEY).ok_or(StatusCode::UPGRADE_REQUIRED)?);
    let offers = header(header::SEC_WEBSOCKET_PROTOCOL).unwrap_or_default().split(',');
    let mut known = offers.filter_map(|offer| Serializer::from_subprotocol(offer.trim()));
    let serializer = known.next().ok_or(StatusCode::BAD_REQUEST)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            let (stream, config) = (AnyStream(TokioIo::new(stream)), Config::default());
            app.router.attach(WebSocket::upgraded(stream, Role::Server, serializer, &config));
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .header(header::SEC_WEBSOCKET_PROTOCOL, serializer.subprotocol());
    response.body(Body::empty()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// `GET /sum/40/2`: calls a procedure in the session that all routes share.
async fn sum(State(app): State<App>, Path(terms): Path<(i64, i64)>) -> Result<String, (StatusCode, String)> {
    let call = app.session.call("com.example.sum").args(terms).await;
    let sum = call.and_then(|result| result.decode::<i64>());
    sum.map(|sum| sum.to_string()).map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::default();
    let session = Client::over(router.local()).await?;
    let app = axum::Router::new().route("/ws", get(wamp)).route("/sum/{a}/{b}", get(sum));
    let app = app.with_state(App { router, session });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    // Any WAMP client, over the same port.
    let callee = connect(format!("ws://{address}/ws")).await?;
    callee
        .register("com.example.sum", |call: Invocation| async move {
            let (a, b): (i64, i64) = call.args()?;
            Ok::<_, Failure>(a + b)
        })
        .await?;

    // Any HTTP client.
    let mut http = tokio::net::TcpStream::connect(address).await?;
    http.write_all(b"GET /sum/40/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut response = String::new();
    http.read_to_string(&mut response).await?;
    println!("GET /sum/40/2: {}", response.lines().last().unwrap_or_default());
    Ok(())
}
