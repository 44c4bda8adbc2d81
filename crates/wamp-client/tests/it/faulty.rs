//! Unreadable messages of a router: if the head can be read, one request fails, and the session goes on.

use bytes::Bytes;
use wamp_client::{CallError, Client, Closed, Invocation, Serializer, Session};
use wamp_proto::{Limits, Message};
use wamp_transport::memory::{self, MemoryReader, MemoryWriter};
use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};

/// A placeholder, replaced by a text of the same length that is not UTF-8.
const POISON: &[u8] = b"POISON";

/// A router that speaks any serializer.
struct Router {
    serializer: Serializer,
    read: MemoryReader,
    write: MemoryWriter,
}

impl Router {
    /// The next message, as JSON.
    async fn next(&mut self) -> String {
        let mut came = Vec::new();
        self.read.read(&mut came).await.unwrap();
        let [Incoming::Message(frame)] = &came[..] else { panic!("{came:?}") };
        let message = Message::decode(self.serializer, frame, &Limits::default()).unwrap();
        let json = message.transcode(Serializer::Json).unwrap().encode(Serializer::Json).unwrap();
        String::from_utf8(json.to_vec()).unwrap()
    }

    /// Sends a message, given as JSON, with its poisoned part.
    async fn send(&mut self, json: &str) {
        let frame = Bytes::copy_from_slice(json.as_bytes());
        let message = Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap();
        let message = message.transcode(self.serializer).unwrap();
        let mut frame = message.encode(self.serializer).unwrap().to_vec();
        if let Some(at) = frame.windows(POISON.len()).position(|part| part == POISON) {
            frame[at..at + POISON.len()].fill(0xFF);
        }
        let mut batch = Batch::new();
        batch.push_bytes(&frame);
        self.write.write(&mut batch).await.unwrap();
    }
}

async fn joined(serializer: Serializer) -> (Session, Router) {
    let (ours, theirs) = memory::pair_with(serializer, 1);
    let (read, write) = theirs.split();
    let mut router = Router { serializer, read, write };
    let welcome = async {
        assert!(router.next().await.starts_with("[1,"));
        router
            .send(r#"[2,1,{"roles":{"dealer":{"features":{"progressive_call_results":true,"call_canceling":true}},"broker":{}}}]"#)
            .await;
    };
    let (session, ()) = tokio::join!(async { Client::over(ours).await.unwrap() }, welcome);
    (session, router)
}

#[tokio::test]
async fn a_result_that_cannot_be_read_fails_its_call_and_no_other() {
    for &serializer in Serializer::ALL {
        let (session, mut router) = joined(serializer).await;
        let other = tokio::spawn(session.call("other").into_future());
        router.next().await;
        let call = tokio::spawn(session.call("a").into_future());
        router.next().await;
        router.send(r#"[50,2,{},["POISON"]]"#).await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.uri().unwrap(), &"wamp.error.invalid_argument", "{error}");
        assert!(error.to_string().contains("RESULT, element 4"), "{error}");

        let mut stream = session.call("b").progressive::<String>().await.unwrap();
        router.next().await;
        router.send(r#"[50,3,{"progress":true},["good"]]"#).await;
        router.send(r#"[50,3,{"progress":true},["POISON"]]"#).await;
        assert_eq!(stream.next().await.unwrap().unwrap(), "good");
        assert!(stream.next().await.unwrap().is_err());
        assert!(stream.next().await.is_none());
        assert_eq!(router.next().await, r#"[49,3,{"mode":"killnowait"}]"#, "the callee may stop");
        router.send(r#"[50,3,{},["late"]]"#).await;

        router.send(r#"[50,1,{},["fine"]]"#).await;
        assert_eq!(other.await.unwrap().unwrap().decode::<String>().unwrap(), "fine");
        assert_eq!(session.stats().late, 1, "{serializer}");
    }
}

#[tokio::test]
async fn an_error_that_cannot_be_read_fails_its_request_with_its_uri() {
    for &serializer in Serializer::ALL {
        let (session, mut router) = joined(serializer).await;
        let call = tokio::spawn(session.call("a").into_future());
        router.next().await;
        router.send(r#"[8,48,1,{},"com.example.error",["POISON"]]"#).await;
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, CallError::Application { uri, .. } if *uri == "com.example.error"),
            "{error}"
        );

        let registering = tokio::spawn(session.register("b", async |_| Ok(())).into_future());
        router.next().await;
        router.send(r#"[8,64,2,{},"com.example.error",[],{"POISON":1}]"#).await;
        assert_eq!(registering.await.unwrap().unwrap_err().uri().unwrap(), &"com.example.error");
        assert!(session.is_open());
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_dropped_and_counted() {
    for &serializer in Serializer::ALL {
        let (session, mut router) = joined(serializer).await;
        let subscribed = async {
            router.next().await;
            router.send("[33,1,5]").await;
        };
        let (events, ()) = tokio::join!(session.subscribe_stream("a"), subscribed);
        let mut events = events.unwrap();
        router.send(r#"[36,5,1,{},["POISON"]]"#).await;
        router.send(r#"[36,5,2,{},["good"]]"#).await;
        assert_eq!(events.next().await.unwrap().decode::<String>().unwrap(), "good");
        assert_eq!(session.stats().events_dropped, 1);
    }
}

#[tokio::test]
async fn an_invocation_that_cannot_be_read_is_refused_and_a_chunk_ends_its_call() {
    for &serializer in Serializer::ALL {
        let (session, mut router) = joined(serializer).await;
        let register = session.register("a", |call: Invocation| async move {
            let mut chunks = call.chunks::<String>();
            while let Some(chunk) = chunks.next().await {
                chunk?;
            }
            Ok("done")
        });
        let registered = async {
            router.next().await;
            router.send("[65,1,7]").await;
        };
        let (registration, ()) = tokio::join!(register, registered);
        registration.unwrap();

        router.send(r#"[68,1,7,{},["POISON"]]"#).await;
        let refusal = router.next().await;
        assert!(
            refusal.starts_with(r#"[8,68,1,{},"wamp.error.invalid_argument",["INVOCATION, "#),
            "{refusal}"
        );

        router.send(r#"[68,2,7,{"progress":true},["good"]]"#).await;
        router.send(r#"[68,2,7,{"progress":true},["POISON"]]"#).await;
        let refusal = router.next().await;
        assert!(refusal.starts_with(r#"[8,68,2,{},"wamp.error.invalid_argument","#), "{refusal}");
        // Chunks on their way are late.
        router.send(r#"[68,2,7,{},["POISON"]]"#).await;

        router.send(r#"[68,3,7,{},["good"]]"#).await;
        assert_eq!(router.next().await, r#"[70,3,{},["done"]]"#);
        assert_eq!(session.stats().late, 1, "{serializer}");
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_read_ends_the_session() {
    for &serializer in Serializer::ALL {
        let (session, mut router) = joined(serializer).await;
        router.send(r#"[8,48,1,{},"com.POISON.error"]"#).await;
        assert!(router.next().await.starts_with("[3,"));
        assert!(matches!(session.closed().await, Closed::Violation(_)));
    }
}
