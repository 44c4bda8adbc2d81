//! Actions of a peer of the model: the messages that it sends.

use wamp_proto::message::{CallOptions, RequestKind};
use wamp_proto::{Message, Payload, uri};

use crate::account::Stream;
use crate::client::{Client, End, Made};
use crate::setup::{Numbering, register_options};
use crate::step::{Step, Wrong};
use crate::wire_message::{self, Answer, Mode, Procedure, abort, call_options, goodbye, payload};

/// Returns the messages that a peer of the model sends in a step, with `None` for garbage.
pub fn act(state: &mut Client, step: &Step, tag: u64) -> Option<Vec<Option<Message>>> {
    if !state.is_active() {
        return None;
    }
    let (serializer, rogue) = (state.kind.serializer, state.kind.rogue);
    let End::Raw(raw) = &mut state.end else { return None };
    let (calls, registering) = (&state.calls, &state.registering);
    let mut next_request = || {
        let count = raw.next_request;
        raw.next_request += 1;
        let is_used = |id: &u64| {
            let called = calls.iter().any(|call| call.request == *id && !call.over);
            called || registering.iter().any(|(request, _)| request == id)
        };
        match state.kind.numbering {
            Numbering::Counting => count,
            // The factor is odd, so no number repeats.
            Numbering::Drawn => count.wrapping_mul(0x9e37_79b9_7f4a_7c15) % wamp_proto::MAX_ID + 1,
            Numbering::Reusing => (1..).find(|id| !is_used(id)).unwrap_or(count),
        }
    };
    let message = match *step {
        Step::Register { procedure, .. } => {
            let request = next_request();
            state.registering.push((request, procedure));
            wire_message::register(request, register_options(procedure), procedure)
        }
        Step::Unregister { procedure, .. } => {
            let registration = state.registrations.remove(&procedure)?;
            wire_message::unregister(next_request(), registration)
        }
        Step::Call { procedure, wants_progress, more, timeout, .. } => {
            if more && !state.kind.features.caller_chunks {
                return None;
            }
            let request = next_request();
            state.calls.push(Made { request, procedure, uploading: more, over: false, waits: false });
            wire_message::call(
                request,
                call_options(more, wants_progress, timeout),
                procedure,
                payload(serializer, tag),
            )
        }
        Step::Chunk { call, last, .. } => {
            let call = state.calls.get_mut(call).filter(|call| rogue || call.uploading && !call.over)?;
            if !rogue && !last && !raw.may_send(Stream::chunks(call.request)) {
                return None;
            }
            call.uploading = !last;
            chunk(call.request, call.procedure, !last, payload(serializer, tag))
        }
        Step::Cancel { call, mode, .. } => {
            let call = state.calls.get(call).filter(|call| rogue || !call.over)?;
            wire_message::cancel(call.request, Some(mode))
        }
        Step::Answer { invocation, answer, .. } => {
            let got = state.invocations.get_mut(invocation)?;
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
            let (stream, cost) = state.items.pop_front()?;
            let over = match stream.chunks {
                true => state.invocations.iter().any(|got| got.invocation == stream.id && got.over),
                false => state.calls.iter().any(|call| call.request == stream.id && call.over),
            };
            let Some(meter) = raw.meters.get_mut(&stream) else { return Some(Vec::new()) };
            meter.consume(cost);
            if over || raw.left || !meter.can_say() {
                return Some(Vec::new());
            }
            let total = meter.room();
            meter.say(total, None).ok()?;
            wire_message::credit(stream.id, stream.chunks.then_some(true), Some(total))
        }
        Step::Grant { request, chunks, total, .. } if rogue => wire_message::credit(request, chunks, total),
        Step::Die { .. } => return Some(Vec::new()),
        Step::Abort { .. } => abort(),
        Step::Wrong { wrong, .. } if rogue => match wrong {
            Wrong::NeverInvoked => Answer::Result.message(serializer, 1000, tag),
            Wrong::ErrorOfCall => wire_message::error(RequestKind::Call, 1, Payload::empty()),
            Wrong::Gap => {
                wire_message::call(raw.next_request + 5, CallOptions::default(), 0, payload(serializer, tag))
            }
            Wrong::Again => {
                let first = state.calls.first()?;
                chunk(first.request, first.procedure, false, payload(serializer, tag))
            }
            Wrong::Garbage => return Some(vec![None]),
            Wrong::ForeignCancel => wire_message::cancel(500, Some(Mode::Kill)),
            Wrong::CancelWithoutMode => wire_message::cancel(state.calls.last()?.request, None),
        },
        _ => return None,
    };
    Some(vec![Some(message)])
}

fn chunk(request: u64, procedure: Procedure, more: bool, payload: Payload) -> Message {
    wire_message::call(request, call_options(more, false, 0), procedure, payload)
}
