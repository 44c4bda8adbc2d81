//! Credit for the senders of results and chunks.

use std::time::Duration;

use wamp_core::credit::cost;
use wamp_core::router::{self, Credit};
use wamp_core::session::{Event, Stream};
use wamp_core::{Misuse, Reply, ReplyError};
use wamp_proto::message::{CallOptions, CancelMode, Millis, RegisterOptions};
use wamp_proto::{Features, Message, Payload, RequestId, Role, Roles, Serializer, uri};

use crate::net::{Client, Net, all_roles, args, json};

pub(crate) const WINDOW: u64 = 1000;

/// Every role and feature, with this credit as caller and callee.
pub(crate) fn counting(bytes: u64) -> Roles {
    [Role::Caller, Role::Callee].into_iter().fold(all_roles(), |roles, role| {
        let features = roles.get(role).unwrap().clone().with_credit(bytes);
        roles.with(role, features)
    })
}

pub(crate) fn small_windows() -> router::Config {
    let credit = Credit { window: WINDOW, max_window: WINDOW, ..Credit::default() };
    let mut config = router::Config::new("realm1");
    config.credit = Some(credit);
    config
}

/// A callee with credit and a caller with this announcement, and a running call.
fn stream(caller: Roles) -> (Net, Client, Client) {
    let mut net = Net::with(small_windows());
    let callee = net.raw(Serializer::Json, counting(WINDOW));
    let caller = net.raw(Serializer::Json, caller);
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    net.leaves = false;
    (net, callee, caller)
}

/// A progressive result that costs 99.
const RESULT: &str = r#"[70,1,{"progress":true},["234567"]]"#;

fn results(net: &mut Net, callee: Client, count: usize) {
    assert_eq!(cost(RESULT.len()), 99);
    for _ in 0..count {
        net.say(callee, RESULT);
    }
}

#[test]
fn a_peer_without_credit_never_gets_it() {
    let mut net = Net::new();
    let mut hear = |roles| {
        let client = net.add_raw(Serializer::Json, roles);
        net.heard(client).remove(0)
    };
    assert!(!hear(all_roles()).contains("credit"));
    let welcome = hear(counting(5));
    assert!(welcome.contains(r#""_progress_credit":65536}}"#), "{welcome}");
    assert_eq!(welcome.matches("credit").count(), 1, "the dealer announces it, and no other role");
    let only_callee = Roles::none().with(Role::Callee, Features::none().with_credit(0));
    assert!(hear(only_callee).contains("_progress_credit"));
}

#[test]
fn a_realm_may_do_without() {
    let mut config = router::Config::new("realm1");
    config.credit = None;
    let mut net = Net::with(config);
    let client = net.add_raw(Serializer::Json, counting(5));
    assert!(!net.heard(client)[0].contains("credit"));
}

#[test]
fn an_unannounced_credit_is_a_violation() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, "[256,1,{},1000]");
    let heard = net.heard(client);
    assert!(heard[0].contains("wamp.error.protocol_violation") && heard[0].contains("CREDIT"), "{heard:?}");
}

#[test]
fn a_callee_is_granted_more_as_results_leave_for_the_caller() {
    let (mut net, callee, caller) = stream(all_roles());
    results(&mut net, callee, 5);
    assert!(net.watched.is_empty(), "less than half of the window has come");
    results(&mut net, callee, 1);
    assert_eq!(net.watched.len(), 1);
    assert!(net.heard(callee).is_empty(), "nothing has left yet");
    results(&mut net, callee, 5);
    assert_eq!(net.watched.len(), 1, "one at a time");
    net.leave();
    // Everything that had arrived when the report was asked for has left: six times 99.
    assert_eq!(net.heard(callee), ["[256,1,{},1594]"]);
    assert_eq!(net.received(caller).len(), 11, "messages are forwarded, with or without credit");
    assert!(net.watched.is_empty(), "less than half of the window is on its way");
    results(&mut net, callee, 1);
    net.leave();
    assert_eq!(net.heard(callee), ["[256,1,{},2188]"]);
}

