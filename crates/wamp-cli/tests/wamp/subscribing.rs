//! `wamp subscribe` with a program for each event, or with rates.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Directory, Ended, PATIENCE, Program, Router};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

fn subscribed(router: &Router, arguments: &[&str]) -> Program {
    let subscriber = router.spawn(&[&["subscribe", "com.test.topic"], arguments].concat());
    assert_eq!(subscriber.note(), "subscribed to com.test.topic");
    subscriber
}

#[test]
fn a_program_gets_each_event_in_order() {
    let router = Router::start();
    let script = r#"read args; echo "$args $WAMP_ARGS_JSON $WAMP_KWARGS_JSON $WAMP_TOPIC ${WAMP_PUBLISHER:-nobody}"; [ -n "$WAMP_PUBLICATION" ]"#;
    let subscriber = subscribed(&router, &["--command", script, "--count", "2"]);
    assert_eq!(router.run(&["publish", "com.test.topic", "1", "-k", "a=x"]), done(""));
    assert_eq!(router.run(&["publish", "com.test.topic", "2"]), done(""));
    let lines = "[1] [1] {\"a\":\"x\"} com.test.topic nobody\n[2] [2] {} com.test.topic nobody\n";
    assert_eq!(subscriber.end(), done(lines));
}

#[test]
fn a_program_that_fails_or_does_not_read_is_followed_by_the_next() {
    let router = Router::start();
    let subscriber = subscribed(&router, &["--command", "echo $WAMP_ARGS_JSON; exit 3", "--count", "2"]);
    for n in ["1", "2"] {
        assert_eq!(router.run(&["publish", "com.test.topic", n]), done(""));
    }
    let ended = subscriber.end();
    let warning = "warning: com.test.topic: the command has ended with exit status: 3\n";
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "[1]\n[2]\n"));
    assert_eq!(ended.stderr, warning.repeat(2));
}

#[test]
fn a_signal_ends_the_program_of_an_event() {
    let router = Router::start();
    let directory = Directory::new("event");
    let told = directory.0.join("told");
    let script = format!("trap 'echo > {}; exit 1' TERM; echo 1; sleep 1000 & wait", told.display());
    let subscriber = subscribed(&router, &["--command", &script]);
    assert_eq!(router.run(&["publish", "com.test.topic"]), done(""));
    assert_eq!(subscriber.line(), "1");
    subscriber.signal("INT");
    assert_eq!(subscriber.end().code, Some(130));
    let start = Instant::now();
    while !told.exists() {
        assert!(start.elapsed() < PATIENCE, "the program does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn rates_are_shown_in_place_of_events() {
    let router = Router::start();
    let subscriber = subscribed(&router, &["--rate", "--json", "--count", "30"]);
    let publish = ["publish", "com.test.topic", "1", "--repeat", "30", "--every", "50ms"];
    assert_eq!(router.run(&publish), done(""));
    let ended = subscriber.end();
    let lines: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 2, "{ended:?}");
    assert!(lines.iter().all(|line| line["type"] == "rate"), "{ended:?}");
    assert!(lines.iter().any(|line| line["events_per_second"].as_u64().unwrap() > 5), "{ended:?}");
    assert_eq!(lines.last().unwrap()["events"], 30);
    let text = subscribed(&router, &["--rate", "--wait", "200ms"]);
    assert_eq!(text.end(), done("0 events  0/s  0 B/s\n"));
    assert_eq!(router.run(&["subscribe", "com.test.topic", "--rate", "--command", "true"]).code, Some(2));
}
