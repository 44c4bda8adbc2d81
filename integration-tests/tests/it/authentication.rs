//! Clients that prove their identity, over sockets: right and wrong proofs, bad input, sessions that come back.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use wamp_client::auth::{Credential, PrivateKey, Secret};
use wamp_client::{Connect, ConnectError, ConnectErrorKind, ConnectionState, Session, connect};
use wamp_proto::Serializer;
use wamp_router::auth::scram::{Dialect, Kdf, Keys};
use wamp_router::auth::wampcra::{Key, Salting};
use wamp_router::auth::{Principal, fingerprint};
use wamp_router::{Actions, Address, Limits, ListenError, Pattern, RealmConfig, Role, Router, TlsMode};
use wamp_tls::{Identity, Server};

use crate::support::{House, Way, attach, within};
use crate::tls::{Authority, Signed};

fn key() -> PrivateKey {
    PrivateKey::from_bytes(&[9; 32])
}

pub fn realm() -> RealmConfig {
    let secret = Secret::from("s3cret");
    let salting = Salting { salt: "salt123".into(), iterations: 1000, keylen: 32 };
    RealmConfig::new("realm1")
        .principal(Principal::new("joe", "user").role("admin").password(secret.clone()))
        .principal(Principal::new("salted", "user").cra(Key::salted(&secret, salting)))
        .principal(Principal::new("device", "device").public_key(key().public()))
        .principal(Principal::new("hashed", "user").ticket_hash(HASH).unwrap())
        .principal(scram("scram", Dialect::Wamp, Kdf::Pbkdf2 { iterations: 4096 }))
        .principal(scram("argon2", Dialect::Wamp, ARGON2))
        .principal(scram("autobahn", Dialect::Autobahn, ARGON2))
}

/// The hash of the ticket, with low costs.
const HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$hVkCeh+dOgNnq5+nhy1RcPn6CgQORZAP8ksG63wI5XE";

const ARGON2: Kdf = Kdf::Argon2id { iterations: 1, memory: 256 };

fn scram(name: &'static str, dialect: Dialect, kdf: Kdf) -> Principal {
    let keys = Keys::derive(dialect, kdf, &Secret::from("s3cret"), b"0123456789abcdef").unwrap();
    Principal::new(name, "user").scram(keys)
}

fn router() -> Router {
    // All clients of a test have one address.
    let limits = Limits { failed_proofs: 1000, ..Limits::default() };
    Router::builder().realm_with(realm()).limits(limits).build()
}

pub async fn joined(connecting: Connect) -> Session {
    within(connecting.into_future()).await.unwrap()
}

pub async fn refused(connecting: Connect) -> ConnectError {
    within(connecting.into_future()).await.unwrap_err()
}

pub fn is_denied(error: &ConnectError) -> bool {
    error.kind() == ConnectErrorKind::Denied
        && error.uri().is_some_and(|uri| uri == "wamp.error.authentication_denied")
}

/// Calls a procedure of its own, with progressive results.
pub async fn works(session: &Session) {
    let echo = |call: wamp_client::Invocation| async move {
        let (n,): (u32,) = call.args()?;
        let progress = call.progress().expect("it is asked for");
        for i in 0..n {
            progress.send(i).await?;
        }
        Ok(n)
    };
    let registration = session.register("com.myapp.count", echo).await.unwrap();
    let mut seen = Vec::new();
    let call = session.call("com.myapp.count").args((3,)).on_progress(|i: u32| seen.push(i));
    assert_eq!(within(call.into_future()).await.unwrap().decode::<u32>().unwrap(), 3);
    assert_eq!(seen, [0, 1, 2]);
    registration.unregister().await.unwrap();
}

