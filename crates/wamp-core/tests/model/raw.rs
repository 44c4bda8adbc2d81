//! Actions of a peer of the model: the messages that it sends.

use wamp_proto::message::{CallOptions, RequestKind};
use wamp_proto::{Message, Payload, uri};

use crate::account::Stream;
use crate::client::{Client, End, Made};
use crate::said::{self, Answer, Mode, Procedure, abort, call_options, goodbye, payload};
use crate::setup::{Numbering, register_options};
use crate::step::{Step, Wrong};

/// Returns the messages that a peer of the model sends in a step, with `None` for garbage.
pub fn act(its: &mut Client, step: &Step, tag: u64) -> Option<Vec<Option<Message>>> {
    if !its.is_active() {
        return None;
    }
    let (serializer, rogue) = (its.kind.serializer, its.kind.rogue);
    let End::Raw(raw) = &mut its.end else { return None };
    let (calls, registering) = (&its.calls, &its.registering);
    let mut next_request = || {
        let count = raw.next_request;
        raw.next_request += 1;
        let is_used = |id: &u64| {
            let called = calls.iter().any(|call| call.request == *id && !call.over);
            called || registering.iter().any(|(request, _)| request == id)
        };
        match its.kind.numbering {
            Numbering::Counting => count,
            // The factor is odd, so no number repeats.
            Numbering::Drawn => count.wrapping_mul(0x9e37_79b9_7f4a_7c15) % wamp_proto::MAX_ID + 1,
            Numbering::Reusing => (1..).find(|id| !is_used(id)).unwrap_or(count),
        }
    };
    let message = match *step {
        Step::Register { procedure, .. } => {
            let request = next_request();
            its.registering.push((request, procedure));
            said::register(request, register_options(procedure), procedure)
        }
        Step::Unregister { procedure, .. } => {
            let registration = its.registrations.remove(&procedure)?;
            said::unregister(next_request(), registration)
        }
        Step::Call { procedure, wants_progress, more, timeout, .. } => {
            if more && !its.kind.features.caller_chunks {
                return None;
            }
            let request = next_request();
            its.calls.push(Made { request, procedure, uploading: more, over: false, waits: false });
            said::call(
                request,
                call_options(more, wants_progress, timeout),
                procedure,
                payload(serializer, tag),
            )
        }
        Step::Chunk { call, last, .. } => {
            let call = its.calls.get_mut(call).filter(|call| rogue || call.uploading && !call.over)?;
            if !rogue && !last && !raw.may_send(Stream::chunks(call.request)) {
                return None;
            }
            call.uploading = !last;
            chunk(call.request, call.procedure, !last, payload(serializer, tag))
        }
        Step::Cancel { call, mode, .. } => {
            let call = its.calls.get(call).filter(|call| rogue || !call.over)?;
            said::cancel(call.request, Some(mode))
        }
        Step::Answer { invocation, answer, .. } => {
            let got = its.invocations.get_mut(invocation)?;
            if !rogue && (got.over || answer.is_progress() && !got.wants_progress) {
                return None;
            }
            if !rogue && answer.is_progress() && !raw.may_send(Stream::results(got.invocation)) {
                return None;
            }
            got.over |= !answer.is_progress();
            answer.message(serializer, got.invocation, tag)
        }
        Step::Leave { .. } => {
            if std::mem::replace(&mut raw.left, true) {
                return None;
            }
            goodbye(uri::CLOSE_REALM)
        }
        Step::Take { .. } => {
            let (stream, cost) = its.items.pop_front()?;
            let over = match stream.chunks {
                true => its.invocations.iter().any(|got| got.invocation == stream.id && got.over),
                false => its.calls.iter().any(|call| call.request == stream.id && call.over),
            };
            let Some(meter) = raw.meters.get_mut(&stream) else { return Some(Vec::new()) };
            meter.consume(cost);
            if over || raw.left || !meter.can_say() {
                return Some(Vec::new());
            }
            let total = meter.room();
            meter.say(total, None).ok()?;
            said::credit(stream.id, stream.chunks.then_some(true), Some(total))
        }
        Step::Grant { request, chunks, total, .. } if rogue => said::credit(request, chunks, total),
        Step::Die { .. } => return Some(Vec::new()),
        Step::Abort { .. } => abort(),
        Step::Wrong { wrong, .. } if rogue => match wrong {
            Wrong::NeverInvoked => Answer::Result.message(serializer, 1000, tag),
            Wrong::ErrorOfCall => said::error(RequestKind::Call, 1, Payload::empty()),
            Wrong::Gap => {
                said::call(raw.next_request + 5, CallOptions::default(), 0, payload(serializer, tag))
            }
            Wrong::Again => {
                let first = its.calls.first()?;
                chunk(first.request, first.procedure, false, payload(serializer, tag))
            }
            Wrong::Garbage => return Some(vec![None]),
            Wrong::ForeignCancel => said::cancel(500, Some(Mode::Kill)),
            Wrong::CancelWithoutMode => said::cancel(its.calls.last()?.request, None),
        },
        _ => return None,
    };
    Some(vec![Some(message)])
}

fn chunk(request: u64, procedure: Procedure, more: bool, payload: Payload) -> Message {
    said::call(request, call_options(more, false, 0), procedure, payload)
}
