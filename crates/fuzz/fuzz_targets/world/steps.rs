//! The events of a world: four bytes each.

use std::time::Duration;

use wamp_core::router::{Feed, Relayed};
use wamp_proto::relay::PlainYield;
use wamp_proto::{Limits, Message, Uri};

use super::{PEERS, World, message, waiting};

const PROCEDURES: [&str; 6] = ["p.a", "p.b", "p.c", "p.a.x", "p.b.x", "q"];
const PATTERNS: [&str; 6] = ["p.a", "p.b", "p.", "p..x", "p.b.", "q"];
const MODES: [&str; 4] = [r#"{}"#, r#"{"mode":"skip"}"#, r#"{"mode":"kill"}"#, r#"{"mode":"killnowait"}"#];

impl World {
    /// `kind` selects the event, `who` the peer; the other bytes are details.
    pub fn step(&mut self, [kind, who, what, how]: [u8; 4]) {
        let number = usize::from(who) % PEERS;
        let other = usize::from(how) % PEERS;
        match kind % 26 {
            0..=3 => self.call(number, what, how),
            4 => self.chunk(number, what, how),
            5..=8 => self.answer(number, what, how),
            9 => self.short_way(number, what, how),
            10 => self.error(number, what),
            11 => self.cancel(number, what, how),
            12 | 13 => self.register(number, what, how),
            14 => self.unregister(number, what),
            15 => self.topic(number, what, how),
            16 => self.credit(number, what, how),
            17 => self.wait(what),
            18 => self.flow(number, other, what),
            19 => self.flow(number, other, what / 3),
            20 => self.left(what),
            21 => self.leave(number, what),
            22 => self.join(number),
            23 => self.strange(number, what, how),
            24 if what == how => self.realm.shut_down(self.now),
            _ => self.join(number),
        }
    }

    fn call(&mut self, number: usize, what: u8, how: u8) {
        let peer = &mut self.peers[number];
        let procedure = PROCEDURES[usize::from(what) % PROCEDURES.len()];
        let more = how & 2 > 0 && peer.sends_chunks;
        let mut options = Vec::new();
        if how & 1 > 0 {
            options.push(r#""receive_progress":true"#.to_owned());
        }
        if more {
            options.push(r#""progress":true"#.to_owned());
        }
        if how & 4 > 0 {
            options.push(format!(r#""timeout":{}"#, u32::from(how >> 4) * 10));
        }
        if peer.key.is_some() && !peer.dismissed {
            let id = peer.id();
            peer.calls.insert(id, waiting(how & 1 > 0 && peer.progresses(), more));
            let text = format!(r#"[48,{id},{{{}}},"{procedure}",["{}"]]"#, options.join(","), padding(how));
            self.handle(number, message(&text));
        }
    }

    /// A further chunk of a call, or of none.
    fn chunk(&mut self, number: usize, what: u8, how: u8) {
        let peer = &mut self.peers[number];
        let uploading: Vec<u64> = peer.calls.iter().filter(|(_, call)| call.more).map(|(id, _)| *id).collect();
        let Some(id) = pick(&uploading, what) else { return };
        let more = how & 1 > 0;
        if let Some(call) = peer.calls.get_mut(&id) {
            call.more = more;
        }
        // With another URI it is not a chunk of that call.
        let procedure = PROCEDURES[usize::from(how >> 1) % PROCEDURES.len()];
        self.handle(number, message(&format!(r#"[48,{id},{{"progress":{more}}},"{procedure}",["chunk"]]"#)));
    }

    /// An invocation of the peer, a late one, or one that never existed.
    fn invocation(&self, number: usize, what: u8) -> Option<u64> {
        let peer = &self.peers[number];
        if what == 255 {
            return Some(peer.watermark + 10);
        }
        pick(&peer.invocations, what)
    }

    fn answer(&mut self, number: usize, what: u8, how: u8) {
        let Some(id) = self.invocation(number, what) else { return };
        let progress = how & 1 > 0;
        let text = format!(r#"[70,{id},{{"progress":{progress}}},["{}"]]"#, padding(how));
        self.handle(number, message(&text));
    }

    /// An answer on the short way for plain results, compared with the general way.
    fn short_way(&mut self, number: usize, what: u8, how: u8) {
        let Some(id) = self.invocation(number, what) else { return };
        let Some(key) = self.peers[number].key else { return };
        let options = if how & 1 > 0 { r#"{"progress":true}"# } else { "{}" };
        let yielded = message(&format!(r#"[70,{id},{options},["{}"]]"#, padding(how)));
        let serializer = self.peers[number].serializer;
        let frame = yielded.encode(serializer).expect("it can be written");
        let plain = PlainYield::read(serializer, &frame, &Limits::default()).expect("it is plain");
        let mut payload = frame[plain.tail()].to_vec();
        let relayed = self.realm.relay(self.now, key, serializer, &plain, |to| {
            payload.clear();
            plain.rewrite(&frame, serializer, to, &mut payload).ok()
        });
        match relayed {
            Relayed::Result { to, serializer, result } => {
                let head = result.head(serializer);
                let written = [head.as_ref(), &payload, head.end()].concat();
                let read = Message::decode(serializer, &written.into(), &Limits::default());
                self.hear(to, read.expect("what goes out can be read"));
            }
            Relayed::Dropped => {}
            _ => self.handle(number, yielded),
        }
    }

    fn error(&mut self, number: usize, what: u8) {
        let Some(id) = self.invocation(number, what) else { return };
        self.handle(number, message(&format!(r#"[8,68,{id},{{}},"e.x",["why"]]"#)));
    }

    fn cancel(&mut self, number: usize, what: u8, how: u8) {
        let peer = &self.peers[number];
        let calls: Vec<u64> = peer.calls.keys().copied().collect();
        let id = if how & 4 > 0 { Some(u64::from(what) + 1) } else { pick(&calls, what) };
        let Some(id) = id else { return };
        self.handle(number, message(&format!("[49,{id},{}]", MODES[usize::from(how) % MODES.len()])));
    }

    fn register(&mut self, number: usize, what: u8, how: u8) {
        if self.peers[number].key.is_none() {
            return;
        }
        let id = self.peers[number].id();
        let pattern = PATTERNS[usize::from(what) % PATTERNS.len()];
        let matching = match pattern {
            "p." | "p.b." => "prefix",
            "p..x" => "wildcard",
            _ => "exact",
        };
        let invoke = ["single", "roundrobin", "random", "first", "last"][usize::from(how) % 5];
        let options = format!(r#"{{"match":"{matching}","invoke":"{invoke}","forward_timeout":{}}}"#, how & 32 > 0);
        let pattern = pattern.strip_suffix('.').filter(|_| matching == "prefix").unwrap_or(pattern);
        self.handle(number, message(&format!(r#"[64,{id},{options},"{pattern}"]"#)));
    }

    fn unregister(&mut self, number: usize, what: u8) {
        let peer = &mut self.peers[number];
        let Some(registration) = pick(&peer.registrations, what).filter(|_| peer.key.is_some()) else { return };
        let id = peer.id();
        self.handle(number, message(&format!("[66,{id},{registration}]")));
    }

    fn topic(&mut self, number: usize, what: u8, how: u8) {
        let peer = &mut self.peers[number];
        if peer.key.is_none() {
            return;
        }
        let topic = ["t.a", "t.b"][usize::from(what) % 2];
        match how % 3 {
            0 => {
                let id = peer.id();
                self.handle(number, message(&format!(r#"[32,{id},{{}},"{topic}"]"#)));
            }
            1 => {
                let id = peer.id();
                let subscription = pick(&peer.subscriptions, what).unwrap_or(77);
                self.handle(number, message(&format!("[34,{id},{subscription}]")));
            }
            _ => {
                let id = peer.id();
                let text = format!(r#"[16,{id},{{"acknowledge":{}}},"{topic}",["{}"]]"#, how & 64 > 0, padding(how));
                self.handle(number, message(&text));
            }
        }
    }

    fn credit(&mut self, number: usize, what: u8, how: u8) {
        let peer = &self.peers[number];
        // From one that did not announce it, it is a violation.
        if !peer.counts && how & 15 > 0 {
            return;
        }
        let calls: Vec<u64> = peer.calls.keys().copied().collect();
        let ids = if how & 1 > 0 { &calls } else { &peer.invocations };
        let id = pick(ids, what).unwrap_or(u64::from(what) + 1);
        let total = [0, 100, 1000, 1_000_000, 1u64 << 53][usize::from(how >> 4) % 5];
        let of = ["results", "chunks"][usize::from(how >> 1) % 2];
        self.handle(number, message(&format!(r#"[256,{id},{{"stream":"{of}"}},{total}]"#)));
    }

    fn wait(&mut self, what: u8) {
        let time = [1, 10, 150, 2000, 6000, 31_000, 301_000][usize::from(what) % 7];
        self.now = self.now + Duration::from_millis(time);
        self.realm.handle_timeout(self.now);
    }

    fn flow(&mut self, number: usize, other: usize, what: u8) {
        let (Some(key), Some(by)) = (self.peers[number].key, self.peers[other].key) else { return };
        let feed = if what & 128 > 0 { Feed::Last } else { Feed::Stream };
        match what % 7 {
            0 => self.realm.set_full(self.now, key),
            1 => drop(self.realm.hold(self.now, key, by, feed)),
            2 => self.realm.set_room(self.now, key),
            3 => self.realm.release(self.now, key, by),
            4 => self.realm.stall(self.now, key),
            5 => self.realm.set_waiting(self.now, key),
            _ => {
                self.realm.set_full(self.now, by);
                self.realm.hold(self.now, key, by, feed);
            }
        }
    }

    fn left(&mut self, what: u8) {
        if !self.watches.is_empty() {
            let watch = self.watches.swap_remove(usize::from(what) % self.watches.len());
            self.realm.handle_left(self.now, watch);
        }
    }

    fn leave(&mut self, number: usize, what: u8) {
        let Some(key) = self.peers[number].key else { return };
        match what % 6 {
            0 => self.handle(number, message(r#"[6,{},"wamp.close.normal"]"#)),
            1 => self.handle(number, message(r#"[3,{},"wamp.close.normal"]"#)),
            2 => self.realm.handle_closed(self.now, key),
            3 => self.realm.handle_garbage(self.now, key, "no message"),
            4 => self.realm.close(self.now, key, Uri::from("e.kicked"), "kicked"),
            _ => self.handle(number, message(r#"[1,"realm1",{"roles":{"caller":{}}}]"#)),
        }
    }

    /// Messages at a wrong time, or repeated.
    fn strange(&mut self, number: usize, what: u8, how: u8) {
        let id = match what % 6 {
            // A request of its own uses the next id.
            3 | 5 => self.peers[number].id(),
            _ => u64::from(how) + 1,
        };
        let text = match what % 6 {
            0 => format!("[49,{id},{{}}]"),
            1 => format!("[70,{id},{{}}]"),
            2 => format!("[256,{id},{{}},1]"),
            3 => format!("[34,{id},{id}]"),
            4 => format!("[50,{id},{{}}]"),
            _ => format!("[66,{id},{id}]"),
        };
        self.handle(number, message(&text));
    }
}

fn pick(of: &[u64], what: u8) -> Option<u64> {
    of.get(usize::from(what) % of.len().max(1)).copied()
}

/// Something short, or long enough to exceed a window or a small maximum.
fn padding(how: u8) -> &'static str {
    const LONG: &str = match std::str::from_utf8(&[b'x'; 600]) {
        Ok(text) => text,
        Err(_) => "",
    };
    &LONG[..usize::from(how >> 5) * 85]
}
