//! The same for a client's end: plain results as it sends and receives them.

use std::cell::Cell;

use bytes::Bytes;
use wamp_core::session::{Event, PlainVerdict, Session};
use wamp_core::{Reply, Time};
use wamp_proto::relay::{PlainProgress, PlainReply};
use wamp_proto::{Limits, Message, Payload, RequestId, Serializer};

thread_local! {
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

/// Whether it is time to compare: each time in so many. A model that walks through millions of states cannot copy a
/// session at each.
#[allow(dead_code, reason = "the other tests compare always")]
pub fn now_and_then(each: u32) -> bool {
    let asked = ASKED.get().wrapping_add(1);
    ASKED.set(asked);
    asked.is_multiple_of(each)
}

/// Lets a message come both ways. Whether it took the express lane, which has come to the same; or how they differ.
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

/// Lets the same progressive result come several times, as a run and one by one.
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
    // A run that is not handled is delivered too, but more may follow from each result.
    let Some(cost) = run else { return same(short, Vec::new(), Vec::new(), both(session).0) };
    if cost != expected {
        return Err(format!("a run costs {cost}, one by one its results cost {expected} in {serializer}"));
    }
    same(short, Vec::new(), Vec::new(), long)
}

/// Sends a progressive result both ways. Whether it was sent; or how they differ.
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
        return Err(format!("the express lane gives {found:?}, the general way {expected:?}"));
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

/// Two of it, that have nothing more to say about what was before.
fn both(session: &Session) -> (Session, Session) {
    let mut session = session.clone();
    while session.poll_transmit().is_some() || session.poll_event().is_some() {}
    (session.clone(), session)
}

/// Compares what the first has said, after what its driver has said for it, with what the second has said.
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
        Err(format!("the express lane gives {found:?}, the general way {wanted:?}"))
    }
}
