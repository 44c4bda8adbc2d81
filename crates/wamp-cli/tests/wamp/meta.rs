//! `wamp ps` and `wamp kill`.

use crate::support::{Directory, Ended, Router};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

/// A router whose sessions may end each other.
fn router(directory: &Directory) -> Router {
    let config = directory.file("router.toml", "[[realm]]\nname = \"realm1\"\nmeta = \"control\"\n");
    Router::with(&["--config", &config])
}

fn objects(stdout: &str) -> Vec<serde_json::Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn registrations_and_subscriptions_are_listed() {
    let directory = Directory::new("ps");
    let router = router(&directory);
    let callee = router.spawn(&["register", "com.test.it", "--echo", "--invoke", "roundrobin"]);
    assert_eq!(callee.note(), "registered com.test.it");
    let subscriber = router.spawn(&["subscribe", "com.test.", "--match", "prefix"]);
    assert_eq!(subscriber.note(), "subscribed to com.test.");
    let listed = router.run(&["ps", "registrations"]);
    let lines: Vec<Vec<&str>> = listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "PROCEDURE", "MATCH", "INVOKE", "CALLEES", "CREATED"]);
    assert_eq!(lines[1][1..5], ["com.test.it", "exact", "roundrobin", "1"]);
    assert_eq!((listed.code, lines.len()), (Some(0), 2));
    let registration = &objects(&router.run(&["ps", "registrations", "--json"]).stdout)[0];
    assert_eq!(registration["type"], "registration");
    assert_eq!((&registration["procedure"], &registration["callees"]), (&"com.test.it".into(), &1.into()));
    let subscription = &objects(&router.run(&["ps", "subscriptions", "--json"]).stdout)[0];
    assert_eq!((&subscription["topic"], &subscription["match"]), (&"com.test.".into(), &"prefix".into()));
    assert_eq!((&subscription["type"], &subscription["subscribers"]), (&"subscription".into(), &1.into()));
}

#[test]
fn sessions_are_listed_and_ended() {
    let directory = Directory::new("kill");
    let router = router(&directory);
    let sessions = || objects(&router.run(&["ps", "sessions", "--json"]).stdout);
    let subscribe = ["subscribe", "com.test.topic", "--no-retry"];
    let victim = router.spawn(&subscribe);
    assert_eq!(victim.note(), "subscribed to com.test.topic");
    let listed = sessions();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let (own, others): (Vec<_>, Vec<_>) = listed.iter().partition(|session| session["own"] == true);
    assert_eq!(
        (own.len(), &others[0]["role"], &others[0]["transport"]),
        (1, &"anonymous".into(), &"websocket".into())
    );
    let id = others[0]["session"].to_string();
    assert!(router.run(&["ps", "sessions"]).stdout.contains(&id));
    assert_eq!(router.run(&["ps", "sessions", "--role", "nobody", "--json"]), done(""));
    // The second one is gone.
    let killed = router.run(&["kill", &id, &id, "--message", "a test", "--json"]);
    let object = format!("{{\"type\":\"killed\",\"session\":{id}}}\n");
    assert_eq!((killed.code, killed.stdout), (Some(1), object));
    let ended = victim.end();
    assert!(ended.code == Some(4) && ended.stderr.contains("wamp.close.killed: a test"), "{ended:?}");
    assert_eq!(sessions().len(), 1);
    let unknown = router.run(&["kill", &id]);
    assert_eq!(unknown.code, Some(1));
    let beginning = format!("Error: session {id}: wamp.error.no_such_session");
    assert!(unknown.stderr.starts_with(&beginning), "{unknown:?}");
    assert_eq!(router.run(&["kill", "x"]).code, Some(2));
}

#[test]
fn a_realm_that_does_not_allow_it_is_an_error_with_a_hint() {
    let router = Router::start();
    let refused = router.run(&["kill", "5"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("Error: session 5: wamp.error.not_authorized"), "{refused:?}");
    let hint = "hint: a realm of wamp-router lets its sessions do this with meta = \"control\"\n";
    assert!(refused.stderr.ends_with(hint), "{refused:?}");
}