#[test]
fn a_callee_is_never_granted_more_than_its_caller_has() {
    let (mut net, callee, caller) = stream(counting(500));
    net.leaves = true;
    results(&mut net, callee, 6);
    let sent: u64 = net.heard(caller).iter().map(|result| cost(result.len())).sum();
    assert_eq!(sent, 6 * 99, "written alike on both hops");
    results(&mut net, callee, 6);
    assert!(net.heard(callee).is_empty(), "the caller has granted 500 and the callee has 1000 already");
    // The callee has sent 1188; the caller accepts 1300, which is 112 more.
    net.say(caller, "[256,1,{},1300]");
    assert_eq!(net.heard(callee), ["[256,1,{},1300]"]);
    // A smaller total, and a repeated one, have no effect.
    net.say(caller, "[256,1,{},1200]");
    net.say(caller, "[256,1,{},1300]");
    assert!(net.heard(callee).is_empty());
    // Beyond that the dealer's own window is the limit.
    net.say(caller, "[256,1,{},1000000]");
    assert_eq!(net.heard(callee), ["[256,1,{},2188]"]);
}

#[test]
fn a_caller_with_a_tiny_window_is_served_to_the_end() {
    let (mut net, callee, caller) = stream(counting(1));
    net.leaves = true;
    let (mut allowed, mut spent, mut total) = (WINDOW, 0, 1);
    for _ in 0..100 {
        while spent < allowed {
            net.say(callee, RESULT);
            spent += cost(RESULT.len());
        }
        for result in net.heard(caller) {
            total += cost(result.len());
        }
        net.say(caller, &format!("[256,1,{{}},{total}]"));
        for credit in net.received(callee) {
            let Message::Credit(credit) = credit else { panic!("{credit:?}") };
            assert!(credit.total.0.unwrap() > allowed);
            allowed = credit.total.0.unwrap();
        }
        assert!(spent < allowed, "stuck at {spent}");
    }
    net.say(callee, "[70,1,{}]");
    assert_eq!(net.realm.sizes().calls, 0);
}

#[test]
fn a_call_that_is_over_takes_its_credit_with_it() {
    let (mut net, callee, caller) = stream(counting(10));
    results(&mut net, callee, 11);
    assert_eq!(net.realm.sizes().starved, 1);
    net.say(callee, "[70,1,{}]");
    net.heard(caller);
    net.say(caller, "[256,1,{},100000]");
    net.leave();
    assert!(net.heard(callee).is_empty() && net.heard(caller).is_empty());
    assert!(net.realm.has(net.key(caller)) && net.realm.has(net.key(callee)));
    let sizes = net.realm.sizes();
    assert_eq!((sizes.calls, sizes.starved, sizes.deadlines), (0, 0, 0));
}

#[test]
fn a_credit_that_is_no_number_is_counted_and_grants_nothing() {
    let (mut net, callee, caller) = stream(counting(10));
    net.leaves = true;
    results(&mut net, callee, 11);
    for total in ["-1", "1.5", "\"1000000\"", "9007199254740993"] {
        net.say(caller, &format!("[256,1,{{}},{total}]"));
    }
    assert_eq!(net.realm.stats().void_credits, 4);
    assert!(net.heard(callee).is_empty());
    net.say(caller, "[256,1,{},9007199254740992]");
    assert_eq!(net.heard(callee).len(), 1);
}

