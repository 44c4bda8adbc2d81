//! Credit at a client's end.

use std::time::Duration;

use wamp_core::Time;

use super::{Endpoint, State};
use crate::account::{Meter, Purse, Stream, Windows};
use crate::coverage::{Coverage, Phase, Seen};
use crate::endpoint::Observed;
use crate::ledger::{Broken, hold};

/// Consumed bytes are granted after this time, even if they are few.
const DELAY: Duration = Duration::from_secs(30);

/// The windows of a session both of whose ends know credit.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// The router's window.
    pub router: u64,
    /// The session's own windows.
    pub own: Windows,
}

impl Counting {
    pub(super) fn meter(self) -> Meter {
        Meter::new(self.own)
    }

    pub(super) fn purse(self) -> Purse {
        Purse::new(self.router)
    }
}

impl Endpoint {
    fn purse(&mut self, stream: Stream) -> Option<&mut Purse> {
        if stream.chunks {
            let call = self.calls.get_mut(&stream.id)?;
            call.chunks.as_mut().filter(|_| call.phase.is_alive() && call.upload.is_some())
        } else {
            let invocation = self.invocations.get_mut(&stream.id)?;
            invocation.results.as_mut().filter(|_| invocation.phase.is_alive())
        }
    }

    pub(super) fn meter(&mut self, stream: Stream) -> Option<&mut Meter> {
        if stream.chunks {
            let invocation = self.invocations.get_mut(&stream.id)?;
            invocation.chunks.as_mut().filter(|_| invocation.phase.is_alive() && invocation.uploading)
        } else {
            let call = self.calls.get_mut(&stream.id)?;
            call.results.as_mut().filter(|_| call.phase.is_alive())
        }
    }

    /// Returns the running streams that it receives.
    pub(super) fn meters(&self) -> impl Iterator<Item = (Stream, &Meter)> {
        let calls = self.calls.iter().filter(|(_, call)| call.phase.is_alive());
        let results = calls.filter_map(|(id, call)| Some((Stream::results(*id), call.results.as_ref()?)));
        let invocations = self.invocations.iter();
        let invocations =
            invocations.filter(|(_, invocation)| invocation.phase.is_alive() && invocation.uploading);
        let chunks = invocations
            .filter_map(|(id, invocation)| Some((Stream::chunks(*id), invocation.chunks.as_ref()?)));
        results.chain(chunks)
    }

    /// Returns the running streams that it sends, counted or not.
    pub fn outgoing(&self) -> Vec<Stream> {
        let calls = self.calls.iter().filter(|(_, call)| call.phase.is_alive() && call.upload.is_some());
        let invocations = self
            .invocations
            .iter()
            .filter(|(_, invocation)| invocation.phase.is_alive() && invocation.wants_progress);
        let chunks = calls.map(|(id, _)| Stream::chunks(*id));
        chunks.chain(invocations.map(|(id, _)| Stream::results(*id))).collect()
    }

    /// Returns whether its program may send more of a stream.
    pub fn may_send(&mut self, stream: Stream) -> bool {
        self.purse(stream).is_none_or(|purse| purse.may_send())
    }

    /// Records a message that it sent on a stream.
    pub fn spend(&mut self, stream: Stream, cost: u64, cover: &mut Coverage) {
        let Some(purse) = self.purse(stream) else { return };
        if purse.spend(cost) {
            cover.hit(Seen::CreditOverdrawn);
        }
        let dry = !purse.may_send();
        if let Some(invocation) = self.invocations.get_mut(&stream.id).filter(|_| dry && !stream.chunks) {
            // behaviour 37
            invocation.deadline = None;
        }
    }

    /// Records that its program has consumed messages of this cost.
    pub fn consume(&mut self, now: Time, stream: Stream, cost: u64) {
        if let Some(meter) = self.meter(stream) {
            meter.consume(cost);
            meter.delayed.get_or_insert(now + DELAY);
        }
    }

