//! From the first message to WELCOME, and from GOODBYE to the end.

use std::time::Duration;

use wamp_core::Time;
use wamp_core::router::{Accept, AcceptEvent, Closing, Config, Event, Join, Realm};
use wamp_core::session::{self, Closed, Session};
use wamp_proto::message::HelloDetails;
use wamp_proto::{Feature, Limits, Message, Role, Serializer, uri};

use crate::net::{Net, all_roles, bytes, json};

fn message(json: &str) -> Message {
    Message::decode(Serializer::Json, &bytes(json), &Limits::default()).unwrap()
}

fn greet(json: &str) -> (Option<AcceptEvent>, Option<Message>) {
    let mut accept = Accept::new(Time::ORIGIN, Duration::from_secs(10));
    accept.handle_message(Time::ORIGIN, message(json));
    (accept.poll_event(), accept.poll_transmit())
}

#[test]
fn hello_asks_for_a_realm() {
    let (event, transmit) = greet(r#"[1,"realm1",{"roles":{"caller":{}}}]"#);
    let Some(AcceptEvent::Hello(hello)) = event else { panic!("{event:?}") };
    assert_eq!(hello.realm, "realm1");
    assert_eq!(transmit, None);
}

#[test]
fn anything_else_before_hello_is_a_violation_that_says_so() {
    for (first, name) in [
        (r#"[6,{},"wamp.close.close_realm"]"#, "GOODBYE"),
        (r#"[48,1,{},"com.myapp.longop"]"#, "CALL"),
        (r#"[8,48,1,{},"wamp.error.canceled"]"#, "ERROR"),
        (r#"[5,"signature",{}]"#, "AUTHENTICATE"),
    ] {
        let (event, transmit) = greet(first);
        assert!(matches!(event, Some(AcceptEvent::Closed)));
        let expected = format!(r#"[3,{{"message":"{name} before HELLO"}},"wamp.error.protocol_violation"]"#);
        assert_eq!(json(&transmit.unwrap()), expected);
    }
}

#[test]
fn bytes_that_are_no_message_and_silence_are_answered_too() {
    let mut accept = Accept::new(Time::ORIGIN, Duration::from_secs(10));
    accept.handle_garbage(Time::ORIGIN, "expected list, found string");
    assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)));
    assert!(json(&accept.poll_transmit().unwrap()).contains("expected list, found string"));

    let mut accept = Accept::new(Time::ORIGIN, Duration::from_secs(10));
    let at = accept.poll_timeout().unwrap();
    assert_eq!(at, Time::after(Duration::from_secs(10)));
    accept.handle_timeout(Time::after(Duration::from_secs(9)));
    assert!(accept.poll_event().is_none());
    accept.handle_timeout(at);
    assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)));
    assert!(matches!(accept.poll_transmit(), Some(Message::Abort(_))));
    assert_eq!(accept.poll_timeout(), None);
}

#[test]
fn after_goodbye_all_is_ignored_until_hello_or_the_end() {
    const MESSAGES: [&str; 8] = [
        "[70,1,{},[1]]",
        r#"[8,68,1,{},"com.myapp.error"]"#,
        r#"[6,{},"wamp.close.goodbye_and_out"]"#,
        r#"[48,3,{},"com.myapp.longop"]"#,
        r#"[16,4,{},"com.myapp.topic"]"#,
        "[49,1,{}]",
        "[337,1]",
        "[256,1,{},100]",
    ];
    let wait = Duration::from_secs(10);
    let late = Time::after(wait);
    for said in MESSAGES {
        let mut accept = Accept::again(Time::ORIGIN, wait);
        accept.handle_message(Time::ORIGIN, message(said));
        accept.handle_garbage(Time::ORIGIN, "expected list, found string");
        assert!(accept.poll_event().is_none() && accept.poll_transmit().is_none(), "{said}");
        accept.handle_message(Time::ORIGIN, message(r#"[1,"realm1",{"roles":{"caller":{}}}]"#));
        assert!(matches!(accept.poll_event(), Some(AcceptEvent::Hello(_))), "{said}");
        // The router does not listen for ever to a peer that goes on like this.
        for garbage in [false, true] {
            let mut accept = Accept::again(Time::ORIGIN, wait);
            match garbage {
                false => accept.handle_message(late, message(said)),
                true => accept.handle_garbage(late, "expected list, found string"),
            }
            assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)), "{said}");
            assert!(accept.poll_transmit().is_none(), "{said}");
        }
    }
    let mut accept = Accept::again(Time::ORIGIN, wait);
    accept.handle_timeout(late);
    assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)) && accept.poll_transmit().is_none());
    let mut accept = Accept::again(Time::ORIGIN, wait);
    accept.handle_message(Time::ORIGIN, message(r#"[3,{},"wamp.error.canceled"]"#));
    assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)) && accept.poll_transmit().is_none());
}

