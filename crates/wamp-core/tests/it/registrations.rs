//! Pattern-based and shared registrations, disclosure, payload passthru, and the choices of a realm.

use wamp_core::router::{Config, Disclosure};
use wamp_proto::Serializer;

use crate::net::{Net, all_roles, basic_roles, progress_only};

#[test]
fn a_callee_of_a_pattern_gets_the_called_procedure() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.a.x"]"#);
    net.say(callee, r#"[64,2,{"match":"prefix"},"com.myapp.a"]"#);
    net.say(callee, r#"[64,3,{"match":"wildcard"},"com..b.x"]"#);
    net.heard(callee);
    for (request, procedure, registration) in [
        (1, "com.myapp.a.x", "1,{}"),
        (2, "com.myapp.a.y", r#"2,{"procedure":"com.myapp.a.y"}"#),
        (3, "com.other.b.x", r#"3,{"procedure":"com.other.b.x"}"#),
    ] {
        net.say(caller, &format!(r#"[48,{request},{{}},"{procedure}"]"#));
        assert_eq!(net.heard(callee), [format!("[68,{request},{registration}]")]);
    }
    net.say(callee, "[66,4,2]");
    net.say(callee, "[66,5,3]");
    net.say(caller, r#"[48,4,{},"com.myapp.a.y"]"#);
    net.say(caller, r#"[48,5,{},"com.other.b.x"]"#);
    assert!(net.heard(caller).iter().all(|said| said.contains("wamp.error.no_such_procedure")));
    assert_eq!(net.realm.sizes().registrations, 1);
}

/// A callee that could answer them would pose as the router's own procedures.
#[test]
fn a_pattern_never_serves_a_reserved_uri() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    for (request, policy, pattern) in
        [(1, "prefix", ""), (2, "prefix", "w"), (3, "prefix", "wam"), (4, "wildcard", ".session.count")]
    {
        net.say(callee, &format!(r#"[64,{request},{{"match":"{policy}"}},"{pattern}"]"#));
    }
    assert_eq!(net.heard(callee), ["[65,1,1]", "[65,2,2]", "[65,3,3]", "[65,4,4]"]);
    for (request, procedure) in [(1, "wamp.session.count"), (2, "wamp.foo"), (3, "wamp")] {
        net.say(caller, &format!(r#"[48,{request},{{}},"{procedure}"]"#));
        let answer = net.heard(caller);
        match procedure {
            "wamp.session.count" => assert_eq!(answer, ["[50,1,{},[2]]"], "the router itself answers"),
            _ => assert!(answer[0].contains("wamp.error.no_such_procedure"), "{answer:?}"),
        }
    }
    assert!(net.heard(callee).is_empty());
    net.say(caller, r#"[48,4,{},"wampum.session.count"]"#);
    assert_eq!(net.heard(callee), [r#"[68,1,3,{"procedure":"wampum.session.count"}]"#]);
}

#[test]
fn shared_registrations_take_turns_as_they_say() {
    for (invoke, expected) in [
        ("roundrobin", Some([0, 1, 2, 0])),
        ("first", Some([0; 4])),
        ("last", Some([2; 4])),
        ("random", None),
    ] {
        let mut net = Net::new();
        let caller = net.raw(Serializer::Json, all_roles());
        let callees = [(); 3].map(|()| net.raw(Serializer::Json, all_roles()));
        for callee in callees {
            net.say(callee, &format!(r#"[64,1,{{"invoke":"{invoke}"}},"com.myapp.longop"]"#));
            assert_eq!(net.heard(callee), ["[65,1,1]"]);
        }
        let other = net.raw(Serializer::Json, all_roles());
        net.say(other, r#"[64,1,{},"com.myapp.longop"]"#);
        assert!(net.heard(other)[0].contains("wamp.error.procedure_already_exists"));
        let mut called = Vec::new();
        for request in 1..=4 {
            net.say(caller, &format!(r#"[48,{request},{{}},"com.myapp.longop"]"#));
            called.extend(callees.iter().position(|callee| !net.heard(*callee).is_empty()));
        }
        assert_eq!(called.len(), 4);
        if let Some(expected) = expected {
            assert_eq!(called, expected, "{invoke}");
        }
        for callee in callees {
            net.cut(callee);
        }
        assert_eq!(net.realm.sizes().registrations, 0);
    }
}

#[test]
fn a_refused_call_takes_no_turn() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, all_roles());
    let able = net.raw(Serializer::Json, all_roles());
    let plain = net.raw(Serializer::Json, basic_roles());
    for callee in [able, plain] {
        net.say(callee, r#"[64,1,{"invoke":"roundrobin"},"com.myapp.upload"]"#);
        net.heard(callee);
    }
    net.say(caller, r#"[48,1,{},"com.myapp.upload"]"#);
    assert_eq!(net.heard(able).len(), 1);
    // It is the turn of the callee that does not take chunks, also after the refusal.
    net.say(caller, r#"[48,2,{"progress":true},"com.myapp.upload"]"#);
    assert!(net.heard(caller)[0].contains("wamp.error.feature_not_supported"));
    net.say(caller, r#"[48,3,{},"com.myapp.upload"]"#);
    assert_eq!((net.heard(able).len(), net.heard(plain).len()), (0, 1));
}

// behaviour 65
#[test]
fn a_call_in_chunks_stays_with_its_callee() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, all_roles());
    let callees = [(); 2].map(|()| net.raw(Serializer::Json, all_roles()));
    for callee in callees {
        net.say(callee, r#"[64,1,{"invoke":"roundrobin"},"com.myapp.upload"]"#);
        net.heard(callee);
    }
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.upload",[0]]"#);
    net.say(callees[0], "[66,2,1]");
    for chunk in 1..100 {
        net.say(caller, &format!(r#"[48,1,{{"progress":true}},"com.myapp.upload",[{chunk}]]"#));
    }
    assert_eq!(net.heard(callees[0]).len(), 101);
    assert!(net.heard(callees[1]).is_empty());
}

// behaviour 66
#[test]
fn unavailable_goes_to_the_caller_and_no_other_callee_is_asked() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, all_roles());
    let callees = [(); 2].map(|()| net.raw(Serializer::Json, all_roles()));
    for callee in callees {
        net.say(callee, r#"[64,1,{"invoke":"roundrobin"},"com.myapp.longop"]"#);
        net.heard(callee);
    }
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.say(callees[0], r#"[70,1,{"progress":true}]"#);
    net.say(callees[0], r#"[8,68,1,{},"wamp.error.unavailable"]"#);
    assert_eq!(net.heard(caller)[1], r#"[8,48,1,{},"wamp.error.unavailable"]"#);
    assert!(net.heard(callees[1]).is_empty());
}

#[test]
fn callers_are_disclosed_as_the_realm_says() {
    for (policy, callee_asks, caller_asks, disclosed) in [
        (Disclosure::OnRequest, false, false, Some(false)),
        (Disclosure::OnRequest, true, false, Some(true)),
        (Disclosure::OnRequest, false, true, Some(true)),
        (Disclosure::Always, false, false, Some(true)),
        (Disclosure::Never, true, false, Some(false)),
        (Disclosure::Never, false, true, None),
    ] {
        let mut config = Config::new("realm1");
        config.disclosure = policy;
        let mut net = Net::with(config);
        let callee = net.raw(Serializer::Json, all_roles());
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, &format!(r#"[64,1,{{"disclose_caller":{callee_asks}}},"com.myapp.longop"]"#));
        net.heard(callee);
        net.say(caller, &format!(r#"[48,1,{{"disclose_me":{caller_asks}}},"com.myapp.longop"]"#));
        let heard = net.heard(callee);
        match disclosed {
            Some(true) => {
                let expected = format!(r#"[68,1,1,{{"caller":{},"caller_authid":""#, net.key(caller).id());
                assert!(heard[0].starts_with(&expected), "{policy:?}: {heard:?}");
            }
            Some(false) => assert_eq!(heard, ["[68,1,1,{}]"], "{policy:?}"),
            None => {
                assert!(heard.is_empty());
                let expected = r#"[8,48,1,{},"wamp.error.option_disallowed.disclose_me""#;
                assert!(net.heard(caller)[0].starts_with(expected));
            }
        }
    }
}

// behaviour 64
#[test]
fn passthru_attributes_go_with_every_message_of_a_call() {
    const PPT: &str = r#""ppt_scheme":"x_my","ppt_serializer":"cbor""#;
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    for request in 1..=2 {
        let options = format!(r#"{{"receive_progress":true,{PPT}}}"#);
        net.say(caller, &format!(r#"[48,{request},{options},"com.myapp.longop",["x"]]"#));
        assert_eq!(net.heard(callee), [format!(r#"[68,{request},1,{options},["x"]]"#)]);
    }
    net.say(callee, &format!(r#"[70,1,{{"progress":true,{PPT}}},["x"]]"#));
    net.say(callee, &format!(r#"[70,1,{{{PPT}}},["x"]]"#));
    net.say(callee, &format!(r#"[8,68,2,{{{PPT}}},"com.myapp.error",["x"]]"#));
    assert_eq!(
        net.heard(caller),
        [
            format!(r#"[50,1,{{"progress":true,{PPT}}},["x"]]"#),
            format!(r#"[50,1,{{{PPT}}},["x"]]"#),
            format!(r#"[8,48,2,{{{PPT}}},"com.myapp.error",["x"]]"#),
        ]
    );
}

// behaviour 64
#[test]
fn passthru_must_be_announced_by_its_sender_and_taken_by_its_receiver() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, basic_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(caller, r#"[48,1,{"ppt_scheme":"x_my"},"com.myapp.longop"]"#);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.feature_not_supported""#));
    net.say(caller, r#"[48,2,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[70,1,{"ppt_scheme":"x_my"}]"#);
    assert!(net.heard(callee)[1].contains("did not announce payload_passthru_mode"));
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,2,{},"wamp.error.canceled""#));

    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, basic_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[70,1,{"ppt_scheme":"x_my"}]"#);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.feature_not_supported""#));
    for said in [r#"[48,2,{"ppt_scheme":"x"},"a"]"#, r#"[16,1,{"ppt_scheme":"x"},"a"]"#] {
        let offender = net.raw(Serializer::Json, basic_roles());
        net.say(offender, &said.replace("[48,2", "[48,1"));
        assert!(net.heard(offender)[0].contains("did not announce payload_passthru_mode"));
    }
}

// behaviour 13
#[test]
fn strict_features_follow_the_letter() {
    for (roles, asked) in [(progress_only(), false), (basic_roles(), false), (all_roles(), true)] {
        let mut config = Config::new("realm1");
        config.strict_features = true;
        let mut net = Net::with(config);
        let callee = net.raw(Serializer::Json, roles);
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
        net.heard(callee);
        net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
        let details = if asked { r#"{"receive_progress":true}"# } else { "{}" };
        assert_eq!(net.heard(callee), [format!("[68,1,1,{details}]")]);
        net.say(callee, "[70,1,{}]");
        assert_eq!(net.heard(caller), ["[50,1,{}]"]);
    }
}

// behaviour 39
#[test]
fn a_timeout_is_watched_by_the_dealer_or_by_the_callee() {
    use wamp_proto::{Feature, Features, Role, Roles};
    let with_timeout = Roles::none().with(Role::Callee, Features::none().with(Feature::CallTimeout));
    for (roles, forward, forwarded) in
        [(with_timeout.clone(), true, true), (with_timeout, false, false), (basic_roles(), true, false)]
    {
        let mut net = Net::new();
        let callee = net.raw(Serializer::Json, roles);
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, &format!(r#"[64,1,{{"forward_timeout":{forward}}},"com.myapp.longop"]"#));
        net.heard(callee);
        net.say(caller, r#"[48,1,{"timeout":100},"com.myapp.longop"]"#);
        let details = if forwarded { r#"{"timeout":100}"# } else { "{}" };
        assert_eq!(net.heard(callee), [format!("[68,1,1,{details}]")]);
        assert_eq!(net.realm.sizes().deadlines, usize::from(!forwarded));
    }
}
