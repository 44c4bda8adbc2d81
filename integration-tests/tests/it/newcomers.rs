//! Connections that have not joined: their time limit, and the limit of their places.

use std::time::Duration;

use wamp_router::{Limits, Router};

use crate::support::{HELLO, House, within};
use crate::wire::{HANDSHAKE, UPGRADE, Wire, frame};

/// A router with places for two newcomers.
async fn house() -> House {
    let limits = Limits { connections: Some(8), ..Limits::default() };
    House::with(Router::builder().limits(limits).build()).await
}

async fn until(what: impl Fn() -> bool) {
    within(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_oldest_gives_way_and_is_told() {
    let house = house().await;
    let mut silent = Wire::connect(&house).await;
    let mut http = Wire::connect(&house).await;
    http.write(b"GET / HT").await;
    // Each new connection displaces one.
    let mut rawsocket = Wire::connect(&house).await;
    rawsocket.write(&HANDSHAKE[..2]).await;
    assert_eq!(silent.end().await, b"", "its transport is not known");
    let mut shaken = Wire::connect(&house).await;
    let answer = String::from_utf8(http.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.ends_with("there are too many connections that have not joined; try again\n"), "{answer}");
    shaken.write(&HANDSHAKE).await;
    assert_eq!(shaken.read(4).await, HANDSHAKE);
    let _one = Wire::connect(&house).await;
    assert_eq!(rawsocket.rest().await, [0x7f, 0x40, 0, 0]);
    let _two = Wire::connect(&house).await;
    let abort = shaken.text().await;
    assert!(abort.contains("have not joined") && abort.ends_with(r#","wamp.error.unavailable"]"#), "{abort}");
    assert_eq!(shaken.rest().await, b"");
}

#[tokio::test]
async fn a_session_does_not_give_way_and_one_that_has_ended_does() {
    let house = house().await;
    let mut joined = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect(&house).await;
        wire.join_rawsocket(HELLO).await;
        joined.push(wire);
    }
    let mut crowd = Vec::new();
    for _ in 0..10 {
        crowd.push(Wire::connect(&house).await);
    }
    // It is accepted all the same.
    let mut wire = Wire::connect(&house).await;
    wire.join_ws(HELLO).await;
    assert_eq!(house.router.stats().now.sessions, 5);
    drop(crowd);
    until(|| house.router.stats().connections == 5).await;
    let mut left = joined.remove(0);
    left.write(&frame(r#"[6,{},"wamp.close.normal"]"#)).await;
    assert!(left.text().await.starts_with("[6,"));
    let _others = [Wire::connect(&house).await, Wire::connect(&house).await];
    let abort = left.text().await;
    assert!(abort.ends_with(r#","wamp.error.unavailable"]"#), "{abort}");
    assert_eq!(house.router.stats().now.sessions, 4);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_answered() {
    let limits = Limits { join: Duration::from_millis(100), ..Limits::default() };
    let house = House::with(Router::builder().limits(limits).build()).await;
    let mut http = Wire::connect(&house).await;
    http.write(&UPGRADE.as_bytes()[..40]).await;
    let mut joining = Wire::connect(&house).await;
    joining.write(&HANDSHAKE).await;
    assert_eq!(joining.read(4).await, HANDSHAKE);
    let answer = String::from_utf8(http.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.ends_with("the handshake took too long\n"), "{answer}");
    assert!(joining.text().await.contains("no HELLO in time"));
    // A silent one is closed.
    let mut silent = Wire::connect(&house).await;
    assert_eq!(silent.end().await, b"");
}

#[tokio::test]
async fn a_long_head_and_garbage_are_answered_though_more_of_it_comes() {
    let house = House::new().await;
    let cookie = format!("Cookie: {}\r\n\r\n", "a".repeat(200_000));
    let long = UPGRADE.replace("\r\n\r\n", &format!("\r\n{cookie}"));
    let garbage = "hello?".repeat(50_000);
    for (said, status) in [(long, "431 Request Header Fields Too Large"), (garbage, "400 Bad Request")] {
        let mut wire = Wire::connect(&house).await;
        wire.write(said.as_bytes()).await;
        let answer = String::from_utf8(wire.rest().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    }
}
