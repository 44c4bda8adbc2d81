//! A router whose configuration changes while sessions are open.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wamp_client::auth::Credential;
use wamp_client::{Invocation, Session, connect};
use wamp_proto::Serializer;
use wamp_router::auth::Principal;
use wamp_router::auth::scram::Kdf;
use wamp_router::{Actions, Builder, Limits, ListenError, Pattern, RealmConfig, Role, Router};

use crate::support::{HELLO, House, Way, attach, attach_joined, unix_path, within};

/// Long enough for thousands of streams on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A realm with these principals, each with a ticket, and roles.
fn realm(principals: &[(&'static str, &'static str)], roles: impl IntoIterator<Item = Role>) -> RealmConfig {
    let realm = RealmConfig::new("realm1").anonymous("guest").role(Role::everything("guest"));
    let realm = roles.into_iter().fold(realm, RealmConfig::role);
    let principal = |authid, ticket| Principal::new(authid, "user").ticket(ticket);
    principals.iter().fold(realm, |realm, (authid, ticket)| realm.principal(principal(*authid, *ticket)))
}

fn builder(realm: RealmConfig) -> Builder {
    Router::builder().realm_with(realm)
}

async fn reload(
    router: &Router,
    builder: Builder,
    listen: &[&str],
) -> Result<wamp_router::Reloaded, ListenError> {
    let listen: Vec<String> = listen.iter().map(|&address| address.to_owned()).collect();
    within(router.reload(builder, &listen)).await
}

async fn join_as(url: &str, authid: &'static str, ticket: &'static str) -> Session {
    within(connect(url).auth(Credential::ticket(authid, ticket)).no_reconnect().into_future()).await.unwrap()
}

/// Counts up to `count` with progressive results, without a break until the configuration has changed often enough.
async fn stream(caller: Session, procedure: String, is_over: Arc<AtomicBool>) -> usize {
    let mut results = caller.call(&*procedure).progressive::<usize>().await.unwrap();
    let mut expected = 0;
    while let Some(result) = results.next().await {
        assert_eq!(result.unwrap(), expected, "in order, and none is lost");
        expected += 1;
    }
    assert!(is_over.load(Ordering::Relaxed), "the stream ends when its callee says so");
    let total: usize = results.finish().await.unwrap();
    assert_eq!(total, expected);
    total
}

async fn serve(
    call: Invocation,
    is_over: Arc<AtomicBool>,
    pause: Duration,
) -> Result<usize, wamp_client::Failure> {
    let progress = call.progress().expect("it is asked for");
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        progress.send(count).await?;
        count += 1;
        if count % 16 == 0 {
            sleep(pause).await;
        }
    }
    Ok(count)
}

