//! The same comparison at a client's end, for plain results that it sends and receives.

use std::cell::Cell;

use bytes::Bytes;
use wamp_core::session::{Event, PlainVerdict, Session};
use wamp_core::{Reply, Time};
use wamp_proto::relay::{PlainProgress, PlainReply};
use wamp_proto::{Limits, Message, Payload, RequestId, Serializer};

thread_local! {
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

/// Returns whether to compare now, once in several times. A model with millions of states cannot copy a
/// session in each.
#[allow(dead_code, reason = "the other tests compare always")]
pub fn now_and_then(each: u32) -> bool {
    let asked = ASKED.get().wrapping_add(1);
    ASKED.set(asked);
    asked.is_multiple_of(each)
}

/// Passes a message in both ways. Returns whether it took the short way, with the same outcome; or the
/// difference.
pub fn receive(
    session: &Session,
    now: Time,
    serializer: Serializer,
    message: &Message,
) -> Result<bool, String> {
    let frame = message.encode(serializer).map_err(|error| error.to_string())?;
    let Some(plain) = PlainReply::read(serializer, &frame, &Limits::default()) else { return Ok(false) };
    let (mut short, mut long) = both(session);
    long.handle_frame(now, message.clone(), frame.len());
    let mut told = Vec::new();
    match short.handle_plain(now, &plain) {
        PlainVerdict::Deliver { cost } => {
            let payload = plain.payload(serializer, frame.slice(plain.tail()));
            let reply = if plain.progress { Reply::Progress(payload) } else { Reply::Result(payload) };
            told.push(Event::Replied { call: plain.request, reply, cost });
        }
        PlainVerdict::Discard => {}
        PlainVerdict::Unusual => {
            short.handle_frame(now, message.clone(), frame.len());
            same(short, Vec::new(), Vec::new(), long)?;
            return Ok(false);
        }
        other => return Err(format!("{other:?} is not known here")),
    }
    same(short, Vec::new(), told, long)?;
    if plain.progress {
        receive_run(session, now, serializer, &frame, &plain)?;
    }
    Ok(true)
}

/// Passes the same progressive result several times, as a run and one by one.
fn receive_run(
    session: &Session,
    now: Time,
    serializer: Serializer,
    frame: &Bytes,
    plain: &PlainReply,
) -> Result<(), String> {
    const RUN: usize = 3;
    let (mut short, mut long) = both(session);
    let run = short.handle_plain_run(plain.request, [frame.len(); RUN]);
    let mut expected = 0;
    for _ in 0..RUN {
        match (long.handle_plain(now, plain), run) {
            (PlainVerdict::Deliver { cost }, _) => expected += cost,
            (_, None) => return Ok(()),
            (other, Some(_)) => return Err(format!("a run is delivered, and one by one there is {other:?}")),
        }
    }
    // A run that is not handled is delivered too, but each result may have further effects.
    let Some(cost) = run else { return same(short, Vec::new(), Vec::new(), both(session).0) };
    if cost != expected {
        return Err(format!("a run costs {cost}, one by one its results cost {expected} in {serializer}"));
    }
    same(short, Vec::new(), Vec::new(), long)
}

/// Sends a progressive result in both ways. Returns whether it was sent; or the difference.
pub fn progress(
    session: &Session,
    now: Time,
    serializer: Serializer,
    invocation: RequestId,
    payload: &Payload,
) -> Result<bool, String> {
    let (mut short, mut long) = both(session);
    let expected = long.reply(now, invocation, Reply::Progress(payload.clone()));
    let plain = PlainProgress::new(invocation, payload);
    let found = short.progress(|| now, &plain);
    if found != expected {
        return Err(format!("the short way gives {found:?}, the general way {expected:?}"));
    }
    let mut sent = Vec::new();
    if found.is_ok() {
        let frame = [plain.head(serializer).as_ref(), payload_bytes(payload), serializer.end()].concat();
        let message = Message::decode(serializer, &frame.into(), &Limits::default());
        sent.push(message.map_err(|error| error.to_string())?);
    }
    same(short, sent, Vec::new(), long)?;
    Ok(found.is_ok())
}

/// The bytes of arguments without keywords.
fn payload_bytes(payload: &Payload) -> &[u8] {
    assert_eq!(payload.kwargs_bytes(), b"");
    payload.args_bytes()
}

/// Two copies of the session, without pending messages and events.
fn both(session: &Session) -> (Session, Session) {
    let mut session = session.clone();
    while session.poll_transmit().is_some() || session.poll_event().is_some() {}
    (session.clone(), session)
}

/// Compares the messages of the two copies; those that the driver wrote for the first one come first.
fn same(
    mut short: Session,
    mut sent: Vec<Message>,
    mut told: Vec<Event>,
    mut long: Session,
) -> Result<(), String> {
    sent.extend(std::iter::from_fn(|| short.poll_transmit()));
    told.extend(std::iter::from_fn(|| short.poll_event()));
    let expected: Vec<_> = std::iter::from_fn(|| long.poll_transmit()).collect();
    let events: Vec<_> = std::iter::from_fn(|| long.poll_event()).collect();
    let of = |session: &Session| (session.stats(), session.in_flight(), session.poll_timeout());
    let (found, wanted) = ((sent, told, of(&short)), (expected, events, of(&long)));
    if found == wanted {
        Ok(())
    } else {
        Err(format!("the short way gives {found:?}, the general way {wanted:?}"))
    }
}
