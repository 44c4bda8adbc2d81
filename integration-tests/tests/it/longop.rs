//! The four lines of longop, from a raw callee to a raw caller over every way.

use wamp_proto::Serializer;

use crate::support::{HELLO, House, SERIALIZERS, WAYS, Way, within};

/// Three progressive results, each received before the callee sends the next, then the last one.
async fn longop(house: &House, caller: (Way, Serializer), callee: (Way, Serializer)) {
    let mut callee = house.join(callee.0, callee.1).await;
    let mut caller = house.join(caller.0, caller.1).await;
    let registration = callee.register("com.myapp.longop").await;
    caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.longop",[3]]"#).await;
    callee.expect(&format!(r#"[68,1,{registration},{{"receive_progress":true}},[3]]"#)).await;
    for i in 0..3 {
        callee.say(&format!(r#"[70,1,{{"progress":true}},[{i}],{{"unit":"s"}}]"#)).await;
        caller.expect(&format!(r#"[50,1,{{"progress":true}},[{i}],{{"unit":"s"}}]"#)).await;
    }
    callee.say("[70,1,{},[3]]").await;
    caller.expect("[50,1,{},[3]]").await;

    // Leaving is answered, and frees the name for the next pair.
    for peer in [&mut callee, &mut caller] {
        peer.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
        peer.expect(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
    }
}

#[tokio::test]
async fn every_serializer_talks_to_every_other_over_every_way() {
    let house = House::new().await;
    for way in WAYS {
        for caller in SERIALIZERS {
            for callee in SERIALIZERS {
                longop(&house, (way, caller), (way, callee)).await;
            }
        }
    }
    let (stats, sizes) = house.router.realm_stats("realm1").unwrap();
    let calls = (WAYS.len() * 9) as u64;
    assert_eq!((stats.results, stats.progressive_results), (calls * 4, calls * 3));
    assert_eq!((sizes.sessions, sizes.calls, sizes.registrations), (0, 0, 0));
}

#[tokio::test]
async fn every_way_leads_to_every_other() {
    let house = House::new().await;
    for caller in WAYS {
        for callee in WAYS {
            longop(&house, (caller, Serializer::Json), (callee, Serializer::Cbor)).await;
        }
    }
}

#[tokio::test]
async fn a_caller_that_asks_for_no_progress_gets_one_result() {
    let house = House::new().await;
    let mut callee = house.join(Way::WebSocket, Serializer::MsgPack).await;
    let mut caller = house.join(Way::RawSocket, Serializer::Json).await;
    let registration = callee.register("com.myapp.longop").await;
    caller.say(r#"[48,1,{},"com.myapp.longop",[3]]"#).await;
    callee.expect(&format!("[68,1,{registration},{{}},[3]]")).await;
    // behaviour 16: a callee that sends progress all the same
    callee.say(r#"[70,1,{"progress":true},[0]]"#).await;
    callee.say("[70,1,{},[3]]").await;
    caller.expect("[50,1,{},[3]]").await;
}

#[tokio::test]
async fn welcome_has_the_identity_and_the_features() {
    let house = House::new().await;
    for way in WAYS {
        let mut peer = house.connect(way, Serializer::Json).await;
        peer.say(HELLO).await;
        let welcome = within(peer.hear()).await;
        for part in
            [r#""dealer":{"features":{"#, r#""progressive_call_results":true"#, r#""broker":"#, "wamp-rs/"]
        {
            assert!(welcome.contains(part), "{welcome}");
        }
    }
}
