//! The rules for foreign clients, checked with their actual HELLOs.

use wamp_core::Time;
use wamp_core::router::Quirks;
use wamp_core::session::{Config, Session};
use wamp_proto::message::HelloDetails;
use wamp_proto::{Limits, Message, Serializer};

const AUTOBAHN_PYTHON: &str = include_str!("../hellos/autobahn-python.json");
const AUTOBAHN_JS: &str = include_str!("../hellos/autobahn-js.json");
const WAMPY: &str = include_str!("../hellos/wampy.json");

/// The HELLO in a recorded file: the value of its last key.
fn recorded(file: &str) -> HelloDetails {
    let (_, hello) = file.split_once("\"hello\": ").expect("a recorded HELLO");
    let hello = hello.trim_end().strip_suffix('}').expect("the last key of the file");
    let hello = hello.trim_end().to_owned();
    match Message::decode(Serializer::Json, &hello.into(), &Limits::default()) {
        Ok(Message::Hello(hello)) => hello.details,
        other => panic!("{other:?}"),
    }
}

fn ours(answers_pings: bool) -> HelloDetails {
    let mut config = Config::new("realm1");
    config.answers_pings = answers_pings;
    let mut session = Session::new(Time::ORIGIN, config, 1);
    match session.poll_transmit() {
        Some(Message::Hello(hello)) => hello.details,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_foreign_client_is_known_to_do_without_arguments_or_to_answer_a_ping() {
    for file in [AUTOBAHN_PYTHON, AUTOBAHN_JS, WAMPY] {
        let quirks = Quirks::of(&recorded(file));
        assert!(quirks.explicit_arguments, "{file}");
        assert!(!quirks.answers_pings, "{file}");
    }
    let unknown = Quirks::of(&HelloDetails::default());
    assert!(unknown.explicit_arguments && !unknown.answers_pings && !unknown.goodbye_is_final);
}

#[test]
fn our_own_client_does_without_arguments_and_says_whether_it_answers_pings() {
    for answers_pings in [true, false] {
        let quirks = Quirks::of(&ours(answers_pings));
        assert!(!quirks.explicit_arguments && !quirks.goodbye_is_final);
        assert_eq!(quirks.answers_pings, answers_pings);
    }
}

#[test]
fn goodbye_is_final_for_the_two_javascript_clients_only() {
    assert!(Quirks::of(&recorded(AUTOBAHN_JS)).goodbye_is_final);
    assert!(Quirks::of(&recorded(WAMPY)).goodbye_is_final);
    assert!(!Quirks::of(&recorded(AUTOBAHN_PYTHON)).goodbye_is_final);
    // Another program with the same announcement, and a name, is not the known one.
    let mut named = recorded(AUTOBAHN_JS);
    named.agent = Some("something else".into());
    assert!(!Quirks::of(&named).goodbye_is_final);
}

#[test]
fn autobahn_python_only_gets_no_revocations() {
    assert!(Quirks::of(&recorded(AUTOBAHN_PYTHON)).fails_on_revocation);
    for other in [AUTOBAHN_JS, WAMPY] {
        assert!(!Quirks::of(&recorded(other)).fails_on_revocation);
    }
}