#[test]
fn chunks_are_granted_in_the_other_direction_and_told_apart_from_results_of_the_same_id() {
    let mut net = Net::with(small_windows());
    let both = net.raw(Serializer::Json, counting(50));
    net.say(both, r#"[64,1,{},"com.myapp.up"]"#);
    // A session that calls itself: its call is 2, its invocation 1; and one where both have the same id.
    net.say(both, r#"[48,2,{},"com.myapp.up"]"#);
    net.say(both, r#"[48,3,{"progress":true,"receive_progress":true},"com.myapp.up"]"#);
    net.say(both, r#"[48,4,{"progress":true,"receive_progress":true},"com.myapp.up"]"#);
    net.say(both, r#"[48,5,{"progress":true,"receive_progress":true},"com.myapp.up"]"#);
    net.heard(both);
    // Invocation 3 is call 4, and invocation 4 is call 5.
    let chunk = r#"[48,4,{"progress":true},"com.myapp.up",["xxxxxxxxxxxxxxxx"]]"#;
    for _ in 0..12 {
        net.say(both, chunk);
    }
    let heard = net.heard(both);
    assert!(
        heard.iter().all(|message| message.starts_with("[68,3,")),
        "the callee has granted 50: {heard:?}"
    );
    net.say(both, r#"[256,3,{"chunks":true},10000]"#);
    let heard = net.heard(both);
    let [credit] = heard.as_slice() else { panic!("{heard:?}") };
    assert!(
        credit.starts_with(r#"[256,4,{"chunks":true},"#),
        "for the call, not for the invocation: {credit}"
    );
    // Results of invocation 4, which the caller of call 5 grants.
    let result = r#"[70,4,{"progress":true},["xxxxxxxxxxxxxxxx"]]"#;
    for _ in 0..12 {
        net.say(both, result);
    }
    net.heard(both);
    net.say(both, "[256,5,{},10000]");
    let heard = net.heard(both);
    let [credit] = heard.as_slice() else { panic!("{heard:?}") };
    assert!(credit.starts_with("[256,4,{},"), "for the invocation, not for the call: {credit}");
}

#[test]
fn a_receiver_that_grants_nothing_for_five_minutes_loses_the_call() {
    let (mut net, callee, caller) = stream(counting(10));
    let bystander = net.raw(Serializer::Json, counting(10));
    net.say(bystander, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    results(&mut net, callee, 11);
    net.heard(caller);
    net.sleep(Duration::from_secs(299));
    assert!(net.heard(caller).is_empty());
    net.sleep(Duration::from_secs(1));
    assert_eq!(net.heard(caller), [r#"[8,48,1,{},"wamp.error.canceled",["slow consumer"]]"#]);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.canceled"}]"#]);
    let (stats, sizes) = (net.realm.stats(), net.realm.sizes());
    assert_eq!((stats.slow_consumers, sizes.starved, sizes.calls), (1, 0, 1));
    // A grant in time restarts the wait.
    net.say(callee, &RESULT.replace("[70,1", "[70,2"));
    for _ in 0..11 {
        net.say(callee, &RESULT.replace("[70,1", "[70,2"));
    }
    net.sleep(Duration::from_secs(200));
    net.say(bystander, "[256,1,{},1189]");
    assert_eq!(net.realm.sizes().starved, 0);
    net.say(callee, &RESULT.replace("[70,1", "[70,2"));
    net.sleep(Duration::from_secs(200));
    assert_eq!(net.realm.sizes().calls, 1);
    net.sleep(Duration::from_secs(100));
    assert_eq!(net.realm.sizes().calls, 0);
}

// behaviour 37
#[test]
fn a_timeout_stands_still_while_the_caller_grants_nothing() {
    let mut net = Net::with(small_windows());
    let callee = net.raw(Serializer::Json, counting(WINDOW));
    let caller = net.raw(Serializer::Json, counting(10));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true,"timeout":1000},"com.myapp.longop"]"#);
    results(&mut net, callee, 11);
    for _ in 0..60 {
        net.sleep(Duration::from_secs(1));
    }
    assert_eq!(net.realm.stats().timeouts, 0, "the callee could not have sent anything");
    net.say(caller, "[256,1,{},100000]");
    net.sleep(Duration::from_millis(999));
    assert_eq!(net.realm.stats().timeouts, 0);
    net.sleep(Duration::from_millis(1));
    assert_eq!(net.realm.stats().timeouts, 1);
}

/// Two sessions of ours with credit, and a running call.
fn ours(caller: u64) -> (Net, Client, Client, RequestId, RequestId) {
    let mut net = Net::with(small_windows());
    let callee = net.join_counting(Serializer::MsgPack, WINDOW, WINDOW);
    let caller = net.join_counting(Serializer::Json, caller, caller);
    net.register(callee, "com.myapp.longop");
    let call = net.call(caller, "com.myapp.longop", Payload::empty());
    let invocation = net.invocations(callee)[0].request;
    (net, callee, caller, call, invocation)
}

fn progress(net: &mut Net, callee: Client, invocation: RequestId) -> Result<(), ReplyError> {
    let now = net.now;
    let reply = Reply::Progress(args(Serializer::MsgPack, &"x".repeat(100)));
    let sent = net.session(callee).reply(now, invocation, reply);
    net.run();
    sent
}

#[test]
fn our_callee_stops_without_credit_and_learns_of_more() {
    let (mut net, callee, caller, call, invocation) = ours(WINDOW);
    let mut sent = 0;
    while progress(&mut net, callee, invocation).is_ok() {
        sent += 1;
        assert!(sent < 20, "without end");
    }
    assert_eq!(progress(&mut net, callee, invocation), Err(ReplyError::NoCredit));
    assert!(!net.session(callee).may_send(Stream::Results(invocation)));
    assert!(net.session(callee).is_invoked(invocation));
    let events = net.events(caller);
    assert_eq!(events.len(), sent);
    assert!(net.events(callee).is_empty());
    let now = net.now;
    for event in events {
        let Event::Replied { cost, .. } = event else { panic!("{event:?}") };
        assert!(cost > 100 + 64);
        net.session(caller).consume(now, Stream::Results(call), cost);
    }
    net.run();
    assert_eq!(net.events(callee), [Event::Credit { stream: Stream::Results(invocation) }]);
    assert_eq!(progress(&mut net, callee, invocation), Ok(()));
    // The last result needs no credit.
    while progress(&mut net, callee, invocation).is_ok() {}
    net.reply(callee, invocation, Reply::Result(Payload::empty()));
    assert!(matches!(
        net.events(caller).last(),
        Some(Event::Replied { reply: Reply::Result(_), cost: 0, .. })
    ));
    net.session(caller).consume(now, Stream::Results(call), 500);
    net.run();
    assert_eq!(net.realm.sizes().deadlines, 0);
}

#[test]
fn one_message_may_overdraw_so_none_is_too_large() {
    let (mut net, callee, caller, call, invocation) = ours(WINDOW);
    for _ in 0..5 {
        net.reply(callee, invocation, Reply::Progress(args(Serializer::MsgPack, &"x".repeat(100_000))));
        assert_eq!(progress(&mut net, callee, invocation), Err(ReplyError::NoCredit));
        let now = net.now;
        for event in net.events(caller) {
            let Event::Replied { cost, .. } = event else { panic!("{event:?}") };
            net.session(caller).consume(now, Stream::Results(call), cost);
        }
        net.run();
    }
}

#[test]
fn slowly_consumed_bytes_are_granted_after_a_while() {
    let (mut net, callee, caller, call, invocation) = ours(WINDOW);
    while progress(&mut net, callee, invocation).is_ok() {}
    let Some(Event::Replied { cost, .. }) = net.events(caller).pop() else { panic!() };
    let now = net.now;
    net.session(caller).consume(now, Stream::Results(call), cost);
    net.run();
    assert!(net.events(callee).is_empty());
    net.sleep(Duration::from_secs(30));
    net.tick(caller);
    assert_eq!(net.events(callee), [Event::Credit { stream: Stream::Results(invocation) }]);
    assert_eq!(net.session(caller).poll_timeout(), None);
}

#[test]
fn a_caller_that_has_canceled_grants_on_until_the_end() {
    let (mut net, callee, caller, call, invocation) = ours(WINDOW);
    net.session(callee).answer_cancel_myself(invocation).unwrap();
    let now = net.now;
    net.session(caller).cancel(now, call, CancelMode::Kill).unwrap();
    net.run();
    for _ in 0..100 {
        assert_eq!(progress(&mut net, callee, invocation), Ok(()), "although the program takes nothing");
    }
}

/// The same, with a call in chunks, whose caller has this serializer.
fn uploading(serializer: Serializer) -> (Net, Client, Client, RequestId, RequestId) {
    let mut net = Net::with(small_windows());
    let callee = net.join_counting(Serializer::Cbor, WINDOW, WINDOW);
    let caller = net.join_counting(serializer, WINDOW, WINDOW);
    net.register(callee, "com.myapp.up");
    let options = CallOptions { progress: Some(true), ..CallOptions::default() };
    let call = net.call_with(caller, options, "com.myapp.up", Payload::empty());
    let invocation = net.invocations(callee)[0].request;
    (net, callee, caller, call, invocation)
}

#[test]
fn our_caller_stops_sending_chunks_without_credit() {
    let (mut net, callee, caller, call, invocation) = uploading(Serializer::MsgPack);
    let now = net.now;
    let chunk = |net: &mut Net, last| {
        let sent =
            net.session(caller).send_chunk(now, call, args(Serializer::MsgPack, &"x".repeat(100)), last);
        net.run();
        sent
    };
    let mut sent = 0;
    while chunk(&mut net, false).is_ok() {
        sent += 1;
        assert!(sent < 20, "without end");
    }
    assert_eq!(chunk(&mut net, false), Err(Misuse::NoCredit));
    assert!(!net.session(caller).may_send(Stream::Chunks(call)));
    let events = net.events(callee);
    assert_eq!(events.len(), sent);
    for event in events {
        let Event::Chunk { cost, .. } = event else { panic!("{event:?}") };
        net.session(callee).consume(now, Stream::Chunks(invocation), cost);
    }
    net.run();
    let events = net.events(caller);
    assert!(!events.is_empty(), "there is credit again");
    assert!(
        events.iter().all(|event| *event == Event::Credit { stream: Stream::Chunks(call) }),
        "{events:?}"
    );
    while chunk(&mut net, false).is_ok() {}
    assert_eq!(chunk(&mut net, true), Ok(()), "the last one needs none");
    assert_eq!(chunk(&mut net, true), Err(Misuse::Unknown));
}

#[test]
fn a_window_grows_only_for_a_receiver_that_keeps_up() {
    let mut config = small_windows();
    config.credit.as_mut().unwrap().max_window = 8 * WINDOW;
    let burst = |slow: bool| {
        let mut net = Net::with(config.clone());
        let callee = net.join_counting(Serializer::MsgPack, WINDOW, WINDOW);
        let caller = net.join_counting(Serializer::MsgPack, WINDOW, 8 * WINDOW);
        net.register(callee, "com.myapp.longop");
        let call = net.call(caller, "com.myapp.longop", Payload::empty());
        let invocation = net.invocations(callee)[0].request;
        let (mut most, mut unconsumed) = (0, 0);
        for _ in 0..40 {
            let mut sent = 0;
            while progress(&mut net, callee, invocation).is_ok() {
                sent += 1;
            }
            most = most.max(sent);
            for event in net.events(caller) {
                let Event::Replied { cost, .. } = event else { panic!("{event:?}") };
                unconsumed += cost;
            }
            let (now, taken) = (net.now, if slow { unconsumed * 3 / 4 } else { unconsumed });
            unconsumed -= taken;
            net.session(caller).consume(now, Stream::Results(call), taken);
            net.run();
        }
        most
    };
    assert!(burst(true) <= 7, "{}", burst(true));
    assert!((40..60).contains(&burst(false)), "{}", burst(false));
}

// behaviour 37
#[test]
fn a_timeout_at_the_callee_stands_still_without_credit() {
    let mut net = Net::with(small_windows());
    let callee = net.join_counting(Serializer::MsgPack, WINDOW, WINDOW);
    let caller = net.join_counting(Serializer::MsgPack, WINDOW, WINDOW);
    let (now, mut options) = (net.now, RegisterOptions::default());
    options.forward_timeout = Some(true);
    net.session(callee).register(now, options, "com.myapp.longop".into()).unwrap();
    net.run();
    net.events(callee);
    let options =
        CallOptions { receive_progress: Some(true), timeout: Some(Millis(1000)), ..CallOptions::default() };
    let call = net.call_with(caller, options, "com.myapp.longop", Payload::empty());
    let invocation = net.invocations(callee)[0].request;
    while progress(&mut net, callee, invocation).is_ok() {}
    net.sleep(Duration::from_secs(60));
    net.tick(callee);
    assert!(net.session(callee).is_invoked(invocation));
    let now = net.now;
    for event in net.events(caller) {
        let Event::Replied { cost, .. } = event else { panic!("{event:?}") };
        net.session(caller).consume(now, Stream::Results(call), cost);
    }
    net.run();
    assert_eq!(net.events(callee).len(), 1);
    net.sleep(Duration::from_millis(1000));
    net.tick(callee);
    assert!(!net.session(callee).is_invoked(invocation), "now it runs again");
    let ends = net.replies(caller, call);
    let [Reply::Error(failure)] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!(failure.error, uri::TIMEOUT);
}

#[test]
fn a_credit_between_ends_of_which_one_did_not_announce_it_ends_our_session() {
    let credit = Message::decode(Serializer::Json, &crate::net::bytes("[256,1,{},7]"), &Default::default());
    let mut net = Net::new();
    let client = net.join(Serializer::Json);
    let now = net.now;
    net.session(client).handle_message(now, credit.unwrap());
    let abort = net.session(client).poll_transmit().map(|message| json(&message));
    assert!(abort.is_some_and(|abort| abort.contains("CREDIT")));
}

#[test]
fn after_the_final_chunk_no_credit_is_awaited_or_granted() {
    let mut net = Net::with(small_windows());
    let callee = net.raw(Serializer::Json, counting(10));
    let caller = net.raw(Serializer::Json, counting(10));
    net.say(callee, r#"[64,1,{},"com.myapp.up"]"#);
    let chunk = r#"[48,1,{"progress":true},"com.myapp.up",["xxxxxxxxxxxxxxxx"]]"#;
    for _ in 0..10 {
        net.say(caller, chunk);
    }
    assert_eq!(net.realm.sizes().starved, 1, "the callee has granted 10");
    net.say(caller, r#"[48,1,{},"com.myapp.up"]"#);
    let sizes = net.realm.sizes();
    assert_eq!((sizes.starved, sizes.deadlines, sizes.calls), (0, 0, 1));
    net.say(callee, r#"[256,1,{"chunks":true},10000]"#);
    net.leave();
    net.sleep(Duration::from_secs(600));
    assert!(net.heard(caller).is_empty(), "it takes as long as it likes, and grants nothing any more");
    net.say(callee, "[70,1,{}]");
    assert_eq!(net.heard(caller), ["[50,1,{}]"]);
}

#[test]
fn our_callee_grants_nothing_after_the_final_chunk() {
    let (mut net, callee, caller, call, invocation) = uploading(Serializer::Cbor);
    let now = net.now;
    let payload = args(Serializer::Cbor, &"x".repeat(500));
    for last in [false, false, true] {
        net.session(caller).send_chunk(now, call, payload.clone(), last).unwrap();
    }
    net.run();
    for event in net.events(callee) {
        let Event::Chunk { cost, .. } = event else { panic!("{event:?}") };
        net.session(callee).consume(now, Stream::Chunks(invocation), cost);
    }
    assert!(net.session(callee).poll_transmit().is_none(), "there is nothing to grant to");
    assert_eq!(net.session(callee).poll_timeout(), None);
}

#[test]
fn a_callee_that_is_not_told_of_the_end_does_not_wait_for_credit() {
    let forever = "[256,1,{},9007199254740992]";
    let (mut net, callee, caller) = stream(counting(10));
    results(&mut net, callee, 11);
    net.say(caller, r#"[49,1,{"mode":"skip"}]"#);
    assert_eq!(net.heard(callee), [forever]);
    // A handler of ours that answers a kill itself, but too late.
    let (mut net, callee, caller) = stream(counting(10));
    net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
    results(&mut net, callee, 11);
    net.sleep(Duration::from_secs(30));
    assert_eq!(net.heard(callee).last().map(String::as_str), Some(forever));
    // And a callee that takes no INTERRUPT.
    let mut net = Net::with(small_windows());
    let callee = net.raw(Serializer::Json, Roles::none().with(Role::Callee, Features::none().with_credit(0)));
    let caller = net.raw(Serializer::Json, counting(10));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    net.cut(caller);
    assert_eq!(net.heard(callee), [forever]);
}

// behaviour 37
#[test]
fn a_timeout_stands_still_while_results_have_not_left() {
    let mut net = Net::with(small_windows());
    let callee = net.raw(Serializer::Json, counting(WINDOW));
    let caller = net.raw(Serializer::Json, all_roles());
    net.leaves = false;
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true,"timeout":1000},"com.myapp.longop"]"#);
    results(&mut net, callee, 11);
    for _ in 0..10 {
        net.sleep(Duration::from_secs(1));
    }
    assert_eq!(net.realm.stats().timeouts, 0, "the callee could not have sent anything");
    net.leave();
    net.leave();
    net.sleep(Duration::from_millis(999));
    assert_eq!(net.realm.stats().timeouts, 0);
    net.sleep(Duration::from_millis(1));
    assert_eq!(net.realm.stats().timeouts, 1);
}
