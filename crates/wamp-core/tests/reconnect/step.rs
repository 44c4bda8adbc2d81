//! The steps of the model, and the declarations and calls of its program.

use wamp_core::reconnect::{Declaration, Retry};
use wamp_proto::Uri;
use wamp_proto::message::{MatchPolicy, RegisterOptions, SubscribeOptions};

/// The possible declarations, by number.
pub const DECLARABLE: usize = 3;

pub fn declarable(index: usize) -> Declaration {
    if index == 2 {
        let options = SubscribeOptions { policy: None, ..SubscribeOptions::default() };
        return Declaration::Subscribe { options, topic: Uri::from_static("client.topic") };
    }
    let mut options = RegisterOptions::default();
    let procedure = match index {
        0 => {
            options.policy = Some(MatchPolicy::Prefix);
            "client.prefix."
        }
        _ => {
            options.forward_timeout = Some(true);
            "client.exact"
        }
    };
    Declaration::Register { options, procedure: Uri::from_static(procedure) }
}

/// A possible next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The attempt under way connects.
    Connect,
    /// The attempt under way fails.
    Fail,
    /// The client writes its next message.
    Write,
    /// The router handles the client's next message.
    ToRouter,
    /// The client handles the router's next message.
    ToClient,
    /// The connection is lost, and both ends know it.
    Lose,
    /// The connection is lost, and the router does not know it yet.
    LoseSilently,
    /// The router notices that a session is gone.
    Forget,
    /// The router is killed, and another one takes its place.
    Restart,
    /// The router shuts down, and another one takes its place.
    ShutDown,
    /// Nothing happens until the next deadline.
    Tick,
    /// The program declares something.
    Declare(usize),
    /// The program withdraws it.
    Withdraw(usize),
    /// The program calls the witness; the number is of its policy.
    Call(usize),
    /// The witness sends a progressive result for its oldest invocation.
    Progress,
    /// The witness ends its oldest invocation.
    Result,
    /// The witness is unavailable for its oldest invocation.
    Unavailable,
    /// The program leaves.
    Leave,
}

pub const POLICIES: [Option<Retry>; 3] =
    [None, Some(Retry::unsent().times(2)), Some(Retry::idempotent().times(2))];
