//! Credit in the model of the dealer, which terminates both hops of each stream.

use std::time::Duration;

use wamp_core::Time;
use wamp_proto::MAX_ID;

use super::{Call, Credit, Dealer, Upload};
use crate::account::{Meter, Purse};
use crate::coverage::{Coverage, Phase, Seen};
use crate::ledger::{Broken, hold};

/// A stream whose sender or receiver knows credit.
#[derive(Clone)]
pub struct Flow {
    from: Option<Meter>,
    to: Option<Purse>,
    /// Since when its sender has no credit, and for how long it had none before.
    spent: Option<Time>,
    spent_before: Duration,
    /// Since when the receiver is the reason for that.
    starved: Option<Time>,
}

/// The bytes that had arrived on the streams of calls at some time: the number of the call, whether the
/// stream is its chunks, and the bytes.
pub type Snapshot = Vec<(usize, bool, u64)>;

impl Flow {
    pub(super) fn new(rule: Option<Credit>, sender: Option<u64>, receiver: Option<u64>) -> Option<Self> {
        let rule = rule?;
        let from = sender.map(|_| Meter::new(rule.windows));
        let to = receiver.map(Purse::new);
        let flow = Self { from, to, spent: None, spent_before: Duration::ZERO, starved: None };
        (from.is_some() || to.is_some()).then_some(flow)
    }

    /// Returns a stream of results from another callee to the same caller, nothing of which has passed yet.
    pub(super) fn to_the_same_caller(new: Option<Self>, before: Option<Self>) -> Option<Self> {
        let to = before.map(|before| before.to);
        new.map(|new| Self { to: to.unwrap_or(new.to), ..new })
    }

    /// Returns a stream of chunks from the same caller to another callee, after its first chunk.
    pub(super) fn to_another_callee(
        new: Option<Self>,
        before: Option<Self>,
        wire: (u64, u64),
        cover: &mut Coverage,
    ) -> Option<Self> {
        let mut new = new?;
        let from = before.map(|before| before.from);
        new.pass((0, wire.1), cover);
        Some(Self { from: from.unwrap_or(new.from), ..new })
    }

    /// Forwards a message; `came` and `goes` are its costs on the two hops.
    pub(super) fn pass(&mut self, (came, goes): (u64, u64), cover: &mut Coverage) {
        if let Some(to) = &mut self.to {
            if !to.may_send() {
                cover.hit(Seen::CreditOverrun);
            }
            to.spend(goes);
        }
        if let Some(from) = &mut self.from {
            from.receive(came);
        }
        if self.from.is_some() != self.to.is_some() {
            cover.hit(Seen::CreditOneHop);
        }
    }

    pub(super) fn counts_sender(&self) -> bool {
        self.from.is_some()
    }

    /// Returns for how long in all its sender could not send.
    pub(super) fn spent(&self, now: Time) -> Duration {
        self.spent_before + self.spent.map_or(Duration::ZERO, |since| now.since(since))
    }

    pub(super) fn starved(&self) -> Option<Time> {
        self.starved
    }

    fn settle(&mut self, now: Time, cover: &mut Coverage) {
        let spent = self.from.is_some_and(|from| from.is_spent());
        match (self.spent, spent) {
            (None, true) => self.spent = Some(now),
            (Some(since), false) => {
                self.spent_before += now.since(since);
                self.spent = None;
            }
            _ => {}
        }
        let starves = spent && self.to.is_some_and(|to| to.left() == 0);
        match (self.starved, starves) {
            (None, true) => self.starved = Some(now),
            (Some(_), false) => {
                cover.hit(Seen::StarvedInTime);
                self.starved = None;
            }
            _ => {}
        }
    }
}

impl Call {
    fn flow(&mut self, chunks: bool) -> Option<&mut Flow> {
        if chunks { self.chunked.as_mut() } else { self.results.as_mut() }
    }

    pub(super) fn flows(&self) -> impl Iterator<Item = (bool, &Flow)> {
        let results = self.results.iter().map(|flow| (false, flow));
        results.chain(self.chunked.iter().map(|flow| (true, flow)))
    }
}

impl Dealer {
    /// Handles a CREDIT from a client.
    pub(super) fn credited(
        &mut self,
        from: usize,
        request: u64,
        chunks: Option<bool>,
        total: Option<u64>,
        cover: &mut Coverage,
    ) {
        if self.rules.credit.is_none() || !self.peers[from].features.knows_credit() {
            cover.hit(Seen::CreditUnannounced);
            return self.violation(from, cover);
        }
        let Some(total) = total else {
            self.counts.void_credits += 1;
            return cover.hit(Seen::CreditVoid);
        };
        if chunks.is_none() {
            cover.hit(Seen::CreditUnsaid);
        }
        let of = |call: &Call, of_chunks: bool| match of_chunks {
            false => (call.caller, call.request) == (from, request),
            true => (call.callee, call.invocation) == (from, request),
        };
        let wanted = |of_chunks: bool| chunks.is_none_or(|chunks| chunks == of_chunks);
        let counted = |call: &Call, of_chunks: bool| {
            let flow = if of_chunks { &call.chunked } else { &call.results };
            flow.as_ref().is_some_and(|flow| flow.to.is_some())
        };
        let find = |of_chunks: bool| {
            self.calls.iter().position(|call| of(call, of_chunks) && counted(call, of_chunks))
        };
        let found = [false, true].map(find);
        if found.iter().all(Option::is_some) {
            cover.hit(Seen::CreditSameIds);
        }
        let found = found.into_iter().zip([false, true]).filter(|(_, of_chunks)| wanted(*of_chunks));
        let Some((index, of_chunks)) = found.filter_map(|(index, of)| Some((index?, of))).next() else {
            let over =
                self.calls.iter().find(|call| [false, true].iter().any(|o| wanted(*o) && of(call, *o)));
            return cover.hit(match over {
                None => Seen::CreditOfNothing,
                Some(call) if call.upload == Upload::Finished && call.phase.is_alive() => {
                    Seen::CreditCrossedFinal
                }
                Some(call) => match call.ended_by {
                    Some(Seen::EndKillNoWait | Seen::EndSkip) => Seen::CreditCrossedCancel,
                    _ => Seen::CreditLate,
                },
            });
        };
        let call = &mut self.calls[index];
        if call.phase == Phase::Canceling {
            cover.hit(Seen::CreditCrossedCancel);
        }
        if let Some(to) = call.flow(of_chunks).and_then(|flow| flow.to.as_mut()) {
            if !to.is_raised(total) {
                cover.hit(Seen::CreditRepeated);
            }
            to.raise(total);
        }
    }

