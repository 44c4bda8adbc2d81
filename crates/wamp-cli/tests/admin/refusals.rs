//! Requests that are refused.

use std::process::Command;

use crate::http::{get, get_with, post, request, send};
use crate::service::{Service, TOKEN, open_realm};

#[test]
fn a_host_of_another_site_is_refused_on_every_path() {
    let service = Service::start("hosts", &open_realm("hosts = [\"router.example\"]"));
    for path in ["/", "/healthz", "/metrics", "/api/v1/calls", "/api/v1/events", "/unknown"] {
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
            let answer = request(&service.admin, &format!("GET {path}"), &[&format!("Host: {host}")], "");
            assert_eq!(answer.status, 421, "{path} {host}: {answer:?}");
            assert!(!answer.body.contains("realm1"));
        }
    }
    assert_eq!(request(&service.admin, "GET /healthz", &["Host: Router.Example:9090"], "").status, 200);
    let without = send(&service.admin, "GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(without.status, 421, "{without:?}");
}

#[test]
fn with_a_token_only_health_and_the_empty_page_are_open() {
    let service = Service::start("tokens", &open_realm(&format!("token = \"{TOKEN}\"")));
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(get(&service.admin, path).status, 200, "{path}");
    }
    for path in ["/metrics", "/api/v1/calls", "/api/v1/events", "/api/v1/summary", "/unknown"] {
        let answer = get(&service.admin, path);
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        assert!(answer.head.contains("www-authenticate: bearer"));
        for token in ["wrong", "correct-horse-batterz", "", "correct-horse-battery-and-more"] {
            assert_eq!(get_with(&service.admin, path, token).status, 401, "{path} {token:?}");
        }
    }
    assert_eq!(get_with(&service.admin, "/metrics", TOKEN).status, 200);
    let basic = request(&service.admin, "GET /metrics", &["Authorization: Basic Y29ycmVjdA=="], "");
    assert_eq!(basic.status, 401);
}

#[test]
fn nothing_is_changed_without_a_token_and_json() {
    const BODY: &str = r#"{"realm":"realm1","id":"1-0"}"#;
    let open = Service::start("posts-open", &open_realm(""));
    for path in ["/api/v1/calls/cancel", "/api/v1/sessions/end"] {
        assert_eq!(post(&open.admin, path, "", BODY).status, 403, "{path}");
    }
    let service = Service::start("posts", &open_realm(&format!("token = \"{TOKEN}\"")));
    let authorized = format!("Authorization: Bearer {TOKEN}");
    for path in ["/api/v1/calls/cancel", "/api/v1/sessions/end"] {
        assert_eq!(post(&service.admin, path, "wrong", BODY).status, 401, "{path}");
        let line = format!("POST {path}");
        let form = [&*authorized, "Content-Type: text/plain"];
        assert_eq!(request(&service.admin, &line, &form, BODY).status, 415, "{path}");
        assert_eq!(request(&service.admin, &line, &[&authorized], BODY).status, 415, "{path}");
        assert_eq!(post(&service.admin, path, TOKEN, "{}").status, 400, "{path}");
        assert_eq!(post(&service.admin, path, TOKEN, "not json").status, 400, "{path}");
        assert_eq!(
            post(&service.admin, path, TOKEN, r#"{"realm":"realm1","id":"no"}"#).status,
            400,
            "{path}"
        );
        let long = format!("{{\"realm\":\"{}\",\"id\":\"1\"}}", "a".repeat(8 << 10));
        assert_eq!(post(&service.admin, path, TOKEN, &long).status, 413, "{path}");
        let get = request(&service.admin, &format!("GET {path}"), &[&authorized], "");
        assert_eq!(get.status, 405, "{path}");
    }
    assert_eq!(post(&service.admin, "/api/v1/calls/cancel", TOKEN, BODY).status, 404, "it is not there");
    let end = r#"{"realm":"realm1","id":"17"}"#;
    assert_eq!(post(&service.admin, "/api/v1/sessions/end", TOKEN, end).status, 404, "it is not there");
}

#[test]
fn other_methods_unknown_paths_and_wrong_parameters_are_refused() {
    let service = Service::start("methods", &open_realm(&format!("token = \"{TOKEN}\"")));
    let authorized = format!("Authorization: Bearer {TOKEN}");
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let line = format!("{method} /api/v1/calls");
        let answer = request(&service.admin, &line, &[&authorized, "Origin: https://evil.example"], "");
        assert_eq!(answer.status, 405, "{method}");
        assert!(!answer.head.contains("access-control"), "{answer:?}");
    }
    for (path, status) in [
        ("/api/v1/secrets", 404),
        ("/api/v2/calls", 404),
        ("/api/v1/calls?order=name", 400),
        ("/api/v1/calls?limit=many", 400),
        ("/api/v1/calls?what=1", 400),
        ("/api/v1/events?view=secrets", 400),
    ] {
        assert_eq!(get_with(&service.admin, path, TOKEN).status, status, "{path}");
    }
    // A limit beyond the most is the most.
    assert_eq!(get_with(&service.admin, "/api/v1/calls?limit=100000000", TOKEN).status, 200);
    let long = send(&service.admin, &format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100 << 10)));
    assert!(long.is_none_or(|answer| answer.status >= 400));
}

/// Starts a router whose options have a fault. Returns its exit code and standard error.
fn fault(options: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    let output = command.args(["--listen", "127.0.0.1:0"]).args(options).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_address_that_others_can_reach_needs_a_token_and_tls_or_the_word_of_the_administrator() {
    let (code, text) = fault(&["--admin", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("other machines can reach 0.0.0.0:0: set `token` in [admin]"), "{text}");
    assert!(text.contains("set `tls` or `allow_plain` in [admin]"), "{text}");
    let token = format!("admin.token={TOKEN}");
    let (code, text) = fault(&["--admin", "[::]:0", "--set", &token]);
    assert!(code == Some(2) && !text.contains("set `token`") && text.contains("`allow_plain`"), "{text}");
    let (code, text) = fault(&["--admin", "[::]:0", "--set", "admin.allow_plain=true"]);
    assert!(code == Some(2) && text.contains("set `token`"), "{text}");
}

#[test]
fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = fault(&["--admin", &address]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with(&format!("Error: admin listener on {address}: ")), "{text}");
}
