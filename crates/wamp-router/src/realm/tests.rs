//! The events of a session that are not delivered yet, when it ends and when an authorizer decides.

use bytes::Bytes;
use tokio::time::timeout;
use wamp_core::router::{FrameInfo, Join, Role};
use wamp_proto::{Limits as MessageLimits, Message, Serializer};
use wamp_transport::Batch;

use super::*;
use crate::Limits;
use crate::authorizer::Authorizer;
use crate::budget::Budget;
use crate::rests::Rest;
use crate::settings::Settings;

/// Answers never, so that the test decides.
struct Never;

#[async_trait::async_trait]
impl Authorizer for Never {
    async fn decide(&self, _: &wamp_core::router::Question) -> Verdict {
        std::future::pending().await
    }
}

fn message(json: &'static str) -> Message {
    let frame = Bytes::from_static(json.as_bytes());
    Message::decode(Serializer::Json, &frame, &MessageLimits::default()).expect("a message in JSON")
}

async fn join(realm: &Arc<Realm>) -> (SessionKey, Arc<Outbound>) {
    let settings = Arc::new(Settings::from(Limits::default()));
    let link = Arc::new(Outbound::new(Serializer::Json, settings, Arc::new(Budget::new(&Limits::default()))));
    let Message::Hello(hello) = message(r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#) else {
        panic!("no HELLO")
    };
    let (details, serializer, transport) = (hello.details, Serializer::Json, Default::default());
    let join = Join { details, serializer, max_message: 1 << 24, transport };
    let key = realm.join(&link, |machine, now| machine.join(now, join)).await.unwrap();
    (key, link)
}

/// Returns the messages in the queue of a link.
async fn written(link: &Outbound) -> Vec<String> {
    let mut messages = Vec::new();
    while let Ok(Some(mut batch)) = timeout(Duration::ZERO, link.next()).await {
        while let Some(front) = batch.front() {
            let mut message = Vec::new();
            front.copy_to(&mut message);
            messages.push(String::from_utf8(message).unwrap());
            batch.pop_front();
        }
        link.written(batch);
    }
    messages
}

/// Adds an event of the publisher that the subscriber does not have yet.
fn add_rest(realm: &Realm, publisher: SessionKey, subscriber: SessionKey, link: &Outbound) {
    let mut events = Batch::new();
    events.push_bytes(b"[36,1,2,{}]");
    realm.inner.value().rests.add(publisher, Rest::new(vec![subscriber], link.share(events), false));
}

/// Has the realm handle a request, and returns the question about it.
async fn say(realm: &Realm, session: SessionKey, said: Message) -> Ticket {
    let handle = |turn: &mut RealmTurn<'_>| turn.handle(said, &FrameInfo::none());
    realm.with_turn(session, &mut Wakes::default(), false, handle).await;
    // Without a router nothing is asked, and the test has the questions.
    realm.inner.value().questions.first().expect("a question")
}

async fn advance(realm: &Realm, session: SessionKey) {
    let advance = |turn: &mut RealmTurn<'_>| turn.advance();
    realm.with_turn(session, &mut Wakes::default(), false, advance).await;
}

// behaviour 263: the earlier one is delivered in portions, and has not reached this subscriber.
#[tokio::test]
async fn a_decided_publication_does_not_overtake_an_earlier_one() {
    let config = RealmConfig::new("realm1").role(Role::new("anonymous")).authorizer("anonymous", Never);
    let realm = Arc::new(Realm::new(config, Seeds::new([0; 48]), Weak::new(), Weak::new()));
    let (publisher, own) = join(&realm).await;
    let (subscriber, link) = join(&realm).await;
    let ticket = say(&realm, subscriber, message(r#"[32,1,{},"com.t"]"#)).await;
    realm.decide([(ticket, Verdict::ALLOWED)]).await;
    advance(&realm, subscriber).await;
    written(&link).await;
    let ticket = say(&realm, publisher, message(r#"[16,1,{},"com.t",["later"]]"#)).await;
    add_rest(&realm, publisher, subscriber, &link);
    realm.decide([(ticket, Verdict::ALLOWED)]).await;
    assert_eq!(written(&link).await, [""; 0], "nothing is handled outside of the turns of the publisher");
    assert!(own.take_verdicts() && !own.take_verdicts());
    // The rest is delivered at the begin of a turn, and what was decided after it.
    for _ in 0..2 {
        advance(&realm, publisher).await;
    }
    let written = written(&link).await;
    assert!(written.len() == 2 && written[0] == "[36,1,2,{}]", "{written:?}");
    assert!(written[1].contains("later"), "{written:?}");
}

#[tokio::test]
async fn a_session_that_ends_without_goodbye_gets_the_events_from_before() {
    let realm =
        Arc::new(Realm::new(RealmConfig::new("realm1"), Seeds::new([0; 48]), Weak::new(), Weak::new()));
    let (publisher, _own) = join(&realm).await;
    let (subscriber, link) = join(&realm).await;
    add_rest(&realm, publisher, subscriber, &link);
    realm.with(|machine, now| machine.handle_closed(now, subscriber)).await;
    let written = written(&link).await;
    assert_eq!(written.last().map(String::as_str), Some("[36,1,2,{}]"), "{written:?}");
}
