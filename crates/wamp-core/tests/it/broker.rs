//! Publish and subscribe.

use wamp_proto::Serializer;

use crate::net::{Net, all_roles, args};

#[test]
fn an_event_goes_to_every_subscriber_but_its_publisher_in_each_serializer() {
    let mut net = Net::new();
    let publisher = net.join(Serializer::Json);
    let subscribers: Vec<_> = Serializer::ALL.iter().map(|serializer| net.join(*serializer)).collect();
    let now = net.now;
    for client in subscribers.iter().chain([&publisher]) {
        net.session(*client).subscribe(now, Default::default(), "com.myapp.topic".into()).unwrap();
    }
    net.run();
    for client in subscribers.iter().chain([&publisher]) {
        net.events(*client);
    }
    assert_eq!(net.realm.sizes().topics, 1);
    let payload = args(Serializer::Json, &("hello", 1.5));
    net.session(publisher).publish(now, Default::default(), "com.myapp.topic".into(), payload).unwrap();
    net.run();
    for (client, serializer) in subscribers.into_iter().zip(Serializer::ALL) {
        let events = net.events(client);
        let [wamp_core::session::Event::EventReceived(event)] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(event.payload.serializer(), Some(*serializer));
        assert_eq!(event.payload.decode::<(String, f64)>().unwrap(), ("hello".to_owned(), 1.5));
    }
    assert!(net.events(publisher).is_empty());
    assert_eq!(net.realm.stats().events, 3);
}

#[test]
fn publish_subscribe_and_unsubscribe_are_answered() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
    net.say(client, r#"[32,2,{},"com.myapp.topic"]"#);
    assert_eq!(net.heard(client), ["[33,1,1]", "[33,2,1]"]);
    net.say(client, r#"[16,3,{},"com.myapp.topic",[1]]"#);
    assert!(net.heard(client).is_empty(), "neither event nor acknowledgement");
    net.say(client, r#"[16,4,{"acknowledge":true,"exclude_me":false},"com.myapp.topic",[1],{"a":2}]"#);
    let heard = net.heard(client);
    assert!(heard[0].starts_with("[17,4,"), "the publisher knows the id before its event: {heard:?}");
    assert!(heard[1].starts_with("[36,1,") && heard[1].ends_with(r#",{},[1],{"a":2}]"#), "{heard:?}");
    net.say(client, "[34,5,1]");
    net.say(client, "[34,6,1]");
    let heard = net.heard(client);
    assert_eq!(heard[0], "[35,5]");
    assert!(heard[1].starts_with(r#"[8,34,6,{},"wamp.error.no_such_subscription""#), "{heard:?}");
    assert_eq!(net.realm.sizes().topics, 0);
}

#[test]
fn a_publication_that_is_wrong_is_answered_only_if_that_was_wanted() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[16,1,{},"com..topic"]"#);
    assert!(net.heard(client).is_empty());
    for (request, topic) in [(2, "com..topic"), (3, "wamp.topic")] {
        net.say(client, &format!(r#"[16,{request},{{"acknowledge":true}},"{topic}"]"#));
        let expected = format!(r#"[8,16,{request},{{}},"wamp.error.invalid_uri""#);
        assert!(net.heard(client)[0].starts_with(&expected));
    }
}

#[test]
fn an_event_too_big_for_a_subscriber_is_dropped_and_counted() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, all_roles());
    let small = net.raw_with(Serializer::Json, all_roles(), 512);
    let large = net.raw(Serializer::Json, all_roles());
    for client in [small, large] {
        net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
        net.heard(client);
    }
    net.say(publisher, &format!(r#"[16,1,{{}},"com.myapp.topic",["{}"]]"#, "x".repeat(600)));
    assert_eq!(net.heard(large).len(), 1);
    assert!(net.heard(small).is_empty());
    assert_eq!((net.realm.stats().events, net.realm.stats().events_dropped), (1, 1));
}

#[test]
fn who_leaves_is_no_subscriber_any_more() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
    net.cut(client);
    assert_eq!(net.realm.sizes().topics, 0);
    let publisher = net.raw(Serializer::Json, all_roles());
    net.say(publisher, r#"[16,1,{},"com.myapp.topic"]"#);
    assert_eq!(net.realm.stats().events, 0);
}
