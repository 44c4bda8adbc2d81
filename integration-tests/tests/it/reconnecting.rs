//! Sessions that come back to a router that is killed under load, that falls silent, or whose realm is gone.
//! Between client and router there is a proxy on one port, which can drop the traffic and change its router.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wamp_client::auth::Credential;
use wamp_client::{
    CallError, Closed, Connect, ConnectionState, ConnectionStates, Invocation, Keepalive, Session, Standing,
    connect,
};
use wamp_router::auth::Principal;
use wamp_router::{Address, Limits, RealmConfig, Router};
use wamp_test::Net;

const SECOND: Duration = Duration::from_secs(1);

/// The time limit of each wait in these tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The behaviour of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Connections stay, and nothing passes.
    BlackHole,
}

/// One port before successive routers.
struct Proxy {
    address: SocketAddr,
    router: Arc<Mutex<SocketAddr>>,
    mode: watch::Sender<Mode>,
    /// Its change cuts all connections.
    cut: watch::Sender<usize>,
}

impl Proxy {
    async fn new(router: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Arc::new(Mutex::new(router));
        let (mode, cut) = (watch::Sender::new(Mode::Forward), watch::Sender::new(0));
        let (mode_seen, cut_seen, target) = (mode.subscribe(), cut.subscribe(), router.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = *target.lock().unwrap();
                tokio::spawn(pass(client, target, mode_seen.clone(), cut_seen.clone()));
            }
        });
        Self { address, router, mode, cut }
    }

    fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    /// Another router replaces the present one, which disappears without GOODBYE.
    fn replace(&self, router: SocketAddr) {
        *self.router.lock().unwrap() = router;
        self.cut();
    }
}

async fn pass(
    mut client: TcpStream,
    router: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    mut cut: watch::Receiver<usize>,
) {
    cut.borrow_and_update();
    let Ok(mut router) = TcpStream::connect(router).await else { return };
    loop {
        if *mode.borrow_and_update() == Mode::BlackHole {
            tokio::select! {
                _ = cut.changed() => return,
                _ = mode.changed() => continue,
            }
        }
        tokio::select! {
            _ = cut.changed() => return,
            _ = mode.changed() => {}
            // When it is dropped, it loses the bytes that it holds, as a black hole must.
            _ = tokio::io::copy_bidirectional(&mut client, &mut router) => return,
        }
        // Connections that were forwarded stay black holes.
        let _ = cut.changed().await;
        return;
    }
}

async fn router() -> (Router, SocketAddr) {
    listening(Router::default()).await
}

