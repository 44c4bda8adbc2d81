//! A configuration that changes while sessions are open: which of them end, and what the others lose.

use wamp_core::auth::Identity;
use wamp_core::router::{self, Actions, Closing, Credit, Event, Meta, Pattern, Role};
use wamp_proto::{Feature, Features, Message, Role as WampRole, Roles, Serializer, uri};

use crate::credit::{WINDOW, counting, small_windows};
use crate::net::{Client, Net, all_roles, basic_roles};

fn config(roles: impl IntoIterator<Item = Role>) -> router::Config {
    let mut config = router::Config::new("realm1");
    roles.into_iter().for_each(|role| config.roles.insert(role));
    config
}

/// The configuration changes, and everybody is still admitted.
fn reconfigure(net: &mut Net, roles: impl IntoIterator<Item = Role>) {
    net.realm.reconfigure(net.now, config(roles), |_| true);
    net.run();
}

/// Announces that its registrations and subscriptions may be revoked.
fn revocable() -> Roles {
    basic_roles()
        .with(WampRole::Caller, Features::none().with(Feature::ProgressiveCallResults))
        .with(
            WampRole::Callee,
            Features::none().with(Feature::RegistrationRevocation).with(Feature::ProgressiveCallResults),
        )
        .with(WampRole::Subscriber, Features::none().with(Feature::SubscriptionRevocation))
}

fn join(net: &mut Net, authid: &'static str, role: &'static str) -> Client {
    net.raw_as(Serializer::Json, revocable(), Identity::new(authid, role, "ticket"))
}

fn user() -> Role {
    Role::new("user").allow(Actions::ALL, Pattern::prefix("com.shop."))
}

