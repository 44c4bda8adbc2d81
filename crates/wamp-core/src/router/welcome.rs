//! The length of WELCOME.

use wamp_proto::message::{Welcome, WelcomeDetails};
use wamp_proto::{Features, Message, Role, Serializer, SessionId};

/// An upper bound of the length of WELCOME without its strings: ids, keys, roles and features.
const BESIDE_STRINGS: usize = 2048;

/// The longest encoding of one byte of a string in any serializer (JSON: `\u001f`).
const ESCAPED: usize = 6;

/// The part of WELCOME that fits into this many bytes. A client can do without everything but the roles and
/// `authextra`, which may prove the router, and then without the features of the broker (behaviour
/// [206](crate::behaviour#rule-206)).
pub(super) fn fitting(
    full: WelcomeDetails,
    serializer: Serializer,
    max_message: usize,
) -> Option<WelcomeDetails> {
    let fits = |details: &_| encoded_len(details, serializer).is_some_and(|len| len <= max_message);
    // Usually the bound shows that there is enough room, without encoding.
    if longest(&full).is_some_and(|len| len <= max_message) || fits(&full) {
        return Some(full);
    }
    let short = WelcomeDetails { roles: full.roles, authextra: full.authextra, ..WelcomeDetails::default() };
    if fits(&short) {
        return Some(short);
    }
    let roles = short.roles.with(Role::Broker, Features::none());
    let shortest = WelcomeDetails { roles, authextra: short.authextra, ..WelcomeDetails::default() };
    fits(&shortest).then_some(shortest)
}

/// An upper bound of the length of WELCOME, in any serializer; `None` if one of them may be unable to write it,
/// as JSON is with a text that begins with U+0000.
fn longest(details: &WelcomeDetails) -> Option<usize> {
    let WelcomeDetails { agent, realm, authid, authrole, authmethod, authprovider, authextra, .. } = details;
    // It may hold any values.
    if authextra.is_some() {
        return None;
    }
    let strings = [agent, authid, authrole, authmethod, authprovider].into_iter().flatten();
    let strings = strings.map(|string| &**string).chain(realm.as_ref().map(|realm| realm.as_str()));
    strings
        .map(|string| (!string.starts_with('\0')).then_some(ESCAPED * string.len()))
        .try_fold(BESIDE_STRINGS, |sum, string| Some(sum + string?))
}

fn encoded_len(details: &WelcomeDetails, serializer: Serializer) -> Option<usize> {
    let session = SessionId::new(wamp_proto::MAX_ID).expect("the longest of all ids");
    let message = Message::from(Welcome { session, details: details.clone() });
    message.encode(serializer).ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use wamp_proto::ByteString;

    use super::*;
    use crate::router::config::Config;
    use crate::router::features::announced;

    fn details(agent: &str) -> WelcomeDetails {
        let mut details = WelcomeDetails {
            roles: announced(&Config::new("realm1"), Some(u64::MAX)),
            agent: Some(ByteString::from(agent)),
            realm: Some("realm1".into()),
            ..WelcomeDetails::default()
        };
        for string in [&mut details.authid, &mut details.authrole, &mut details.authprovider] {
            *string = Some(ByteString::from(agent));
        }
        details
    }

    #[test]
    fn nothing_is_longer_than_it_may_be() {
        for agent in [String::new(), "x".repeat(1000), "\u{1f}".repeat(1000), "\u{20ac}".repeat(1000)] {
            for &serializer in Serializer::ALL {
                let details = details(&agent);
                assert!(encoded_len(&details, serializer) < longest(&details), "{serializer} {agent:?}");
            }
        }
    }

    #[test]
    fn details_that_cannot_be_written_are_left_out() {
        let full = details("\0x");
        assert_eq!(longest(&full), None);
        let short = fitting(full.clone(), Serializer::Json, 1 << 24).unwrap();
        assert_eq!((&short.roles, &short.agent), (&full.roles, &None));
        assert_eq!(fitting(full.clone(), Serializer::Cbor, 1 << 24), Some(full));
    }

    #[test]
    fn details_that_do_not_fit_are_left_out_but_not_the_roles() {
        for &serializer in Serializer::ALL {
            let full = details("router");
            let all = encoded_len(&full, serializer).unwrap();
            let fits = |len| fitting(full.clone(), serializer, len);
            assert_eq!(fits(1 << 24), Some(full.clone()));
            assert_eq!(fits(all), Some(full.clone()));
            let short = fits(all - 1).unwrap();
            assert_eq!((&short.roles, &short.agent), (&full.roles, &None));
            let least = encoded_len(&short, serializer).unwrap();
            assert_eq!(fits(least), Some(short));
            let shortest = fits(least - 1).unwrap();
            let of = |details: &WelcomeDetails, role| details.roles.get(role).cloned();
            assert_eq!(of(&shortest, Role::Broker), Some(Features::none()));
            assert_eq!(of(&shortest, Role::Dealer), of(&full, Role::Dealer));
            let least = encoded_len(&shortest, serializer).unwrap();
            assert!(least <= 512, "every transport takes it");
            assert_eq!(fits(least), Some(shortest));
            assert_eq!(fits(least - 1), None);
        }
    }
}
