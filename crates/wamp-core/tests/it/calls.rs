//! Registering and calling, and refusals.

use wamp_core::router::Config;
use wamp_proto::{Message, Serializer};

use crate::net::{Client, Net, all_roles};

fn refused(net: &mut Net, client: Client, said: &str, kind: u64, error: &str) {
    net.say(client, said);
    let heard = net.heard(client);
    assert_eq!(heard.len(), 1, "{said}: {heard:?}");
    let parts: Vec<&str> = heard[0].splitn(5, ',').collect();
    assert_eq!((parts[0], parts[1]), ("[8", kind.to_string().as_str()), "{said}: {heard:?}");
    assert!(parts[4].starts_with(&format!("\"{error}\"")), "{said}: {heard:?}");
    assert!(net.realm.has(net.key(client)), "the session lives");
}

#[test]
fn requests_that_are_refused_are_answered_with_the_reason() {
    let mut net = Net::new();
    let a = net.raw(Serializer::Json, all_roles());
    let b = net.raw(Serializer::Json, all_roles());
    net.say(a, r#"[64,1,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(a), ["[65,1,1]"]);
    refused(&mut net, b, r#"[64,1,{},"com.myapp.longop"]"#, 64, "wamp.error.procedure_already_exists");
    refused(&mut net, a, r#"[64,2,{},"com.myapp.longop"]"#, 64, "wamp.error.procedure_already_exists");
    refused(&mut net, b, r#"[64,2,{},"com..longop"]"#, 64, "wamp.error.invalid_uri");
    refused(&mut net, b, r#"[64,3,{},"wamp.longop"]"#, 64, "wamp.error.invalid_uri");
    refused(&mut net, b, r#"[64,4,{"match":"prefix"},"com..myapp"]"#, 64, "wamp.error.invalid_uri");
    refused(&mut net, b, r#"[64,5,{"invoke":1},"com.myapp.x"]"#, 64, "wamp.error.invalid_argument");
    refused(&mut net, b, r#"[64,6,{"match":"regex"},"com.myapp.x"]"#, 64, "wamp.error.invalid_argument");
    refused(&mut net, b, r#"[48,7,{},"com.myapp.nothing"]"#, 48, "wamp.error.no_such_procedure");
    refused(&mut net, b, r#"[48,8,{},"com.myapp.long op"]"#, 48, "wamp.error.invalid_uri");
    refused(&mut net, b, r#"[66,9,1]"#, 66, "wamp.error.no_such_registration");
}

#[test]
fn strict_uris_are_a_choice_of_the_realm() {
    let mut config = Config::new("realm1");
    config.uri_rules = wamp_proto::uri::UriRules::Strict;
    let mut net = Net::with(config);
    let client = net.raw(Serializer::Json, all_roles());
    refused(&mut net, client, r#"[64,1,{},"com.myApp.longop"]"#, 64, "wamp.error.invalid_uri");
    net.say(client, r#"[64,2,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(client), ["[65,2,1]"]);
}

// behaviour 43
#[test]
fn a_call_outlives_the_registration_it_came_by() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.say(callee, "[66,2,1]");
    assert_eq!(net.heard(callee)[2..], ["[67,2]"]);
    net.say(callee, r#"[70,1,{"progress":true},[1]]"#);
    net.say(callee, "[70,1,{},[2]]");
    assert_eq!(net.heard(caller), [r#"[50,1,{"progress":true},[1]]"#, "[50,1,{},[2]]"]);
    refused(&mut net, caller, r#"[48,2,{},"com.myapp.longop"]"#, 48, "wamp.error.no_such_procedure");
}

// behaviour 22
#[test]
fn a_callee_hears_registered_before_it_is_called_and_calls_in_their_order() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    let key = net.key(client);
    for said in [
        r#"[64,1,{},"com.myapp.a"]"#,
        r#"[64,2,{},"com.myapp.b"]"#,
        r#"[48,3,{},"com.myapp.b"]"#,
        r#"[48,4,{},"com.myapp.a"]"#,
    ] {
        let frame = crate::net::bytes(said);
        let message = wamp_proto::Message::decode(Serializer::Json, &frame, &Default::default()).unwrap();
        net.realm.handle_message(net.now, key, message);
    }
    net.run();
    assert_eq!(net.heard(client), ["[65,1,1]", "[65,2,2]", "[68,1,2,{}]", "[68,2,1,{}]"]);
}

// behaviour 47
#[test]
fn a_session_that_calls_itself_may_leave_meanwhile() {
    for goodbye in [true, false] {
        let mut net = Net::new();
        let client = net.raw(Serializer::Json, all_roles());
        net.say(client, r#"[64,1,{},"com.myapp.longop"]"#);
        net.say(client, r#"[48,2,{"receive_progress":true},"com.myapp.longop"]"#);
        net.say(client, r#"[70,1,{"progress":true},[1]]"#);
        assert_eq!(net.heard(client).last().unwrap(), r#"[50,2,{"progress":true},[1]]"#);
        if goodbye {
            net.say(client, r#"[6,{},"wamp.close.close_realm"]"#);
        } else {
            net.cut(client);
        }
        let sizes = net.realm.sizes();
        assert_eq!((sizes.sessions, sizes.calls, sizes.registrations, sizes.deadlines), (0, 0, 0, 0));
    }
}

#[test]
fn each_limit_is_reached_and_answered() {
    let mut config = Config::new("realm1");
    config.limits.calls = 3;
    config.limits.progressive_calls = 1;
    config.limits.invocations = 4;
    config.limits.invocations_from_one_caller = 3;
    config.limits.registrations = 1;
    config.limits.subscriptions = 1;
    let mut net = Net::with(config);
    let callee = net.raw(Serializer::Json, all_roles());
    let a = net.raw(Serializer::Json, all_roles());
    let b = net.raw(Serializer::Json, all_roles());
    const UNAVAILABLE: &str = "wamp.error.unavailable";
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    refused(&mut net, callee, r#"[64,2,{},"com.myapp.more"]"#, 64, UNAVAILABLE);
    net.say(callee, r#"[32,3,{},"com.myapp.topic"]"#);
    net.heard(callee);
    refused(&mut net, callee, r#"[32,4,{},"com.myapp.more"]"#, 32, UNAVAILABLE);
    net.say(a, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    refused(&mut net, a, r#"[48,2,{"receive_progress":true},"com.myapp.longop"]"#, 48, UNAVAILABLE);
    net.say(a, r#"[48,3,{},"com.myapp.longop"]"#);
    net.say(a, r#"[48,4,{},"com.myapp.longop"]"#);
    refused(&mut net, a, r#"[48,5,{},"com.myapp.longop"]"#, 48, UNAVAILABLE);
    net.say(b, r#"[48,1,{},"com.myapp.longop"]"#);
    refused(&mut net, b, r#"[48,2,{},"com.myapp.longop"]"#, 48, UNAVAILABLE);
    // An answered call makes room.
    net.say(callee, "[70,1,{}]");
    net.heard(a);
    net.say(a, r#"[48,6,{"receive_progress":true},"com.myapp.longop"]"#);
    assert!(net.heard(a).is_empty());
}

// behaviour 151
#[test]
fn keys_for_the_callee_come_with_its_invocation() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Cbor, all_roles());
    for (id, serializer) in (1..).zip(Serializer::ALL) {
        let callee = net.raw(*serializer, all_roles());
        net.say(callee, &format!(r#"[64,1,{{}},"com.p{id}"]"#));
        net.heard(callee);
        let options = r#"{"_traceparent":"00-ab","x":1,"_tracestate":["a",1],"_no":2}"#;
        net.say(caller, &format!(r#"[48,{id},{options},"com.p{id}",[1]]"#));
        let received = net.received(callee);
        let [Message::Invocation(invocation)] = received.as_slice() else { panic!("{received:?}") };
        let extra = &invocation.details.extra;
        assert_eq!(extra.keys(), ["_traceparent", "_tracestate"]);
        assert_eq!(extra.get::<String>("_traceparent").unwrap().unwrap(), "00-ab");
        assert_eq!(extra.get::<(String, u8)>("_tracestate").unwrap().unwrap(), ("a".to_owned(), 1));
    }
}

// behaviour 151
#[test]
fn of_a_call_in_chunks_only_the_first_invocation_has_keys_for_the_callee() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.upload"]"#);
    net.say(caller, r#"[48,1,{"progress":true,"_traceparent":"a"},"com.myapp.upload",[1]]"#);
    net.say(caller, r#"[48,1,{"_traceparent":"b"},"com.myapp.upload",[2]]"#);
    let first = r#"[68,1,1,{"progress":true,"_traceparent":"a"},[1]]"#;
    assert_eq!(net.heard(callee)[1..], [first, "[68,1,1,{},[2]]"]);
}
