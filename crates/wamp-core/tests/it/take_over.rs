//! REGISTER with `force_reregister`: who may take a registration over, and what its callees hear.

use wamp_core::auth::Identity;
use wamp_core::router::{Actions, Config, Pattern, Role, Rule};
use wamp_proto::{Feature, Features, Role as Of, Serializer};

use crate::net::{Client, Net, all_roles, basic_roles};

fn join(net: &mut Net, authid: &'static str, role: &'static str, method: &'static str) -> Client {
    let callee = Features::none().with(Feature::RegistrationRevocation);
    let roles = all_roles().with(Of::Callee, callee);
    net.raw_as(Serializer::Json, roles, Identity::new(authid, role, method))
}

const TAKES: &str = r#"[64,1,{"force_reregister":true},"com.myapp.longop"]"#;

// behaviour 146
#[test]
fn a_session_takes_over_what_another_one_of_the_same_client_has() {
    let mut net = Net::new();
    let watcher = net.raw(Serializer::Json, basic_roles());
    net.say(watcher, r#"[32,1,{"match":"prefix"},"wamp.registration."]"#);
    let caller = net.raw(Serializer::Json, all_roles());
    let stale = join(&mut net, "joe", "backend", "ticket");
    net.say(stale, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(stale), ["[65,1,1]", "[68,1,1,{}]"]);
    net.heard(watcher);

    let newcomer = join(&mut net, "joe", "backend", "cryptosign");
    net.say(newcomer, TAKES);
    assert_eq!(net.heard(stale), [r#"[67,0,{"registration":1,"reason":"wamp.error.unregistered"}]"#]);
    assert_eq!(net.heard(newcomer), ["[65,1,2]"]);
    let (old, new) = (net.key(stale).id().get(), net.key(newcomer).id().get());
    let topics = net.heard(watcher).into_iter().map(|event| {
        let event: serde_json::Value = serde_json::from_str(&event).unwrap();
        (event[3]["topic"].as_str().unwrap().to_owned(), event[4][0].as_u64().unwrap())
    });
    let expected = [("on_unregister", old), ("on_delete", old), ("on_create", new), ("on_register", new)];
    let expected = expected.map(|(topic, session)| (format!("wamp.registration.{topic}"), session));
    assert_eq!(Vec::from_iter(topics), expected);

    // The call under way ends where it is, and an UNREGISTER that crosses the revocation finds nothing.
    net.say(stale, "[66,2,1]");
    assert!(net.heard(stale)[0].starts_with(r#"[8,66,2,{},"wamp.error.no_such_registration""#));
    net.say(stale, r#"[70,1,{},["late"]]"#);
    assert_eq!(net.heard(caller), [r#"[50,1,{},["late"]]"#]);
    net.say(caller, r#"[48,2,{},"com.myapp.longop"]"#);
    assert_eq!((net.heard(newcomer), net.heard(stale)), (vec!["[68,1,2,{}]".to_owned()], vec![]));
    net.cut(stale);
    net.cut(newcomer);
    assert_eq!(net.realm.sizes().registrations, 0);
}

// behaviour 146
#[test]
fn a_registration_of_another_client_cannot_be_taken_over() {
    for (authid, role, method) in
        [("jane", "backend", "ticket"), ("joe", "frontend", "ticket"), ("joe", "backend", "anonymous")]
    {
        let mut net = Net::new();
        let callee = join(&mut net, "joe", "backend", "ticket");
        net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
        net.heard(callee);
        let other = join(&mut net, authid, role, method);
        net.say(other, TAKES);
        let heard = net.heard(other);
        assert!(
            heard[0].starts_with(r#"[8,64,1,{},"wamp.error.procedure_already_exists""#),
            "{authid} {role} {method}: {heard:?}"
        );
        assert!(net.heard(callee).is_empty());
        net.say(other, r#"[48,2,{},"com.myapp.longop"]"#);
        assert_eq!(net.heard(callee), ["[68,1,1,{}]"]);
    }
}

// behaviour 146
#[test]
fn a_shared_registration_is_taken_over_from_all_its_callees_or_from_none() {
    for second in ["joe", "jane"] {
        let mut net = Net::new();
        let callees =
            [join(&mut net, "joe", "backend", "ticket"), join(&mut net, second, "backend", "ticket")];
        for callee in callees {
            net.say(callee, r#"[64,1,{"invoke":"roundrobin"},"com.myapp.longop"]"#);
            net.heard(callee);
        }
        // One that fits needs no take-over, whatever its callees are.
        let third = join(&mut net, "joe", "backend", "ticket");
        net.say(third, r#"[64,1,{"invoke":"roundrobin","force_reregister":true},"com.myapp.longop"]"#);
        assert_eq!(net.heard(third), ["[65,1,1]"]);
        let newcomer = join(&mut net, "joe", "backend", "ticket");
        net.say(newcomer, TAKES);
        let revoked = r#"[67,0,{"registration":1,"reason":"wamp.error.unregistered"}]"#;
        for callee in [callees[0], callees[1], third] {
            let heard = net.heard(callee);
            let expected = [revoked].into_iter().filter(|_| second == "joe");
            assert_eq!(heard, Vec::from_iter(expected), "{second}");
        }
        assert_eq!(net.heard(newcomer)[0] == "[65,1,2]", second == "joe");
    }
}

// behaviour 147
#[test]
fn a_session_that_has_a_procedure_registers_it_again_only_by_taking_over() {
    for invoke in ["single", "roundrobin"] {
        let mut net = Net::new();
        let callee = join(&mut net, "joe", "backend", "ticket");
        for request in 1..=2 {
            net.say(callee, &format!(r#"[64,{request},{{"invoke":"{invoke}"}},"com.myapp.longop"]"#));
        }
        let heard = net.heard(callee);
        assert!(heard[1].starts_with(r#"[8,64,2,{},"wamp.error.procedure_already_exists""#), "{heard:?}");
        let again = format!(r#"[64,3,{{"invoke":"{invoke}","force_reregister":true}},"com.myapp.longop"]"#);
        net.say(callee, &again);
        let revoked = r#"[67,0,{"registration":1,"reason":"wamp.error.unregistered"}]"#;
        assert_eq!(net.heard(callee), [revoked, "[65,3,2]"]);
        net.say(callee, "[66,4,2]");
        assert_eq!(net.heard(callee), ["[67,4]"]);
        assert_eq!(net.realm.sizes().registrations, 0);
    }
}

// behaviour 146
#[test]
fn a_rule_may_let_a_role_take_over_everything() {
    let mut config = Config::new("realm1");
    let all = || Pattern::prefix("com.myapp.");
    config.roles.insert(Role::new("backend").allow(Actions::ALL, all()));
    config.roles.insert(
        Role::new("admin")
            .rule(Rule::new(Actions::ALL, all()).force(true))
            .rule(Rule::new(Actions::ALL, Pattern::exact("com.myapp.own"))),
    );
    let mut net = Net::with(config);
    let callee = join(&mut net, "joe", "backend", "ticket");
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[64,2,{"match":"prefix"},"com.myapp.a."]"#);
    net.say(callee, r#"[64,3,{},"com.myapp.own"]"#);
    net.heard(callee);
    let admin = join(&mut net, "anna", "admin", "anonymous");
    net.say(admin, TAKES);
    net.say(admin, r#"[64,2,{"match":"prefix","force_reregister":true},"com.myapp.a."]"#);
    net.say(admin, r#"[64,3,{"force_reregister":true},"com.myapp.own"]"#);
    let heard = net.heard(admin);
    assert_eq!(heard[..2], ["[65,1,4]", "[65,2,5]"]);
    assert!(heard[2].contains("wamp.error.procedure_already_exists"), "{heard:?}");
    assert_eq!(net.heard(callee).len(), 2);
}

// behaviour 146
#[test]
fn a_session_that_takes_over_its_own_procedure_holds_it_once() {
    let mut config = Config::new("realm1");
    // Two entries of 272 bytes.
    config.limits.table_bytes = 600;
    let mut net = Net::with(config);
    let callee = join(&mut net, "joe", "backend", "ticket");
    for request in 1..=5 {
        net.say(callee, &format!(r#"[64,{request},{{"force_reregister":true}},"com.myapp.longop"]"#));
    }
    let heard = net.heard(callee);
    assert_eq!((heard.len(), heard.last().unwrap().as_str()), (9, "[65,5,5]"), "{heard:?}");
    net.say(callee, r#"[64,6,{},"com.myapp.second"]"#);
    net.say(callee, r#"[64,7,{},"com.myapp.toomuch"]"#);
    let heard = net.heard(callee);
    assert!(heard[0].starts_with("[65,6,") && heard[1].starts_with("[8,64,7,"), "{heard:?}");
}

// behaviour 146
#[test]
fn a_take_over_needs_no_room_for_a_pattern_that_is_there() {
    let mut net = Net::new();
    let identity = || Identity::new("joe", "backend", "ticket");
    let stale = net.raw_as(Serializer::Json, all_roles(), identity());
    for (request, pattern) in (1..).zip(["a..x", ".b.x"]) {
        net.say(stale, &format!(r#"[64,{request},{{"match":"wildcard"}},"{pattern}"]"#));
    }
    assert_eq!(net.heard(stale).len(), 2);
    let mut config = Config::new("realm1");
    config.limits.wildcard_shapes = 1;
    net.realm.reconfigure(net.now, config, |_| true);
    net.run();
    let newcomer = net.raw_as(Serializer::Json, all_roles(), identity());
    net.say(newcomer, r#"[64,1,{"match":"wildcard","force_reregister":true},"a..x"]"#);
    assert_eq!(net.heard(newcomer), ["[65,1,3]"]);
    // A new pattern of another shape still finds no room.
    net.say(newcomer, r#"[64,2,{"match":"wildcard"},"..x"]"#);
    assert!(net.heard(newcomer)[0].starts_with(r#"[8,64,2,{},"wamp.error.unavailable""#));
}

// behaviour 146
#[test]
fn a_shared_registration_ends_with_the_last_callee_that_loses_it() {
    let mut net = Net::new();
    let watcher = net.raw(Serializer::Json, basic_roles());
    let callees = [(); 3].map(|()| join(&mut net, "joe", "backend", "ticket"));
    for callee in callees {
        net.say(callee, r#"[64,1,{"invoke":"roundrobin"},"com.myapp.longop"]"#);
        net.heard(callee);
    }
    net.say(watcher, r#"[32,1,{"match":"prefix"},"wamp.registration."]"#);
    net.heard(watcher);
    let newcomer = join(&mut net, "joe", "backend", "ticket");
    net.say(newcomer, TAKES);
    let heard = net.heard(watcher);
    let mut expected = Vec::from(callees.map(|callee| ("on_unregister", net.key(callee).id().get())));
    expected.push(("on_delete", net.key(callees[2]).id().get()));
    for (event, (topic, session)) in heard.iter().zip(expected) {
        assert!(event.contains(topic) && event.contains(&format!("[{session},1]")), "{topic}: {heard:?}");
    }
    assert_eq!(heard.len(), 6, "and the new one is created");
    for callee in callees {
        assert_eq!(net.heard(callee).len(), 1);
        net.say(callee, "[66,2,1]");
        assert!(net.heard(callee)[0].contains("wamp.error.no_such_registration"));
        net.cut(callee);
    }
    assert_eq!(net.realm.sizes().registrations, 1);
}

// behaviour 140
#[test]
fn a_callee_that_did_not_announce_revocations_is_not_told() {
    let mut net = Net::new();
    let identity = || Identity::new("joe", "backend", "ticket");
    let stale = net.raw_as(Serializer::Json, basic_roles(), identity());
    net.say(stale, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(stale);
    let newcomer = net.raw_as(Serializer::Json, basic_roles(), identity());
    net.say(newcomer, TAKES);
    assert_eq!((net.heard(newcomer), net.heard(stale).len()), (vec!["[65,1,2]".to_owned()], 0));
}
