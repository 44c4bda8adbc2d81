//! Subscriptions that the router revokes.

use wamp_proto::{Feature, Features, Role, Serializer, Uri};

use crate::net::{Net, all_roles};

// behaviour 131
#[test]
fn a_revoked_subscription_is_announced_to_a_client_that_understands() {
    let mut net = Net::new();
    let knows = Features::none().with(Feature::SubscriptionRevocation);
    let python = Features::none().with(Feature::PayloadTransparency);
    let autobahn = all_roles().with(Role::Subscriber, knows.clone()).with(Role::Caller, python);
    let clients = [
        net.raw(Serializer::Json, all_roles().with(Role::Subscriber, knows)),
        net.raw(Serializer::Json, all_roles()),
        net.raw(Serializer::Json, autobahn),
    ];
    let publisher = net.raw(Serializer::Json, all_roles());
    for client in clients {
        net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
        net.heard(client);
    }
    let subscription = wamp_proto::SubscriptionId::new(1).unwrap();
    let reason = Uri::from("wamp.error.not_authorized");
    for client in clients {
        let key = net.key(client);
        assert!(net.realm.revoke_subscription(net.now, key, subscription, Some(reason.clone())));
        assert!(!net.realm.revoke_subscription(net.now, key, subscription, None));
        // It crosses the revocation.
        net.say(client, "[34,2,1]");
        net.say(publisher, r#"[16,1,{},"com.myapp.topic"]"#);
    }
    let told = r#"[35,0,{"subscription":1,"reason":"wamp.error.not_authorized"}]"#;
    for (client, expected) in clients.into_iter().zip([&[told][..], &[], &[]]) {
        let heard = net.heard(client);
        let (said, rest) = heard.split_at(heard.len() - 1);
        let is_event = |said: &&String| said.starts_with("[36,");
        let others: Vec<&String> = said.iter().filter(|said| !is_event(said)).collect();
        assert_eq!(others, expected, "{heard:?}");
        assert!(rest[0].starts_with(r#"[8,34,2,{},"wamp.error.no_such_subscription""#), "{heard:?}");
    }
    assert_eq!(net.realm.sizes().topics, 0);
}
