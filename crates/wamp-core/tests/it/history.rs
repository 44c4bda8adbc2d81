//! The history of events: what is kept, who sees it, and how it is asked for.

use std::time::Duration;

use serde_json::Value;
use wamp_core::auth::Identity;
use wamp_core::router::{Actions, Config, History, Pattern, Role};
use wamp_proto::{Feature, Features, Role as Of, Serializer};

use crate::net::{Client, Net, all_roles, basic_roles};

/// 2026-03-01T12:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_772_366_400);

fn net(histories: impl IntoIterator<Item = History>) -> Net {
    let mut config = Config::new("realm1");
    config.epoch = EPOCH;
    config.history = Vec::from_iter(histories);
    Net::with(config)
}

fn orders() -> History {
    History::new(Pattern::prefix("com.shop."))
}

/// A client that counts its requests.
struct Asker {
    client: Client,
    request: u64,
}

impl Asker {
    fn new(net: &mut Net) -> Self {
        Self { client: net.raw(Serializer::Json, all_roles()), request: 0 }
    }

    fn call(&mut self, net: &mut Net, procedure: &str, arguments: &str) -> Value {
        self.request += 1;
        net.say(
            self.client,
            &format!(r#"[48,{},{{}},"wamp.subscription.{procedure}",{arguments}]"#, self.request),
        );
        serde_json::from_str(&net.heard(self.client).concat()).unwrap()
    }

    /// The events, and whether there are more.
    fn events(&mut self, net: &mut Net, keywords: &str) -> (Vec<Value>, bool) {
        let answer = self.call(net, "get_events", &format!("[1],{{{keywords}}}"));
        assert_eq!(answer[0], 50, "{answer}");
        (answer[3].as_array().unwrap().clone(), answer[4]["more"].as_bool().unwrap())
    }

    /// The first arguments of the events.
    fn numbers(&mut self, net: &mut Net, keywords: &str) -> Vec<u64> {
        let (events, _) = self.events(net, keywords);
        events.iter().map(|event| event["args"][0].as_u64().unwrap()).collect()
    }

    fn error(&mut self, net: &mut Net, arguments: &str) -> String {
        let answer = self.call(net, "get_events", arguments);
        assert_eq!(answer[0], 8, "{arguments}: {answer}");
        format!("{} {}", answer[4].as_str().unwrap(), answer[5][0].as_str().unwrap())
    }
}

/// Publishes events with these numbers, one in each second.
fn publish(net: &mut Net, publisher: Client, topic: &str, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        net.say(publisher, &format!(r#"[16,{number},{{}},"{topic}",[{number}]]"#));
        net.sleep(Duration::from_secs(1));
    }
}

// behaviour 124
#[test]
fn a_history_is_a_subscription_that_is_there_from_the_start_and_stays() {
    let mut net = net([orders()]);
    let watcher = net.raw(Serializer::Json, basic_roles());
    net.say(watcher, r#"[32,1,{"match":"prefix"},"wamp.subscription."]"#);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let mut asker = Asker::new(&mut net);
    let lookup = r#"["com.shop.",{"match":"prefix"}]"#;
    assert_eq!(asker.call(&mut net, "lookup", lookup)[3][0], 1);
    assert_eq!(asker.call(&mut net, "list", "[]")[3][0]["prefix"], serde_json::json!([1]));
    assert_eq!(asker.call(&mut net, "get", "[1]")[3][0]["created"], "2026-03-01T12:00:00.000Z");
    assert_eq!(asker.call(&mut net, "count_subscribers", "[1]")[3][0], 0);
    publish(&mut net, publisher, "com.shop.order", [1]);
    for request in [1, 3] {
        let subscriber = net.raw(Serializer::Json, basic_roles());
        net.heard(watcher);
        net.say(subscriber, r#"[32,1,{"match":"prefix"},"com.shop."]"#);
        assert_eq!(net.heard(subscriber), ["[33,1,1]"]);
        publish(&mut net, publisher, "com.shop.order", [request + 1]);
        assert_eq!(net.heard(subscriber).len(), 1);
        match request {
            1 => net.say(subscriber, "[34,2,1]"),
            _ => net.cut(subscriber),
        }
        publish(&mut net, publisher, "com.shop.order", [request + 2]);
        let told = net.heard(watcher).concat();
        assert!(told.contains("on_subscribe") && told.contains("on_unsubscribe"), "{told}");
        assert!(!told.contains("on_create") && !told.contains("on_delete"), "{told}");
    }
    assert_eq!(asker.numbers(&mut net, ""), [1, 2, 3, 4, 5], "nothing is lost");
    assert_eq!(net.realm.sizes().past_events, 5);
}

// behaviour 125
#[test]
fn pages_meet_each_event_once_in_both_directions() {
    let mut net = net([orders()]);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let mut asker = Asker::new(&mut net);
    publish(&mut net, publisher, "com.shop.order", 1..=10);
    for (reverse, key) in [(false, "after_publication"), (true, "before_publication")] {
        let (mut seen, mut last) = (Vec::new(), String::new());
        loop {
            let keywords = format!(r#""reverse":{reverse},"limit":3{last}"#);
            let (events, more) = asker.events(&mut net, &keywords);
            seen.extend(events.iter().map(|event| event["args"][0].as_u64().unwrap()));
            assert_eq!(more, seen.len() < 10);
            if !more {
                break;
            }
            last = format!(r#","{key}":{}"#, events.last().unwrap()["publication"]);
        }
        let mut expected = Vec::from_iter(1..=10);
        if reverse {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

// behaviour 125
#[test]
fn all_conditions_hold_together() {
    let mut net = net([orders()]);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let mut asker = Asker::new(&mut net);
    publish(&mut net, publisher, "com.shop.order", 1..=4);
    publish(&mut net, publisher, "com.shop.price", 5..=6);
    let (events, _) = asker.events(&mut net, "");
    let id = |number: usize| events[number - 1]["publication"].as_u64().unwrap();
    let time = |second: u64| format!("\"2026-03-01T12:00:0{second}Z\"");
    // The events 1 to 6 are of the seconds 0 to 5.
    let table: [(String, &[u64]); 16] = [
        (format!(r#""from_time":{}"#, time(2)), &[3, 4, 5, 6]),
        (format!(r#""after_time":{}"#, time(2)), &[4, 5, 6]),
        (format!(r#""before_time":{}"#, time(2)), &[1, 2]),
        (format!(r#""until_time":{}"#, time(2)), &[1, 2, 3]),
        (r#""until_time":"2026-03-01T13:00:02+01:00""#.to_owned(), &[1, 2, 3]),
        (r#""topic":"com.shop.price""#.to_owned(), &[5, 6]),
        (r#""topic":"com.shop""#.to_owned(), &[]),
        (format!(r#""from_publication":{}"#, id(3)), &[3, 4, 5, 6]),
        (format!(r#""after_publication":{}"#, id(3)), &[4, 5, 6]),
        (format!(r#""before_publication":{}"#, id(3)), &[1, 2]),
        (format!(r#""until_publication":{}"#, id(3)), &[1, 2, 3]),
        (r#""from_publication":7"#.to_owned(), &[]),
        (r#""after_publication":7"#.to_owned(), &[]),
        (r#""before_publication":7,"until_publication":7"#.to_owned(), &[1, 2, 3, 4, 5, 6]),
        (format!(r#""after_publication":{},"before_publication":{}"#, id(5), id(2)), &[]),
        (
            format!(
                r#""from_time":{},"until_publication":{},"topic":"com.shop.order","reverse":true,"limit":2"#,
                time(1),
                id(5)
            ),
            &[4, 3],
        ),
    ];
    for (keywords, expected) in table {
        assert_eq!(asker.numbers(&mut net, &keywords), expected, "{keywords}");
    }
    // Null counts as absent, and unknown keywords are ignored.
    assert_eq!(asker.numbers(&mut net, r#""limit":null,"topic":null,"x":1"#), [1, 2, 3, 4, 5, 6]);
}

// behaviour 125, behaviour 126
#[test]
fn a_call_that_cannot_be_answered_says_why() {
    let mut net = net([orders()]);
    let subscriber = net.raw(Serializer::Json, basic_roles());
    net.say(subscriber, r#"[32,1,{},"com.other"]"#);
    net.say(subscriber, r#"[32,2,{},"wamp.session.on_join"]"#);
    assert_eq!(net.heard(subscriber), ["[33,1,2]", "[33,2,3]"]);
    let mut asker = Asker::new(&mut net);
    for (keywords, name) in [
        (r#""limit":0"#, "limit"),
        (r#""limit":-1"#, "limit"),
        (r#""limit":"3""#, "limit"),
        (r#""reverse":1"#, "reverse"),
        (r#""from_time":"yesterday""#, "from_time"),
        (r#""after_time":7"#, "after_time"),
        (r#""before_time":"2026-03-01""#, "before_time"),
        (r#""until_time":"2026-02-29T00:00:00Z""#, "until_time"),
        (r#""topic":1"#, "topic"),
        (r#""from_publication":"x""#, "from_publication"),
    ] {
        let error = asker.error(&mut net, &format!("[1],{{{keywords}}}"));
        assert!(error.starts_with("wamp.error.invalid_argument") && error.contains(name), "{error}");
    }
    for (arguments, error) in [
        ("[]", "wamp.error.invalid_argument"),
        (r#"["1"]"#, "wamp.error.invalid_argument"),
        ("[9]", "wamp.error.no_such_subscription"),
        ("[0]", "wamp.error.no_such_subscription"),
        ("[3]", "wamp.error.no_such_subscription"),
        ("[2]", "wamp.error.history_unavailable"),
    ] {
        assert!(asker.error(&mut net, arguments).starts_with(error), "{arguments}");
    }
    assert_eq!(asker.events(&mut net, ""), (vec![], false), "no events is no error");
}

// behaviour 126
#[test]
fn each_session_sees_the_events_for_its_authid_and_role() {
    let mut config = Config::new("realm1");
    config.history.push(orders());
    for role in ["user", "admin"] {
        config.roles.insert(Role::everything(role));
    }
    config.roles.insert(Role::new("guest").allow(Actions::ALL, Pattern::prefix("com.shop.public.")));
    let mut net = Net::with(config);
    let join = |net: &mut Net, authid: &'static str, role: &'static str| {
        let identity = Identity::new(authid, role, "ticket");
        Asker { client: net.raw_as(Serializer::Json, all_roles(), identity), request: 0 }
    };
    let (mut joe, mut anna) = (join(&mut net, "joe", "user"), join(&mut net, "anna", "admin"));
    let (publisher, mut guest) = (join(&mut net, "joe", "user").client, join(&mut net, "guest", "guest"));
    let own = net.key(joe.client).id();
    for (number, options) in (1..).zip([
        r#""eligible_authrole":["admin"]"#.to_owned(),
        r#""exclude_authid":["anna"]"#.to_owned(),
        r#""eligible_authid":["joe","anna"],"exclude_authrole":["guest"]"#.to_owned(),
        r#""eligible_authrole":[]"#.to_owned(),
        // Events for particular sessions are not kept.
        format!(r#""eligible":[{own}]"#),
        r#""exclude":[]"#.to_owned(),
        r#""disclose_me":true,"exclude_me":false"#.to_owned(),
    ]) {
        net.say(publisher, &format!(r#"[16,{number},{{{options}}},"com.shop.order",[{number}]]"#));
    }
    assert_eq!(joe.numbers(&mut net, ""), [2, 3, 7]);
    assert_eq!(anna.numbers(&mut net, ""), [1, 3, 7]);
    assert_eq!(net.realm.sizes().past_events, 5);
    let (events, _) = anna.events(&mut net, r#""reverse":true,"limit":1"#);
    assert_eq!(events[0]["details"]["publisher_authid"], "joe");
    // It may not subscribe to the whole pattern.
    assert!(guest.error(&mut net, "[1]").starts_with("wamp.error.not_authorized"));
}

// behaviour 127
#[test]
fn an_event_comes_with_its_time_its_details_and_its_arguments_in_each_serializer() {
    let mut net = net([orders(), History::new(Pattern::exact("com.shop.order"))]);
    let passthru = Features::none().with(Feature::PayloadPassthruMode);
    let publisher = net.raw(Serializer::Cbor, basic_roles().with(Of::Publisher, passthru));
    net.sleep(Duration::from_micros(1_500_700));
    net.say(publisher, r#"[16,1,{"ppt_scheme":"x_my","_trace_id":"7"},"com.shop.order",[1,[2]],{"a":"b"}]"#);
    net.say(publisher, r#"[16,2,{},"com.shop.order"]"#);
    for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Cbor] {
        let client = net.raw(serializer, all_roles());
        for subscription in [1, 2] {
            let call = format!(r#"[48,{subscription},{{}},"wamp.subscription.get_events",[{subscription}]]"#);
            net.say(client, &call);
            let heard = net.heard(client).concat();
            let answer: Value = serde_json::from_str(&heard).unwrap();
            let event = &answer[3][0];
            assert_eq!(event["timestamp"], "2026-03-01T12:00:01.500Z");
            assert_eq!(event["subscription"], subscription);
            assert_eq!(
                (&event["args"], &event["kwargs"]),
                (&serde_json::json!([1, [2]]), &serde_json::json!({"a":"b"}))
            );
            let details = serde_json::json!({"topic":"com.shop.order","ppt_scheme":"x_my","_trace_id":"7"});
            assert_eq!(event["details"], details, "{heard}");
            let bare = answer[3][1].as_object().unwrap();
            assert!(!bare.contains_key("args") && !bare.contains_key("kwargs"), "{heard}");
            assert_eq!(answer[4], serde_json::json!({"is_limit_reached":false,"more":false}));
            assert_eq!(answer.as_array().unwrap().len(), 5);
        }
    }
}

// behaviour 128
#[test]
fn events_of_one_moment_keep_their_order() {
    let mut net = net([orders()]);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let mut asker = Asker::new(&mut net);
    for number in 1..=100 {
        net.say(publisher, &format!(r#"[16,{number},{{}},"com.shop.order",[{number}]]"#));
    }
    assert_eq!(asker.numbers(&mut net, ""), Vec::from_iter(1..=100));
}

// behaviour 124
#[test]
fn a_history_has_limits_of_events_and_bytes() {
    let few = History { events: 3, ..orders() };
    let small = History { bytes: 1000, ..History::new(Pattern::wildcard("com..order")) };
    let none = History { events: 0, ..History::new(Pattern::exact("com.shop.order")) };
    let mut net = net([few, small, none]);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let mut asker = Asker::new(&mut net);
    publish(&mut net, publisher, "com.shop.order", 1..=5);
    assert_eq!(asker.numbers(&mut net, ""), [3, 4, 5]);
    let sizes = net.realm.sizes();
    assert_eq!(sizes.past_events, 6, "three of 277 bytes fit");
    assert!(sizes.past_bytes <= 2000, "{sizes:?}");
    // An event that is too large changes nothing.
    net.say(publisher, &format!(r#"[16,6,{{}},"com.a.order",["{}"]]"#, "x".repeat(1000)));
    assert_eq!(net.realm.sizes(), sizes);
    net.say(publisher, &format!(r#"[16,7,{{}},"com.a.order",["{}"]]"#, "x".repeat(700)));
    assert_eq!(net.realm.sizes().past_events, 4, "it takes the place of all others");
}

// behaviour 127
#[test]
fn an_answer_has_at_most_1000_events_and_1_mib() {
    let mut net = net([History { events: 2000, ..orders() }]);
    let publisher = net.raw(Serializer::Json, basic_roles());
    let mut asker = Asker::new(&mut net);
    for number in 1..=1001 {
        net.say(publisher, &format!(r#"[16,{number},{{}},"com.shop.order",[{number}]]"#));
    }
    let (events, more) = asker.events(&mut net, r#""limit":5000"#);
    assert_eq!((events.len(), more), (1000, true));
    for number in 1002..=1006 {
        net.say(
            publisher,
            &format!(r#"[16,{number},{{}},"com.shop.order",[{number},"{}"]]"#, "x".repeat(300_000)),
        );
    }
    let (events, more) = asker.events(&mut net, r#""reverse":true"#);
    assert_eq!((events.len(), more), (3, true), "900,000 bytes");
}

// behaviour 127
#[test]
fn a_page_is_never_longer_than_its_asker_accepts() {
    let mut net = net([orders()]);
    let publisher = net.raw(Serializer::Cbor, basic_roles());
    // A byte in CBOR, and six in JSON. The fourth one never fits.
    for (number, len) in (1..).zip([300, 300, 300, 1000, 300, 10, 10]) {
        let text = "\\u0001".repeat(len);
        net.say(publisher, &format!(r#"[16,{number},{{}},"com.shop.order",[{number},"{text}"]]"#));
    }
    let client = net.raw_with(Serializer::Json, all_roles(), 4000);
    let mut asker = Asker { client, request: 0 };
    let (mut pages, mut last) = (Vec::new(), String::new());
    loop {
        let (events, more) = asker.events(&mut net, &last);
        pages.push(Vec::from_iter(events.iter().map(|event| event["args"][0].as_u64().unwrap())));
        if !more {
            break;
        }
        last = format!(r#""after_publication":{}"#, events.last().unwrap()["publication"]);
    }
    assert_eq!(pages, [vec![1], vec![2], vec![3], vec![5, 6, 7]]);
}

// behaviour 127
#[test]
fn events_that_are_left_out_count_as_work() {
    let mut net = net([History { events: 9000, ..orders() }]);
    let publisher = net.raw(Serializer::Json, basic_roles());
    for number in 1..=4001 {
        // MessagePack has no such integers.
        let value = if number % 4001 == 1 { "1" } else { "123456789012345678901234567890" };
        net.say(publisher, &format!(r#"[16,{number},{{}},"com.shop.order",[{number},{value}]]"#));
    }
    let mut asker = Asker { client: net.raw(Serializer::MsgPack, all_roles()), request: 0 };
    net.say(publisher, r#"[16,4002,{},"com.shop.order",[4002]]"#);
    let (events, more) = asker.events(&mut net, "");
    assert_eq!((events.len(), more), (1, true));
    let (events, more) = asker.events(&mut net, r#""reverse":true"#);
    assert_eq!((events.len(), more), (1, true));
    // Many bytes are as much work as many events.
    let long = "x".repeat(500_000);
    for number in 4003..=4012 {
        let said =
            format!(r#"[16,{number},{{}},"com.shop.order",["{long}",123456789012345678901234567890]]"#);
        net.say(publisher, &said);
    }
    let (events, more) = asker.events(&mut net, r#""reverse":true"#);
    assert_eq!((events.len(), more), (0, true), "4 MiB are examined");
}

// behaviour 124
#[test]
fn patterns_that_cannot_be_subscribed_to_keep_nothing() {
    let patterns =
        [Pattern::prefix("wamp."), Pattern::exact("com..x"), Pattern::exact("a b"), Pattern::prefix("")];
    let mut net = net(patterns.map(History::new));
    assert_eq!(net.realm.sizes().topics, 1);
    let publisher = net.raw(Serializer::Json, basic_roles());
    publish(&mut net, publisher, "com.shop.order", 1..=2);
    let mut asker = Asker::new(&mut net);
    assert_eq!(asker.numbers(&mut net, ""), [1, 2], "and no meta events");
}

// behaviour 280
#[test]
fn a_history_is_announced_where_it_is_configured() {
    for (histories, expected) in [(vec![], false), (vec![orders()], true)] {
        let mut net = net(histories);
        let client = net.add_raw(Serializer::Json, basic_roles());
        assert_eq!(net.heard(client).concat().contains(r#""event_history":true"#), expected);
    }
}
