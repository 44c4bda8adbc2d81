//! The receivers of a publication: `exclude_me`, `eligible…` and `exclude…`.

use wamp_proto::{Message, Serializer};

use crate::net::{Client, Net, all_roles};

const TOPIC: &str = "com.myapp.topic";

/// A subscriber with its session id, authid and authrole.
struct Subscriber {
    client: Client,
    id: u64,
    authid: String,
    authrole: String,
}

fn subscriber(net: &mut Net) -> Subscriber {
    let client = net.add_raw(Serializer::Json, all_roles());
    let received = net.received(client);
    let [Message::Welcome(welcome)] = received.as_slice() else { panic!("{received:?}") };
    let (authid, authrole) = (welcome.details.authid.clone(), welcome.details.authrole.clone());
    net.say(client, &format!(r#"[32,1,{{}},"{TOPIC}"]"#));
    net.heard(client);
    Subscriber {
        client,
        id: welcome.session.get(),
        authid: authid.unwrap().to_string(),
        authrole: authrole.unwrap().to_string(),
    }
}

/// Publishes with these options, and returns which subscribers got an event.
fn publish(net: &mut Net, publisher: Client, request: u64, options: &str, to: &[Subscriber]) -> Vec<bool> {
    net.say(publisher, &format!(r#"[16,{request},{{{options}}},"{TOPIC}",[1]]"#));
    to.iter()
        .map(|to| {
            let heard = net.heard(to.client);
            assert!(heard.len() <= 1, "{heard:?}");
            heard.iter().any(|event| event.starts_with("[36,"))
        })
        .collect()
}

// behaviour 111
#[test]
fn lists_say_which_subscribers_get_an_event() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, all_roles());
    let to = [(); 3].map(|()| subscriber(&mut net));
    let (a, b) = (&to[0], &to[1]);
    let cases = [
        (String::new(), [true; 3]),
        (r#""eligible":null,"exclude":null"#.into(), [true; 3]),
        (r#""eligible":[]"#.into(), [false; 3]),
        (r#""eligible_authid":[]"#.into(), [false; 3]),
        (r#""eligible_authrole":[]"#.into(), [false; 3]),
        (r#""exclude":[],"exclude_authid":[],"exclude_authrole":[]"#.into(), [true; 3]),
        (format!(r#""eligible":[{}]"#, a.id), [true, false, false]),
        (format!(r#""eligible":[{0},{1},{0},{0},12345]"#, b.id, a.id), [true, true, false]),
        (format!(r#""exclude":[{}]"#, a.id), [false, true, true]),
        (format!(r#""eligible_authid":["{}","nobody"]"#, b.authid), [false, true, false]),
        (format!(r#""exclude_authid":["{}"]"#, b.authid), [true, false, true]),
        (format!(r#""eligible_authrole":["{}"]"#, a.authrole), [true; 3]),
        (format!(r#""exclude_authrole":["{}"]"#, a.authrole), [false; 3]),
        (format!(r#""eligible":[{}],"eligible_authrole":["x"]"#, a.id), [false; 3]),
        (
            format!(r#""eligible":[{},{}],"exclude_authid":["{}"]"#, a.id, b.id, a.authid),
            [false, true, false],
        ),
    ];
    let mut request = 0;
    for (options, expected) in &cases {
        request += 1;
        assert_eq!(publish(&mut net, publisher, request, options, &to), expected, "{options}");
    }
    let sent: usize = cases.iter().flat_map(|(_, expected)| expected).filter(|gets| **gets).count();
    assert_eq!(net.realm.stats().events, sent as u64);
    assert_eq!(net.realm.stats().publications_refused, 0);
}

// behaviour 110
#[test]
fn the_publisher_is_excluded_in_all_its_subscriptions_even_if_eligible() {
    for (options, own) in [
        ("", 0),
        (r#""exclude_me":true"#, 0),
        (r#""exclude_me":null"#, 0),
        (r#""exclude_me":false"#, 3),
        (r#""eligible":[ME]"#, 0),
        (r#""eligible":[ME],"exclude_me":false"#, 3),
        (r#""exclude":[ME],"exclude_me":false"#, 0),
    ] {
        let mut net = Net::new();
        let client = net.raw(Serializer::Json, all_roles());
        let me = net.key(client).id();
        net.say(client, &format!(r#"[32,1,{{}},"{TOPIC}"]"#));
        net.say(client, r#"[32,2,{"match":"prefix"},"com."]"#);
        net.say(client, r#"[32,3,{"match":"wildcard"},"com..topic"]"#);
        net.heard(client);
        let options = options.replace("ME", &me.to_string());
        net.say(client, &format!(r#"[16,4,{{{options}}},"{TOPIC}"]"#));
        assert_eq!(net.heard(client).len(), own, "{options}");
    }
}

// behaviour 112
#[test]
fn an_event_with_unreadable_lists_has_no_receiver() {
    let long = format!("[{}]", vec!["1"; 1025].join(","));
    for list in ["exclude", "eligible"] {
        for (of, wrong) in [
            ("", r#""x""#),
            ("", "[0]"),
            ("", "[-1]"),
            ("", r#"["x"]"#),
            ("", "[null]"),
            ("", "1"),
            ("", "{}"),
            ("", &long),
            ("_authid", "[1]"),
            ("_authid", r#""joe""#),
            ("_authrole", "[[]]"),
            ("_authrole", "true"),
        ] {
            let mut net = Net::new();
            let publisher = net.raw(Serializer::Json, all_roles());
            let to = [subscriber(&mut net)];
            let options = format!(r#""{list}{of}":{wrong}"#);
            assert_eq!(publish(&mut net, publisher, 1, &options, &to), [false], "{options}");
            assert!(net.heard(publisher).is_empty(), "it is not acknowledged");
            let options = format!(r#""acknowledge":true,{options}"#);
            assert_eq!(publish(&mut net, publisher, 2, &options, &to), [false], "{options}");
            let heard = net.heard(publisher);
            assert!(
                heard[0].starts_with(r#"[8,16,2,{},"wamp.error.invalid_argument""#)
                    && heard[0].contains(list),
                "{heard:?}"
            );
            assert_eq!(net.realm.stats().publications_refused, 2);
        }
    }
}

// behaviour 113: sessions that are not eligible are not examined.
#[test]
fn few_eligible_sessions_get_an_event_in_the_order_of_all() {
    let mut net = Net::new();
    let publisher = net.raw(Serializer::Json, all_roles());
    let to: Vec<_> = (0..50).map(|_| subscriber(&mut net)).collect();
    let left = net.raw(Serializer::Json, all_roles());
    let ids = [to[40].id, to[3].id, net.key(left).id().get(), net.key(publisher).id().get(), to[7].id];
    let expected: Vec<bool> = (0..50).map(|at| [3, 7, 40].contains(&at)).collect();
    let options = format!(r#""eligible":{ids:?}"#);
    assert_eq!(publish(&mut net, publisher, 1, &options, &to), expected);
}
