//! Payload transparency: a binary in the place of the arguments, with `enc_…` (behaviour 150).

use wamp_core::router::{Config, History, Pattern};
use wamp_proto::{Feature, Role, Roles, Serializer};

use crate::net::{Client, Net, all_roles, basic_roles, json};

const ENC: &str = r#""enc_algo":"cryptobox","enc_key":"k","enc_serializer":"msgpack""#;
const BINARY: &str = r#""\u0000AQID""#;

/// All roles, each with payload transparency.
fn transparent() -> Roles {
    let with =
        |roles: &Roles, role| roles.get(role).cloned().unwrap_or_default().with(Feature::PayloadTransparency);
    let all = all_roles();
    [Role::Caller, Role::Callee, Role::Publisher, Role::Subscriber]
        .into_iter()
        .fold(all.clone(), |roles, role| roles.with(role, with(&all, role)))
}

fn pair(callee: (Serializer, Roles), caller: (Serializer, Roles)) -> (Net, Client, Client) {
    let mut net = Net::new();
    let callee = net.raw(callee.0, callee.1);
    let caller = net.raw(caller.0, caller.1);
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.received(callee);
    (net, callee, caller)
}

/// Returns the messages that a session of any serializer has received, as JSON.
fn heard(net: &mut Net, client: Client) -> Vec<String> {
    net.received(client).iter().map(json).collect()
}

