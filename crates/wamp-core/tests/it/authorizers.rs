//! Requests that wait for the decision of an authorizer.

use std::collections::BTreeMap;
use std::time::Duration;

use wamp_core::auth::Identity;
use wamp_core::router::{
    self, Actions, Disclosure, Event, History, Pattern, Question, Role, Ticket, Verdict,
};
use wamp_proto::Serializer;

use crate::net::{Client, Net, all_roles};

pub(crate) const ALLOWED: Verdict = Verdict::ALLOWED;

/// A realm with a client whose role has an authorizer, and one that may do everything.
pub(crate) fn net() -> (Net, Client, Client) {
    let mut config = router::Config::new("realm1");
    let device = Role::new("device")
        .allow(Actions::CALL, Pattern::exact("com.open"))
        .deny(Pattern::prefix("com.closed."))
        .with_authorizer();
    config.roles.insert(device);
    config.roles.insert(Role::everything("user"));
    let mut net = Net::with(config);
    let mut join = |role: &'static str| {
        net.raw_as(Serializer::Json, all_roles(), Identity::new(format!("a {role}"), role, "ticket"))
    };
    let (device, user) = (join("device"), join("user"));
    (net, device, user)
}

/// Takes the questions that the realm has asked.
pub(crate) fn asked(net: &mut Net) -> Vec<(Ticket, Question)> {
    let (asked, others): (Vec<_>, Vec<_>) = std::mem::take(&mut net.closed)
        .into_iter()
        .partition(|event| matches!(event, Event::Authorize { .. }));
    net.closed = others;
    asked
        .into_iter()
        .filter_map(|event| match event {
            Event::Authorize { ticket, question } => Some((ticket, *question)),
            _ => None,
        })
        .collect()
}

pub(crate) fn decide(net: &mut Net, ticket: Ticket, verdict: Verdict) {
    net.realm.decide(net.now, ticket, verdict);
    net.run();
}

