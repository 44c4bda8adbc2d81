//! Roles: the refused requests of a session, and the texts of refusals.

use wamp_core::Time;
use wamp_core::auth::Identity;
use wamp_core::router::{self, Actions, Disclosure, Join, Meta, Pattern, Realm, Role, Rule};
use wamp_proto::message::HelloDetails;
use wamp_proto::{Serializer, uri};

use crate::net::{Client, Net, all_roles, basic_roles};

/// A realm with these roles.
fn net(roles: impl IntoIterator<Item = Role>) -> Net {
    let mut config = router::Config::new("realm1");
    for role in roles {
        config.roles.insert(role);
    }
    Net::with(config)
}

/// A role that may use `com.shop.`, but not `com.shop.admin.`.
fn user() -> Role {
    Role::new("user")
        .allow(Actions::ALL, Pattern::prefix("com.shop."))
        .deny(Pattern::prefix("com.shop.admin."))
        .allow(Actions::CALL, Pattern::exact("com.shop.admin.ping"))
}

fn join(net: &mut Net, role: &'static str) -> Client {
    net.raw_as(Serializer::Json, basic_roles(), Identity::new(format!("a {role}"), role, "ticket"))
}

const DENIED: &str = r#""wamp.error.not_authorized",["this session is not authorized to do this"]]"#;