fn join(details: &str) -> Result<(), (wamp_proto::Uri, String)> {
    let Message::Hello(hello) = message(&format!(r#"[1,"realm1",{details}]"#)) else {
        panic!("not a HELLO");
    };
    let details = hello.details;
    let mut realm = Realm::new(Config::new("realm1"), 1);
    realm
        .join(
            Time::ORIGIN,
            Join {
                details,
                serializer: Serializer::Json,
                max_message: 1 << 20,
                transport: Default::default(),
            },
        )
        .map(|_| ())
}

// behaviour 15, behaviour 12
#[test]
fn roles_without_usable_features_are_roles() {
    for roles in [
        r#"{"callee":{}}"#,
        r#"{"callee":{"features":null}}"#,
        r#"{"callee":{"features":{"call_canceling":"yes","progressive_call_results":1}}}"#,
        r#"{"callee":{"features":[]}}"#,
        r#"{"callee":{"features":{"progressive_calls":true}},"supervisor":{}}"#,
    ] {
        let hello = message(&format!(r#"[1,"realm1",{{"roles":{roles}}}]"#));
        let Message::Hello(read) = &hello else { panic!("not a HELLO") };
        let details = &read.details;
        assert!(details.roles.get(Role::Callee).is_some(), "{roles}");
        assert!(!details.roles.has(Role::Callee, Feature::CallCanceling), "{roles}");
        assert!(!details.roles.has(Role::Callee, Feature::ProgressiveCallResults), "{roles}");
        assert_eq!(join(&format!(r#"{{"roles":{roles}}}"#)), Ok(()), "{roles}");
    }
}

// behaviour 10
#[test]
fn canceling_is_read_in_both_spellings_and_written_in_one() {
    let hello = message(r#"[1,"realm1",{"roles":{"callee":{"features":{"call_cancelling":true}}}}]"#);
    let Message::Hello(read) = &hello else { panic!("not a HELLO") };
    assert!(read.details.roles.has(Role::Callee, Feature::CallCanceling));
    assert!(json(&hello).contains(r#""call_canceling":true"#));
}

#[test]
fn a_client_without_roles_or_without_a_common_method_is_refused() {
    assert_eq!(join("{}").unwrap_err().0, uri::NO_SUCH_ROLE);
    assert_eq!(join(r#"{"roles":{"dealers":{}}}"#).unwrap_err().0, uri::NO_SUCH_ROLE);
    let refused = join(r#"{"roles":{"caller":{}},"authmethods":["ticket","wampcra"]}"#);
    assert_eq!(refused.unwrap_err().0, uri::NO_MATCHING_AUTH_METHOD);
    assert_eq!(join(r#"{"roles":{"caller":{}},"authmethods":["ticket","anonymous"]}"#), Ok(()));
    assert_eq!(join(r#"{"roles":{"caller":{}},"authmethods":[]}"#), Ok(()));
}

#[test]
fn welcome_announces_exactly_the_built_features() {
    let mut net = Net::new();
    let client = net.join(Serializer::Json);
    assert!(net.session(client).is_open());
    let mut realm = Realm::new(Config::new("realm1"), 1);
    let details = HelloDetails { roles: all_roles(), ..HelloDetails::default() };
    let join =
        Join { details, serializer: Serializer::Json, max_message: 1 << 20, transport: Default::default() };
    realm.join(Time::ORIGIN, join).unwrap();
    let (_, welcome) = realm.poll_transmit().unwrap();
    let welcome = json(&welcome);
    let roles = r#""roles":{"dealer":{"features":{"progressive_call_results":true,"progressive_call_invocations":true,"call_canceling":true,"call_timeout":true,"caller_identification":true,"pattern_based_registration":true,"shared_registration":true,"registration_revocation":true,"call_reroute":true,"payload_passthru_mode":true,"payload_transparency":true,"session_meta_api":true,"registration_meta_api":true,"testament_meta_api":true}},"broker":{"features":{"payload_passthru_mode":true,"payload_transparency":true,"publisher_identification":true,"publisher_exclusion":true,"subscriber_blackwhite_listing":true,"pattern_based_subscription":true,"subscription_revocation":true,"event_retention":true,"session_meta_api":true,"subscription_meta_api":true}}}"#;
    assert!(welcome.contains(roles), "{welcome}");
    for part in [r#""realm":"realm1""#, r#""authrole":"anonymous""#, r#""authmethod":"anonymous""#] {
        assert!(welcome.contains(part), "{welcome}");
    }
}

// behaviour 7
#[test]
fn session_ids_are_spread_over_the_whole_range() {
    let mut realm = Realm::new(Config::new("realm1"), 3);
    let mut above_half = 0;
    for _ in 0..1000 {
        let details = HelloDetails { roles: all_roles(), ..HelloDetails::default() };
        let join = Join {
            details,
            serializer: Serializer::Json,
            max_message: 1 << 20,
            transport: Default::default(),
        };
        let id = realm.join(Time::ORIGIN, join).unwrap().id().get();
        assert!((1..=wamp_proto::MAX_ID).contains(&id));
        above_half += usize::from(id > wamp_proto::MAX_ID / 2);
    }
    assert!((400..600).contains(&above_half), "{above_half}");
}

#[test]
fn our_session_gives_up_a_router_that_does_not_answer() {
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    assert!(matches!(session.poll_transmit(), Some(Message::Hello(_))));
    let at = session.poll_timeout().unwrap();
    session.handle_timeout(at);
    assert_eq!(session.poll_event(), Some(session::Event::Closed(Closed::JoinTimeout)));
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn our_session_tells_why_it_was_refused() {
    for (answer, closed) in [
        (
            r#"[3,{"message":"there is no realm \"realm1\""},"wamp.error.no_such_realm"]"#,
            Closed::Aborted {
                reason: uri::NO_SUCH_REALM,
                message: Some("there is no realm \"realm1\"".into()),
            },
        ),
        (r#"[33,1,2]"#, Closed::Violation("SUBSCRIBED before WELCOME".into())),
    ] {
        let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
        session.handle_message(Time::ORIGIN, message(answer));
        assert_eq!(session.poll_event(), Some(session::Event::Closed(closed)));
        assert!(session.is_closed());
    }
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    session.poll_transmit();
    session.handle_message(Time::ORIGIN, message(r#"[4,"ticket",{}]"#));
    assert!(matches!(session.poll_transmit(), Some(Message::Abort(_))));
    let event = session.poll_event();
    assert!(matches!(&event, Some(session::Event::Closed(Closed::NotAnswered(_)))), "{event:?}");
}

#[test]
fn a_leaving_session_is_answered_and_nothing_is_left() {
    let mut net = Net::new();
    let client = net.join(Serializer::Cbor);
    let now = net.now;
    net.session(client).leave(now, uri::CLOSE_REALM).unwrap();
    net.run();
    assert_eq!(net.events(client), [session::Event::Closed(Closed::Left)]);
    let [Event::Closed { closing, .. }] = net.closed.as_slice() else { panic!("{:?}", net.closed) };
    assert_eq!(*closing, Closing::Goodbye);
    assert_eq!(net.realm.sizes().sessions, 0);
}

#[test]
fn a_shutdown_says_goodbye_to_all_after_it_has_ended_their_calls() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    net.realm.shut_down(net.now);
    net.run();
    let goodbye = r#"[6,{"message":"the router is shutting down"},"wamp.close.system_shutdown"]"#;
    let heard = net.heard(caller);
    assert!(heard[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{heard:?}");
    assert_eq!(heard[1..], [goodbye]);
    assert_eq!(net.heard(callee), [goodbye]);

    // One session answers, the other does not.
    net.say(callee, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
    assert_eq!(net.realm.sizes().sessions, 1);
    net.sleep(Duration::from_secs(5));
    assert_eq!((net.realm.sizes().sessions, net.realm.sizes().deadlines), (0, 0));
    assert_eq!(net.closed.len(), 2);

    let details = HelloDetails { roles: all_roles(), ..HelloDetails::default() };
    let join =
        Join { details, serializer: Serializer::Json, max_message: 1 << 20, transport: Default::default() };
    assert_eq!(net.realm.join(net.now, join).unwrap_err().0, uri::SYSTEM_SHUTDOWN);
}

// behaviour 68
#[test]
fn a_shutdown_may_be_spread_over_some_time() {
    let mut net = Net::new();
    let clients: Vec<_> = (0..10).map(|_| net.raw(Serializer::Json, all_roles())).collect();
    let (first, last) = (clients[0], clients[9]);
    for callee in [first, last] {
        net.say(callee, r#"[64,1,{"invoke":"first"},"com.myapp.longop"]"#);
        net.heard(callee);
    }
    let second = Duration::from_secs(1);
    net.realm.shut_down_over(net.now, 10 * second);
    net.realm.shut_down_over(net.now, 20 * second);
    net.run();
    let over = |net: &mut Net| {
        let heard: Vec<_> = clients.iter().map(|client| net.heard(*client).concat()).collect();
        heard.iter().filter(|heard| heard.contains("system_shutdown")).count()
    };
    let details = HelloDetails { roles: all_roles(), ..HelloDetails::default() };
    let (serializer, max_message, transport) = (Serializer::Json, 1 << 20, Default::default());
    let join = Join { details, serializer, max_message, transport };
    assert_eq!(net.realm.join(net.now, join).unwrap_err().0, uri::SYSTEM_SHUTDOWN);
    for second in 1..10 {
        net.sleep(Duration::from_millis(990));
        assert_eq!(over(&mut net), 0, "{second}");
        net.sleep(Duration::from_millis(10));
        assert_eq!(over(&mut net), 1, "{second}");
    }
    // The others have gone on: one of them is left, and it is not the one whose turn was first.
    let left: Vec<_> = clients.iter().copied().filter(|client| net.realm.has(net.key(*client))).collect();
    let open = left.iter().filter(|client| {
        net.say(**client, r#"[48,2,{},"com.myapp.longop"]"#);
        !net.heard(**client).is_empty()
    });
    assert_eq!(open.count(), 1);
    net.sleep(second);
    assert_eq!(over(&mut net), 1);
    assert!(!net.realm.has_ended(), "as long as answers may come");
    net.sleep(10 * second);
    assert_eq!((net.realm.has_ended(), net.realm.sizes().deadlines), (true, 0));

    // Many sessions at once, and an end before its time.
    let mut net = Net::new();
    let clients: Vec<_> = (0..1_000).map(|_| net.raw(Serializer::Json, all_roles())).collect();
    net.realm.shut_down_over(net.now, second);
    let over = |net: &mut Net| clients.iter().filter(|client| !net.heard(**client).is_empty()).count();
    for _ in 0..50 {
        net.sleep(Duration::from_millis(10));
        assert!((9..=11).contains(&over(&mut net)));
    }
    net.realm.shut_down_over(net.now, Duration::ZERO);
    net.run();
    assert!((490..=510).contains(&over(&mut net)));
}

#[test]
fn our_session_answers_the_routers_goodbye() {
    let mut net = Net::new();
    let client = net.join(Serializer::MsgPack);
    net.realm.shut_down(net.now);
    net.run();
    let events = net.events(client);
    let [session::Event::Closed(Closed::ByRouter { reason, .. })] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(*reason, uri::SYSTEM_SHUTDOWN);
    assert_eq!((net.realm.sizes().sessions, net.realm.sizes().deadlines), (0, 0));
}

// behaviour 282
#[test]
fn our_client_announces_exactly_what_it_does() {
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    let hello = json(&session.poll_transmit().unwrap());
    let hello: serde_json::Value = serde_json::from_str(&hello).unwrap();
    let opaque = ["payload_passthru_mode", "payload_transparency"];
    let calls = [
        "progressive_call_results",
        "progressive_call_invocations",
        "call_canceling",
        "call_timeout",
        "caller_identification",
    ];
    let callee = [
        "pattern_based_registration",
        "shared_registration",
        "registration_revocation",
        "call_reroute",
        "call_trustlevels",
    ];
    let publisher = ["publisher_exclusion", "publisher_identification", "subscriber_blackwhite_listing"];
    let subscriber = [
        "pattern_based_subscription",
        "publisher_identification",
        "publication_trustlevels",
        "subscription_revocation",
    ];
    let dict = |names: &[&[&str]]| {
        let names = names.iter().copied().flatten().map(|name| ((*name).to_owned(), true.into()));
        serde_json::json!({"features": names.collect::<serde_json::Map<_, _>>()})
    };
    let expected = serde_json::json!({
        "caller": dict(&[&calls, &opaque, &["_bare_results"]]),
        "callee": dict(&[&calls, &opaque, &callee]),
        "publisher": dict(&[&publisher, &opaque]),
        "subscriber": dict(&[&subscriber, &opaque]),
    });
    assert_eq!(hello[2]["roles"], expected);
}

// behaviour 137
#[test]
fn an_acknowledged_event_is_no_violation_and_has_no_answer() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, "[337,1]");
    assert!(net.heard(client).is_empty());
    assert_eq!(net.realm.stats().violations, 0);
}

// behaviour 138
#[test]
fn sketches_of_the_specification_are_not_there() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[32,1,{"nkey":"a"},"com.a"]"#);
    assert!(net.heard(client)[0].starts_with("[33,1,"), "the option is ignored");
    net.say(client, r#"[16,2,{"rkey":"b","acknowledge":true,"exclude_me":false},"com.a"]"#);
    let heard = net.heard(client);
    assert!(heard.len() == 2 && heard[1].ends_with(",{}]"), "{heard:?}");
    for (request, procedure) in
        (3..).zip(["wamp.reflection.topic.list", "wamp.reflect.describe", "wamp.session.resume"])
    {
        net.say(client, &format!(r#"[48,{request},{{}},"{procedure}"]"#));
        assert!(net.heard(client)[0].contains("wamp.error.no_such_procedure"), "{procedure}");
    }
}
