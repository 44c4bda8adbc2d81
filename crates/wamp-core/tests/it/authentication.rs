//! Proofs of clients: the choice of method and principal, accepted proofs, and the texts of refusals.

use std::time::Duration;

use wamp_core::Time;
use wamp_core::auth::cryptosign::PrivateKey;
use wamp_core::auth::scram::{Dialect, Kdf, Keys};
use wamp_core::auth::wampcra::{Key, Salting};
use wamp_core::auth::{
    Admission, Begun, Connection, Credential, Denied, Exchange, Login, Method, Offer, Principal, Principals,
    Secret,
};
use wamp_core::router::{Accept, AcceptEvent, Config, Join, Realm};
use wamp_core::session::{self, Closed, Event, Session};
use wamp_proto::message::{Challenge, Hello, HelloDetails, Welcome, WelcomeDetails};
use wamp_proto::{Extra, Limits, Message, Serializer, SessionId, uri};

use crate::net::{all_roles, bytes, json};

const WAIT: Duration = Duration::from_secs(10);

fn message(json: &str) -> Message {
    Message::decode(Serializer::Json, &bytes(json), &Limits::default()).unwrap()
}

fn offer(number: u8) -> Offer {
    let (session, now) = (SessionId::new(7).unwrap(), Duration::from_millis(1_700_000_000_123));
    Offer::new(&[number; 72], Secret::from("the router's"), session, now)
}

fn connection(channel: Option<[u8; 32]>, is_confidential: bool) -> Connection {
    Connection { channel, is_confidential, random: [5; 18] }
}

fn key() -> PrivateKey {
    PrivateKey::from_bytes(&[9; 32])
}

/// A realm with a principal for each method.
fn principals() -> Principals {
    let salting = Salting { salt: "salt123".into(), iterations: 10, keylen: 32 };
    let secret = Secret::from("s3cret");
    let mut principals = Principals::new();
    principals.insert(Principal::new("joe", "user").role("admin").password(secret.clone()));
    principals.insert(Principal::new("salted", "user").cra(Key::salted(&secret, salting)));
    principals.insert(Principal::new("device", "device").public_key(key().public()));
    let argon2 = Kdf::Argon2id { iterations: 1, memory: 256 };
    for (name, dialect, kdf) in [
        ("scram", Dialect::Wamp, Kdf::Pbkdf2 { iterations: 4096 }),
        ("argon2", Dialect::Wamp, argon2),
        ("autobahn", Dialect::Autobahn, argon2),
    ] {
        let keys = Keys::derive(dialect, kdf, &secret, b"0123456789abcdef").unwrap();
        principals.insert(Principal::new(name, "user").scram(keys));
    }
    principals
}

fn hello(login: &Login) -> HelloDetails {
    let mut details = HelloDetails { roles: all_roles(), ..HelloDetails::default() };
    login.complete(&mut details).unwrap();
    details
}

fn login(credentials: Vec<Credential>) -> Login {
    Login::new(credentials, &connection(None, true)).unwrap()
}

pub(crate) fn challenged(principals: &Principals, details: &HelloDetails, number: u8) -> Box<Exchange> {
    match principals.begin(&principals.methods(), &[], details, &offer(number)).unwrap() {
        Begun::Challenged(exchange) => exchange,
        other => panic!("{other:?}"),
    }
}

/// Runs an exchange with a client that has these credentials.
fn prove(principals: &Principals, credentials: Vec<Credential>) -> Result<Admission, Denied> {
    let login = login(credentials);
    let exchange = challenged(principals, &hello(&login), 1);
    let answer = login.answer(&exchange.challenge()).unwrap();
    exchange.verify(&answer.authenticate)
}

