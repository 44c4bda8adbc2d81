//! The limits of a session's entries in the tables of a realm, and the cost of look-ups.

use wamp_core::router::Config;
use wamp_proto::Serializer;

use crate::net::{Net, all_roles};

fn wildcard(request: usize, pattern: &str) -> String {
    format!(r#"[64,{request},{{"match":"wildcard"}},"{pattern}"]"#)
}

/// The pattern with a gap where the number has a bit.
fn crossing(number: u32, components: u32) -> String {
    let gap = |at: u32| if number >> at & 1 == 1 { "" } else { "a" };
    (0..components).map(gap).collect::<Vec<_>>().join(".")
}

#[test]
fn wildcards_may_have_64_shapes_of_each_number_of_components() {
    let mut net = Net::new();
    let callees = [(); 2].map(|()| net.raw(Serializer::Json, all_roles()));
    for number in 0..64 {
        net.say(callees[0], &wildcard(number as usize + 1, &(crossing(number, 16) + ".x")));
    }
    assert!(net.heard(callees[0]).iter().all(|answer| answer.starts_with("[65,")));
    // Another shape with this number of components is refused, for every session.
    net.say(callees[1], &wildcard(1, &(crossing(64, 16) + ".y")));
    let heard = net.heard(callees[1]);
    assert!(
        heard[0].starts_with(r#"[8,64,1,{},"wamp.error.unavailable""#)
            && heard[0].contains("64 combinations")
    );
    // A known shape is accepted, and so is one with another number of components.
    net.say(callees[1], &wildcard(2, &(crossing(63, 16) + ".y")));
    net.say(callees[1], &wildcard(3, &crossing(64, 16)));
    assert!(net.heard(callees[1]).iter().all(|answer| answer.starts_with("[65,")));
    // Each removal makes room for another shape.
    net.say(callees[0], "[66,65,1]");
    net.say(callees[1], &wildcard(4, &(crossing(64, 16) + ".y")));
    assert!(net.heard(callees[1])[0].starts_with("[65,"));
    for callee in callees {
        net.cut(callee);
    }
    assert_eq!(net.realm.sizes().registrations, 0);
}

#[test]
fn a_session_holds_a_limited_number_of_bytes_in_registrations_and_subscriptions() {
    let mut config = Config::new("realm1");
    config.limits.table_bytes = 1500;
    let mut net = Net::with(config);
    let client = net.raw(Serializer::Json, all_roles());
    let uri = "x".repeat(244);
    let refused = |heard: Vec<String>| {
        assert_eq!(heard.len(), 1);
        let is = heard[0].contains("wamp.error.unavailable") && heard[0].contains("1500 bytes");
        assert!(is || !heard[0].starts_with("[8,"), "{}", heard[0]);
        is
    };
    net.say(client, &format!(r#"[64,1,{{}},"{uri}"]"#));
    net.say(client, &format!(r#"[32,2,{{}},"{uri}"]"#));
    net.heard(client);
    // A repeated subscription does not count twice.
    net.say(client, &format!(r#"[32,3,{{}},"{uri}"]"#));
    assert_eq!(net.heard(client), ["[33,3,1]"]);
    net.say(client, &format!(r#"[32,4,{{}},"{uri}.more"]"#));
    assert!(refused(net.heard(client)));
    net.say(client, &format!(r#"[64,5,{{"match":"prefix"}},"{uri}"]"#));
    assert!(!refused(net.heard(client)), "500 each, 1,500 in all");
    net.say(client, r#"[64,6,{},"x"]"#);
    assert!(refused(net.heard(client)));
    net.say(client, "[34,7,1]");
    net.heard(client);
    net.say(client, r#"[32,8,{},"x"]"#);
    assert!(!refused(net.heard(client)));
    net.say(client, "[66,9,1]");
    net.heard(client);
    net.say(client, &format!(r#"[64,10,{{}},"{uri}"]"#));
    assert!(!refused(net.heard(client)));
    // The entries of one session do not concern another.
    let other = net.raw(Serializer::Json, all_roles());
    net.say(other, r#"[32,1,{},"x"]"#);
    assert!(!refused(net.heard(other)));
}

#[test]
fn a_session_may_have_65536_subscriptions_and_registrations_of_usual_length() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    for n in 1..=65_536 {
        net.say(client, &format!(r#"[32,{n},{{}},"com.myapp.topic.with.a.long.name.{n:020}"]"#));
    }
    net.heard(client);
    assert_eq!(net.realm.sizes().topics, 65_536);
    let client = net.raw(Serializer::Json, all_roles());
    for n in 1..=65_536 {
        net.say(client, &format!(r#"[64,{n},{{}},"com.myapp.procedure.with.a.long.name.{n:020}"]"#));
    }
    assert_eq!(net.realm.sizes().registrations, 65_536);
}
