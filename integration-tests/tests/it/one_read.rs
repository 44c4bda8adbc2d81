//! The messages of one read are handled in their order, on any path through the router.

use wamp_proto::Serializer;

use crate::support::{HELLO, House, SERIALIZERS, Way};
use crate::wire::{Wire, frame, frame_of};

/// A callee of which the test writes each byte, and two callers with a running call to it.
async fn calls(
    house: &House,
    caller: Serializer,
) -> (Wire<tokio::net::TcpStream>, [crate::support::Peer; 2]) {
    let mut callee = Wire::connect(house).await;
    callee.join_rawsocket(HELLO).await;
    callee.write(&frame(r#"[64,1,{},"com.myapp.longop"]"#)).await;
    assert!(callee.text().await.starts_with("[65,1,"));
    let mut callers = Vec::new();
    for _ in 0..2 {
        let mut peer = house.join(Way::RawSocket, caller).await;
        peer.say(r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#).await;
        assert!(callee.text().await.starts_with("[68,"));
        callers.push(peer);
    }
    (callee, callers.try_into().unwrap_or_else(|_| unreachable!("there are two")))
}

fn frames(messages: &[&str]) -> Vec<u8> {
    messages.iter().flat_map(|message| frame(message)).collect()
}

#[tokio::test]
async fn results_keep_their_order_on_the_short_and_the_general_way() {
    let long = "x".repeat(5000);
    for serializer in SERIALIZERS {
        let house = House::new().await;
        let (mut callee, [mut one, mut two]) = calls(&house, serializer).await;
        let (large, spaced) =
            (format!(r#"[70,1,{{"progress":true}},["{long}"]]"#), r#"[70, 1, {"progress": true}, [3]]"#);
        let first = frames(&[
            r#"[70,1,{"progress":true},[1]]"#,
            r#"[70,2,{"progress":true},["a"]]"#,
            r#"[70,1,{"progress":true},[2],{"k":1}]"#,
            spaced,
            &large,
            r#"[70,2,{"progress":true}]"#,
        ]);
        let second = frames(&[
            r#"[70,1,{"progress":true},[],{"k":[]}]"#,
            r#"[8,68,2,{},"com.myapp.error",["no"]]"#,
            r#"[70,2,{"progress":true},["late"]]"#,
            r#"[70,1,{},[4]]"#,
            r#"[70,1,{"progress":true},["late"]]"#,
        ]);
        callee.write(&[first, frame_of(1, b"ping"), second].concat()).await;
        let large = format!(r#"[50,1,{{"progress":true}},["{long}"]]"#);
        for wanted in [
            r#"[50,1,{"progress":true},[1]]"#,
            r#"[50,1,{"progress":true},[2],{"k":1}]"#,
            r#"[50,1,{"progress":true},[3]]"#,
            &large,
            r#"[50,1,{"progress":true},[],{"k":[]}]"#,
            "[50,1,{},[4]]",
        ] {
            one.expect(wanted).await;
        }
        for wanted in [
            r#"[50,1,{"progress":true},["a"]]"#,
            r#"[50,1,{"progress":true}]"#,
            r#"[8,48,1,{},"com.myapp.error",["no"]]"#,
        ] {
            two.expect(wanted).await;
        }
        assert_eq!(callee.frame().await, (2, b"ping".to_vec()));
        assert_eq!(house.router.realm_stats("realm1").unwrap().0.late, 2);
    }
}

#[tokio::test]
async fn messages_before_garbage_count_and_messages_behind_it_do_not() {
    let house = House::new().await;
    let (mut callee, [mut one, mut two]) = calls(&house, Serializer::MsgPack).await;
    callee
        .write(&frames(&[
            r#"[70,1,{"progress":true},[1]]"#,
            r#"[70,1,{"progress":true},[2]]"#,
            r#"[70,2,{"progress":true},[1]}"#,
            r#"[70,1,{"progress":true},[3]]"#,
        ]))
        .await;
    assert!(callee.text().await.starts_with("[3,"));
    one.expect(r#"[50,1,{"progress":true},[1]]"#).await;
    one.expect(r#"[50,1,{"progress":true},[2]]"#).await;
    assert!(one.hear().await.starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
    assert!(two.hear().await.starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
}

#[tokio::test]
async fn another_session_may_begin_in_the_read_that_ends_one() {
    let house = House::new().await;
    let (mut callee, [mut one, _two]) = calls(&house, Serializer::Json).await;
    callee
        .write(&frames(&[
            r#"[70,1,{"progress":true},[1]]"#,
            r#"[6,{},"wamp.close.close_realm"]"#,
            HELLO,
            r#"[64,1,{},"com.myapp.other"]"#,
        ]))
        .await;
    assert_eq!(callee.text().await, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
    assert!(callee.text().await.starts_with("[2,"));
    assert!(callee.text().await.starts_with("[65,1,"));
    one.expect(r#"[50,1,{"progress":true},[1]]"#).await;
    assert!(one.hear().await.starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
    one.say(r#"[48,2,{},"com.myapp.other"]"#).await;
    assert!(callee.text().await.starts_with("[68,1,"));
}

// behaviour 55
#[tokio::test]
async fn results_for_callers_with_other_serializers_keep_their_order_until_one_cannot_be_written() {
    for serializer in [Serializer::MsgPack, Serializer::Cbor] {
        let house = House::new().await;
        let (mut callee, [mut one, mut two]) = calls(&house, serializer).await;
        let mut three = house.join(Way::WebSocket, Serializer::Json).await;
        three.say(r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#).await;
        assert!(callee.text().await.starts_with("[68,3,"));
        let results = [
            (1, r#"[1,-1,1.5,null]"#),
            (2, r#"["a"],{"k":[true]}"#),
            (3, r#"["\u0000AQID"]"#),
            (1, r#"["b\n",[]]"#),
        ];
        for _ in 0..3 {
            let frames: Vec<_> = results
                .iter()
                .map(|(request, payload)| format!(r#"[70,{request},{{"progress":true}},{payload}]"#))
                .collect();
            callee.write(&frames.iter().flat_map(|text| frame(text)).collect::<Vec<_>>()).await;
            one.expect(r#"[50,1,{"progress":true},[1,-1,1.5,null]]"#).await;
            one.expect(r#"[50,1,{"progress":true},["b\n",[]]]"#).await;
            two.expect(r#"[50,1,{"progress":true},["a"],{"k":[true]}]"#).await;
            three.expect(r#"[50,1,{"progress":true},["\u0000AQID"]]"#).await;
        }
        // Bad base64 ends its call, and nothing before or after is lost.
        callee
            .write(&frames(&[
                r#"[70,1,{"progress":true},[2]]"#,
                r#"[70,1,{"progress":true},["\u0000!!!"]]"#,
                r#"[70,1,{"progress":true},["late"]]"#,
                r#"[70,2,{"progress":true},[3]]"#,
                "[70,2,{},[4]]",
            ]))
            .await;
        one.expect(r#"[50,1,{"progress":true},[2]]"#).await;
        assert!(one.hear().await.starts_with(r#"[8,48,1,{},"wamp.error.invalid_argument""#));
        two.expect(r#"[50,1,{"progress":true},[3]]"#).await;
        two.expect("[50,1,{},[4]]").await;
        assert!(callee.text().await.starts_with("[69,1,"));
        assert_eq!(house.router.realm_stats("realm1").unwrap().0.late, 1);
    }
}