pub(crate) fn methods(names: &[&'static str], authid: Option<&'static str>) -> HelloDetails {
    HelloDetails {
        roles: all_roles(),
        authmethods: Some(names.iter().map(|name| (*name).into()).collect()),
        authid: authid.map(Into::into),
        ..HelloDetails::default()
    }
}

// behaviour 205, behaviour 206, behaviour 207
#[test]
fn each_method_admits_the_right_proof_and_only_it() {
    let principals = principals();
    let right = [
        (Credential::ticket("joe", "s3cret"), "joe", "user", "ticket"),
        (Credential::wampcra("joe", "s3cret"), "joe", "user", "wampcra"),
        (Credential::wampcra("salted", "s3cret"), "salted", "user", "wampcra"),
        (Credential::cryptosign(key()), "device", "device", "cryptosign"),
        (Credential::cryptosign(key()).with_authid("device"), "device", "device", "cryptosign"),
        (Credential::scram("scram", "s3cret"), "scram", "user", "wamp-scram"),
        (Credential::scram("argon2", "s3cret"), "argon2", "user", "wamp-scram"),
        (Credential::autobahn_scram("autobahn", "s3cret"), "autobahn", "user", "scram"),
    ];
    for (credential, authid, authrole, authmethod) in right {
        let admission = prove(&principals, vec![credential]).unwrap();
        let identity = admission.identity;
        assert_eq!((&*identity.authid, &*identity.authrole), (authid, authrole));
        assert_eq!((&*identity.authmethod, &*identity.authprovider), (authmethod, "static"));
    }
    let other = PrivateKey::from_bytes(&[8; 32]);
    let wrong = [
        Credential::ticket("joe", "s3cret "),
        Credential::ticket("nobody", "s3cret"),
        Credential::ticket("device", "s3cret"),
        Credential::wampcra("joe", "S3cret"),
        Credential::wampcra("salted", "another"),
        Credential::wampcra("nobody", "s3cret"),
        Credential::cryptosign(other.clone()),
        Credential::cryptosign(other).with_authid("device"),
        Credential::cryptosign(key()).with_authid("joe"),
        Credential::scram("scram", "S3cret"),
        Credential::scram("argon2", "S3cret"),
        Credential::scram("nobody", "s3cret"),
        Credential::autobahn_scram("autobahn", "S3cret"),
        Credential::autobahn_scram("scram", "s3cret"),
    ];
    let mut texts: Vec<_> = wrong.into_iter().map(|it| prove(&principals, vec![it]).unwrap_err()).collect();
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(texts[0].reason, uri::AUTHENTICATION_DENIED);
}

// behaviour 211
#[test]
fn a_client_gets_the_role_that_it_asks_for_if_the_principal_has_it() {
    let principals = principals();
    for (wish, expected) in [(None, Ok("user")), (Some("admin"), Ok("admin")), (Some("root"), Err(()))] {
        let login = login(vec![Credential::ticket("joe", "s3cret")]);
        let details = HelloDetails { authrole: wish.map(Into::into), ..hello(&login) };
        let exchange = challenged(&principals, &details, 1);
        let answer = login.answer(&exchange.challenge()).unwrap();
        match (exchange.verify(&answer.authenticate), expected) {
            (Ok(admission), Ok(role)) => assert_eq!(&*admission.identity.authrole, role),
            (Err(denied), Err(())) => assert_eq!(denied.reason, uri::NO_SUCH_ROLE),
            other => panic!("{other:?}"),
        }
    }
    // A wrong proof does not tell which roles there are.
    let login = login(vec![Credential::ticket("joe", "wrong")]);
    let details = HelloDetails { authrole: Some("root".into()), ..hello(&login) };
    let exchange = challenged(&principals, &details, 1);
    let answer = login.answer(&exchange.challenge()).unwrap();
    assert_eq!(exchange.verify(&answer.authenticate).unwrap_err().reason, uri::AUTHENTICATION_DENIED);
}

// behaviour 202, behaviour 203
#[test]
fn the_first_fitting_method_of_the_client_is_taken() {
    let mut principals = principals();
    principals.set_anonymous("guest");
    let table: [(&[&str], Option<&str>, &str); 9] = [
        (&["ticket", "wampcra"], Some("joe"), "ticket"),
        (&["wampcra", "ticket"], Some("joe"), "wampcra"),
        (&["x", "ticket"], Some("joe"), "ticket"),
        (&["cryptosign", "ticket"], Some("joe"), "ticket"),
        (&["wampcra", "anonymous"], Some("joe"), "wampcra"),
        (&["wampcra", "anonymous"], None, "anonymous"),
        (&["anonymous", "ticket"], Some("joe"), "anonymous"),
        (&[], Some("joe"), "anonymous"),
        // The principal has none of the methods, which the client does not learn.
        (&["ticket", "anonymous"], Some("device"), "ticket"),
    ];
    for (names, authid, expected) in table {
        let details = methods(names, authid);
        match principals.begin(&principals.methods(), &[], &details, &offer(1)).unwrap() {
            Begun::Admitted(admission) => {
                assert_eq!((expected, &*admission.identity.authrole), ("anonymous", "guest"), "{names:?}");
            }
            Begun::Challenged(exchange) => assert_eq!(exchange.challenge().method, expected, "{names:?}"),
            other => panic!("{other:?}"),
        }
    }
    for names in [&["x"][..], &["ticket"], &["wampcra", "cryptosign"]] {
        let denied =
            principals.begin(&principals.methods(), &[], &methods(names, Some("")), &offer(1)).unwrap_err();
        assert_eq!(denied.reason, uri::NO_MATCHING_AUTH_METHOD, "{names:?}");
    }
}

// behaviour 226
#[test]
fn a_certificate_admits_the_principal_that_has_it() {
    let mut principals = principals();
    principals.insert(Principal::new("alice", "user").role("admin").certificate([1; 32]));
    let begin = |principals: &Principals, names: &[&'static str], authid, certificate: Option<u8>| {
        let mut offer = offer(1);
        offer.certificate = certificate.map(|number| [number; 32]);
        principals.begin(&principals.methods(), &[], &methods(names, authid), &offer)
    };
    for authid in [None, Some("alice")] {
        let Ok(Begun::Admitted(admission)) = begin(&principals, &["tls"], authid, Some(1)) else {
            panic!("denied")
        };
        assert_eq!((&*admission.identity.authid, &*admission.identity.authmethod), ("alice", "tls"));
    }
    let refused = [
        (None, None, uri::NO_MATCHING_AUTH_METHOD),
        (None, Some(2), uri::AUTHENTICATION_DENIED),
        (Some("joe"), Some(1), uri::AUTHENTICATION_DENIED),
    ];
    for (authid, certificate, reason) in refused {
        assert_eq!(begin(&principals, &["tls"], authid, certificate).unwrap_err().reason, reason);
    }
    let Ok(Begun::Challenged(other)) = begin(&principals, &["tls", "ticket"], Some("joe"), Some(2)) else {
        panic!("not challenged")
    };
    assert_eq!(other.challenge().method, "ticket");
    principals.set_anonymous("guest");
    // Nor is it anonymous instead.
    assert!(begin(&principals, &["tls", "anonymous"], None, Some(2)).is_err());
    assert!(matches!(begin(&principals, &["tls", "anonymous"], None, None), Ok(Begun::Admitted(_))));
}

// behaviour 227
#[test]
fn a_principal_that_is_not_configured_is_looked_up_where_that_is_possible() {
    let principals = principals();
    let begin = |dynamic: &[Method], names: &[&'static str], authid| {
        principals.begin(&principals.methods(), dynamic, &methods(names, Some(authid)), &offer(1)).unwrap()
    };
    let dynamic = [Method::WampCra];
    assert!(matches!(begin(&dynamic, &["wampcra"], "jim"), Begun::LookUp(Method::WampCra)));
    assert!(matches!(begin(&dynamic, &["ticket", "wampcra"], "jim"), Begun::LookUp(Method::WampCra)));
    assert!(matches!(begin(&dynamic, &["wampcra"], "joe"), Begun::Challenged(_)), "the configuration first");
    assert!(matches!(begin(&dynamic, &["ticket"], "jim"), Begun::Challenged(_)), "no lookup for this method");
    assert!(matches!(begin(&[], &["wampcra"], "jim"), Begun::Challenged(_)));
}

// behaviour 210
#[test]
fn the_first_word_about_authentication_closes_a_realm() {
    let anonymous = methods(&["anonymous"], None);
    let is_open = |principals: &Principals| {
        assert_eq!(principals.anonymous().is_some(), principals.methods().contains(&Method::Anonymous));
        principals.begin(&principals.methods(), &[], &anonymous, &offer(1)).is_ok()
    };
    assert!(is_open(&Principals::new()));
    assert!(!is_open(&principals()));
    let mut closed = Principals::new();
    closed.close();
    assert!(!is_open(&closed));
    closed.set_anonymous("guest");
    assert!(is_open(&closed));
}

pub(crate) fn message_of(signature: &'static str) -> wamp_proto::message::Authenticate {
    wamp_proto::message::Authenticate { signature: signature.into(), extra: Default::default() }
}

// behaviour 208, behaviour 217
#[test]
fn a_recorded_proof_is_worth_nothing_on_another_link() {
    let principals = principals();
    let scram = Credential::scram("scram", "s3cret");
    for credential in [Credential::wampcra("joe", "s3cret"), Credential::cryptosign(key()), scram] {
        let login = login(vec![credential]);
        let details = hello(&login);
        let (first, second) = (challenged(&principals, &details, 1), challenged(&principals, &details, 2));
        let recorded = login.answer(&first.challenge()).unwrap().authenticate;
        assert!(second.verify(&recorded).is_err());
        assert!(first.verify(&recorded).is_ok());
    }
}

// behaviour 216, behaviour 217
#[test]
fn the_text_of_wamp_cra_names_the_session_and_is_json() {
    let mut principals = Principals::new();
    let name = "a \"quoted\"\n\u{20ac}";
    principals.insert(Principal::new(name, "user").ticket("t").cra(Key::plain(Secret::from("s"))));
    let mut details = methods(&["wampcra"], None);
    details.authid = Some(name.into());
    let challenge = challenged(&principals, &details, 1).challenge();
    let text: serde_json::Value = serde_json::from_str(&challenge.extra.challenge.unwrap()).unwrap();
    assert_eq!(text["authid"], name);
    assert_eq!(
        (&text["authrole"], &text["authmethod"], &text["authprovider"]),
        (&"user".into(), &"wampcra".into(), &"static".into())
    );
    assert_eq!((&text["session"], &text["timestamp"]), (&7.into(), &"2023-11-14T22:13:20.123Z".into()));
    assert!(text["nonce"].as_str().unwrap().len() >= 20);
}

// behaviour 224
#[test]
fn a_proof_is_bound_to_the_tls_channel_if_the_client_asks() {
    let principals = principals();
    let prove = |at_client: [u8; 32], at_router: Option<[u8; 32]>| {
        let credential = Credential::cryptosign(key()).bound();
        let login = Login::new(vec![credential], &connection(Some(at_client), true)).unwrap();
        let mut offer = offer(1);
        offer.channel = at_router;
        let begun = principals.begin(&principals.methods(), &[], &hello(&login), &offer).unwrap();
        let Begun::Challenged(exchange) = begun else { panic!("no challenge") };
        let answer = login.answer(&exchange.challenge()).ok()?;
        exchange.verify(&answer.authenticate).ok()
    };
    assert!(prove([1; 32], Some([1; 32])).is_some());
    assert!(prove([1; 32], Some([2; 32])).is_none(), "a man in the middle with two connections");
    assert!(prove([1; 32], None).is_none(), "a router that does not bind");
    assert!(Login::new(vec![Credential::cryptosign(key()).bound()], &connection(None, true)).is_err());
}

// behaviour 224
#[test]
fn scram_is_bound_to_the_tls_channel_or_refused() {
    let principals = principals();
    let login =
        Login::new(vec![Credential::scram("scram", "s3cret").bound()], &connection(Some([1; 32]), true));
    let login = login.unwrap();
    let begin = |channel| {
        let mut offer = offer(1);
        offer.channel = channel;
        principals.begin(&principals.methods(), &[], &hello(&login), &offer)
    };
    for (channel, expected) in [([1; 32], true), ([2; 32], false)] {
        let Ok(Begun::Challenged(exchange)) = begin(Some(channel)) else { panic!("no challenge") };
        let answer = login.answer(&exchange.challenge()).unwrap();
        assert_eq!(exchange.verify(&answer.authenticate).is_ok(), expected);
    }
    assert_eq!(begin(None).unwrap_err().reason, uri::AUTHENTICATION_FAILED);
}

// behaviour 225
#[test]
fn a_session_joins_only_a_router_that_proves_itself() {
    let now = Time::ORIGIN;
    let principals = principals();
    for (authid, credential) in [
        ("scram", Credential::scram("scram", "s3cret")),
        ("autobahn", Credential::autobahn_scram("autobahn", "s3cret")),
    ] {
        for attack in ["none", "absent", "wrong", "not challenged"] {
            let login = login(vec![credential.clone()]);
            let mut session = session(&login);
            let Some(Message::Hello(hello)) = session.poll_transmit() else { panic!("no HELLO") };
            let mut extra = Extra::default();
            if attack != "not challenged" {
                let exchange = challenged(&principals, &hello.details, 1);
                session.handle_message(now, exchange.challenge().into());
                let Some(Event::Challenged(challenge)) = session.poll_event() else {
                    panic!("not challenged")
                };
                session.authenticate(now, login.answer(&challenge).unwrap()).unwrap();
                let Some(Message::Authenticate(said)) = session.poll_transmit() else { panic!("no answer") };
                extra = exchange.verify(&said).unwrap().authextra;
            }
            match attack {
                "absent" => extra = Extra::default(),
                "wrong" => {
                    for key in extra.keys() {
                        extra.insert(&key, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
                    }
                }
                _ => {}
            }
            let details = WelcomeDetails { authextra: Some(extra), ..WelcomeDetails::default() };
            session.handle_message(now, Welcome { session: SessionId::new(7).unwrap(), details }.into());
            let event = session.poll_event();
            match attack {
                "none" => assert!(matches!(event, Some(Event::Joined(_))), "{authid}: {event:?}"),
                _ => assert!(
                    matches!(event, Some(Event::Closed(Closed::NotAnswered(_)))),
                    "{authid}, {attack}: {event:?}"
                ),
            }
        }
    }
}

// behaviour 215, behaviour 290
#[test]
fn a_login_that_cannot_be_used_is_refused_before_hello() {
    let ticket = || Credential::ticket("joe", "s3cret");
    assert!(Login::new(vec![ticket()], &connection(None, false)).is_err());
    assert!(Login::new(vec![Credential::insecure_ticket("joe", "s3cret")], &connection(None, false)).is_ok());
    assert!(Login::new(vec![ticket(), Credential::wampcra("jim", "x")], &connection(None, true)).is_err());
    assert!(
        Login::new(
            vec![Credential::wampcra("joe", "x"), Credential::cryptosign(key())],
            &connection(None, false)
        )
        .is_ok()
    );
}

fn accept() -> Accept {
    Accept::new(Time::ORIGIN, WAIT)
}

const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#;

// behaviour 200, behaviour 201
#[test]
fn every_message_in_every_state_of_an_authentication() {
    let ticket = || Challenge { method: "ticket".into(), extra: Default::default() };
    let greeted = || {
        let mut accept = accept();
        accept.handle_message(Time::ORIGIN, message(HELLO));
        assert!(matches!(accept.poll_event(), Some(AcceptEvent::Hello(_))));
        accept
    };
    let challenged = || {
        let mut accept = greeted();
        accept.challenge(ticket());
        assert_eq!(json(&accept.poll_transmit().unwrap()), r#"[4,"ticket",{}]"#);
        accept
    };
    let verifying = || {
        let mut accept = challenged();
        accept.handle_message(Time::ORIGIN, message(r#"[5,"s3cret",{}]"#));
        assert!(
            matches!(accept.poll_event(), Some(AcceptEvent::Authenticate(said)) if said.signature == "s3cret")
        );
        accept
    };
    let others =
        [HELLO, r#"[48,1,{},"com.myapp.longop"]"#, r#"[6,{},"wamp.close.close_realm"]"#, "[70,1,{}]"];
    let states: [(&str, &dyn Fn() -> Accept); 3] =
        [("greeted", &greeted), ("challenged", &challenged), ("verifying", &verifying)];
    for (state, make) in states {
        let authenticate = r#"[5,"again",{}]"#;
        for said in others.into_iter().chain((state != "challenged").then_some(authenticate)) {
            let mut accept = make();
            accept.handle_message(Time::ORIGIN, message(said));
            assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)), "{said} while {state}");
            let abort = json(&accept.poll_transmit().unwrap());
            assert!(abort.ends_with(r#"before WELCOME"},"wamp.error.protocol_violation"]"#), "{abort}");
            assert_eq!(accept.poll_timeout(), None);
        }
        let mut accept = make();
        accept.handle_garbage(Time::ORIGIN, "expected list, found string");
        assert!(json(&accept.poll_transmit().unwrap()).contains("expected list, found string"));
        let mut accept = make();
        accept.handle_message(Time::ORIGIN, message(r#"[3,{},"wamp.error.canceled"]"#));
        assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)) && accept.poll_transmit().is_none());

        // One time limit for all of it.
        let mut accept = make();
        assert_eq!(accept.poll_timeout(), Some(Time::after(WAIT)));
        accept.handle_timeout(Time::after(WAIT - Duration::from_millis(1)));
        assert!(accept.poll_event().is_none());
        accept.handle_timeout(Time::after(WAIT));
        assert!(matches!(accept.poll_event(), Some(AcceptEvent::Closed)));
        assert!(json(&accept.poll_transmit().unwrap()).ends_with(r#""wamp.error.authentication_failed"]"#));
    }
}

/// A client with these credentials, and its realm.
fn session(login: &Login) -> Session {
    let mut config = session::Config::new("realm1");
    config.set_login(login).unwrap();
    Session::new(Time::ORIGIN, config, 1)
}

#[test]
fn a_session_answers_a_challenge_and_joins() {
    let (now, principals) = (Time::ORIGIN, principals());
    let login = login(vec![Credential::wampcra("joe", "s3cret")]);
    let mut session = session(&login);
    let Some(Message::Hello(hello)) = session.poll_transmit() else { panic!("no HELLO") };
    let Hello { details, .. } = *hello;
    let exchange = challenged(&principals, &details, 1);
    session.handle_message(now, exchange.challenge().into());
    let Some(Event::Challenged(challenge)) = session.poll_event() else { panic!("not challenged") };
    session.authenticate(now, login.answer(&challenge).unwrap()).unwrap();
    let Some(Message::Authenticate(said)) = session.poll_transmit() else { panic!("no AUTHENTICATE") };
    let mut admission = exchange.verify(&said).unwrap();
    let mut extra = Extra::default();
    extra.insert("greeting", "hello").unwrap();
    admission.authextra = extra;
    let mut realm = Realm::new(Config::new("realm1"), 1);
    let join = || {
        let (details, transport) = (details.clone(), Default::default());
        Join { details, serializer: Serializer::Json, max_message: 1 << 20, transport }
    };
    let key = realm.join_as(now, join(), admission.clone()).unwrap();
    let (_, welcome) = realm.poll_transmit().unwrap();
    session.handle_message(now, welcome);
    let Some(Event::Joined(joined)) = session.poll_event() else { panic!("not joined") };
    // The id of the challenge.
    assert_eq!((joined.session.get(), key.id()), (7, joined.session));
    assert_eq!((joined.authid.as_deref(), joined.authrole.as_deref()), (Some("joe"), Some("user")));
    assert_eq!(
        (joined.authmethod.as_deref(), joined.authprovider.as_deref()),
        (Some("wampcra"), Some("static"))
    );
    assert_eq!(joined.authextra.text("greeting").as_deref(), Some("hello"));
    assert_eq!(realm.join_as(now, join(), admission).unwrap_err().0, uri::AUTHENTICATION_FAILED);
}

// behaviour 290
#[test]
fn a_session_answers_one_challenge_of_a_method_that_it_offered() {
    let login = login(vec![Credential::ticket("joe", "s3cret")]);
    let mut offered = session(&login);
    offered.poll_transmit();
    offered.handle_message(Time::ORIGIN, message(r#"[4,"wampcra",{"challenge":"{}"}]"#));
    let abort = json(&offered.poll_transmit().unwrap());
    assert!(abort.ends_with(r#""wamp.error.no_matching_auth_method"]"#), "{abort}");
    assert!(matches!(offered.poll_event(), Some(Event::Closed(Closed::NotAnswered(_)))));

    let mut twice = session(&login);
    twice.poll_transmit();
    for _ in 0..2 {
        twice.handle_message(Time::ORIGIN, message(r#"[4,"ticket",{}]"#));
    }
    assert!(matches!(twice.poll_event(), Some(Event::Challenged(_))));
    assert!(matches!(twice.poll_event(), Some(Event::Closed(Closed::Violation(_)))));

    // The login has no answer.
    let mut config = session::Config::new("realm1");
    config.authmethods = vec!["anonymous".into()];
    let mut anonymous = Session::new(Time::ORIGIN, config, 1);
    anonymous.poll_transmit();
    anonymous.handle_message(Time::ORIGIN, message(r#"[4,"anonymous",{}]"#));
    let abort = json(&anonymous.poll_transmit().unwrap());
    assert!(abort.ends_with(r#""wamp.error.no_matching_auth_method"]"#), "{abort}");
    assert!(matches!(anonymous.poll_event(), Some(Event::Closed(Closed::NotAnswered(_)))));

    let mut refused = session(&login);
    refused.poll_transmit();
    refused.handle_message(Time::ORIGIN, message(r#"[4,"ticket",{}]"#));
    refused.refuse_challenge(Time::ORIGIN, "it asks for too much");
    let abort = json(&refused.poll_transmit().unwrap());
    assert_eq!(abort, r#"[3,{"message":"it asks for too much"},"wamp.error.authentication_failed"]"#);
}
