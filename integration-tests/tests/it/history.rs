//! The history of the events of a pattern.

use std::future::IntoFuture;

use serde_json::{Value as Json, json};
use wamp_client::connect;
use wamp_router::{History, Pattern, RealmConfig, Router};

use crate::authentication::joined;
use crate::support::{House, within};

// behaviour 124, behaviour 125, behaviour 127
#[tokio::test]
async fn past_events_of_a_configured_pattern_can_be_read_over_a_socket() {
    let history = History { events: 3, ..History::new(Pattern::prefix("com.shop.order.")) };
    let realm = RealmConfig::new("realm1").history(history);
    let house = House::with(Router::builder().realm_with(realm).build()).await;
    let session = joined(connect(format!("ws://{}/", house.tcp)).realm("realm1")).await;
    for (topic, number) in [("made", 1), ("paid", 2), ("made", 3), ("sent", 4)] {
        let published = session.publish(format!("com.shop.order.{topic}")).arg(number).acknowledge();
        within(published.into_future()).await.unwrap();
    }
    within(session.publish("com.shop.news").arg(5).acknowledge().into_future()).await.unwrap();

    let lookup =
        session.call("wamp.subscription.lookup").args(("com.shop.order.", json!({"match": "prefix"})));
    let id: u64 = within(lookup.into_future()).await.unwrap().decode().unwrap();
    let newest = session.call("wamp.subscription.get_events").arg(id).kwarg("reverse", true);
    let events: Vec<Json> = within(newest.into_future()).await.unwrap().args().unwrap();
    let facts = |event: &Json| (event["details"]["topic"].clone(), event["args"].clone());
    let expected = [("sent", 4), ("made", 3), ("paid", 2)];
    let expected =
        expected.map(|(topic, number)| (json!(format!("com.shop.order.{topic}")), json!([number])));
    assert_eq!(events.iter().map(facts).collect::<Vec<_>>(), expected, "the oldest has given way");
}
