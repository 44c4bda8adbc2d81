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
fn a_session_that_has_left_is_no_subscriber() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
    net.cut(client);
    assert_eq!(net.realm.sizes().topics, 0);
    let publisher = net.raw(Serializer::Json, all_roles());
    net.say(publisher, r#"[16,1,{},"com.myapp.topic"]"#);
    assert_eq!(net.realm.stats().events, 0);
}

/// All orders of these steps in which those of one session keep theirs.
fn interleaved(scripts: &[Vec<usize>]) -> Vec<Vec<usize>> {
    if scripts.iter().all(Vec::is_empty) {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for (index, script) in scripts.iter().enumerate().filter(|(_, script)| !script.is_empty()) {
        let mut rest = scripts.to_vec();
        rest[index].remove(0);
        orders.extend(interleaved(&rest).into_iter().map(|mut order| {
            order.insert(0, script[0]);
            order
        }));
    }
    orders
}

// behaviour 107
#[test]
fn an_event_goes_to_those_that_are_subscribed_when_it_is_published() {
    const SUBSCRIBE: [usize; 2] = [0, 2];
    const PUBLISH: usize = 4;
    let orders = interleaved(&[vec![0, 1], vec![2, 3], vec![PUBLISH]]);
    assert_eq!(orders.len(), 30);
    for order in orders {
        let mut net = Net::new();
        let publisher = net.raw(Serializer::Json, all_roles());
        let subscribers = [0, 1].map(|_| net.raw(Serializer::Json, all_roles()));
        let mut ids = [0; 2];
        for step in &order {
            let which = *step / 2;
            match *step {
                PUBLISH => net.say(publisher, r#"[16,1,{},"com.a"]"#),
                subscribe if SUBSCRIBE.contains(&subscribe) => {
                    net.say(subscribers[which], r#"[32,1,{},"com.a"]"#);
                    let [wamp_proto::Message::Subscribed(subscribed)] = &net.received(subscribers[which])[..]
                    else {
                        panic!("not subscribed")
                    };
                    ids[which] = subscribed.subscription.get();
                }
                _ => net.say(subscribers[which], &format!("[34,2,{}]", ids[which])),
            }
        }
        let at = |step| order.iter().position(|other| *other == step).unwrap();
        for (which, subscriber) in subscribers.into_iter().enumerate() {
            let heard = net.heard(subscriber);
            let events = heard.iter().filter(|message| message.starts_with("[36,")).count();
            let is_subscribed = (at(2 * which)..at(2 * which + 1)).contains(&at(PUBLISH));
            assert_eq!(events, usize::from(is_subscribed), "{order:?}: {heard:?}");
        }
    }
}
