//! The tables of a realm as an administrator sees them.

use std::time::Duration;

use wamp_core::router::{CallInfo, CallState, Feed};
use wamp_proto::{Serializer, SessionId, uri};

use crate::net::{Net, all_roles};

const SECOND: Duration = Duration::from_secs(1);

fn calls(net: &Net) -> Vec<CallInfo> {
    net.realm.calls_from(net.now, 0, usize::MAX).rows
}

// behaviour 300
#[test]
fn a_running_call_is_shown_with_its_ends_its_results_and_its_state() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[64,2,{"match":"prefix"},"com.other."]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.now = net.now + SECOND;
    net.say(caller, r#"[48,2,{},"com.other.thing"]"#);
    net.say(callee, r#"[70,1,{"progress":true},[1]]"#);
    net.say(callee, r#"[70,1,{"progress":true},[2]]"#);
    net.now = net.now + SECOND;

    let shown = calls(&net);
    assert_eq!(shown.len(), 2);
    let [first, second] = &shown[..] else { unreachable!() };
    assert_eq!(first.procedure.as_deref(), Some("com.myapp.longop"));
    let sessions = [&first.caller, &first.callee].map(|party| party.as_ref().unwrap().session);
    assert_eq!(sessions, [net.key(caller).id(), net.key(callee).id()]);
    assert_eq!((first.age, first.last, first.results), (2 * SECOND, Some(SECOND), 2));
    assert_eq!((first.state, first.wants_progress, first.in_chunks), (CallState::Running, true, false));
    // Of a pattern the procedure is shown, and not the pattern.
    assert_eq!(second.procedure.as_deref(), Some("com.other.thing"));
    assert_eq!((second.age, second.last, second.results), (SECOND, None, 0));

    let (held, by) = (net.key(callee), net.key(caller));
    net.realm.set_full(net.now, by);
    assert!(net.realm.hold(net.now, held, by, Feed::Stream));
    assert_eq!(calls(&net)[0].state, CallState::Held { by: Some(by.id()) });
    net.realm.set_room(net.now, by);
    net.run();
    net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
    assert_eq!(calls(&net)[0].state, CallState::Canceling);
    // After UNREGISTER the call goes on without a name.
    net.say(callee, r#"[66,3,1]"#);
    assert_eq!(calls(&net)[0].procedure, None);
    let stats = net.realm.stats();
    assert_eq!((stats.calls, stats.cancels_kill), (2, 1));
}

// behaviour 300
#[test]
fn portions_together_are_the_table() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[32,2,{},"com.myapp.topic"]"#);
    net.say(callee, r#"[32,3,{},"wamp.session.on_join"]"#);
    for request in 1..=10 {
        net.say(caller, &format!(r#"[48,{request},{{}},"com.myapp.longop"]"#));
    }
    net.say(callee, "[70,3,{}]");
    let (mut from, mut ids) = (Some(0), Vec::new());
    while let Some(place) = from {
        let portion = net.realm.calls_from(net.now, place, 4);
        assert!(portion.rows.len() <= 4);
        ids.extend(portion.rows.iter().map(|call| call.id));
        from = portion.next;
    }
    assert_eq!(ids.len(), 9);
    ids.dedup();
    assert_eq!(ids.len(), 9);
    assert!(ids.iter().all(|id| id.to_string().parse() == Ok(*id)));

    let sessions = net.realm.sessions_from(net.now, 0, 10).rows;
    let of = |client| sessions.iter().find(|session| session.key == net.key(client)).unwrap();
    assert_eq!((of(callee).invocations, of(callee).registrations, of(callee).subscriptions), (9, 1, 2));
    assert_eq!((of(caller).calls, of(caller).is_held, of(caller).is_full), (9, false, false));
    let registrations = net.realm.registrations_from(0, 10).rows;
    assert_eq!(
        (registrations.len(), &*registrations[0].uri, registrations[0].callees),
        (1, "com.myapp.longop", 1)
    );
    // Meta topics are left out.
    let subscriptions = net.realm.subscriptions_from(0, 10).rows;
    assert_eq!((subscriptions.len(), subscriptions[0].uri.as_str()), (1, "com.myapp.topic"));
}

// behaviour 301
#[test]
fn an_administrator_cancels_a_call_and_ends_a_session() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    let id = calls(&net)[0].id;
    assert!(net.realm.cancel_call(net.now, id, "canceled by an administrator"));
    net.run();
    assert_eq!(net.heard(caller), [r#"[8,48,1,{},"wamp.error.canceled",["canceled by an administrator"]]"#]);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.canceled"}]"#]);
    assert!(!net.realm.cancel_call(net.now, id, "again"), "it has ended");
    assert_eq!((net.realm.stats().ended, net.realm.sizes().calls), (1, 0));

    assert!(!net.realm.kill(net.now, SessionId::new(1).unwrap(), uri::KILLED, "no"));
    let session = net.key(caller).id();
    assert!(net.realm.kill(net.now, session, uri::KILLED, "ended by an administrator"));
    net.run();
    let goodbye = r#"[6,{"message":"ended by an administrator"},"wamp.close.killed"]"#;
    assert_eq!(net.heard(caller), [goodbye]);
}

// behaviour 302
#[test]
fn the_first_call_of_each_64_is_timed() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    for request in 1..=129 {
        net.say(caller, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.longop"]"#));
        net.now = net.now + SECOND;
        net.say(callee, &format!(r#"[70,{request},{{"progress":true}}]"#));
        net.now = net.now + 2 * SECOND;
        net.say(callee, &format!("[70,{request},{{}}]"));
    }
    let timings = net.realm.timings();
    let count = |counts: &[u64]| counts.iter().sum::<u64>();
    assert_eq!((count(timings.duration.counts()), count(timings.first_result.counts())), (3, 3));
    assert_eq!((timings.duration.sum(), timings.first_result.sum()), (9 * SECOND, 3 * SECOND));
    let stats = net.realm.stats();
    assert_eq!(
        (stats.calls, stats.results, stats.progressive_results, stats.callee_errors),
        (129, 258, 129, 0)
    );
    let joins: Vec<_> = net.realm.joins().by_method().filter(|(_, count)| *count > 0).collect();
    assert_eq!(joins, [("anonymous", 2)]);
}

// behaviour 302
#[test]
fn errors_are_counted_by_their_origin() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,2,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,3,{},"com.myapp.unknown"]"#);
    net.say(callee, r#"[8,68,1,{},"com.myapp.error"]"#);
    net.say(caller, r#"[49,2,{}]"#);
    let stats = net.realm.stats();
    assert_eq!((stats.callee_errors, stats.ended, stats.requests_refused), (1, 1, 1));
    assert_eq!((stats.results, stats.cancels_killnowait), (1, 1));
}
