//! Details of an event: its publisher, and the publisher's own keys.

use wamp_core::router::{Config, Disclosure};
use wamp_proto::{Message, Serializer};

use crate::net::{Net, all_roles};

fn details(heard: &[String]) -> String {
    let [event] = heard else { panic!("{heard:?}") };
    let details = event.splitn(4, ',').nth(3).unwrap();
    details.strip_suffix(']').unwrap().to_owned()
}

// behaviour 114
#[test]
fn a_publisher_is_disclosed_if_it_asks_and_never_else() {
    for (policy, plain, asked) in [
        (Disclosure::OnRequest, Some(false), Some(true)),
        (Disclosure::Always, Some(true), Some(true)),
        (Disclosure::Never, Some(false), None),
    ] {
        let mut config = Config::new("realm1");
        config.publisher_disclosure = policy;
        let mut net = Net::with(config);
        let publisher = net.add_raw(Serializer::Json, all_roles());
        let received = net.received(publisher);
        let [Message::Welcome(welcome)] = received.as_slice() else { panic!("{received:?}") };
        let disclosed = format!(
            r#"{{"publisher":{},"publisher_authid":"{}","publisher_authrole":"anonymous"}}"#,
            welcome.session,
            welcome.details.authid.as_ref().unwrap()
        );
        let subscriber = net.raw(Serializer::Json, all_roles());
        net.say(subscriber, r#"[32,1,{},"com.myapp.topic"]"#);
        net.heard(subscriber);
        let options =
            ["{}", r#"{"disclose_me":true}"#, r#"{"disclose_me":false}"#, r#"{"disclose_me":null}"#, "{}"];
        for (request, options) in (1..).zip(options) {
            net.say(publisher, &format!(r#"[16,{request},{options},"com.myapp.topic"]"#));
            let asks = options.contains("true");
            let heard = net.heard(subscriber);
            match if asks { asked } else { plain } {
                Some(true) => assert_eq!(details(&heard), disclosed, "{policy:?} {options}"),
                Some(false) => assert_eq!(details(&heard), "{}", "{policy:?} {options}"),
                None => assert!(heard.is_empty(), "{heard:?}"),
            }
        }
    }
}

// behaviour 115
#[test]
fn without_disclosure_a_publication_that_asks_for_it_is_refused() {
    let mut config = Config::new("realm1");
    config.publisher_disclosure = Disclosure::Never;
    let mut net = Net::with(config);
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[16,1,{"disclose_me":true},"com.myapp.topic"]"#);
    assert!(net.heard(client).is_empty());
    net.say(client, r#"[16,2,{"disclose_me":true,"acknowledge":true},"com.myapp.topic"]"#);
    let heard = net.heard(client);
    assert!(heard[0].starts_with(r#"[8,16,2,{},"wamp.error.option_disallowed.disclose_me""#), "{heard:?}");
    assert_eq!(net.realm.stats().publications_refused, 2);
}

#[test]
fn keys_for_the_other_end_come_with_every_event() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Cbor, all_roles());
    let subscribers = Serializer::ALL.iter().map(|serializer| net.raw(*serializer, all_roles()));
    let subscribers: Vec<_> = subscribers.collect();
    for subscriber in &subscribers {
        net.say(*subscriber, r#"[32,1,{"match":"prefix"},"com."]"#);
        net.heard(*subscriber);
    }
    net.say(publisher, r#"[16,1,{"_traceparent":"00-ab","x":1,"_retain_ttl":1},"com.myapp.topic",[1]]"#);
    for subscriber in subscribers {
        let received = net.received(subscriber);
        let [Message::Event(event)] = received.as_slice() else { panic!("{received:?}") };
        assert_eq!(event.details.extra.keys(), ["_traceparent"]);
        assert_eq!(event.details.extra.get::<String>("_traceparent").unwrap().unwrap(), "00-ab");
    }
}
