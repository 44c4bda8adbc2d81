//! Credit in a world: messages written to the sockets, and the accounting at the clients' ends.

use wamp_proto::{Message, Serializer, uri};

use crate::account::{Meter, Purse, Stream, cost};
use crate::client::{Client, End, Got, Made};
use crate::coverage::{Coverage, Seen};
use crate::endpoint::Observed;
use crate::ledger::{Broken, hold};
use crate::step::Step;
use crate::wire_message::{Mode, OF_CALL, WireMessage, goodbye};
use crate::world::World;

pub fn encoded_len(message: &Message, serializer: Serializer) -> Result<usize, Broken> {
    message.encoded_len(serializer).map_err(|error| format!("{message:?} cannot be written: {error}"))
}

/// Returns the stream of a message that a client sends.
pub fn sent(wire_message: &WireMessage) -> Option<Stream> {
    match *wire_message {
        WireMessage::Call { request, more: true, .. } => Some(Stream::chunks(request)),
        WireMessage::Yield { invocation, progress: true, .. } => Some(Stream::results(invocation)),
        _ => None,
    }
}

impl World {
    /// Returns whether both the router and a client know credit.
    pub fn counts_credit(&self, client: usize) -> bool {
        self.windows.is_some() && self.clients[client].kind.features.knows_credit()
    }

    /// Completes the router's next watch on a client's outbound messages.
    pub fn left(&mut self, client: usize, cover: &mut Coverage) -> Result<bool, Broken> {
        if self.clients[client].watches.is_empty() {
            return Ok(false);
        }
        let Some((watch, seen)) = self.clients[client].watches.pop_front() else { return Ok(false) };
        self.realm.handle_left(self.now, watch);
        self.record(self.clients.len(), ("left", client));
        if !self.dealer.left(&seen) {
            cover.hit(Seen::CreditLeftLate);
        }
        let written = self.written()?;
        if !self.credits.is_empty() {
            cover.hit(Seen::CreditWokenByLeft);
        }
        self.compare(written, cover)?;
        Ok(true)
    }

    /// Writes everything to the sockets, and lets every program take its waiting messages.
    pub fn take_all(&mut self, cover: &mut Coverage) -> Result<bool, Broken> {
        let mut any = false;
        for client in 0..self.clients.len() {
            for _ in 0..self.clients[client].watches.len() {
                any |= self.step(&Step::Left { client }, cover)?;
            }
            while self.step(&Step::Take { client }, cover)? {
                any = true;
            }
        }
        Ok(any)
    }

    /// Compares the CREDITs of the realm, and the waiting senders, with the model.
    pub fn compare_credit(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        for (to, wire_message) in std::mem::take(&mut self.credits) {
            let WireMessage::Credit { request, chunks, total: Some(total) } = wire_message else {
                return Err(format!("15: {wire_message:?} to client {to}"));
            };
            self.dealer.grants(to, request, chunks == Some(true), total, cover)?;
        }
        for (to, watch) in std::mem::take(&mut self.watched) {
            let seen = self.dealer.snapshot(to);
            hold!(
                self.dealer.waits_for(&seen),
                "19: the router watches client {to}, although all was written"
            );
            self.clients[to].watches.push_back((watch, seen));
        }
        if self.counts {
            let clients = &self.clients;
            self.dealer.settle(self.now, &|client| !clients[client].watches.is_empty(), cover)?;
        }
        let (stats, counts, starved) = (self.realm.stats(), self.dealer.counts, self.dealer.starved());
        let found = (self.realm.sizes().starved, stats.slow_consumers, stats.void_credits);
        let expected = (starved, counts.slow_consumers, counts.void_credits);
        if found != expected {
            return Err(format!(
                "20: the realm counts {found:?} starved, slow consumers and void CREDITs, expected {expected:?}"
            ));
        }
        Ok(())
    }

    /// Records which programs have no credit left.
    pub fn note_waiting(&mut self, client: usize, cover: &mut Coverage) {
        if self.windows.is_none() || self.clients[client].kind.windows.is_none() {
            return;
        }
        let state = &mut *self.clients[client];
        let dry: Vec<Stream> = match &mut state.end {
            End::Session(_, endpoint) => {
                let mut outgoing = endpoint.outgoing();
                outgoing.retain(|stream| !endpoint.may_send(*stream));
                outgoing
            }
            End::Raw(raw) => {
                raw.purses.iter().filter(|(_, purse)| !purse.may_send()).map(|(stream, _)| *stream).collect()
            }
        };
        for stream in dry {
            if state.waits(stream, true) {
                cover.hit(Seen::CreditWaited);
            }
        }
    }

    /// Handles the events of one of our sessions that concern credit or cost some.
    pub fn observed_credit(&mut self, client: usize, found: &[Observed]) {
        let state = &mut self.clients[client];
        for observed in found {
            match *observed {
                Observed::Progress { call, cost, .. } if cost > 0 => {
                    state.items.push_back((Stream::results(call), cost));
                }
                Observed::Chunk { invocation, cost, .. } if cost > 0 => {
                    state.items.push_back((Stream::chunks(invocation), cost));
                }
                Observed::Credit { stream } => {
                    state.waits(stream, false);
                }
                _ => {}
            }
        }
    }

