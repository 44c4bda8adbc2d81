//! Payloads that are opaque to the router, in both forms.

use serde_json::{Value, json};
use wamp_client::{
    CallError, Client, EventStream, Failure, Invocation, Payload, Ppt, RequestError, Serializer, Session,
};
use wamp_transport::memory;

use crate::peer::{Peer, joined};

/// A session at a router with both forms.
async fn both() -> (Session, Peer) {
    let (ours, theirs) = memory::pair(Serializer::Json);
    let mut peer = Peer::new(theirs);
    let features = json!({"payload_passthru_mode": true, "payload_transparency": true,
        "progressive_call_results": true, "progressive_call_invocations": true, "call_canceling": true});
    let welcome = async {
        let hello = peer.next().await;
        for role in ["caller", "callee", "publisher", "subscriber"] {
            let features = &hello[2]["roles"][role]["features"];
            assert_eq!(features["payload_passthru_mode"], true, "{role}");
            assert_eq!(features["payload_transparency"], true, "{role}");
        }
        let roles = json!({"dealer": {"features": features}, "broker": {"features": features}});
        peer.send(json!([2, 4711, {"roles": roles}])).await;
    };
    let (session, ()) = tokio::join!(async { Client::over(ours).await }, welcome);
    (session.unwrap(), peer)
}

/// Options of each form, as they are written, and the payload with the bytes 1, 2, 3.
fn forms() -> [(Ppt, Value, Value); 2] {
    let transparency =
        Ppt { enc_algo: Some("cryptobox".into()), enc_key: Some("k".into()), ..Ppt::default() };
    let passthru = Ppt { scheme: Some("wamp".into()), serializer: Some("cbor".into()), ..Ppt::default() };
    [
        (transparency, json!({"enc_algo": "cryptobox", "enc_key": "k"}), json!("\0AQID")),
        (passthru, json!({"ppt_scheme": "wamp", "ppt_serializer": "cbor"}), json!(["\0AQID"])),
    ]
}

// behaviour 150
#[tokio::test]
async fn opaque_bytes_are_published_and_received() {
    for (ppt, options, payload) in forms() {
        let (session, mut peer) = both().await;
        session.publish("com.a").opaque(ppt.clone(), [1, 2, 3]).await.unwrap();
        peer.expect(json!([16, 1, options, "com.a", payload])).await;

        let answer = async {
            let message = peer.next().await;
            peer.send(json!([33, message[1], 9])).await;
        };
        let subscribe = session.subscribe_stream("com.a");
        let (stream, ()) = tokio::join!(subscribe, answer);
        let mut stream: EventStream = stream.unwrap();
        peer.send_all(&[json!([36, 9, 1, options, payload]), json!([36, 9, 2, {}, [1]])]).await;
        let event = stream.next().await.unwrap();
        let (read, bytes) = event.opaque().unwrap();
        assert_eq!((read, &bytes[..], event.ppt()), (&ppt, &[1, 2, 3][..], Some(&ppt)));
        let event = stream.next().await.unwrap();
        assert!(event.opaque().is_none() && event.ppt().is_none());
    }
}

// behaviour 150
#[tokio::test]
async fn opaque_bytes_are_called_with_and_are_a_result() {
    for (ppt, options, payload) in forms() {
        let (session, mut peer) = both().await;
        let call = tokio::spawn(session.call("com.a").opaque(ppt.clone(), [1, 2, 3]).send());
        peer.expect(json!([48, 1, options, "com.a", payload])).await;
        peer.send(json!([50, 1, options, payload])).await;
        let result = call.await.unwrap().unwrap();
        let (read, bytes) = result.opaque().unwrap();
        assert_eq!((read, &bytes[..]), (&ppt, &[1, 2, 3][..]));

        let call = tokio::spawn(session.call("com.a").send());
        peer.next().await;
        peer.send(json!([50, 2, {}, [1]])).await;
        assert!(call.await.unwrap().unwrap().opaque().is_none());

        // The details of a progressive result are not those of the last result.
        let call = tokio::spawn(session.call("com.a").on_progress(|_: Payload| {}).send());
        peer.next().await;
        let mut progress = options.clone();
        progress["progress"] = true.into();
        peer.send_all(&[json!([50, 3, progress, payload]), json!([50, 3, {}, ["\0AQID"]])]).await;
        let result = call.await.unwrap().unwrap();
        assert!(result.ppt().is_none() && result.opaque().is_none(), "{result:?}");

        // An error has the bytes as its payload.
        let call = tokio::spawn(session.call("com.a").send());
        peer.next().await;
        peer.send(json!([8, 48, 4, options, "com.error", payload])).await;
        let error = call.await.unwrap().unwrap_err();
        assert!(!error.to_string().is_empty());
        let has_binary = error.payload().unwrap().as_binary().is_some();
        assert_eq!(has_binary, ppt.enc_algo.is_some());
    }
}

