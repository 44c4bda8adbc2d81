//! What can happen next in a world.

use std::fmt;

use crate::said::{Answer, Mode, Procedure};

/// One step. Calls and invocations are counted by their client, from 0. A step that makes no sense where it
/// stands does nothing, so that any part of a sequence is a sequence.
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
        willing: bool,
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
    /// The program takes the oldest message of a stream that waits for it.
    Take {
        client: usize,
    },
    /// A peer that is none of ours says this of a stream, true or not.
    Grant {
        client: usize,
        request: u64,
        chunks: Option<bool>,
        total: Option<u64>,
    },
    Leave {
        client: usize,
    },
    // A message crosses one end of a wire: so many to the router in one batch; one to the client.
    Up {
        client: usize,
        count: usize,
    },
    Down {
        client: usize,
    },
    /// What the router waits for next has left for a client's socket.
    Left {
        client: usize,
    },
    // Something goes wrong.
    /// The client dies: what it has sent still arrives.
    Die {
        client: usize,
    },
    /// The link breaks: what is under way is lost.
    Cut {
        client: usize,
    },
    /// The client finds that its router breaks the protocol.
    Abort {
        client: usize,
    },
    /// The router's operator ends a session.
    Kick {
        client: usize,
    },
    /// The router does not read from a client for a while, since what that sends has nowhere to go.
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
    /// A machine whose deadline has passed is told so: a client, or the realm.
    Expire {
        client: Option<usize>,
    },
    Shutdown,
}

/// What a client sends that it should not, or need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// YIELD for an invocation that never was.
    NeverInvoked,
    /// ERROR for a CALL.
    ErrorOfCall,
    /// A request id out of sequence.
    Gap,
    /// A CALL with the id of its first call again, in no chunks.
    Again,
    /// Octets that are no message.
    Garbage,
    /// CANCEL of a call that it never made.
    ForeignCancel,
    /// CANCEL of its last call in no mode.
    CancelWithoutMode,
}

/// What a router sends to one of our sessions that it should not: about its call or invocation of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forged {
    /// Progress for a call that did not ask for it, or is over.
    Progress,
    /// A last RESULT for a call that is over.
    Result,
    /// An ERROR for a call that never was.
    Unknown,
    /// INTERRUPT for an invocation that is over.
    Interrupt,
    /// CREDIT for its invocation of this number, be it over or not: a total that is smaller than the first.
    Credit,
    /// CREDIT without a total.
    Void,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Step::Register { client, procedure } => write!(f, "client {client} registers p{procedure}"),
            Step::Unregister { client, procedure } => write!(f, "client {client} unregisters p{procedure}"),
            Step::Call { client, procedure, willing, more, timeout } => {
                write!(f, "client {client} calls p{procedure}")?;
                write!(f, "{}", if willing { ", takes progress" } else { "" })?;
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
            Step::Left { client } => write!(f, "what was watched has left for client {client}"),
            Step::Leave { client } => write!(f, "client {client} leaves"),
            Step::Up { client, count: 1 } => write!(f, "the router reads from client {client}"),
            Step::Up { client, count } => write!(f, "the router reads {count} messages from client {client}"),
            Step::Down { client } => write!(f, "client {client} reads"),
            Step::Die { client } => write!(f, "client {client} dies"),
            Step::Cut { client } => write!(f, "the link of client {client} breaks"),
            Step::Abort { client } => write!(f, "client {client} aborts"),
            Step::Kick { client } => write!(f, "the router closes the session of client {client}"),
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
