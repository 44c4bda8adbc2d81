//! Calls that wait until a callee has room, in a realm with a `call_queue` (behaviour 148).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use wamp_core::Time;
use wamp_core::router::{Config, Feed};
use wamp_proto::Serializer;

use crate::credit::{counting, small_windows};
use crate::net::{Client, Net, all_roles};

const PROCEDURE: &str = "com.myapp.longop";

fn net(call_queue: usize) -> Net {
    let mut config = Config::new("realm1");
    config.call_queue = call_queue;
    Net::with(config)
}

fn callee(net: &mut Net, options: &str) -> Client {
    let callee = net.raw(Serializer::Json, all_roles());
    net.say(callee, &format!(r#"[64,1,{{{options}}},"com.myapp.longop"]"#));
    assert!(net.heard(callee)[0].starts_with("[65,1,"));
    callee
}

fn call(net: &mut Net, caller: Client, request: usize, options: &str) {
    net.say(caller, &format!(r#"[48,{request},{{{options}}},"com.myapp.longop",[{request}]]"#));
}

// behaviour 148
#[test]
fn calls_wait_in_their_order_for_a_callee_with_room() {
    let mut net = net(2);
    let callers = [(); 3].map(|()| net.raw(Serializer::Json, all_roles()));
    let callee = callee(&mut net, r#""concurrency":1"#);
    call(&mut net, callers[0], 1, "");
    call(&mut net, callers[1], 1, r#""receive_progress":true"#);
    call(&mut net, callers[0], 2, "");
    call(&mut net, callers[2], 1, "");
    let refused = r#"[8,48,1,{},"wamp.error.unavailable",["no callee can take another call now"]]"#;
    assert_eq!(net.heard(callers[2]), [refused], "two wait");
    assert_eq!(net.heard(callee), ["[68,1,1,{},[1]]"]);
    assert_eq!((net.realm.sizes().calls, net.realm.sizes().queued), (3, 2));
    net.say(callee, "[70,1,{}]");
    assert_eq!(net.heard(callee), [r#"[68,2,1,{"receive_progress":true},[1]]"#]);
    // A place is free again.
    call(&mut net, callers[2], 2, "");
    assert!(net.heard(callers[2]).is_empty());
    net.say(callee, r#"[70,2,{"progress":true},[1]]"#);
    assert_eq!(net.heard(callers[1]), [r#"[50,1,{"progress":true},[1]]"#]);
    net.say(callee, "[70,2,{}]");
    assert_eq!(net.heard(callee), ["[68,3,1,{},[2]]"]);
    net.say(callee, "[70,3,{}]");
    assert_eq!(net.heard(callee), ["[68,4,1,{},[2]]"]);
    net.say(callee, "[70,4,{}]");
    let sizes = net.realm.sizes();
    assert_eq!((sizes.calls, sizes.queued, sizes.kept_bytes, sizes.loads, sizes.deadlines), (0, 0, 0, 0, 0));
    assert_eq!(net.realm.stats().calls_queued, 3);
}

// behaviour 148
#[test]
fn a_waiting_call_ends_like_every_other() {
    for end in [
        "skip",
        "kill",
        "killnowait",
        "timeout",
        "loss",
        "goodbye",
        "callee",
        "unregister",
        "revoke",
        "shutdown",
    ] {
        let mut net = net(10);
        let (first, caller) =
            (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
        let callee = callee(&mut net, r#""concurrency":1"#);
        call(&mut net, first, 1, "");
        call(&mut net, caller, 1, r#""timeout":100"#);
        assert_eq!((net.heard(callee).len(), net.realm.sizes().queued), (1, 1), "{end}");
        let error = match end {
            "skip" | "kill" | "killnowait" => {
                net.say(caller, &format!(r#"[49,1,{{"mode":"{end}"}}]"#));
                Some("canceled")
            }
            "timeout" => {
                net.sleep(Duration::from_millis(99));
                assert!(net.heard(caller).is_empty());
                net.sleep(Duration::from_millis(1));
                Some("timeout")
            }
            "loss" => {
                net.cut(caller);
                None
            }
            "goodbye" => {
                net.say(caller, r#"[6,{},"wamp.close.close_realm"]"#);
                net.heard(caller);
                None
            }
            "callee" => {
                net.cut(callee);
                Some("unavailable")
            }
            "unregister" => {
                net.say(callee, "[66,2,1]");
                net.heard(callee);
                Some("unavailable")
            }
            "revoke" => {
                let (key, id) = (net.key(callee), wamp_proto::RegistrationId::new(1).unwrap());
                assert!(net.realm.revoke_registration(net.now, key, id, None));
                net.sleep(Duration::ZERO);
                net.heard(callee);
                Some("unavailable")
            }
            _ => {
                net.realm.shut_down(net.now);
                net.sleep(Duration::ZERO);
                Some("canceled")
            }
        };
        let heard = net.heard(caller);
        match error {
            Some(error) => {
                let begin = format!(r#"[8,48,1,{{}},"wamp.error.{error}""#);
                assert!(heard.first().is_some_and(|heard| heard.starts_with(&begin)), "{end}: {heard:?}");
            }
            None => assert!(heard.iter().all(|heard| heard.starts_with("[6")), "{end}: {heard:?}"),
        }
        assert_eq!((net.realm.sizes().queued, net.realm.sizes().kept_bytes), (0, 0), "{end}");
        // The callee has not heard of it.
        if !matches!(end, "callee" | "shutdown") {
            assert!(net.heard(callee).is_empty(), "{end}");
            net.say(callee, "[70,1,{}]");
            assert!(net.heard(callee).is_empty(), "{end}");
        }
        assert_eq!(net.realm.sizes().calls, 0, "{end}");
    }
}

// behaviour 148
#[test]
fn a_waiting_call_takes_the_rest_of_its_timeout_along() {
    let mut net = net(10);
    let caller = net.raw(Serializer::Json, all_roles());
    let callee = callee(&mut net, r#""concurrency":1"#);
    call(&mut net, caller, 1, "");
    call(&mut net, caller, 2, r#""timeout":100"#);
    net.sleep(Duration::from_millis(60));
    net.say(callee, "[70,1,{}]");
    net.heard(caller);
    assert_eq!(net.heard(callee).len(), 2);
    net.sleep(Duration::from_millis(39));
    assert!(net.heard(caller).is_empty());
    net.sleep(Duration::from_millis(1));
    assert!(net.heard(caller)[0].contains("wamp.error.timeout"));
    assert!(net.heard(callee)[0].starts_with("[69,2,"));
}

// behaviour 148
#[test]
fn calls_do_not_wait_where_nothing_would_make_room() {
    let mut net = net(10);
    let caller = net.raw(Serializer::Json, all_roles());
    let callee = callee(&mut net, r#""concurrency":1"#);
    call(&mut net, caller, 1, "");
    // Its chunks would have to wait, too.
    call(&mut net, caller, 2, r#""progress":true"#);
    assert!(net.heard(caller)[0].contains("wamp.error.unavailable"));
    // The bytes of the calls of one caller that wait.
    let mut config = Config::new("realm1");
    config.call_queue = 10;
    config.limits.kept_bytes = 700;
    let mut tight = Net::with(config);
    let caller = tight.raw(Serializer::Json, all_roles());
    let slow = self::callee(&mut tight, r#""concurrency":1"#);
    for request in 1..=4 {
        call(&mut tight, caller, request, "");
    }
    assert_eq!((tight.realm.sizes().queued, tight.heard(caller).len()), (2, 1));
    tight.say(slow, "[70,1,{}]");
    call(&mut tight, caller, 5, "");
    assert_eq!((tight.realm.sizes().queued, tight.heard(caller).len()), (2, 1));
    let _ = callee;
}

// behaviour 148
#[test]
fn a_call_that_the_callee_cannot_take_leaves_the_queue_with_its_error() {
    let mut net = net(10);
    let caller = net.raw(Serializer::Json, all_roles());
    let callee = callee(&mut net, r#""concurrency":1"#);
    call(&mut net, caller, 1, "");
    let transparent = r#"[48,2,{"enc_algo":"cryptobox"},"com.myapp.longop","\u0000AQID"]"#;
    net.say(caller, transparent);
    call(&mut net, caller, 3, "");
    net.say(callee, "[70,1,{}]");
    let heard = net.heard(caller);
    assert!(heard[1].starts_with(r#"[8,48,2,{},"wamp.error.feature_not_supported""#), "{heard:?}");
    assert_eq!(net.heard(callee), ["[68,1,1,{},[1]]", "[68,2,1,{},[3]]"]);
}

// behaviour 148, behaviour 300, behaviour 302
#[test]
fn a_call_that_has_waited_is_one_call_since_its_begin() {
    let mut net = net(10);
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{"concurrency":1,"match":"prefix"},"com.myapp."]"#);
    call(&mut net, caller, 1, "");
    call(&mut net, caller, 2, "");
    call(&mut net, caller, 3, "");
    assert_eq!(net.realm.stats().calls, 1);
    net.sleep(Duration::from_secs(1));
    let shown = |net: &Net, request: usize| {
        net.realm.calls_from(net.now, 0, usize::MAX).rows.swap_remove(request - 1)
    };
    let waiting = shown(&net, 2);
    assert_eq!((waiting.procedure.as_deref(), waiting.callee), (Some(PROCEDURE), None));
    // One that never gets a callee is none that went to one.
    net.say(caller, "[49,3,{}]");
    net.say(callee, "[70,1,{}]");
    net.sleep(Duration::from_secs(1));
    let running = shown(&net, 1);
    assert_eq!(running.procedure.as_deref(), Some(PROCEDURE));
    assert_eq!(
        (running.id, running.age, running.callee.is_some()),
        (waiting.id, Duration::from_secs(2), true)
    );
    assert_eq!((net.realm.stats().calls, net.realm.stats().calls_queued), (2, 2));
}

// behaviour 302: all calls but the first wait.
#[test]
fn calls_that_have_waited_are_timed_as_all_others() {
    let mut net = net(10);
    let callee = callee(&mut net, r#""concurrency":1"#);
    let caller = net.raw(Serializer::Json, all_roles());
    for request in 1..=3 {
        call(&mut net, caller, request, "");
    }
    for ended in 1..=130 {
        net.sleep(Duration::from_millis(2));
        net.say(callee, &format!("[70,{ended},{{}}]"));
        call(&mut net, caller, ended + 3, "");
    }
    // The calls 1, 65 and 129; the last two have waited for 4 ms before they ran for 2 ms.
    let timed = net.realm.timings().duration;
    assert_eq!((timed.counts().iter().sum::<u64>(), timed.sum()), (3, Duration::from_millis(2 + 6 + 6)));
    assert_eq!(net.realm.stats().calls, 131);
}

// behaviour 148: of a callee with many running calls, these end before its registration, in portions.
#[test]
fn a_waiting_call_of_a_callee_with_many_calls_ends_like_every_other() {
    let mut net = net(10);
    let callee = callee(&mut net, r#""concurrency":300"#);
    let caller = net.raw(Serializer::Json, all_roles());
    for request in 1..=301 {
        call(&mut net, caller, request, "");
    }
    assert_eq!(net.realm.sizes().queued, 1);
    net.cut(callee);
    net.sleep(Duration::ZERO);
    let heard = net.heard(caller);
    let waiting: Vec<_> = heard.iter().filter(|heard| heard.starts_with("[8,48,301,")).collect();
    assert_eq!((heard.len(), waiting.len()), (301, 1));
    assert!(waiting[0].contains("wamp.error.unavailable"), "{waiting:?}");
}

// behaviour 148: the callee has a call of another from then on, so that its hold may not last.
#[test]
fn a_call_that_has_waited_makes_a_hold_contested() {
    let mut net = net(10);
    let callee = callee(&mut net, r#""concurrency":2"#);
    let (slow, other) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    call(&mut net, slow, 1, r#""receive_progress":true"#);
    call(&mut net, slow, 2, "");
    call(&mut net, other, 1, "");
    let (held, by) = (net.key(callee), net.key(slow));
    net.realm.set_full(net.now, by);
    assert!(net.realm.hold(net.now, held, by, Feed::Stream));
    net.say(slow, "[49,2,{}]");
    assert_eq!(net.realm.sizes().queued, 0);
    net.sleep(Duration::from_secs(2));
    assert!(!net.realm.is_held(held));
}

// behaviour 148: an invocation of the caller may have the id of its waiting call.
#[test]
fn credit_for_the_results_of_a_waiting_call_is_kept_and_no_other() {
    for (options, granted) in [("", true), (r#""chunks":true"#, false)] {
        let mut config = small_windows();
        config.call_queue = 10;
        let mut net = Net::with(config);
        let [other, caller, callee] = [(); 3].map(|()| net.raw(Serializer::Json, counting(500)));
        net.say(callee, r#"[64,1,{"concurrency":1},"com.myapp.longop"]"#);
        call(&mut net, other, 1, "");
        call(&mut net, caller, 1, r#""receive_progress":true"#);
        net.say(caller, &format!("[256,1,{{{options}}},1300]"));
        net.say(callee, "[70,1,{}]");
        assert_eq!(net.heard(callee).len(), 3);
        for _ in 0..12 {
            net.say(callee, r#"[70,2,{"progress":true},["234567"]]"#);
        }
        let last = net.heard(callee).last().cloned();
        assert_eq!(last.as_deref(), granted.then_some("[256,2,{},1300]"), "{options}");
    }
}

/// A queue, its callees and its callers without regard to speed.
#[derive(Default)]
struct Model {
    /// Each callee with its limit, the calls that it answers, by invocation, and the next invocation.
    callees: Vec<(Client, usize, BTreeMap<u64, u64>, u64)>,
    queue: VecDeque<u64>,
    /// The caller of each call, its request and its deadline.
    calls: BTreeMap<u64, (Client, u64, Option<Time>)>,
    expected: BTreeMap<Client, Vec<String>>,
}

const PLACES: usize = 3;

impl Model {
    fn expect(&mut self, client: Client, message: Value) {
        self.expected.entry(client).or_default().push(message.to_string());
    }

    fn free(&self) -> Option<usize> {
        self.callees.iter().position(|(_, limit, running, _)| running.len() < *limit)
    }

    fn call(&mut self, tag: u64, caller: Client, request: u64, deadline: Option<Time>) {
        self.calls.insert(tag, (caller, request, deadline));
        match self.free() {
            Some(_) if self.queue.is_empty() => self.queue.push_back(tag),
            _ if self.callees.is_empty() => return self.fail(tag, "no_such_procedure"),
            _ if self.queue.len() < PLACES => return self.queue.push_back(tag),
            _ => return self.fail(tag, "unavailable"),
        }
        self.serve();
    }

    fn fail(&mut self, tag: u64, error: &str) {
        let Some((caller, request, _)) = self.calls.remove(&tag) else { return };
        self.expect(caller, json!([8, 48, request, format!("wamp.error.{error}")]));
    }

    fn serve(&mut self) {
        while let (Some(callee), Some(tag)) = (self.free(), self.queue.front().copied()) {
            self.queue.pop_front();
            let (client, _, running, next) = &mut self.callees[callee];
            *next += 1;
            running.insert(*next, tag);
            let (client, invocation) = (*client, *next);
            self.expect(client, json!([68, invocation, tag]));
        }
        if self.callees.is_empty() {
            for tag in std::mem::take(&mut self.queue) {
                self.fail(tag, "unavailable");
            }
        }
    }

    /// Removes a call from the queue or from its callee, which is told.
    fn take(&mut self, tag: u64, told: bool) {
        self.queue.retain(|other| *other != tag);
        let mut interrupted = None;
        for (client, _, running, _) in &mut self.callees {
            if let Some((invocation, _)) = running.iter().find(|(_, other)| **other == tag) {
                interrupted = Some((*client, *invocation));
                running.retain(|_, other| *other != tag);
            }
        }
        if let Some((client, invocation)) = interrupted.filter(|_| told) {
            self.expect(client, json!([69, invocation]));
        }
    }
}

/// The parts of a message that the model knows.
fn known(message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap();
    match message[0].as_u64().unwrap() {
        8 => json!([8, message[1], message[2], message[4]]),
        50 => json!([50, message[1]]),
        68 => json!([68, message[1], message[4][0]]),
        69 => json!([69, message[1]]),
        code => json!([code]),
    }
    .to_string()
}

// behaviour 148
#[test]
fn a_queue_of_calls_does_what_its_model_does() {
    for seed in 1..=200_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let mut net = net(PLACES);
        let mut model = Model::default();
        let mut callers: Vec<(Client, u64)> =
            (0..3).map(|_| (net.raw(Serializer::Json, all_roles()), 0)).collect();
        let mut tag = 0;
        for step in 0..60 {
            let live: Vec<u64> = model.calls.keys().copied().collect();
            match draw(12) {
                0..=4 => {
                    let (caller, request) = &mut callers[draw(3)];
                    (*request, tag) = (*request + 1, tag + 1);
                    // No two calls end at the same time.
                    let timeout = (draw(3) == 0).then(|| 50 + 64 * draw(8) as u64 + tag % 64);
                    let deadline = timeout.map(|timeout| net.now + Duration::from_millis(timeout));
                    let taken = |at: &Time| model.calls.values().any(|(.., other)| *other == Some(*at));
                    let deadline = deadline.filter(|at| !taken(at));
                    let options = match (timeout, deadline) {
                        (Some(timeout), Some(_)) => json!({"timeout": timeout}),
                        _ => json!({}),
                    };
                    model.call(tag, *caller, *request, deadline);
                    let said = json!([48, request, options, PROCEDURE, [tag]]);
                    net.say(*caller, &said.to_string());
                }
                5 | 6 => {
                    let running = |(client, _, running, _): &(Client, usize, BTreeMap<u64, u64>, u64)| {
                        running.iter().map(|(id, tag)| (*client, *id, *tag)).collect::<Vec<_>>()
                    };
                    let running: Vec<_> = model.callees.iter().flat_map(running).collect();
                    if running.is_empty() {
                        continue;
                    }
                    let (client, invocation, tag) = running[draw(running.len())];
                    model.take(tag, false);
                    let (caller, request, _) = model.calls.remove(&tag).unwrap();
                    model.expect(caller, json!([50, request]));
                    model.serve();
                    net.say(client, &json!([70, invocation, {}]).to_string());
                }
                7 if !live.is_empty() => {
                    let tag = live[draw(live.len())];
                    let (caller, request, _) = model.calls[&tag];
                    model.take(tag, true);
                    model.fail(tag, "canceled");
                    model.serve();
                    net.say(caller, &json!([49, request, {"mode": "killnowait"}]).to_string());
                }
                8 => {
                    let due = model.calls.iter().filter_map(|(tag, (.., at))| Some(((*at)?, *tag))).min();
                    let Some((at, tag)) = due else { continue };
                    model.take(tag, true);
                    model.fail(tag, "timeout");
                    model.serve();
                    net.sleep(at.since(net.now));
                }
                9 => {
                    let index = draw(3);
                    let (caller, _) = callers[index];
                    let own = model.calls.iter().filter(|(_, (of, ..))| *of == caller);
                    for tag in own.map(|(tag, _)| *tag).collect::<Vec<_>>() {
                        model.take(tag, true);
                        model.calls.remove(&tag);
                    }
                    model.serve();
                    net.cut(caller);
                    callers[index] = (net.raw(Serializer::Json, all_roles()), 0);
                }
                10 if !model.callees.is_empty() => {
                    let (callee, _, running, _) = model.callees.remove(draw(model.callees.len()));
                    for tag in running.into_values() {
                        model.fail(tag, "canceled");
                    }
                    model.serve();
                    net.cut(callee);
                }
                11 if model.callees.len() < 3 => {
                    let limit = 1 + draw(2);
                    let callee = net.raw(Serializer::Json, all_roles());
                    model.callees.push((callee, limit, BTreeMap::new(), 0));
                    model.expect(callee, json!([65]));
                    model.serve();
                    let options = json!({"invoke": "first", "concurrency": limit});
                    net.say(callee, &json!([64, 1, options, PROCEDURE]).to_string());
                }
                _ => continue,
            }
            let clients =
                callers.iter().map(|(caller, _)| *caller).chain(model.callees.iter().map(|of| of.0));
            for client in clients.collect::<Vec<_>>() {
                let mut heard: Vec<String> = net.heard(client).iter().map(|said| known(said)).collect();
                let mut expected = model.expected.remove(&client).unwrap_or_default();
                heard.sort_unstable();
                expected.sort_unstable();
                assert_eq!(heard, expected, "seed {seed}, step {step}");
            }
            model.expected.clear();
            let sizes = net.realm.sizes();
            assert_eq!(
                (sizes.calls, sizes.queued),
                (model.calls.len(), model.queue.len()),
                "seed {seed}, step {step}"
            );
            let deadlines = model.calls.values().filter(|(.., at)| at.is_some()).count();
            assert_eq!(
                (sizes.deadlines, sizes.kept_bytes > 0),
                (deadlines, !model.queue.is_empty()),
                "seed {seed}"
            );
            assert!(model.queue.len() <= PLACES);
        }
    }
}
