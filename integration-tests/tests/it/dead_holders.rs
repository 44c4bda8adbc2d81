//! A principal comes back while the router still believes in its earlier session.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wamp_proto::Serializer;
use wamp_router::auth::Principal;
use wamp_router::{RealmConfig, Router};
use wamp_transport::Incoming;

use crate::support::{HELLO, Peer, Way, connected};

const SECOND: Duration = Duration::from_secs(1);
const PIPE: usize = 4096;
const REGISTER: &str = r#"[64,1,{},"com.myapp.longop"]"#;

fn router() -> Router {
    let principals = ["joe", "jane"].map(|authid| Principal::new(authid, "user").ticket("s3cret"));
    let realm =
        principals.into_iter().fold(RealmConfig::new("realm1").anonymous("user"), RealmConfig::principal);
    Router::builder().realm_with(realm).build()
}

/// Joins as this principal, or anonymously.
async fn join(router: &Router, way: Way, authid: Option<&str>) -> Peer {
    let mut peer = connected(router, way, Serializer::Json, PIPE).await;
    match authid {
        Some(authid) => {
            let login = format!(r#""_ping":true,"authmethods":["ticket"],"authid":"{authid}"}}]"#);
            peer.say(&HELLO.replace(r#""_ping":true}]"#, &login)).await;
            peer.expect(r#"[4,"ticket",{}]"#).await;
            peer.say(r#"[5,"s3cret",{}]"#).await;
        }
        None => peer.say(HELLO).await,
    }
    assert!(peer.hear().await.starts_with("[2,"));
    peer
}

async fn is_refused(peer: &mut Peer) -> bool {
    peer.hear().await.contains("wamp.error.procedure_already_exists")
}

fn sessions(router: &Router) -> usize {
    router.realm_stats("realm1").unwrap().1.sessions
}

// behaviour 299
#[tokio::test(start_paused = true)]
async fn a_holder_that_gives_no_sign_of_life_makes_room_after_2_s() {
    for way in [Way::Memory, Way::RawSocket, Way::WebSocket] {
        for is_full in [false, true] {
            let router = router();
            let mut holder = join(&router, way, Some("joe")).await;
            holder.register("com.myapp.longop").await;
            if is_full {
                // It has not read this call, and its PING would wait behind that.
                let mut caller = join(&router, Way::Memory, None).await;
                caller.say(&format!(r#"[48,1,{{}},"com.myapp.longop",["{}"]]"#, "x".repeat(100_000))).await;
                sleep(SECOND).await;
            }
            let mut newcomer = join(&router, Way::Memory, Some("joe")).await;
            newcomer.say(REGISTER).await;
            assert!(is_refused(&mut newcomer).await);
            let before = sessions(&router);
            sleep(2 * SECOND - SECOND / 10).await;
            assert_eq!(sessions(&router), before, "{way:?}");
            sleep(SECOND / 5).await;
            assert_eq!(sessions(&router), before - 1, "{way:?}, {is_full}");
            newcomer.say(r#"[64,2,{},"com.myapp.longop"]"#).await;
            newcomer.expect("[65,2,2]").await;
        }
    }
}

// behaviour 299
#[tokio::test(start_paused = true)]
async fn a_holder_that_is_alive_stays_whatever_others_register() {
    const MINUTE: Duration = Duration::from_secs(60);
    let router = router();
    let mut holder = join(&router, Way::Memory, Some("joe")).await;
    holder.register("com.myapp.longop").await;
    let mut newcomer = join(&router, Way::Memory, Some("joe")).await;
    let begin = Instant::now();
    let flood = async {
        for request in 1.. {
            newcomer.say(&format!(r#"[64,{request},{{}},"com.myapp.longop"]"#)).await;
            assert!(is_refused(&mut newcomer).await);
            sleep(SECOND / 100).await;
            if begin.elapsed() > MINUTE {
                return;
            }
        }
    };
    let lives = async {
        let mut pings = 0;
        while let Ok(item) = timeout(3 * SECOND, holder.incoming()).await {
            let Incoming::Ping(_) = item.unwrap() else { panic!("not a PING") };
            // It is slow, and in time.
            sleep(SECOND).await;
            holder.pong().await;
            pings += 1;
        }
        pings
    };
    let ((), pings) = tokio::join!(flood, lives);
    assert!((20..=31).contains(&pings), "{pings} PINGs in a minute");
    assert_eq!(sessions(&router), 2);
}

// behaviour 299
#[tokio::test(start_paused = true)]
async fn a_holder_is_not_asked_for_the_sake_of_another_principal() {
    for (one, another) in
        [(Some("joe"), Some("jane")), (None, None), (Some("joe"), None), (None, Some("joe"))]
    {
        let router = router();
        let mut holder = join(&router, Way::Memory, one).await;
        holder.register("com.myapp.longop").await;
        let mut newcomer = join(&router, Way::Memory, another).await;
        newcomer.say(REGISTER).await;
        assert!(is_refused(&mut newcomer).await);
        assert!(timeout(10 * SECOND, holder.incoming()).await.is_err(), "nothing is sent");
        assert_eq!(sessions(&router), 2);
    }
}

// behaviour 299
#[tokio::test(start_paused = true)]
async fn a_holder_that_is_not_known_to_answer_pings_is_not_asked() {
    let router = router();
    let mut holder = connected(&router, Way::RawSocket, Serializer::Json, PIPE).await;
    let login = r#""authmethods":["ticket"],"authid":"joe"}]"#;
    holder.say(&HELLO.replace(r#""_ping":true}]"#, login)).await;
    holder.expect(r#"[4,"ticket",{}]"#).await;
    holder.say(r#"[5,"s3cret",{}]"#).await;
    holder.hear().await;
    holder.register("com.myapp.longop").await;
    let mut newcomer = join(&router, Way::Memory, Some("joe")).await;
    newcomer.say(REGISTER).await;
    assert!(is_refused(&mut newcomer).await);
    assert!(timeout(10 * SECOND, holder.incoming()).await.is_err(), "nothing is sent");
    assert_eq!(sessions(&router), 2);
}
