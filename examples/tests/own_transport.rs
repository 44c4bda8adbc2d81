//! The transport of the example conforms.

use wamp_transport::testing::conformance;

#[path = "../own_transport.rs"]
#[allow(dead_code, reason = "its main function")]
mod own_transport;

#[tokio::test]
async fn a_transport_without_ping_conforms() {
    conformance(async |wanted| own_transport::pair(wanted.serializer)).await;
}
