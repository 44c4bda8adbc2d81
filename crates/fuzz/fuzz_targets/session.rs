//! A client's session against a router that sends anything: each call has exactly one end, nothing follows it,
//! every message can be written, and nothing is running when the session is over.

#![no_main]

use std::collections::HashMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wamp_core::session::{Config, Credit, Event, Session, Stream};
use wamp_core::{Reply, Time};
use wamp_proto::message::{CallOptions, CancelMode, PublishOptions, RegisterOptions, SubscribeOptions};
use wamp_proto::{Limits, Message, Payload, RegistrationId, RequestId, Serializer, SubscriptionId, Uri};

struct Client {
    session: Session,
    now: Time,
    /// Calls that have not ended, and whether they take progressive results.
    calls: HashMap<RequestId, bool>,
    invocations: Vec<RequestId>,
    items: Vec<(Stream, u64)>,
    closed: bool,
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, steps)) = input.split_first() else { return };
    let mut config = Config::new("realm1");
    if first & 1 > 0 {
        let mut credit = Credit::new(Serializer::MsgPack);
        (credit.window, credit.max_window, credit.session) = (200, 400, 1000);
        config.credit = Some(credit);
    }
    let session = Session::new(Time::ORIGIN, config, 1);
    let (calls, invocations, items) = (HashMap::new(), Vec::new(), Vec::new());
    let mut client = Client { session, now: Time::ORIGIN, calls, invocations, items, closed: false };
    if first & 2 > 0 {
        let features = r#"{"features":{"progressive_call_results":true,"progressive_call_invocations":true,"call_canceling":true,"call_timeout":true,"_progress_credit":300}}"#;
        client.say(&format!(r#"[2,1,{{"roles":{{"dealer":{features},"broker":{{}}}}}}]"#));
    }
    for step in steps.chunks_exact(4).take(2000) {
        if step[0] & 0x80 > 0 {
            client.router([step[0], step[1], step[2], step[3]]);
        } else {
            client.program([step[0], step[1], step[2], step[3]]);
        }
        client.settle();
    }
    client.session.handle_closed(client.now);
    client.settle();
    assert!(client.closed && client.session.is_closed());
    assert_eq!(client.session.in_flight(), (0, 0), "the session is over");
    assert_eq!(client.session.poll_timeout(), None, "the session is over");
});

impl Client {
    fn say(&mut self, text: &str) {
        let frame = bytes::Bytes::copy_from_slice(text.as_bytes());
        if let Ok(message) = Message::decode(Serializer::Json, &frame, &Limits::default()) {
            self.session.handle_message(self.now, message);
        }
    }

