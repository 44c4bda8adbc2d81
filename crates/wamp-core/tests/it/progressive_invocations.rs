//! Calls in chunks, and both ways at once.

use wamp_proto::{Feature, Features, Role, Roles, Serializer};

use crate::net::{Client, Net, all_roles};

const OFFER: &str = r#"[64,1,{},"com.myapp.upload"]"#;
const FIRST: &str = r#"[48,1,{"progress":true,"receive_progress":true},"com.myapp.upload",[0]]"#;

fn upload() -> (Net, Client, Client) {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, FIRST);
    assert_eq!(net.heard(callee)[1..], [r#"[68,1,1,{"progress":true,"receive_progress":true},[0]]"#]);
    (net, callee, caller)
}

#[test]
fn chunks_go_to_one_invocation_and_results_may_come_meanwhile() {
    let (mut net, callee, caller) = upload();
    net.say(callee, r#"[70,1,{"progress":true},["got 0"]]"#);
    // behaviour 2: another call in between
    net.say(caller, r#"[48,2,{},"com.myapp.nothing"]"#);
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.upload",[1]]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.upload",[2]]"#);
    assert_eq!(
        net.heard(callee),
        [
            r#"[68,1,1,{"progress":true,"receive_progress":true},[1]]"#,
            r#"[68,1,1,{"receive_progress":true},[2]]"#
        ]
    );
    net.say(callee, "[70,1,{},[3]]");
    let heard = net.heard(caller);
    assert_eq!((heard[0].as_str(), heard[2].as_str()), (r#"[50,1,{"progress":true},["got 0"]]"#, "[50,1,{},[3]]"));
    assert_eq!((net.realm.sizes().calls, net.realm.stats().chunks), (0, 2));
}

// behaviour 4
#[test]
fn chunks_of_a_finished_call_are_discarded_without_a_word() {
    let (mut net, callee, caller) = upload();
    net.say(callee, "[70,1,{}]");
    net.heard(caller);
    for _ in 0..10_000 {
        net.say(caller, r#"[48,1,{"progress":true},"com.myapp.upload",[1]]"#);
    }
    assert!(net.heard(caller).is_empty() && net.heard(callee).is_empty());
    assert!(net.realm.has(net.key(caller)));
    assert_eq!(net.realm.stats().late, 10_000);
}

// behaviour 3
#[test]
fn a_chunk_with_another_procedure_is_no_chunk_of_the_call() {
    let (mut net, callee, caller) = upload();
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.other",[1]]"#);
    assert!(net.heard(caller).is_empty() && net.heard(callee).is_empty());
    assert_eq!(net.realm.sizes().calls, 1);
}

// behaviour 18
#[test]
fn only_progress_counts_after_the_first_chunk() {
    let (mut net, callee, caller) = upload();
    net.say(
        caller,
        r#"[48,1,{"progress":true,"receive_progress":false,"timeout":1,"disclose_me":true,"_x":1},"com.myapp.upload",[1]]"#,
    );
    assert_eq!(net.heard(callee), [r#"[68,1,1,{"progress":true,"receive_progress":true},[1]]"#]);
    assert_eq!(net.realm.sizes().deadlines, 0);
}

// behaviour 14
#[test]
fn all_three_must_take_chunks() {
    let without = |role| {
        let features = Features::none().with(Feature::ProgressiveCallResults).with(Feature::CallCanceling);
        Roles::none().with(role, features)
    };
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, without(Role::Callee));
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, FIRST);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.feature_not_supported""#));
    assert_eq!(net.heard(callee).len(), 1);
    assert!(net.realm.has(net.key(caller)));

    // A callee that could not be interrupted counts as one that takes none.
    let features = Features::none().with(Feature::ProgressiveCallInvocations);
    let callee = net.raw(Serializer::Json, Roles::none().with(Role::Callee, features));
    net.say(callee, r#"[64,1,{},"com.myapp.upload2"]"#);
    net.say(caller, r#"[48,2,{"progress":true},"com.myapp.upload2"]"#);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,2,{},"wamp.error.feature_not_supported""#));

    let caller = net.raw(Serializer::Json, without(Role::Caller));
    net.say(caller, FIRST);
    assert!(net.heard(caller)[0].contains("did not announce progressive_call_invocations"));
    assert!(!net.realm.has(net.key(caller)));
}

#[test]
fn a_call_goes_on_in_chunks_only_if_it_began_so_and_until_its_last() {
    for (first, sentence) in [
        (r#"[48,1,{},"com.myapp.upload"]"#, "CALL with the request id 1, which was used before"),
        (
            r#"[48,1,{"progress":true},"com.myapp.upload"]"#,
            "CALL that continues call 1, whose last chunk has come",
        ),
    ] {
        let mut net = Net::new();
        let callee = net.raw(Serializer::Json, all_roles());
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, OFFER);
        net.say(caller, first);
        if first.contains("progress") {
            net.say(caller, r#"[48,1,{},"com.myapp.upload"]"#);
        }
        net.heard(callee);
        net.say(caller, r#"[48,1,{},"com.myapp.upload"]"#);
        assert!(net.heard(caller)[0].contains(sentence));
        assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.canceled"}]"#]);
        assert_eq!(net.realm.sizes().calls, 0);
    }
}

#[test]
fn who_leaves_in_the_middle_of_an_upload_ends_it() {
    let (mut net, callee, caller) = upload();
    net.cut(caller);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.canceled"}]"#]);
    let (mut net, callee, caller) = upload();
    net.cut(callee);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
    net.say(caller, r#"[48,1,{},"com.myapp.upload",[2]]"#);
    assert!(net.heard(caller).is_empty());
    assert_eq!(net.realm.sizes().calls, 0);
}

#[test]
fn a_chunk_too_big_for_the_callee_ends_the_call() {
    let mut net = Net::new();
    let callee = net.raw_with(Serializer::Json, all_roles(), 512);
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, FIRST);
    net.heard(callee);
    let chunk = format!(r#"[48,1,{{"progress":true}},"com.myapp.upload",["{}"]]"#, "x".repeat(600));
    net.say(caller, &chunk);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.payload_size_exceeded""#));
    assert_eq!(
        net.heard(callee),
        [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.payload_size_exceeded"}]"#]
    );
}
