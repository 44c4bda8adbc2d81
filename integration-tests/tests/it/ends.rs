//! Connections that end: everything sent before is answered, and nothing is waited for.

use tokio::io::AsyncWriteExt;
use tokio::time::{Duration, Instant};
use wamp_router::{Router, Shutdown};

use crate::support::{HELLO, House, within};
use crate::wire::{Wire, frame, ws_frame};

const CALL: &str = r#"[48,1,{},"com.myapp.nobody"]"#;
const GOODBYE: &str = r#"[6,{},"wamp.close.normal"]"#;
const CLOSE: [u8; 2] = 1000_u16.to_be_bytes();
/// The time that waiting for a peer that does not close would take.
const LINGER: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_close_in_the_same_read_as_the_last_message_comes_after_its_answer() {
    for closes in [&CLOSE[..], b""] {
        let house = House::new().await;
        let mut wire = Wire::connect(&house).await;
        wire.join_ws(HELLO).await;
        let start = Instant::now();
        wire.write(&[ws_frame(0x81, CALL.as_bytes()), ws_frame(0x88, closes)].concat()).await;
        let (_, error) = wire.ws_frame().await;
        assert!(error.starts_with(b"[8,48,1,{},\"wamp.error.no_such_procedure\""));
        assert_eq!(wire.ws_frame().await, (0x88, closes.to_vec()));
        assert_eq!(wire.rest().await, b"", "the server closes, without waiting for the client");
        assert!(start.elapsed() < LINGER);
    }
}

#[tokio::test]
async fn a_goodbye_with_a_close_behind_it_is_answered_too() {
    let house = House::new().await;
    let mut wire = Wire::connect(&house).await;
    wire.join_ws(HELLO).await;
    let start = Instant::now();
    let all = [ws_frame(0x81, CALL.as_bytes()), ws_frame(0x81, GOODBYE.as_bytes()), ws_frame(0x88, &CLOSE)];
    wire.write(&all.concat()).await;
    assert!(wire.ws_frame().await.1.starts_with(b"[8,48,1,"));
    assert_eq!(wire.ws_frame().await.1, br#"[6,{},"wamp.close.goodbye_and_out"]"#);
    assert_eq!(wire.ws_frame().await, (0x88, CLOSE.to_vec()));
    assert_eq!(wire.rest().await, b"");
    assert!(start.elapsed() < LINGER);
}

#[tokio::test]
async fn a_message_with_the_end_of_the_stream_behind_it_is_answered() {
    for says_goodbye in [false, true] {
        let house = House::new().await;
        let mut rawsocket = Wire::connect(&house).await;
        rawsocket.join_rawsocket(HELLO).await;
        let mut websocket = Wire::connect(&house).await;
        websocket.join_ws(HELLO).await;
        let goodbye = if says_goodbye { GOODBYE } else { CALL };
        let second = if says_goodbye { "[6," } else { "[8,48,2," };
        let goodbye = goodbye.replace("[48,1", "[48,2");
        let start = Instant::now();
        rawsocket.write(&[frame(CALL), frame(&goodbye)].concat()).await;
        rawsocket.stream.shutdown().await.unwrap();
        assert!(rawsocket.text().await.starts_with("[8,48,1,"));
        assert!(rawsocket.text().await.starts_with(second));
        assert_eq!(rawsocket.rest().await, b"");
        let frames = [ws_frame(0x81, CALL.as_bytes()), ws_frame(0x81, goodbye.as_bytes())];
        websocket.write(&frames.concat()).await;
        websocket.stream.shutdown().await.unwrap();
        assert!(websocket.ws_frame().await.1.starts_with(b"[8,48,1,"));
        assert!(websocket.ws_frame().await.1.starts_with(second.as_bytes()));
        assert_eq!(websocket.ws_frame().await.0, 0x88);
        assert_eq!(websocket.rest().await, b"");
        assert!(start.elapsed() < LINGER);
    }
}

#[tokio::test]
async fn a_client_that_answers_our_close_is_not_waited_for_any_longer() {
    let house = House::new().await;
    let mut wire = Wire::connect(&house).await;
    wire.join_ws(HELLO).await;
    let start = Instant::now();
    wire.write(&ws_frame(0x81, b"[1000]")).await;
    assert!(wire.ws_frame().await.1.starts_with(b"[3,"));
    let (kind, close) = wire.ws_frame().await;
    assert_eq!(kind, 0x88);
    wire.write(&ws_frame(0x88, &close)).await;
    assert_eq!(wire.rest().await, b"");
    assert!(start.elapsed() < LINGER);
}

/// HELLOs as these clients send them.
const AUTOBAHN_PYTHON: &str = include_str!("../../../crates/wamp-core/tests/hellos/autobahn-python.json");
const AUTOBAHN_JS: &str = include_str!("../../../crates/wamp-core/tests/hellos/autobahn-js.json");
const WAMPY: &str = include_str!("../../../crates/wamp-core/tests/hellos/wampy.json");

fn recorded(file: &str) -> &str {
    let (_, hello) = file.split_once("\"hello\": ").unwrap();
    hello.trim_end().strip_suffix('}').unwrap()
}

#[tokio::test]
async fn a_router_that_will_be_back_closes_without_goodbye_where_that_would_be_final() {
    let goodbye = r#"[6,{"message":"the router is shutting down"},"wamp.close.system_shutdown"]"#;
    for shutdown in [Shutdown::Goodbye, Shutdown::Restart] {
        let router = Router::builder().shutdown(shutdown).build();
        let house = House::with(router).await;
        let restarts = shutdown == Shutdown::Restart;
        let mut clients = Vec::new();
        for (file, is_final) in [(AUTOBAHN_JS, true), (WAMPY, true), (AUTOBAHN_PYTHON, false)] {
            let mut wire = Wire::connect(&house).await;
            wire.join_ws(recorded(file)).await;
            clients.push((wire, is_final && restarts));
        }
        // RawSocket cannot express it.
        let mut rawsocket = Wire::connect(&house).await;
        rawsocket.join_rawsocket(recorded(AUTOBAHN_JS)).await;
        // Neither of them has joined.
        let mut early = Wire::connect(&house).await;
        early.write(crate::wire::UPGRADE.as_bytes()).await;
        early.response().await;
        let hears = async {
            for (wire, closes) in &mut clients {
                if !*closes {
                    assert_eq!(wire.ws_frame().await, (0x81, goodbye.as_bytes().to_vec()));
                    wire.write(&ws_frame(0x81, br#"[6,{},"wamp.close.goodbye_and_out"]"#)).await;
                }
                let code: u16 = if *closes { 1001 } else { 1000 };
                assert_eq!(wire.ws_frame().await, (0x88, code.to_be_bytes().to_vec()), "{shutdown:?}");
                wire.write(&ws_frame(0x88, &code.to_be_bytes())).await;
                assert_eq!(wire.rest().await, b"");
            }
            assert_eq!(rawsocket.text().await, goodbye);
            if !restarts {
                assert!(early.ws_frame().await.1.starts_with(b"[3,"));
            }
            let code: u16 = if restarts { 1001 } else { 1000 };
            assert_eq!(early.ws_frame().await, (0x88, code.to_be_bytes().to_vec()));
            drop((rawsocket, early));
        };
        within(async { tokio::join!(house.router.shut_down(), hears) }).await;
    }
}
