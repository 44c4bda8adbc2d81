//! The error URIs of callees: an invalid one does not reach a caller.

use wamp_core::router::Config;
use wamp_proto::message::{Error, ErrorDetails, RequestKind};
use wamp_proto::uri::{UriKind, UriRules};
use wamp_proto::{Message, Payload, RequestId, Serializer, Uri, quoted, uri};

use crate::net::{Net, all_roles, args};

/// Texts that callers do not accept as a URI: the text of an exception, and characters that regular
/// expressions of Python and JavaScript treat as white space.
fn no_uris(of: Serializer) -> Vec<String> {
    let mut all: Vec<String> =
        ["", "not a uri", "com..z", ".", ".com", "com.", "com.x#y", "com.x: y", "com.x\n"]
            .map(str::to_owned)
            .to_vec();
    all.extend(
        ["com.\u{1}", "com.\u{1c}", "com.\u{85}x", "com.\u{a0}x", "com.\u{feff}x", "\u{3000}"]
            .map(str::to_owned),
    );
    all.extend(["x".repeat(1025), ["x"; 65].join("."), "\u{200b}".repeat(1 << 20)]);
    // In JSON that is how binary data begins.
    all.extend((of != Serializer::Json).then(|| "\0com.x".to_owned()));
    all
}

/// Returns the ERROR that a caller receives for one with this URI and payload.
fn relayed(net: &mut Net, from: Serializer, to: Serializer, error: &str, payload: Payload) -> Error {
    let (callee, caller) = (net.raw(from, all_roles()), net.raw(to, all_roles()));
    let procedure = format!("com.myapp.p{}", net.key(callee).id());
    net.say(callee, &format!(r#"[64,1,{{}},"{procedure}"]"#));
    net.say(caller, &format!(r#"[48,1,{{"receive_progress":true}},"{procedure}"]"#));
    net.received(callee);
    let details = ErrorDetails::default();
    let request = RequestId::FIRST;
    let message = Error { kind: RequestKind::Invocation, request, details, error: error.into(), payload };
    net.tell(callee, message.into());
    let mut heard = net.received(caller);
    assert_eq!(heard.len(), 1, "one end");
    let Some(Message::Error(error)) = heard.pop() else { panic!("no ERROR") };
    assert!(net.received(callee).is_empty());
    for client in [callee, caller] {
        assert!(net.realm.has(net.key(client)));
    }
    net.say(callee, "[66,2,1]");
    error
}

#[test]
fn a_caller_gets_a_uri_and_a_sentence_that_quotes_the_original() {
    for from in Serializer::ALL {
        for to in Serializer::ALL {
            let mut net = Net::new();
            for (n, error) in no_uris(*from).into_iter().enumerate() {
                let heard = relayed(&mut net, *from, *to, &error, Payload::empty());
                assert_eq!(heard.error, uri::RUNTIME_ERROR, "{error:?}");
                let (text,): (String,) = heard.payload.decode().unwrap();
                let message: String = heard.details.extra.get("message").unwrap().unwrap();
                assert_eq!(text, message);
                assert!(text.contains(&quoted(&error).to_string()), "{error:?} in {text}");
                assert_eq!(net.realm.stats().invalid_error_uris, n as u64 + 1);
            }
            assert_eq!(net.realm.stats().violations, 0);
        }
    }
}

#[test]
fn arguments_of_the_callee_stay_and_the_sentence_is_in_the_details() {
    for from in Serializer::ALL {
        for to in Serializer::ALL {
            let mut net = Net::new();
            let payload = args(*from, &("msg", 7));
            let heard = relayed(&mut net, *from, *to, "Something went wrong", payload);
            assert_eq!(heard.error, uri::RUNTIME_ERROR);
            assert_eq!(heard.payload.decode::<(String, i32)>().unwrap(), ("msg".to_owned(), 7));
            let message: String = heard.details.extra.get("message").unwrap().unwrap();
            assert!(message.contains(r#""Something went wrong""#), "{message}");
        }
    }
}

#[test]
fn a_uri_that_callers_take_is_passed_on_as_it_is() {
    // Strict rules are for the names of procedures and topics.
    for rules in [UriRules::Loose, UriRules::Strict] {
        let mut config = Config::new("realm1");
        config.uri_rules = rules;
        let mut net = Net::with(config);
        let whole = "x".repeat(1024);
        for error in
            ["com.myApp.Error-1", "error", "com.\u{e9}t\u{e9}", "wamp.error.timeout", "a/b:c", &whole]
        {
            assert!(Uri::from(error).check(UriRules::Loose, UriKind::Exact).is_ok());
            let heard = relayed(&mut net, Serializer::Cbor, Serializer::Json, error, Payload::empty());
            assert_eq!(heard.error, error);
            assert!(heard.payload.is_empty() && heard.details.extra.is_empty());
        }
        assert_eq!(net.realm.stats().invalid_error_uris, 0);
    }
}

#[test]
fn an_encoded_payload_gets_no_argument_beside_it() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"ppt_scheme":"x_my"},"com.myapp.longop",["x"]]"#);
    net.say(callee, r#"[8,68,1,{"ppt_scheme":"x_my"},"not a uri"]"#);
    let heard = net.heard(caller);
    assert!(
        heard[0].contains(r#""wamp.error.runtime_error"]"#) && heard[0].contains("not a uri"),
        "{heard:?}"
    );
}

#[test]
fn a_late_error_is_late_with_any_uri() {
    let mut net = Net::new();
    let (callee, caller) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(caller, "[49,1,{}]");
    net.heard(caller);
    net.say(callee, r#"[8,68,1,{},"not a uri"]"#);
    assert!(net.heard(caller).is_empty());
    assert_eq!((net.realm.stats().late, net.realm.stats().violations), (1, 0));
}
