//! A test of protocol logic without a socket, a runtime or a clock: a realm, a caller and a callee as
//! `wamp-core` machines, and time as a number. Run it, or copy it into a `#[test]`.

use std::collections::HashMap;
use std::time::Duration;

use wamp_core::router::{self, Join, Realm, SessionKey};
use wamp_core::session::{self, Event, Session};
use wamp_core::{Reply, Time};
use wamp_proto::message::CallOptions;
use wamp_proto::{Message, Payload, Serializer, uri};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut now = Time::ORIGIN;
    let mut net = Net { realm: Realm::new(router::Config::new("realm1"), 1), sessions: HashMap::new() };
    let callee = net.join(now);
    let caller = net.join(now);

    net.session(callee).register(now, Default::default(), "com.myapp.longop".into())?;
    net.run(now);

    // Two results in time, the third one late: each result restarts the timeout.
    let options = CallOptions {
        receive_progress: Some(true),
        timeout: Some(wamp_proto::message::Millis(100)),
        ..CallOptions::default()
    };
    net.session(caller).call(now, options, "com.myapp.longop".into(), Payload::empty())?;
    net.run(now);
    let events = std::iter::from_fn(|| net.session(callee).poll_event());
    let Some(Event::Invoked(invocation)) = events.last() else { panic!("not invoked") };

    for i in 0..2 {
        now = now + Duration::from_millis(80);
        let chunk = Payload::new(Serializer::MsgPack, &(i,))?;
        net.session(callee).reply(now, invocation.request, Reply::Progress(chunk))?;
        net.run(now);
    }
    assert_eq!(net.realm.poll_timeout(), Some(now + Duration::from_millis(100)));
    now = now + Duration::from_millis(120);
    net.realm.handle_timeout(now);
    net.run(now);

    let mut seen = Vec::new();
    while let Some(event) = net.session(caller).poll_event() {
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

/// A realm and its clients; messages are delivered at once.
struct Net {
    realm: Realm,
    sessions: HashMap<SessionKey, Session>,
}

impl Net {
    fn join(&mut self, now: Time) -> SessionKey {
        let mut session = Session::new(now, session::Config::new("realm1"), 1);
        let Some(Message::Hello(hello)) = session.poll_transmit() else { panic!("no HELLO") };
        let join = Join {
            details: hello.details,
            serializer: Serializer::MsgPack,
            max_message: 1 << 20,
            transport: Default::default(),
        };
        let key = self.realm.join(now, join).expect("nothing is wrong with this HELLO");
        self.sessions.insert(key, session);
        self.run(now);
        key
    }

    fn session(&mut self, key: SessionKey) -> &mut Session {
        self.sessions.get_mut(&key).expect("a session of this net")
    }

    fn run(&mut self, now: Time) {
        loop {
            for (key, session) in &mut self.sessions {
                while let Some(message) = session.poll_transmit() {
                    self.realm.handle_message(now, *key, message);
                }
            }
            let Some((to, message)) = self.realm.poll_transmit() else { return };
            self.session(to).handle_message(now, message);
        }
    }
}
