//! Guesses of authids and secrets: the time of an answer does not reveal which authids exist, and others do not wait for
//! failed logins.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wamp_proto::message::{Authenticate, HelloDetails};
use wamp_proto::{Extra, SessionId};
use wamp_router::auth::scram::{Dialect, Kdf, Keys};
use wamp_router::auth::{Begun, Method, Offer, Principal, Principals, Secret};

use crate::case::{Case, Outcome, When, hold};
use crate::flood::Flood;
use crate::wire::{JSON, Peer, message};

pub const CASES: &[Case] = &[
    Case {
        name: "guesses/known and unknown authids take the same time",
        run: known_and_unknown_authids_take_the_same_time,
        when: When::Alone,
    },
    Case { name: "guesses/failed logins beside a pair", run: failed_logins, when: When::Alone },
];

/// A realm for the bystander, and one for the attackers, in which no address has to wait after failures.
const CLOSED: &str = "[limits]\nfailed_proofs = 4000000000\n[[realm]]\nname = \"realm1\"\n[[realm]]\nname = \"closed\"\n\
    [[realm.role]]\nname = \"user\"\n[[realm.principal]]\nauthid = \"joe\"\nrole = \"user\"\nwampcra = \"s3cret\"\n";

/// The failed logins of all attackers.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Each login is a connection of its own, with a wrong proof for a principal or for nothing.
fn failed_logins() -> Outcome {
    let (before, started) = (FAILED.load(Ordering::Relaxed), Instant::now());
    let outcome = Flood::new(guess).configured(CLOSED).within(2).run();
    let failed = FAILED.load(Ordering::Relaxed) - before;
    let rate = failed as f64 / started.elapsed().as_secs_f64();
    hold(failed > 0, "no login was refused", String::new())?;
    outcome.map(|figures| format!("{failed} failed logins, {rate:.0}/s with the pauses; {figures}"))
}

fn guess(port: u16, until: Instant, attacker: usize) -> io::Result<()> {
    let authid = if attacker.is_multiple_of(2) { "joe" } else { "nobody" };
    let hello = format!(
        r#"[1,"closed",{{"roles":{{"caller":{{}}}},"authmethods":["wampcra"],"authid":"{authid}"}}]"#
    );
    let proof = r#"[5,"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",{}]"#;
    let both = [message(hello.into_bytes()), message(proof.into())].concat();
    while Instant::now() < until {
        let mut peer = Peer::connect(port, JSON)?;
        peer.send(&both)?;
        // ABORT may take the place of CHALLENGE in the queue.
        let mut answer = peer.frame()?.1;
        if answer.starts_with(b"[4,") {
            answer = peer.frame()?.1;
        }
        if !String::from_utf8_lossy(&answer).contains("wamp.error.authentication_denied") {
            return Err(io::Error::other(format!("the answer is {:?}", String::from_utf8_lossy(&answer))));
        }
        FAILED.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Guesses of each kind, for each method.
const GUESSES: usize = 10_000;

/// The largest difference of the medians: less than any round trip varies by. The work is the same; the processor has
/// other lines of memory in its caches. An exchange without its proof takes 1 to 4 microseconds less.
const DIFFERENCE: Duration = Duration::from_micros(1);

/// A busy machine makes two groups of known authids differ, too. It does not do so each time; a router that tells them
/// apart does.
const ROUNDS: usize = 8;

fn known_and_unknown_authids_take_the_same_time() -> Outcome {
    let principals = principals()?;
    let (mut figures, mut are_same) = (Vec::new(), true);
    for method in [Method::Ticket, Method::WampCra, Method::WampScram] {
        let round = || medians(&principals, method);
        let mut medians = round()?;
        for _ in 1..ROUNDS {
            if is_same(medians) {
                break;
            }
            medians = round()?;
        }
        are_same &= is_same(medians);
        figures.push(format!("{method}: {:?} and {:?}", medians.0, medians.1));
    }
    hold(are_same, "the times differ", figures.join(", "))
}

fn is_same((known, unknown): (Duration, Duration)) -> bool {
    known.abs_diff(unknown) <= DIFFERENCE
}

/// The times that guesses of known and of unknown authids take.
fn medians(principals: &Principals, method: Method) -> Result<(Duration, Duration), String> {
    let methods = principals.methods();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for guess in 0..2 * GUESSES {
        // In no order that the caches of the processor would profit from; and the unknown ones are spread over the known
        // ones.
        let number = guess / 2 * 377 % 1000;
        // By turns, so that both have the same neighbours.
        let (times, authid) = match guess % 2 {
            0 => (&mut known, format!("user{number:04}")),
            _ => (&mut unknown, format!("user{:03}{}", number / 10, &"abcdefghij"[number % 10..][..1])),
        };
        let details = hello(method, authid);
        let started = Instant::now();
        attempt(principals, &methods, &details)?;
        times.push(started.elapsed());
    }
    Ok((median(known), median(unknown)))
}

fn principals() -> Result<Principals, String> {
    let mut principals = Principals::new();
    let secret = Secret::from("s3cret");
    let keys = Keys::derive(Dialect::Wamp, Kdf::Pbkdf2 { iterations: 4096 }, &secret, b"0123456789abcdef");
    let keys = keys.map_err(|error| error.to_string())?;
    for number in 0..1000 {
        let principal = Principal::new(format!("user{number:04}"), "user").password(secret.clone());
        principals.insert(principal.scram(keys.clone()));
    }
    Ok(principals)
}

fn hello(method: Method, authid: String) -> HelloDetails {
    let mut extra = Extra::default();
    // A text can always be written.
    let _ = extra.insert("nonce", "egVDf3DMJh0=");
    HelloDetails {
        authmethods: Some(vec![method.name()]),
        authid: Some(authid.into()),
        authextra: Some(extra),
        ..HelloDetails::default()
    }
}

/// Plays an exchange with a wrong proof of the usual length.
fn attempt(principals: &Principals, methods: &[Method], details: &HelloDetails) -> Result<(), String> {
    let session = SessionId::new(7).ok_or("7 is an id")?;
    let offer = Offer::new(&[1; 72], Secret::from("the router's"), session, Duration::from_secs(1));
    let begun = principals.begin(methods, &[], details, &offer).map_err(|denied| denied.text.to_owned())?;
    let Begun::Challenged(exchange) = begun else { return Err("there is no challenge".to_owned()) };
    let mut said = Authenticate {
        signature: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".into(),
        extra: Default::default(),
    };
    said.extra.nonce = exchange.challenge().extra.nonce;
    match exchange.verify(&said) {
        Ok(_) => Err("a wrong proof is accepted".to_owned()),
        Err(_) => Ok(()),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
