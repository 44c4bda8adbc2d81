//! Authentication: foreign clients at our router, and our client at Crossbar.io, with right and wrong secrets.

use std::time::Instant;

use tokio::time::timeout;
use wamp_client::auth::{Credential, PrivateKey, Secret};
use wamp_client::connect;
use wamp_router::auth::Principal;
use wamp_router::auth::scram::{Dialect, Kdf, Keys};
use wamp_router::auth::wampcra::{Key, Salting};
use wamp_router::{Address, Limits, RealmConfig, Router};

use crate::log::Log;
use crate::peer::{Peer, Transport};
use crate::process::{PATIENCE, Process};
use crate::routers::{Running, Which};
use crate::run::{Chapter, Outcome, with_log};
use crate::tools::Tools;

/// A foreign client, its method, and the authid: each with the right secret and with a wrong one.
const CLIENTS: [&str; 15] = [
    "login py/ws/json ticket joe",
    "login py/ws/msgpack wampcra joe",
    "login py/ws/cbor wampcra salted",
    "login py/rs/msgpack wampcra salted",
    "login py/ws/json cryptosign device",
    "login py/ws/json scram autobahn",
    "login js/ws/json ticket joe",
    "login js/ws/msgpack wampcra joe",
    "login js/ws/cbor wampcra salted",
    "login js/rs/json wampcra joe",
    "login js/ws/json cryptosign device",
    "login wampy/ws/json ticket joe",
    "login wampy/ws/msgpack wampcra joe",
    "login wampy/ws/cbor wampcra salted",
    "login wampy/ws/json cryptosign device",
];

/// The method of our client, and the authid.
const OURS: [&str; 5] = [
    "login at Crossbar.io: ticket joe",
    "login at Crossbar.io: wampcra joe",
    "login at Crossbar.io: wampcra salted",
    "login at Crossbar.io: cryptosign device",
    "login at Crossbar.io: scram autobahn",
];

/// The seed of the key of `device`, and another one.
const SEED: [u8; 32] = [9; 32];
const OTHER_SEED: [u8; 32] = [8; 32];

/// Runs the rows that have one of the words in them, or all.
pub async fn chapters(tools: &Tools, wanted: &[String]) -> Vec<Chapter> {
    let is_wanted = |row: &&&str| wanted.is_empty() || wanted.iter().any(|word| row.contains(&**word));
    let mut chapters = Vec::new();
    let rows: Vec<&'static str> = CLIENTS.iter().filter(is_wanted).copied().collect();
    if !rows.is_empty() {
        let (router, address) = match router().await {
            Ok(router) => router,
            Err(why) => return vec![failed(rows, &why)],
        };
        let mut outcomes = Vec::new();
        for row in rows {
            let (started, log) = (Instant::now(), Log::default());
            let result = foreign(tools, row, &address, &log).await.map_err(|why| with_log(why, &log));
            outcomes.push(Outcome { row, took: started.elapsed(), result });
        }
        router.shut_down().await;
        chapters.push(Chapter { title: "L: foreign clients authenticate at our router", outcomes });
    }
    let rows: Vec<&'static str> = OURS.iter().filter(is_wanted).copied().collect();
    if !rows.is_empty() {
        chapters.push(at_crossbar(tools, rows).await);
    }
    chapters
}

fn failed(rows: Vec<&'static str>, why: &str) -> Chapter {
    let outcome = |row| Outcome { row, took: Default::default(), result: Err(why.to_owned()) };
    Chapter { title: "L: authentication", outcomes: rows.into_iter().map(outcome).collect() }
}

/// A router with the principals of the rows, and its address.
async fn router() -> Result<(Router, String), String> {
    let secret = Secret::from("s3cret");
    let salting = Salting { salt: "salt123".into(), iterations: 100, keylen: 32 };
    let kdf = Kdf::Argon2id { iterations: 2, memory: 512 };
    let keys = Keys::derive(Dialect::Autobahn, kdf, &secret, b"0123456789abcdef");
    let key = PrivateKey::from_bytes(&SEED).public();
    let realm = RealmConfig::new("realm1")
        .principal(Principal::new("joe", "user").password(secret.clone()))
        .principal(Principal::new("salted", "user").cra(Key::salted(&secret, salting)))
        .principal(Principal::new("device", "user").public_key(key))
        .principal(Principal::new("autobahn", "user").scram(keys.map_err(|error| error.to_string())?));
    // All of them come from one address.
    let limits = Limits { failed_proofs: 1000, ..Limits::default() };
    let router = Router::builder().realm_with(realm).limits(limits).build();
    match router.listen("127.0.0.1:0").await {
        Ok(Address::Tcp(address)) => Ok((router, address.to_string())),
        other => Err(format!("{other:?}")),
    }
}

