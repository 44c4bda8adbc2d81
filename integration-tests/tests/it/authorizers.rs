//! Authorizers of the program, and WAMP procedures as authorizers.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use wamp_client::{Failure, Invocation, Session, connect};
use wamp_proto::Serializer;
use wamp_router::{Authorizer, Limits, Procedure, Question, RealmConfig, Role, Router, Verdict, async_trait};

use crate::authentication::joined;
use crate::support::{House, Way, piped, within};

/// Decides by the URI: at once, later, never, or by a number in it after as many milliseconds.
struct ByUri;

#[async_trait]
impl Authorizer for ByUri {
    fn at_once(&self, question: &Question) -> Option<Verdict> {
        let uri = question.uri.as_str();
        match uri {
            "com.now.yes" => Some(Verdict::ALLOWED),
            "com.now.no" => Some(Verdict::DENIED),
            _ => None,
        }
    }

    async fn decide(&self, question: &Question) -> Verdict {
        if question.uri.ends_with(".never") {
            std::future::pending::<()>().await;
        }
        // The later ones are decided first.
        if let Some(millis) = question.uri.rsplit(".after").next().and_then(|millis| millis.parse().ok()) {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        if question.uri.ends_with(".no") { Verdict::DENIED } else { Verdict::ALLOWED }
    }
}

async fn house(realm: RealmConfig) -> House {
    let open = RealmConfig::new("auth");
    House::with(Router::builder().realm_with(realm).realm_with(open).build()).await
}

fn of_program() -> RealmConfig {
    RealmConfig::new("realm1").anonymous("device").role(Role::new("device")).authorizer("device", ByUri)
}

async fn join(house: &House, realm: &'static str) -> Session {
    joined(connect(format!("ws://{}/", house.tcp)).realm(realm)).await
}

async fn uri_of(session: &Session, procedure: &'static str) -> String {
    let called = within(session.call(procedure).into_future()).await;
    called.err().and_then(|error| error.uri().map(ToString::to_string)).unwrap_or_default()
}

// behaviour 257, behaviour 262, behaviour 263
#[tokio::test]
async fn an_authorizer_of_the_program_decides_at_once_or_later_and_the_order_stays() {
    let house = house(of_program()).await;
    let (session, other) = (join(&house, "realm1").await, join(&house, "realm1").await);
    for procedure in ["com.now.yes", "com.later.yes"] {
        other.register(procedure, |_: Invocation| async { Ok::<_, Failure>(1) }).await.unwrap();
        assert_eq!(within(session.call(procedure).into_future()).await.unwrap().decode::<u32>().unwrap(), 1);
    }
    for procedure in ["com.now.no", "com.later.no"] {
        assert_eq!(uri_of(&session, procedure).await, "wamp.error.not_authorized");
        assert!(other.register(procedure, |_: Invocation| async { Ok::<_, Failure>(1) }).await.is_err());
    }
    assert_eq!(uri_of(&session, "com.never").await, "wamp.error.authorization_failed");

    // The first is decided last.
    let mut events = other.subscribe_stream("com.topic.").prefix().await.unwrap();
    let last = 30;
    for index in 0..=last {
        let topic = format!("com.topic.n{index}.after{}", (last - index) * 3);
        session.publish(topic).args((index,)).await.unwrap();
    }
    session.leave().await;
    for index in 0..=last {
        let event = within(events.next()).await.unwrap();
        assert_eq!(event.decode::<u32>().unwrap(), index, "also with GOODBYE behind them");
    }
}

/// Answers as an authorizer.
fn may(details: &Json, uri: &str, action: &str, options: &Json) -> Result<Json, Failure> {
    assert_eq!((&details["authrole"], &details["realm"]), (&json!("device"), &json!("realm1")), "{details}");
    assert!(options.is_object(), "{options}");
    match uri {
        "com.yes" => Ok(json!(true)),
        "com.no" => Ok(json!(false)),
        "com.dict" => Ok(json!({"allow": true, "disclose": true, "cache": true})),
        "com.calls" => Ok(json!({"allow": action == "call"})),
        "com.prefix." => Ok(json!(options["match"] == "prefix" && action == "subscribe")),
        "com.nonsense" => Ok(json!({"allowed": true})),
        _ => Err("it is broken".into()),
    }
}

// behaviour 257, behaviour 266
#[tokio::test]
async fn a_procedure_in_another_realm_decides_about_requests() {
    let procedure = Procedure::new("com.auth.may").realm("auth");
    let realm = RealmConfig::new("realm1").anonymous("device").authorizer_procedure("device", procedure);
    let house = house(realm).await;
    let session = join(&house, "realm1").await;
    assert_eq!(uri_of(&session, "com.yes").await, "wamp.error.authorization_failed", "it is not there yet");
    let authorizer = join(&house, "auth").await;
    let handler = |call: Invocation| async move {
        let (details, uri, action, options): (Json, String, String, Json) = call.args()?;
        if uri == "com.slow" {
            std::future::pending::<()>().await;
        }
        may(&details, &uri, &action, &options)
    };
    let registration = authorizer.register("com.auth.may", handler).await.unwrap();
    for (procedure, uri) in [
        ("com.yes", "wamp.error.no_such_procedure"),
        ("com.calls", "wamp.error.no_such_procedure"),
        ("com.no", "wamp.error.not_authorized"),
        ("com.prefix.", "wamp.error.invalid_uri"),
        ("com.nonsense", "wamp.error.authorization_failed"),
        ("com.broken", "wamp.error.authorization_failed"),
        ("com.slow", "wamp.error.authorization_failed"),
    ] {
        assert_eq!(uri_of(&session, procedure).await, uri, "{procedure}");
    }
    assert!(session.subscribe_stream("com.prefix.").prefix().await.is_ok());
    assert!(session.subscribe_stream("com.no").await.is_err());
    let callee = |call: Invocation| async move { Ok::<_, Failure>(call.caller().is_some()) };
    assert!(session.register("com.calls", callee).await.is_err());
    session.register("com.dict", callee).await.unwrap();
    let disclosed = within(session.call("com.dict").into_future()).await.unwrap();
    assert!(disclosed.decode::<bool>().unwrap(), "the verdict discloses the caller");
    // The authorizer leaves while it is asked.
    let asking = session.call("com.slow");
    let leaving = async {
        while house.router.realm_stats("auth").unwrap().1.calls == 0 {
            tokio::task::yield_now().await;
        }
        drop(registration);
        authorizer.leave().await;
    };
    let (called, ()) = within(async { tokio::join!(asking.into_future(), leaving) }).await;
    assert_eq!(called.unwrap_err().uri().unwrap().as_str(), "wamp.error.authorization_failed");
    assert_eq!(house.router.stats().now.waiting, 0);
}

// behaviour 265: Crossbar.io keeps it for the role.
#[tokio::test]
async fn two_users_of_a_role_do_not_share_a_verdict() {
    let procedure = Procedure::new("com.auth.may").realm("auth");
    let realm = RealmConfig::new("realm1").anonymous("device").authorizer_procedure("device", procedure);
    let house = house(realm).await;
    let authorizer = join(&house, "auth").await;
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = asked.clone();
    let handler = move |call: Invocation| {
        let log = log.clone();
        async move {
            let (details, uri, _, _): (Json, String, String, Json) = call.args()?;
            let mut log = log.lock().unwrap();
            log.push(details["session"].as_u64().unwrap());
            // Only the first user may.
            Ok::<_, Failure>(json!({"allow": log[0] == log[log.len() - 1], "cache": uri != "com.once"}))
        }
    };
    let _registration = authorizer.register("com.auth.may", handler).await.unwrap();
    let (one, two) = (join(&house, "realm1").await, join(&house, "realm1").await);
    for _ in 0..3 {
        assert_eq!(uri_of(&one, "com.yes").await, "wamp.error.no_such_procedure");
        assert_eq!(uri_of(&two, "com.yes").await, "wamp.error.not_authorized");
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
    for _ in 0..3 {
        assert_eq!(uri_of(&one, "com.once").await, "wamp.error.no_such_procedure");
    }
    assert_eq!(asked.lock().unwrap().len(), 5);
}

// behaviour 109, behaviour 263: a slow subscriber holds the publisher, and misses nothing as long as it reads.
#[tokio::test]
async fn decided_publications_are_held_back_for_a_slow_subscriber() {
    let limits = Limits { high_water: 64 << 10, low_water: 32 << 10, ..Limits::default() };
    let (house, count) =
        (House::with(Router::builder().limits(limits).realm_with(of_program()).build()).await, 1_500);
    let (session, other) = (join(&house, "realm1").await, join(&house, "realm1").await);
    let mut events = other.subscribe_stream("com.").prefix().await.unwrap();
    let long = "x".repeat(16_000);
    let publishing = async {
        for index in 0..count {
            let topic = if index % 3 == 0 { "com.now.yes" } else { "com.later.yes" };
            session.publish(topic).args((index, &long)).await.unwrap();
        }
    };
    let reading = async {
        for index in 0..count {
            if index % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let event = within(events.next()).await.unwrap();
            assert_eq!(event.decode::<(u32, String)>().unwrap().0, index);
        }
    };
    tokio::join!(publishing, reading);
    let stats = house.router.stats();
    assert_eq!((stats.total.events_dropped, stats.now.waiting), (0, 0));
    assert!(stats.total.holds > 0, "the publisher was held");
}

// behaviour 109, behaviour 263: also if the publisher sends nothing more.
#[tokio::test(start_paused = true)]
async fn decided_publications_go_on_after_the_end_of_a_hold() {
    let limits = Limits { high_water: 64 << 10, low_water: 32 << 10, ..Limits::default() };
    let router = Router::builder().limits(limits).realm_with(of_program()).build();
    let mut publisher = piped(&router, Way::RawSocket, Serializer::Json, 4 << 20).await;
    let mut subscriber = piped(&router, Way::RawSocket, Serializer::Json, 1000).await;
    subscriber.say(r#"[32,1,{"match":"prefix"},"com."]"#).await;
    assert!(subscriber.hear().await.starts_with("[33,1,"));
    let (count, long) = (40, "x".repeat(16_000));
    for request in 1..=count {
        publisher.say(&format!(r#"[16,{request},{{}},"com.topic.after50",[{request},"{long}"]]"#)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(router.stats().now.held, 1);
    for request in 1..=count {
        let event = tokio::time::timeout(Duration::from_secs(10), subscriber.hear()).await;
        let event = event.unwrap_or_else(|_| panic!("no event of publication {request}"));
        assert!(event.contains(&format!(r#"[{request},"x"#)), "{}", &event[..100]);
    }
    assert_eq!((router.stats().now.waiting, router.stats().total.events_dropped), (0, 0));
}

// behaviour 266
#[tokio::test]
async fn a_call_that_is_canceled_ends_the_question_about_it() {
    let procedure = Procedure::new("com.auth.may").realm("auth");
    let realm = RealmConfig::new("realm1").anonymous("device").authorizer_procedure("device", procedure);
    let house = house(realm).await;
    let (session, authorizer) = (join(&house, "realm1").await, join(&house, "auth").await);
    let handler = |_: Invocation| std::future::pending::<Result<bool, Failure>>();
    let _registration = authorizer.register("com.auth.may", handler).await.unwrap();
    let calls = || house.router.realm_stats("auth").unwrap().1.calls;
    let since = Instant::now();
    let calling = tokio::spawn(session.call("com.slow").into_future());
    within(async {
        while calls() == 0 {
            tokio::task::yield_now().await;
        }
        // The client cancels a call that nothing waits for.
        calling.abort();
        while calls() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(3), "the router has waited for its own timeout");
}

// behaviour 263, behaviour 267
#[tokio::test]
async fn authorizers_change_with_the_configuration() {
    let plain = || RealmConfig::new("realm1").anonymous("device").role(Role::new("device"));
    let house = House::with(Router::builder().realm_with(plain()).build()).await;
    let listen = ["127.0.0.1:0".to_owned(), format!("unix://{}", house.unix.display())];
    let reload = |realms: Vec<RealmConfig>| {
        let builder = realms.into_iter().fold(Router::builder(), wamp_router::Builder::realm_with);
        async { within(house.router.reload(builder, &listen)).await.unwrap() }
    };
    let session = join(&house, "realm1").await;
    assert_eq!(uri_of(&session, "com.now.yes").await, "wamp.error.not_authorized");
    reload(vec![plain().authorizer("device", ByUri)]).await;
    assert_eq!(uri_of(&session, "com.now.yes").await, "wamp.error.no_such_procedure");
    assert_eq!(uri_of(&session, "com.later.no").await, "wamp.error.not_authorized");

    // An authorizer in a realm that is new, and a realm that is new with an authorizer.
    let procedure = || Procedure::new("com.auth.may").realm("auth");
    let new = RealmConfig::new("new").anonymous("device").authorizer_procedure("device", procedure());
    let asks = plain().authorizer_procedure("device", procedure());
    reload(vec![asks, new, RealmConfig::new("auth")]).await;
    let authorizer = join(&house, "auth").await;
    let handler = |call: Invocation| async move {
        let (_, uri, _, _): (Json, String, String, Json) = call.args()?;
        Ok::<_, Failure>(uri == "com.yes")
    };
    let _registration = authorizer.register("com.auth.may", handler).await.unwrap();
    for session in [&session, &join(&house, "new").await] {
        assert_eq!(uri_of(session, "com.yes").await, "wamp.error.no_such_procedure");
        assert_eq!(uri_of(session, "com.now.yes").await, "wamp.error.not_authorized");
    }

    // A question that is under way when the authorizer is removed is answered, and counts for nothing.
    reload(vec![plain().authorizer("device", ByUri), RealmConfig::new("auth")]).await;
    let asking = session.call("com.after300");
    let reloading = async {
        while house.router.stats().now.waiting == 0 {
            tokio::task::yield_now().await;
        }
        reload(vec![plain()]).await
    };
    let (called, _) = within(async { tokio::join!(asking.into_future(), reloading) }).await;
    assert_eq!(called.unwrap_err().uri().unwrap().as_str(), "wamp.error.not_authorized");
    assert_eq!(house.router.stats().now.waiting, 0);
}