// behaviour 205, behaviour 290
#[tokio::test]
async fn each_method_joins_with_the_right_proof_and_not_with_another() {
    let house = House::with(router()).await;
    let rights = [
        (Credential::ticket("joe", "s3cret"), "joe", "user", "ticket"),
        (Credential::ticket("hashed", "s3cret"), "hashed", "user", "ticket"),
        (Credential::wampcra("joe", "s3cret"), "joe", "user", "wampcra"),
        (Credential::wampcra("salted", "s3cret"), "salted", "user", "wampcra"),
        (Credential::cryptosign(key()), "device", "device", "cryptosign"),
        (Credential::scram("scram", "s3cret"), "scram", "user", "wamp-scram"),
        (Credential::scram("argon2", "s3cret"), "argon2", "user", "wamp-scram"),
        (Credential::autobahn_scram("autobahn", "s3cret"), "autobahn", "user", "scram"),
    ];
    for scheme in ["ws", "rs"] {
        let url = format!("{scheme}://{}/", house.tcp);
        for (credential, authid, authrole, method) in rights.clone() {
            let session = joined(connect(url.as_str()).auth(credential)).await;
            let details = session.joined();
            assert_eq!(details.authid.as_deref(), Some(authid));
            assert_eq!(details.authrole.as_deref(), Some(authrole));
            assert_eq!(details.authmethod.as_deref(), Some(method));
            works(&session).await;
            session.leave().await;
        }
        let wrongs = [
            Credential::ticket("joe", "wrong"),
            Credential::ticket("nobody", "s3cret"),
            Credential::ticket("hashed", "wrong"),
            Credential::wampcra("joe", "wrong"),
            Credential::wampcra("salted", "wrong"),
            Credential::wampcra("nobody", "s3cret"),
            Credential::cryptosign(PrivateKey::from_bytes(&[8; 32])),
            Credential::cryptosign(key()).with_authid("joe"),
            Credential::scram("scram", "wrong"),
            Credential::scram("nobody", "s3cret"),
            Credential::autobahn_scram("autobahn", "wrong"),
        ];
        for credential in wrongs {
            let shown = format!("{credential:?}");
            let error = refused(connect(url.as_str()).auth(credential)).await;
            assert!(is_denied(&error), "{shown}: {error}");
        }
    }
}

// behaviour 202, behaviour 210
#[tokio::test]
async fn a_closed_realm_admits_no_client_without_a_proof() {
    let house = House::with(router()).await;
    for url in [format!("ws://{}/", house.tcp), format!("rs+unix://{}", house.unix.display())] {
        let error = refused(connect(url)).await;
        assert!(error.uri().is_some_and(|uri| uri == "wamp.error.no_matching_auth_method"), "{error}");
    }
    // Nor does it admit one that the program itself attaches.
    let error = refused(wamp_client::Client::over(house.router.local())).await;
    assert!(error.uri().is_some_and(|uri| uri == "wamp.error.no_matching_auth_method"), "{error}");
    let ticket = Credential::ticket("joe", "s3cret");
    joined(wamp_client::Client::over(house.router.local()).auth(ticket)).await.leave().await;
}

// behaviour 211
#[tokio::test]
async fn a_client_gets_the_role_that_it_asks_for() {
    let house = House::with(router()).await;
    let url = format!("ws://{}/", house.tcp);
    let joe = || connect(url.as_str()).auth(Credential::wampcra("joe", "s3cret"));
    let session = joined(joe().authrole("admin")).await;
    assert_eq!(session.joined().authrole.as_deref(), Some("admin"));
    session.leave().await;
    let error = refused(joe().authrole("root")).await;
    assert!(error.uri().is_some_and(|uri| uri == "wamp.error.no_such_role"), "{error}");
}

// behaviour 210
#[tokio::test]
async fn other_machines_reach_a_router_whose_realms_are_all_closed() {
    let public = "0.0.0.0:0";
    assert!(matches!(router().listen(public).await, Ok(Address::Tcp(_))));
    for open in [RealmConfig::new("other"), RealmConfig::new("other").anonymous("guest")] {
        let router = Router::builder().realm_with(realm()).realm_with(open).build();
        assert!(matches!(router.listen(public).await, Err(ListenError::Public(_))));
    }
}