    /// Records a progressive message of a stream. Returns the cost that its program will have to consume.
    pub(super) fn receive(&mut self, stream: Stream, cost: u64) -> u64 {
        match self.meter(stream) {
            Some(meter) => {
                meter.receive(cost);
                cost
            }
            None => 0,
        }
    }

    pub(super) fn credited(
        &mut self,
        now: Time,
        request: u64,
        chunks: Option<bool>,
        total: Option<u64>,
        cover: &mut Coverage,
    ) {
        if self.counting.is_none() {
            return self.garbage();
        }
        let Some(total) = total else {
            self.unknown += 1;
            return cover.hit(Seen::CreditVoid);
        };
        if self
            .calls
            .get(&request)
            .is_some_and(|call| matches!(call.phase, Phase::Canceling | Phase::Abandoned))
        {
            cover.hit(Seen::CreditCrossedCancel);
        }
        let named = [Stream::results(request), Stream::chunks(request)];
        let fits = |stream: &Stream| chunks.is_none_or(|chunks| chunks == stream.chunks);
        let both = named.iter().all(|stream| self.purse(*stream).is_some());
        let Some(stream) = named.into_iter().filter(fits).find(|stream| self.purse(*stream).is_some()) else {
            return cover.hit(Seen::CreditLateAtClient);
        };
        if both {
            cover.hit(Seen::CreditSameIds);
        }
        if !self.purse(stream).is_some_and(|purse| purse.raise(total)) {
            return;
        }
        self.observed.push(Observed::Credit { stream });
        cover.hit(Seen::CreditWoken);
        if let Some(invocation) = self.invocations.get_mut(&stream.id).filter(|_| !stream.chunks)
            && invocation.deadline.is_none()
        {
            invocation.deadline = invocation.timeout.map(|timeout| now + timeout);
        }
    }

    /// Records that it grants more to a stream.
    pub fn grants(&mut self, stream: Stream, total: u64, cover: &mut Coverage) -> Result<(), Broken> {
        let late = self.owed.contains(&stream);
        self.owed.retain(|owed| *owed != stream);
        let Some(meter) = self.meter(stream) else {
            // The grant was due before the call timed out, and both deadlines have passed.
            hold!(late, "18: CREDIT for {stream:?}, which it does not receive");
            return Ok(());
        };
        meter.say(total, None)?;
        if meter.is_wider() {
            cover.hit(Seen::CreditWidened);
        }
        if late {
            cover.hit(Seen::CreditDelayed);
        }
        Ok(())
    }

    /// Checks that it has made all due grants.
    pub fn grants_enough(&mut self) -> Result<(), Broken> {
        let owed = std::mem::take(&mut self.owed);
        if self.state != State::Open {
            return Ok(());
        }
        hold!(owed.is_empty(), "19: consumed bytes of {owed:?} are not granted after {DELAY:?}");
        for (stream, meter) in self.meters() {
            hold!(
                !meter.must_say(),
                "19: half of the window of {stream:?} is consumed but not granted: {meter:?}"
            );
        }
        Ok(())
    }

    pub(super) fn grants_are_due(&mut self, now: Time) {
        let expired = |stream: Stream, delayed: Time| {
            let invocation = self.invocations.get(&stream.id).filter(|_| stream.chunks);
            invocation.and_then(|of| of.deadline).is_some_and(|deadline| deadline <= delayed)
        };
        let due: Vec<Stream> = self
            .meters()
            .filter(|(stream, meter)| {
                meter.delayed.is_some_and(|delayed| delayed <= now && !expired(*stream, delayed))
            })
            .map(|(stream, _)| stream)
            .collect();
        for stream in due {
            if let Some(meter) = self.meter(stream) {
                meter.delayed = None;
                if meter.can_say() {
                    self.owed.push(stream);
                }
            }
        }
    }

    /// Returns whether it has consumed something that it has not granted yet.
    pub fn has_delayed(&self) -> bool {
        self.meters().any(|(_, meter)| meter.delayed.is_some())
    }
}