// behaviour 267
#[test]
fn registrations_and_subscriptions_without_a_right_are_revoked_and_calls_go_on() {
    let mut net = Net::with(config([user()]));
    let (joe, sue) = (join(&mut net, "joe", "user"), join(&mut net, "sue", "user"));
    net.say(joe, r#"[64,1,{},"com.shop.buy"]"#);
    net.say(joe, r#"[64,2,{},"com.shop.admin.close"]"#);
    net.say(joe, r#"[64,3,{"match":"prefix"},"com.shop."]"#);
    net.say(joe, r#"[32,4,{},"com.shop.orders"]"#);
    net.say(joe, r#"[32,5,{},"com.shop.admin.log"]"#);
    net.say(joe, r#"[32,6,{"match":"wildcard"},"com.shop..log"]"#);
    net.say(sue, r#"[48,1,{"receive_progress":true},"com.shop.admin.close"]"#);
    net.heard(joe);

    reconfigure(&mut net, [user().deny(Pattern::prefix("com.shop.admin."))]);
    let reason = r#""reason":"wamp.error.not_authorized"}]"#;
    assert_eq!(
        net.heard(joe),
        [
            format!(r#"[67,0,{{"registration":2,{reason}"#),
            format!(r#"[67,0,{{"registration":3,{reason}"#),
            format!(r#"[35,0,{{"subscription":2,{reason}"#),
            format!(r#"[35,0,{{"subscription":3,{reason}"#),
        ],
        "and nothing of what it may still have"
    );
    assert_eq!((net.realm.sizes().registrations, net.realm.sizes().topics), (1, 1));
    // The call that has begun goes on.
    net.say(joe, r#"[70,1,{"progress":true},[1]]"#);
    net.say(joe, "[70,1,{},[2]]");
    assert_eq!(net.heard(sue), [r#"[50,1,{"progress":true},[1],{}]"#, "[50,1,{},[2]]"]);
    // New ones are judged by the new rules, and events arrive only where they may.
    net.say(sue, r#"[48,2,{},"com.shop.admin.close"]"#);
    net.say(sue, r#"[48,3,{},"com.shop.other"]"#);
    net.say(sue, r#"[48,4,{},"com.shop.buy"]"#);
    net.say(sue, r#"[16,5,{"acknowledge":true},"com.shop.admin.log"]"#);
    net.say(sue, r#"[16,6,{},"com.shop.orders"]"#);
    let heard = net.heard(sue).concat();
    assert!(heard.contains(r#"[8,48,2,{},"wamp.error.not_authorized""#), "{heard}");
    assert!(heard.contains(r#"[8,48,3,{},"wamp.error.no_such_procedure""#), "{heard}");
    assert!(heard.contains(r#"[8,16,5,{},"wamp.error.not_authorized""#), "{heard}");
    let heard = net.heard(joe);
    assert!(
        heard.len() == 2 && heard[0].starts_with("[68,2,1,") && heard[1].starts_with("[36,1,"),
        "{heard:?}"
    );
    // A right that comes back brings nothing back.
    reconfigure(&mut net, [user()]);
    assert_eq!((net.heard(joe), net.realm.sizes().registrations), (Vec::new(), 1));
}

// behaviour 267
#[test]
fn what_stays_is_just_what_could_be_declared_anew() {
    let patterns = [
        ("exact", "com.a"),
        ("exact", "com.b.c"),
        ("prefix", "com."),
        ("prefix", "com.b."),
        ("wildcard", "com..c"),
        ("wildcard", ".b.c"),
    ];
    let roles = || {
        [
            Role::new("user"),
            Role::everything("user"),
            Role::new("user").allow(Actions::ALL, Pattern::prefix("com.b.")),
            Role::everything("user").deny(Pattern::exact("com.b.c")),
            Role::new("user").allow(Actions::SUBSCRIBE, Pattern::prefix("com.")),
            Role::new("user").allow(Actions::REGISTER, Pattern::wildcard("com..c")),
            Role::everything("user")
                .deny(Pattern::prefix("com.b."))
                .allow(Actions::ALL, Pattern::exact("com.b.c")),
        ]
    };
    let mut revoked = 0;
    for before in roles() {
        for after in roles() {
            let mut net = Net::with(config([before.clone()]));
            let client = join(&mut net, "joe", "user");
            let mut request = 0;
            let mut declare = |net: &mut Net| {
                for (policy, uri) in patterns {
                    for code in [64, 32] {
                        request += 1;
                        net.say(client, &format!(r#"[{code},{request},{{"match":"{policy}"}},"{uri}"]"#));
                    }
                }
                net.received(client).iter().filter(|it| !matches!(it, Message::Error(_))).count()
            };
            let declared = declare(&mut net);
            reconfigure(&mut net, [after.clone()]);
            let lost = net.received(client).len();
            revoked += lost;
            // The same as if it had declared everything that it had under the new role alone.
            let mut other = Net::with(config([after.clone()]));
            let fresh = join(&mut other, "joe", "user");
            let (mut left, mut request) = (0, 0);
            for (policy, uri) in patterns {
                for (code, action) in [(64, Actions::REGISTER), (32, Actions::SUBSCRIBE)] {
                    request += 1;
                    let pattern = match policy {
                        "exact" => Pattern::exact(uri),
                        "prefix" => Pattern::prefix(uri),
                        _ => Pattern::wildcard(uri),
                    };
                    other.say(fresh, &format!(r#"[{code},{request},{{"match":"{policy}"}},"{uri}"]"#));
                    let is_allowed = !matches!(other.received(fresh)[..], [Message::Error(_)]);
                    left += usize::from(is_allowed && before.allows_pattern(action, &pattern));
                }
            }
            let sizes = net.realm.sizes();
            assert_eq!((sizes.registrations + sizes.topics, lost), (left, declared - left));
        }
    }
    assert!(revoked > 100, "{revoked}");
}

// behaviour 267, behaviour 268
#[test]
fn a_session_ends_without_its_role_or_its_principal_and_others_stay() {
    let mut net = Net::with(config([user(), Role::everything("admin")]));
    let (joe, sue) = (join(&mut net, "joe", "user"), join(&mut net, "sue", "user"));
    let ann = join(&mut net, "ann", "admin");
    net.say(ann, r#"[32,1,{},"wamp.session.on_leave"]"#);
    net.say(joe, r#"[64,1,{},"com.shop.buy"]"#);
    net.say(sue, r#"[64,1,{},"com.shop.sell"]"#);
    net.say(ann, r#"[48,2,{},"com.shop.buy"]"#);
    for client in [joe, sue, ann] {
        net.heard(client);
    }
    net.realm.reconfigure(net.now, config([user(), Role::everything("admin")]), |identity| {
        &*identity.authid != "joe"
    });
    net.run();
    let text = "the configuration has changed: join again";
    assert_eq!(net.heard(joe), [format!(r#"[6,{{"message":"{text}"}},"wamp.error.authentication_failed"]"#)]);
    let heard = net.heard(ann);
    assert!(heard[0].starts_with(r#"[8,48,2,{},"wamp.error.canceled""#), "{heard:?}");
    assert!(heard[1].contains(r#""joe""#) && heard.len() == 2, "{heard:?}");
    assert_eq!(net.heard(sue), [""; 0]);

    reconfigure(&mut net, [Role::everything("admin")]);
    let text = "this realm does not have the role of the session any more";
    assert_eq!(net.heard(sue), [format!(r#"[6,{{"message":"{text}"}},"wamp.error.no_such_role"]"#)]);
    assert_eq!(net.heard(ann).len(), 1, "the event about it");
    // Without any role each session may do everything.
    reconfigure(&mut net, []);
    net.say(ann, r#"[64,3,{},"org.other"]"#);
    assert_eq!(net.heard(ann), ["[65,3,3]"]);
}

// behaviour 267
#[test]
fn without_the_right_to_read_the_subscriptions_of_meta_topics_end() {
    let mut net = Net::with(config([Role::everything("user")]));
    let (joe, sue) = (join(&mut net, "joe", "user"), join(&mut net, "sue", "user"));
    net.say(joe, r#"[32,1,{},"wamp.session.on_leave"]"#);
    net.say(joe, r#"[32,2,{"match":"prefix"},"wamp"]"#);
    net.say(joe, r#"[32,3,{},"com.shop.orders"]"#);
    net.heard(joe);
    reconfigure(&mut net, [Role::everything("user").meta(Meta::Own)]);
    assert_eq!(net.heard(joe).len(), 2);
    net.cut(sue);
    assert_eq!((net.heard(joe), net.realm.sizes().topics), (Vec::new(), 1));
    // In a realm without roles its own setting decides.
    let mut net = Net::new();
    let joe = net.raw(Serializer::Json, revocable());
    net.say(joe, r#"[32,1,{},"wamp.session.on_leave"]"#);
    net.heard(joe);
    let mut config = config([]);
    config.meta = Meta::Own;
    net.realm.reconfigure(net.now, config, |_| true);
    net.run();
    assert_eq!((net.heard(joe).len(), net.realm.sizes().topics), (1, 0));
}

// behaviour 268
#[test]
fn limits_hold_for_the_next_request_and_clients_are_not_told_anything_else_than_before() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[64,1,{},"com.a"]"#);
    net.say(client, r#"[64,2,{},"com.b"]"#);
    net.heard(client);
    let mut config = router::Config::new("another");
    config.limits.registrations = 1;
    config.credit = None;
    net.realm.reconfigure(net.now, config, |_| true);
    net.run();
    net.say(client, r#"[64,3,{},"com.c"]"#);
    let heard = net.heard(client).concat();
    assert!(heard.starts_with(r#"[8,64,3,{},"wamp.error.unavailable""#), "{heard}");
    assert_eq!((net.realm.sizes().registrations, net.realm.name().as_str()), (2, "realm1"));
    // Whether there is credit has been said in WELCOME.
    net.join_counting(Serializer::Json, 1000, 1000);
}

// behaviour 268
#[test]
fn the_window_of_credit_stays_as_welcome_has_said_it() {
    let mut net = Net::with(small_windows());
    let (callee, caller) =
        (net.raw(Serializer::Json, counting(WINDOW)), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    let mut config = small_windows();
    config.credit = Some(Credit { window: 100 * WINDOW, max_window: 100 * WINDOW, ..Credit::default() });
    net.realm.reconfigure(net.now, config, |_| true);
    net.run();
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    // The callee has sent all that the window of WELCOME allows.
    for _ in 0..10 {
        net.say(callee, r#"[70,1,{"progress":true},["234567"]]"#);
    }
    let heard = net.heard(callee).concat();
    assert!(heard.contains("[256,1,{},"), "it gets more credit: {heard}");
}

// behaviour 134, 268
#[test]
fn a_testament_of_a_session_whose_role_is_gone_is_not_published() {
    for keeps in [true, false] {
        let admin = || Role::everything("admin");
        let mut net = Net::with(config([user(), admin()]));
        let (watcher, joe) = (join(&mut net, "anna", "admin"), join(&mut net, "joe", "user"));
        net.say(watcher, r#"[32,1,{},"com.shop.gone"]"#);
        net.say(joe, r#"[48,1,{},"wamp.session.add_testament",["com.shop.gone",[]]]"#);
        assert_eq!(net.heard(joe).len(), 1);
        net.heard(watcher);
        reconfigure(&mut net, [admin()].into_iter().chain(keeps.then(user)));
        net.cut(joe);
        assert_eq!(net.heard(watcher).len(), usize::from(keeps));
        assert_eq!(net.realm.sizes().testament_bytes, 0);
    }
}

// behaviour 267
#[test]
fn sessions_are_judged_in_portions() {
    const MANY: usize = 1000;
    let mut net = Net::with(config([user()]));
    let joe = join(&mut net, "joe", "user");
    let others: Vec<Client> = (0..MANY).map(|_| join(&mut net, "sue", "user")).collect();
    for n in 1..=MANY {
        net.say(joe, &format!(r#"[64,{n},{{}},"com.shop.p{n}"]"#));
    }
    net.heard(joe);
    net.drains = false;
    reconfigure(&mut net, [Role::new("user").allow(Actions::CALL, Pattern::prefix("com.shop."))]);
    let mut revoked = net.heard(joe).len();
    assert!(revoked <= 256, "{revoked}");
    // Before its turn it is judged by the old rules, and then it loses that, too.
    net.say(joe, &format!(r#"[64,{},{{}},"com.shop.late"]"#, MANY + 1));
    // Others are served in between, and one that joins has the new rules.
    net.say(others[0], r#"[48,1,{},"com.shop.nothing"]"#);
    assert!(net.heard(others[0]).concat().contains("no_such_procedure"));
    let new = join(&mut net, "ann", "user");
    net.say(new, r#"[64,1,{},"com.shop.new"]"#);
    assert!(net.heard(new).concat().contains("not_authorized"));
    while net.portion() {
        let more = net.heard(joe).len();
        assert!(more <= 257, "{more}");
        revoked += more;
    }
    assert_eq!((net.realm.sizes().registrations, net.realm.sizes().topics), (0, 0));
    assert!(revoked >= MANY);
    // A session that leaves before its turn, and a second change before the end of the first.
    net.drains = false;
    reconfigure(&mut net, [user()]);
    net.realm.handle_closed(net.now, net.key(others[1]));
    reconfigure(&mut net, [Role::new("another")]);
    while net.portion() {}
    assert_eq!(net.heard(others[2]).len(), 1);
    assert!(net.heard(joe).concat().contains("no_such_role"));
}

// behaviour 269
#[test]
fn a_realm_that_is_removed_ends_calls_then_sessions_and_takes_no_more() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.a"]"#);
    net.say(caller, r#"[48,1,{},"com.a"]"#);
    net.heard(callee);
    // A shutdown would end it without GOODBYE, since it would come back.
    net.realm.set_without_goodbye(net.key(caller));
    net.realm.close_realm(net.now);
    net.run();
    let heard = net.heard(caller);
    assert!(heard[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{heard:?}");
    let goodbye = r#"[6,{"message":"the realm has been removed"},"wamp.close.close_realm"]"#;
    assert_eq!(heard[1], goodbye);
    assert_eq!(net.heard(callee).last().unwrap(), goodbye);
    let join = router::Join {
        details: wamp_proto::message::HelloDetails { roles: all_roles(), ..Default::default() },
        serializer: Serializer::Json,
        max_message: usize::MAX,
        transport: Default::default(),
    };
    assert_eq!(net.realm.join(net.now, join).unwrap_err().0, uri::NO_SUCH_REALM);
    assert!(!net.realm.has_ended());
    for client in [callee, caller] {
        net.say(client, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
        let closed = Event::Closed { session: net.key(client), closing: Closing::Goodbye };
        assert!(net.closed.contains(&closed), "its link may join another realm");
    }
    assert!(net.realm.has_ended());
    // A shutdown of the router adds nothing.
    net.realm.shut_down(net.now);
    net.run();
    assert!(net.realm.has_ended() && net.heard(caller).is_empty());
}
