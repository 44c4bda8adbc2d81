//! Clients over TLS, and their errors when the handshake fails. The tests have a TLS server of their own.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use wamp_client::{ConnectError, ConnectErrorKind, Invocation, Session, connect};
use wamp_router::{Address, Router};
use wamp_transport::socket::AnyStream;
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, and the certificates that it has signed.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Signed {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub fn sign(&self, name: &str, last_year: i32) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(last_year, 1, 1));
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { chain, key: key.serialize_pem() }
    }
}

/// Starts a router behind TLS, for WebSocket or RawSocket. Returns its port.
async fn serve(signed: &Signed, client_authority: Option<&Authority>, is_rawsocket: bool) -> u16 {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(signed.chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            if is_rawsocket {
                let config = rawsocket::Config::default();
                router.attach(rawsocket::accept(AnyStream(stream), &[], &config).await.unwrap());
            } else {
                router.attach(ws::accept(AnyStream(stream), &[], &ws::Config::default()).await.unwrap());
            }
        }
    });
    port
}

async fn refused(connecting: wamp_client::Connect) -> ConnectError {
    timeout(PATIENCE, connecting.into_future()).await.expect("it ends").unwrap_err()
}

async fn calls(session: Session) {
    let longop = |call: Invocation| async move {
        let progress = call.progress().expect("it is asked for");
        for i in 0..3_u32 {
            progress.send(i).await?;
        }
        Ok("x".repeat(100_000))
    };
    session.register("com.myapp.longop", longop).await.unwrap();
    let mut seen = Vec::new();
    let call = session.call("com.myapp.longop").on_progress(|i: u32| seen.push(i));
    let text: String = timeout(PATIENCE, call.into_future()).await.unwrap().unwrap().decode().unwrap();
    assert_eq!((seen, text.len()), (vec![0, 1, 2], 100_000));
    session.leave().await;
}

#[tokio::test]
async fn progressive_results_over_wss_and_rss() {
    let authority = Authority::new("ours");
    let signed = authority.sign("localhost", 2100);
    for (scheme, is_rawsocket) in [("wss", false), ("rss", true)] {
        let port = serve(&signed, None, is_rawsocket).await;
        let connecting = connect(format!("{scheme}://localhost:{port}")).ca(authority.pem.as_bytes());
        calls(timeout(PATIENCE, connecting.into_future()).await.unwrap().unwrap()).await;
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let authority = Authority::new("ours");
    let port = serve(&authority.sign("localhost", 2100), Some(&authority), false).await;
    let url = format!("wss://localhost:{port}/ws");
    let client = authority.sign("alice", 2100);
    let connecting = || connect(url.as_str()).ca(authority.pem.as_bytes());
    calls(connecting().client_cert(client.chain.as_bytes(), client.key.as_bytes()).await.unwrap()).await;
    // With TLS 1.3 the client learns of a refusal only with the first bytes that it reads.
    refused(connecting()).await;
    let other = Authority::new("another").sign("alice", 2100);
    let wrong_key = refused(connecting().client_cert(client.chain.as_bytes(), other.key.as_bytes())).await;
    assert_eq!(wrong_key.kind(), ConnectErrorKind::Tls);
    assert!(
        wrong_key.to_string().contains("the client's certificate and key cannot be used: "),
        "{wrong_key}"
    );
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = refused(connecting().client_cert(client.chain.as_bytes(), encrypted)).await;
    assert_eq!(encrypted.to_string(), format!("{url}: the client's key is encrypted; decrypt it first"));
    let no_pem = refused(connecting().client_cert("no PEM", client.key.as_bytes())).await;
    assert_eq!(no_pem.to_string(), format!("{url}: the client's chain is not PEM, or has no certificate"));
}

#[tokio::test]
async fn the_fault_of_a_certificate_is_one_sentence() {
    let authority = Authority::new("ours");
    let host = "localhost";
    let expired = serve(&authority.sign(host, 2021), None, false).await;
    let other_name = serve(&authority.sign("example.org", 2100), None, false).await;
    let unknown = serve(&Authority::new("another").sign(host, 2100), None, false).await;
    let table = [
        (expired, "the certificate of localhost has expired on 2021-01-01"),
        (other_name, "the certificate is not for localhost, but for example.org"),
        (unknown, "the certificate of localhost is signed by an authority that is not trusted here"),
    ];
    for (port, sentence) in table {
        let url = format!("wss://alice:secret@{host}:{port}/ws");
        let error = refused(connect(url).ca(authority.pem.as_bytes())).await;
        assert_eq!(error.kind(), ConnectErrorKind::Tls, "{error}");
        assert_eq!(error.to_string(), format!("wss://alice:***@{host}:{port}/ws: {sentence}"));
        assert!(!format!("{error:?}").contains("secret"));
    }
    let renamed = connect(format!("wss://{host}:{other_name}/ws")).ca(authority.pem.as_bytes());
    calls(renamed.server_name("example.org").await.unwrap()).await;
}

#[tokio::test]
async fn a_plain_server_on_a_tls_url_and_the_reverse() {
    let router = Router::default();
    let Address::Tcp(plain) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TCP") };
    let authority = Authority::new("ours");
    let tls = serve(&authority.sign("localhost", 2100), None, false).await;
    let url = |scheme: &str, port: u16| format!("{scheme}://localhost:{port}");
    for scheme in ["wss", "rss"] {
        let url = url(scheme, plain.port());
        let error = refused(connect(url.as_str()).ca(authority.pem.as_bytes())).await;
        assert_eq!(error.to_string(), format!("{url}: the server does not speak TLS on this port"));
        assert_eq!(error.kind(), ConnectErrorKind::Tls);
    }
    let table = [
        ("ws", "the peer does not speak HTTP: a TLS alert came, the port seems to want TLS (wss)"),
        ("rs", "the peer does not speak RawSocket: a TLS alert came, the port seems to want TLS"),
    ];
    for (scheme, sentence) in table {
        let url = url(scheme, tls);
        let error = refused(connect(url.as_str())).await;
        assert_eq!(error.to_string(), format!("{url}: {sentence}"));
        assert_eq!(error.kind(), ConnectErrorKind::Tls);
    }
}

#[tokio::test]
async fn urls_of_tls_name_a_host_and_a_port() {
    for url in ["wss://", "wss:///ws", "rss://localhost", "rss://:1", "wss://localhost:port/"] {
        let error = refused(connect(url)).await;
        assert_eq!(error.kind(), ConnectErrorKind::Url, "{error}");
    }
}
