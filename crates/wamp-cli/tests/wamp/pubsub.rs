//! `wamp publish` and `wamp subscribe`.

use crate::support::{Ended, Router};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

#[test]
fn events_are_printed_until_there_are_as_many_as_asked_for() {
    let router = Router::start();
    let subscriber = router.spawn(&["subscribe", "com.test.topic", "--count", "3"]);
    assert_eq!(subscriber.note(), "subscribed to com.test.topic");
    assert_eq!(router.run(&["publish", "com.test.topic", "1", "x"]), done(""));
    assert_eq!(
        router.run(&["publish", "com.test.topic", "-k", "a=2", "--repeat", "2", "--no-ack"]),
        done("")
    );
    assert_eq!(subscriber.end(), done("[1,\"x\"]\n{\"a\":2}\n{\"a\":2}\n"));
}

#[test]
fn publications_without_an_answer_end_with_ctrl_c() {
    let router = Router::start();
    let publisher = router.spawn(&["publish", "com.test.topic", "1", "--no-ack", "--repeat", "1000000000"]);
    // It publishes when an event has arrived.
    assert_eq!(router.run(&["subscribe", "com.test.topic", "--count", "1"]).stdout, "1\n");
    publisher.signal("INT");
    assert_eq!(publisher.end().code, Some(130));
}

#[test]
fn with_a_pattern_or_several_topics_each_line_has_the_topic() {
    let router = Router::start();
    let patterns: [&[&str]; 3] = [
        &["com.test.", "--match", "prefix"],
        &["com..a", "com..b", "--match", "wildcard"],
        &["com.test.a", "com.test.b"],
    ];
    for pattern in patterns {
        let subscriber = router.spawn(&[&["subscribe", "--count", "2"], pattern].concat());
        for topic in pattern.iter().filter(|word| word.starts_with("com")) {
            assert_eq!(subscriber.note(), format!("subscribed to {topic}"));
        }
        for topic in ["com.test.a", "com.test.b"] {
            assert_eq!(router.run(&["publish", topic, "1"]), done(""));
        }
        assert_eq!(subscriber.end(), done("com.test.a\t1\ncom.test.b\t1\n"));
    }
}

#[test]
fn json_tells_the_publication_at_both_ends() {
    let router = Router::start();
    let subscriber = router.spawn(&["subscribe", "com.test.topic", "--count", "1", "--json", "--quiet"]);
    // Quiet, so that the router has to be asked whether it is there.
    let count = ["call", "wamp.subscription.lookup", "com.test.topic"];
    while router.run(&count).stdout == "null\n" {}
    let publisher = router.run(&["publish", "com.test.topic", "1", "--json", "--disclose-me"]);
    let published: serde_json::Value = serde_json::from_str(&publisher.stdout).unwrap();
    let event: serde_json::Value = serde_json::from_str(&subscriber.end().stdout).unwrap();
    assert_eq!((&published["type"], &event["type"]), (&"published".into(), &"event".into()));
    assert_eq!(published["publication"], event["publication"]);
    assert_eq!((&event["topic"], &event["args"][0]), (&"com.test.topic".into(), &1.into()));
}

#[test]
fn a_retained_event_is_shown_and_silence_ends_the_wait() {
    let router = Router::start();
    assert_eq!(router.run(&["publish", "com.test.topic", "5", "--retain"]), done(""));
    let retained = router.run(&["subscribe", "com.test.topic", "--retained", "--wait", "300ms", "-q"]);
    assert_eq!(retained, done("5\n"));
    assert_eq!(router.run(&["subscribe", "com.test.topic", "--wait", "100ms", "-q"]), done(""));
}

#[test]
fn a_refused_topic_is_exit_code_1_and_a_signal_ends_a_subscription() {
    let router = Router::start();
    let refused = router.run(&["publish", "wamp.session.on_join", "1"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("Error: wamp.session.on_join: wamp.error."), "{refused:?}");
    let subscriber = router.spawn(&["subscribe", "com.test.topic"]);
    assert_eq!(subscriber.note(), "subscribed to com.test.topic");
    subscriber.signal("INT");
    assert_eq!(subscriber.end().code, Some(130));
}

#[test]
fn a_number_of_publications_and_an_event_without_arguments() {
    let router = Router::start();
    let subscriber = router.spawn(&["subscribe", "com.test.topic", "--count", "2"]);
    assert_eq!(subscriber.note(), "subscribed to com.test.topic");
    for repeat in ["1", "1"] {
        let publish = ["publish", "com.test.topic", "--repeat", repeat, "--every", "1ms"];
        assert_eq!(router.run(&publish), done(""));
    }
    assert_eq!(subscriber.end(), done("[]\n[]\n"));
    let several = router.spawn(&["subscribe", "com.test.a", "com.test.b", "--count", "1"]);
    let _ = (several.note(), several.note());
    assert_eq!(router.run(&["publish", "com.test.b"]), done(""));
    assert_eq!(several.end(), done("com.test.b\t[]\n"));
}

#[test]
fn raw_values_have_no_topic() {
    let router = Router::start();
    for pattern in [&["com.test.a", "com.test.b"][..], &["com.test.", "--match", "prefix"]] {
        let refused = router.run(&[&["subscribe", "--raw"], pattern].concat());
        assert_eq!(
            (refused.code, refused.stderr.starts_with("Error: --raw: ")),
            (Some(2), true),
            "{refused:?}"
        );
    }
}