// behaviour 150
#[test]
fn a_binary_payload_goes_through_a_call_untouched_between_all_serializers() {
    for of_callee in Serializer::ALL {
        for of_caller in Serializer::ALL {
            let (mut net, callee, caller) = pair((*of_callee, transparent()), (*of_caller, transparent()));
            for request in 1..=2 {
                let options = format!(r#"{{"receive_progress":true,{ENC}}}"#);
                net.say(caller, &format!(r#"[48,{request},{options},"com.myapp.longop",{BINARY}]"#));
                assert_eq!(heard(&mut net, callee), [format!(r#"[68,{request},1,{options},{BINARY}]"#)]);
            }
            net.say(callee, &format!(r#"[70,1,{{"progress":true,{ENC}}},{BINARY}]"#));
            net.say(callee, &format!(r#"[70,1,{{{ENC}}},{BINARY}]"#));
            net.say(callee, &format!(r#"[8,68,2,{{{ENC}}},"com.myapp.error",{BINARY}]"#));
            assert_eq!(
                heard(&mut net, caller),
                [
                    format!(r#"[50,1,{{"progress":true,{ENC}}},{BINARY}]"#),
                    format!(r#"[50,1,{{{ENC}}},{BINARY}]"#),
                    format!(r#"[8,48,2,{{{ENC}}},"com.myapp.error",{BINARY}]"#),
                ]
            );
        }
    }
}

// behaviour 150
#[test]
fn a_receiver_that_did_not_announce_it_gets_no_binary_payload() {
    // The callee.
    let (mut net, callee, caller) = pair((Serializer::Json, all_roles()), (Serializer::Json, transparent()));
    net.say(caller, &format!(r#"[48,1,{{{ENC}}},"com.myapp.longop",{BINARY}]"#));
    let text = "the callee did not announce payload_transparency";
    assert_eq!(
        net.heard(caller),
        [format!(r#"[8,48,1,{{}},"wamp.error.feature_not_supported",["{text}"]]"#)]
    );
    assert!(net.heard(callee).is_empty());

    // The caller: of a progressive result, of a result and of an error.
    let (mut net, callee, caller) = pair((Serializer::Json, transparent()), (Serializer::Json, all_roles()));
    for (request, reply) in (1..).zip([
        format!(r#"[70,1,{{"progress":true,{ENC}}},{BINARY}]"#),
        format!(r#"[70,2,{{{ENC}}},{BINARY}]"#),
        format!(r#"[8,68,3,{{{ENC}}},"com.myapp.error",{BINARY}]"#),
    ]) {
        net.say(caller, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.longop"]"#));
        net.heard(callee);
        net.say(callee, &reply);
        let text = "the caller did not announce payload_transparency";
        let end = format!(r#"[8,48,{request},{{}},"wamp.error.feature_not_supported",["{text}"]]"#);
        assert_eq!(net.heard(caller), [end]);
        let told = net.heard(callee);
        assert_eq!(told.len(), usize::from(request == 1), "{told:?}");
        assert!(told.iter().all(|told| told.starts_with("[69,1,")), "{told:?}");
    }
    assert_eq!(net.realm.sizes().calls, 0);
    assert_eq!(net.realm.stats().violations, 0);
}

// behaviour 150
#[test]
fn an_event_with_a_binary_payload_goes_to_the_subscribers_that_announced_it() {
    for lists in ["", r#""exclude":[],"#] {
        let mut net = Net::new();
        let publisher = net.raw(Serializer::Json, basic_roles());
        let topics = [r#"[32,1,{},"com.a"]"#, r#"[32,1,{"match":"prefix"},"com."]"#];
        let mut subscribers = Vec::new();
        for topic in topics {
            for roles in [transparent(), all_roles(), basic_roles()] {
                for serializer in Serializer::ALL {
                    let takes = roles.has(Role::Subscriber, Feature::PayloadTransparency);
                    let subscriber = net.raw(*serializer, roles.clone());
                    net.say(subscriber, topic);
                    net.received(subscriber);
                    subscribers.push((subscriber, takes));
                }
            }
        }
        let before = net.realm.stats();
        net.say(publisher, &format!(r#"[16,1,{{{lists}{ENC}}},"com.a",{BINARY}]"#));
        for (subscriber, takes) in &subscribers {
            let heard = heard(&mut net, *subscriber);
            assert_eq!(heard.len(), usize::from(*takes), "{heard:?}");
            assert!(heard.iter().all(|event| event.contains(ENC) && event.ends_with(&format!(",{BINARY}]"))));
        }
        let stats = net.realm.stats();
        assert_eq!((stats.events - before.events, stats.events_dropped - before.events_dropped), (6, 12));
        // Arguments reach all of them.
        net.say(publisher, r#"[16,2,{},"com.a",[1]]"#);
        assert!(subscribers.iter().all(|(subscriber, _)| heard(&mut net, *subscriber).len() == 1));
    }
}

// behaviour 150
#[test]
fn malformed_options_of_payload_transparency_refuse_one_request_and_forward_nothing() {
    let (mut net, callee, caller) =
        pair((Serializer::Json, transparent()), (Serializer::Json, transparent()));
    let subscriber = net.raw(Serializer::Json, transparent());
    net.say(subscriber, r#"[32,1,{},"com.a"]"#);
    net.heard(subscriber);
    let mut request = 0;
    for (options, payload) in [
        // Decoded, and wrong together.
        (r#""enc_algo":"rot13""#, ",\"\\u0000AQID\""),
        (r#""enc_algo":"""#, ",\"\\u0000AQID\""),
        (r#""enc_algo":"cryptobox","enc_serializer":"xml""#, ",\"\\u0000AQID\""),
        (r#""enc_algo":"cryptobox","ppt_scheme":"wamp""#, ",\"\\u0000AQID\""),
        (r#""enc_algo":"cryptobox""#, ",[\"secret\"]"),
        (r#""enc_algo":"cryptobox""#, ""),
        (r#""enc_key":"k""#, ",[\"secret\"]"),
        (r#""enc_serializer":"json""#, ",[\"secret\"]"),
        // Not decoded.
        (r#""enc_algo":7"#, ",\"\\u0000AQID\""),
        (r#""enc_algo":"cryptobox","enc_key":7"#, ",\"\\u0000AQID\""),
        (r#""enc_algo":null"#, ",\"\\u0000AQID\""),
        (r#""x":1"#, ",\"\\u0000AQID\""),
        (r#""enc_algo":"cryptobox""#, ",\"\\u0000AQID\",{\"a\":1}"),
        (r#""enc_algo":"cryptobox""#, ",\"text\""),
    ] {
        request += 1;
        net.say(caller, &format!(r#"[48,{request},{{{options}}},"com.myapp.longop"{payload}]"#));
        let end = format!(r#"[8,48,{request},{{}},"wamp.error.invalid_argument",["#);
        let heard = net.heard(caller);
        assert!(heard.len() == 1 && heard[0].starts_with(&end), "{options}{payload}: {heard:?}");
        assert!(net.heard(callee).is_empty());

        request += 1;
        net.say(caller, &format!(r#"[16,{request},{{"acknowledge":true,{options}}},"com.a"{payload}]"#));
        let end = format!(r#"[8,16,{request},{{}},"wamp.error.invalid_argument",["#);
        let heard = net.heard(caller);
        assert!(heard.len() == 1 && heard[0].starts_with(&end), "{options}{payload}: {heard:?}");
        // Without acknowledge there is no answer (115).
        request += 1;
        net.say(caller, &format!(r#"[16,{request},{{{options}}},"com.a"{payload}]"#));
        assert!(net.heard(caller).is_empty() && net.heard(subscriber).is_empty(), "{options}{payload}");

        // A result ends its call, and an error keeps its URI to itself.
        for reply in [
            format!(r#"[70,ID,{{{options}}}{payload}]"#),
            format!(r#"[70,ID,{{"progress":true,{options}}}{payload}]"#),
            format!(r#"[8,68,ID,{{{options}}},"com.myapp.error"{payload}]"#),
        ] {
            request += 1;
            net.say(caller, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.longop"]"#));
            let invoked = net.heard(callee).remove(0);
            let id = invoked.split(',').nth(1).unwrap().to_owned();
            net.say(callee, &reply.replace("ID", &id));
            let heard = net.heard(caller);
            assert!(heard.len() == 1, "{reply}: {heard:?}");
            assert!(heard[0].starts_with(&format!(r#"[8,48,{request},"#)), "{reply}: {heard:?}");
            assert!(!heard[0].contains("secret") && !heard[0].contains("AQID"), "{reply}: {heard:?}");
            net.heard(callee);
        }
    }
    assert_eq!((net.realm.stats().violations, net.realm.sizes().calls), (0, 0));
}

// behaviour 150
#[test]
fn options_that_are_all_null_are_no_options() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, basic_roles());
    net.say(client, r#"[16,1,{"ppt_scheme":null,"enc_algo":null,"acknowledge":true},"com.a",[1]]"#);
    assert!(net.heard(client)[0].starts_with("[17,1,"));
    net.say(client, r#"[48,2,{"ppt_scheme":null},"wamp.session.count"]"#);
    assert_eq!(net.heard(client), ["[50,2,{},[1]]"]);
}

// behaviour 150
#[test]
fn each_chunk_has_its_own_options_of_payload_transparency() {
    let (mut net, callee, caller) =
        pair((Serializer::Cbor, transparent()), (Serializer::Json, transparent()));
    let other = ENC.replace("\"k\"", "\"k2\"");
    net.say(caller, &format!(r#"[48,1,{{"progress":true,{ENC}}},"com.myapp.longop",{BINARY}]"#));
    net.say(caller, &format!(r#"[48,1,{{"progress":true,{other}}},"com.myapp.longop",{BINARY}]"#));
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    assert_eq!(
        heard(&mut net, callee),
        [
            format!(r#"[68,1,1,{{"progress":true,{ENC}}},{BINARY}]"#),
            format!(r#"[68,1,1,{{"progress":true,{other}}},{BINARY}]"#),
            "[68,1,1,{}]".to_owned(),
        ]
    );
    // A chunk that its callee does not take ends the call.
    let (mut net, callee, caller) = pair((Serializer::Json, all_roles()), (Serializer::Json, transparent()));
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.longop",[1]]"#);
    net.heard(callee);
    net.say(caller, &format!(r#"[48,1,{{"progress":true,{ENC}}},"com.myapp.longop",{BINARY}]"#));
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.feature_not_supported""#));
    assert!(net.heard(callee)[0].starts_with("[69,1,"));
}

// behaviour 150
#[test]
fn a_retained_binary_payload_is_for_subscribers_that_take_it() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::MsgPack, basic_roles());
    net.say(publisher, &format!(r#"[16,1,{{"retain":true,{ENC}}},"com.a",{BINARY}]"#));
    for (roles, count) in [(transparent(), 2), (basic_roles(), 1)] {
        let subscriber = net.raw(Serializer::Json, roles);
        net.say(subscriber, r#"[32,1,{"get_retained":true},"com.a"]"#);
        let heard = net.heard(subscriber);
        assert_eq!(heard.len(), count, "{heard:?}");
        assert!(
            heard.iter().skip(1).all(|event| event.contains(ENC) && event.ends_with(&format!(",{BINARY}]")))
        );
    }
}

// behaviour 150
#[test]
fn the_history_has_a_binary_payload_under_its_own_key() {
    let mut config = Config::new("realm1");
    config.history = vec![History::new(Pattern::exact("com.a"))];
    let mut net = Net::with(config);
    let publisher = net.raw(Serializer::Cbor, basic_roles());
    let client = net.raw(Serializer::Json, basic_roles());
    net.say(publisher, &format!(r#"[16,1,{{{ENC}}},"com.a",{BINARY}]"#));
    net.say(client, r#"[48,1,{},"wamp.subscription.lookup",["com.a"]]"#);
    let id = net.heard(client).remove(0).replace("[50,1,{},[", "").replace("]]", "");
    net.say(client, &format!(r#"[48,2,{{}},"wamp.subscription.get_events",[{id}]]"#));
    let heard = net.heard(client);
    assert!(
        heard[0].contains(&format!(r#","details":{{"topic":"com.a",{ENC}}},"payload":{BINARY}}}]"#)),
        "{heard:?}"
    );
}

// behaviour 150
#[test]
fn a_testament_with_a_binary_payload_is_checked_when_it_is_made() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, transparent());
    let watcher = net.raw(Serializer::MsgPack, transparent());
    net.say(watcher, r#"[32,1,{},"com.a"]"#);
    net.received(watcher);
    for (request, (args, algorithm)) in
        (1..).zip([("[1]", "cryptobox"), (BINARY, "rot13"), (BINARY, "cryptobox")])
    {
        net.say(
            client,
            &format!(
                r#"[48,{request},{{}},"wamp.session.add_testament",["com.a",{args}],{{"publish_options":{{"enc_algo":"{algorithm}"}}}}]"#
            ),
        );
        let heard = net.heard(client).remove(0);
        match request {
            3 => assert_eq!(heard, "[50,3,{}]"),
            _ => assert!(heard.contains("wamp.error.invalid_argument"), "{heard}"),
        }
    }
    net.cut(client);
    let heard = heard(&mut net, watcher);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].ends_with(&format!(r#",{{"enc_algo":"cryptobox"}},{BINARY}]"#)), "{heard:?}");
}

// behaviour 150
#[test]
fn a_call_with_a_binary_payload_is_rerouted_with_it() {
    let callee = transparent().get(Role::Callee).cloned().unwrap_or_default().with(Feature::CallReroute);
    let roles = transparent().with(Role::Callee, callee);
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, transparent());
    let callees = [(); 2].map(|()| {
        let callee = net.raw(Serializer::Json, roles.clone());
        net.say(callee, r#"[64,1,{"invoke":"first"},"com.myapp.longop"]"#);
        net.heard(callee);
        callee
    });
    net.say(caller, &format!(r#"[48,1,{{{ENC}}},"com.myapp.longop",{BINARY}]"#));
    for callee in callees {
        assert_eq!(net.heard(callee), [format!(r#"[68,1,1,{{{ENC}}},{BINARY}]"#)]);
        net.say(callee, r#"[8,68,1,{},"wamp.error.unavailable"]"#);
    }
    assert!(net.heard(caller)[0].contains("wamp.error.no_available_callee"));
}

// behaviour 150
#[test]
fn the_meta_api_takes_no_binary_payload() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, transparent());
    net.say(client, &format!(r#"[48,1,{{{ENC}}},"wamp.session.count",{BINARY}]"#));
    assert!(net.heard(client)[0].starts_with(r#"[8,48,1,{},"wamp.error.feature_not_supported""#));
}
