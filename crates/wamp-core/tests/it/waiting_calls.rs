//! Calls that wait for the decision of an authorizer: their cancel, timeout, chunks and credit.

use std::time::Duration;

use wamp_core::auth::Identity;
use wamp_core::router::{self, Role, Verdict};
use wamp_proto::{Feature, Features, Role as WampRole, Serializer};

use crate::authorizers::{ALLOWED, asked, decide, error, net};
use crate::credit::{counting, small_windows};
use crate::net::{Net, all_roles};

// behaviour 264
#[test]
fn a_call_that_waits_is_a_call() {
    for mode in ["skip", "kill", "killnowait"] {
        let (mut net, device, user) = net();
        net.say(user, r#"[64,1,{},"com.p"]"#);
        net.heard(user);
        net.say(device, r#"[48,1,{},"com.p"]"#);
        net.say(device, r#"[48,2,{},"com.p"]"#);
        let questions = asked(&mut net);
        decide(&mut net, questions[1].0, ALLOWED);
        net.say(device, &format!(r#"[49,1,{{"mode":"{mode}"}}]"#));
        assert_eq!(error(&net.heard(device)), "canceled");
        assert_eq!(net.heard(user).len(), 1, "the second leaves");
        decide(&mut net, questions[0].0, ALLOWED);
        assert_eq!(net.heard(user), [""; 0]);
    }
    // Its timeout runs from its arrival.
    let (mut net, device, user) = net();
    net.say(user, r#"[64,1,{},"com.p"]"#);
    net.heard(user);
    net.say(device, r#"[48,1,{"timeout":1000},"com.p"]"#);
    net.say(device, r#"[48,2,{"timeout":1500},"com.p"]"#);
    let questions = asked(&mut net);
    net.sleep(Duration::from_millis(600));
    decide(&mut net, questions[1].0, ALLOWED);
    net.sleep(Duration::from_millis(399));
    assert_eq!(net.heard(device), [""; 0]);
    net.sleep(Duration::from_millis(1));
    let heard = net.heard(device);
    assert!(heard.len() == 1 && error(&heard) == "timeout", "{heard:?}");
    assert_eq!(net.heard(user).len(), 1, "the second leaves");
    net.sleep(Duration::from_millis(499));
    assert_eq!(net.heard(device), [""; 0]);
    net.sleep(Duration::from_millis(1));
    assert_eq!(error(&net.heard(device)), "timeout");
    assert_eq!((net.realm.sizes().deadlines, net.realm.stats().timeouts), (0, 2));
}

// behaviour 264
#[test]
fn chunks_wait_behind_their_call_and_are_late_after_its_end() {
    let (mut net, device, user) = net();
    net.say(user, r#"[64,1,{},"com.p"]"#);
    net.heard(user);
    net.say(device, r#"[48,1,{"progress":true},"com.p",[1]]"#);
    net.say(device, r#"[48,1,{"progress":true},"com.p",[2]]"#);
    net.say(device, r#"[48,1,{},"com.p",[3]]"#);
    let questions = asked(&mut net);
    assert_eq!(questions.len(), 1, "the first chunk only");
    decide(&mut net, questions[0].0, ALLOWED);
    let heard = net.heard(user);
    let args: Vec<_> = heard.iter().map(|line| line.rsplit('[').next().unwrap().to_owned()).collect();
    assert_eq!(args, ["1]]", "2]]", "3]]"], "{heard:?}");

    net.say(device, r#"[48,2,{"progress":true},"com.p",[1]]"#);
    net.say(device, r#"[48,2,{},"com.p",[2]]"#);
    let (questions, late) = (asked(&mut net), net.realm.stats().late);
    decide(&mut net, questions[0].0, Verdict::DENIED);
    assert_eq!(error(&net.heard(device)), "not_authorized");
    assert_eq!((net.heard(user).len(), net.realm.stats().late), (0, late + 1));
}

// behaviour 264: the callee has the rest of the time, and so has each further callee.
#[test]
fn the_timeout_of_a_call_that_has_waited_goes_on() {
    let callee = Features::none()
        .with(Feature::ProgressiveCallResults)
        .with(Feature::CallCanceling)
        .with(Feature::CallTimeout)
        .with(Feature::CallReroute);
    for forwards in [true, false] {
        let (mut net, device, _) = net();
        let callees = [(); 2].map(|()| {
            let roles = all_roles().with(WampRole::Callee, callee.clone());
            let callee = net.raw_as(Serializer::Json, roles, Identity::new("a callee", "user", "ticket"));
            net.say(
                callee,
                &format!(r#"[64,1,{{"invoke":"roundrobin","forward_timeout":{forwards}}},"com.p"]"#),
            );
            net.heard(callee);
            callee
        });
        net.say(device, r#"[48,1,{"timeout":1000,"receive_progress":true},"com.p"]"#);
        net.sleep(Duration::from_millis(600));
        let questions = asked(&mut net);
        decide(&mut net, questions[0].0, ALLOWED);
        let invoked = net.heard(callees[0]).concat();
        assert_eq!(invoked.contains(r#""timeout":400"#), forwards, "{invoked}");
        net.sleep(Duration::from_millis(100));
        net.say(callees[0], r#"[8,68,1,{},"wamp.error.unavailable"]"#);
        let invoked = net.heard(callees[1]).concat();
        assert!(invoked.starts_with("[68,1,"), "{invoked}");
        assert_eq!(invoked.contains(r#""timeout":300"#), forwards, "{invoked}");
        if forwards {
            continue;
        }
        // After a result there is the whole time for the next one.
        net.sleep(Duration::from_millis(299));
        net.say(callees[1], r#"[70,1,{"progress":true}]"#);
        net.sleep(Duration::from_millis(999));
        assert_eq!(net.heard(device).len(), 1);
        net.sleep(Duration::from_millis(1));
        assert_eq!(error(&net.heard(device)), "timeout");
    }
}

// behaviour 264: the rest of the time ends the call if the callee does not answer.
#[test]
fn a_call_that_has_waited_ends_at_its_time() {
    let (mut net, device, user) = net();
    net.say(user, r#"[64,1,{},"com.p"]"#);
    net.say(device, r#"[48,1,{"timeout":1000},"com.p"]"#);
    net.sleep(Duration::from_millis(999));
    let questions = asked(&mut net);
    decide(&mut net, questions[0].0, ALLOWED);
    assert_eq!(net.heard(device), [""; 0]);
    net.sleep(Duration::from_millis(1));
    assert_eq!(error(&net.heard(device)), "timeout");
    // The next call has its own time, whether it waits or not.
    net.say(user, r#"[64,2,{},"com.open"]"#);
    net.say(device, r#"[48,2,{"timeout":1000},"com.open"]"#);
    net.say(device, r#"[48,3,{"timeout":1000},"com.p"]"#);
    let questions = asked(&mut net);
    assert_eq!(questions.len(), 1);
    decide(&mut net, questions[0].0, ALLOWED);
    net.sleep(Duration::from_millis(999));
    assert_eq!(net.heard(device), [""; 0]);
    net.sleep(Duration::from_millis(1));
    assert_eq!(net.heard(device).concat().matches("wamp.error.timeout").count(), 2);
    assert_eq!(net.realm.sizes().deadlines, 0);
}

// behaviour 264: the largest grant counts once the call has its callee; chunks need credit as those of any other call.
#[test]
fn credit_for_a_call_that_waits_is_kept() {
    let mut config = small_windows();
    config.roles = router::Roles::new();
    config.roles.insert(Role::new("device").with_authorizer());
    config.roles.insert(Role::everything("user"));
    let mut net = Net::with(config);
    let join = |net: &mut Net, role: &'static str| {
        net.raw_as(Serializer::Json, counting(500), Identity::new(format!("a {role}"), role, "ticket"))
    };
    let (device, callee) = (join(&mut net, "device"), join(&mut net, "user"));
    net.say(callee, r#"[64,1,{},"com.p"]"#);
    net.heard(callee);
    net.say(device, r#"[48,1,{"receive_progress":true},"com.p"]"#);
    for total in [900, 1300, 700] {
        net.say(device, &format!("[256,1,{{}},{total}]"));
    }
    assert_eq!((net.heard(device), net.heard(callee)), (vec![], vec![]));
    let questions = asked(&mut net);
    decide(&mut net, questions[0].0, ALLOWED);
    assert_eq!(net.heard(callee).len(), 1);
    for _ in 0..12 {
        net.say(callee, r#"[70,1,{"progress":true},["234567"]]"#);
    }
    // The dealer's window is 1000; more than the device's first 500 are granted.
    assert_eq!(net.heard(callee).last().map(String::as_str), Some("[256,1,{},1300]"));

    // Chunks are counted when they go to the callee.
    net.say(device, r#"[48,2,{"progress":true},"com.p",["234567"]]"#);
    for _ in 0..6 {
        net.say(device, r#"[48,2,{"progress":true},"com.p",["234567"]]"#);
    }
    assert_eq!(net.heard(device).iter().filter(|heard| heard.starts_with("[256,")).count(), 0);
    let questions = asked(&mut net);
    decide(&mut net, questions[0].0, ALLOWED);
    assert_eq!(net.heard(callee).len(), 7);
    net.say(callee, r#"[256,2,{"chunks":true},100000]"#);
    let heard = net.heard(device);
    assert!(heard.iter().any(|heard| heard.starts_with("[256,2,")), "{heard:?}");
}
