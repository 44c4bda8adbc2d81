//! The connection: proxies, certificates, attempts; and each way in which there is no session.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::support::{Directory, Ended, PATIENCE, Program, Router, wamp};

fn ping(arguments: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = wamp(&[&["ping", "--count", "1"], arguments].concat());
    command.envs(env.iter().copied());
    Program::spawn(command).end()
}

/// A proxy that connects to where it is told, and tells it.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let there = TcpStream::connect(&target).unwrap();
            (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            send.send(request).unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), there.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (there, stream);
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    (format!("http://{address}"), asked)
}

#[test]
fn a_proxy_is_used_if_it_is_given_and_not_with_none() {
    let router = Router::start();
    let (url, asked) = proxy();
    let address = router.url.strip_prefix("ws://").unwrap().strip_suffix("/ws").unwrap();
    assert_eq!(ping(&["--url", &router.url, "--proxy", &url], &[]).code, Some(0));
    assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), format!("CONNECT {address} HTTP/1.1"));
    // No proxy is asked for this machine, unless it is given.
    let env = [("ALL_PROXY", &*url)];
    assert_eq!(ping(&["--url", &router.url], &env).code, Some(0));
    assert_eq!(ping(&["--url", &router.url, "--proxy", "none"], &env).code, Some(0));
    assert!(asked.try_recv().is_err());
    let gone = ping(&["--url", &router.url, "--proxy", "http://127.0.0.1:1"], &[]);
    assert_eq!(gone.code, Some(3));
    let text = format!("Error: connect: {}: cannot connect to the proxy 127.0.0.1:1: ", router.url);
    assert!(gone.stderr.starts_with(&text), "{gone:?}");
}

/// An authority, with its certificate and that of a server and of a client.
struct Authority {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn authority(directory: &Directory, is_expired: bool) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let ca = directory.file("ca.pem", &ca.pem());
    let issuer = Issuer::new(params, key);
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 10, 1);
        }
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let files = ["certificate", "key"].map(|part| format!("{name}-{part}.pem"));
        (directory.file(&files[0], &certificate.pem()), directory.file(&files[1], &key.serialize_pem()))
    };
    Authority { ca, server: signed("127.0.0.1"), client: signed("a-client") }
}

#[test]
fn a_certificate_is_shown_to_a_router_that_wants_one() {
    let directory = Directory::new("client-certificate");
    let Authority { ca, server, client } = authority(&directory, false);
    let tls = ["--tls-certificate", &server.0, "--tls-key", &server.1, "--tls-client-ca", &ca];
    let router = Router::with(&tls);
    let url = router.url.replace("ws://", "wss://");
    let shown = ping(&["--url", &url, "--ca", &ca, "--cert", &client.0, "--cert-key", &client.1], &[]);
    assert_eq!((shown.code, &*shown.stderr), (Some(0), ""));
    let none = ping(&["--url", &url, "--ca", &ca], &[]);
    let hint = "\nhint: --cert and --cert-key show a certificate to the router\n";
    assert!(none.code == Some(3) && none.stderr.ends_with(hint), "{none:?}");
    assert_eq!(ping(&["--url", &url, "--cert", &client.0], &[]).code, Some(2), "the key is missing");
}

#[test]
fn an_old_certificate_is_told_with_its_date() {
    let directory = Directory::new("expired");
    let Authority { ca, server, .. } = authority(&directory, true);
    let router = Router::with(&["--tls-certificate", &server.0, "--tls-key", &server.1]);
    let url = router.url.replace("ws://", "wss://");
    let old = ping(&["--url", &url, "--ca", &ca], &[]);
    assert_eq!(old.code, Some(3));
    let text = format!("Error: tls: {url}: the certificate of 127.0.0.1 has expired on 2020-10-01\n");
    assert_eq!(old.stderr, text);
}

/// A server that answers the first bytes of each connection with these.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn each_way_without_a_session_is_exit_code_3_with_its_word() {
    let router = Router::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("ws://{}/ws", silent.local_addr().unwrap());
    let no_tls = router.url.replace("ws://", "wss://");
    let web = server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let closes = server(b"");
    for (arguments, beginning) in [
        (
            &["--url", "ws://127.0.0.1:1/ws"][..],
            "connect: ws://127.0.0.1:1/ws: connection refused\nhint: start a router with: wamp router\n"
                .to_owned(),
        ),
        (&["--url", "rs+unix:///no/such/socket"], "connect: rs+unix:///no/such/socket: ".to_owned()),
        (&["--url", "ws://no.such.invalid/ws"], "connect: ws://no.such.invalid/ws: ".to_owned()),
        (&["--url", &no_tls], format!("tls: {no_tls}: ")),
        (&["--url", &web], format!("handshake: {web}: ")),
        (&["--url", &closes], format!("lost: {closes}: ")),
        (&["--url", &silent_url, "--connect-timeout", "100ms"], format!("timeout: {silent_url}: ")),
        (
            &["--url", &router.url, "--realm", "relam1"],
            format!(
                "refused: {}: wamp.error.no_such_realm: there is no realm \"relam1\"\nhint: the realm \"relam1\" ",
                router.url
            ),
        ),
    ] {
        let ended = ping(arguments, &[]);
        assert_eq!((ended.code, &*ended.stdout), (Some(3), ""), "{ended:?}");
        assert!(ended.stderr.starts_with(&format!("Error: {beginning}")), "{ended:?}");
    }
}

#[test]
fn the_next_url_is_tried_if_the_first_one_fails() {
    let router = Router::start();
    let both = ["--url", "ws://127.0.0.1:1/ws", "--url", &router.url];
    assert_eq!(ping(&both, &[]).code, Some(0));
}

#[test]
fn with_retry_a_call_waits_for_the_router() {
    let first = Router::start();
    let address = first.url.strip_prefix("ws://").unwrap().strip_suffix("/ws").unwrap().to_owned();
    first.kill();
    drop(first);
    let url = format!("ws://{address}/ws");
    let call = Program::spawn(wamp(&["call", "wamp.session.count", "--retry", "--url", &url]));
    thread::sleep(std::time::Duration::from_millis(300));
    let router = Program::spawn(wamp(&["router", "--listen", &address]));
    router.line();
    let ended = call.end();
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "1\n"), "{ended:?}");
}

#[test]
fn colors_are_as_wanted() {
    let error = |arguments: &[&str], env: &[(&str, &str)]| {
        let mut command = wamp(&[&["call", "a.b", "--url", "ws://127.0.0.1:1/ws"], arguments].concat());
        command.envs(env.iter().copied());
        Program::spawn(command).end().stderr
    };
    assert!(error(&[], &[]).starts_with("Error: "), "no terminal");
    assert!(error(&["--color", "always"], &[]).starts_with("\x1b[1;31mError:\x1b[0m "));
    assert!(error(&["--color", "never"], &[]).starts_with("Error: "));
}
