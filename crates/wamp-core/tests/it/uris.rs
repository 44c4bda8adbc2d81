//! The size of URIs, in every message that has one.

use std::time::Duration;

use wamp_core::Time;
use wamp_core::router::{Accept, AcceptEvent, Config};
use wamp_proto::{Limits, Message, Serializer};

use crate::net::{Net, all_roles, bytes};

/// A URI of this many bytes and components, all of one letter.
fn sized(bytes: usize, components: usize) -> String {
    let dots = ".x".repeat(components - 1);
    "x".repeat(bytes - dots.len()) + &dots
}

/// Requests with a URI, the code of their ERROR, and whether that URI may be a pattern.
const REQUESTS: [(&str, u64); 6] = [
    (r#"[64,1,{},"URI"]"#, 64),
    (r#"[64,1,{"match":"prefix"},"URI"]"#, 64),
    (r#"[64,1,{"match":"wildcard"},"URI"]"#, 64),
    (r#"[32,1,{},"URI"]"#, 32),
    (r#"[48,1,{},"URI"]"#, 48),
    (r#"[16,1,{"acknowledge":true},"URI"]"#, 16),
];

#[test]
fn a_request_with_a_uri_of_more_than_1024_bytes_or_64_components_is_refused() {
    for (request, kind) in REQUESTS {
        for serializer in Serializer::ALL {
            for (uri, fits) in [
                (sized(1024, 64), true),
                (sized(1025, 1), false),
                (sized(200, 65), false),
                ("\u{200b}".repeat(1 << 20), false),
                ("a.".repeat(1 << 20) + "a", false),
            ] {
                let mut net = Net::new();
                let client = net.raw(*serializer, all_roles());
                net.say(client, &request.replace("URI", &uri));
                let heard = net.heard(client);
                let refused = format!(r#"[8,{kind},1,{{}},"wamp.error.invalid_uri",[""#);
                assert_eq!(heard.len(), 1, "{request} {serializer}");
                assert_eq!(heard[0].starts_with(&refused), !fits, "{request} {serializer}: {}", heard[0]);
                assert!(fits || heard[0].contains("at most") && heard[0].len() < 512, "{}", heard[0]);
            }
        }
    }
}

#[test]
fn the_size_of_uris_is_a_choice_of_the_realm() {
    let mut config = Config::new("realm1");
    (config.limits.uri.bytes, config.limits.uri.components) = (10_000, 100);
    let mut net = Net::with(config);
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, &format!(r#"[64,1,{{}},"{}"]"#, sized(10_000, 100)));
    net.say(client, &format!(r#"[48,2,{{}},"{}"]"#, sized(10_000, 100)));
    let heard = net.heard(client);
    assert_eq!(heard, ["[65,1,1]", "[68,1,1,{}]"]);
    net.say(client, &format!(r#"[64,3,{{"match":"wildcard"}},"{}"]"#, ".".repeat(64)));
    assert!(net.heard(client)[0].contains("a wildcard pattern may have at most 64 components"));
    net.say(client, &format!(r#"[64,4,{{"match":"wildcard"}},"{}"]"#, ".".repeat(63)));
    assert_eq!(net.heard(client), ["[65,4,2]"]);
}

#[test]
fn an_unacknowledged_publication_to_a_long_uri_is_dropped() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, &format!(r#"[16,1,{{}},"{}"]"#, sized(1025, 1)));
    assert!(net.heard(client).is_empty());
    net.say(client, r#"[48,2,{},"com.myapp.nothing"]"#);
    assert!(net.heard(client)[0].contains("no_such_procedure"), "the session goes on");
}

#[test]
fn an_error_quotes_the_beginning_of_a_uri() {
    let mut net = Net::new();
    let (callee, other) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    for uri in ["x".repeat(1000), "\u{feff}".repeat(300), "\u{e9}".repeat(500)] {
        let requests = [
            format!(r#"[64,1,{{}},"wamp.{uri}"]"#),
            format!(r#"[48,1,{{}},"{uri}"]"#),
            format!(r#"[16,1,{{"acknowledge":true}},"wamp.{uri}"]"#),
        ];
        for request in requests {
            let client = net.raw(Serializer::Json, all_roles());
            net.say(client, &request);
            let heard = net.heard(client);
            assert!(heard[0].starts_with("[8,") && heard[0].contains('…'), "{}", heard[0]);
            assert!(heard[0].len() < 400, "{}", heard[0].len());
        }
    }
    let taken = sized(1000, 3);
    net.say(callee, &format!(r#"[64,1,{{}},"{taken}"]"#));
    net.say(other, &format!(r#"[64,1,{{}},"{taken}"]"#));
    assert!(net.heard(other)[0].contains("… is registered already") || net.heard(callee).len() == 1);
}

#[test]
fn a_hello_for_a_realm_with_a_long_name_is_refused() {
    for (realm, fits) in [(sized(1024, 64), true), (sized(1025, 1), false), (sized(200, 65), false)] {
        let mut accept = Accept::new(Time::ORIGIN, Duration::from_secs(10));
        let hello = format!(r#"[1,"{realm}",{{"roles":{{"caller":{{}}}}}}]"#);
        let hello = Message::decode(Serializer::Json, &bytes(&hello), &Limits::default()).unwrap();
        accept.handle_message(Time::ORIGIN, hello);
        match accept.poll_event() {
            Some(AcceptEvent::Hello(_)) => assert!(fits),
            event => {
                assert!(!fits && matches!(event, Some(AcceptEvent::Closed)));
                let Some(Message::Abort(abort)) = accept.poll_transmit() else { panic!("no ABORT") };
                assert_eq!(abort.reason, wamp_proto::uri::INVALID_URI);
            }
        }
    }
}