async fn listening(router: Router) -> (Router, SocketAddr) {
    let Address::Tcp(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TCP") };
    (router, address)
}

fn quickly(url: String) -> Connect {
    connect(url).backoff(Duration::from_millis(5), Duration::from_millis(100))
}

async fn twice(session: &Session) -> wamp_client::Registration {
    let twice = |call: Invocation| async move { Ok(2 * call.decode::<u64>()?) };
    session.register("com.example.twice", twice).await.unwrap()
}

async fn until_up(states: &mut ConnectionStates) {
    loop {
        match timeout(PATIENCE, states.next()).await.expect("the session comes back") {
            Some(ConnectionState::Up { .. }) => return,
            Some(_) => {}
            None => panic!("the session is over"),
        }
    }
}

/// Calls without end, and counts how the calls end. Each has to end soon.
async fn load(session: Session, served: Arc<AtomicUsize>, failed: Arc<AtomicUsize>) {
    for i in 0.. {
        let result = timeout(PATIENCE, session.call("com.example.twice").arg(i).into_future()).await;
        match result.expect("each call has an end") {
            Ok(result) => {
                assert_eq!(result.decode::<u64>().unwrap(), 2 * i);
                served.fetch_add(1, Ordering::Relaxed);
            }
            Err(
                CallError::Disconnected { .. } | CallError::Canceled { .. } | CallError::Application { .. },
            ) => {
                failed.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(2)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_serves_again_after_each_of_many_restarts_under_load() {
    const RESTARTS: u64 = 30;
    let (mut present, address) = router().await;
    let proxy = Proxy::new(address).await;
    let callee = quickly(proxy.url()).await.unwrap();
    let registration = twice(&callee).await;
    let mut events = callee.subscribe_stream("com.example.topic").await.unwrap();
    let caller = quickly(proxy.url()).await.unwrap();
    let (mut callee_states, mut caller_states) = (callee.states(), caller.states());
    let (served, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(load(caller.clone(), served.clone(), failed.clone()));
    }
    for restart in 0..RESTARTS {
        let (next, address) = router().await;
        proxy.replace(address);
        present = next;
        let begin = Instant::now();
        until_up(&mut callee_states).await;
        until_up(&mut caller_states).await;
        assert!(begin.elapsed() < 3 * SECOND, "{:?}", begin.elapsed());
        let result = caller.call("com.example.twice").arg(restart).await.unwrap();
        assert_eq!(result.decode::<u64>().unwrap(), 2 * restart);
        caller.publish("com.example.topic").arg(restart).acknowledge().await.unwrap();
        let event = timeout(PATIENCE, events.next()).await.expect("the event arrives").unwrap();
        assert_eq!(event.decode::<u64>().unwrap(), restart, "each event once");
    }
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "a call has gone wrong");
    }
    assert_eq!(registration.state(), Some(Standing::Up));
    assert!(served.load(Ordering::Relaxed) > 100, "there was load");
    assert_eq!(present.realm_stats("realm1").unwrap().1.registrations, 1);
    assert_eq!(present.realm_stats("realm1").unwrap().1.topics, 1);
    callee.leave().await;
    caller.leave().await;
}

/// Takes a connection away without closing it, until the client has noticed and is up again.
async fn through_a_black_hole(proxy: &Proxy, states: &mut ConnectionStates) {
    proxy.mode.send_replace(Mode::BlackHole);
    let down = timeout(PATIENCE, states.next()).await.unwrap();
    assert!(matches!(down, Some(ConnectionState::Down { closed: Closed::Silent(_) })), "{down:?}");
    proxy.mode.send_replace(Mode::Forward);
    until_up(states).await;
}

#[tokio::test]
async fn a_router_that_is_not_heard_of_is_given_up_and_its_shadow_is_waited_for() {
    let mut limits = Limits::default();
    (limits.silence, limits.pong) = (SECOND * 2, SECOND);
    let (router, address) = listening(Router::builder().realm("realm1").limits(limits).build()).await;
    let proxy = Proxy::new(address).await;
    let keepalive = Keepalive::default().silence(SECOND / 2).answer(SECOND / 2);
    let callee = quickly(proxy.url()).keepalive(keepalive).await.unwrap();
    let registration = twice(&callee).await;
    let mut states = callee.states();
    through_a_black_hole(&proxy, &mut states).await;
    // The router still keeps the earlier session, whose connection was not closed.
    assert_eq!(registration.state(), Some(Standing::Waiting));
    let restored = timeout(PATIENCE, states.next()).await.unwrap();
    assert!(
        matches!(&restored, Some(ConnectionState::Restored { uri }) if uri == "com.example.twice"),
        "{restored:?}"
    );
    assert_eq!(registration.state(), Some(Standing::Up));
    assert_eq!(router.realm_stats("realm1").unwrap().1.registrations, 1);
    let result = callee.call("com.example.twice").arg(4).await.unwrap();
    assert_eq!(result.decode::<u64>().unwrap(), 8);
}

// behaviour 299
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "a figure for a reader with --nocapture")]
async fn a_callee_in_a_black_hole_serves_again_within_3_s() {
    let realm = RealmConfig::new("realm1").principal(Principal::new("joe", "user").ticket("s3cret"));
    let (router, address) = listening(Router::builder().realm_with(realm).build()).await;
    let proxy = Proxy::new(address).await;
    let keepalive = Keepalive::default().silence(SECOND / 2).answer(SECOND / 2);
    let join = |url| quickly(url).auth(Credential::ticket("joe", "s3cret")).keepalive(keepalive);
    let callee = join(proxy.url()).await.unwrap();
    let registration = twice(&callee).await;
    let caller = join(format!("ws://{address}/ws")).await.unwrap();
    let (served, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(load(caller.clone(), served.clone(), failed.clone()));
    }
    let mut states = callee.states();
    through_a_black_hole(&proxy, &mut states).await;
    let begin = Instant::now();
    assert_eq!(registration.state(), Some(Standing::Waiting));
    let restored = timeout(PATIENCE, states.next()).await.unwrap();
    assert!(matches!(&restored, Some(ConnectionState::Restored { .. })), "{restored:?}");
    let result = caller.call("com.example.twice").arg(4).await.unwrap();
    assert_eq!(result.decode::<u64>().unwrap(), 8);
    let took = begin.elapsed();
    assert!(took < 3 * SECOND, "{took:?}");
    println!("in service again after {took:?}");
    // The calls that the dead session had to answer have failed, and the others go on.
    assert!(failed.load(Ordering::Relaxed) > 0);
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "a call has gone wrong");
    }
    assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 2);
}

