//! Meta events: their arguments, their order and their receivers.

use wamp_proto::Serializer;

use crate::meta::{call, control, id, raw};
use crate::net::{Client, Net, basic_roles};

const TOPICS: [&str; 10] = [
    "wamp.session.on_join",
    "wamp.session.on_leave",
    "wamp.registration.on_create",
    "wamp.registration.on_register",
    "wamp.registration.on_unregister",
    "wamp.registration.on_delete",
    "wamp.subscription.on_create",
    "wamp.subscription.on_subscribe",
    "wamp.subscription.on_unsubscribe",
    "wamp.subscription.on_delete",
];

/// A session that subscribes to all meta topics, with subscriptions 1 to 10.
fn watcher(net: &mut Net) -> Client {
    let watcher = raw(net);
    for (request, topic) in TOPICS.into_iter().enumerate() {
        net.say(watcher, &format!(r#"[32,{},{{}},"{topic}"]"#, request + 1));
    }
    assert_eq!(net.heard(watcher).len(), TOPICS.len());
    watcher
}

/// An event that a watcher got: the topic without "wamp.", and the arguments.
fn told(net: &mut Net, watcher: Client) -> Vec<String> {
    let heard = net.heard(watcher);
    let events = heard.iter().map(|event| {
        let fields: Vec<&str> = event.trim_start_matches("[36,").splitn(4, ',').collect();
        let topic = TOPICS[fields[0].parse::<usize>().unwrap() - 1].trim_start_matches("wamp.");
        assert_eq!(fields[2], "{}", "{event}");
        format!("{topic} {}", fields[3].strip_suffix(']').unwrap())
    });
    events.collect()
}

// behaviour 173, 174, 175
#[test]
fn each_meta_event_has_the_arguments_of_the_specification() {
    let mut net = control();
    let watcher = watcher(&mut net);
    let one = raw(&mut net);
    let session = id(&net, one);
    let joined = told(&mut net, watcher).concat();
    let authid = joined.split(r#""authid":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(
        joined,
        format!(
            "session.on_join [{{\"session\":{session},\"authid\":\"{authid}\",\"authrole\":\"anonymous\",\
             \"authmethod\":\"anonymous\",\"authprovider\":\"static\",\
             \"transport\":{{\"protocol\":\"memory\",\"serializer\":\"json\"}}}}]"
        )
    );
    net.say(one, r#"[64,1,{"match":"prefix","invoke":"roundrobin"},"com.a"]"#);
    let created = r#""created":"2026-03-01T00:00:00.000Z","uri":"com.a""#;
    assert_eq!(
        told(&mut net, watcher),
        [
            format!(
                "registration.on_create [{session},{{\"id\":1,{created},\"match\":\"prefix\",\"invoke\":\"roundrobin\"}}]"
            ),
            format!("registration.on_register [{session},1]"),
        ]
    );
    net.say(one, r#"[32,2,{},"com.a"]"#);
    assert_eq!(
        told(&mut net, watcher),
        [
            format!("subscription.on_create [{session},{{\"id\":11,{created},\"match\":\"exact\"}}]"),
            format!("subscription.on_subscribe [{session},11]"),
        ]
    );
    // Subscribing again changes nothing.
    net.say(one, r#"[32,3,{},"com.a"]"#);
    assert!(told(&mut net, watcher).is_empty());
    let two = raw(&mut net);
    let other = id(&net, two);
    net.say(two, r#"[64,1,{"match":"prefix","invoke":"roundrobin"},"com.a"]"#);
    net.say(two, r#"[32,2,{},"com.a"]"#);
    assert_eq!(
        told(&mut net, watcher)[1..],
        [format!("registration.on_register [{other},1]"), format!("subscription.on_subscribe [{other},11]")]
    );
    net.say(one, "[66,4,1]");
    net.say(one, "[34,5,11]");
    assert_eq!(
        told(&mut net, watcher),
        [
            format!("registration.on_unregister [{session},1]"),
            format!("subscription.on_unsubscribe [{session},11]"),
        ]
    );
    net.say(two, "[66,3,1]");
    net.say(two, "[34,4,11]");
    assert_eq!(
        told(&mut net, watcher),
        [
            format!("registration.on_unregister [{other},1]"),
            format!("registration.on_delete [{other},1]"),
            format!("subscription.on_unsubscribe [{other},11]"),
            format!("subscription.on_delete [{other},11]"),
        ]
    );
    net.say(one, r#"[6,{},"wamp.close.close_realm"]"#);
    assert_eq!(told(&mut net, watcher), [format!("session.on_leave [{session},\"{authid}\",\"anonymous\"]")]);
}

// behaviour 175
#[test]
fn a_session_that_leaves_gives_back_registrations_then_subscriptions_by_their_ids() {
    let mut net = control();
    let watcher = watcher(&mut net);
    let one = raw(&mut net);
    let session = id(&net, one);
    for request in 1..=20 {
        net.say(one, &format!(r#"[64,{request},{{}},"com.p{request}"]"#));
    }
    for request in 21..=40 {
        net.say(one, &format!(r#"[32,{request},{{}},"com.t{request}"]"#));
    }
    told(&mut net, watcher);
    net.cut(one);
    let mut expected = Vec::new();
    for registration in 1..=20 {
        expected.push(format!("registration.on_unregister [{session},{registration}]"));
        expected.push(format!("registration.on_delete [{session},{registration}]"));
    }
    for subscription in 11..=30 {
        expected.push(format!("subscription.on_unsubscribe [{session},{subscription}]"));
        expected.push(format!("subscription.on_delete [{session},{subscription}]"));
    }
    let mut heard = told(&mut net, watcher);
    let last = heard.pop().unwrap();
    assert!(last.starts_with(&format!("session.on_leave [{session},\"anonymous-")), "{last}");
    assert_eq!(heard, expected);
}

// behaviour 175
#[test]
fn the_reply_comes_before_the_meta_events_that_it_causes() {
    let mut net = control();
    let one = raw(&mut net);
    net.say(one, r#"[32,1,{},"wamp.registration.on_register"]"#);
    net.say(one, r#"[32,2,{},"wamp.session.on_leave"]"#);
    let two = raw(&mut net);
    let (first, second) = (id(&net, one), id(&net, two));
    net.heard(one);
    net.say(two, r#"[64,1,{},"com.a"]"#);
    net.say(one, &format!(r#"[48,3,{{}},"wamp.session.kill",[{second}]]"#));
    let heard = net.heard(one);
    assert!(heard[0].starts_with("[36,1,") && heard[0].ends_with(&format!("[{second},1]]")), "{heard:?}");
    assert_eq!(heard[1], "[50,3,{}]");
    assert!(heard[2].starts_with("[36,2,"), "{heard:?}");
    assert_eq!(heard.len(), 3);
    // The session of an event does not receive it.
    net.say(one, r#"[64,4,{},"com.b"]"#);
    assert_eq!(net.heard(one), ["[65,4,2]"]);
    assert_eq!(call(&mut net, one, 5, "wamp.registration.list_callees", ",[2]"), format!("[[{first}]]"));
}

// behaviour 176
#[test]
fn the_meta_api_does_not_show_itself() {
    let mut net = control();
    let first = watcher(&mut net);
    let second = watcher(&mut net);
    let joined = told(&mut net, first);
    assert_eq!(joined.len(), 1, "{joined:?}");
    assert!(joined[0].starts_with("session.on_join"));
    let nothing = r#"[{"exact":[],"prefix":[],"wildcard":[]}]"#;
    assert_eq!(call(&mut net, first, 20, "wamp.subscription.list", ""), nothing);
    assert_eq!(
        call(&mut net, first, 21, "wamp.subscription.lookup", r#",["wamp.session.on_join"]"#),
        "[null]"
    );
    assert_eq!(
        call(&mut net, first, 22, "wamp.subscription.match", r#",["wamp.session.on_join"]"#),
        "[null]"
    );
    for procedure in ["get", "list_subscribers", "count_subscribers"] {
        let answer = call(&mut net, first, 23, &format!("wamp.subscription.{procedure}"), ",[1]");
        assert_eq!(answer, "no_such_subscription", "{procedure}");
    }
    net.say(second, "[34,11,1]");
    assert_eq!(net.heard(second), ["[35,11]"]);
    assert!(net.heard(first).is_empty());
}

// behaviour 177
#[test]
fn the_end_of_all_sessions_fires_no_meta_events() {
    let mut net = control();
    let watcher = watcher(&mut net);
    let others: Vec<Client> = (0..5).map(|_| raw(&mut net)).collect();
    for (number, other) in others.iter().enumerate() {
        net.say(*other, &format!(r#"[64,1,{{}},"com.p{number}"]"#));
        net.say(*other, r#"[32,2,{},"com.t"]"#);
    }
    net.heard(watcher);
    assert_eq!(call(&mut net, watcher, 20, "wamp.session.kill_all", ""), "[5]");
    assert!(net.heard(watcher).is_empty());
    // A session that joins later causes events again, and so does its end.
    let one = raw(&mut net);
    assert_eq!(told(&mut net, watcher).len(), 1);
    net.cut(one);
    assert_eq!(told(&mut net, watcher).len(), 1);
    let other = raw(&mut net);
    net.say(other, r#"[64,1,{},"com.p"]"#);
    net.heard(watcher);
    let now = net.now;
    net.realm.shut_down(now);
    net.run();
    let heard = net.heard(watcher);
    assert!(heard.len() == 1 && heard[0].starts_with("[6,"), "{heard:?}");
}

// behaviour 109
#[test]
fn a_watcher_that_does_not_read_misses_meta_events_and_holds_no_session() {
    let mut net = control();
    let watcher = watcher(&mut net);
    let (now, key) = (net.now, net.key(watcher));
    net.realm.set_full(now, key);
    let before = net.realm.stats().events_dropped;
    for _ in 0..1000 {
        let one = raw(&mut net);
        net.cut(one);
    }
    assert!(net.heard(watcher).is_empty());
    assert_eq!(net.realm.stats().events_dropped - before, 2000);
    net.realm.set_room(now, key);
    let _ = net.raw(Serializer::Cbor, basic_roles());
    assert_eq!(net.heard(watcher).len(), 1);
}

#[test]
fn every_serializer_writes_meta_events() {
    let mut net = control();
    let watchers: Vec<Client> = Serializer::ALL
        .iter()
        .map(|serializer| {
            let watcher = net.raw(*serializer, basic_roles());
            net.say(watcher, r#"[32,1,{},"wamp.session.on_leave"]"#);
            net.heard(watcher);
            watcher
        })
        .collect();
    let one = raw(&mut net);
    let session = id(&net, one);
    net.cut(one);
    for (watcher, serializer) in watchers.into_iter().zip(Serializer::ALL) {
        let heard = net.received(watcher);
        let [wamp_proto::Message::Event(event)] = heard.as_slice() else { panic!("{serializer}: {heard:?}") };
        let (left, _, role): (u64, String, String) = event.payload.decode().unwrap();
        assert_eq!(
            (left, role.as_str(), event.payload.serializer()),
            (session, "anonymous", Some(*serializer))
        );
    }
}

// behaviour 102
#[test]
fn meta_events_go_only_by_subscriptions_that_are_reserved_themselves() {
    for (policy, uri, is_reserved) in [
        ("prefix", "", false),
        ("prefix", "w", false),
        ("prefix", "wam", false),
        ("wildcard", "..", false),
        ("wildcard", ".session.", false),
        ("wildcard", ".session.on_join", false),
        ("prefix", "wamp", true),
        ("prefix", "wamp.", true),
        ("prefix", "wamp.session.on_", true),
        ("wildcard", "wamp..", true),
        ("wildcard", "wamp..on_join", true),
    ] {
        let mut net = control();
        let watcher = raw(&mut net);
        net.say(watcher, &format!(r#"[32,1,{{"match":"{policy}"}},"{uri}"]"#));
        net.received(watcher);
        let other = raw(&mut net);
        let heard = net.heard(watcher);
        assert_eq!(heard.len(), usize::from(is_reserved), "{policy} {uri}: {heard:?}");
        assert_eq!(
            heard.iter().filter(|event| event.contains(r#""topic":"wamp.session.on_join""#)).count(),
            heard.len()
        );
        // Events of sessions go by all of them that match, reserved or not.
        for (request, topic) in [(1, "wampum.session.x"), (2, "com.session.on_join")] {
            net.say(other, &format!(r#"[16,{request},{{}},"{topic}"]"#));
            let matches = match policy {
                "prefix" => topic.starts_with(uri),
                _ => uri.split('.').zip(topic.split('.')).all(|(own, part)| own.is_empty() || own == part),
            };
            assert_eq!(net.heard(watcher).len(), usize::from(matches), "{policy} {uri} {topic}");
        }
    }
}
