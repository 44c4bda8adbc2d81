//! Principals that the program knows, and the limits of proofs.

use std::time::Duration;

use wamp_client::auth::{Credential, PrivateKey, Secret};
use wamp_client::connect;
use wamp_proto::Serializer;
use wamp_router::auth::wampcra::Key;
use wamp_router::auth::{Method, Principal};
use wamp_router::{Applicant, Authenticator, Limits, RealmConfig, Rejection, Router, async_trait};

use crate::authentication::{is_denied, joined, of_certificate, realm, refused, with_certificates, works};
use crate::peer::Peer;
use crate::support::{House, Way, within};
use crate::tls::{Authority, Signed};

/// Users that the program knows, not the configuration.
struct Users;

#[async_trait]
impl Authenticator for Users {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Ticket, Method::WampCra, Method::Cryptosign]
    }

    async fn principal(&self, applicant: &Applicant) -> Result<Principal, Rejection> {
        tokio::task::yield_now().await;
        let jim = Principal::new("jim", "user");
        match (applicant.authid.as_deref(), applicant.method) {
            (Some("jim"), Method::Ticket) if applicant.ticket == Some(Secret::from("s3cret")) => Ok(jim),
            (Some("jim"), Method::WampCra) => Ok(jim.cra(Key::plain(Secret::from("s3cret")))),
            (None, Method::Cryptosign) => {
                let own =
                    applicant.public_key.filter(|shown| *shown == PrivateKey::from_bytes(&[7; 32]).public());
                own.map(|key| jim.public_key(key)).ok_or(Rejection::Unknown)
            }
            (Some("broken"), _) => Err(Rejection::Failed("the database is down".to_owned())),
            (Some("slow"), _) => std::future::pending().await,
            _ => Err(Rejection::Unknown),
        }
    }
}

fn router_of_users() -> Router {
    let limits = Limits { failed_proofs: 1000, join: Duration::from_millis(800), ..Limits::default() };
    Router::builder().realm_with(realm().authenticator(Users)).limits(limits).build()
}

// behaviour 207, behaviour 227
#[tokio::test]
async fn an_authenticator_of_the_program_is_asked_for_others() {
    let house = House::with(router_of_users()).await;
    let url = format!("ws://{}/", house.tcp);
    let stranger = || Credential::cryptosign(PrivateKey::from_bytes(&[7; 32]));
    for credential in [Credential::ticket("jim", "s3cret"), Credential::wampcra("jim", "s3cret"), stranger()]
    {
        let session = joined(connect(url.as_str()).auth(credential)).await;
        let details = session.joined();
        assert_eq!(
            (details.authid.as_deref(), details.authprovider.as_deref()),
            (Some("jim"), Some("dynamic"))
        );
        works(&session).await;
        session.leave().await;
    }
    // The configuration comes first.
    let session = joined(connect(url.as_str()).auth(Credential::wampcra("joe", "s3cret"))).await;
    assert_eq!(session.joined().authprovider.as_deref(), Some("static"));
    let wrongs = [
        Credential::ticket("jim", "wrong"),
        Credential::wampcra("jim", "wrong"),
        Credential::ticket("nobody", "s3cret"),
        Credential::wampcra("nobody", "s3cret"),
        Credential::cryptosign(PrivateKey::from_bytes(&[6; 32])),
    ];
    for credential in wrongs {
        let error = refused(connect(url.as_str()).auth(credential)).await;
        assert!(is_denied(&error), "{error}");
    }
}

// behaviour 201, behaviour 228
#[tokio::test]
async fn an_authenticator_that_fails_or_is_slow_denies_nothing_for_ever() {
    let house = House::with(router_of_users()).await;
    let url = format!("ws://{}/", house.tcp);
    for authid in ["broken", "slow"] {
        let error = refused(connect(url.as_str()).auth(Credential::wampcra(authid, "s3cret"))).await;
        assert!(error.uri().is_some_and(|uri| uri == "wamp.error.authentication_failed"), "{error}");
    }
    // The link is read while the authenticator is asked.
    const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["wampcra"],"authid":"slow"}]"#;
    for said in [HELLO, r#"[5,"early",{}]"#] {
        let mut peer = house.connect(Way::RawSocket, Serializer::Json).await;
        peer.say(HELLO).await;
        peer.say(said).await;
        assert_eq!(peer.aborted().await.0, "wamp.error.protocol_violation", "{said}");
    }
}