// behaviour 224
#[tokio::test]
async fn a_signature_is_bound_to_the_tls_connection() {
    let authority = Authority::new("ours");
    let signed = authority.sign("localhost", 2100);
    let server = Server::new(&Identity::new(signed.chain.as_bytes(), signed.key.as_bytes())).unwrap();
    let router = Router::builder().realm_with(realm()).tls(server, TlsMode::Optional).build();
    let Address::Tls(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TLS") };
    let bound = || Credential::cryptosign(key()).bound();
    for scheme in ["wss", "rss"] {
        for (credential, authid) in
            [(bound(), "device"), (Credential::scram("scram", "s3cret").bound(), "scram")]
        {
            let url = format!("{scheme}://localhost:{}/", address.port());
            let session = joined(connect(url).ca(authority.pem.as_bytes()).auth(credential)).await;
            assert_eq!(session.joined().authid.as_deref(), Some(authid));
            works(&session).await;
            session.leave().await;
        }
    }
    let error = refused(connect(format!("ws://{address}/")).auth(bound())).await;
    assert_eq!(error.kind(), ConnectErrorKind::Credentials, "{error}");
}

// behaviour 200, behaviour 217
#[tokio::test]
async fn bad_messages_during_an_authentication_end_it() {
    let house = House::with(router()).await;
    const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#;
    for way in [Way::WebSocket, Way::RawSocket, Way::Unix] {
        for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Cbor] {
            let mut early = house.connect(way, serializer).await;
            early.say(r#"[5,"s3cret",{}]"#).await;
            assert_eq!(early.aborted().await.0, "wamp.error.protocol_violation");
            for said in [HELLO, r#"[48,1,{},"com.myapp.longop"]"#, r#"[6,{},"wamp.close.close_realm"]"#] {
                let mut peer = house.connect(way, serializer).await;
                peer.say(HELLO).await;
                peer.expect(r#"[4,"ticket",{}]"#).await;
                peer.say(said).await;
                assert_eq!(peer.aborted().await.0, "wamp.error.protocol_violation", "{said}");
            }
            for said in [r#"[5,1,{}]"#, r#"[5,"s3cret"]"#, "[5]", "[]"] {
                let mut peer = house.connect(way, serializer).await;
                peer.say(HELLO).await;
                peer.expect(r#"[4,"ticket",{}]"#).await;
                peer.say(said).await;
                assert_eq!(peer.aborted().await.0, "wamp.error.protocol_violation", "{said}");
            }
            // A second proof on the same link is not read.
            let mut twice = house.connect(way, serializer).await;
            twice.say(HELLO).await;
            twice.expect(r#"[4,"ticket",{}]"#).await;
            twice.say_all(&[r#"[5,"wrong",{}]"#, r#"[5,"s3cret",{}]"#]).await;
            assert_eq!(twice.aborted().await.0, "wamp.error.authentication_denied");
            twice.closed().await;
        }
    }
}

// behaviour 201
#[tokio::test]
async fn a_client_that_does_not_answer_its_challenge_is_refused_in_time() {
    let limits = Limits { join: Duration::from_millis(300), ..Limits::default() };
    let house = House::with(Router::builder().realm_with(realm()).limits(limits).build()).await;
    let mut peer = house.connect(Way::WebSocket, Serializer::Json).await;
    peer.say(r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#).await;
    peer.expect(r#"[4,"ticket",{}]"#).await;
    assert_eq!(peer.aborted().await.0, "wamp.error.authentication_failed");
    peer.closed().await;
}

// behaviour 294
#[tokio::test]
async fn credentials_are_asked_for_anew_for_each_connection() {
    let router = Arc::new(std::sync::Mutex::new(router()));
    let (asked, serving) = (Arc::new(AtomicUsize::new(0)), router.clone());
    let counter = asked.clone();
    let session = wamp_client::Client::with_connector(move || {
        let local = serving.lock().unwrap().local();
        async move { Ok(local) }
    })
    .auth(move || {
        let count = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            match count {
                // One attempt finds no credentials.
                1 => Err("the keyring is locked"),
                _ => Ok(Credential::wampcra("joe", "s3cret")),
            }
        }
    })
    .backoff(Duration::from_millis(1), Duration::from_millis(10));
    let session = joined(session).await;
    let mut states = session.states();
    let old = std::mem::replace(&mut *router.lock().unwrap(), self::router());
    old.shut_down().await;
    within(async {
        let mut was_down = false;
        while let Some(state) = states.next().await {
            match state {
                ConnectionState::Down { .. } => was_down = true,
                ConnectionState::Up { .. } if was_down => break,
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    works(&session).await;
}

#[tokio::test]
async fn a_source_of_credentials_that_fails_or_hangs_is_one_sentence() {
    let house = House::with(router()).await;
    for scheme in ["ws", "rs"] {
        let (url, shown) =
            (format!("{scheme}://joe:secret@{}", house.tcp), format!("{scheme}://joe:***@{}", house.tcp));
        let failing = connect(url.as_str()).auth(|| async { Err("the keyring is locked") });
        let error = refused(failing).await;
        assert_eq!(error.to_string(), format!("{shown}: there are no credentials: the keyring is locked"));
        assert_eq!(error.kind(), ConnectErrorKind::Credentials);
        let hanging = connect(url.as_str()).auth(std::future::pending::<Result<Credential, String>>);
        let error = refused(hanging.connect_timeout(Duration::from_millis(200))).await;
        assert_eq!(error.to_string(), format!("{shown}: the credentials took too long"));
        assert_eq!(error.kind(), ConnectErrorKind::Timeout);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

// behaviour 229
#[tokio::test]
async fn a_session_does_not_come_back_with_credentials_that_are_denied() {
    let first = router();
    let second = Router::builder()
        .realm_with(
            RealmConfig::new("realm1").closed().principal(Principal::new("joe", "user").ticket("changed")),
        )
        .build();
    let serving = Arc::new(std::sync::Mutex::new(first));
    let place = serving.clone();
    let connecting = wamp_client::Client::with_connector(move || {
        let local = place.lock().unwrap().local();
        async move { Ok(local) }
    });
    let connecting = connecting.auth(Credential::ticket("joe", "s3cret"));
    let session = joined(connecting.backoff(Duration::from_millis(1), Duration::from_millis(10))).await;
    let old = std::mem::replace(&mut *serving.lock().unwrap(), second);
    old.shut_down().await;
    let closed = within(session.closed()).await;
    assert!(closed.to_string().contains("wamp.error.authentication_denied"), "{closed}");
}

#[tokio::test]
async fn the_program_attaches_a_client_like_any_other() {
    let router = router();
    let mut peer = attach(&router, Serializer::Json);
    peer.say(r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["wampcra"],"authid":"joe"}]"#).await;
    assert!(peer.hear().await.starts_with(r#"[4,"wampcra",{"challenge":"#));
}

// behaviour 257
#[tokio::test]
async fn a_session_has_exactly_the_rights_of_its_role() {
    let guest = Role::new("guest").allow(Actions::CALL | Actions::SUBSCRIBE, Pattern::prefix("com.shop."));
    let realm = realm().role(Role::everything("user")).anonymous("guest").role(guest);
    let house = House::with(Router::builder().realm_with(realm).build()).await;
    for scheme in ["ws", "rs"] {
        let url = format!("{scheme}://{}/", house.tcp);
        let user = joined(connect(url.as_str()).auth(Credential::wampcra("joe", "s3cret"))).await;
        let guest = joined(connect(url.as_str())).await;
        works(&user).await;
        user.register("com.shop.buy", |_: wamp_client::Invocation| async { Ok("thanks") }).await.unwrap();
        let bought = within(guest.call("com.shop.buy").into_future()).await.unwrap();
        assert_eq!(bought.decode::<String>().unwrap(), "thanks");
        for procedure in ["com.admin.close", "com.admin.unknown"] {
            let error = within(guest.call(procedure).into_future()).await.unwrap_err();
            assert!(error.to_string().contains("wamp.error.not_authorized"), "{error}");
        }
        let own = |_: wamp_client::Invocation| async { Ok(()) };
        let error = within(guest.register("com.shop.sell", own).into_future()).await.unwrap_err();
        assert!(error.to_string().contains("wamp.error.not_authorized"), "{error}");
        user.leave().await;
        guest.leave().await;
    }
    // A role that is not configured.
    let error = refused(connect(format!("ws://{}/", house.tcp)).auth(Credential::cryptosign(key()))).await;
    assert!(error.uri().is_some_and(|uri| uri == "wamp.error.no_such_role"), "{error}");
}

/// A router that asks for client certificates of this authority.
pub async fn with_certificates(realm: RealmConfig, authority: &Authority) -> (Router, SocketAddr) {
    let signed = authority.sign("localhost", 2100);
    let identity = Identity::new(signed.chain.as_bytes(), signed.key.as_bytes());
    let server = Server::new(&identity.client_authorities(authority.pem.as_bytes(), false)).unwrap();
    let router = Router::builder().realm_with(realm).tls(server, TlsMode::Required).build();
    let Address::Tls(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TLS") };
    (router, address)
}

/// The fingerprint of a certificate.
pub fn of_certificate(signed: &Signed) -> [u8; 32] {
    fingerprint(&CertificateDer::from_pem_slice(signed.chain.as_bytes()).unwrap())
}

// behaviour 226
#[tokio::test]
async fn a_client_joins_with_its_certificate() {
    let authority = Authority::new("ours");
    let (alice, bob) = (authority.sign("alice", 2100), authority.sign("bob", 2100));
    let realm = realm().principal(Principal::new("alice", "user").certificate(of_certificate(&alice)));
    let (_router, address) = with_certificates(realm, &authority).await;
    for scheme in ["wss", "rss"] {
        let url = format!("{scheme}://localhost:{}/", address.port());
        let connecting =
            || connect(url.as_str()).ca(authority.pem.as_bytes()).auth(Credential::certificate());
        let session = joined(connecting().client_cert(alice.chain.as_bytes(), alice.key.as_bytes())).await;
        let details = session.joined();
        assert_eq!((details.authid.as_deref(), details.authmethod.as_deref()), (Some("alice"), Some("tls")));
        works(&session).await;
        session.leave().await;
        let error = refused(connecting().client_cert(bob.chain.as_bytes(), bob.key.as_bytes())).await;
        assert!(is_denied(&error), "{error}");
        let error = refused(connecting()).await;
        assert!(error.uri().is_some_and(|uri| uri == "wamp.error.no_matching_auth_method"), "{error}");
    }
}