    /// Handles a CREDIT from the router to a client.
    pub fn grants(
        &mut self,
        to: usize,
        request: u64,
        chunks: bool,
        total: u64,
        cover: &mut Coverage,
    ) -> Result<(), Broken> {
        let features = &self.peers[to].features;
        let announced = if chunks { features.caller_credit } else { features.callee_credit };
        hold!(announced.is_some(), "18: CREDIT to client {to}, which did not announce it for that");
        if let Some(at) =
            self.not_informed.iter().position(|of| !chunks && total == MAX_ID && *of == (to, request))
        {
            self.not_informed.swap_remove(at);
            cover.hit(Seen::CreditUnlimited);
            return Ok(());
        }
        let call = self.calls.iter_mut().rfind(|call| match chunks {
            true => (call.caller, call.request) == (to, request),
            false => (call.callee, call.invocation) == (to, request),
        });
        let flow = call.filter(|call| call.phase.is_alive()).and_then(|call| call.flow(chunks));
        let Some((from, ahead)) =
            flow.and_then(|flow| Some((flow.from.as_mut()?, flow.to.map(|to| to.left()))))
        else {
            return Err(format!("18: CREDIT to client {to} for {request}, which has ended"));
        };
        from.say(total, ahead)?;
        if ahead.is_some_and(|ahead| total == from.received + ahead && total < from.room()) {
            cover.hit(Seen::CreditLimited);
        }
        if from.is_wider() {
            cover.hit(Seen::CreditWidened);
        }
        Ok(())
    }

    /// Returns the bytes that have arrived so far on the streams to a client.
    pub fn snapshot(&self, receiver: usize) -> Snapshot {
        let mut seen = Snapshot::new();
        for (index, call) in self.calls.iter().enumerate() {
            for (chunks, flow) in call.flows() {
                let to = if chunks { call.callee } else { call.caller };
                seen.extend(flow.from.filter(|_| to == receiver).map(|from| (index, chunks, from.received)));
            }
        }
        seen
    }

    /// Returns whether any of this has not been written to the receiver's socket yet.
    pub fn waits_for(&self, seen: &Snapshot) -> bool {
        seen.iter().any(|(index, chunks, received)| {
            let flows = self.calls[*index].flows();
            flows
                .filter(|(of, _)| of == chunks)
                .any(|(_, flow)| flow.from.is_some_and(|from| from.consumed() < *received))
        })
    }

    /// Records that all of this was written to the receiver's socket. Returns `false` if the calls are over.
    pub fn left(&mut self, seen: &Snapshot) -> bool {
        let mut any = false;
        for (index, chunks, received) in seen {
            if let Some(from) = self.calls[*index].flow(*chunks).and_then(|flow| flow.from.as_mut()) {
                from.consume_until(*received);
                any = true;
            }
        }
        any
    }

    /// Returns the number of senders that wait for their receivers.
    pub fn starved(&self) -> usize {
        self.calls.iter().flat_map(Call::flows).filter(|(_, flow)| flow.starved.is_some()).count()
    }

    /// Updates which senders have no credit. `leaves` tells whether the router watches outbound messages of a
    /// client.
    pub fn settle(
        &mut self,
        now: Time,
        leaves: &dyn Fn(usize) -> bool,
        cover: &mut Coverage,
    ) -> Result<(), Broken> {
        let not_informed = std::mem::take(&mut self.not_informed);
        hold!(
            not_informed.is_empty(),
            "19: {not_informed:?} learn of no end and may wait for credit for ever"
        );
        for call in &mut self.calls {
            let (caller, callee) = (call.caller, call.callee);
            if call.results.is_some() && call.chunked.is_some() {
                cover.hit(Seen::CreditDuplex);
            }
            for chunks in [false, true] {
                let Some(flow) = call.flow(chunks) else { continue };
                flow.settle(now, cover);
                let receiver = if chunks { callee } else { caller };
                let stuck = flow.spent.is_some() && flow.starved.is_none() && !leaves(receiver);
                hold!(!stuck, "19: a sender without credit to client {receiver} waits for nothing");
            }
        }
        Ok(())
    }
}
