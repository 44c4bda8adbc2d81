//! The short way of plain results, compared with the general way: the same YIELD, the same realm, the same
//! outcome.

pub mod session;

/// The models compare the two ways of a session only once in this many times.
#[allow(dead_code, reason = "the other tests compare always")]
pub const COMPARED: u32 = 16;

use wamp_core::Time;
use wamp_core::router::{Realm, Relayed, SessionKey};
use wamp_proto::relay::PlainYield;
use wamp_proto::{Limits, Message, Serializer};

/// Returns whether a message took the short way, with the same outcome as the general way; or the difference.
pub fn compare(
    realm: &Realm,
    now: Time,
    from: SessionKey,
    serializer: Serializer,
    message: &Message,
) -> Result<bool, String> {
    let frame = message.encode(serializer).map_err(|error| error.to_string())?;
    let Some(plain) = PlainYield::read(serializer, &frame, &Limits::default()) else { return Ok(false) };
    let mut short = realm.clone();
    while short.poll_transmit().is_some() || short.poll_event().is_some() {}
    let mut long = short.clone();
    long.handle_message(now, from, message.clone());
    let (mut sent, mut payload) = (Vec::new(), frame[plain.tail()].to_vec());
    let relayed = short.relay(now, from, serializer, &plain, |to| {
        payload.clear();
        plain.rewrite(&frame, serializer, to, &mut payload).ok()
    });
    match relayed {
        Relayed::Result { to, serializer, result } => {
            let head = result.head(serializer);
            let bytes = [head.as_ref(), &payload, head.end()].concat();
            let message = Message::decode(serializer, &bytes.into(), &Limits::default());
            sent.push((to, message.map_err(|error| error.to_string())?));
        }
        Relayed::Dropped => {}
        _ => short.handle_message(now, from, message.clone()),
    }
    sent.extend(std::iter::from_fn(|| short.poll_transmit()));
    let expected: Vec<_> = std::iter::from_fn(|| long.poll_transmit()).collect();
    let of = |realm: &Realm| (realm.stats(), realm.sizes(), realm.poll_timeout());
    let (found, wanted) = ((sent, of(&short)), (expected, of(&long)));
    if found != wanted {
        return Err(format!("the short way gives {found:?}, the general way {wanted:?}"));
    }
    let events = |realm: &mut Realm| std::iter::from_fn(|| realm.poll_event()).collect::<Vec<_>>();
    let (found, wanted) = (events(&mut short), events(&mut long));
    if found != wanted {
        return Err(format!("the short way gives the events {found:?}, the general way {wanted:?}"));
    }
    Ok(relayed != Relayed::Unusual)
}