    /// Records a message that a peer of the model has sent.
    pub fn raw_sends(
        &mut self,
        client: usize,
        wire_message: &WireMessage,
        message: &Message,
        cover: &mut Coverage,
    ) {
        let state = &mut *self.clients[client];
        let (features, windows) = (state.kind.features, state.kind.windows);
        let End::Raw(raw) = &mut state.end else { return };
        let (Some(router), Some(windows)) = (raw.router, windows) else { return };
        if let WireMessage::Call { request, more, wants_progress, .. } = *wire_message
            && features.caller_credit.is_some()
        {
            if wants_progress {
                raw.meters.entry(Stream::results(request)).or_insert(Meter::new(windows));
            }
            if more {
                raw.purses.entry(Stream::chunks(request)).or_insert(Purse::new(router));
            } else if raw.purses.remove(&Stream::chunks(request)).is_some_and(|purse| !purse.may_send()) {
                cover.hit(Seen::CreditFreeChunk);
            }
        }
        if let Some(purse) = sent(wire_message).and_then(|stream| raw.purses.get_mut(&stream)) {
            let len = encoded_len(message, state.kind.serializer).unwrap_or_default();
            if purse.spend(cost(len)) {
                cover.hit(Seen::CreditOverdrawn);
            }
        }
    }

    /// Records a message of this cost, which may be 0, that a peer of the model has received.
    pub fn raw_hears(&mut self, client: usize, wire_message: &WireMessage, cost: u64, cover: &mut Coverage) {
        let state = &mut *self.clients[client];
        let over = |calls: &mut Vec<Made>, request| {
            calls.iter_mut().filter(|call| call.request == request).for_each(|call| call.over = true);
        };
        match *wire_message {
            WireMessage::Registered { request } => state.learn(request),
            WireMessage::Invocation { invocation, wants_progress, more, .. } => {
                let new = state.invocations.iter().all(|got| got.invocation != invocation);
                let credit = state.kind.features.callee_credit.and(state.kind.windows);
                if let (true, Some(windows), End::Raw(raw)) = (new, credit, &mut state.end)
                    && let Some(router) = raw.router
                {
                    if wants_progress {
                        raw.purses.insert(Stream::results(invocation), Purse::new(router));
                    }
                    if more {
                        raw.meters.insert(Stream::chunks(invocation), Meter::new(windows));
                    }
                }
                if new {
                    state.invocations.push(Got { invocation, wants_progress, over: false, waits: false });
                }
                if more {
                    state.raw_gets(Stream::chunks(invocation), cost);
                }
            }
            WireMessage::Interrupt { invocation, mode: Mode::KillNoWait, .. } => {
                let got = state.invocations.iter_mut().filter(|got| got.invocation == invocation);
                got.for_each(|got| got.over = true);
            }
            WireMessage::Result { request, progress: true, .. } => {
                state.raw_gets(Stream::results(request), cost)
            }
            WireMessage::Result { request, progress: false, .. } => over(&mut state.calls, request),
            WireMessage::Error { kind: OF_CALL, request, .. } => over(&mut state.calls, request),
            WireMessage::Credit { request, chunks, total: Some(total) } => {
                let stream = Stream { chunks: chunks == Some(true), id: request };
                let End::Raw(raw) = &mut state.end else { return };
                if raw.purses.get_mut(&stream).is_some_and(|purse| purse.raise(total)) {
                    cover.hit(Seen::CreditWoken);
                    state.waits(stream, false);
                }
            }
            WireMessage::Abort { .. } => self.hang_up(client),
            WireMessage::Goodbye { .. } => {
                let mute = state.kind.mute;
                if let End::Raw(raw) = &mut state.end
                    && !mute
                    && !std::mem::replace(&mut raw.left, true)
                {
                    self.send(client, goodbye(uri::GOODBYE_AND_OUT), cover);
                }
            }
            _ => {}
        }
    }
}

impl Client {
    /// Adds a message of a stream for a peer of the model to consume.
    fn raw_gets(&mut self, stream: Stream, cost: u64) {
        if let End::Raw(raw) = &mut self.end
            && let Some(meter) = raw.meters.get_mut(&stream)
        {
            meter.receive(cost);
            self.items.push_back((stream, cost));
        }
    }

    /// Sets whether the program waits for credit. Returns whether this is a change.
    pub fn waits(&mut self, stream: Stream, waits: bool) -> bool {
        let of_call = |call: &&mut Made| stream.chunks && call.request == stream.id;
        let of_invocation = |got: &&mut Got| !stream.chunks && got.invocation == stream.id;
        let call = self.calls.iter_mut().find(of_call).map(|call| &mut call.waits);
        let invocation = self.invocations.iter_mut().find(of_invocation).map(|got| &mut got.waits);
        let before = call.or(invocation);
        before.is_some_and(|before| std::mem::replace(before, waits) != waits)
    }
}
