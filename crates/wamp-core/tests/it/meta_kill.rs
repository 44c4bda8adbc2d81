//! Killing sessions, and revoking their registrations and subscriptions.

use std::time::Duration;

use wamp_core::router::{Closing, Event};
use wamp_proto::{Feature, Features, Role, Roles, Serializer};

use crate::meta::{call, control, id, raw};
use crate::net::{all_roles, basic_roles};

/// Every role, of a client that takes revocations.
fn revocable() -> Roles {
    all_roles()
        .with(
            Role::Callee,
            Features::none().with(Feature::RegistrationRevocation).with(Feature::CallCanceling),
        )
        .with(Role::Subscriber, Features::none().with(Feature::SubscriptionRevocation))
}

// behaviour 184
#[test]
fn a_killed_session_is_told_why_and_has_5_s_to_answer() {
    let mut net = control();
    let one = raw(&mut net);
    for (request, keywords, goodbye) in [
        (1, "", r#"[6,{},"wamp.close.killed"]"#),
        (2, r#",{"reason":null,"message":null}"#, r#"[6,{},"wamp.close.killed"]"#),
        (
            3,
            r#",{"reason":"com.shop.closed","message":"back soon","other":1}"#,
            r#"[6,{"message":"back soon"},"com.shop.closed"]"#,
        ),
    ] {
        let victim = raw(&mut net);
        let session = id(&net, victim);
        let answer = call(&mut net, one, request, "wamp.session.kill", &format!(",[{session}]{keywords}"));
        assert_eq!(answer, "");
        assert_eq!(net.heard(victim), [goodbye]);
        net.closed.clear();
        net.sleep(Duration::from_millis(4_999));
        assert!(net.closed.is_empty());
        net.sleep(Duration::from_millis(1));
        let (session, closing) = (net.key(victim), Closing::Goodbye);
        assert_eq!(net.closed, [Event::Closed { session, closing }]);
    }
    // A message is cut to a length that every link accepts.
    let victim = raw(&mut net);
    let long = "x".repeat(1000);
    let rest = format!(r#",[{}],{{"message":"{long}"}}"#, id(&net, victim));
    assert_eq!(call(&mut net, one, 9, "wamp.session.kill", &rest), "");
    let heard = net.heard(victim).concat();
    assert!(heard.len() < 512 && heard.contains(&"x".repeat(384)), "{heard}");
}

// behaviour 184
#[test]
fn a_session_kills_neither_itself_nor_a_missing_session() {
    let mut net = control();
    let one = raw(&mut net);
    let own = id(&net, one);
    assert_eq!(call(&mut net, one, 1, "wamp.session.kill", &format!(",[{own}]")), "no_such_session");
    assert_eq!(call(&mut net, one, 2, "wamp.session.kill", ",[77]"), "no_such_session");
    assert!(net.heard(one).is_empty());
}

// behaviour 184
#[test]
fn the_calls_of_a_killed_session_end_at_once() {
    let mut net = control();
    let killer = raw(&mut net);
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.a"]"#);
    net.say(caller, r#"[48,1,{},"com.a"]"#);
    net.heard(callee);
    let victim = id(&net, caller);
    call(&mut net, killer, 1, "wamp.session.kill", &format!(",[{victim}]"));
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.close.close_realm"}]"#]);
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(caller, r#"[48,1,{},"com.a"]"#);
    let victim = id(&net, callee);
    call(&mut net, killer, 2, "wamp.session.kill", &format!(",[{victim}]"));
    let heard = net.heard(caller).concat();
    assert!(heard.starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{heard}");
    assert_eq!(call(&mut net, killer, 3, "wamp.registration.match", r#",["com.a"]"#), "[null]");
}

// behaviour 185
#[test]
fn sessions_are_killed_by_authid_by_role_and_all_but_the_caller() {
    let mut net = control();
    let (one, two, three) = (raw(&mut net), raw(&mut net), raw(&mut net));
    let rest = format!(",[{}]", id(&net, two));
    let details = call(&mut net, one, 1, "wamp.session.get", &rest);
    let authid = details.split(r#""authid":""#).nth(1).unwrap().split('"').next().unwrap();
    let killed = call(&mut net, one, 2, "wamp.session.kill_by_authid", &format!(r#",["{authid}"]"#));
    assert_eq!(killed, format!("[[{}]]", id(&net, two)));
    assert_eq!(net.heard(two), [r#"[6,{},"wamp.close.killed"]"#]);
    let killed = call(&mut net, one, 3, "wamp.session.kill_by_authid", r#",["nobody"]"#);
    assert_eq!(killed, "[[]]");
    assert_eq!(call(&mut net, one, 4, "wamp.session.kill_by_authrole", r#",["admin"]"#), "[0]");
    let killed =
        call(&mut net, one, 5, "wamp.session.kill_by_authrole", r#",["anonymous"],{"reason":"com.x"}"#);
    assert_eq!(killed, "[1]");
    assert_eq!(net.heard(three), [r#"[6,{},"com.x"]"#]);
    let many: Vec<_> = (0..1000).map(|_| raw(&mut net)).collect();
    assert_eq!(call(&mut net, one, 6, "wamp.session.kill_all", r#",[],{"message":"all"}"#), "[1000]");
    for other in many {
        assert_eq!(net.heard(other), [r#"[6,{"message":"all"},"wamp.close.killed"]"#]);
    }
    assert_eq!(call(&mut net, one, 7, "wamp.session.count", ""), "[1]");
}

// behaviour 140, 187
#[test]
fn a_registration_is_taken_away_and_its_calls_go_on() {
    let mut net = control();
    let one = raw(&mut net);
    for (takes_it, reason) in [(true, ""), (true, r#",{"reason":"com.why"}"#), (false, "")] {
        let callee = net.raw(Serializer::Json, if takes_it { revocable() } else { all_roles() });
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, r#"[64,1,{},"com.a"]"#);
        let registered = net.heard(callee).concat();
        let registration: u64 = registered.trim_start_matches("[65,1,").trim_matches(']').parse().unwrap();
        net.say(caller, r#"[48,1,{"receive_progress":true},"com.a"]"#);
        net.heard(callee);
        let session = id(&net, callee);
        let rest = format!(",[{registration},{session}]{reason}");
        assert_eq!(call(&mut net, one, 1, "wamp.registration.remove_callee", &rest), "");
        let detail = if reason.is_empty() { "" } else { r#","reason":"com.why""# };
        let told = format!(r#"[67,0,{{"registration":{registration}{detail}}}]"#);
        assert_eq!(net.heard(callee), if takes_it { vec![told] } else { Vec::new() });
        // Its stream goes on to its end.
        net.say(callee, r#"[70,1,{"progress":true},[1]]"#);
        net.say(callee, "[70,1,{},[2]]");
        assert_eq!(net.heard(caller), [r#"[50,1,{"progress":true},[1]]"#, "[50,1,{},[2]]"]);
        net.say(callee, &format!("[66,2,{registration}]"));
        assert!(net.heard(callee).concat().contains("wamp.error.no_such_registration"));
        net.say(caller, r#"[48,2,{},"com.a"]"#);
        assert!(net.heard(caller).concat().contains("wamp.error.no_such_procedure"));
        assert_eq!(call(&mut net, one, 2, "wamp.registration.remove_callee", &rest), "no_such_registration");
    }
}

// behaviour 187
#[test]
fn the_last_callee_that_is_removed_deletes_the_registration() {
    let mut net = control();
    let one = raw(&mut net);
    net.say(one, r#"[32,1,{},"wamp.registration.on_unregister"]"#);
    net.say(one, r#"[32,2,{},"wamp.registration.on_delete"]"#);
    let (two, three) = (raw(&mut net), raw(&mut net));
    for client in [two, three] {
        net.say(client, r#"[64,1,{"invoke":"random"},"com.a"]"#);
    }
    net.heard(one);
    let (second, third) = (id(&net, two), id(&net, three));
    let remove = |net: &mut crate::net::Net, session: u64| {
        net.say(one, &format!(r#"[48,9,{{}},"wamp.registration.remove_callee",[1,{session}]]"#));
        let heard = net.heard(one);
        let last = |text: &String| text.rsplit_once(",[").map_or(String::new(), |(_, last)| last.to_owned());
        heard.iter().map(|text| format!("{} {}", &text[..6], last(text))).collect::<Vec<_>>()
    };
    assert_eq!(remove(&mut net, second), ["[50,9, ".to_owned(), format!("[36,1, {second},1]]")]);
    let last = remove(&mut net, third);
    let told = [format!("[36,1, {third},1]]"), format!("[36,2, {third},1]]")];
    assert_eq!(last, ["[50,9, ".to_owned(), told[0].clone(), told[1].clone()]);
}

// behaviour 131, 187
#[test]
fn a_subscription_is_taken_away() {
    let mut net = control();
    let one = raw(&mut net);
    for takes_it in [true, false] {
        let roles = if takes_it { revocable() } else { basic_roles() };
        let subscriber = net.raw(Serializer::Json, roles);
        net.say(subscriber, r#"[32,1,{},"com.t"]"#);
        let subscribed = net.heard(subscriber).concat();
        let subscription = subscribed.trim_start_matches("[33,1,").trim_matches(']').to_owned();
        net.say(one, r#"[16,1,{},"com.t",[1]]"#);
        let session = id(&net, subscriber);
        let rest = format!(r#",[{subscription},{session}],{{"reason":"com.why"}}"#);
        assert_eq!(call(&mut net, one, 2, "wamp.subscription.remove_subscriber", &rest), "");
        let heard = net.heard(subscriber);
        assert!(heard[0].ends_with(",{},[1]]"), "an event that was sent before stays");
        let told = format!(r#"[35,0,{{"subscription":{subscription},"reason":"com.why"}}]"#);
        assert_eq!(heard[1..], if takes_it { vec![told] } else { Vec::new() });
        net.say(one, r#"[16,3,{},"com.t",[2]]"#);
        net.say(subscriber, &format!("[34,2,{subscription}]"));
        let heard = net.heard(subscriber);
        assert!(heard.len() == 1 && heard[0].contains("wamp.error.no_such_subscription"), "{heard:?}");
        assert_eq!(
            call(&mut net, one, 4, "wamp.subscription.remove_subscriber", &rest),
            "no_such_subscription"
        );
    }
}

// behaviour 141
#[test]
fn autobahn_python_gets_no_message_that_it_does_not_survive() {
    let mut net = control();
    let (one, other) = (raw(&mut net), raw(&mut net));
    let features = r#""features":{"registration_revocation":true,"subscription_revocation":true,"payload_transparency":true}"#;
    let hello = format!(
        r#"[1,"realm1",{{"roles":{{"caller":{{{features}}},"callee":{{{features}}},"subscriber":{{{features}}}}}}}]"#
    );
    let hello = wamp_proto::Message::decode(
        Serializer::Json,
        &crate::net::bytes(&hello),
        &wamp_proto::Limits::default(),
    );
    let Ok(wamp_proto::Message::Hello(hello)) = hello else { panic!("a HELLO") };
    let autobahn = net.raw(Serializer::Json, hello.details.roles);
    let session = id(&net, autobahn);
    net.say(autobahn, r#"[64,1,{"invoke":"random"},"com.shared"]"#);
    net.say(other, r#"[64,1,{"invoke":"random"},"com.shared"]"#);
    net.say(autobahn, r#"[64,2,{},"com.own"]"#);
    net.say(autobahn, r#"[32,3,{},"com.t"]"#);
    net.heard(autobahn);
    assert_eq!(call(&mut net, one, 1, "wamp.registration.remove_callee", &format!(",[1,{session}]")), "");
    assert_eq!(call(&mut net, one, 2, "wamp.subscription.remove_subscriber", &format!(",[1,{session}]")), "");
    assert!(net.heard(autobahn).is_empty());
    // A registration that ends with it has an id that never comes back.
    assert_eq!(call(&mut net, one, 3, "wamp.registration.remove_callee", &format!(",[2,{session}]")), "");
    assert_eq!(net.heard(autobahn), [r#"[67,0,{"registration":2}]"#]);
}
