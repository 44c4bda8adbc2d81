//! The rules that every request has to keep: the host, the token, and the kind of request. They protect against web pages that
//! send requests through a browser on this machine, and against other machines.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State as Of};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use wamp_router::auth::Secret;

use super::page::policy;
use super::{LocalAddress, Settings, State};

/// The paths that need no token.
const OPEN: [&str; 4] = ["/", "/healthz", "/readyz", "/favicon.ico"];

/// Answers a request, or refuses it.
pub(super) async fn check(
    Of(state): Of<Arc<State>>,
    Extension(local): Extension<LocalAddress>,
    request: Request,
    next: Next,
) -> Response {
    let settings = state.settings();
    let mut response = match judge(&settings, local, &request) {
        Ok(()) => match timeout(state.stalled, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
        },
        Err(refusal) => refusal.into_response(),
    };
    protect(response.headers_mut());
    response
}

/// A refusal with its reason.
pub(super) struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, text) = self;
        let mut response = (status, format!("{text}\n")).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

fn judge(settings: &Settings, LocalAddress(local): LocalAddress, request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    let Some(config) = &settings.config else {
        // A connection from before.
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "the admin listener is closed"));
    };
    if !is_own_host(headers, local.ip(), &config.hosts) {
        let text = "the host of the URL is not a name of this listener; add it to `hosts` in [admin]";
        return Err(Refusal(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let token = config.token.as_ref();
    match *request.method() {
        Method::GET | Method::HEAD => {
            if token.is_some() && !OPEN.contains(&request.uri().path()) {
                return authorized(token, headers);
            }
            Ok(())
        }
        Method::POST => {
            if token.is_none() {
                let text = "nothing can be changed, since no `token` is set in [admin]";
                return Err(Refusal(StatusCode::FORBIDDEN, text));
            }
            authorized(token, headers)?;
            let json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if json.is_none_or(|kind| kind.split(';').next() != Some("application/json")) {
                let text = "the body must have the content type application/json";
                return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
            }
            Ok(())
        }
        _ => Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET, HEAD and POST are known here")),
    }
}

/// Checks the token of a request, in constant time.
fn authorized(token: Option<&Secret>, headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let given = given.and_then(|given| given.strip_prefix(b"Bearer "));
    match (token, given) {
        (Some(token), Some(given)) if *token == Secret::from(given) => Ok(()),
        _ => Err(Refusal(
            StatusCode::UNAUTHORIZED,
            "this needs the token of [admin]: Authorization: Bearer TOKEN",
        )),
    }
}

/// Whether the host of a request is this listener. A page of another site that has made its name resolve to this machine has
/// its own name there (DNS rebinding).
fn is_own_host(headers: &HeaderMap, local: IpAddr, names: &[String]) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let host = host_of(host).to_ascii_lowercase();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_named = names.iter().any(|name| name == host);
    match host.parse::<IpAddr>() {
        Ok(address) => address == local.to_canonical() || address == local || is_named,
        Err(_) => host == "localhost" && local.to_canonical().is_loopback() || is_named,
    }
}

/// Returns a host without its port.
fn host_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Adds the headers that keep other sites away.
fn protect(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(host: &str, local: &str, names: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        is_own_host(&headers, local.parse().unwrap(), &names)
    }

    #[test]
    fn a_host_is_an_address_of_the_connection_or_a_configured_name() {
        for host in ["127.0.0.1", "127.0.0.1:9090", "localhost", "LOCALHOST:9090"] {
            assert!(own(host, "127.0.0.1", &[]), "{host}");
        }
        assert!(own("[::1]:9090", "::1", &[]) && own("[::1]", "::1", &[]) && own("localhost", "::1", &[]));
        assert!(own("10.0.0.7:9090", "10.0.0.7", &[]) && own("10.0.0.7", "::ffff:10.0.0.7", &[]));
        assert!(own("router.example:9090", "10.0.0.7", &["router.example"]));
        assert!(own("[2001:db8::1]:9090", "10.0.0.7", &["2001:db8::1"]));
        for host in
            ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "10.0.0.8", ":9090", "[::1"]
        {
            assert!(!own(host, "10.0.0.7", &["router.example"]), "{host}");
        }
        assert!(!own("localhost", "10.0.0.7", &[]), "it is the name of another machine there");
    }

    #[test]
    fn a_request_without_a_host_or_with_two_is_refused() {
        let mut headers = HeaderMap::new();
        assert!(!is_own_host(&headers, IpAddr::from([127, 0, 0, 1]), &[]));
        for _ in 0..2 {
            headers.append(header::HOST, HeaderValue::from_static("localhost"));
        }
        assert!(!is_own_host(&headers, IpAddr::from([127, 0, 0, 1]), &[]));
    }
}
