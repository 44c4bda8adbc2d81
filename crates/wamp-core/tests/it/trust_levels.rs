//! Trust levels of calls and publications, and the disclosure of callers where several settings meet.

use wamp_core::auth::Identity;
use wamp_core::router::{Actions, Config, Disclosure, Pattern, Role, Rule};
use wamp_proto::Serializer;

use crate::net::{Client, Net, basic_roles};

fn join(net: &mut Net, role: &'static str) -> Client {
    net.raw_as(Serializer::Json, basic_roles(), Identity::new("joe", role, "ticket"))
}

fn all() -> Pattern {
    Pattern::prefix("")
}

// behaviour 116
#[test]
fn calls_and_events_have_the_trust_level_of_their_rule() {
    let mut config = Config::new("realm1");
    config.roles.insert(Role::everything("backend"));
    config.roles.insert(Role::new("guest").rule(Rule::new(Actions::ALL, all()).trustlevel(0)));
    config.roles.insert(
        Role::new("staff")
            .rule(Rule::new(Actions::ALL, all()).trustlevel(7).disclosure(Disclosure::Always))
            .rule(Rule::new(Actions::ALL, Pattern::exact("com.myapp.plain"))),
    );
    let mut net = Net::with(config);
    let backend = join(&mut net, "backend");
    for (request, uri) in [(1, "com.myapp.op"), (2, "com.myapp.plain")] {
        net.say(backend, &format!(r#"[64,{request},{{}},"{uri}"]"#));
    }
    net.say(backend, r#"[32,3,{"match":"prefix"},"com.myapp."]"#);
    net.heard(backend);
    for (role, details, plain) in [
        ("guest", r#""trustlevel":0"#, r#""trustlevel":0"#),
        ("staff", r#""{}":0,"{}_authid":"joe","{}_authrole":"staff","trustlevel":7"#, ""),
        ("backend", "", ""),
    ] {
        let client = join(&mut net, role);
        let id = net.key(client).id().to_string();
        for (request, uri, expected) in [(1, "com.myapp.op", details), (2, "com.myapp.plain", plain)] {
            let of = |who: &str| expected.replace("{}", who).replace(":0,", &format!(":{id},"));
            net.say(client, &format!(r#"[48,{request},{{}},"{uri}"]"#));
            let heard = net.heard(backend).concat();
            assert!(heard.contains(&format!(",{request},{{{}}}]", of("caller"))), "{role}: {heard}");
            let topic = format!(r#""topic":"{uri}""#);
            net.say(client, &format!(r#"[16,{},{{}},"{uri}"]"#, request + 2));
            let heard = net.heard(backend).concat();
            let parts = Vec::from_iter([topic, of("publisher")].into_iter().filter(|part| !part.is_empty()));
            assert!(heard.contains(&format!("{{{}}}]", parts.join(","))), "{role}: {heard}");
        }
    }
}

// behaviour 116
#[test]
fn retained_events_and_testaments_have_the_trust_level_of_their_publisher() {
    let mut config = Config::new("realm1");
    config.roles.insert(Role::new("staff").rule(Rule::new(Actions::ALL, all()).trustlevel(3)));
    let mut net = Net::with(config);
    let (publisher, late) = (join(&mut net, "staff"), join(&mut net, "staff"));
    net.say(publisher, r#"[16,1,{"retain":true},"com.myapp.state"]"#);
    let testament = r#"[48,2,{},"wamp.session.add_testament",["com.myapp.state",[],{}]]"#;
    net.say(publisher, testament);
    net.say(late, r#"[32,1,{"get_retained":true},"com.myapp.state"]"#);
    assert!(net.heard(late)[1].contains(r#"{"retained":true,"trustlevel":3}"#));
    net.cut(publisher);
    assert!(net.heard(late)[0].contains(r#"{"trustlevel":3}"#));
}

// behaviour 280, behaviour 281
#[test]
fn trust_levels_are_announced_where_they_are_configured() {
    for (actions, call, publication) in [
        (Actions::NONE, false, false),
        (Actions::CALL, true, false),
        (Actions::PUBLISH | Actions::SUBSCRIBE, false, true),
        (Actions::ALL, true, true),
    ] {
        let mut config = Config::new("realm1");
        config.roles.insert(Role::new("anonymous").rule(Rule::new(actions, all()).trustlevel(1)));
        let mut net = Net::with(config);
        let client = net.add_raw(Serializer::Json, basic_roles());
        let welcome = net.heard(client).concat();
        assert_eq!(welcome.contains(r#""call_trustlevels":true"#), call, "{welcome}");
        assert_eq!(welcome.contains(r#""publication_trustlevels":true"#), publication, "{welcome}");
    }
}

// behaviour 149
#[test]
fn a_rule_decides_about_disclosure_before_the_realm_and_never_wins_over_wishes() {
    use Disclosure::{Always, Never, OnRequest};
    for rule in [None, Some(OnRequest), Some(Always), Some(Never)] {
        for realm in [OnRequest, Always, Never] {
            for (caller_asks, callee_asks) in [(false, false), (true, false), (false, true), (true, true)] {
                let mut config = Config::new("realm1");
                config.disclosure = realm;
                config.roles.insert(Role::everything("backend"));
                let own = Rule::new(Actions::ALL, all());
                let own = match rule {
                    Some(disclosure) => own.disclosure(disclosure),
                    None => own,
                };
                config.roles.insert(Role::new("user").rule(own));
                let mut net = Net::with(config);
                let (callee, caller) = (join(&mut net, "backend"), join(&mut net, "user"));
                net.say(callee, &format!(r#"[64,1,{{"disclose_caller":{callee_asks}}},"com.myapp.op"]"#));
                net.heard(callee);
                net.say(caller, &format!(r#"[48,1,{{"disclose_me":{caller_asks}}},"com.myapp.op"]"#));
                let (invoked, answered) = (net.heard(callee).concat(), net.heard(caller).concat());
                let case = format!("{rule:?} {realm:?} {caller_asks} {callee_asks}: {invoked}{answered}");
                match rule.unwrap_or(realm) {
                    Never if caller_asks => {
                        assert!(answered.contains("wamp.error.option_disallowed.disclose_me"), "{case}");
                    }
                    Never => assert_eq!(invoked, "[68,1,1,{}]", "{case}"),
                    Always => assert!(invoked.contains(r#""caller_authid":"joe""#), "{case}"),
                    _ => assert_eq!(invoked.contains(r#""caller""#), caller_asks || callee_asks, "{case}"),
                }
                net.say(callee, "[70,1,{}]");
                assert!(!net.heard(caller).concat().contains("callee"), "{case}");
            }
        }
    }
}