/// `RELOAD_SESSIONS=1000` for a long run.
// behaviour 267, behaviour 268
#[allow(clippy::print_stderr, reason = "the figures of a long run")]
#[tokio::test(flavor = "multi_thread")]
async fn streams_go_on_while_the_configuration_changes() {
    let sessions: usize = std::env::var("RELOAD_SESSIONS").map_or(50, |count| count.parse().unwrap());
    let user = || Role::new("user").allow(Actions::ALL, Pattern::prefix("com.myapp."));
    let router = builder(realm(&[("joe", "secret")], [user()])).build();
    let listen = "127.0.0.1:0";
    let address = router.listen(listen).await.unwrap();
    let urls = [address.ws_url().unwrap(), address.rs_url()];
    let is_over = Arc::<AtomicBool>::default();
    // About 8,000 results in a second, with any number of sessions.
    let pause = Duration::from_millis(sessions as u64);
    let (mut callees, mut callers) = (Vec::new(), Vec::new());
    for n in 0..sessions / 2 {
        let callee = join_as(&urls[n % 2], "joe", "secret").await;
        let procedure = format!("com.myapp.count{n}");
        let over = is_over.clone();
        callee.register(&*procedure, move |call| serve(call, over.clone(), pause)).await.unwrap();
        callees.push(callee);
        let caller = join_as(&urls[(n + 1) % 2], "joe", "secret").await;
        callers.push((caller, procedure));
    }
    // A stream makes joining slow, so all join before.
    let begin = |(caller, procedure)| tokio::spawn(stream(caller, procedure, is_over.clone()));
    let streams: Vec<_> = callers.into_iter().map(begin).collect();
    let joined = router.stats().now.sessions;
    let mut changes = 0;
    for round in 0..40_usize {
        let is_odd = round % 2 == 1;
        // Other principals, other rules for the same rights, other limits, realms and addresses.
        let principals: &[_] = if is_odd { &[("joe", "secret"), ("sue", "s")] } else { &[("joe", "secret")] };
        let role = if is_odd { user().deny(Pattern::prefix("com.myapp.admin.")) } else { user() };
        let mut changed = builder(realm(principals, [role]));
        changed =
            changed.limits(Limits { memory: (32 + round) << 20, message: 1 << 20, ..Limits::default() });
        let mut addresses = vec![listen];
        if is_odd {
            changed = changed.realm("another");
            addresses.push("127.0.0.1:0");
        }
        let reloaded = reload(&router, changed, &addresses).await.unwrap();
        changes +=
            reloaded.added.len() + reloaded.removed.len() + reloaded.opened.len() + reloaded.closed.len();
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(changes, 20 * 2 + 19 * 2);
    assert_eq!(router.stats().now.sessions, joined, "every session is still there");
    is_over.store(true, Ordering::Relaxed);
    let mut results = 0;
    for stream in streams {
        results += timeout(PATIENCE, stream).await.expect("it ends").unwrap();
    }
    assert!(results > sessions, "{results} results");
    eprintln!("{sessions} sessions, 40 reloads, {results} results in order");
}

// behaviour 210
#[tokio::test]
async fn a_connection_over_a_public_address_does_not_join_a_realm_that_is_opened() {
    let closed = || {
        let realm = RealmConfig::new("realm1").role(Role::everything("user"));
        realm.principal(Principal::new("joe", "user").ticket("secret"))
    };
    let router = builder(closed()).build();
    let public = router.listen("0.0.0.0:0").await.unwrap();
    let private = router.listen("127.0.0.1:0").await.unwrap();
    let at = |address: &wamp_router::Address| House {
        router: router.clone(),
        tcp: format!("127.0.0.1:{}", address.tcp().unwrap().port()),
        unix: unix_path(),
    };
    let mut outside = at(&public).connect(Way::RawSocket, Serializer::Json).await;
    let mut inside = at(&private).connect(Way::RawSocket, Serializer::Json).await;
    let reloaded = reload(&router, builder(closed().anonymous("user")), &["127.0.0.1:0"]).await.unwrap();
    assert_eq!((reloaded.opened, reloaded.closed), (vec![], vec![public]));
    inside.join().await;
    outside.say(HELLO).await;
    let (reason, text) = outside.aborted().await;
    assert_eq!(reason, "wamp.error.no_matching_auth_method", "{text}");
    // If that is allowed, it joins.
    let router = builder(closed()).allow_anonymous_on_public(true).build();
    let public = router.listen("0.0.0.0:0").await.unwrap();
    let tcp = format!("127.0.0.1:{}", public.tcp().unwrap().port());
    let house = House { router, tcp, unix: unix_path() };
    let mut outside = house.connect(Way::RawSocket, Serializer::Json).await;
    let opened = builder(closed().anonymous("user")).allow_anonymous_on_public(true);
    reload(&house.router, opened, &["127.0.0.1:0"]).await.unwrap();
    outside.join().await;
}

// behaviour 267
#[tokio::test]
async fn rules_that_change_take_rights_away_and_give_them() {
    let user = |prefix: &'static str| Role::new("user").allow(Actions::ALL, Pattern::prefix(prefix));
    let house = House::with(builder(realm(&[("joe", "secret")], [user("com.")])).build()).await;
    let url = format!("ws://{}", house.tcp);
    let joe = join_as(&url, "joe", "secret").await;
    let nothing = |_: Invocation| async { Ok(()) };
    let kept = joe.register("com.myapp.kept", nothing).await.unwrap();
    let lost = joe.register("com.other.lost", nothing).await.unwrap();
    let unix = format!("unix://{}", house.unix.display());
    let listen = ["127.0.0.1:0", &*unix];
    let reloaded =
        reload(&house.router, builder(realm(&[("joe", "secret")], [user("com.myapp.")])), &listen).await;
    assert_eq!(reloaded.unwrap(), wamp_router::Reloaded::default());
    within(lost.closed()).await;
    let ask = |uri: &'static str| within(joe.call(uri).into_future());
    assert_eq!(ask("com.other.lost").await.unwrap_err().uri().unwrap(), "wamp.error.not_authorized");
    ask("com.myapp.kept").await.unwrap();
    reload(&house.router, builder(realm(&[("joe", "secret")], [user("com.")])), &listen).await.unwrap();
    assert_eq!(ask("com.other.lost").await.unwrap_err().uri().unwrap(), "wamp.error.no_such_procedure");
    drop(kept);
}

// behaviour 268
#[tokio::test]
async fn principals_that_change_end_their_sessions_and_no_others() {
    let before = [("gone", "a"), ("other role", "b"), ("other secret", "c"), ("same", "d")];
    let roles = || [Role::everything("user"), Role::everything("admin")];
    let house = House::with(builder(realm(&before, roles())).build()).await;
    let url = format!("rs://{}", house.tcp);
    let mut sessions = Vec::new();
    for (authid, ticket) in before {
        sessions.push((authid, join_as(&url, authid, ticket).await));
    }
    let anonymous = within(connect(&*url).no_reconnect().into_future()).await.unwrap();
    let after = realm(&[("other secret", "new"), ("same", "d"), ("new", "e")], roles())
        .principal(Principal::new("other role", "admin").ticket("b"));
    let listen = ["127.0.0.1:0", &*format!("unix://{}", house.unix.display())];
    reload(&house.router, builder(after.clone()), &listen).await.unwrap();
    for (authid, session) in &sessions {
        if *authid == "same" {
            continue;
        }
        let ended = within(session.closed()).await;
        assert!(format!("{ended:?}").contains("wamp.error.authentication_failed"), "{authid}: {ended:?}");
    }
    let [.., (_, same)] = &sessions[..] else { unreachable!() };
    for session in [same, &anonymous] {
        session.publish("com.myapp.topic").acknowledge().await.unwrap();
    }
    join_as(&url, "other secret", "new").await;
    join_as(&url, "new", "e").await;
    let refused = connect(&*url).auth(Credential::ticket("gone", "a")).no_reconnect().into_future();
    assert_eq!(within(refused).await.unwrap_err().uri().unwrap(), "wamp.error.authentication_denied");
    // Without anonymous sessions, those that there are end.
    reload(&house.router, builder(after.closed()), &listen).await.unwrap();
    assert!(anonymous.publish("com.myapp.topic").acknowledge().await.is_ok(), "`closed` takes nothing back");
    let closed = RealmConfig::new("realm1").role(Role::everything("user"));
    let closed = closed.principal(Principal::new("same", "user").ticket("d"));
    reload(&house.router, builder(closed), &listen).await.unwrap();
    within(anonymous.closed()).await;
    same.publish("com.myapp.topic").acknowledge().await.unwrap();
}

// behaviour 268
#[tokio::test]
async fn a_client_that_joins_during_a_reload_is_judged_by_the_new_configuration() {
    const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#;
    for (after, outcome) in [("secret", "[2,"), ("another", "[3,")] {
        let router = builder(realm(&[("joe", "secret")], [Role::everything("user")])).build();
        let mut peer = attach(&router, Serializer::Json);
        peer.say(HELLO).await;
        assert!(peer.hear().await.starts_with(r#"[4,"ticket""#));
        reload(&router, builder(realm(&[("joe", after)], [Role::everything("user")])), &[]).await.unwrap();
        peer.say(r#"[5,"secret",{}]"#).await;
        let heard = peer.hear().await;
        assert!(heard.starts_with(outcome), "{heard}");
        assert!(outcome == "[2," || heard.contains("wamp.error.authentication_failed"), "{heard}");
    }
    // Unknown authids look as they did before.
    let keys = |name| {
        let kdf = Kdf::Pbkdf2 { iterations: 4096 };
        let dialect = wamp_router::auth::scram::Dialect::Wamp;
        let secret = wamp_router::auth::Secret::from("s");
        let keys =
            wamp_router::auth::scram::Keys::derive(dialect, kdf, &secret, b"0123456789abcdef").unwrap();
        RealmConfig::new("realm1").principal(Principal::new(name, "user").scram(keys))
    };
    let router = builder(keys("joe")).build();
    let mut salts = Vec::new();
    for _ in 0..2 {
        let mut peer = attach(&router, Serializer::Json);
        peer.say(r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["wamp-scram"],"authid":"none","authextra":{"nonce":"AAAA"}}]"#).await;
        let challenge = peer.hear().await;
        salts.push(challenge.split(r#""salt":""#).nth(1).unwrap()[..20].to_owned());
        reload(&router, builder(keys("joe")), &[]).await.unwrap();
    }
    assert_eq!(salts[0], salts[1]);
}

// behaviour 269
#[tokio::test]
async fn realms_come_and_go_and_others_stay() {
    let router = Router::builder().realm("realm1").realm("old").build();
    let mut stays = attach_joined(&router, Serializer::Json).await;
    let mut leaves = attach(&router, Serializer::Json);
    leaves.say(&crate::peer::HELLO.replace("realm1", "old")).await;
    assert!(leaves.hear().await.starts_with("[2,"));
    let reloaded = reload(&router, Router::builder().realm("realm1").realm("new"), &[]).await.unwrap();
    assert_eq!((reloaded.added, reloaded.removed), (vec!["new".into()], vec!["old".into()]));
    leaves.expect(r#"[6,{"message":"the realm has been removed"},"wamp.close.close_realm"]"#).await;
    leaves.say(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
    // On the same link it joins the new one, and the old one is not there.
    leaves.say(&crate::peer::HELLO.replace("realm1", "new")).await;
    assert!(leaves.hear().await.starts_with("[2,"));
    let mut late = attach(&router, Serializer::Json);
    late.say(&crate::peer::HELLO.replace("realm1", "old")).await;
    assert_eq!(late.aborted().await.0, "wamp.error.no_such_realm");
    stays.say(r#"[16,1,{"acknowledge":true},"com.myapp.topic"]"#).await;
    assert!(stays.hear().await.starts_with("[17,1,"));
    // It comes back, empty.
    reload(&router, Router::builder().realm("realm1").realm("old"), &[]).await.unwrap();
    assert_eq!(router.realm_stats("old").unwrap().1.sessions, 0);
    assert!(router.realm_stats("new").is_none());
}

#[tokio::test]
async fn addresses_come_and_go_and_connections_stay() {
    let house = House::new().await;
    let mut peers =
        [house.join(Way::WebSocket, Serializer::Json).await, house.join(Way::Unix, Serializer::Cbor).await];
    let path = unix_path();
    let unix = format!("unix://{}", path.display());
    let reloaded = reload(&house.router, Router::builder(), &[&unix]).await.unwrap();
    assert_eq!((reloaded.opened.len(), reloaded.closed.len()), (1, 2));
    // The addresses are free.
    assert!(TcpStream::connect(&house.tcp).await.is_err() && !house.unix.exists());
    house.router.listen(&house.tcp).await.unwrap();
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.say(&format!(r#"[64,1,{{}},"com.myapp.p{n}"]"#)).await;
        assert!(peer.hear().await.starts_with("[65,1,"));
    }
    let moved = House { router: house.router.clone(), tcp: house.tcp.clone(), unix: path };
    moved.join(Way::Unix, Serializer::Json).await;
    // The same addresses change nothing, and a listener of the program stays.
    let own = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = own.local_addr().unwrap().to_string();
    house.router.serve(own).unwrap();
    let listen = [&*unix, &*house.tcp];
    assert_eq!(reload(&house.router, Router::builder(), &listen).await.unwrap(), Default::default());
    let reloaded = reload(&house.router, Router::builder(), &[]).await.unwrap();
    assert_eq!((reloaded.closed.len(), moved.unix.exists()), (2, false));
    TcpStream::connect(tcp).await.unwrap();
    house.router.shut_down().await;
    assert_eq!(reload(&house.router, Router::builder(), &listen).await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_reload_that_cannot_listen_changes_nothing() {
    let house = House::with(builder(realm(&[], [])).build()).await;
    let unix = format!("unix://{}", house.unix.display());
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = unix_path();
    let changed = || builder(RealmConfig::new("another"));
    let listen = ["127.0.0.1:0", &*unix, &*format!("unix://{}", free.display()), &*taken];
    let error = reload(&house.router, changed(), &listen).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{error}");
    assert!(!free.exists(), "what was opened before the fault is closed again");
    assert!(house.router.realm_stats("another").is_none());
    house.join(Way::Unix, Serializer::Json).await;
    house.join(Way::RawSocket, Serializer::Json).await;
}

// behaviour 210
#[tokio::test]
async fn a_reload_does_not_open_a_realm_to_other_machines() {
    let closed = || {
        let realm = RealmConfig::new("realm1").role(Role::everything("user"));
        builder(realm.principal(Principal::new("joe", "user").ticket("secret")))
    };
    let router = closed().build();
    router.listen("0.0.0.0:0").await.unwrap();
    let error = reload(&router, Router::builder(), &["0.0.0.0:0"]).await.unwrap_err();
    assert!(matches!(error, ListenError::Public(_)), "{error}");
    // Together with another address it may.
    reload(&router, Router::builder(), &["127.0.0.1:0"]).await.unwrap();
    let error = reload(&router, Router::builder(), &["0.0.0.0:0"]).await.unwrap_err();
    assert!(matches!(error, ListenError::Public(_)), "{error}");
    reload(&router, closed(), &["0.0.0.0:0"]).await.unwrap();
}

#[tokio::test]
async fn limits_of_the_router_change_at_once_and_those_of_links_for_new_ones() {
    let house = House::new().await;
    let unix = format!("unix://{}", house.unix.display());
    let mut old = house.join(Way::RawSocket, Serializer::Json).await;
    let limits =
        Limits { message: 4096, message_before_welcome: 4096, connections: Some(2), ..Limits::default() };
    reload(&house.router, Router::builder().limits(limits), &["127.0.0.1:0", &unix]).await.unwrap();
    let long = format!(r#"[16,1,{{"acknowledge":true}},"com.myapp.topic",["{}"]]"#, "x".repeat(5000));
    old.say(&long).await;
    assert!(old.hear().await.starts_with("[17,1,"));
    let mut new = house.join(Way::WebSocket, Serializer::Json).await;
    new.say(&long).await;
    assert_eq!(new.aborted().await.0, "wamp.error.protocol_violation");
    new.closed().await;
    drop(new);
    // The connection that ended has a place no more.
    let _second = house.join(Way::WebSocket, Serializer::Json).await;
    let stats = house.router.stats();
    assert_eq!((stats.connections, stats.memory.limit), (2, limits.memory));
    let mut third = house.dial().await;
    let mut answer = String::new();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    third.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within(third.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}
