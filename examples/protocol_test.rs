//! A test of protocol logic without a socket, a runtime or a clock: a realm, a caller and a callee as
//! `wamp-core` machines, and time as a number. Run it, or copy it into a `#[test]`.

use std::time::Duration;

use wamp_core::Reply;
use wamp_core::session::Event;
use wamp_core::testing::Net;
use wamp_proto::message::{CallOptions, Millis};
use wamp_proto::{Payload, Serializer, uri};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut net = Net::new();
    let (callee, caller) = (net.join(), net.join());
    net.with(callee, |session, now| session.register(now, Default::default(), "com.myapp.longop".into()))?;

    // Two results in time, the third one late: each result restarts the timeout.
    let options =
        CallOptions { receive_progress: Some(true), timeout: Some(Millis(100)), ..CallOptions::default() };
    net.with(caller, |session, now| session.call(now, options, "com.myapp.longop".into(), Payload::empty()))?;
    let Some(Event::Invoked(invocation)) = net.events(callee).pop() else { panic!("not invoked") };
    for i in 0..2 {
        net.advance(Duration::from_millis(80));
        let chunk = Payload::new(Serializer::MsgPack, &(i,))?;
        net.with(callee, |session, now| session.reply(now, invocation.request, Reply::Progress(chunk)))?;
    }
    net.advance(Duration::from_millis(120));

    let mut seen = Vec::new();
    for event in net.events(caller) {
        match event {
            Event::Replied { reply: Reply::Progress(payload), .. } => {
                seen.push(format!("progress {}", payload.decode::<u32>()?));
            }
            Event::Replied { reply: Reply::Error(failure), .. } => seen.push(failure.error.to_string()),
            other => assert!(matches!(other, Event::Joined(_))),
        }
    }
    assert_eq!(seen, ["progress 0", "progress 1", uri::TIMEOUT.as_str()]);
    println!("{}", seen.join(", "));
    Ok(())
}
