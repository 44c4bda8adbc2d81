//! Watchers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use wamp_client::Invocation;

use crate::http::{get, read_head};
use crate::rawsocket::{PATIENCE, tcp};
use crate::service::{Service, TOKEN, open_realm};

/// A stream of events.
pub(crate) struct Watcher(pub(crate) BufReader<TcpStream>);

impl Watcher {
    /// Begins to watch. Returns the status of the answer, too.
    pub(crate) fn open(address: &str, query: &str, token: Option<&str>) -> (u16, Self) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET /api/v1/events?{query} HTTP/1.1\r\nHost: {address}\r\n{token}\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let (status, _) = read_head(&mut reader).unwrap();
        (status, Self(reader))
    }

    /// The next event and its data; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
            // The line of a chunk's length, and the end of the last chunk.
            if line.trim() == "0" {
                return None;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_gets_the_table_and_then_its_changes() {
    let service = Service::start("events", &open_realm(""));
    let (callee, caller) = (service.join().await, service.join().await);
    let stream = async |invocation: Invocation| {
        let progress = invocation.progress().unwrap();
        for i in 0.. {
            if invocation.cancel_reason().is_some() || progress.send(i).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    callee.register("com.a.stream", stream).await.unwrap();
    let (status, mut watcher) = Watcher::open(&service.admin, "view=calls", None);
    assert_eq!(status, 200);
    let (name, snapshot) = watcher.next().unwrap();
    assert_eq!(
        (&*name, &snapshot["rows"], &snapshot["total"]),
        ("snapshot", &serde_json::json!([]), &0.into())
    );
    assert_eq!(snapshot["summary"]["sessions"], 2);

    let mut results = caller.call("com.a.stream").progressive::<u64>().await.unwrap();
    let reading = tokio::spawn(async move { while results.try_next().await.unwrap().is_some() {} });
    let begin = Instant::now();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let (name, change) = watcher.next().unwrap();
        assert_eq!(name, "change");
        if let Some(row) = change["set"].get(0) {
            seen.push(row["results"].as_u64().unwrap());
        }
        assert!(begin.elapsed() < PATIENCE);
    }
    assert!(seen.is_sorted() && seen[0] < seen[2], "{seen:?}");
    // It cancels the call.
    reading.abort();
    loop {
        let (_, change) = watcher.next().unwrap();
        if let Some(gone) = change["gone"].get(0) {
            assert!(gone.as_str().unwrap().starts_with("realm1 "), "{gone}");
            assert_eq!(change["total"], 0);
            break;
        }
    }
}

#[test]
fn a_watcher_that_does_not_read_costs_neither_memory_nor_others_their_answers() {
    let service = Service::start("slow", &open_realm(""));
    let mut client = tcp(&service.router);
    client.say(r#"[1,"realm1",{"roles":{"caller":{},"callee":{}}}]"#);
    client.hear();
    client.say(r#"[64,1,{},"com.a.longop"]"#);
    client.hear();
    for request in 1..=2000 {
        client.say(&format!(r#"[48,{request},{{}},"com.a.longop"]"#));
        client.hear();
    }
    let resident = || {
        let metrics = get(&service.admin, "/metrics").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        line.unwrap().parse::<f64>().unwrap()
    };
    let before = resident();
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(&service.admin).unwrap();
            write!(stream, "GET /api/v1/events?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    let begin = Instant::now();
    assert_eq!(get(&service.admin, "/healthz").status, 200);
    let (_, mut watcher) = Watcher::open(&service.admin, "limit=10", None);
    let (_, snapshot) = watcher.next().unwrap();
    assert_eq!((&snapshot["total"], snapshot["rows"].as_array().unwrap().len()), (&2000.into(), 10));
    assert!(begin.elapsed() < Duration::from_secs(5));
    // Each of them has the table, about half a megabyte, in its connection.
    assert!(resident() < before + f64::from(32 << 20), "{before} bytes before, {} now", resident());
    drop(slow);
}

#[test]
fn watchers_are_limited_and_connections_too() {
    let service = Service::start("watchers", &open_realm(""));
    let mut watchers: Vec<_> = (0..32).map(|_| Watcher::open(&service.admin, "", None)).collect();
    assert!(watchers.iter().all(|(status, _)| *status == 200));
    assert_eq!(Watcher::open(&service.admin, "", None).0, 503);
    watchers.pop();
    let begin = Instant::now();
    while Watcher::open(&service.admin, "", None).0 != 200 {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    // Connections that send nothing make room for others.
    let _idle: Vec<_> = (0..64).map(|_| TcpStream::connect(&service.admin).unwrap()).collect();
    drop(watchers);
    assert_eq!(get(&service.admin, "/healthz").status, 200);
}

#[test]
fn a_hostile_authid_stays_a_text() {
    const AUTHID: &str = "<img src=x onerror=alert(1)>\\\"\\n\\u0000";
    let configuration = open_realm(&format!("token = \"{TOKEN}\""))
        + &format!(
            "[[realm.role]]\nname = \"r\"\ncall = [\"**\"]\n[[realm.principal]]\nauthid = \"{AUTHID}\"\nrole = \"r\"\nticket = \"ticket\"\n"
        );
    let service = Service::start("hostile", &configuration);
    let mut client = tcp(&service.router);
    let authid: String = serde_json::from_str(&format!("\"{AUTHID}\"")).unwrap();
    client.say(&format!(
        r#"[1,"realm1",{{"roles":{{"caller":{{}}}},"authmethods":["ticket"],"authid":"{AUTHID}"}}]"#
    ));
    assert!(client.hear().starts_with("[4,"));
    client.say(r#"[5,"ticket",{}]"#);
    assert!(client.hear().starts_with("[2,"));
    let (_, mut watcher) = Watcher::open(&service.admin, "view=sessions", Some(TOKEN));
    let (_, snapshot) = watcher.next().unwrap();
    assert_eq!(snapshot["rows"][0]["authid"], *authid);
    let metrics = crate::http::get_with(&service.admin, "/metrics", TOKEN);
    assert!(metrics.status == 200 && !metrics.body.contains("onerror"));
}
