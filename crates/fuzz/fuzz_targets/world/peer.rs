//! A peer of the realm, and its records.

use std::collections::BTreeMap;

use wamp_core::router::SessionKey;
use wamp_proto::Serializer;

/// A call that has not ended.
#[derive(Clone, Copy)]
pub struct Waiting {
    /// It takes progressive results.
    pub wants_progress: bool,
    /// More chunks follow.
    pub more: bool,
}

pub struct Peer {
    pub key: Option<SessionKey>,
    /// The router has said GOODBYE: nothing is answered any more.
    pub dismissed: bool,
    pub serializer: Serializer,
    pub max_message: usize,
    /// Its features: progressive results, chunks, canceling, credit.
    progresses: bool,
    pub sends_chunks: bool,
    pub cancels: bool,
    pub counts: bool,
    pub next_request: u64,
    pub calls: BTreeMap<u64, Waiting>,
    pub invocations: Vec<u64>,
    /// The greatest invocation id.
    pub watermark: u64,
    pub registrations: Vec<u64>,
    pub subscriptions: Vec<u64>,
}

impl Peer {
    /// Peers differ in their features and their serializers.
    pub fn new(number: usize, small: bool) -> Self {
        Self {
            key: None,
            dismissed: false,
            serializer: Serializer::ALL[number % 3],
            max_message: if small && number % 4 == 3 { 512 } else { usize::MAX },
            progresses: number % 5 != 4,
            sends_chunks: number % 2 == 0,
            cancels: number % 3 != 2,
            counts: number % 4 < 2,
            next_request: 1,
            calls: BTreeMap::new(),
            invocations: Vec::new(),
            watermark: 0,
            registrations: Vec::new(),
            subscriptions: Vec::new(),
        }
    }

    pub fn hello(&self) -> String {
        let mut features = Vec::new();
        let announced = [
            (self.progresses, "progressive_call_results"),
            (self.sends_chunks, "progressive_call_invocations"),
            (self.cancels, "call_canceling"),
            (self.cancels, "call_timeout"),
            (true, "pattern_based_registration"),
            (true, "shared_registration"),
        ];
        features.extend(announced.iter().filter(|(is, _)| *is).map(|(_, feature)| format!("{feature:?}:true")));
        if self.counts {
            features.push(r#""_progress_credit":300"#.to_owned());
        }
        let features = features.join(",");
        format!(
            r#"[1,"realm1",{{"roles":{{"caller":{{"features":{{{features}}}}},"callee":{{"features":{{{features}}}}},"publisher":{{}},"subscriber":{{}}}}}}]"#
        )
    }

    pub fn begin(&mut self, key: SessionKey) {
        self.key = Some(key);
        (self.next_request, self.watermark, self.dismissed) = (1, 0, false);
    }

    pub fn end(&mut self) {
        self.key = None;
        self.calls.clear();
        self.invocations.clear();
        self.registrations.clear();
        self.subscriptions.clear();
    }

    /// The next request id.
    pub fn id(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request - 1
    }

    /// Whether it gets progressive results on request.
    pub fn progresses(&self) -> bool {
        self.progresses
    }
}
