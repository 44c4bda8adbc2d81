//! Clients that are no principals: they are treated like principals until their proof fails.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wamp_core::auth::scram::{Dialect, Kdf, Keys};
use wamp_core::auth::wampcra::{Key, Salting};
use wamp_core::auth::{Principal, Principals, Secret};
use wamp_proto::message::Challenge;
use wamp_proto::{Extra, uri};

use crate::authentication::{challenged, message_of, methods};
use crate::net::json;

/// A CHALLENGE without its random numbers.
fn shape(challenge: Challenge, authid: &str) -> String {
    let mut text = json(&challenge.into()).replace(authid, "AUTHID");
    if let Some(start) = text.find(r#"nonce\":\""#) {
        let end = start + text[start + 11..].find(r#"\""#).unwrap() + 11;
        text.replace_range(start..end, "NONCE");
    }
    text
}

// behaviour 204
#[test]
fn an_unknown_authid_is_challenged_like_a_known_one() {
    let mut principals = Principals::new();
    let salting = Salting { salt: "salt123".into(), iterations: 10, keylen: 32 };
    let secret = Secret::from("s3cret");
    for n in 0..20 {
        let principal = Principal::new(format!("user{n}"), "user");
        principals.insert(match n % 2 {
            0 => principal.cra(Key::plain(secret.clone())),
            _ => principal.cra(Key::salted(&secret, salting.clone())).ticket(secret.clone()),
        });
    }
    let mut seen = [0; 2];
    for n in 0..1000 {
        let authid = format!("nobody{n}");
        let mut details = methods(&["ticket", "wampcra"], None);
        details.authid = Some(authid.clone().into());
        let exchange = challenged(&principals, &details, 1);
        let again = challenged(&principals, &details, 2).challenge();
        let challenge = exchange.challenge();
        assert_eq!((&challenge.method, &challenge.extra.salt), (&again.method, &again.extra.salt));
        assert_eq!(shape(challenge.clone(), &authid), shape(again, &authid));
        seen[usize::from(challenge.method == "ticket")] += 1;
        assert_eq!(exchange.verify(&message_of("x")).unwrap_err().reason, uri::AUTHENTICATION_DENIED);
    }
    assert!(seen.iter().all(|count| (350..650).contains(count)), "like the known ones: {seen:?}");

    // The salt of an unknown one is as long as that of a known one.
    let mut details = methods(&["wampcra"], None);
    let salts: Vec<usize> = (0..50)
        .filter_map(|n| {
            details.authid = Some(format!("nobody{n}").into());
            challenged(&principals, &details, 1).challenge().extra.salt.map(|salt| salt.len())
        })
        .collect();
    assert!(!salts.is_empty() && salts.len() < 50 && salts.iter().all(|len| *len == 7), "{salts:?}");
}

// behaviour 204
#[test]
fn the_salt_of_an_unknown_authid_looks_like_a_random_one() {
    let salting = Salting { salt: "0123456789abcdef".into(), iterations: 10, keylen: 32 };
    let hex = Key::salted(&Secret::from("s3cret"), salting);
    let keys = Keys::new(Dialect::Wamp, Kdf::Pbkdf2 { iterations: 4096 }, vec![0xff; 16], [1; 32], [2; 32]);
    let mut principals = Principals::new();
    principals.insert(Principal::new("joe", "user").cra(hex).scram(keys));
    let salt = |method: &'static str, n: u32| {
        let mut details = methods(&[method], None);
        let mut extra = Extra::default();
        extra.insert("nonce", "bm9uY2Vub25jZQ==").unwrap();
        details.authextra = Some(extra);
        details.authid = Some(format!("nobody{n}").into());
        challenged(&principals, &details, 1).challenge().extra.salt.unwrap()
    };
    for n in 0..20 {
        assert!(salt("wampcra", n).bytes().all(|digit| b"0123456789abcdef".contains(&digit)));
    }
    let decoded = (0..20).flat_map(|n| STANDARD.decode(salt("wamp-scram", n).as_bytes()).unwrap());
    assert!(decoded.filter(|byte| *byte >= 0x80).count() > 80, "half of 320 random bytes");
}
