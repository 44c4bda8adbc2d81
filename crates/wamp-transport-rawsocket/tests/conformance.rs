//! The conformance test of transports.

use wamp_transport::testing::conformance;
use wamp_transport_rawsocket::{Config, accept, connect};

#[tokio::test]
async fn rawsocket_conforms() {
    conformance(async |wanted| {
        let ((ours, theirs), config) = (wanted.streams(), Config::default());
        tokio::try_join!(connect(ours, wanted.serializer, &config), accept(theirs, &[], &config)).unwrap()
    })
    .await;
}
