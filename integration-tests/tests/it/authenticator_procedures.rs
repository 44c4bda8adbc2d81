//! WAMP procedures that know principals, as dynamic authenticators of Crossbar.io do.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use wamp_client::auth::{Credential, PrivateKey};
use wamp_client::{Connect, Failure, Invocation, Registration, Session, connect};
use wamp_router::auth::{Method, Principal, scram};
use wamp_router::{Limits, Procedure, RealmConfig, Router};

use crate::authentication::{is_denied, joined, refused};
use crate::support::{House, within};

/// Clearly less than the 5 s after which the router gives up a call by itself.
const SOON: Duration = Duration::from_secs(4);

const METHODS: [Method; 4] = [Method::Ticket, Method::WampCra, Method::Cryptosign, Method::Scram];

/// A router whose realm `realm1` asks a procedure in the realm `auth`.
async fn house() -> House {
    house_with(Limits { failed_proofs: 1000, join: Duration::from_secs(9), ..Limits::default() }).await
}

async fn house_with(limits: Limits) -> House {
    let check = Procedure::new("com.auth.check").realm("auth");
    let realm = RealmConfig::new("realm1")
        .principal(Principal::new("static", "user").password("s3cret"))
        .authenticator_procedure(METHODS, check);
    let router = Router::builder().realm_with(realm).realm("auth").limits(limits).build();
    House::with(router).await
}

/// Answers as an authenticator.
fn users(calls: &AtomicUsize, realm: &str, authid: Option<&str>, details: &Json) -> Result<Json, Failure> {
    calls.fetch_add(1, Ordering::Relaxed);
    assert_eq!(realm, "realm1");
    assert!(details["session"].as_u64().is_some_and(|id| id > 0), "{details}");
    assert_eq!(details["transport"]["type"], "websocket", "{details}");
    let method = details["authmethod"].as_str().unwrap_or_default().to_owned();
    let key = PrivateKey::from_bytes(&[7; 32]).public().to_string();
    match (method.as_str(), authid) {
        ("ticket", Some("jim")) if details["ticket"] == "s3cret" => Ok(json!("user")),
        ("ticket", Some("extra")) => {
            Ok(json!({"role": "user", "authid": "renamed", "extra": {"greeting": "hello"}}))
        }
        ("wampcra", Some("jim")) => Ok(json!({"role": "user", "secret": "s3cret"})),
        ("wampcra", Some("derived")) => Ok(json!({
            "role": "user", "secret": "prq7+YkJ1/KlW1X0YczMHw==",
            "salt": "salt123", "iterations": 100, "keylen": 16
        })),
        ("wampcra", Some("salted")) => Ok(json!({
            "role": "user", "secret": "s3cret", "salt": "salt123", "iterations": 100, "keylen": 16
        })),
        ("cryptosign", None) if details["authextra"]["pubkey"] == key => {
            Ok(json!({"role": "user", "authid": "device", "pubkey": key}))
        }
        ("scram", Some("jim")) => {
            let kdf = scram::Kdf::Argon2id { iterations: 1, memory: 256 };
            let secret = "s3cret".into();
            let keys =
                scram::Keys::derive(scram::Dialect::Autobahn, kdf, &secret, b"0123456789abcdef").unwrap();
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            Ok(json!({
                "role": "user", "kdf": "argon2id-13", "iterations": 1, "memory": 256,
                "salt": hex(keys.salt()), "stored-key": hex(keys.stored_key().bytes()),
                "server-key": hex(keys.server_key().bytes())
            }))
        }
        (_, Some("nonsense")) => Ok(json!([1, 2])),
        (_, Some("elsewhere")) => Ok(json!({"role": "user", "realm": "auth", "secret": "s3cret"})),
        (_, Some("broken")) => Err("the database is down".into()),
        _ => Err(Failure::new("com.example.no_such_user")),
    }
}

/// Registers the authenticator, and counts its calls.
async fn authenticator(house: &House) -> (Session, Registration, Arc<AtomicUsize>) {
    let session = joined(connect(format!("ws://{}/", house.tcp)).realm("auth")).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let handler = move |call: Invocation| {
        let calls = counted.clone();
        async move {
            let (realm, authid, details): (String, Option<String>, Json) = call.args()?;
            if authid.as_deref() == Some("slow") {
                std::future::pending::<()>().await;
            }
            users(&calls, &realm, authid.as_deref(), &details)
        }
    };
    let registration = session.register("com.auth.check", handler).await.unwrap();
    (session, registration, calls)
}

