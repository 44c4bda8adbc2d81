//! Verdicts of authorizers: when requests leave their queue, how many wait, and for how long a verdict holds.

use std::time::Duration;

use wamp_core::auth::Identity;
use wamp_core::router::{
    self, Actions, Disclosure, Event, Feed, Pattern, Role, Roles, RouterCall, Rule, Ticket, Verdict,
};
use wamp_proto::{Payload, Serializer};

use crate::authorizers::{ALLOWED, asked, decide, error, net};
use crate::net::{Client, Net, all_roles};

/// Returns how often the driver was told that requests of a session can be handled, in a net that does not handle them.
fn told(net: &mut Net, client: Client) -> usize {
    let session = net.key(client);
    let told = net.undone.iter().filter(|told| **told == session).count();
    net.undone.clear();
    told
}

fn advance(net: &mut Net, client: Client) -> bool {
    let (key, now) = (net.key(client), net.now);
    let advanced = net.realm.advance(now, key);
    net.run();
    advanced
}

// behaviour 263: so a publication keeps its place behind earlier ones, which may be delivered in portions.
#[test]
fn requests_leave_in_the_turns_of_their_session() {
    let (mut net, device, user) = net();
    net.advances = false;
    net.say(user, r#"[32,1,{},"com.t"]"#);
    net.heard(user);
    for request in 1..=3 {
        net.say(device, &format!(r#"[16,{request},{{}},"com.t"]"#));
    }
    let questions = asked(&mut net);
    decide(&mut net, questions[1].0, ALLOWED);
    assert_eq!((told(&mut net, device), advance(&mut net, device)), (0, false));
    decide(&mut net, questions[0].0, ALLOWED);
    decide(&mut net, questions[2].0, Verdict::DENIED);
    assert_eq!((told(&mut net, device), net.heard(user).len()), (1, 0), "told once, and nothing is handled");
    // A request that needs no decision waits behind them.
    net.say(device, r#"[48,4,{},"com.open"]"#);
    assert_eq!((net.heard(device).len(), net.realm.sizes().waiting), (0, 4));
    for left in [3, 2, 1] {
        assert!(advance(&mut net, device));
        assert_eq!(net.realm.sizes().waiting, left);
    }
    assert_eq!((net.heard(user).len(), net.heard(device).len()), (2, 0));
    assert!(advance(&mut net, device) && !advance(&mut net, device));
    assert_eq!(error(&net.heard(device)), "no_such_procedure");
    // It is told again of the next one.
    net.say(device, r#"[16,5,{},"com.t"]"#);
    let questions = asked(&mut net);
    decide(&mut net, questions[0].0, ALLOWED);
    assert_eq!(told(&mut net, device), 1);
}

// behaviour 263, behaviour 109: decided requests of a held session feed no full link.
#[test]
fn requests_of_a_held_session_wait_for_its_release() {
    for feed in [Feed::Events, Feed::Last] {
        let (mut net, device, user) = net();
        net.say(user, r#"[32,1,{},"com.t"]"#);
        net.heard(user);
        net.say(device, r#"[16,1,{},"com.t"]"#);
        net.say(device, r#"[32,2,{},"com.t"]"#);
        let questions = asked(&mut net);
        let (key, by) = (net.key(device), net.key(user));
        net.realm.set_full(net.now, by);
        assert!(net.realm.hold(net.now, key, by, feed));
        assert!(!net.realm.has_decided_request(key));
        for (ticket, _) in questions {
            decide(&mut net, ticket, ALLOWED);
        }
        assert_eq!((net.heard(user).len(), net.heard(device).len()), (0, 0));
        assert!(net.realm.is_held(key) && !net.realm.can_advance(key) && net.realm.has_decided_request(key));
        // Its share ends the hold, since a request of its own waits.
        net.realm.set_waiting(net.now, key);
        net.sleep(Duration::from_secs(2));
        assert!(!net.realm.is_held(key) && !net.realm.has_decided_request(key));
        let heard = net.heard(device);
        assert!(heard.len() == 1 && heard[0].starts_with("[33,2,"), "{heard:?}");
        assert_eq!((net.realm.sizes().waiting, net.realm.sizes().held), (0, 0));
    }
}

// behaviour 264: the CREDIT and the CANCEL of a call that waits for the end of a hold.
#[test]
fn a_decided_call_of_a_held_session_is_still_a_call() {
    let (mut net, device, user) = net();
    net.say(user, r#"[64,1,{},"com.p"]"#);
    net.heard(user);
    net.say(device, r#"[48,1,{"timeout":5000},"com.p"]"#);
    net.say(device, r#"[48,2,{"timeout":1000},"com.p"]"#);
    let (questions, key, by) = (asked(&mut net), net.key(device), net.key(user));
    net.realm.set_full(net.now, by);
    assert!(net.realm.hold(net.now, key, by, Feed::Stream));
    for (ticket, _) in questions {
        decide(&mut net, ticket, ALLOWED);
    }
    net.say(device, r#"[49,1,{}]"#);
    assert_eq!(error(&net.heard(device)), "canceled");
    net.sleep(Duration::from_secs(1));
    assert_eq!((error(&net.heard(device)), net.heard(user).len()), ("timeout".to_owned(), 0));
    net.realm.set_room(net.now, by);
    net.run();
    assert_eq!((net.heard(user).len(), net.realm.sizes().waiting, net.realm.sizes().deadlines), (0, 0, 0));
}

// behaviour 264: also if it has waited for as long as it may, with many requests before it.
#[test]
fn nothing_follows_a_goodbye_that_waits_no_longer() {
    let (mut net, device, user) = net();
    let key = net.key(device);
    net.advances = false;
    net.say(user, r#"[64,1,{},"com.open"]"#);
    net.heard(user);
    for request in 1..=200 {
        net.say(device, &format!(r#"[48,{request},{{}},"com.x"]"#));
    }
    net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
    net.sleep(Duration::from_secs(4));
    assert_eq!((net.heard(device).len(), net.realm.sizes().waiting), (0, 201));
    net.say(device, r#"[48,201,{},"com.open"]"#);
    for left in (0..=200).rev() {
        assert!(net.realm.is_held(key), "{left}");
        assert!(advance(&mut net, device));
    }
    let heard = net.heard(device);
    assert!(heard.len() == 201 && heard[200].starts_with("[6,"), "{}", heard.len());
    assert_eq!((net.heard(user).len(), net.realm.has(key)), (0, false));
    assert_eq!((net.realm.sizes().deadlines, net.realm.sizes().waiting), (0, 0));
}

// behaviour 265: others may wait for its answer.
#[test]
fn a_session_that_is_held_for_its_requests_is_read_from_when_the_router_asks_it() {
    let (mut net, device, _) = net();
    let key = net.key(device);
    net.say(device, r#"[64,1,{},"com.p"]"#);
    let questions = asked(&mut net);
    decide(&mut net, questions[0].0, ALLOWED);
    for request in 2..=1_026 {
        net.say(device, &format!(r#"[48,{request},{{}},"com.x"]"#));
    }
    net.heard(device);
    let released = |net: &mut Net| {
        let events = std::mem::take(&mut net.closed);
        events.iter().filter(|event| **event == Event::Released { session: key }).count()
    };
    asked(&mut net);
    assert_eq!((net.realm.is_held(key), released(&mut net)), (true, 0));
    let payload = Payload::new(Serializer::Json, &(1,)).unwrap();
    let call = RouterCall { procedure: "com.p".into(), payload, timeout: Duration::from_secs(4) };
    net.realm.call(net.now, &call).unwrap();
    net.run();
    assert_eq!((net.realm.is_held(key), released(&mut net)), (false, 1));
    net.heard(device);
    net.say(device, r#"[48,1027,{},"com.x"]"#);
    assert_eq!((error(&net.heard(device)), net.realm.sizes().waiting), ("unavailable".to_owned(), 1_025));
    net.say(device, "[70,1,{},[true]]");
    assert!(net.realm.is_held(key), "as long as too many wait");
    // After GOODBYE nothing is to be read, and the answer does not come.
    net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
    net.realm.call(net.now, &call).unwrap();
    net.run();
    assert!(net.realm.is_held(key));
}

// behaviour 265
#[test]
fn a_session_with_too_much_waiting_is_held_until_there_is_room() {
    let (mut net, device, _) = net();
    let key = net.key(device);
    for request in 1..=1_025 {
        assert!(!net.realm.is_held(key), "{request}");
        net.say(device, &format!(r#"[48,{request},{{}},"com.x"]"#));
    }
    assert!(net.realm.is_held(key));
    let mut heard = 0;
    while net.realm.is_held(key) {
        for (ticket, _) in asked(&mut net) {
            decide(&mut net, ticket, Verdict::DENIED);
        }
        heard += net.heard(device).len();
    }
    assert!((513..1_025).contains(&heard), "{heard}");
    assert!(net.closed.iter().any(|event| matches!(event, Event::Released { .. })));
}

// behaviour 265
#[test]
fn a_session_that_the_router_asks_is_read_from_and_its_surplus_is_refused() {
    let (mut net, device, _) = net();
    net.say(device, r#"[64,1,{},"com.p"]"#);
    let questions = asked(&mut net);
    decide(&mut net, questions[0].0, ALLOWED);
    let payload = Payload::new(Serializer::Json, &(1,)).unwrap();
    let call = RouterCall { procedure: "com.p".into(), payload, timeout: Duration::from_secs(4) };
    net.realm.call(net.now, &call).unwrap();
    net.run();
    net.say(device, r#"[48,2,{"progress":true},"com.x"]"#);
    for request in 3..=1_025 {
        net.say(device, &format!(r#"[48,{request},{{}},"com.x"]"#));
    }
    net.heard(device);
    assert_eq!(net.realm.sizes().waiting, 1_024);
    net.say(device, r#"[48,1026,{},"com.x"]"#);
    assert_eq!(error(&net.heard(device)), "unavailable");
    net.say(device, r#"[16,1027,{},"com.x"]"#);
    assert_eq!(net.heard(device), [""; 0]);
    net.say(device, r#"[16,1028,{"acknowledge":true},"com.x"]"#);
    assert_eq!(error(&net.heard(device)), "unavailable");
    // A chunk cannot be left out: its call ends.
    net.say(device, r#"[48,2,{"progress":true},"com.x"]"#);
    let heard = net.heard(device);
    assert!(heard.len() == 1 && heard[0].starts_with("[8,48,2,"), "{heard:?}");
    assert_eq!(error(&heard), "unavailable");
    assert!(!net.realm.is_held(net.key(device)));
    assert_eq!((net.realm.sizes().waiting, net.realm.stats().publications_refused), (1_023, 2));
    net.say(device, "[70,1,{},[true]]");
    assert!(net.closed.iter().any(|event| matches!(event, Event::Answered { outcome: Ok(_), .. })));
}

// behaviour 265: bytes count as well, without a length from the driver, too.
#[test]
fn a_session_with_long_requests_waiting_is_held() {
    let (mut net, device, _) = net();
    let key = net.key(device);
    let long = "x".repeat(300_000);
    for request in 1..=4 {
        assert!(!net.realm.is_held(key), "{request}");
        net.say(device, &format!(r#"[16,{request},{{}},"com.x",["{long}"]]"#));
    }
    net.say(device, r#"[16,5,{},"com.x"]"#);
    assert!(net.realm.is_held(key));
    net.sleep(Duration::from_secs(4));
    assert!(!net.realm.is_held(key));
    assert_eq!((net.realm.sizes().waiting, net.realm.sizes().deadlines), (0, 0));
}

// behaviour 265: calls that end while they wait make room, too.
#[test]
fn a_session_whose_waiting_calls_time_out_is_read_from_again() {
    let (mut net, device, _) = net();
    let key = net.key(device);
    let long = "x".repeat(1 << 20);
    net.say(device, &format!(r#"[48,1,{{"timeout":100}},"com.x",["{long}"]]"#));
    net.say(device, r#"[48,2,{"timeout":100},"com.x"]"#);
    assert!(net.realm.is_held(key));
    net.sleep(Duration::from_millis(100));
    assert_eq!((net.heard(device).len(), net.realm.sizes().waiting), (2, 0));
    assert!(!net.realm.is_held(key));
    assert!(net.closed.iter().any(|event| matches!(event, Event::Released { .. })));
}

const TESTAMENT: &str = r#"[48,1,{},"wamp.session.add_testament",["com.t",[],{}]]"#;

fn roles(device: Role) -> Roles {
    let mut roles = Roles::new();
    roles.insert(device);
    roles.insert(Role::everything("user"));
    roles
}

/// A session makes a testament, and ends after a change of its role. Returns the event of a subscriber.
fn testament(before: Role, verdict: Option<Verdict>, after: Option<Role>) -> Option<String> {
    let config = |device| {
        let mut config = router::Config::new("realm1");
        config.publisher_disclosure = Disclosure::OnRequest;
        config.roles = roles(device);
        config
    };
    let mut net = Net::with(config(before));
    let mut join = |role: &'static str| {
        net.raw_as(Serializer::Json, all_roles(), Identity::new(format!("a {role}"), role, "ticket"))
    };
    let (device, user) = (join("device"), join("user"));
    net.say(user, r#"[32,1,{},"com.t"]"#);
    net.heard(user);
    net.say(device, TESTAMENT);
    let questions = asked(&mut net);
    assert_eq!(questions.len(), usize::from(verdict.is_some()));
    for (ticket, _) in questions {
        decide(&mut net, ticket, verdict.unwrap());
    }
    assert!(net.heard(device).concat().starts_with("[50,1,"));
    if let Some(after) = after {
        net.realm.reconfigure(net.now, config(after), |_| true);
        net.run();
    }
    net.cut(device);
    net.heard(user).pop()
}

// behaviour 134, behaviour 262
#[test]
fn a_testament_has_the_disclosure_of_its_verdict() {
    let device = || Role::new("device").with_authorizer();
    for (verdict, discloses) in [
        (ALLOWED, false),
        (ALLOWED.with_disclosure(Disclosure::Always), true),
        (ALLOWED.with_disclosure(Disclosure::Never), false),
    ] {
        let event = testament(device(), Some(verdict), None).unwrap();
        assert_eq!(event.contains(r#""publisher_authid":"a device""#), discloses, "{event}");
    }
}

// behaviour 135, behaviour 267
#[test]
fn a_testament_that_a_rule_has_allowed_needs_a_rule() {
    let asks = || Role::new("device").with_authorizer();
    let rule = |role: Role| role.allow(Actions::PUBLISH, Pattern::exact("com.t"));
    let denies = |role: Role| role.deny(Pattern::exact("com.t"));
    // The rule goes, and the authorizer was never asked.
    assert_eq!(testament(rule(asks()), None, Some(asks())), None);
    assert_eq!(testament(rule(Role::new("device")), None, Some(asks())), None);
    assert!(testament(rule(asks()), None, Some(rule(asks()))).is_some());
    // A testament that the authorizer has allowed is published if there still is an authorizer, or a rule.
    assert!(testament(asks(), Some(ALLOWED), Some(asks())).is_some());
    assert!(testament(asks(), Some(ALLOWED), Some(rule(Role::new("device")))).is_some());
    assert_eq!(testament(asks(), Some(ALLOWED), Some(Role::new("device"))), None);
    assert_eq!(testament(asks(), Some(ALLOWED), Some(denies(asks()))), None);
    // A rule decides about disclosure when there is one.
    let always = Rule::new(Actions::PUBLISH, Pattern::exact("com.t")).disclosure(Disclosure::Always);
    let event = testament(asks(), Some(ALLOWED), Some(asks().rule(always))).unwrap();
    assert!(event.contains("publisher_authid"), "{event}");
}

fn count(net: &mut Net, client: Client, request: u64, message: &str) -> Vec<Ticket> {
    net.say(client, &message.replace("ID", &request.to_string()));
    asked(net).into_iter().map(|(ticket, _)| ticket).collect()
}

// behaviour 265: of this session, action, URI and kind of pattern.
#[test]
fn a_verdict_holds_for_its_session_and_its_time() {
    let (mut net, device, user) = net();
    let other = net.raw_as(Serializer::Json, all_roles(), Identity::new("another", "device", "ticket"));
    net.say(user, r#"[64,1,{},"com.p"]"#);
    net.say(user, r#"[64,2,{},"com.open"]"#);
    net.heard(user);
    const CALL: &str = r#"[48,ID,{},"com.p"]"#;
    let verdict = ALLOWED.with_disclosure(Disclosure::Always).valid_for(Duration::from_secs(10));
    // Those that are asked already are still decided.
    let (first, second) = (count(&mut net, device, 1, CALL), count(&mut net, device, 2, CALL));
    decide(&mut net, first[0], verdict);
    let third = count(&mut net, device, 3, CALL);
    assert_eq!((second.len(), third.len(), net.realm.sizes().waiting), (1, 0, 2));
    decide(&mut net, second[0], verdict);
    assert_eq!(net.realm.sizes().waiting, 0);
    assert_eq!(count(&mut net, device, 4, CALL), []);
    let heard = net.heard(user);
    assert!(heard.len() == 4 && heard.iter().all(|heard| heard.contains(r#""caller":"#)), "{heard:?}");
    // It does not decide about anything else.
    for (request, message) in [
        (5, r#"[48,ID,{},"com.q"]"#),
        (6, r#"[64,ID,{},"com.p"]"#),
        (7, r#"[16,ID,{"acknowledge":true},"com.p"]"#),
        (8, r#"[32,ID,{"match":"prefix"},"com.p"]"#),
    ] {
        let tickets = count(&mut net, device, request, message);
        assert_eq!(tickets.len(), 1, "{message}");
        decide(&mut net, tickets[0], Verdict::DENIED.valid_for(Duration::from_secs(60)));
        assert_eq!(error(&net.heard(device)), "not_authorized");
    }
    let tickets = count(&mut net, other, 1, CALL);
    assert_eq!(tickets.len(), 1, "one user's verdict serves no other");
    decide(&mut net, tickets[0], Verdict::DENIED);
    // A denial holds as well, and the verdict of one request does not.
    assert_eq!(count(&mut net, device, 9, r#"[48,ID,{},"com.q"]"#), []);
    assert_eq!(error(&net.heard(device)), "not_authorized");
    assert_eq!(count(&mut net, other, 2, CALL).len(), 1);
    // A request that no authorizer decides about, with the next one.
    assert_eq!(count(&mut net, device, 10, r#"[48,ID,{},"com.open"]"#), []);
    net.sleep(Duration::from_millis(9_999));
    assert_eq!(count(&mut net, device, 11, CALL), []);
    net.sleep(Duration::from_millis(1));
    net.heard(user);
    let tickets = count(&mut net, device, 12, CALL);
    assert_eq!((tickets.len(), net.heard(user).len()), (1, 0));
    decide(&mut net, tickets[0], Verdict::UNDECIDED.valid_for(Duration::from_secs(60)));
    assert_eq!(count(&mut net, device, 13, CALL).len(), 1, "nothing was decided");
}

// behaviour 265, behaviour 267
#[test]
fn a_change_of_rules_ends_all_verdicts() {
    let changes: [fn(&mut Net); 2] = [
        |net| net.realm.forget_verdicts(),
        |net| {
            let mut config = router::Config::new("realm1");
            config.roles = roles(Role::new("device").with_authorizer());
            net.realm.reconfigure(net.now, config, |_| true);
        },
    ];
    for change in changes {
        let (mut net, device, _) = net();
        const CALL: &str = r#"[48,ID,{},"com.p"]"#;
        let tickets = count(&mut net, device, 1, CALL);
        decide(&mut net, tickets[0], ALLOWED.valid_for(Duration::from_secs(60)));
        assert_eq!(count(&mut net, device, 2, CALL), []);
        // The rules change before this question is answered.
        const OTHER: &str = r#"[48,ID,{},"com.q"]"#;
        let before = count(&mut net, device, 3, OTHER);
        change(&mut net);
        net.run();
        decide(&mut net, before[0], ALLOWED.valid_for(Duration::from_secs(60)));
        for (request, message) in [(4, CALL), (5, OTHER)] {
            let tickets = count(&mut net, device, request, message);
            assert_eq!(tickets.len(), 1, "{message}");
            decide(&mut net, tickets[0], ALLOWED.valid_for(Duration::from_secs(60)));
        }
        assert_eq!(count(&mut net, device, 6, OTHER), []);
    }
}

// behaviour 266: as Crossbar.io's, with a number of seconds in addition.
#[test]
fn the_answer_of_a_procedure_says_how_long_it_holds() {
    let read = |json: &str| {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        Verdict::read(Ok(Payload::new(Serializer::Json, &(value,)).unwrap()))
    };
    for (json, seconds) in [
        ("true", 0.0),
        (r#"{"allow":true}"#, 0.0),
        (r#"{"allow":true,"cache":false}"#, 0.0),
        (r#"{"allow":true,"cache":null,"disclose":null}"#, 0.0),
        (r#"{"allow":false,"cache":true}"#, 60.0),
        (r#"{"allow":true,"cache":5}"#, 5.0),
        (r#"{"allow":true,"cache":0.5,"disclose":true}"#, 0.5),
        (r#"{"allow":true,"cache":-1}"#, 0.0),
        (r#"{"allow":true,"cache":1e300}"#, 60.0),
    ] {
        let verdict = read(json).unwrap();
        assert_eq!(verdict.lifetime().as_secs_f64(), seconds, "{json}");
        assert_eq!(verdict.is_allowed(), json.contains("true") && !json.contains("false,"), "{json}");
    }
    assert!(read(r#"{"allow":true,"cache":"long"}"#).is_err());
}
