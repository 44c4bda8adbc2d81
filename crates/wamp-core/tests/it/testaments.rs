//! Testaments: their checks, the time of publication, and the receivers.

use wamp_core::router::{self, Disclosure, Meta};
use wamp_proto::{Feature, Features, Role, Serializer};

use crate::meta::{call, control, id, raw};
use crate::net::{Client, Net, all_roles, json};

const ADD: &str = "wamp.session.add_testament";
const FLUSH: &str = "wamp.session.flush_testaments";

/// A session that subscribes to everything below `com`, and to `wamp.session.on_leave`.
fn watcher(net: &mut Net) -> Client {
    let watcher = raw(net);
    net.say(watcher, r#"[32,1,{"match":"prefix"},"com"]"#);
    net.say(watcher, r#"[32,2,{},"wamp.session.on_leave"]"#);
    assert_eq!(net.heard(watcher).len(), 2);
    watcher
}

/// The events that it got, without their ids.
fn told(net: &mut Net, watcher: Client) -> Vec<String> {
    let heard = net.heard(watcher);
    let event = |event: &String| event.splitn(4, ',').nth(3).unwrap().strip_suffix(']').unwrap().to_owned();
    heard.iter().map(event).collect()
}

// behaviour 132
#[test]
fn a_testament_is_checked_when_it_is_made() {
    let mut config = router::Config::new("realm1");
    config.meta = Meta::Own;
    config.publisher_disclosure = Disclosure::Never;
    let mut net = Net::with(config);
    let one = raw(&mut net);
    for (request, (rest, expected)) in [
        (r#",["com.a"]"#, ""),
        (r#",["com.a",[1],{"a":1},"surplus"],{"unknown":1}"#, ""),
        (r#",["com.a",null,null],{"publish_options":null,"scope":null}"#, ""),
        (r#",["com.a"],{"scope":"detached","publish_options":{"acknowledge":true,"exclude_me":true}}"#, ""),
        ("", "invalid_argument"),
        (",[]", "invalid_argument"),
        (",[null]", "invalid_argument"),
        (",[1]", "invalid_argument"),
        (r#",["com.a",1]"#, "invalid_argument"),
        (r#",["com.a",[],[]]"#, "invalid_argument"),
        (r#",["com.a"],{"scope":"other"}"#, "invalid_argument"),
        (r#",["com.a"],{"scope":1}"#, "invalid_argument"),
        (r#",["com.a"],{"publish_options":[]}"#, "invalid_argument"),
        (r#",["com.a"],{"publish_options":{"eligible":"x"}}"#, "invalid_argument"),
        (r#",["com.a"],{"publish_options":{"retain":true,"_retain_ttl":"x"}}"#, "invalid_argument"),
        (r#",["com.a"],{"publish_options":{"ppt_scheme":"x_a"}}"#, "invalid_argument"),
        (r#",["com..a"]"#, "invalid_uri"),
        (r#",["wamp.a"]"#, "invalid_uri"),
        (r#",["com.a"],{"publish_options":{"disclose_me":true}}"#, "option_disallowed.disclose_me"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(call(&mut net, one, request as u64 + 1, ADD, rest), expected, "{rest}");
    }
    for (request, (rest, expected)) in [
        ("", ""),
        (r#",["detached"]"#, ""),
        (r#",[],{"scope":"x"}"#, "invalid_argument"),
        (",[1]", "invalid_argument"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(call(&mut net, one, request as u64 + 50, FLUSH, rest), expected, "{rest}");
    }
    assert_eq!(net.realm.sizes().testament_bytes, 0, "both scopes were flushed");
}

// behaviour 133
#[test]
fn one_scope_is_flushed_and_the_other_stays() {
    for (rest, left) in [
        ("", "detached"),
        (r#",[],{"scope":"destroyed"}"#, "detached"),
        (r#",["detached"]"#, "destroyed"),
        (r#",[],{"scope":"detached"}"#, "destroyed"),
    ] {
        let mut net = control();
        let (watcher, one) = (watcher(&mut net), raw(&mut net));
        call(&mut net, one, 1, ADD, r#",["com.a",["destroyed"]]"#);
        call(&mut net, one, 2, ADD, r#",["com.a",["detached"]],{"scope":"detached"}"#);
        assert_eq!(call(&mut net, one, 3, FLUSH, rest), "");
        net.cut(one);
        assert_eq!(told(&mut net, watcher)[0], format!(r#"{{"topic":"com.a"}},["{left}"]"#));
        assert_eq!(net.realm.sizes().testament_bytes, 0);
    }
}

// behaviour 134
#[test]
fn testaments_are_published_at_each_end_of_their_session() {
    for end in ["cut", "goodbye", "abort", "violation", "kill", "close"] {
        let mut net = control();
        let (watcher, one, other) = (watcher(&mut net), raw(&mut net), raw(&mut net));
        net.say(one, r#"[32,1,{},"com.a"]"#);
        net.say(watcher, r#"[32,3,{},"wamp.subscription.on_unsubscribe"]"#);
        net.received(watcher);
        net.received(one);
        call(&mut net, one, 2, ADD, r#",["com.a",[1]]"#);
        call(&mut net, one, 3, ADD, r#",["com.a",[2]],{"scope":"detached"}"#);
        call(&mut net, one, 4, ADD, r#",["com.a",[],{"n":3}]"#);
        let session = id(&net, one);
        let now = net.now;
        match end {
            "cut" => net.cut(one),
            "goodbye" => net.say(one, r#"[6,{},"wamp.close.close_realm"]"#),
            "abort" => net.say(one, r#"[3,{},"wamp.error.x"]"#),
            "violation" => net.say(one, r#"[1,"realm1",{"roles":{"caller":{}}}]"#),
            "kill" => {
                call(&mut net, other, 1, "wamp.session.kill", &format!(",[{session}]"));
            }
            _ => {
                let key = net.key(one);
                net.realm.close(now, key, "com.a".into(), "because");
                net.run();
            }
        }
        let told = told(&mut net, watcher);
        let expected = [
            format!("{{}},[{session},3]"),
            r#"{"topic":"com.a"},[2]"#.to_owned(),
            r#"{"topic":"com.a"},[1]"#.to_owned(),
            r#"{"topic":"com.a"},[],{"n":3}"#.to_owned(),
        ];
        assert_eq!(told[..4], expected, "{end}");
        assert!(told[4].starts_with(&format!("{{}},[{session},\"anonymous-")), "{end}: on_leave comes last");
        assert_eq!(net.realm.sizes().testament_bytes, 0);
    }
}

// behaviour 134, 177
#[test]
fn the_end_of_all_sessions_publishes_no_testaments() {
    let mut net = control();
    let (watcher, one, other) = (watcher(&mut net), raw(&mut net), raw(&mut net));
    for client in [one, other] {
        call(&mut net, client, 1, ADD, r#",["com.a",[1]]"#);
    }
    assert_eq!(call(&mut net, watcher, 3, "wamp.session.kill_all", ""), "[2]");
    assert_eq!(net.heard(watcher), [""; 0]);
    assert_eq!(net.realm.sizes().testament_bytes, 0);

    let last = raw(&mut net);
    call(&mut net, last, 1, ADD, r#",["com.a",[1]]"#);
    let now = net.now;
    net.realm.shut_down(now);
    net.run();
    assert_eq!(net.heard(watcher).len(), 1, "GOODBYE only");
    assert_eq!(net.realm.sizes().testament_bytes, 0);
}

// behaviour 135
#[test]
fn a_testament_has_the_identity_the_lists_and_the_options_of_its_session() {
    let mut net = control();
    let (watcher, other) = (watcher(&mut net), watcher(&mut net));
    let one = raw(&mut net);
    let (session, eligible) = (id(&net, one), id(&net, other));
    let options = format!(
        r#"{{"publish_options":{{"disclose_me":true,"eligible":[{eligible}],"retain":true,"_traceparent":"x"}}}}"#
    );
    assert_eq!(call(&mut net, one, 1, ADD, &format!(r#",["com.a",[1]],{options}"#)), "");
    net.cut(one);
    assert!(told(&mut net, watcher)[0].starts_with(&format!("{{}},[{session},")), "on_leave only");
    let event = &told(&mut net, other)[0];
    for part in [format!(r#""publisher":{session}"#), r#""publisher_authrole":"anonymous""#.to_owned()] {
        assert!(event.contains(&part), "{event}");
    }
    assert!(event.contains(r#""_traceparent":"x""#) && !event.contains("retained"), "{event}");
    net.say(other, r#"[32,9,{"get_retained":true},"com.a"]"#);
    assert!(net.heard(other)[1].contains(r#""retained":true"#));
    net.say(watcher, r#"[32,9,{"get_retained":true},"com.a"]"#);
    assert_eq!(net.heard(watcher).len(), 1, "it was not for this one");
}

// behaviour 136
#[test]
fn the_payload_of_a_testament_stays_as_its_session_wrote_it() {
    let mut net = control();
    let ppt = Features::none().with(Feature::PayloadPassthruMode);
    let packed = net.raw(Serializer::MsgPack, all_roles().with(Role::Publisher, ppt));
    let watcher = watcher(&mut net);
    // The text that begins with U+0000 is binary in JSON.
    let rest = r#"[48,1,{},"wamp.session.add_testament",["com.a",["\u0000AQID",1.0],{"k":null}],{"publish_options":{"ppt_scheme":"x_a"}}]"#;
    net.say(packed, rest);
    assert_eq!(net.received(packed).iter().map(json).collect::<Vec<_>>(), ["[50,1,{}]"]);
    net.cut(packed);
    let event = &told(&mut net, watcher)[0];
    assert_eq!(event, r#"{"topic":"com.a","ppt_scheme":"x_a"},["\u0000AQID",1.0],{"k":null}"#);
}

// behaviour 132
#[test]
fn testaments_are_bounded_for_a_session_and_for_all() {
    let mut config = router::Config::new("realm1");
    (config.testaments.count, config.testaments.bytes, config.testaments.all_bytes) = (3, 2_000, 3_000);
    let mut net = Net::with(config);
    let (one, two) = (raw(&mut net), raw(&mut net));
    let add = |net: &mut Net, client, request, len: usize| {
        call(net, client, request, ADD, &format!(r#",["com.a",["{}"]]"#, "x".repeat(len)))
    };
    for request in 1..=3 {
        assert_eq!(add(&mut net, one, request, 10), "");
    }
    assert_eq!(add(&mut net, one, 4, 10), "unavailable", "the fourth");
    assert_eq!(call(&mut net, one, 5, FLUSH, ""), "");
    assert_eq!(add(&mut net, one, 6, 1_500), "");
    assert_eq!(add(&mut net, one, 7, 300), "unavailable", "more than 2,000 bytes");
    assert_eq!(add(&mut net, two, 1, 1_500), "unavailable", "more than 3,000 bytes of all");
    assert_eq!(add(&mut net, two, 2, 500), "");
    // A short name takes more memory than its encoding.
    let names = vec![r#""""#; 100].join(",");
    let lists = format!(r#",["com.a"],{{"publish_options":{{"eligible_authid":[{names}]}}}}"#);
    assert_eq!(call(&mut net, two, 3, ADD, &lists), "unavailable", "a list");
    let held = net.realm.sizes().testament_bytes;
    assert!((2_000..3_000).contains(&held), "{held}");
    net.cut(one);
    net.cut(two);
    assert_eq!(net.realm.sizes().testament_bytes, 0);
}

/// Many testaments are published in portions, and others are served in between.
#[test]
fn testaments_are_published_in_portions() {
    let mut net = control();
    let (watcher, one) = (watcher(&mut net), raw(&mut net));
    for request in 1..=64 {
        assert_eq!(call(&mut net, one, request, ADD, r#",["com.a",[1]]"#), "");
    }
    net.drains = false;
    net.cut(one);
    let first = net.heard(watcher).len();
    assert_eq!(first, 8);
    while net.portion() {}
    assert_eq!(net.heard(watcher).len(), 64 + 1 - first);
}
