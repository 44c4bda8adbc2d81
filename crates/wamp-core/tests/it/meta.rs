//! The meta API: access, the results of its procedures, and their errors.

use std::time::Duration;

use wamp_core::Time;
use wamp_core::router::{self, Join, Meta, Protocol, Transport};
use wamp_proto::message::{HelloDetails, InvocationPolicy, MatchPolicy};
use wamp_proto::{Message, Serializer};

use crate::net::{Client, Net, all_roles, basic_roles};

/// A realm whose sessions may do everything, on 2026-03-01.
pub(crate) fn control() -> Net {
    let mut config = router::Config::new("realm1");
    config.meta = Meta::Control;
    config.epoch = Duration::from_secs(1_772_323_200);
    Net::with(config)
}

pub(crate) fn raw(net: &mut Net) -> Client {
    net.raw(Serializer::Json, basic_roles())
}

pub(crate) fn id(net: &Net, client: Client) -> u64 {
    net.key(client).id().get()
}

/// Calls a procedure with these last elements of the CALL. Returns the answer without its head.
pub(crate) fn call(net: &mut Net, client: Client, request: u64, procedure: &str, rest: &str) -> String {
    net.say(client, &format!(r#"[48,{request},{{}},"{procedure}"{rest}]"#));
    let heard = net.heard(client);
    let [answer] = heard.as_slice() else { panic!("{procedure}{rest}: {heard:?}") };
    let result = format!("[50,{request},{{}}");
    match answer.strip_prefix(&result) {
        Some(rest) => rest.strip_suffix(']').unwrap().trim_start_matches(',').to_owned(),
        None => {
            let error = answer.strip_prefix(&format!("[8,48,{request},{{}},\"wamp.error.")).expect(answer);
            error.split('"').next().unwrap().to_owned()
        }
    }
}

// behaviour 170, 180
#[test]
fn sessions_are_counted_listed_and_shown() {
    let mut net = control();
    let (one, two) = (raw(&mut net), raw(&mut net));
    let (first, second) = (id(&net, one), id(&net, two));
    let both = format!("[[{first},{second}]]");
    for (request, (procedure, rest, expected)) in [
        ("count", "", "[2]"),
        ("count", ",[]", "[2]"),
        ("count", ",[null]", "[2]"),
        ("count", ",[[]]", "[0]"),
        ("count", r#",[["anonymous"]]"#, "[2]"),
        ("count", r#",[["admin","anonymous"]]"#, "[2]"),
        ("count", r#",[["admin"]]"#, "[0]"),
        ("count", r#",[null,"surplus"],{"unknown":1}"#, "[2]"),
        ("list", "", both.as_str()),
        ("list", ",[[]]", "[[]]"),
        ("list", r#",[["admin"]]"#, "[[]]"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = call(&mut net, one, request as u64 + 1, &format!("wamp.session.{procedure}"), rest);
        assert_eq!(answer, expected, "{procedure} {rest}");
    }
    let authid = "anonymous-";
    let details = call(&mut net, one, 90, "wamp.session.get", &format!(",[{second}]"));
    let expected = format!(r#"[{{"session":{second},"authid":"{authid}"#);
    assert!(details.starts_with(&expected), "{details}");
    let rest = r#","authrole":"anonymous","authmethod":"anonymous","authprovider":"static","transport":{"protocol":"memory","serializer":"json"}}]"#;
    assert!(details.ends_with(rest), "{details}");
    assert_eq!(call(&mut net, one, 91, "wamp.session.get", ",[1]"), "no_such_session");
    assert_eq!(call(&mut net, one, 92, "wamp.session.get", ",[0]"), "no_such_session");
}

// behaviour 172
#[test]
fn a_session_is_gone_when_its_end_begins() {
    let mut net = control();
    let (one, two) = (raw(&mut net), raw(&mut net));
    let (now, key, second) = (net.now, net.key(two), id(&net, two));
    net.realm.close(now, key, "wamp.close.normal".into(), "bye");
    net.run();
    assert!(net.realm.has(key), "its GOODBYE is not answered yet");
    assert_eq!(call(&mut net, one, 1, "wamp.session.get", &format!(",[{second}]")), "no_such_session");
    assert_eq!(call(&mut net, one, 2, "wamp.session.kill", &format!(",[{second}]")), "no_such_session");
    assert_eq!(call(&mut net, one, 3, "wamp.session.count", ""), "[1]");
}

// behaviour 173
#[test]
fn only_sessions_with_control_see_addresses() {
    for (meta, shown) in [(Meta::Read, false), (Meta::Control, true)] {
        let mut config = router::Config::new("realm1");
        config.meta = meta;
        let mut net = Net::with(config);
        let one = raw(&mut net);
        let peer = Some("192.0.2.7:1234".into());
        let transport = Transport { protocol: Protocol::WebSocket, peer, ..Transport::default() };
        let details = HelloDetails { roles: basic_roles(), ..HelloDetails::default() };
        let join = Join { details, serializer: Serializer::Cbor, max_message: 1 << 20, transport };
        let key = net.realm.join(Time::ORIGIN, join).unwrap();
        while net.realm.poll_transmit().is_some() {}
        let details = call(&mut net, one, 1, "wamp.session.get", &format!(",[{}]", key.id()));
        assert!(details.contains(r#""protocol":"websocket","serializer":"cbor""#), "{details}");
        assert_eq!(details.contains(r#""peer":"192.0.2.7:1234""#), shown, "{details}");
    }
}

// behaviour 170, 181, 182, 183
#[test]
fn registrations_are_listed_found_and_shown() {
    let mut net = control();
    let one = raw(&mut net);
    let nothing = r#"[{"exact":[],"prefix":[],"wildcard":[]}]"#;
    assert_eq!(call(&mut net, one, 1, "wamp.registration.list", ""), nothing);
    net.now = net.now + Duration::from_millis(1500);
    for (request, options, procedure) in [
        (2, "{}", "com.a"),
        (3, r#"{"match":"prefix"}"#, "com."),
        (4, r#"{"match":"wildcard","invoke":"roundrobin"}"#, "com..b"),
        (5, r#"{"match":"prefix"}"#, "com.a"),
    ] {
        net.say(one, &format!(r#"[64,{request},{options},"{procedure}"]"#));
    }
    let two = raw(&mut net);
    net.say(two, r#"[64,1,{"match":"wildcard","invoke":"roundrobin"},"com..b"]"#);
    let _ = (net.heard(one), net.heard(two));
    let (first, second) = (id(&net, one), id(&net, two));
    let get = concat!(
        r#"[{"id":3,"created":"2026-03-01T00:00:01.500Z","uri":"com..b","match":"wildcard","#,
        r#""invoke":"roundrobin"}]"#
    );
    let callees = format!("[[{first},{second}]]");
    let of_two = format!(",[{second}]");
    for (request, (procedure, rest, expected)) in [
        ("list", "", r#"[{"exact":[1],"prefix":[2,4],"wildcard":[3]}]"#),
        ("list", &of_two, r#"[{"exact":[],"prefix":[],"wildcard":[3]}]"#),
        ("list", ",[17]", "no_such_session"),
        ("lookup", r#",["com.a"]"#, "[1]"),
        ("lookup", r#",["com.a",null]"#, "[1]"),
        ("lookup", r#",["com.a",{"match":null}]"#, "[1]"),
        ("lookup", r#",["com.a",{"match":"exact"}]"#, "[1]"),
        ("lookup", r#",["com.a",{"match":"prefix"}]"#, "[4]"),
        ("lookup", r#",["com..b",{"match":"wildcard","other":1}]"#, "[3]"),
        ("lookup", r#",["com.a",{"match":"wildcard"}]"#, "[null]"),
        ("lookup", r#",["com.none"]"#, "[null]"),
        ("lookup", r#",["com..b"]"#, "invalid_uri"),
        ("lookup", r#",["com.a",{"match":"regex"}]"#, "invalid_argument"),
        ("lookup", r#",["wamp.session.count"]"#, "[null]"),
        ("match", r#",["com.a"]"#, "[1]"),
        ("match", r#",["com.a.b"]"#, "[4]"),
        ("match", r#",["com.x.b"]"#, "[2]"),
        ("match", r#",["org.x"]"#, "[null]"),
        ("match", r#",["wamp.session.count"]"#, "[null]"),
        ("match", r#",["com..b"]"#, "invalid_uri"),
        ("get", ",[3]", get),
        ("get", ",[9]", "no_such_registration"),
        ("list_callees", ",[3]", &callees),
        ("list_callees", ",[9]", "no_such_registration"),
        ("count_callees", ",[3]", "[2]"),
        ("count_callees", ",[1]", "[1]"),
        ("count_callees", ",[9]", "no_such_registration"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer =
            call(&mut net, one, request as u64 + 10, &format!("wamp.registration.{procedure}"), rest);
        assert_eq!(answer, expected, "{procedure} {rest}");
    }
}

// behaviour 181, 182, 183
#[test]
fn subscriptions_are_listed_found_and_shown() {
    let mut net = control();
    let (one, two) = (raw(&mut net), raw(&mut net));
    net.say(one, r#"[32,1,{},"com.a"]"#);
    net.say(two, r#"[32,1,{},"com.b"]"#);
    net.say(two, r#"[32,2,{},"com.a"]"#);
    let _ = (net.heard(one), net.heard(two));
    let (first, second) = (id(&net, one), id(&net, two));
    let of_one = format!(",[{first}]");
    let mut both = [first, second];
    both.sort_unstable();
    let get = r#"[{"id":1,"created":"2026-03-01T00:00:00.000Z","uri":"com.a","match":"exact"}]"#;
    for (request, (procedure, rest, expected)) in [
        ("list", "", r#"[{"exact":[1,2],"prefix":[],"wildcard":[]}]"#),
        ("list", &of_one, r#"[{"exact":[1],"prefix":[],"wildcard":[]}]"#),
        ("list", ",[17]", "no_such_session"),
        ("lookup", r#",["com.a"]"#, "[1]"),
        ("lookup", r#",["com.c"]"#, "[null]"),
        ("lookup", r#",["com.a",{"match":"prefix"}]"#, "[null]"),
        ("lookup", r#",["com.a",{"match":1}]"#, "invalid_argument"),
        ("lookup", r#",["com a"]"#, "invalid_uri"),
        ("match", r#",["com.b"]"#, "[[2]]"),
        ("match", r#",["com.c"]"#, "[null]"),
        ("get", ",[1]", get),
        ("get", ",[9]", "no_such_subscription"),
        ("count_subscribers", ",[1]", "[2]"),
        ("count_subscribers", ",[9]", "no_such_subscription"),
        ("list_subscribers", ",[9]", "no_such_subscription"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer =
            call(&mut net, one, request as u64 + 10, &format!("wamp.subscription.{procedure}"), rest);
        assert_eq!(answer, expected, "{procedure} {rest}");
    }
    let listed = call(&mut net, one, 90, "wamp.subscription.list_subscribers", ",[1]");
    let mut listed: Vec<u64> =
        listed.trim_matches(['[', ']']).split(',').map(|id| id.parse().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, both);
}

const READ: [&str; 14] = [
    "wamp.session.count",
    "wamp.session.list",
    "wamp.session.get",
    "wamp.registration.list",
    "wamp.registration.lookup",
    "wamp.registration.match",
    "wamp.registration.get",
    "wamp.registration.list_callees",
    "wamp.registration.count_callees",
    "wamp.subscription.list",
    "wamp.subscription.lookup",
    "wamp.subscription.match",
    "wamp.subscription.get",
    "wamp.subscription.list_subscribers",
];

const CONTROL: [&str; 6] = [
    "wamp.session.kill",
    "wamp.session.kill_by_authid",
    "wamp.session.kill_by_authrole",
    "wamp.session.kill_all",
    "wamp.registration.remove_callee",
    "wamp.subscription.remove_subscriber",
];

// behaviour 178, 179
#[test]
fn the_configuration_says_which_part_of_the_meta_api_there_is() {
    for meta in [Meta::Own, Meta::Read, Meta::Control] {
        let mut config = router::Config::new("realm1");
        config.meta = meta;
        let mut net = Net::with(config);
        let one = raw(&mut net);
        for (request, procedure) in READ.into_iter().chain(CONTROL).enumerate() {
            // No procedure accepts this argument, so nothing happens.
            let answer = call(&mut net, one, request as u64 + 1, procedure, r#",[{}],{"reason":7}"#);
            let needs = if READ.contains(&procedure) { Meta::Read } else { Meta::Control };
            let expected = if meta >= needs { "invalid_argument" } else { "not_authorized" };
            assert_eq!(answer, expected, "{procedure} {meta:?}");
        }
        net.say(one, r#"[32,90,{},"wamp.session.on_join"]"#);
        let heard = net.heard(one).concat();
        assert_eq!(heard.starts_with("[33,90,"), meta >= Meta::Read, "{heard}");
        assert_eq!(heard.contains("wamp.error.not_authorized"), meta < Meta::Read, "{heard}");
    }
}

// behaviour 171, 186
#[test]
fn a_wrong_meta_call_is_refused_with_the_reason() {
    let mut net = control();
    let one = raw(&mut net);
    let mut request = 0;
    for (procedure, rest, error) in [
        ("wamp.session.count", r#",["x"]"#, "invalid_argument"),
        ("wamp.session.list", r#",[[1]]"#, "invalid_argument"),
        ("wamp.session.get", "", "invalid_argument"),
        ("wamp.session.get", r#",[null]"#, "invalid_argument"),
        ("wamp.session.get", r#",["1"]"#, "invalid_argument"),
        ("wamp.session.get", r#",[-1]"#, "invalid_argument"),
        ("wamp.session.get", r#",[1.5]"#, "invalid_argument"),
        ("wamp.session.kill", "", "invalid_argument"),
        ("wamp.session.kill", r#",[1],{"reason":"a b"}"#, "invalid_uri"),
        ("wamp.session.kill", r#",[1],{"reason":""}"#, "invalid_uri"),
        ("wamp.session.kill", r#",[1],{"message":1}"#, "invalid_argument"),
        ("wamp.session.kill_by_authid", "", "invalid_argument"),
        ("wamp.session.kill_by_authid", ",[1]", "invalid_argument"),
        ("wamp.session.kill_by_authrole", ",[null]", "invalid_argument"),
        ("wamp.session.kill_all", r##",[],{"reason":"#x"}"##, "invalid_uri"),
        ("wamp.registration.list", r#",["x"]"#, "invalid_argument"),
        ("wamp.registration.lookup", "", "invalid_argument"),
        ("wamp.registration.lookup", r#",["a","b"]"#, "invalid_argument"),
        ("wamp.registration.match", ",[1]", "invalid_argument"),
        ("wamp.registration.get", r#",["x"]"#, "invalid_argument"),
        ("wamp.registration.list_callees", "", "invalid_argument"),
        ("wamp.registration.count_callees", ",[{}]", "invalid_argument"),
        ("wamp.registration.remove_callee", ",[1]", "invalid_argument"),
        ("wamp.registration.remove_callee", ",[1,2]", "no_such_session"),
        ("wamp.subscription.list", r#",["x"]"#, "invalid_argument"),
        ("wamp.subscription.lookup", "", "invalid_argument"),
        ("wamp.subscription.match", "", "invalid_argument"),
        ("wamp.subscription.get", "", "invalid_argument"),
        ("wamp.subscription.list_subscribers", "", "invalid_argument"),
        ("wamp.subscription.count_subscribers", "", "invalid_argument"),
        ("wamp.subscription.remove_subscriber", ",[1]", "invalid_argument"),
        ("wamp.session.modify_details", "", "no_such_procedure"),
        ("wamp.reflection.procedure.list", "", "no_such_procedure"),
        ("wamp", "", "no_such_procedure"),
        ("wamp.session.", "", "invalid_uri"),
    ] {
        request += 1;
        assert_eq!(call(&mut net, one, request, procedure, rest), error, "{procedure} {rest}");
    }
    net.say(one, r#"[48,90,{},"wamp.session.get",["x"]]"#);
    assert_eq!(
        net.heard(one),
        [r#"[8,48,90,{},"wamp.error.invalid_argument",["argument 1: expected u64, found string"]]"#]
    );
}

// behaviour 171
#[test]
fn a_meta_call_is_whole_and_plain() {
    let mut net = control();
    let one = net.raw(Serializer::Json, all_roles());
    for (request, options) in [(1, r#"{"progress":true}"#), (2, r#"{"ppt_scheme":"x_a"}"#)] {
        net.say(one, &format!(r#"[48,{request},{options},"wamp.session.count"]"#));
        let heard = net.heard(one).concat();
        assert!(heard.contains("wamp.error.feature_not_supported"), "{heard}");
    }
    // A further chunk of the refused call is late.
    net.say(one, r#"[48,1,{},"wamp.session.count"]"#);
    assert!(net.heard(one).is_empty());
    let options = r#"{"receive_progress":true,"timeout":1,"disclose_me":true}"#;
    net.say(one, &format!(r#"[48,3,{options},"wamp.session.count"]"#));
    assert_eq!(net.heard(one), ["[50,3,{},[1]]"]);
    // A caller that did not announce chunks breaks the protocol by one.
    let two = raw(&mut net);
    net.say(two, r#"[48,1,{"progress":true},"wamp.session.count"]"#);
    assert!(matches!(net.received(two).as_slice(), [Message::Abort(_)]));
}

// behaviour 171
#[test]
fn a_result_that_is_too_long_for_its_caller_is_an_error_and_has_no_consequence() {
    let mut net = control();
    let small = net.raw_with(Serializer::Json, basic_roles(), 512);
    let others: Vec<Client> = (0..40).map(|_| raw(&mut net)).collect();
    assert_eq!(call(&mut net, small, 1, "wamp.session.list", ""), "payload_size_exceeded");
    // The ids of the sessions to kill do not fit either.
    let rest = format!(",[{}]", id(&net, small));
    let authid = call(&mut net, others[0], 1, "wamp.session.get", &rest);
    assert!(authid.contains("anonymous-"));
    assert_eq!(call(&mut net, small, 2, "wamp.session.count", ""), "[41]");
}

// behaviour 171
#[test]
fn a_session_may_ask_for_100_lists_a_second() {
    let mut net = control();
    let (one, two) = (raw(&mut net), raw(&mut net));
    for request in 1..=100 {
        assert_eq!(call(&mut net, one, request, "wamp.session.count", ""), "[2]");
    }
    assert_eq!(call(&mut net, one, 101, "wamp.registration.list", ""), "unavailable");
    assert_eq!(call(&mut net, one, 102, "wamp.session.get", ",[1]"), "no_such_session");
    assert_eq!(call(&mut net, two, 1, "wamp.session.count", ""), "[2]");
    net.sleep(Duration::from_secs(1));
    assert_eq!(call(&mut net, one, 103, "wamp.registration.list", "").len(), 40);
}

// behaviour 170, 101
#[test]
fn the_meta_api_has_the_words_of_the_specification() {
    for (policy, word) in
        [(MatchPolicy::Exact, "exact"), (MatchPolicy::Prefix, "prefix"), (MatchPolicy::Wildcard, "wildcard")]
    {
        assert_eq!(policy.as_str(), word);
    }
    assert_eq!(InvocationPolicy::RoundRobin.as_str(), "roundrobin");
}
