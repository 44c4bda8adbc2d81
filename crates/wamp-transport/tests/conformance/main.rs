//! The conformance test passes a transport that conforms, and finds each defect of one that does not. Other transports
//! are tested where they are; the one of `examples/own_transport.rs` has no PING.

mod broken;

use broken::{Broken, Defect};
use tokio::task::LocalSet;
use wamp_transport::memory;
use wamp_transport::testing::{Wanted, conformance};

#[tokio::test]
async fn the_pair_in_memory_conforms() {
    conformance(async |wanted| memory::pair_with(wanted.serializer, wanted.capacity)).await;
}

async fn broken_pair(wanted: Wanted, defect: Defect) -> (Broken, Broken) {
    let (here, there) = memory::pair_with(wanted.serializer, wanted.capacity);
    (Broken::new(here, defect), Broken::new(there, defect))
}

/// With a clock that jumps when all tasks wait, so that a lost wake-up is found at once.
#[tokio::test(start_paused = true)]
async fn a_wrapper_without_a_defect_conforms() {
    conformance(async |wanted| broken_pair(wanted, Defect::None).await).await;
}

async fn fault_of(defect: Defect) -> String {
    let tasks = LocalSet::new();
    let test = conformance(async move |wanted| broken_pair(wanted, defect).await);
    let Err(panic) = tasks.run_until(tasks.spawn_local(test)).await else {
        panic!("{defect:?} is not found")
    };
    panic.into_panic().downcast_ref::<String>().cloned().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn every_defect_is_found() {
    let table = [
        (Defect::LosesADroppedWrite, "a dropped write goes on where it was: "),
        (Defect::LosesADroppedRead, "a dropped read loses nothing: "),
        (Defect::ReadsNothing, "a read was successful and returned nothing"),
        (Defect::Unbounded, "a writer waits for a peer that does not read: "),
        (Defect::HasNoLimit, "a message of 1001 bytes arrived, with a limit of 1000"),
        (Defect::SwallowsPings, "a ping is answered: not done after 20 s; something is not woken"),
        (Defect::LosesLastWords, "all that was written before a close arrives: "),
        (Defect::ForgetsTheBatch, "messages arrive whole and in order: after 1 of 309 messages: "),
        (Defect::DoesNotCount, "accepted() has not grown with a write"),
        (Defect::Reorders, "messages arrive whole and in order: message "),
        (Defect::GoesOnAfterAnError, "reading went on after an error"),
    ];
    for (defect, expected) in table {
        let fault = fault_of(defect).await;
        assert!(fault.starts_with("the transport does not conform: "), "{defect:?}: {fault}");
        assert!(fault.contains(expected), "{defect:?}: {fault}");
    }
}
