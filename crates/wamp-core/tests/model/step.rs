//! The possible next steps of a world.

use std::fmt;

use crate::wire_message::{Answer, Mode, Procedure};

/// One step. Calls and invocations are numbered by their client, from 0. A step that makes no sense in a
/// state does nothing, so that any part of a sequence is a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    // A program acts.
    Register {
        client: usize,
        procedure: Procedure,
    },
    Unregister {
        client: usize,
        procedure: Procedure,
    },
    Call {
        client: usize,
        procedure: Procedure,
        wants_progress: bool,
        more: bool,
        timeout: u64,
    },
    Chunk {
        client: usize,
        call: usize,
        last: bool,
    },
    Cancel {
        client: usize,
        call: usize,
        mode: Mode,
    },
    Answer {
        client: usize,
        invocation: usize,
        answer: Answer,
    },
    AnswerCancelMyself {
        client: usize,
        invocation: usize,
    },
    /// The program takes the oldest waiting message of a stream.
    Take {
        client: usize,
    },
    /// A peer of the model grants this total for a stream, rightly or not.
    Grant {
        client: usize,
        request: u64,
        chunks: Option<bool>,
        total: Option<u64>,
    },
    Leave {
        client: usize,
    },
    // Messages cross one end of a wire: several to the router in one batch, one to the client.
    Up {
        client: usize,
        count: usize,
    },
    Down {
        client: usize,
    },
    /// The router's next watch on a client's outbound messages is complete.
    Left {
        client: usize,
    },
    // Faults.
    /// The client dies; messages that it has sent still arrive.
    Die {
        client: usize,
    },
    /// The link breaks; messages on the way are lost.
    Cut {
        client: usize,
    },
    /// The client finds that its router breaks the protocol.
    Abort {
        client: usize,
    },
    /// The router itself calls a procedure.
    Ask {
        procedure: Procedure,
        timeout: u64,
    },
    /// The router gives up the call that it made as this one.
    Abandon {
        ask: usize,
    },
    /// The router's operator ends a session.
    CloseByRouter {
        client: usize,
    },
    /// The router does not read from a client for a while, as if the receivers of its messages were full.
    Hold {
        client: usize,
    },
    Release {
        client: usize,
    },
    Wrong {
        client: usize,
        wrong: Wrong,
    },
    Forge {
        client: usize,
        of: usize,
        forged: Forged,
    },
    // Time.
    Pass {
        millis: u64,
    },
    /// Time advances to the next deadline.
    Tick,
    /// A machine whose deadline has passed handles it: a client, or the realm.
    Expire {
        client: Option<usize>,
    },
    Shutdown,
}

/// A message that a client should not, or need not, send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// A YIELD for an invocation that never existed.
    NeverInvoked,
    /// An ERROR for a CALL.
    ErrorOfCall,
    /// A request id out of sequence.
    Gap,
    /// A CALL with the id of its first call again, not in chunks.
    Again,
    /// Bytes that are not a message.
    Garbage,
    /// A CANCEL of a call that it never made.
    ForeignCancel,
    /// A CANCEL of its last call without a mode.
    CancelWithoutMode,
}

/// A message that a router should not send to one of our sessions, about its call or invocation of this
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forged {
    /// Progress for a call that did not ask for it, or is over.
    Progress,
    /// A last RESULT for a call that is over.
    Result,
    /// An ERROR for a call that never existed.
    Unknown,
    /// An INTERRUPT for an invocation that is over.
    Interrupt,
    /// A CREDIT for its invocation of this number, over or not, with a total smaller than the first.
    Credit,
    /// A CREDIT without a total.
    Void,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Step::Register { client, procedure } => write!(f, "client {client} registers p{procedure}"),
            Step::Unregister { client, procedure } => write!(f, "client {client} unregisters p{procedure}"),
            Step::Call { client, procedure, wants_progress, more, timeout } => {
                write!(f, "client {client} calls p{procedure}")?;
                write!(f, "{}", if wants_progress { ", takes progress" } else { "" })?;
                write!(f, "{}", if more { ", in chunks" } else { "" })?;
                if timeout > 0 { write!(f, ", within {timeout} ms") } else { Ok(()) }
            }
            Step::Chunk { client, call, last } => {
                write!(f, "client {client}, call {call}: {} chunk", if last { "last" } else { "next" })
            }
            Step::Cancel { client, call, mode } => write!(f, "client {client}, call {call}: cancel {mode:?}"),
            Step::Answer { client, invocation, answer } => {
                write!(f, "client {client}, invocation {invocation}: {answer:?}")
            }
            Step::AnswerCancelMyself { client, invocation } => {
                write!(f, "client {client}, invocation {invocation}: will answer a cancel itself")
            }
            Step::Take { client } => write!(f, "client {client} takes a message"),
            Step::Grant { client, request, chunks, total } => {
                write!(f, "client {client} grants {total:?} to {request}, chunks: {chunks:?}")
            }
            Step::Left { client } => write!(f, "the watched messages were written to client {client}"),
            Step::Leave { client } => write!(f, "client {client} leaves"),
            Step::Up { client, count: 1 } => write!(f, "the router reads from client {client}"),
            Step::Up { client, count } => write!(f, "the router reads {count} messages from client {client}"),
            Step::Down { client } => write!(f, "client {client} reads"),
            Step::Die { client } => write!(f, "client {client} dies"),
            Step::Cut { client } => write!(f, "the link of client {client} breaks"),
            Step::Abort { client } => write!(f, "client {client} aborts"),
            Step::Ask { procedure, timeout } => {
                write!(f, "the router calls procedure {procedure}, timeout {timeout} ms")
            }
            Step::Abandon { ask } => write!(f, "the router gives up its call {ask}"),
            Step::CloseByRouter { client } => write!(f, "the router closes the session of client {client}"),
            Step::Hold { client } => write!(f, "the router does not read from client {client}"),
            Step::Release { client } => write!(f, "the router reads from client {client} again"),
            Step::Wrong { client, wrong } => write!(f, "client {client} does wrong: {wrong:?}"),
            Step::Forge { client, of, forged } => {
                write!(f, "client {client} is told by a broken router: {forged:?} of {of}")
            }
            Step::Pass { millis } => write!(f, "{millis} ms pass"),
            Step::Tick => write!(f, "time passes until the next deadline"),
            Step::Expire { client: Some(client) } => write!(f, "client {client} looks at the clock"),
            Step::Expire { client: None } => write!(f, "the router looks at the clock"),
            Step::Shutdown => write!(f, "the router shuts down"),
        }
    }
}