// behaviour 227, behaviour 266
#[tokio::test]
async fn a_procedure_in_another_realm_knows_principals_of_each_method() {
    let house = house().await;
    let (_session, _registration, calls) = authenticator(&house).await;
    let url = format!("ws://{}/", house.tcp);
    let device = || Credential::cryptosign(PrivateKey::from_bytes(&[7; 32]));
    let rights = [
        (Credential::ticket("jim", "s3cret"), "jim"),
        (Credential::ticket("extra", "any"), "renamed"),
        (Credential::wampcra("jim", "s3cret"), "jim"),
        (Credential::wampcra("salted", "s3cret"), "salted"),
        (Credential::wampcra("derived", "secret1"), "derived"),
        (device(), "device"),
        (Credential::autobahn_scram("jim", "s3cret"), "jim"),
    ];
    for (credential, authid) in rights {
        let before = calls.load(Ordering::Relaxed);
        let session = joined(connect(url.as_str()).auth(credential)).await;
        let details = session.joined();
        assert_eq!(details.authid.as_deref(), Some(authid));
        assert_eq!(details.authprovider.as_deref(), Some("dynamic"));
        if authid == "renamed" {
            assert_eq!(details.authextra.text("greeting").as_deref(), Some("hello"));
        }
        assert_eq!(calls.load(Ordering::Relaxed), before + 1, "it is asked once");
        session.leave().await;
    }
    let wrongs = [
        Credential::ticket("jim", "wrong"),
        Credential::wampcra("jim", "wrong"),
        Credential::wampcra("salted", "wrong"),
        Credential::wampcra("nobody", "s3cret"),
        Credential::autobahn_scram("jim", "wrong"),
        Credential::cryptosign(PrivateKey::from_bytes(&[6; 32])),
    ];
    for credential in wrongs {
        let error = refused(connect(url.as_str()).auth(credential)).await;
        assert!(is_denied(&error), "{error}");
    }
    // The configuration comes first.
    let before = calls.load(Ordering::Relaxed);
    joined(connect(url.as_str()).auth(Credential::ticket("static", "s3cret"))).await.leave().await;
    assert_eq!(calls.load(Ordering::Relaxed), before);
}

// behaviour 228, behaviour 266
#[tokio::test]
async fn a_procedure_that_fails_is_slow_or_absent_denies_nothing_for_ever() {
    let house = house().await;
    let url = format!("ws://{}/", house.tcp);
    let fails = async |authid: &str| {
        for credential in [Credential::wampcra(authid, "s3cret"), Credential::ticket(authid, "s3cret")] {
            let error = refused(connect(url.as_str()).auth(credential)).await;
            let is_failed = error.uri().is_some_and(|uri| uri == "wamp.error.authentication_failed");
            assert!(is_failed, "{authid}: {error}");
        }
    };
    // It is not registered yet.
    fails("jim").await;
    let (session, registration, _calls) = authenticator(&house).await;
    for authid in ["nonsense", "elsewhere", "broken"] {
        fails(authid).await;
    }
    // It does not answer, and then it leaves.
    let since = Instant::now();
    let slow = tokio::spawn(refused(connect(url.as_str()).auth(Credential::wampcra("slow", "s3cret"))));
    let realm = || house.router.realm_stats("auth").unwrap().1;
    within(async {
        while realm().calls == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(registration);
    session.leave().await;
    let error = within(slow).await.unwrap();
    assert!(error.uri().is_some_and(|uri| uri == "wamp.error.authentication_failed"), "{error}");
    assert_eq!(realm().calls, 0);
    assert!(since.elapsed() < SOON, "the router has waited for its own timeout");
}

/// Hangs up while the router asks about the client, and waits until the call about it has ended.
async fn hang_up(house: &House, connecting: Connect) {
    let connecting = tokio::spawn(connecting.into_future());
    let calls = || house.router.realm_stats("auth").unwrap().1.calls;
    within(async {
        while calls() == 0 {
            tokio::task::yield_now().await;
        }
        connecting.abort();
        while calls() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

// behaviour 266
#[tokio::test]
async fn a_client_that_hangs_up_ends_the_call_about_it() {
    let house = house().await;
    let (_session, _registration, _calls) = authenticator(&house).await;
    let connecting = connect(format!("ws://{}/", house.tcp)).auth(Credential::wampcra("slow", "s3cret"));
    let since = Instant::now();
    hang_up(&house, connecting).await;
    assert!(since.elapsed() < SOON, "the router has waited for its own timeout");
}

// behaviour 209, behaviour 266
#[tokio::test]
async fn a_client_that_hangs_up_during_a_question_about_it_counts_as_a_failure() {
    let house = house_with(Limits { failed_proofs: 2, ..Limits::default() }).await;
    let (session, _registration, asked) = authenticator(&house).await;
    let url = format!("ws://{}/", house.tcp);
    // Those that join count for nothing.
    for _ in 0..5 {
        joined(connect(url.as_str()).auth(Credential::wampcra("jim", "s3cret"))).await.leave().await;
    }
    for _ in 0..2 {
        let connecting = connect(url.as_str()).auth(Credential::wampcra("slow", "s3cret"));
        hang_up(&house, connecting).await;
    }
    let before = asked.load(Ordering::Relaxed);
    let error = refused(connect(url.as_str()).auth(Credential::wampcra("jim", "s3cret"))).await;
    assert!(error.uri().is_some_and(|uri| uri == "wamp.error.authentication_failed"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), before, "nothing is asked any more");
    session.leave().await;
}