/// A foreign client joins with the right secret, and is refused with a wrong one.
async fn foreign(tools: &Tools, row: &str, address: &str, log: &Log) -> Result<(), String> {
    let words: Vec<&str> = row.split(' ').collect();
    let [_, peer, method, authid] = words[..] else { return Err("no row can be read from this".to_owned()) };
    let peer = Peer::read(peer).ok_or("no peer can be read from this")?;
    let url = match peer.transport {
        Transport::WebSocket => format!("ws://{address}/ws"),
        Transport::RawSocket => format!("rs://{address}"),
    };
    let hex = |seed: [u8; 32]| seed.map(|byte| format!("{byte:02x}")).concat();
    let (right, wrong) = match method {
        "cryptosign" => (hex(SEED), hex(OTHER_SEED)),
        _ => ("s3cret".to_owned(), "wrong".to_owned()),
    };
    let joined = format!("Joined: {authid} user {method}");
    let denied = "Refused: wamp.error.authentication_denied".to_owned();
    for (secret, expected) in [(right, joined), (wrong, denied)] {
        let mut command = tools.peer(peer, "login");
        command.args(["--url", &url, "--serializer", peer.serializer.name(), "--method", method]);
        command.args(["--authid", authid, "--secret", &secret]);
        if method == "cryptosign" && peer.library == crate::peer::Library::Wampy {
            let seed = if expected.starts_with("Joined") { SEED } else { OTHER_SEED };
            command.args(["--pubkey", &PrivateKey::from_bytes(&seed).public().to_string()]);
        }
        let (_process, mut lines) = Process::start("the client", command, log)?;
        lines.expect(&expected).await?;
    }
    Ok(())
}

/// Our client joins at Crossbar.io with the right secret, and is refused with a wrong one.
async fn at_crossbar(tools: &Tools, rows: Vec<&'static str>) -> Chapter {
    let router = match Running::start(Which::CrossbarWithLogins, tools).await {
        Ok(router) => router,
        Err(why) => return failed(rows, &why),
    };
    let url = router.url(Transport::WebSocket);
    let mut outcomes = Vec::new();
    for row in rows {
        let started = Instant::now();
        let result = ours(row, &url).await.map_err(|why| with_log(why, &router.log));
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    if let Err(why) = router.stop().await {
        outcomes.push(Outcome { row: "the router ends", took: Default::default(), result: Err(why) });
    }
    Chapter { title: "M: our client authenticates at Crossbar.io", outcomes }
}

async fn ours(row: &str, url: &str) -> Result<(), String> {
    let (_, row) = row.split_once(": ").ok_or("no row can be read from this")?;
    let (method, authid) = row.split_once(' ').ok_or("no row can be read from this")?;
    let credential = |secret: &'static str, seed| match method {
        "ticket" => Credential::ticket(authid.to_owned(), secret),
        "wampcra" => Credential::wampcra(authid.to_owned(), secret),
        "scram" => Credential::autobahn_scram(authid.to_owned(), secret),
        _ => Credential::cryptosign(PrivateKey::from_bytes(seed)).with_authid(authid.to_owned()),
    };
    let joining = connect(url).auth(credential("s3cret", &SEED)).send();
    let session =
        timeout(PATIENCE, joining).await.map_err(|_| "it hangs")?.map_err(|error| error.to_string())?;
    let details = session.joined();
    let seen = (details.authid.as_deref(), details.authrole.as_deref(), details.authmethod.as_deref());
    if seen != (Some(authid), Some("user"), Some(method)) {
        return Err(format!("it joined as {seen:?}"));
    }
    session.leave().await;
    let joining = connect(url).auth(credential("wrong", &OTHER_SEED)).send();
    match timeout(PATIENCE, joining).await.map_err(|_| "it hangs")? {
        Ok(_) => Err("it joined with a wrong secret".to_owned()),
        Err(error) if error.kind() == wamp_client::ConnectErrorKind::Denied => Ok(()),
        Err(error) => Err(format!("{}: {error}", error.kind())),
    }
}
