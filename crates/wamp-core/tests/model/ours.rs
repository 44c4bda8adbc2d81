//! Commands of a program to one of our sessions, and to the model of it.

use wamp_core::{Reply, Time};
use wamp_proto::message::{Interrupt, InterruptOptions, RequestKind, Result as ResultMessage, ResultDetails};
use wamp_proto::{Message, Payload, Serializer, uri};

use crate::account::{Stream, cost};
use crate::client::{Client, End, Got, Made};
use crate::coverage::{Coverage, Phase, Seen};
use crate::endpoint::Endpoint;
use crate::ledger::Broken;
use crate::plain::{COMPARED, session as plain};
use crate::setup::register_options;
use crate::step::{Forged, Step};
use crate::wire_message::{self, Mode, Names, call_options, id, name, payload, wire_message};

/// Compares a number, or whether a command was possible, between the machine and its model.
fn same<T: PartialEq + std::fmt::Debug>(step: &Step, found: T, expected: T) -> Result<T, Broken> {
    if found == expected { Ok(found) } else { Err(format!("{step}: {found:?}, expected {expected:?}")) }
}

/// A program of one of our sessions acts.
pub fn act(
    state: &mut Client,
    now: Time,
    step: &Step,
    tag: u64,
    cover: &mut Coverage,
) -> Result<bool, Broken> {
    let serializer = state.kind.serializer;
    let End::Session(session, endpoint) = &mut state.end else { return Ok(false) };
    match *step {
        Step::Register { procedure, .. } => {
            let found = session.register(now, register_options(procedure), name(procedure));
            let expected = endpoint.register(procedure);
            let request = same(step, found.ok().map(|id| id.get()), expected)?;
            state.registering.extend(request.map(|request| (request, procedure)));
            Ok(request.is_some())
        }
        Step::Unregister { procedure, .. } => {
            let Some(registration) = state.registrations.get(&procedure).copied() else { return Ok(false) };
            let found = session.unregister(now, registration);
            let request = same(step, found.ok().map(|id| id.get()), endpoint.unregister(procedure))?;
            if request.is_some() {
                state.registrations.remove(&procedure);
            }
            Ok(request.is_some())
        }
        Step::Call { procedure, wants_progress, more, timeout, .. } => {
            let options = call_options(more, wants_progress, timeout);
            let found = session.call(now, options, name(procedure), payload(serializer, tag));
            let expected = endpoint.call(procedure, more, wants_progress, timeout, tag);
            let request = same(step, found.ok().map(|id| id.get()), expected)?;
            let made = request.map(|request| Made {
                request,
                procedure,
                uploading: more,
                over: false,
                waits: false,
            });
            state.calls.extend(made);
            Ok(request.is_some())
        }
        Step::Chunk { call, last, .. } => {
            let Some((request, waits)) = state.calls.get(call).map(|call| (call.request, call.waits)) else {
                return Ok(false);
            };
            // After GOODBYE nothing is sent, so the accounting is not visible.
            if state.kind.windows.is_some() && !endpoint.is_open() {
                return Ok(false);
            }
            let stream = Stream::chunks(request);
            if waits && !last && endpoint.may_send(stream) {
                return Ok(false);
            }
            if last && !endpoint.may_send(stream) {
                cover.hit(Seen::CreditFreeChunk);
            }
            let found = session.send_chunk(now, id(request), payload(serializer, tag), last).is_ok();
            same(step, found, endpoint.chunk(request, last, tag))
        }
        Step::Cancel { call, mode, .. } => {
            let Some(request) = state.calls.get(call).map(|call| call.request) else { return Ok(false) };
            let found = session.cancel(now, id(request), mode.into()).is_ok();
            same(step, found, endpoint.cancel(request, mode))
        }
        Step::Answer { invocation, answer, .. } => {
            let Some(got) = state.invocations.get(invocation) else { return Ok(false) };
            // A program that waits for credit is woken by nothing else.
            let alive = endpoint.invocation_phase(got.invocation).is_some_and(Phase::is_alive);
            if got.waits
                && alive
                && answer.is_progress()
                && endpoint.may_send(Stream::results(got.invocation))
            {
                return Ok(false);
            }
            let reply = answer.reply(serializer, tag);
            if let Reply::Progress(payload) = &reply
                && plain::now_and_then(COMPARED)
            {
                plain::progress(session, now, serializer, id(got.invocation), payload)?;
            }
            let found = session.reply(now, id(got.invocation), reply).is_ok();
            same(step, found, endpoint.answer(now, got.invocation, answer, tag, cover))
        }
        Step::AnswerCancelMyself { invocation, .. } => {
            let Some(got) = state.invocations.get(invocation) else { return Ok(false) };
            let found = session.answer_cancel_myself(id(got.invocation)).is_ok();
            same(step, found, endpoint.answer_cancel_myself(got.invocation))
        }
        Step::Take { .. } => {
            let Some((stream, cost)) = state.items.pop_front() else { return Ok(false) };
            session.consume(now, stream.of_session(), cost);
            endpoint.consume(now, stream, cost);
            Ok(true)
        }
        Step::Leave { .. } => same(step, session.leave(now, uri::CLOSE_REALM).is_ok(), endpoint.leave(now)),
        Step::Die { .. } => {
            session.handle_closed(now);
            let alive = !endpoint.is_closed();
            endpoint.lost();
            Ok(alive)
        }
        Step::Abort { .. } => {
            session.handle_garbage(now, "not a message".to_owned());
            let alive = !endpoint.is_closed();
            endpoint.garbage();
            Ok(alive)
        }
        Step::Expire { .. } => {
            session.handle_timeout(now);
            endpoint.handle_timeout(now);
            Ok(true)
        }
        Step::Forge { of, forged, .. } => {
            let Some(message) =
                forge(&state.calls, &state.invocations, endpoint, serializer, of, forged, tag)
            else {
                return Ok(false);
            };
            let heard = wire_message(&message, &Names::new());
            let len = message.encoded_len(serializer).map_err(|error| error.to_string())?;
            if plain::now_and_then(COMPARED) {
                plain::receive(session, now, serializer, &message)?;
            }
            session.handle_message(now, message);
            endpoint.hear(now, &heard, cost(len), cover);
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn forge(
    calls: &[Made],
    invocations: &[Got],
    endpoint: &Endpoint,
    serializer: Serializer,
    of: usize,
    forged: Forged,
    tag: u64,
) -> Option<Message> {
    if endpoint.is_closed() {
        return None;
    }
    let call = calls.get(of).map(|call| call.request);
    let stands = call.and_then(|call| endpoint.call_phase(call));
    let result = |progress: bool| {
        let details = ResultDetails { progress: progress.then_some(true), ..ResultDetails::default() };
        let payload = payload(serializer, tag);
        Some(ResultMessage { request: id(call?), details, payload }.into())
    };
    match forged {
        Forged::Progress => {
            let (phase, wants_progress) = stands?;
            if phase.is_alive() && wants_progress { None } else { result(true) }
        }
        Forged::Result => {
            let (phase, _) = stands?;
            if phase.is_alive() { None } else { result(false) }
        }
        Forged::Credit => Some(wire_message::credit(invocations.get(of)?.invocation, None, Some(1))),
        Forged::Void => Some(wire_message::credit(1000, Some(true), None)),
        Forged::Unknown => Some(wire_message::error(RequestKind::Call, 1000, Payload::empty())),
        Forged::Interrupt => {
            let invocation = invocations.get(of)?.invocation;
            if endpoint.invocation_phase(invocation)?.is_alive() {
                return None;
            }
            let options = InterruptOptions { mode: Some(Mode::Kill.into()), ..InterruptOptions::default() };
            Some(Interrupt { request: id(invocation), options }.into())
        }
    }
}