#[tokio::test]
async fn a_realm_that_is_gone_ends_the_session() {
    let (_router, address) = router().await;
    let proxy = Proxy::new(address).await;
    let session = quickly(proxy.url()).await.unwrap();
    let (_other, address) = listening(Router::builder().realm("other").build()).await;
    proxy.replace(address);
    let closed = timeout(PATIENCE, session.closed()).await.expect("it is over");
    assert!(
        matches!(&closed, Closed::Aborted { reason, .. } if *reason == "wamp.error.no_such_realm"),
        "{closed}"
    );
}

#[tokio::test]
async fn another_url_takes_over_when_the_router_shuts_down() {
    let ((first, one), (_second, two)) = (router().await, router().await);
    let session = quickly(format!("ws://{one}/ws")).or(format!("rs://{two}")).await.unwrap();
    let registration = twice(&session).await;
    let mut states = session.states();
    first.shut_down().await;
    let down = timeout(PATIENCE, states.next()).await.unwrap();
    assert!(matches!(down, Some(ConnectionState::Down { closed: Closed::ByRouter { .. } })), "{down:?}");
    until_up(&mut states).await;
    assert_eq!(registration.state(), Some(Standing::Up));
    let result = session.call("com.example.twice").arg(4).await.unwrap();
    assert_eq!(result.decode::<u64>().unwrap(), 8);
}

/// A router that restarts gets its clients back one after the other, and not all at once.
#[tokio::test(start_paused = true)]
async fn a_thousand_clients_come_back_spread_over_time() {
    const CLIENTS: usize = 1000;
    let net = Net::start();
    let (first, longest) = (SECOND / 4, SECOND * 15);
    let mut returns = JoinSet::new();
    let mut sessions = Vec::new();
    for number in 0..CLIENTS {
        let session = net.connect(&number.to_string()).backoff(first, longest).await.unwrap();
        let mut states = session.states();
        returns.spawn(async move {
            until_up(&mut states).await;
            Instant::now()
        });
        sessions.push(session);
    }
    let start = Instant::now();
    net.restart().await;
    let mut times: Vec<Duration> = returns.join_all().await.into_iter().map(|at| at - start).collect();
    times.sort();
    // The first delay is between once and twice 250 ms.
    assert!(times[0] >= first && times[CLIENTS - 1] <= 2 * first + SECOND / 20, "{times:?}");
    let window = first / 10;
    let peak = (0..CLIENTS).map(|from| times[from..].partition_point(|at| *at < times[from] + window)).max();
    assert!(peak.unwrap() < CLIENTS / 5, "{peak:?} of them in {window:?}");
    assert_eq!(net.router().unwrap().realm_stats("realm1").unwrap().1.sessions, CLIENTS);
}
