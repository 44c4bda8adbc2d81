//! The small network that `wamp_core::testing` offers.

use std::time::Duration;

use wamp_core::Reply;
use wamp_core::session::{Closed, Event};
use wamp_core::testing::Net;
use wamp_proto::message::{CallOptions, Millis};
use wamp_proto::{Payload, uri};

#[test]
fn deadlines_are_handled_in_order_at_their_own_time() {
    let mut net = Net::new();
    let (callee, caller) = (net.join(), net.join());
    net.with(callee, |session, now| session.register(now, Default::default(), "com.a".into())).unwrap();
    for timeout in [300, 100, 200] {
        let options = CallOptions { timeout: Some(Millis(timeout)), ..CallOptions::default() };
        net.with(caller, |session, now| session.call(now, options, "com.a".into(), Payload::empty()))
            .unwrap();
    }
    net.events(caller);
    let start = net.now();
    net.advance(Duration::from_secs(1));
    assert_eq!(net.now(), start + Duration::from_secs(1));
    let ended: Vec<u64> = net
        .events(caller)
        .into_iter()
        .map(|event| match event {
            Event::Replied { call, reply: Reply::Error(failure), .. } if failure.error == uri::TIMEOUT => {
                call.get()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ended, [2, 3, 1]);
}

#[test]
fn a_lost_callee_ends_its_calls_and_frees_its_procedure() {
    let mut net = Net::new();
    let (callee, caller) = (net.join(), net.join());
    let register = |net: &mut Net, callee| {
        net.with(callee, |session, now| session.register(now, Default::default(), "com.a".into())).unwrap();
        matches!(net.events(callee).last(), Some(Event::Registered { .. }))
    };
    assert!(register(&mut net, callee));
    let call = |session: &mut wamp_core::session::Session, now| {
        session.call(now, Default::default(), "com.a".into(), Payload::empty())
    };
    net.with(caller, call).unwrap();
    net.lose(callee);
    assert!(matches!(net.events(callee).last(), Some(Event::Closed(Closed::Lost))));
    let end = net.events(caller).pop();
    assert!(matches!(&end, Some(Event::Replied { reply: Reply::Error(_), .. })), "{end:?}");
    let again = net.join();
    assert!(register(&mut net, again));
}
