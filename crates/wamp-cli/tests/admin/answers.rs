//! The answers to good requests.

use std::io::{BufReader, Write};
use std::net::TcpStream;

use crate::http::{self, get, get_with, request};
use crate::process::folder;
use crate::rawsocket::{PATIENCE, tcp};
use crate::service::{Service, TOKEN, open_realm, until};

const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{"features":{"progressive_call_results":true}},"callee":{},"subscriber":{}},"agent":"agent <b>"}]"#;

#[test]
fn each_path_answers() {
    let service = Service::start("paths", &open_realm(""));
    let text = |path: &str| {
        let answer = get(&service.admin, path);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    };
    assert_eq!((&*text("/healthz").body, &*text("/readyz").body), ("ok\n", "ready\n"));
    let page = text("/");
    assert!(page.head.contains("content-type: text/html; charset=utf-8"));
    assert!(page.body.starts_with("<!doctype html>") && page.body.len() <= 60 << 10);
    for header in [
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "cross-origin-resource-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    assert!(!page.head.contains("access-control"), "{}", page.head);
    let metrics = text("/metrics");
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    for table in ["calls", "sessions", "registrations", "subscriptions", "realms"] {
        let table = text(&format!("/api/v1/{table}")).json();
        assert!(table["rows"].is_array() && table["total"].is_u64() && table["matching"].is_u64(), "{table}");
    }
    assert!(text("/api/v1/summary").json()["version"].is_string());
    let mut head = TcpStream::connect(&service.admin).unwrap();
    write!(head, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(http::read_head(&mut BufReader::new(head)).unwrap().0, 200);
    let localhost = request(&service.admin, "GET /healthz", &["Host: localhost:1"], "");
    assert_eq!(localhost.status, 200);
}

#[test]
fn the_tables_have_the_rows_of_the_router() {
    let service = Service::start("tables", &open_realm(""));
    let mut client = tcp(&service.router);
    client.say(HELLO);
    client.hear();
    for message in [
        r#"[64,1,{},"com.a.longop"]"#,
        r#"[32,2,{"match":"prefix"},"com.a."]"#,
        r#"[48,3,{"receive_progress":true},"com.a.longop"]"#,
    ] {
        client.say(message);
        client.hear();
    }
    client.say(r#"[70,1,{"progress":true},[1]]"#);
    client.hear();
    let table = |name: &str| get(&service.admin, &format!("/api/v1/{name}")).json();

    let calls = table("calls");
    let call = &calls["rows"][0];
    assert_eq!(
        (&calls["total"], &call["procedure"], &call["realm"]),
        (&1.into(), &"com.a.longop".into(), &"realm1".into())
    );
    assert_eq!(
        (&call["results"], &call["state"], &call["progressive"]),
        (&1.into(), &"running".into(), &true.into())
    );
    assert_eq!(call["caller"], call["callee"], "it has called itself");
    // The YIELD as it was sent.
    assert_eq!(call["bytes"], 28);
    assert!(call["last_ms"].as_u64().unwrap() + 1 >= call["since_ms"].as_u64().unwrap());

    let sessions = table("sessions");
    let session = &sessions["rows"][0];
    assert_eq!((&session["agent"], &session["transport"]), (&"agent <b>".into(), &"rawsocket".into()));
    assert_eq!(
        (&session["calls"], &session["invocations"], &session["registrations"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert!(session["peer"].as_str().unwrap().contains("127.0.0.1:"), "{session}");
    assert!(session["high_water"].as_u64().unwrap() > 0 && session["held"] == false);

    let registration = &table("registrations")["rows"][0];
    assert_eq!((&registration["uri"], &registration["callees"]), (&"com.a.longop".into(), &1.into()));
    let subscription = &table("subscriptions")["rows"][0];
    assert_eq!((&subscription["uri"], &subscription["match"]), (&"com.a.".into(), &"prefix".into()));
    let realm = &table("realms")["rows"][0];
    assert_eq!((&realm["sessions"], &realm["calls"]), (&1.into(), &1.into()));

    let of = |query: &str| get(&service.admin, &format!("/api/v1/calls?{query}")).json()["matching"].clone();
    assert_eq!(
        (of("filter=LONGOP"), of("filter=other"), of("realm=realm1"), of("realm=no")),
        (1.into(), 0.into(), 1.into(), 0.into())
    );
    assert_eq!(
        get(&service.admin, "/api/v1/calls?limit=0&order=results").json()["rows"],
        serde_json::json!([])
    );
}

#[test]
fn a_router_is_not_ready_while_it_shuts_down_but_alive() {
    let service = Service::start("ready", &open_realm(""));
    // It does not answer GOODBYE.
    let mut client = tcp(&service.router);
    client.say(HELLO);
    client.hear();
    service.process.signal("TERM");
    let answer = until(|| get(&service.admin, "/readyz"), |answer| answer.status != 200);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(get(&service.admin, "/healthz").status, 200);
}

#[test]
fn a_certificate_protects_an_address_that_others_can_reach() {
    let folder = folder("tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let configuration = format!(
        "listen = \"127.0.0.1:0\"\n[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n[admin]\n\
         listen = \"0.0.0.0:0\"\ntoken = \"{TOKEN}\"\ntls = true\nhosts = [\"router.example\"]\n[[realm]]\nname = \"realm1\"\n"
    );
    let service = Service::start_in(folder, &configuration);
    let port = service.admin.rsplit(':').next().unwrap();
    let address = format!("127.0.0.1:{port}");
    // Over TLS, with a name that is configured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let client = wamp_tls::Client::new().authorities(made.cert.pem());
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let mut stream = client.connect("localhost", stream).await.unwrap();
        let request = format!("GET /api/v1/realms HTTP/1.1\r\nHost: router.example\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    });
    assert!(body.starts_with("HTTP/1.1 200 OK"), "{body}");
    // In plain text there is no answer.
    let mut plain = TcpStream::connect(&address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: router.example\r\n\r\n").unwrap();
    assert!(http::read(plain).is_none());
}

#[test]
fn with_allow_plain_and_a_token_others_can_read_over_http() {
    let configuration = open_realm(&format!("token = \"{TOKEN}\"\nallow_plain = true\n"));
    let configuration =
        configuration.replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"0.0.0.0:0\"");
    let service = Service::start("plain", &configuration);
    let address = service.admin.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(get_with(&address, "/api/v1/realms", TOKEN).status, 200);
    assert_eq!(get(&address, "/api/v1/realms").status, 401);
}
