//! Retained events.

use std::time::Duration;

use wamp_core::router::Config;
use wamp_proto::{Feature, Features, Message, Role, Serializer};

use crate::net::{Client, Net, args, basic_roles};

/// Publishes a number with these options.
fn publish(net: &mut Net, publisher: Client, request: u64, options: &str, topic: &str) {
    net.say(publisher, &format!(r#"[16,{request},{{{options}}},"{topic}",[{request}]]"#));
}

/// Subscribes with `get_retained`, and returns the numbers of the retained events with their topics. Checks
/// that all are marked and follow SUBSCRIBED.
fn retained(net: &mut Net, client: Client, policy: &str, uri: &str) -> Vec<(u64, Option<String>)> {
    net.say(client, &format!(r#"[32,1,{{"match":"{policy}","get_retained":true}},"{uri}"]"#));
    let mut received = net.received(client).into_iter();
    let Some(Message::Subscribed(subscribed)) = received.next() else { panic!("no SUBSCRIBED") };
    let events = received.map(|message| {
        let Message::Event(event) = message else { panic!("{message:?}") };
        assert_eq!((event.details.retained, event.subscription), (Some(true), subscribed.subscription));
        (event.payload.decode().unwrap(), event.details.topic.map(|topic| topic.to_string()))
    });
    events.collect()
}

fn numbers(events: Vec<(u64, Option<String>)>) -> Vec<u64> {
    events.into_iter().map(|event| event.0).collect()
}

fn late(net: &mut Net, policy: &str, uri: &str) -> Vec<u64> {
    let client = net.raw(Serializer::Json, basic_roles());
    numbers(retained(net, client, policy, uri))
}

// behaviour 117
#[test]
fn an_event_is_kept_for_its_topic_until_the_next_one() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, basic_roles());
    let live = net.raw(Serializer::Json, basic_roles());
    net.say(live, r#"[32,1,{"get_retained":true},"com.a"]"#);
    net.heard(live);
    publish(&mut net, publisher, 1, r#""retain":true"#, "com.a");
    let heard = net.heard(live);
    assert!(heard.len() == 1 && heard[0].ends_with(",{},[1]]"), "a live event is not marked: {heard:?}");
    publish(&mut net, publisher, 2, "", "com.a");
    assert_eq!(late(&mut net, "exact", "com.a"), [1]);
    publish(&mut net, publisher, 3, r#""retain":true"#, "com.a");
    assert_eq!(late(&mut net, "exact", "com.a"), [3]);
    assert_eq!(late(&mut net, "exact", "com.b"), [0; 0]);
    assert_eq!(net.realm.sizes().retained, 1);
    // Subscribing again asks again; without get_retained nothing comes.
    let heard = net.heard(live);
    assert_eq!(heard.len(), 2);
    net.say(live, r#"[32,2,{"get_retained":true},"com.a"]"#);
    assert_eq!(net.heard(live).len(), 2);
    net.say(live, r#"[32,3,{},"com.a"]"#);
    assert_eq!(net.heard(live).len(), 1);
}

// behaviour 117, behaviour 118
#[test]
fn a_subscriber_gets_the_newest_event_that_was_for_it() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, basic_roles());
    let (one, other) = (net.raw(Serializer::Json, basic_roles()), net.raw(Serializer::Json, basic_roles()));
    let only = format!(r#""retain":true,"eligible":[{}]"#, net.key(one).id());
    publish(&mut net, publisher, 1, r#""retain":true"#, "com.a");
    publish(&mut net, publisher, 2, &only, "com.a");
    assert_eq!(numbers(retained(&mut net, one, "exact", "com.a")), [2]);
    assert_eq!(numbers(retained(&mut net, other, "exact", "com.a")), [1], "the newest is not for it");
    publish(&mut net, publisher, 3, r#""retain":true,"exclude_authrole":["anonymous"]"#, "com.a");
    publish(&mut net, publisher, 4, r#""retain":true,"eligible":[]"#, "com.a");
    for client in [one, other] {
        net.heard(client);
    }
    assert_eq!(numbers(retained(&mut net, one, "exact", "com.a")), [2]);
    // The same lists replace the event, in any order and with repeated sessions.
    let id = net.key(one).id();
    publish(&mut net, publisher, 5, &format!(r#""retain":true,"eligible":[{id},{id}]"#), "com.a");
    net.heard(one);
    assert_eq!(numbers(retained(&mut net, one, "exact", "com.a")), [5]);
    // An event for all replaces all of them.
    publish(&mut net, publisher, 6, r#""retain":true"#, "com.a");
    for client in [one, other] {
        net.heard(client);
        assert_eq!(numbers(retained(&mut net, client, "exact", "com.a")), [6]);
    }
    assert_eq!(numbers(retained(&mut net, publisher, "exact", "com.a")), [0; 0], "its own");
    publish(&mut net, publisher, 7, r#""retain":true,"exclude_me":false"#, "com.a");
    net.heard(publisher);
    assert_eq!(numbers(retained(&mut net, publisher, "exact", "com.a")), [7]);
}

// behaviour 118, behaviour 119
#[test]
fn a_pattern_gets_the_event_of_each_topic_the_oldest_first() {
    for serializer in Serializer::ALL {
        let mut net = Net::new();
        let publisher = net.raw(Serializer::Json, basic_roles());
        let topics = ["com.b.x", "com.a.x", "com.a.y", "org.a.x", "com.a", "com.c.x"];
        for (request, topic) in (1..).zip(topics) {
            publish(&mut net, publisher, request, r#""retain":true"#, topic);
        }
        publish(&mut net, publisher, 7, r#""retain":true"#, "com.b.x");
        assert_eq!((net.realm.sizes().topics, net.realm.sizes().retained), (0, 6));
        let client = net.raw(*serializer, basic_roles());
        let got = retained(&mut net, client, "prefix", "com.");
        let topic = |topic: &str| Some(topic.to_owned());
        let all = [(2, "com.a.x"), (3, "com.a.y"), (5, "com.a"), (6, "com.c.x"), (7, "com.b.x")];
        assert_eq!(got, all.map(|(number, of)| (number, topic(of))));
        assert_eq!(late(&mut net, "wildcard", "com..x"), [2, 6, 7]);
        assert_eq!(late(&mut net, "wildcard", "..x"), [2, 4, 6, 7]);
        assert_eq!(late(&mut net, "wildcard", "com.a."), [2, 3]);
        assert_eq!(late(&mut net, "wildcard", "com.a"), [5]);
        assert_eq!(late(&mut net, "prefix", ""), [2, 3, 4, 5, 6, 7]);
        assert_eq!(late(&mut net, "exact", "com.a"), [5]);
    }
}

// behaviour 120
#[test]
fn an_event_that_cannot_be_written_for_a_subscriber_is_skipped_and_counted() {
    let mut net = Net::new();
    let publisher = net.join(Serializer::Cbor);
    let options = wamp_proto::message::PublishOptions {
        retain: Some(true),
        ..wamp_proto::message::PublishOptions::default()
    };
    let now = net.now;
    for (topic, value) in [("com.a", f64::NAN), ("com.b", 1.0)] {
        let payload = args(Serializer::Cbor, &(value,));
        net.session(publisher).publish(now, options.clone(), topic.into(), payload).unwrap();
    }
    net.run();
    let client = net.raw(Serializer::Json, basic_roles());
    net.say(client, r#"[32,1,{"match":"prefix","get_retained":true},"com."]"#);
    let heard = net.heard(client);
    assert!(heard.len() == 2 && heard[1].contains("com.b"), "{heard:?}");
    assert_eq!(net.realm.stats().events_dropped, 1);
}

// behaviour 121
#[test]
fn a_retained_event_survives_its_publisher_and_keeps_its_id_and_details() {
    let mut net = Net::new();
    let passthru = Features::none().with(Feature::PayloadPassthruMode);
    let publisher = net.raw(Serializer::Json, basic_roles().with(Role::Publisher, passthru));
    net.say(
        publisher,
        r#"[16,1,{"retain":true,"acknowledge":true,"disclose_me":true,"_traceparent":"t","ppt_scheme":"x"},"com.a",[1]]"#,
    );
    let heard = net.heard(publisher);
    let id = heard[0].trim_start_matches("[17,1,").trim_end_matches(']').to_owned();
    let session = net.key(publisher).id();
    net.cut(publisher);
    let client = net.raw(Serializer::Json, basic_roles());
    net.say(client, r#"[32,1,{"get_retained":true},"com.a"]"#);
    let heard = net.heard(client);
    assert!(heard[1].starts_with(&format!("[36,1,{id},")), "{heard:?}");
    for part in
        [format!(r#""publisher":{session}"#), r#""_traceparent":"t""#.into(), r#""ppt_scheme":"x""#.into()]
    {
        assert!(heard[1].contains(&part), "{heard:?}");
    }
}

// behaviour 122
#[test]
fn a_retained_event_expires() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, basic_roles());
    publish(&mut net, publisher, 1, r#""retain":true,"_retain_ttl":1000"#, "com.a");
    publish(&mut net, publisher, 2, r#""retain":true"#, "com.b");
    net.sleep(Duration::from_millis(999));
    assert_eq!(late(&mut net, "prefix", "com."), [1, 2]);
    net.sleep(Duration::from_millis(1));
    assert_eq!(late(&mut net, "prefix", "com."), [2]);
    assert_eq!(net.realm.sizes().retained, 1);
    // 0 delivers the event and removes the kept one.
    publish(&mut net, publisher, 3, r#""retain":true,"_retain_ttl":0"#, "com.b");
    assert_eq!(late(&mut net, "prefix", "com."), [0; 0]);
    assert_eq!((net.realm.sizes().retained, net.realm.sizes().retained_bytes), (0, 0));
    // A new event has its own time.
    publish(&mut net, publisher, 4, r#""retain":true,"_retain_ttl":10"#, "com.a");
    publish(&mut net, publisher, 5, r#""retain":true"#, "com.a");
    net.sleep(Duration::from_millis(20));
    assert_eq!(late(&mut net, "exact", "com.a"), [5]);
    assert!(net.realm.forget_retained(&"com.a".into()) && !net.realm.forget_retained(&"com.a".into()));
    for wrong in ["-1", "1.5", r#""1""#, "[]"] {
        let options = format!(r#""retain":true,"acknowledge":true,"_retain_ttl":{wrong}"#);
        publish(&mut net, publisher, 6, &options, "com.a");
        let heard = net.heard(publisher);
        assert!(
            heard[0].contains("wamp.error.invalid_argument") && heard[0].contains("_retain_ttl"),
            "{heard:?}"
        );
    }
    assert_eq!(net.realm.sizes().retained, 0);
}

// behaviour 120
#[test]
fn an_event_that_exceeds_a_limit_is_delivered_and_not_retained() {
    let mut config = Config::new("realm1");
    config.retention.topics = 2;
    config.retention.restricted = 2;
    config.retention.event_bytes = 600;
    config.retention.bytes = 1600;
    config.retention.sent = 1;
    let mut net = Net::with(config);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let live = net.raw(Serializer::Json, basic_roles());
    net.say(live, r#"[32,1,{"match":"prefix"},""]"#);
    net.heard(live);
    for (request, topic) in [(1, "com.a"), (2, "com.b"), (3, "com.c")] {
        publish(&mut net, publisher, request, r#""retain":true"#, topic);
    }
    assert_eq!((net.heard(live).len(), net.realm.sizes().retained), (3, 2), "topics");
    assert_eq!(net.realm.stats().not_retained, 1);
    assert_eq!(late(&mut net, "prefix", "com."), [1], "one for a SUBSCRIBE");
    // An event that is too long leaves the kept one.
    net.say(publisher, &format!(r#"[16,4,{{"retain":true}},"com.a",["{}"]]"#, "x".repeat(600)));
    assert_eq!(late(&mut net, "exact", "com.a"), [1]);
    // The oldest event with lists is dropped; the one for all stays.
    let to: Vec<Client> = (0..3).map(|_| net.raw(Serializer::Json, basic_roles())).collect();
    for (request, to) in (5..).zip(&to) {
        let options = format!(r#""retain":true,"eligible":[{}]"#, net.key(*to).id());
        publish(&mut net, publisher, request, &options, "com.a");
    }
    let got: Vec<_> = to.iter().map(|to| numbers(retained(&mut net, *to, "exact", "com.a"))).collect();
    assert_eq!(got, [[1], [6], [7]]);
    // No more bytes.
    net.say(publisher, &format!(r#"[16,8,{{"retain":true}},"com.b",["{}"]]"#, "x".repeat(300)));
    assert_eq!(late(&mut net, "exact", "com.b"), [2]);
    assert_eq!(net.realm.stats().not_retained, 3);
    assert!(net.realm.sizes().retained_bytes <= 1600);
}

// behaviour 117
#[test]
fn the_keys_of_the_publisher_count_and_no_others_are_kept() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, basic_roles());
    publish(&mut net, publisher, 1, r#""retain":true"#, "com.a");
    let plain = net.realm.sizes().retained_bytes;
    let junk = "x".repeat(10_000);
    let options = format!(r#""retain":true,"junk":"{junk}","_abcd":"12345678""#);
    publish(&mut net, publisher, 2, &options, "com.b");
    let of_second = net.realm.sizes().retained_bytes - plain;
    assert_eq!(of_second - plain, "_abcd".len() + r#""12345678""#.len());
    let client = net.raw(Serializer::Json, basic_roles());
    net.say(client, r#"[32,1,{"get_retained":true},"com.b"]"#);
    let heard = net.heard(client);
    assert!(heard[1].contains(r#""_abcd":"12345678""#) && !heard[1].contains("junk"), "{heard:?}");
}

// behaviour 123
#[test]
fn meta_topics_have_no_retained_events() {
    let mut net = crate::meta::control();
    let early = net.raw(Serializer::Json, basic_roles());
    net.say(early, r#"[32,1,{},"wamp.session.on_join"]"#);
    net.received(early);
    assert_eq!(late(&mut net, "exact", "wamp.session.on_join"), [0; 0]);
    assert_eq!(late(&mut net, "prefix", "wamp."), [0; 0]);
    assert_eq!(net.heard(early).len(), 2, "there were events to retain");
    publish(&mut net, early, 2, r#""retain":true"#, "wamp.session.on_join");
    assert_eq!(late(&mut net, "prefix", "wamp."), [0; 0]);
    assert_eq!(net.realm.sizes().retained, 0);
}
