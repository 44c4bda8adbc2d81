//! A message that is longer than the router accepts, or that cannot be written, is refused and changes nothing.

use wamp_core::session::{Config, Event, MaxSend, Session};
use wamp_core::{Failure, Misuse, Reply, ReplyError, Time};
use wamp_proto::message::{CallOptions, PublishOptions, RegisterOptions, SubscribeOptions};
use wamp_proto::{EncodeError, Limits, Message, Payload, RequestId, Serializer, Uri};

const LIMIT: usize = 1024;
const NOW: Time = Time::ORIGIN;

/// A session of a router that accepts messages of up to 1,024 bytes.
fn open() -> Session {
    let mut config = Config::new("realm1");
    config.max_send = Some(MaxSend::new(Serializer::Json, LIMIT));
    let mut session = Session::new(NOW, config, 0);
    let roles = r#"{"roles":{"dealer":{"features":{"progressive_call_invocations":true}},"broker":{}}}"#;
    handle(&mut session, &format!("[2,1,{roles}]"));
    while session.poll_transmit().is_some() || session.poll_event().is_some() {}
    session
}

fn handle(session: &mut Session, message: &str) {
    let message = Message::decode(Serializer::Json, &message.to_owned().into(), &Limits::default());
    session.handle_message(NOW, message.unwrap());
}

fn text(len: usize) -> Payload {
    Payload::new(Serializer::Json, &"x".repeat(len)).unwrap()
}

fn sent(session: &mut Session) -> Option<usize> {
    session.poll_transmit().map(|message| message.encoded_len(Serializer::Json).unwrap())
}

/// Finds the longest text that fits by trying; the next request shows that the refused ones took no id.
fn longest(mut submit: impl FnMut(&mut Session, usize) -> Result<RequestId, Misuse>) {
    let mut session = open();
    for len in (0..=LIMIT).rev() {
        match submit(&mut session, len) {
            Err(Misuse::TooLarge { len, limit: LIMIT }) => assert!(len > LIMIT),
            Err(misuse) => panic!("{misuse}"),
            Ok(request) => {
                assert_eq!(request.get(), 1, "no refused request took an id");
                assert_eq!(sent(&mut session), Some(LIMIT));
                return assert_eq!(sent(&mut session), None);
            }
        }
    }
}

#[test]
fn a_request_may_be_as_long_as_the_router_takes_and_no_longer() {
    let uri = || Uri::from_static("com.a");
    longest(|session, len| session.call(NOW, CallOptions::default(), uri(), text(len)));
    longest(|session, len| session.publish(NOW, PublishOptions::default(), uri(), text(len)));
    let long = |len| Uri::from("x".repeat(len));
    longest(|session, len| session.register(NOW, RegisterOptions::default(), long(len)));
    longest(|session, len| session.subscribe(NOW, SubscribeOptions::default(), long(len)));
}

#[test]
fn a_message_that_cannot_be_written_is_refused() {
    let mut session = open();
    let refused = session.register(NOW, RegisterOptions::default(), Uri::from_static("\0"));
    assert_eq!(refused, Err(Misuse::Encode(EncodeError::NulText)));
    assert_eq!(sent(&mut session), None);
}

#[test]
fn a_chunk_that_is_too_long_leaves_its_call_as_it_was() {
    let mut session = open();
    let options = CallOptions { progress: Some(true), ..CallOptions::default() };
    let call = session.call(NOW, options, Uri::from_static("com.a"), Payload::empty()).unwrap();
    assert!(sent(&mut session).is_some());
    for last in [false, true] {
        let refused = session.send_chunk(NOW, call, text(LIMIT), last);
        assert!(matches!(refused, Err(Misuse::TooLarge { .. })));
        assert_eq!(sent(&mut session), None);
    }
    assert_eq!(session.send_chunk(NOW, call, text(1), true), Ok(()));
    assert!(sent(&mut session).is_some());
}

#[test]
fn a_reply_that_is_too_long_leaves_its_invocation_under_way() {
    let mut session = open();
    let request = session.register(NOW, RegisterOptions::default(), Uri::from_static("com.a")).unwrap();
    handle(&mut session, &format!("[65,{request},7]"));
    handle(&mut session, r#"[68,1,7,{"receive_progress":true}]"#);
    while session.poll_transmit().is_some() || session.poll_event().is_some() {}
    let invocation = RequestId::new(1).unwrap();
    let failure = || Failure { error: Uri::from_static("com.e"), payload: text(LIMIT) };
    for reply in [Reply::Progress(text(LIMIT)), Reply::Result(text(LIMIT)), Reply::Error(failure())] {
        let refused = session.reply(NOW, invocation, reply);
        assert!(matches!(refused, Err(ReplyError::TooLarge { len, limit: LIMIT }) if len > LIMIT));
        assert_eq!(sent(&mut session), None);
        assert!(session.is_invoked(invocation));
    }
    assert_eq!(session.reply(NOW, invocation, Reply::Result(text(1))), Ok(()));
    assert!(sent(&mut session).is_some());
    assert!(!matches!(session.poll_event(), Some(Event::Closed(_))));
}
