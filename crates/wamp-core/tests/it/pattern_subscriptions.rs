//! Pattern-based subscriptions.

use wamp_core::router::Config;
use wamp_proto::{Message, Serializer};

use crate::net::{Client, Net, all_roles};

/// The subscription, publication and topic of each event that a client got.
fn events(net: &mut Net, client: Client) -> Vec<(u64, u64, Option<String>)> {
    let event = |message| match message {
        Message::Event(event) => {
            let topic = event.details.topic.map(|topic| topic.to_string());
            (event.subscription.get(), event.publication.get(), topic)
        }
        other => panic!("{other:?}"),
    };
    net.received(client).into_iter().map(event).collect()
}

// behaviour 105
#[test]
fn each_matching_subscription_gives_an_event_of_one_publication() {
    for serializer in Serializer::ALL {
        let mut net = Net::new();
        let publisher = net.raw(Serializer::Json, all_roles());
        let subscriber = net.raw(*serializer, all_roles());
        for (request, policy, uri) in [
            (1, "wildcard", "com..topic"),
            (2, "prefix", "com.my"),
            (3, "exact", "com.myapp.topic"),
            (4, "prefix", "com.myapp.topic"),
            (5, "wildcard", "com.myapp."),
            (6, "prefix", ""),
            (7, "exact", "com.myapp"),
            (8, "prefix", "com.myapp.topics"),
            (9, "wildcard", "..topic."),
        ] {
            net.say(subscriber, &format!(r#"[32,{request},{{"match":"{policy}"}},"{uri}"]"#));
        }
        net.received(subscriber);
        assert_eq!(net.realm.sizes().topics, 9);
        net.say(publisher, r#"[16,1,{},"com.myapp.topic",["x"]]"#);
        let events = events(&mut net, subscriber);
        let topic = || Some("com.myapp.topic".to_owned());
        let ids: Vec<u64> = events.iter().map(|event| event.0).collect();
        assert_eq!(ids, [3, 4, 2, 6, 5, 1], "exact, prefixes from the longest, wildcards");
        assert!(events.iter().all(|event| event.1 == events[0].1), "one publication");
        assert_eq!(events[0].2, None);
        assert!(events[1..].iter().all(|event| event.2 == topic()));
        assert_eq!(net.realm.stats().events, 6);
    }
}

// behaviour 104
#[test]
fn a_subscription_is_a_policy_and_a_uri() {
    let mut net = Net::new();
    let (one, other) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    for (request, policy) in [(1, "exact"), (2, "prefix"), (3, "wildcard"), (4, "prefix")] {
        net.say(one, &format!(r#"[32,{request},{{"match":"{policy}"}},"com.myapp"]"#));
    }
    assert_eq!(net.heard(one), ["[33,1,1]", "[33,2,2]", "[33,3,3]", "[33,4,2]"]);
    net.say(other, r#"[32,1,{"match":"prefix"},"com.myapp"]"#);
    assert_eq!(net.heard(other), ["[33,1,2]"]);
    net.say(one, "[34,5,2]");
    net.say(one, "[34,6,2]");
    let heard = net.heard(one);
    assert_eq!(heard[0], "[35,5]");
    assert!(heard[1].contains("wamp.error.no_such_subscription"));
    net.say(other, r#"[16,2,{"exclude_me":false},"com.myapp.topic"]"#);
    assert_eq!((net.heard(one).len(), net.heard(other).len()), (0, 1));
    net.cut(other);
    assert_eq!(net.realm.sizes().topics, 2);
    net.cut(one);
    assert_eq!(net.realm.sizes().topics, 0);
}

// behaviour 103
#[test]
fn invalid_subscriptions_are_refused() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    let gaps = ".".repeat(64);
    let cases = [
        (r#""match":"regex""#, "com.myapp", "invalid_argument"),
        (r#""match":"Prefix""#, "com.myapp", "invalid_argument"),
        (r#""match":1"#, "com.myapp", "invalid_argument"),
        (r#""match":"exact""#, "com..myapp", "invalid_uri"),
        (r#""match":null"#, "com..myapp", "invalid_uri"),
        (r#""match":"prefix""#, "com..myapp", "invalid_uri"),
        (r#""match":"wildcard""#, "com.my app", "invalid_uri"),
        (r#""match":"wildcard""#, &gaps, "invalid_uri"),
        ("", "", "invalid_uri"),
    ];
    for (request, (options, uri, error)) in (1..).zip(cases) {
        net.say(client, &format!(r#"[32,{request},{{{options}}},"{uri}"]"#));
        let heard = net.heard(client);
        let expected = format!(r#"[8,32,{request},{{}},"wamp.error.{error}""#);
        assert!(heard[0].starts_with(&expected), "{options} {uri}: {heard:?}");
    }
    assert_eq!(net.realm.sizes().topics, 0);
}

// behaviour 106
#[test]
fn subscriptions_have_a_limit_of_shapes_as_registrations_do() {
    let mut config = Config::new("realm1");
    config.limits.wildcard_shapes = 2;
    let mut net = Net::with(config);
    let client = net.raw(Serializer::Json, all_roles());
    for (request, uri) in [(1, "a..c"), (2, ".b.c"), (3, "x..z"), (4, "a.b."), (5, "a.b..d")] {
        net.say(client, &format!(r#"[32,{request},{{"match":"wildcard"}},"{uri}"]"#));
    }
    let heard = net.heard(client);
    let accepted: Vec<bool> = heard.iter().map(|answer| answer.starts_with("[33,")).collect();
    assert_eq!(accepted, [true, true, true, false, true]);
    assert!(heard[3].contains("wamp.error.unavailable") && heard[3].contains("2 combinations"), "{heard:?}");
}

// behaviour 108
#[test]
fn events_of_one_publisher_keep_their_order_across_topics_and_patterns() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, all_roles());
    let subscriber = net.raw(Serializer::Json, all_roles());
    for (request, topic) in [(1, "com.a"), (2, "com.b"), (3, "com.c")] {
        net.say(subscriber, &format!(r#"[32,{request},{{}},"{topic}"]"#));
    }
    net.say(subscriber, r#"[32,4,{"match":"prefix"},"com."]"#);
    net.received(subscriber);
    for number in 1..1000_u64 {
        let topic = ["com.a", "com.b", "com.c"][(number * 7 % 3) as usize];
        net.say(publisher, &format!(r#"[16,{number},{{}},"{topic}",[{number}]]"#));
    }
    let (mut by_exact, mut by_prefix) = (Vec::new(), Vec::new());
    for message in net.received(subscriber) {
        let Message::Event(event) = message else { panic!("{message:?}") };
        let number: u64 = event.payload.decode().unwrap();
        if event.subscription.get() == 4 { &mut by_prefix } else { &mut by_exact }.push(number);
    }
    let all: Vec<u64> = (1..1000).collect();
    assert_eq!((by_exact, by_prefix), (all.clone(), all));
}

// behaviour 105: the details that a pattern adds to an event count towards its length.
#[test]
fn an_event_with_its_topic_that_is_too_long_is_dropped() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, all_roles());
    let topic = "x".repeat(300);
    let subscribers = [700, 1300].map(|max| net.raw_with(Serializer::Json, all_roles(), max));
    for subscriber in subscribers {
        net.say(subscriber, &format!(r#"[32,1,{{}},"{topic}"]"#));
        net.say(subscriber, r#"[32,2,{"match":"prefix"},"x"]"#);
        net.received(subscriber);
    }
    net.say(publisher, &format!(r#"[16,1,{{}},"{topic}",["{}"]]"#, "y".repeat(500)));
    assert_eq!(subscribers.map(|subscriber| net.received(subscriber).len()), [1, 2]);
    assert_eq!(net.realm.stats().events_dropped, 1);
}