pub(crate) fn error(heard: &[String]) -> String {
    let heard = heard.concat();
    heard.split("\"wamp.error.").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

// behaviour 257, behaviour 262
#[test]
fn a_rule_decides_first_and_the_authorizer_where_none_applies() {
    let (mut net, device, user) = net();
    net.say(user, r#"[64,1,{},"com.open"]"#);
    net.say(user, r#"[64,2,{},"com.other"]"#);
    net.heard(user);
    net.say(device, r#"[48,1,{},"com.open"]"#);
    net.say(device, r#"[48,2,{},"com.closed.x"]"#);
    net.say(device, r#"[32,3,{"match":"prefix"},"com.closed"]"#);
    assert_eq!(asked(&mut net).len(), 0);
    assert_eq!(net.heard(user).len(), 1);
    assert_eq!(net.heard(device).concat().matches("not_authorized").count(), 2);

    net.say(device, r#"[48,4,{"disclose_me":true},"com.other",[1]]"#);
    let questions = asked(&mut net);
    let [(ticket, question)] = &questions[..] else { panic!("{questions:?}") };
    assert_eq!((question.action, question.uri.as_str()), (Actions::CALL, "com.other"));
    assert_eq!(question.identity.authrole.to_string(), "device");
    assert_eq!(net.heard(user), [""; 0]);
    decide(&mut net, *ticket, Verdict::ALLOWED.with_disclosure(Disclosure::Always));
    assert!(net.heard(user).concat().contains("\"caller\""));
    // A second decision has no effect.
    decide(&mut net, *ticket, Verdict::DENIED);
    assert_eq!(net.heard(device), [""; 0]);

    for (verdict, uri) in [(Verdict::DENIED, "not_authorized"), (Verdict::UNDECIDED, "authorization_failed")]
    {
        let (mut net, device, _) = self::net();
        let requests = [
            r#"[48,1,{},"com.x"]"#,
            r#"[64,2,{},"com.x"]"#,
            r#"[32,3,{"match":"wildcard"},"org..x"]"#,
            r#"[16,4,{"acknowledge":true},"com.x"]"#,
            r#"[48,5,{},"wamp.session.add_testament",["com.x",[],{}]]"#,
        ];
        for request in requests {
            net.say(device, request);
            let questions = asked(&mut net);
            assert_eq!(questions.len(), 1, "{request}");
            decide(&mut net, questions[0].0, verdict);
            assert_eq!(error(&net.heard(device)), uri, "{request}");
        }
        assert_eq!(net.realm.sizes().deadlines, 0);
    }
}

// behaviour 256: a malformed request is told, and nothing is asked about it.
#[test]
fn nothing_is_asked_about_a_request_that_is_refused_anyway() {
    let (mut net, device, _) = net();
    for (request, uri) in [
        (r#"[48,1,{},"com..x"]"#, "invalid_uri"),
        (r#"[48,2,{"timeout":-1},"com.x"]"#, "invalid_argument"),
        (r#"[64,3,{},"wamp.mine"]"#, "invalid_uri"),
        (r#"[32,4,{"match":"other"},"com.x"]"#, "invalid_argument"),
        (r#"[16,5,{"acknowledge":true},"wamp.x"]"#, "invalid_uri"),
    ] {
        net.say(device, request);
        assert_eq!(error(&net.heard(device)), uri, "{request}");
    }
    assert_eq!(asked(&mut net).len(), 0);
}

// behaviour 263: verdicts in every order.
#[test]
fn requests_leave_in_their_order_whatever_the_order_of_verdicts() {
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1], [0, 3, 2, 1], [3, 0, 1, 2]];
    for order in orders {
        let (mut net, device, user) = net();
        net.say(user, r#"[64,1,{},"com.p"]"#);
        net.say(user, r#"[32,2,{},"com.t"]"#);
        net.heard(user);
        let said = [
            r#"[48,1,{},"com.p",["a"]]"#,
            r#"[16,2,{},"com.t",["b"]]"#,
            r#"[48,3,{},"com.p",["c"]]"#,
            r#"[16,4,{},"com.t",["d"]]"#,
        ];
        for request in said {
            net.say(device, request);
        }
        let questions = asked(&mut net);
        assert_eq!((questions.len(), net.realm.sizes().waiting), (4, 4));
        for index in order {
            decide(&mut net, questions[index].0, ALLOWED);
        }
        let heard = net.heard(user);
        let args: Vec<_> = heard.iter().map(|line| line.rsplit('[').next().unwrap().to_owned()).collect();
        assert_eq!(args, [r#""a"]]"#, r#""b"]]"#, r#""c"]]"#, r#""d"]]"#], "{order:?}: {heard:?}");
        assert_eq!((net.realm.sizes().waiting, net.realm.sizes().deadlines), (0, 0));
    }
}

// behaviour 263: everything that needs no decision waits as well, GOODBYE too, and ids are checked at once.
#[test]
fn what_needs_no_decision_waits_behind_what_does() {
    let (mut net, device, user) = net();
    net.say(user, r#"[64,1,{},"com.open"]"#);
    net.say(user, r#"[32,2,{},"com.t"]"#);
    net.heard(user);
    net.say(device, r#"[16,1,{},"com.t",["first"]]"#);
    net.say(device, r#"[48,2,{},"com.open"]"#);
    net.say(device, r#"[66,3,77]"#);
    net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
    assert_eq!((net.heard(device).len(), net.heard(user).len()), (0, 0));
    assert!(net.realm.is_held(net.key(device)), "nothing is read after GOODBYE");
    let questions = asked(&mut net);
    assert_eq!(questions.len(), 1);
    decide(&mut net, questions[0].0, ALLOWED);
    let heard = net.heard(user).concat();
    assert!(heard.starts_with("[36,") && heard.contains("[68,1,"), "{heard}");
    let heard = net.heard(device);
    assert!(heard[0].contains("no_such_registration") && heard[1].starts_with("[6,"), "{heard:?}");

    let (mut net, device, _) = self::net();
    net.say(device, r#"[16,1,{},"com.t"]"#);
    net.say(device, r#"[16,5,{},"com.t"]"#);
    assert!(net.heard(device).concat().contains("protocol_violation"));
    assert_eq!((net.realm.stats().requests_dropped, net.realm.sizes().deadlines), (1, 0));
}

// behaviour 263, behaviour 264: without a decision in 4 s; GOODBYE waits no longer than that.
#[test]
fn a_decision_that_does_not_come_in_time_is_none() {
    let (mut net, device, _) = net();
    net.say(device, r#"[48,1,{},"com.x"]"#);
    net.sleep(Duration::from_millis(3_999));
    assert_eq!(net.heard(device), [""; 0]);
    net.sleep(Duration::from_millis(1));
    assert_eq!(error(&net.heard(device)), "authorization_failed");
    let late = asked(&mut net);
    decide(&mut net, late[0].0, ALLOWED);
    assert_eq!(net.heard(device), [""; 0]);

    for request in 2..=200 {
        net.say(device, &format!(r#"[48,{request},{{}},"com.x"]"#));
    }
    assert_eq!(asked(&mut net).len(), 64, "at a time");
    net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
    net.sleep(Duration::from_secs(4));
    let heard = net.heard(device);
    assert!(heard.len() == 200 && heard[199].starts_with("[6,"), "{}", heard.len());
    assert_eq!((net.realm.sizes().deadlines, net.realm.sizes().waiting), (0, 0));
}

// behaviour 264
#[test]
fn what_waits_is_dropped_with_its_session() {
    let leaving: [fn(&mut Net, Client); 3] = [
        |net, device| net.cut(device),
        |net, device| net.say(device, r#"[3,{},"wamp.close.close_realm"]"#),
        |net, device| {
            let key = net.key(device);
            net.realm.close(net.now, key, wamp_proto::uri::KILLED, "");
            net.run();
            net.say(device, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
        },
    ];
    for leave in leaving {
        let (mut net, device, user) = net();
        net.say(user, r#"[32,1,{},"com.t"]"#);
        net.heard(user);
        net.say(device, r#"[16,1,{},"com.t"]"#);
        net.say(device, r#"[48,2,{"timeout":100},"com.t"]"#);
        let questions = asked(&mut net);
        leave(&mut net, device);
        for (ticket, _) in questions {
            decide(&mut net, ticket, ALLOWED);
        }
        assert_eq!(net.heard(user), [""; 0]);
        let (sizes, dropped) = (net.realm.sizes(), net.realm.stats().requests_dropped);
        assert_eq!((sizes.deadlines, sizes.waiting, dropped), (0, 0, 2));
    }
    // Both have said GOODBYE.
    let (mut net, device, _) = net();
    net.say(device, r#"[48,1,{},"com.t"]"#);
    net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
    let key = net.key(device);
    net.realm.close(net.now, key, wamp_proto::uri::KILLED, "");
    net.run();
    let heard = net.heard(device).concat();
    assert!(heard.contains("wamp.close.killed") && !net.realm.has(key), "{heard}");
    let closed = Event::Closed { session: key, closing: router::Closing::Goodbye };
    assert_eq!(net.closed.iter().filter(|event| **event == closed).count(), 1);
    assert_eq!((net.realm.sizes().deadlines, net.realm.sizes().waiting), (0, 0));
}

fn reconfigure(net: &mut Net, device: Role) {
    let mut config = router::Config::new("realm1");
    config.roles.insert(device);
    config.roles.insert(Role::everything("user"));
    net.realm.reconfigure(net.now, config, |_| true);
    net.run();
}

// behaviour 263, behaviour 267
#[test]
fn a_role_gets_an_authorizer_or_loses_it() {
    let device = || Role::new("device").allow(Actions::CALL, Pattern::exact("com.open"));
    let (mut net, one, user) = net();
    net.say(user, r#"[64,1,{},"com.open"]"#);
    net.say(user, r#"[64,2,{},"com.x"]"#);
    net.heard(user);
    // Without it, a request that is not asked about yet is denied; one that is waits for the verdict, and is denied.
    for request in 1..=66 {
        net.say(one, &format!(r#"[48,{request},{{}},"com.x"]"#));
    }
    let questions = asked(&mut net);
    assert_eq!(questions.len(), 64);
    reconfigure(&mut net, device());
    assert_eq!(net.heard(one), [""; 0]);
    for (ticket, _) in questions {
        decide(&mut net, ticket, ALLOWED);
    }
    assert_eq!(net.heard(one).concat().matches("not_authorized").count(), 66);
    assert_eq!((asked(&mut net).len(), net.realm.sizes().waiting, net.heard(user).len()), (0, 0, 0));
    net.say(one, r#"[48,67,{},"com.x"]"#);
    assert_eq!(error(&net.heard(one)), "not_authorized");

    // With it, the session asks from then on.
    reconfigure(&mut net, device().with_authorizer());
    net.say(one, r#"[48,68,{},"com.x"]"#);
    net.say(one, r#"[48,69,{},"com.open"]"#);
    let questions = asked(&mut net);
    assert_eq!((questions.len(), net.realm.sizes().waiting), (1, 2));
    // Without the rule, the request behind is asked about, too.
    reconfigure(&mut net, Role::new("device").with_authorizer());
    let more = asked(&mut net);
    assert_eq!((more.len(), more[0].1.uri.as_str()), (1, "com.open"));
    decide(&mut net, more[0].0, Verdict::DENIED);
    decide(&mut net, questions[0].0, ALLOWED);
    assert_eq!((net.heard(user).len(), error(&net.heard(one))), (1, "not_authorized".to_owned()));
    // With a rule again, the verdict does not count.
    net.say(one, r#"[48,70,{},"com.open"]"#);
    let questions = asked(&mut net);
    reconfigure(&mut net, device().with_authorizer());
    decide(&mut net, questions[0].0, Verdict::DENIED);
    assert_eq!(net.heard(user).len(), 1);
    net.cut(user);
    net.cut(one);
    assert_eq!((net.realm.sizes().deadlines, net.realm.sizes().waiting), (0, 0));
}

/// Takes the keys of the questions that have become void.
fn void(net: &mut Net) -> Vec<Ticket> {
    let void = |event: &Event| match event {
        Event::Void { ticket } => Some(*ticket),
        _ => None,
    };
    let found = net.closed.iter().filter_map(void).collect();
    net.closed.retain(|event| void(event).is_none());
    found
}

// behaviour 266
#[test]
fn a_question_is_void_when_its_request_ends() {
    let ends: [fn(&mut Net, Client); 5] = [
        |net, device| net.say(device, r#"[49,1,{}]"#),
        |net, _| net.sleep(Duration::from_millis(100)),
        |net, _| net.sleep(Duration::from_secs(4)),
        |net, device| net.cut(device),
        |net, device| {
            net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
            net.sleep(Duration::from_secs(4));
        },
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let (mut net, device, _) = net();
        let options = if index == 1 { r#""timeout":100"# } else { "" };
        net.say(device, &format!(r#"[48,1,{{{options}}},"com.x"]"#));
        let asked = asked(&mut net);
        assert_eq!(void(&mut net), []);
        end(&mut net, device);
        assert_eq!(void(&mut net), [asked[0].0], "{index}");
        decide(&mut net, asked[0].0, ALLOWED);
        assert_eq!((net.realm.sizes().deadlines, net.realm.sizes().waiting), (0, 0), "{index}");
    }
    // A verdict makes nothing void.
    let (mut net, device, _) = net();
    net.say(device, r#"[48,1,{},"com.x"]"#);
    let asked = asked(&mut net);
    decide(&mut net, asked[0].0, ALLOWED);
    assert_eq!(void(&mut net), []);
}

// behaviour 264
#[test]
fn no_verdict_decides_about_a_later_request() {
    let device = || Role::new("device").allow(Actions::CALL, Pattern::exact("com.open"));
    let (mut net, one, user) = net();
    net.say(user, r#"[64,1,{},"com.forbidden"]"#);
    net.heard(user);
    net.say(one, r#"[48,1,{},"com.allowed"]"#);
    let before = asked(&mut net);
    net.say(one, r#"[49,1,{}]"#);
    net.heard(one);
    // The queue of the session is another one then.
    reconfigure(&mut net, device());
    reconfigure(&mut net, device().with_authorizer());
    net.say(one, r#"[48,2,{},"com.forbidden"]"#);
    let after = asked(&mut net);
    decide(&mut net, before[0].0, ALLOWED);
    assert_eq!((net.heard(user), net.heard(one)), (vec![], vec![]));
    decide(&mut net, after[0].0, Verdict::DENIED);
    assert_eq!((net.heard(user).len(), error(&net.heard(one))), (0, "not_authorized".to_owned()));
}

// behaviour 267: the authorizer is not asked again.
#[test]
fn what_an_authorizer_has_allowed_stays_until_a_rule_or_its_end() {
    let device = || Role::new("device").with_authorizer();
    let allowed = || device().allow(Actions::ALL, Pattern::exact("com.rule"));
    let denied = || allowed().deny(Pattern::prefix("com.asked"));
    let plain = || Role::new("device").allow(Actions::ALL, Pattern::exact("com.rule"));
    for (after, registrations) in [(allowed(), 2), (device(), 1), (denied(), 1), (plain(), 1)] {
        let (mut net, one, _) = net();
        reconfigure(&mut net, allowed());
        for (request, uri) in [(1, "com.rule"), (3, "com.asked.x")] {
            net.say(one, &format!(r#"[64,{request},{{}},"{uri}"]"#));
            net.say(one, &format!(r#"[32,{},{{}},"{uri}"]"#, request + 1));
        }
        for (ticket, question) in asked(&mut net) {
            assert_eq!(question.uri, "com.asked.x");
            decide(&mut net, ticket, ALLOWED);
        }
        assert_eq!((net.realm.sizes().registrations, net.realm.sizes().topics), (2, 2));
        reconfigure(&mut net, after);
        assert_eq!(
            (net.realm.sizes().registrations, net.realm.sizes().topics),
            (registrations, registrations)
        );
        assert_eq!(asked(&mut net).len(), 0);
    }
}

// behaviour 299: also if the REGISTER has waited.
#[test]
fn a_holder_is_probed_for_a_register_that_has_waited() {
    let mut config = router::Config::new("realm1");
    config.roles.insert(Role::new("device").with_authorizer());
    let mut net = Net::with(config);
    let joe = Identity::new("joe", "device", "ticket");
    let (holder, other) = (
        net.raw_as(Serializer::Json, all_roles(), joe.clone()),
        net.raw_as(Serializer::Json, all_roles(), joe),
    );
    for client in [holder, other] {
        net.say(client, r#"[64,1,{},"com.p"]"#);
        let questions = asked(&mut net);
        decide(&mut net, questions[0].0, ALLOWED);
    }
    assert_eq!(error(&net.heard(other)), "procedure_already_exists");
    let holder = net.key(holder);
    let probes = |event: &&Event| matches!(event, Event::Probe { session, .. } if *session == holder);
    assert_eq!(net.closed.iter().filter(probes).count(), 1);
}

// behaviour 127, behaviour 262
#[test]
fn an_authorizer_decides_about_past_events() {
    let mut config = router::Config::new("realm1");
    config.history = vec![History::new(Pattern::prefix("com.shop."))];
    config.roles.insert(Role::new("device").with_authorizer());
    let mut net = Net::with(config);
    let device = net.raw_as(Serializer::Json, all_roles(), Identity::new("joe", "device", "ticket"));
    for (request, verdict) in [(1, ALLOWED), (2, Verdict::DENIED), (3, Verdict::UNDECIDED)] {
        net.say(device, &format!(r#"[48,{request},{{}},"wamp.subscription.get_events",[1]]"#));
        let questions = asked(&mut net);
        let [(ticket, question)] = &questions[..] else { panic!("{questions:?}") };
        assert_eq!((question.action, question.uri.as_str()), (Actions::SUBSCRIBE, "com.shop."));
        decide(&mut net, *ticket, verdict);
    }
    let heard = net.heard(device);
    assert!(heard[0].starts_with("[50,1,"), "{heard:?}");
    assert!(heard[1].contains("not_authorized") && heard[2].contains("authorization_failed"), "{heard:?}");
}

/// A request of the random worlds: what it is, and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Undecided,
    Decided(Verdict),
    Ended,
}

// behaviour 9, behaviour 263, behaviour 264: a queue of the specification beside ours.
#[test]
fn calls_and_events_keep_their_order_and_their_one_end_whatever_is_decided_when() {
    for seed in 0..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut net, device, user) = net();
        net.say(user, r#"[64,1,{},"com.p"]"#);
        net.say(user, r#"[32,2,{},"com.t"]"#);
        net.heard(user);
        // By request id: the fate, whether it is a call, and its ticket.
        let mut model: BTreeMap<u64, (Fate, bool, Option<Ticket>)> = BTreeMap::new();
        let (mut expected, mut arrived, mut ends) = (Vec::new(), Vec::new(), BTreeMap::<u64, usize>::new());
        let (mut next, mut goodbye) = (1_u64, false);
        for _ in 0..60 {
            match rng.u8(..10) {
                0..4 if !goodbye => {
                    let is_call = rng.bool();
                    let said = match is_call {
                        true => format!(r#"[48,{next},{{}},"com.p",[{next}]]"#),
                        false => format!(r#"[16,{next},{{}},"com.t",[{next}]]"#),
                    };
                    net.say(device, &said);
                    model.insert(next, (Fate::Undecided, is_call, None));
                    next += 1;
                }
                4..8 => {
                    let open: Vec<u64> = model
                        .iter()
                        .filter(|(_, (fate, _, ticket))| *fate == Fate::Undecided && ticket.is_some())
                        .map(|(id, _)| *id)
                        .collect();
                    if let Some(id) = rng.choice(open) {
                        let verdict =
                            rng.choice([ALLOWED, ALLOWED, Verdict::DENIED, Verdict::UNDECIDED]).unwrap();
                        let (fate, _, ticket) = model.get_mut(&id).unwrap();
                        *fate = Fate::Decided(verdict);
                        decide(&mut net, ticket.unwrap(), verdict);
                    }
                }
                8 if next > 1 => {
                    let id = rng.u64(1..next);
                    net.say(device, &format!("[49,{id},{{}}]"));
                    if let Some((fate, true, _)) = model.get_mut(&id)
                        && *fate != Fate::Ended
                    {
                        *fate = Fate::Ended;
                    }
                }
                9 if rng.u8(..8) == 0 => {
                    net.say(device, r#"[6,{},"wamp.close.close_realm"]"#);
                    goodbye = true;
                }
                _ => {}
            }
            for (ticket, question) in asked(&mut net) {
                let id = match &question.request {
                    wamp_proto::Message::Call(call) => call.request.get(),
                    wamp_proto::Message::Publish(publish) => publish.request.get(),
                    other => panic!("{other:?}"),
                };
                model.get_mut(&id).unwrap().2 = Some(ticket);
            }
            // The model's queue: what is decided leaves at the head, in order.
            while let Some((&id, &(fate, is_call, _))) = model.first_key_value() {
                match fate {
                    Fate::Undecided => break,
                    Fate::Decided(verdict) if verdict.is_allowed() => expected.push((id, is_call)),
                    Fate::Decided(_) | Fate::Ended => {}
                }
                model.remove(&id);
            }
            for line in net.heard(user) {
                // INTERRUPT of a call that was canceled later.
                if line.starts_with("[68,") || line.starts_with("[36,") {
                    let id = line.trim_end_matches("]]").rsplit('[').next().unwrap().parse().unwrap();
                    arrived.push((id, line.starts_with("[68,")));
                }
            }
            for line in net.heard(device) {
                if let Some(rest) = line.strip_prefix("[8,48,") {
                    let id = rest.split(',').next().unwrap().parse().unwrap();
                    *ends.entry(id).or_default() += 1;
                }
            }
            assert_eq!(arrived, expected, "seed {seed}");
            assert!(ends.values().all(|count| *count == 1), "seed {seed}: {ends:?}");
        }
        net.sleep(Duration::from_secs(8));
        net.cut(user);
        for line in net.heard(device) {
            if let Some(rest) = line.strip_prefix("[8,48,") {
                *ends.entry(rest.split(',').next().unwrap().parse().unwrap()).or_default() += 1;
            }
        }
        assert!(ends.values().all(|count| *count == 1), "seed {seed}: {ends:?}");
        net.cut(device);
        let sizes = net.realm.sizes();
        assert_eq!(
            (sizes.deadlines, sizes.waiting, sizes.calls, sizes.sessions),
            (0, 0, 0, 0),
            "seed {seed}"
        );
    }
}