    /// The router sends something, about small ids, so that many of them exist.
    fn router(&mut self, [kind, id, what, how]: [u8; 4]) {
        let (id, other) = (u64::from(id % 24) + 1, u64::from(what % 8) + 1);
        let progress = how & 1 > 0;
        let text = match kind % 21 {
            0..=3 => format!(r#"[50,{id},{{"progress":{progress}}},["{}"]]"#, "x".repeat(usize::from(how))),
            4 => format!(r#"[8,{},{id},{{}},"e.x"]"#, [48, 64, 66, 32, 34, 16, 68][usize::from(what) % 7]),
            5 => format!("[65,{id},{other}]"),
            6 => format!("[33,{id},{other}]"),
            7 => format!("[67,{id}]"),
            8 => format!("[35,{id}]"),
            9 => format!("[17,{id},{other}]"),
            10..=12 => {
                let options = format!(r#"{{"receive_progress":{progress},"progress":{},"timeout":{}}}"#, how & 2 > 0, how >> 4);
                format!(r#"[68,{id},{other},{options},["x"]]"#)
            }
            13 => format!(r#"[69,{id},{{"mode":"{}"}}]"#, ["kill", "killnowait", "skip"][usize::from(how) % 3]),
            14 => format!("[36,{other},{id},{{}},[1]]"),
            15 => format!(r#"[256,{id},{{"stream":"{}"}},{}]"#, ["results", "chunks"][usize::from(what) % 2], u32::from(how) * 10),
            16 => format!("[67,0,{{\"registration\":{other}}}]"),
            17 if how == 7 => r#"[6,{},"wamp.close.system_shutdown"]"#.to_owned(),
            18 if how == 7 => r#"[3,{},"wamp.error.protocol_violation"]"#.to_owned(),
            19 if how == 7 => return self.session.handle_garbage(self.now, "no message".to_owned()),
            _ => r#"[2,1,{"roles":{"dealer":{}}}]"#.to_owned(),
        };
        self.say(&text);
    }

    fn program(&mut self, [kind, id, what, how]: [u8; 4]) {
        let now = self.now;
        let number = u64::from(id % 24) + 1;
        let request = RequestId::new(number).expect("an id");
        let mut calls: Vec<_> = self.calls.keys().copied().collect();
        calls.sort();
        let call = calls.get(usize::from(id) % calls.len().max(1)).copied().unwrap_or(request);
        let invocation = self.invocations.get(usize::from(id) % self.invocations.len().max(1)).copied();
        let invocation = invocation.unwrap_or(request);
        let payload = Payload::new(Serializer::Json, &("x".repeat(usize::from(how)),)).expect("a payload");
        let uri = Uri::from(["p.a", "p.b"][usize::from(what) % 2]);
        match kind % 16 {
            0..=2 => {
                let options = CallOptions { receive_progress: Some(how & 1 > 0), progress: Some(how & 2 > 0), ..CallOptions::default() };
                if let Ok(call) = self.session.call(now, options, uri, payload) {
                    self.calls.insert(call, how & 1 > 0);
                }
            }
            3 => drop(self.session.send_chunk(now, call, payload, how & 1 > 0)),
            4 => {
                let mode = [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait][usize::from(how) % 3];
                let _ = self.session.cancel(now, call, mode);
            }
            5 => drop(self.session.register(now, RegisterOptions::default(), uri)),
            6 => drop(RegistrationId::new(number).map(|id| self.session.unregister(now, id))),
            7 => drop(self.session.subscribe(now, SubscribeOptions::default(), uri)),
            8 => drop(SubscriptionId::new(number).map(|id| self.session.unsubscribe(now, id))),
            9 => {
                let options = PublishOptions { acknowledge: Some(how & 1 > 0), ..PublishOptions::default() };
                let _ = self.session.publish(now, options, uri, payload);
            }
            10 | 11 => {
                let reply = if how & 1 > 0 { Reply::Progress(payload) } else { Reply::Result(payload) };
                let _ = self.session.reply(now, invocation, reply);
            }
            12 => drop(self.session.answer_cancel_myself(invocation)),
            13 => {
                if let Some((stream, cost)) = self.items.pop() {
                    self.session.consume(now, stream, cost);
                }
            }
            14 => {
                let time = [1, 100, 4000, 31_000][usize::from(what) % 4];
                self.now = self.now + Duration::from_millis(time);
                self.session.handle_timeout(self.now);
            }
            _ if how == 7 => drop(self.session.leave(now, Uri::from("wamp.close.normal"))),
            _ => {}
        }
    }

    fn settle(&mut self) {
        while let Some(message) = self.session.poll_transmit() {
            for &serializer in Serializer::ALL {
                let message = message.clone().transcode(serializer).expect("what goes out can be written");
                message.encode(serializer).expect("what goes out can be written");
            }
        }
        while let Some(event) = self.session.poll_event() {
            assert!(!self.closed, "{event:?} after the end of the session");
            match event {
                Event::Replied { call, reply, cost } => match reply {
                    Reply::Progress(_) => {
                        assert_eq!(self.calls.get(&call), Some(&true), "progress for a call that does not wait for it");
                        self.items.push((Stream::Results(call), cost));
                    }
                    _ => assert!(self.calls.remove(&call).is_some(), "a second end of a call"),
                },
                Event::Invoked(invocation) => self.invocations.push(invocation.request),
                Event::Chunk { invocation, cost, .. } => self.items.push((Stream::Chunks(invocation), cost)),
                Event::Closed(_) => self.closed = true,
                _ => {}
            }
        }
        let calls = self.session.in_flight().0;
        assert!(self.closed || calls == self.calls.len(), "{calls} calls, of which {} are waited for", self.calls.len());
    }
}
