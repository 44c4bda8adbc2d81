//! A conformance test for transports (the feature `testing`).
//!
//! [`conformance`] makes many connections over a transport and checks the guarantees for client and router
//! that are in the documentation of [`Transport`], [`ReadHalf`](crate::ReadHalf) and
//! [`WriteHalf`](crate::WriteHalf). Call it in a test of your transport, within a tokio runtime:
//!
//! ```
//! use wamp_transport::memory;
//! use wamp_transport::testing::conformance;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance(async |wanted| memory::pair_with(wanted.serializer, wanted.capacity)).await;
//! # }
//! ```
//!
//! A transport over a stream of bytes connects over [`Wanted::streams`], which bring one byte at a time in some of the
//! checks:
//!
//! ```ignore
//! conformance(async |wanted| {
//!     let (ours, theirs) = wanted.streams();
//!     tokio::try_join!(my_transport::connect(ours, wanted.serializer), my_transport::accept(theirs)).unwrap()
//! })
//! .await;
//! ```

mod checks;
mod ends;
mod flow;
mod peer;

use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::time::timeout;
use wamp_proto::Serializer;

use crate::Transport;

/// The time for one check, after which something has not been woken.
const LIMIT: Duration = Duration::from_secs(20);

/// The capacities of the connections. With the first, streams bring one byte at a time.
const CAPACITIES: [usize; 3] = [1, 97, 64 * 1024];

/// The connection that a check needs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Wanted {
    /// The serializer of its messages.
    pub serializer: Serializer,
    /// The number of bytes that it holds in each direction, where that can be chosen.
    pub capacity: usize,
}

impl Wanted {
    /// Returns both ends of a stream of bytes in memory with the [`capacity`](Self::capacity).
    pub fn streams(&self) -> (DuplexStream, DuplexStream) {
        tokio::io::duplex(self.capacity)
    }
}

/// Runs one check in each direction of a connection.
macro_rules! check {
    ($connect:ident, $wanted:expr, $($check:path),+ $(,)?) => {$(
        let wanted = $wanted;
        let name = stringify!($check).rsplit(':').next().unwrap_or_default().trim().replace('_', " ");
        for direction in ["from the first end", "from the second end"] {
            let (first, second) = $connect(wanted).await;
            let checked = async {
                match direction {
                    "from the first end" => $check(first, second, wanted).await,
                    _ => $check(second, first, wanted).await,
                }
            };
            let fault = match timeout(LIMIT, checked).await {
                Ok(Ok(())) => continue,
                Ok(Err(fault)) => fault,
                Err(_) => format!("not done after {} s; something is not woken", LIMIT.as_secs()),
            };
            panic!("the transport does not conform: {name}: {fault} ({direction}, {wanted:?})");
        }
    )+};
}

/// Checks a transport, of which `connect` makes both ends of a new connection.
///
/// The ends may be of two types, as a client's and a server's are. Every check runs in both directions, with each
/// serializer of this build or with each capacity. A transport without PING says so in [`Transport::pings`].
///
/// # Panics
/// If the transport does not conform; the text says which rule is broken, and with which connection.
pub async fn conformance<A: Transport, B: Transport>(connect: impl AsyncFn(Wanted) -> (A, B)) {
    for &serializer in Serializer::ALL {
        for capacity in CAPACITIES {
            let wanted = Wanted { serializer, capacity };
            check!(
                connect,
                wanted,
                checks::both_ends_agree,
                checks::messages_arrive_whole_and_in_order,
                checks::a_dropped_write_goes_on_where_it_was,
                checks::a_dropped_read_loses_nothing,
                checks::runs_are_the_same_messages,
                checks::a_message_beyond_the_limit_ends_reading_after_those_before_it,
                checks::a_ping_is_answered,
                ends::all_that_was_written_before_a_close_arrives,
                ends::the_end_of_the_peer_is_noticed,
            );
        }
        let wanted = Wanted { serializer, capacity: CAPACITIES[2] };
        check!(
            connect,
            wanted,
            flow::a_writer_waits_for_a_peer_that_does_not_read,
            flow::a_reader_waits_and_is_woken,
            flow::memory_that_was_asked_for_is_given_back,
            ends::discarding_ends_with_the_connection,
        );
    }
}
