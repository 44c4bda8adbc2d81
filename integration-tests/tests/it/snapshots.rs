//! A router as an administrator sees it.

use std::time::Duration;

use wamp_client::{Invocation, Session};
use wamp_router::{CallState, Order, Query};

use crate::support::{House, within};

async fn join(house: &House) -> Session {
    within(wamp_client::connect(format!("ws://{}/ws", house.tcp)).no_reconnect().into_future()).await.unwrap()
}

/// A procedure that does not answer until its call is canceled.
async fn register_endless(session: &Session, procedure: &str) {
    let endless = async |invocation: Invocation| {
        invocation.canceled().await;
        Ok(())
    };
    session.register(procedure, endless).await.unwrap();
}

// behaviour 300
#[tokio::test]
async fn the_tables_of_a_router_are_filtered_ordered_and_limited() {
    let house = House::new().await;
    let (callee, caller) = (join(&house).await, join(&house).await);
    register_endless(&callee, "com.a.endless").await;
    register_endless(&callee, "com.b.endless").await;
    // More than a portion.
    let mut running = Vec::new();
    for _ in 0..1200 {
        running.push(tokio::spawn(caller.call("com.a.endless").into_future()));
    }
    running.push(tokio::spawn(caller.call("com.b.endless").into_future()));
    let listed = within(async {
        loop {
            let listed = house.router.calls(&Query::new().limit(10)).await;
            if listed.total == 1201 {
                break listed;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!((listed.matching, listed.rows.len()), (1201, 10));
    assert!(listed.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.info.age)));
    let listed = house.router.calls(&Query::new().filter("COM.B").order(Order::Results)).await;
    assert_eq!((listed.total, listed.matching), (1201, 1));
    let row = &listed.rows[0];
    assert_eq!((row.realm.as_str(), row.info.procedure.as_deref()), ("realm1", Some("com.b.endless")));
    assert_eq!(row.info.state, CallState::Running);
    assert_eq!(house.router.calls(&Query::new().realm("other")).await.total, 0);

    let sessions = house.router.sessions(&Query::new()).await;
    assert_eq!(sessions.total, 2);
    let first = &sessions.rows[0].info;
    assert_eq!((first.session.key.id(), first.session.invocations), (callee.id(), 1201));
    assert!(first.session.peer.is_some() && first.high_water > 0);
    let registrations = house.router.registrations(&Query::new()).await;
    let uris: Vec<&str> = registrations.rows.iter().map(|row| &*row.info.uri).collect();
    assert_eq!(uris, ["com.a.endless", "com.b.endless"]);

    let id = row.info.id;
    assert!(house.router.cancel_call("realm1", id, "stop").await);
    assert!(!house.router.cancel_call("realm1", id, "stop").await);
    assert!(!house.router.cancel_call("other", id, "stop").await);
    assert!(house.router.end_session("realm1", caller.id(), "bye").await);
    within(caller.closed()).await;
    within(async {
        while house.router.calls(&Query::new()).await.total > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let traffic = house.router.traffic();
    assert!(traffic.received > 1201 * 20 && traffic.sent > 1201 * 20, "{traffic:?}");
    let figures = &house.router.realms()[0];
    assert_eq!((figures.name.as_str(), figures.total.calls), ("realm1", 1201));
    assert!(house.router.is_well(Duration::from_secs(1)).await);
    house.router.shut_down().await;
    assert!(!house.router.is_well(Duration::from_secs(1)).await);
    assert!(house.router.traffic().sent >= traffic.sent, "it never decreases");
}
