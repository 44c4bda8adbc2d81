//! Calls that their callee refuses with `wamp.error.unavailable`.

use std::time::Duration;

use wamp_core::auth::Identity;
use wamp_core::router::{Config, Event, Role as WampRole, RouterCall};
use wamp_proto::{Feature, Features, Payload, Role, Roles, Serializer, uri};

use crate::net::{Client, Net, all_roles, basic_roles};

/// All roles, with calls that another callee may get.
fn rerouting() -> Roles {
    let callee = Features::none()
        .with(Feature::ProgressiveCallResults)
        .with(Feature::ProgressiveCallInvocations)
        .with(Feature::CallCanceling)
        .with(Feature::CallTimeout)
        .with(Feature::CallReroute)
        .with(Feature::PayloadPassthruMode);
    all_roles().with(Role::Callee, callee)
}

const UNAVAILABLE: &str = r#""wamp.error.unavailable""#;

struct Scene {
    net: Net,
    caller: Client,
    callees: [Client; 3],
}

impl Scene {
    fn new(invoke: &str) -> Self {
        Self::with(Net::new(), invoke, rerouting)
    }

    fn with(mut net: Net, options: &str, roles: fn() -> Roles) -> Self {
        let caller = net.raw(Serializer::Json, rerouting());
        let callees = [(); 3].map(|()| {
            let callee = net.raw(Serializer::Json, roles());
            net.say(callee, &format!(r#"[64,1,{{"invoke":{options}}},"com.myapp.longop"]"#));
            assert_eq!(net.heard(callee), ["[65,1,1]"]);
            callee
        });
        Self { net, caller, callees }
    }

    fn call(&mut self, request: u64, options: &str) {
        self.net
            .say(self.caller, &format!(r#"[48,{request},{{{options}}},"com.myapp.longop",["x"],{{"k":1}}]"#));
    }

    /// The callee that has got an INVOCATION, and the message.
    fn invoked(&mut self) -> Option<(usize, String)> {
        let mut invoked = Vec::new();
        for (index, callee) in self.callees.iter().enumerate() {
            invoked.extend(self.net.heard(*callee).into_iter().map(|said| (index, said)));
        }
        assert!(invoked.len() < 2, "{invoked:?}");
        invoked.pop()
    }

    fn refuse(&mut self, callee: usize, invocation: u64) {
        let said = format!(r#"[8,68,{invocation},{{}},{UNAVAILABLE},["callee {callee}"]]"#);
        self.net.say(self.callees[callee], &said);
    }
}

// behaviour 142
#[test]
fn a_refused_call_goes_to_each_other_callee_in_the_order_of_the_policy() {
    for (invoke, orders) in [
        ("roundrobin", vec![[0, 1, 2], [0, 1, 2]]),
        ("first", vec![[0, 1, 2], [0, 1, 2]]),
        ("last", vec![[2, 1, 0], [2, 1, 0]]),
        ("queue_least_loaded", vec![[0, 1, 2], [0, 1, 2]]),
        ("random", vec![]),
    ] {
        let mut scene = Scene::new(&format!("{invoke:?}"));
        for request in 1..=2 {
            scene.call(request, "");
            let mut asked = Vec::new();
            while let Some((callee, said)) = scene.invoked() {
                assert_eq!(said, format!(r#"[68,{request},1,{{}},["x"],{{"k":1}}]"#), "{invoke}");
                assert!(scene.net.heard(scene.caller).is_empty(), "{invoke}");
                asked.push(callee);
                scene.refuse(callee, request);
            }
            match orders.get(request as usize - 1) {
                Some(order) => assert_eq!(asked, order, "{invoke}"),
                None => assert_eq!(asked.iter().collect::<std::collections::BTreeSet<_>>().len(), 3),
            }
            let last = asked[2];
            let end = format!(r#"[8,48,{request},{{}},"wamp.error.no_available_callee",["callee {last}"]]"#);
            assert_eq!(scene.net.heard(scene.caller), [end], "{invoke}");
        }
        let sizes = scene.net.realm.sizes();
        assert_eq!((sizes.calls, sizes.loads, sizes.kept_bytes, sizes.deadlines), (0, 0, 0, 0), "{invoke}");
        assert_eq!(scene.net.realm.stats().rerouted, 4);
    }
}

// behaviour 142
#[test]
fn at_random_each_of_the_others_is_as_likely() {
    let mut scene = Scene::new(r#""random""#);
    let mut seen = [[0; 3]; 3];
    let mut issued = [0; 3];
    for request in 1..=600 {
        scene.call(request, "");
        let mut asked = Vec::new();
        while let Some((callee, _)) = scene.invoked() {
            issued[callee] += 1;
            asked.push(callee);
            scene.refuse(callee, issued[callee]);
        }
        seen[asked[0]][asked[1]] += 1;
    }
    for (first, row) in seen.iter().enumerate() {
        for (second, count) in row.iter().enumerate().filter(|(second, _)| *second != first) {
            assert!((60..=140).contains(count), "{second} after {first}: {seen:?}");
        }
    }
}

// behaviour 142
#[test]
fn the_second_callee_answers_and_the_caller_learns_nothing_of_the_first() {
    let mut scene = Scene::new(r#""first""#);
    scene.call(1, r#""receive_progress":true,"disclose_me":true,"ppt_scheme":"x_my""#);
    let (first, said) = scene.invoked().unwrap();
    scene.refuse(first, 1);
    let (second, again) = scene.invoked().unwrap();
    assert_eq!((second, &again), (1, &said));
    assert!(said.contains(r#""receive_progress":true"#) && said.contains(r#""ppt_scheme":"x_my""#), "{said}");
    assert!(said.contains(r#""caller":"#), "{said}");
    // The first one has answered: what it sends now is late.
    scene.net.say(scene.callees[0], "[70,1,{}]");
    assert_eq!(scene.net.realm.stats().late, 1);
    scene.net.say(scene.callees[1], r#"[70,1,{"progress":true},[1]]"#);
    scene.net.say(scene.callees[1], "[70,1,{},[2]]");
    assert_eq!(scene.net.heard(scene.caller), [r#"[50,1,{"progress":true},[1]]"#, "[50,1,{},[2]]"]);
    assert_eq!(scene.net.realm.sizes().kept_bytes, 0);
}

// behaviour 142
#[test]
fn a_single_callee_that_refuses_leaves_nobody() {
    let mut net = Net::new();
    let (caller, callee) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, rerouting()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(callee, &format!(r#"[8,68,1,{{"ppt_scheme":"x_my"}},{UNAVAILABLE},[7],{{"k":1}}]"#));
    let end = r#"[8,48,1,{"ppt_scheme":"x_my"},"wamp.error.no_available_callee",[7],{"k":1}]"#;
    assert_eq!(net.heard(caller), [end]);
}

// behaviour 142
#[test]
fn a_call_with_a_result_or_a_second_chunk_stays_with_its_callee() {
    for touched in [false, true] {
        let mut scene = Scene::new(r#""first""#);
        scene.call(1, r#""receive_progress":true"#);
        scene.call(2, r#""progress":true"#);
        scene.net.heard(scene.callees[0]);
        assert!(scene.net.realm.sizes().kept_bytes > 0);
        if touched {
            scene.net.say(scene.callees[0], r#"[70,1,{"progress":true}]"#);
            scene.call(2, r#""progress":true"#);
            assert_eq!(scene.net.realm.sizes().kept_bytes, 0, "it is not needed any more");
            assert_eq!(scene.net.heard(scene.caller).len(), 1);
        }
        scene.refuse(0, 1);
        scene.refuse(0, 2);
        let heard = scene.net.heard(scene.caller);
        match touched {
            true => assert!(heard.iter().all(|said| said.contains(UNAVAILABLE)) && heard.len() == 2),
            false => assert_eq!((heard.len(), scene.net.heard(scene.callees[1]).len()), (0, 2)),
        }
    }
}

// behaviour 142
#[test]
fn chunks_go_to_the_callee_that_has_the_call_now() {
    let mut scene = Scene::new(r#""first""#);
    scene.call(1, r#""progress":true"#);
    assert_eq!(scene.invoked().unwrap().0, 0);
    scene.refuse(0, 1);
    let invoked = r#"[68,1,1,{"progress":true},["x"],{"k":1}]"#.to_owned();
    assert_eq!(scene.invoked(), Some((1, invoked.clone())));
    scene.call(1, r#""progress":true"#);
    assert_eq!(scene.invoked(), Some((1, invoked)));
    scene.call(1, "");
    assert_eq!(scene.invoked().unwrap().0, 1);
    scene.net.say(scene.callees[1], "[70,1,{}]");
    assert_eq!(scene.net.heard(scene.caller), ["[50,1,{}]"]);
}

// behaviour 143
#[test]
fn the_timeout_runs_on_at_the_next_callee() {
    let mut scene = Scene::new(r#""first""#);
    scene.call(1, r#""timeout":100"#);
    scene.invoked();
    scene.net.sleep(Duration::from_millis(60));
    scene.refuse(0, 1);
    assert_eq!(scene.invoked().unwrap().0, 1);
    scene.net.sleep(Duration::from_millis(30));
    scene.refuse(1, 1);
    assert_eq!(scene.invoked().unwrap().0, 2);
    scene.net.sleep(Duration::from_millis(9));
    assert!(scene.net.heard(scene.caller).is_empty());
    scene.net.sleep(Duration::from_millis(1));
    assert!(scene.net.heard(scene.caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.timeout""#));
    assert!(scene.invoked().unwrap().1.contains(r#""mode":"killnowait""#));
    assert_eq!(scene.net.realm.sizes().deadlines, 0);
}

// behaviour 143
#[test]
fn a_callee_that_watches_the_timeout_is_told_the_rest_of_it() {
    let mut scene = Scene::with(Net::new(), r#""first","forward_timeout":true"#, rerouting);
    scene.call(1, r#""timeout":100"#);
    assert!(scene.invoked().unwrap().1.contains(r#"{"timeout":100}"#));
    scene.net.sleep(Duration::from_millis(60));
    scene.refuse(0, 1);
    assert!(scene.invoked().unwrap().1.contains(r#"{"timeout":40}"#));
    scene.net.sleep(Duration::from_millis(60));
    scene.refuse(1, 1);
    assert!(scene.invoked().unwrap().1.contains(r#"{"timeout":1}"#), "it is over, and the callee says so");
}

// behaviour 143
#[test]
fn a_cancel_and_a_refusal_cross_in_both_orders() {
    for mode in ["skip", "kill", "killnowait"] {
        let cancel = format!(r#"[49,1,{{"mode":"{mode}"}}]"#);
        // The refusal is the answer to the cancel, or late.
        let mut scene = Scene::new(r#""first""#);
        scene.call(1, "");
        scene.net.say(scene.caller, &cancel);
        assert_eq!(scene.net.realm.sizes().kept_bytes, 0, "{mode}");
        scene.net.heard(scene.callees[0]);
        scene.refuse(0, 1);
        let heard = scene.net.heard(scene.caller);
        let error = if mode == "kill" { UNAVAILABLE } else { "wamp.error.canceled" };
        assert!(heard.len() == 1 && heard[0].contains(error), "{mode}: {heard:?}");
        assert_eq!(scene.invoked(), None, "{mode}");

        // The cancel concerns the callee that has the call now.
        let mut scene = Scene::new(r#""first""#);
        scene.call(1, "");
        scene.invoked();
        scene.refuse(0, 1);
        scene.net.heard(scene.callees[1]);
        scene.net.say(scene.caller, &cancel);
        let interrupted = scene.invoked();
        let expected = (mode != "skip").then_some(1);
        assert_eq!(interrupted.map(|(callee, _)| callee), expected, "{mode}");
        assert_eq!(scene.net.heard(scene.caller).len(), usize::from(mode != "kill"), "{mode}");
        scene.net.say(scene.callees[1], r#"[8,68,1,{},"wamp.error.canceled"]"#);
        assert_eq!(scene.net.realm.sizes().calls, 0, "{mode}");
    }
}

// behaviour 144
#[test]
fn a_callee_that_did_not_announce_it_ends_the_call_with_its_refusal() {
    let mut scene = Scene::with(Net::new(), r#""first""#, all_roles);
    scene.call(1, "");
    assert_eq!(scene.net.realm.sizes().kept_bytes, 0);
    scene.refuse(0, 1);
    let end = format!(r#"[8,48,1,{{}},{UNAVAILABLE},["callee 0"]]"#);
    assert_eq!(scene.net.heard(scene.caller), [end]);
    assert_eq!(scene.net.heard(scene.callees[1]).len(), 0);
}

// behaviour 143
#[test]
fn a_session_keeps_few_calls_for_other_callees() {
    let mut config = Config::new("realm1");
    config.limits.kept_bytes = 640;
    let mut scene = Scene::with(Net::with(config), r#""first""#, rerouting);
    for request in 1..=3 {
        scene.call(request, "");
    }
    let kept = scene.net.realm.sizes().kept_bytes;
    assert!((512..=608).contains(&kept), "two of them: {kept}");
    scene.net.heard(scene.callees[0]);
    for invocation in 1..=3 {
        scene.refuse(0, invocation);
    }
    assert_eq!(scene.net.heard(scene.callees[1]).len(), 2);
    let heard = scene.net.heard(scene.caller);
    let end = r#"[8,48,3,{},"wamp.error.no_available_callee",["callee 0"]]"#;
    assert_eq!(heard, [end]);
    assert_eq!(scene.net.realm.sizes().kept_bytes, kept + 32, "two refusals");
    // The last callee has no other after it.
    scene.net.heard(scene.callees[1]);
    scene.refuse(1, 1);
    scene.refuse(1, 2);
    assert_eq!((scene.net.heard(scene.callees[2]).len(), scene.net.realm.sizes().kept_bytes), (2, 0));
}

// behaviour 143
#[test]
fn a_call_with_many_refusals_counts_them_and_has_a_limit() {
    let mut config = Config::new("realm1");
    config.limits.kept_bytes = 290;
    let mut scene = Scene::with(Net::with(config), r#""first""#, rerouting);
    scene.call(1, "");
    let kept = scene.net.realm.sizes().kept_bytes;
    assert!((275..=290).contains(&kept), "no room for a refusal: {kept}");
    scene.invoked();
    scene.refuse(0, 1);
    assert_eq!((scene.invoked().unwrap().0, scene.net.realm.sizes().kept_bytes), (1, 0));
    scene.refuse(1, 1);
    assert_eq!(scene.invoked(), None);
    assert!(scene.net.heard(scene.caller)[0].contains("wamp.error.no_available_callee"));

    let mut scene = Scene::new(r#""first""#);
    scene.call(1, "");
    scene.net.cut(scene.caller);
    assert_eq!(scene.net.realm.sizes().kept_bytes, 0);
}

// behaviour 142
#[test]
fn callees_that_have_left_are_passed_over() {
    let mut scene = Scene::new(r#""first""#);
    scene.call(1, "");
    scene.invoked();
    scene.net.cut(scene.callees[1]);
    scene.refuse(0, 1);
    assert_eq!(scene.invoked().unwrap().0, 2);
    scene.net.say(scene.callees[2], "[66,2,1]");
    scene.net.heard(scene.callees[2]);
    scene.refuse(2, 1);
    assert!(scene.net.heard(scene.caller)[0].contains("wamp.error.no_available_callee"));
    // The registration has ended since the call was made.
    scene.call(2, "");
    scene.invoked();
    scene.net.cut(scene.callees[0]);
    assert!(scene.net.heard(scene.caller)[0].contains("wamp.error.canceled"));
}

// behaviour 144
#[test]
fn a_call_of_the_router_itself_ends_with_the_refusal_of_its_callee() {
    let mut scene = Scene::new(r#""first""#);
    let call = RouterCall {
        procedure: "com.myapp.longop".into(),
        payload: Payload::empty(),
        timeout: Duration::from_secs(5),
    };
    scene.net.realm.call(scene.net.now, &call).unwrap();
    scene.net.run();
    scene.invoked().unwrap();
    scene.refuse(0, 1);
    assert_eq!(scene.invoked(), None);
    let [Event::Answered { outcome: Err(failure), .. }] = &scene.net.closed[..] else {
        panic!("{:?}", scene.net.closed)
    };
    assert_eq!(failure.error, uri::UNAVAILABLE);
}

// behaviour 142
#[test]
fn callees_that_cannot_take_the_call_are_passed_over() {
    let bare = || {
        let callee = Features::none().with(Feature::CallReroute).with(Feature::CallCanceling);
        all_roles().with(Role::Callee, callee)
    };
    for (options, text, max_message) in
        [(r#""progress":true"#, 1, usize::MAX), (r#""ppt_scheme":"x_my""#, 1, usize::MAX), ("", 2000, 1000)]
    {
        let mut net = Net::new();
        let caller = net.raw(Serializer::Json, rerouting());
        let mut unfit = Vec::new();
        let join = |net: &mut Net, roles, max_message| {
            let callee = net.raw_with(Serializer::Json, roles, max_message);
            net.say(callee, r#"[64,1,{"invoke":"first"},"com.myapp.longop"]"#);
            net.heard(callee);
            callee
        };
        let first = join(&mut net, rerouting(), usize::MAX);
        for _ in 0..2 {
            let roles = if max_message == usize::MAX { bare() } else { rerouting() };
            unfit.push(join(&mut net, roles, max_message));
        }
        let last = join(&mut net, rerouting(), usize::MAX);
        let text = "x".repeat(text);
        net.say(caller, &format!(r#"[48,1,{{{options}}},"com.myapp.longop",["{text}"]]"#));
        net.say(first, &format!(r#"[8,68,1,{{}},{UNAVAILABLE},["first"]]"#));
        assert!(unfit.iter().all(|callee| net.heard(*callee).is_empty()), "{options}");
        assert!(net.heard(last)[0].starts_with("[68,1,1,"), "{options}");
        net.say(last, &format!(r#"[8,68,1,{{}},{UNAVAILABLE},["last"]]"#));
        let heard = net.heard(caller);
        assert!(
            heard.len() == 1 && heard[0].contains(r#""wamp.error.no_available_callee",["last"]"#),
            "{options}: {heard:?}"
        );
        assert_eq!((net.realm.sizes().calls, net.realm.sizes().kept_bytes), (0, 0), "{options}");
    }
}

// behaviour 142
#[test]
fn few_callees_are_passed_over_after_one_refusal() {
    for (count, found) in [(16, true), (17, false)] {
        let mut net = Net::new();
        let caller = net.raw(Serializer::Json, rerouting());
        let mut join = |roles| {
            let callee = net.raw(Serializer::Json, roles);
            net.say(callee, r#"[64,1,{"invoke":"first"},"com.myapp.longop"]"#);
            net.heard(callee);
            callee
        };
        let first = join(rerouting());
        for _ in 0..count {
            join(basic_roles());
        }
        let last = join(rerouting());
        net.say(caller, r#"[48,1,{"progress":true},"com.myapp.longop"]"#);
        net.say(first, &format!(r#"[8,68,1,{{}},{UNAVAILABLE}]"#));
        assert_eq!((net.heard(last).len(), net.heard(caller).len()), if found { (1, 0) } else { (0, 1) });
    }
}

// behaviour 143
#[test]
fn rights_are_not_asked_for_again() {
    let role = |name: &'static str| WampRole::everything(name);
    let mut config = Config::new("realm1");
    config.roles.insert(role("backend"));
    config.roles.insert(role("user"));
    let mut net = Net::with(config);
    let mut join = |name: &'static str| {
        let client = net.raw_as(Serializer::Json, rerouting(), Identity::new("joe", name, "ticket"));
        if name == "backend" {
            net.say(client, r#"[64,1,{"invoke":"first"},"com.myapp.longop"]"#);
            net.heard(client);
        }
        client
    };
    let (one, other, caller) = (join("backend"), join("backend"), join("user"));
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    let mut config = Config::new("realm1");
    config.roles.insert(role("backend"));
    config.roles.insert(WampRole::new("user"));
    net.realm.reconfigure(net.now, config, |_| true);
    net.run();
    net.say(caller, r#"[48,2,{},"com.myapp.longop"]"#);
    assert!(net.heard(caller)[0].contains("wamp.error.not_authorized"));
    net.say(one, &format!(r#"[8,68,1,{{}},{UNAVAILABLE}]"#));
    assert_eq!((net.heard(other).len(), net.heard(caller).len()), (1, 0));
}

// behaviour 142
#[test]
fn a_call_of_a_caller_that_has_left_goes_nowhere() {
    let mut scene = Scene::new(r#""first""#);
    scene.call(1, "");
    scene.invoked();
    scene.net.cut(scene.caller);
    scene.net.heard(scene.callees[0]);
    scene.refuse(0, 1);
    assert_eq!(scene.invoked(), None);
    assert_eq!((scene.net.realm.sizes().calls, scene.net.realm.sizes().kept_bytes), (0, 0));
}

// behaviour 151
#[test]
fn keys_for_the_callee_go_to_the_next_callee_too() {
    let mut scene = Scene::new("\"first\"");
    scene.call(1, r#""_traceparent":"00-ab""#);
    for callee in 0..2 {
        let (index, said) = scene.invoked().unwrap();
        assert!(index == callee && said.contains(r#"{"_traceparent":"00-ab"}"#), "{said}");
        scene.refuse(callee, 1);
    }
}