// behaviour 255, behaviour 257
#[test]
fn each_request_is_refused_where_no_rule_allows_it() {
    let mut net = net([user(), Role::everything("admin")]);
    let (user, admin) = (join(&mut net, "user"), join(&mut net, "admin"));
    net.say(admin, r#"[64,1,{},"com.shop.admin.close"]"#);
    net.say(admin, r#"[64,2,{},"com.shop.admin.ping"]"#);
    net.heard(admin);
    let refused = [
        (r#"[48,1,{},"com.shop.admin.close"]"#, 48, 1),
        (r#"[48,2,{},"com.shop.admin.nothing"]"#, 48, 2),
        (r#"[48,3,{},"org.other"]"#, 48, 3),
        (r#"[64,4,{},"com.shop.admin.mine"]"#, 64, 4),
        (r#"[64,5,{"match":"prefix"},"com.shop."]"#, 64, 5),
        (r#"[64,6,{"match":"prefix"},"com"]"#, 64, 6),
        (r#"[32,7,{},"com.shop.admin.log"]"#, 32, 7),
        (r#"[32,8,{"match":"prefix"},"com.shop."]"#, 32, 8),
        (r#"[32,9,{"match":"wildcard"},"com.shop..log"]"#, 32, 9),
        (r#"[16,10,{"acknowledge":true},"com.shop.admin.log"]"#, 16, 10),
    ];
    for (said, kind, request) in refused {
        net.say(user, said);
        assert_eq!(net.heard(user), [format!("[8,{kind},{request},{{}},{DENIED}")], "{said}");
    }
    assert_eq!(net.heard(admin), [""; 0], "nothing arrives");
    let testament = r#"["com.shop.admin.log",[],{}]"#;
    net.say(user, &format!(r#"[48,11,{{}},"wamp.session.add_testament",{testament}]"#));
    assert!(net.heard(user).concat().starts_with(r#"[8,48,11,{},"wamp.error.not_authorized""#));
    // Without acknowledgement, a publication is dropped and counted.
    let before = net.realm.stats().publications_refused;
    net.say(user, r#"[16,11,{},"com.shop.admin.log"]"#);
    assert_eq!((net.heard(user).len(), net.realm.stats().publications_refused), (0, before + 1));

    for said in [
        r#"[48,12,{},"com.shop.admin.ping"]"#,
        r#"[64,13,{},"com.shop.mine"]"#,
        r#"[64,14,{"match":"prefix"},"com.shop.mine."]"#,
        r#"[32,15,{"match":"prefix"},"com.shop.orders."]"#,
        r#"[16,16,{"acknowledge":true},"com.shop.orders.new"]"#,
    ] {
        net.say(user, said);
        let heard = net.heard(user).concat();
        assert!(!heard.contains("wamp.error"), "{said}: {heard}");
    }
    assert!(net.heard(admin).concat().starts_with("[68,"), "the call arrives");
}

// behaviour 256
#[test]
fn a_denied_session_learns_nothing_and_a_malformed_request_is_told() {
    let mut net = net([Role::new("nothing"), Role::everything("admin")]);
    let (nothing, admin) = (join(&mut net, "nothing"), join(&mut net, "admin"));
    net.say(admin, r#"[64,1,{},"com.shop.known"]"#);
    for (request, procedure) in [(1, "com.shop.known"), (2, "com.shop.unknown")] {
        net.say(nothing, &format!(r#"[48,{request},{{}},"{procedure}"]"#));
        assert_eq!(net.heard(nothing), [format!("[8,48,{request},{{}},{DENIED}")]);
    }
    for (request, said, error) in [
        (3, r#"[48,3,{},"com..x"]"#, "invalid_uri"),
        (4, r#"[64,4,{},"wamp.mine"]"#, "invalid_uri"),
        (5, r#"[32,5,{"match":"other"},"com.x"]"#, "invalid_argument"),
        (6, r#"[64,6,{"concurrency":0},"com.x"]"#, "invalid_argument"),
    ] {
        net.say(nothing, said);
        let heard = net.heard(nothing).concat();
        assert!(heard.contains(&format!(",{request},{{}},\"wamp.error.{error}\"")), "{heard}");
    }
}

// behaviour 255
#[test]
fn the_right_to_read_with_the_meta_api_gives_no_other_topics() {
    let mut net = net([Role::new("guest"), Role::everything("admin")]);
    let (guest, admin) = (join(&mut net, "guest"), join(&mut net, "admin"));
    // This prefix also matches "wampum.x".
    net.say(guest, r#"[32,1,{"match":"prefix"},"wamp"]"#);
    assert_eq!(net.heard(guest), [format!("[8,32,1,{{}},{DENIED}")]);
    net.say(guest, r#"[32,2,{"match":"prefix"},"wamp."]"#);
    net.say(admin, r#"[32,1,{"match":"prefix"},"wamp"]"#);
    for client in [guest, admin] {
        assert!(net.heard(client).concat().starts_with("[33,"));
    }
    net.say(admin, r#"[16,2,{},"wampum.x"]"#);
    assert_eq!(net.heard(guest), [""; 0]);
}

// behaviour 255
#[test]
fn a_role_that_may_do_nothing_leaves_cleanly() {
    let mut net = net([Role::new("nothing")]);
    let client = join(&mut net, "nothing");
    net.say(client, r#"[49,7,{}]"#);
    net.say(client, r#"[66,8,1]"#);
    assert!(net.heard(client).concat().contains("wamp.error.no_such_registration"));
    net.say(client, r#"[6,{},"wamp.close.close_realm"]"#);
    assert_eq!(net.heard(client), [r#"[6,{},"wamp.close.goodbye_and_out"]"#]);
}

// behaviour 259
#[test]
fn a_role_that_is_not_configured_is_refused() {
    let mut config = router::Config::new("realm1");
    let join = |realm: &mut Realm, role: &'static str| {
        let details = HelloDetails { roles: all_roles(), ..HelloDetails::default() };
        let (serializer, transport) = (Serializer::Json, Default::default());
        let join = Join { details, serializer, max_message: 1 << 20, transport };
        realm.join_as(Time::ORIGIN, join, Identity::new("joe", role, "ticket").into()).map_err(|(uri, _)| uri)
    };
    let mut open = Realm::new(config.clone(), 1);
    assert!(join(&mut open, "user").is_ok(), "without roles everything is allowed");
    config.roles.insert(user());
    let mut realm = Realm::new(config, 1);
    assert!(join(&mut realm, "user").is_ok());
    assert_eq!(join(&mut realm, "admin"), Err(uri::NO_SUCH_ROLE));
}

// behaviour 260
#[test]
fn a_rule_decides_about_disclosure_before_the_realm() {
    let rule = |disclosure, name| Rule::new(Actions::ALL, Pattern::prefix(name)).disclosure(disclosure);
    let role = Role::everything("user")
        .rule(rule(Disclosure::Always, "com.always."))
        .rule(rule(Disclosure::Never, "com.never."));
    let mut net = net([role]);
    let (caller, callee) = (join(&mut net, "user"), join(&mut net, "user"));
    for (request, name) in [(1, "com.always.x"), (2, "com.never.x"), (3, "com.other.x")] {
        net.say(callee, &format!(r#"[64,{request},{{}},"{name}"]"#));
    }
    net.say(callee, r#"[32,4,{"match":"prefix"},"com."]"#);
    net.heard(callee);
    for (request, name, disclosed) in
        [(1, "com.always.x", true), (2, "com.never.x", false), (3, "com.other.x", false)]
    {
        net.say(caller, &format!(r#"[48,{request},{{}},"{name}"]"#));
        net.say(caller, &format!(r#"[16,1{request},{{}},"{name}"]"#));
        let heard = net.heard(callee);
        assert_eq!(heard[0].contains(r#""caller_authid":"a user""#), disclosed, "{heard:?}");
        assert_eq!(heard[1].contains(r#""publisher_authid":"a user""#), disclosed, "{heard:?}");
    }
    net.say(caller, r#"[48,4,{"disclose_me":true},"com.never.x"]"#);
    assert!(net.heard(caller).concat().contains("wamp.error.option_disallowed.disclose_me"));
}

// behaviour 179
#[test]
fn a_role_has_its_own_part_of_the_meta_api() {
    let mut net = net([
        Role::everything("admin").meta(Meta::Control),
        Role::everything("user"),
        Role::everything("device").meta(Meta::Own),
    ]);
    let clients = ["admin", "user", "device"].map(|role| join(&mut net, role));
    for (client, reads, kills) in [(0, true, true), (1, true, false), (2, false, false)] {
        net.say(clients[client], r#"[48,1,{},"wamp.session.count"]"#);
        assert_eq!(net.heard(clients[client]).concat().starts_with("[50,"), reads);
        net.say(clients[client], r#"[48,2,{},"wamp.session.kill",[1]]"#);
        let error = if kills { "no_such_session" } else { "not_authorized" };
        assert!(net.heard(clients[client]).concat().contains(error));
        net.say(clients[client], r#"[32,3,{},"wamp.session.on_join"]"#);
        assert_eq!(net.heard(clients[client]).concat().starts_with("[33,"), reads);
    }
}