/// Users with certificates that the program knows, but does not compare.
struct Certified {
    fingerprint: [u8; 32],
}

#[async_trait]
impl Authenticator for Certified {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Tls]
    }

    async fn principal(&self, _: &Applicant) -> Result<Principal, Rejection> {
        Ok(Principal::new("alice", "user").certificate(self.fingerprint))
    }
}

// behaviour 226, behaviour 227
#[tokio::test]
async fn a_principal_of_an_authenticator_joins_with_its_own_certificate_only() {
    let authority = Authority::new("ours");
    let (alice, bob) = (authority.sign("alice", 2100), authority.sign("bob", 2100));
    let realm = RealmConfig::new("realm1").authenticator(Certified { fingerprint: of_certificate(&alice) });
    let (_router, address) = with_certificates(realm, &authority).await;
    let url = format!("wss://localhost:{}/", address.port());
    let connecting = |of: &Signed| {
        let connecting = connect(url.as_str()).ca(authority.pem.as_bytes()).auth(Credential::certificate());
        connecting.client_cert(of.chain.as_bytes(), of.key.as_bytes())
    };
    let session = joined(connecting(&alice)).await;
    assert_eq!(session.joined().authid.as_deref(), Some("alice"));
    let error = refused(connecting(&bob)).await;
    assert!(is_denied(&error), "{error}");
}

const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"AUTHID"}]"#;

/// A client that has got its CHALLENGE.
async fn challenged(house: &House, authid: &str) -> Peer {
    let mut peer = house.connect(Way::RawSocket, Serializer::Json).await;
    peer.say(&HELLO.replace("AUTHID", authid)).await;
    peer.expect(r#"[4,"ticket",{}]"#).await;
    peer
}

// behaviour 209
#[tokio::test]
async fn the_limit_of_failed_proofs_holds_for_clients_that_were_challenged_before() {
    let house = House::with(Router::builder().realm_with(realm()).build()).await;
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.push(challenged(&house, "joe").await);
    }
    let mut reasons = Vec::new();
    for mut peer in peers {
        peer.say(r#"[5,"wrong",{}]"#).await;
        reasons.push(peer.aborted().await.0);
    }
    let (denied, refused) = reasons.split_at(10);
    assert!(denied.iter().all(|reason| reason == "wamp.error.authentication_denied"), "{reasons:?}");
    assert!(refused.iter().all(|reason| reason == "wamp.error.authentication_failed"), "{reasons:?}");
}

// behaviour 209, behaviour 215
#[tokio::test]
async fn a_slow_proof_counts_as_a_failure_also_if_the_client_does_not_wait() {
    let house = House::with(Router::builder().realm_with(realm()).build()).await;
    for _ in 0..10 {
        let mut peer = challenged(&house, "hashed").await;
        peer.say(r#"[5,"wrong",{}]"#).await;
    }
    let url = format!("ws://{}/", house.tcp);
    within(async {
        loop {
            match connect(url.as_str()).auth(Credential::ticket("joe", "s3cret")).await {
                // Not all of them have been read yet.
                Ok(session) => drop(session.leave().await),
                Err(error) => {
                    assert!(
                        error.uri().is_some_and(|uri| uri == "wamp.error.authentication_failed"),
                        "{error}"
                    );
                    break;
                }
            }
        }
    })
    .await;
}

// behaviour 209
#[tokio::test]
async fn an_address_with_many_failed_proofs_has_to_wait() {
    let house = House::with(Router::builder().realm_with(realm().anonymous("guest")).build()).await;
    let url = format!("ws://{}/", house.tcp);
    for _ in 0..10 {
        let error = refused(connect(url.as_str()).auth(Credential::ticket("joe", "wrong"))).await;
        assert!(is_denied(&error), "{error}");
    }
    let error = refused(connect(url.as_str()).auth(Credential::ticket("joe", "s3cret"))).await;
    assert!(error.uri().is_some_and(|uri| uri == "wamp.error.authentication_failed"), "{error}");
    // Others are served: sessions without a proof, and clients of another kind of address.
    joined(connect(url)).await.leave().await;
    let unix = format!("rs+unix://{}", house.unix.display());
    joined(connect(unix).auth(Credential::ticket("joe", "s3cret"))).await.leave().await;
}