// behaviour 150
#[tokio::test]
async fn a_procedure_answers_with_opaque_bytes() {
    async fn reverse(call: Invocation) -> Result<Payload, Failure> {
        let (ppt, bytes) = call.opaque().ok_or_else(|| Failure::new("com.not_opaque"))?;
        let bytes: Vec<u8> = bytes.iter().rev().copied().collect();
        let result = call.opaque_result(ppt.clone(), bytes)?;
        if let Some(progress) = call.progress() {
            progress.send(result.clone()).await?;
        }
        Ok(result)
    }
    for (_, options, payload) in forms() {
        let (session, mut peer) = both().await;
        peer.register(session.register("com.a", reverse)).await;
        let mut details = options.clone();
        details["receive_progress"] = true.into();
        peer.send(json!([68, 1, 7, details, payload])).await;
        let answer = if payload.is_array() { json!(["\0AwIB"]) } else { json!("\0AwIB") };
        let mut progress = json!({"progress": true});
        progress.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        peer.expect(json!([70, 1, progress, answer])).await;
        peer.expect(json!([70, 1, options, answer])).await;
        // Another invocation is not concerned.
        peer.send(json!([68, 2, 7, {}, [1]])).await;
        let error = peer.next().await;
        assert_eq!((&error[2], &error[4]), (&json!(2), &json!("com.not_opaque")), "{error}");
    }
}

// behaviour 150
#[tokio::test]
async fn chunks_of_opaque_bytes_have_the_options_of_the_call() {
    let (ppt, options, _) = forms()[0].clone();
    let (session, mut peer) = both().await;
    let call = session.call("com.a").opaque(ppt, [1, 2, 3]).duplex::<Payload>();
    let (mut up, _down) = call.await.unwrap();
    let sent = peer.next().await;
    assert_eq!((&sent[2]["enc_algo"], &sent[4]), (&json!("cryptobox"), &json!("\0AQID")));
    up.send(Payload::from_binary(Serializer::Json, &[3])).await.unwrap();
    let sent = peer.next().await;
    assert_eq!((&sent[2]["enc_key"], &sent[4]), (&json!("k"), &json!("\0Aw==")));
    assert!(up.send(1).await.is_err(), "arguments among opaque chunks");
    up.finish(()).await.unwrap();
    peer.expect(json!([48, 1, {}, "com.a"])).await;
    drop(options);
}

// behaviour 150
#[tokio::test]
async fn opaque_bytes_are_not_sent_where_they_would_break_the_session() {
    // The router did not announce the form.
    let (session, mut peer) = joined().await;
    for (ppt, ..) in forms() {
        let call = session.call("com.a").opaque(ppt.clone(), [1]).await;
        assert!(matches!(call, Err(CallError::NotSupported)), "{call:?}");
        let publication = session.publish("com.a").opaque(ppt.clone(), [1]).await;
        assert!(matches!(publication, Err(RequestError::NotSupported)), "{publication:?}");
        let testament = session.publish("com.a").opaque(ppt, [1]).testament().await;
        assert!(matches!(testament, Err(CallError::NotSupported)), "{testament:?}");
    }
    session.publish("com.end").await.unwrap();
    peer.expect(json!([16, 1, {}, "com.end"])).await;

    // The options and the payload do not fit.
    let (session, mut peer) = both().await;
    let unknown = || Ppt { enc_algo: Some("rot13".into()), ..Ppt::default() };
    let binary = || Payload::from_binary(Serializer::Json, &[1]);
    for call in [session.call("com.a").opaque(unknown(), [1]), session.call("com.a").payload(binary())] {
        let error = call.await.unwrap_err();
        assert!(matches!(&error, CallError::Encode(_)) && error.to_string().contains("enc_algo"), "{error}");
    }
    let both = session.publish("com.a").opaque(unknown(), [1]).arg(1).await;
    assert!(matches!(both, Err(RequestError::Encode(_))));
    // Nor as a result or a progressive result of a procedure that did not say how to read it.
    let procedure = move |call: Invocation| async move {
        let progress = call.progress().expect("it is asked for");
        assert!(progress.send(Payload::from_binary(Serializer::Json, &[1])).await.is_err());
        Ok::<_, Failure>(Payload::from_binary(Serializer::Json, &[1]))
    };
    peer.register(session.register("com.a", procedure)).await;
    peer.send(json!([68, 1, 7, {"receive_progress": true}])).await;
    let answer = peer.next().await;
    assert_eq!(answer[0], 8, "{answer}");
}
