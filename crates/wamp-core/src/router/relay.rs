//! An optimization: a plain YIELD becomes a RESULT without a message in between.
//!
//! The decisions are those of the dealer for all replies. Everything else goes through [`Realm::handle_message`],
//! and any plain YIELD could, with the same outcome.

use wamp_proto::Serializer;
use wamp_proto::relay::{PlainResult, PlainYield};

use super::dealer::CallKey;
use super::realm::Realm;
use super::sessions::SessionKey;
use crate::Time;
use crate::progress::ReplyKind;

/// The result of relaying a plain YIELD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relayed {
    /// The driver sends this head and the payload, transcoded if necessary, to the caller, before anything
    /// that [`poll_transmit`](Realm::poll_transmit) returns from now on.
    Result {
        /// The caller.
        to: SessionKey,
        /// The caller's serializer. If it is another one, the payload is the transcoded one.
        serializer: Serializer,
        /// The bytes before the payload and after it.
        result: PlainResult,
    },
    /// The YIELD is late or unsolicited, or its caller does not keep up. It has been counted;
    /// [`poll_transmit`](Realm::poll_transmit) may return messages about it.
    Dropped,
    /// Not supported here, and nothing has changed: [`Realm::handle_message`] decides.
    Unusual,
}

impl Realm {
    /// Handles a plain YIELD of a session with this serializer as [`handle_message`](Self::handle_message)
    /// does, or leaves it alone. The driver writes the RESULT itself. It has polled before.
    ///
    /// If its payload has to be in another serializer, `rewrite` makes it and returns its length; `None` for
    /// a payload that the serializer cannot express, which results in [`Relayed::Unusual`]. It is called
    /// before anything changes, and before the outcome of the YIELD is known.
    #[doc(hidden)]
    pub fn relay(
        &mut self,
        now: Time,
        from: SessionKey,
        serializer: Serializer,
        plain: &PlainYield,
        rewrite: impl FnOnce(Serializer) -> Option<usize>,
    ) -> Relayed {
        let Some(route) = self.route(from, serializer, plain, rewrite) else { return Relayed::Unusual };
        let Route { call, to, serializer, result, encoded_len } = route;
        self.cx.now = now;
        self.dealer.set_relayed(call);
        let kind = if plain.progress { ReplyKind::Progress } else { ReplyKind::Last };
        let Some(progress) = self.dealer.judge_reply(&mut self.cx, call, kind, plain.tail().len()) else {
            self.pass_on();
            return Relayed::Dropped;
        };
        self.dealer.delivered(&mut self.cx, call, kind, progress, (plain.encoded_len(), encoded_len));
        self.pass_on();
        Relayed::Result { to, serializer, result }
    }

    /// Returns whether [`relay`](Self::relay) would relay this plain YIELD now without transcoding.
    #[doc(hidden)]
    pub fn can_relay(&self, from: SessionKey, serializer: Serializer, plain: &PlainYield) -> bool {
        self.route(from, serializer, plain, |_| None).is_some()
    }

    /// The destination of a plain YIELD, if it can be relayed.
    fn route(
        &self,
        from: SessionKey,
        serializer: Serializer,
        plain: &PlainYield,
        rewrite: impl FnOnce(Serializer) -> Option<usize>,
    ) -> Option<Route> {
        let callee = self.cx.sessions.get(from)?;
        let (key, call) = self.dealer.relayed(from, callee, plain.request)?;
        let caller = self.cx.sessions.get(call.caller)?;
        let payload = match plain.has_payload() && caller.serializer != serializer {
            true => rewrite(caller.serializer)?,
            false => plain.tail().len(),
        };
        let mut result = plain.result(call.request);
        if plain.progress && caller.announced.quirks.explicit_arguments {
            result = result.explicit();
        }
        let encoded_len = result.encoded_len(caller.serializer, payload);
        if encoded_len > caller.max_message {
            return None;
        }
        Some(Route { call: key, to: call.caller, serializer: caller.serializer, result, encoded_len })
    }
}

/// The route of a plain result.
struct Route {
    call: CallKey,
    to: SessionKey,
    serializer: Serializer,
    result: PlainResult,
    /// The length of the RESULT, in bytes.
    encoded_len: usize,
}
