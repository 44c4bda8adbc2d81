//! The invariants of a call from end to end. They look at messages and at events for programs, know nothing
//! of the inside of a dealer or a session, and are one list:
//!
//!  1. A caller receives progressive results in the order in which its callee sent them, without duplicates or gaps.
//!  2. Without a cancel, a timeout or a departure, no progressive result is missing before the last reply.
//!  3. Each CALL gets at most one last RESULT or ERROR, and after it nothing.
//!  4. No caller receives progress that it did not ask for or did not announce.
//!  5. The last RESULT is the callee's first last answer.
//!  6. An invocation gets at most one INTERRUPT, or `kill` and then `killnowait`.
//!  7. No INTERRUPT goes to a callee that did not announce call_canceling.
//!  8. A callee receives the chunks of a call in order, without duplicates or gaps, and no other callee receives one.
//!  9. A chunk is flagged as the last exactly if its caller flagged it so.
//! 10. Nothing is sent to a session after its GOODBYE or ABORT, or after its link was lost.
//! 11. No client is aborted without a fault of its own.
//! 12. The events of a call match the messages on its wire, up to where the program canceled it.
//! 13. When everything is delivered and answered, each call of a caller that is still there has ended, and no table of
//!     a session or the realm holds anything (`World::finish`).
//!
//! 21. A call goes to another callee only after a refusal of each before, before any result, and never to the same again.
//!
//! And of credit, on each hop (`account`):
//!
//! 14. A sender of ours sends progress only if it has credit, and gets an event when it has some again.
//! 15. The granted total rises with each CREDIT, and exceeds the spent credit.
//! 16. It never exceeds the consumed bytes plus the widest window.
//! 17. The dealer never grants more than the received bytes plus the remaining credit of the next receiver.
//! 18. CREDIT goes only to a peer that announced it for that role, about a stream that goes on.
//! 19. No sender is left without credit while the receiver has room and its application goes on.
//! 20. A call ends as slow only if its receiver granted nothing to a sender without credit for the whole limit.

use crate::asking::ROUTER;
use crate::endpoint::Observed;
use crate::setup::Kind;
use crate::wire_message::{Mode, OF_CALL, OF_INVOCATION, Tag, UNAVAILABLE, WireMessage};

#[derive(Clone)]
struct Call {
    caller: usize,
    request: u64,
    wants_progress: bool,
    /// Whether its caller asks for progress.
    asks: bool,
    /// The tag of each chunk, and whether more follow.
    chunks: Vec<(Tag, bool)>,
    /// The callee, and its id for the invocation.
    served: Option<(usize, u64)>,
    chunks_served: usize,
    /// Whether the callee has refused it, and the callees that have done so before.
    refused: bool,
    refusers: Vec<usize>,
    /// The progressive results that the callee sent.
    progress: Vec<Tag>,
    /// The callee's first last answer, and the number of progressive results before it.
    last: Option<(Tag, usize)>,
    interrupts: Vec<Mode>,
    /// The replies that the router has sent to the caller, and those that its program has observed.
    heard: usize,
    ended: bool,
    observed: usize,
    observed_end: bool,
    canceled: bool,
}

impl Call {
    fn new(caller: usize, request: u64, wants_progress: bool, chunk: (Tag, bool)) -> Self {
        Self {
            caller,
            request,
            wants_progress,
            asks: wants_progress,
            chunks: vec![chunk],
            served: None,
            chunks_served: 0,
            refused: false,
            refusers: Vec::new(),
            progress: Vec::new(),
            last: None,
            interrupts: Vec::new(),
            heard: 0,
            ended: false,
            observed: 0,
            observed_end: false,
            canceled: false,
        }
    }
}

#[derive(Clone)]
struct Client {
    kind: Kind,
    /// Whether it may be aborted.
    at_fault: bool,
    /// Whether nothing may be sent to it but GOODBYE or ABORT, and after GOODBYE not even that.
    leaving: bool,
    dismissed: bool,
    /// Whether nothing may be sent to it.
    ended: bool,
}

#[derive(Clone)]
pub struct Ledger {
    clients: Vec<Client>,
    calls: Vec<Call>,
}

/// The invariant that does not hold, and how.
pub type Broken = String;

macro_rules! hold {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}
pub(crate) use hold;

impl Ledger {
    pub fn new(kinds: &[Kind]) -> Self {
        let client = |kind: &Kind| Client {
            kind: *kind,
            at_fault: false,
            leaving: false,
            dismissed: false,
            ended: false,
        };
        Self { clients: kinds.iter().map(client).collect(), calls: Vec::new() }
    }

    /// Returns a call that a client has made: of several with the same id, the first that has not ended.
    fn call(&mut self, caller: usize, request: u64) -> Option<&mut Call> {
        let mut calls = self.calls.iter_mut().filter(|call| (call.caller, call.request) == (caller, request));
        let first = calls.next()?;
        if first.ended { calls.find(|call| !call.ended).or(Some(first)) } else { Some(first) }
    }

    fn served(&mut self, callee: usize, invocation: u64) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.served == Some((callee, invocation)))
    }

    pub fn sins(&mut self, client: usize) {
        self.clients[client].at_fault = true;
    }

    /// Records a message that a client puts on its wire.
    pub fn sent(&mut self, client: usize, wire_message: &WireMessage) {
        let in_chunks = self.clients[client].kind.features.caller_chunks;
        match *wire_message {
            WireMessage::Call { request, more, wants_progress, tag, .. } => {
                match self.call(client, request) {
                    Some(call) if in_chunks => call.chunks.push((tag, more)),
                    _ => {
                        let wants_progress =
                            wants_progress && self.clients[client].kind.features.caller_progress;
                        self.calls.push(Call::new(client, request, wants_progress, (tag, more)));
                    }
                }
            }
            WireMessage::Yield { invocation, progress, tag } => {
                let Some(call) = self.served(client, invocation) else { return };
                if progress {
                    call.progress.push(tag);
                } else if call.last.is_none() {
                    call.last = Some((tag, call.progress.len()));
                }
            }
            WireMessage::Error { kind: OF_INVOCATION, request, error, tag } => {
                let reroutes = self.clients[client].kind.features.callee_reroute;
                let Some(call) = self.served(client, request) else { return };
                if call.last.is_none() {
                    call.refused = reroutes && error == UNAVAILABLE;
                    call.last = Some((tag, call.progress.len()));
                }
            }
            _ => {}
        }
    }

    /// Records that the router calls a procedure itself.
    pub fn asked(&mut self, request: u64, tag: Tag) {
        self.calls.push(Call::new(ROUTER, request, false, (tag, false)));
    }

    /// Records that the router gives up a call, and is told nothing more about it.
    pub fn abandoned(&mut self, request: u64) {
        if let Some(call) = self.call(ROUTER, request) {
            call.ended = true;
        }
    }

    /// Checks the end of a call of the router.
    pub fn heard_by_router(&mut self, wire_message: &WireMessage) -> Result<(), Broken> {
        match *wire_message {
            WireMessage::Result { request, progress, tag } => self.answered(ROUTER, request, progress, tag),
            WireMessage::Error { kind: OF_CALL, request, tag, .. } => {
                self.answered(ROUTER, request, false, tag)
            }
            _ => Err(format!("3: {wire_message:?} for the router")),
        }
    }

    /// Records that a program cancels a call.
    pub fn cancels(&mut self, client: usize, request: u64) {
        if let Some(call) = self.call(client, request) {
            call.canceled = true;
        }
    }

    /// Records that the router has read the last message of a client, and whether its link is gone too.
    pub fn left(&mut self, client: usize, gone: bool) {
        self.clients[client].leaving = true;
        self.clients[client].ended |= gone;
    }

    /// Checks a message that the router puts on the wire of a client.
    pub fn heard(&mut self, client: usize, wire_message: &WireMessage) -> Result<(), Broken> {
        let state = &mut self.clients[client];
        hold!(!state.ended, "10: {wire_message:?} to client {client}, whose session is over");
        match wire_message {
            WireMessage::Goodbye { .. } => {
                hold!(!state.dismissed, "10: GOODBYE to client {client} again");
                (state.leaving, state.dismissed) = (true, true);
            }
            WireMessage::Abort { .. } => {
                hold!(state.at_fault, "11: client {client} is aborted without a fault");
                state.ended = true;
            }
            _ => hold!(!state.leaving, "10: {wire_message:?} to client {client}, which has left"),
        }
        match *wire_message {
            WireMessage::Invocation { invocation, more, wants_progress, tag, .. } => {
                self.invoked(client, invocation, more, wants_progress, tag)
            }
            WireMessage::Interrupt { invocation, mode, .. } => self.interrupted(client, invocation, mode),
            WireMessage::Result { request, progress, tag } => self.answered(client, request, progress, tag),
            WireMessage::Error { kind: OF_CALL, request, tag, .. } => {
                self.answered(client, request, false, tag)
            }
            _ => Ok(()),
        }
    }

    fn invoked(
        &mut self,
        callee: usize,
        invocation: u64,
        more: bool,
        wants_progress: bool,
        tag: Tag,
    ) -> Result<(), Broken> {
        if let Some(call) = self.served(callee, invocation) {
            let expected = call.chunks.get(call.chunks_served);
            hold!(
                expected == Some(&(tag, more)),
                "8, 9: chunk {tag} (more: {more}), where {expected:?} comes"
            );
            call.chunks_served += 1;
            return Ok(());
        }
        let call = self.calls.iter_mut().find(|call| call.chunks[0] == (tag, more));
        let Some(call) = call else {
            return Err(format!("8, 9: INVOCATION of {tag}, which does not begin a call"));
        };
        if let Some((before, _)) = call.served {
            let untouched = call.chunks_served == 1 && call.heard == 0 && !call.ended;
            hold!(
                call.refused && untouched,
                "8, 21: INVOCATION of {tag} for client {callee}, and {before} before"
            );
            call.refusers.push(before);
            hold!(!call.refusers.contains(&callee), "21: INVOCATION of {tag} for client {callee} again");
            (call.refused, call.last) = (false, None);
            call.progress.clear();
            call.interrupts.clear();
        }
        hold!(
            call.asks || !wants_progress,
            "4: INVOCATION of {tag} asks for progress that its caller does not accept"
        );
        // With `strict_features` the router may ask for less.
        call.wants_progress = wants_progress;
        call.served = Some((callee, invocation));
        call.chunks_served = 1;
        Ok(())
    }

    fn interrupted(&mut self, callee: usize, invocation: u64, mode: Mode) -> Result<(), Broken> {
        let takes = self.clients[callee].kind.features.callee_canceling;
        hold!(takes, "7: INTERRUPT for client {callee}, which accepts none");
        let Some(call) = self.served(callee, invocation) else {
            return Err(format!(
                "6: INTERRUPT for invocation {invocation} of client {callee}, which never existed"
            ));
        };
        call.interrupts.push(mode);
        let allowed =
            matches!(call.interrupts[..], [Mode::Kill | Mode::KillNoWait] | [Mode::Kill, Mode::KillNoWait]);
        hold!(allowed, "6: invocation {invocation} of client {callee} is interrupted: {:?}", call.interrupts);
        Ok(())
    }

    fn answered(&mut self, caller: usize, request: u64, progress: bool, tag: Tag) -> Result<(), Broken> {
        let Some(call) = self.call(caller, request) else {
            return Err(format!("3: an answer to call {request} of client {caller}, which never existed"));
        };
        hold!(!call.ended, "3: an answer to call {request} of client {caller} after its end");
        if progress {
            hold!(call.wants_progress, "4: progress of call {request} to client {caller}");
            let expected = call.progress.get(call.heard);
            hold!(expected == Some(&tag), "1: progress {tag}, where {expected:?} comes next");
            call.heard += 1;
            return Ok(());
        }
        call.ended = true;
        if tag > 0 {
            let Some((last, before)) = call.last else {
                return Err(format!("5: {tag} ends a call that its callee has not answered"));
            };
            hold!(last == tag, "5: {tag} ends a call that its callee answered with {last}");
            hold!(
                !call.wants_progress || call.heard == before,
                "2: {} of {before} results before {tag}",
                call.heard
            );
        }
        Ok(())
    }

    /// Checks an event for a program.
    pub fn observed(&mut self, client: usize, observed: &Observed) -> Result<(), Broken> {
        match *observed {
            Observed::Progress { call: request, tag, .. } => {
                let Some(call) = self.call(client, request) else {
                    return Err(format!("12: progress of call {request}, which client {client} never made"));
                };
                hold!(!call.observed_end, "3: progress of call {request} of client {client} after its end");
                hold!(call.wants_progress, "4: progress of call {request} to the program of client {client}");
                hold!(call.observed < call.heard, "12: progress {tag} that never came over the wire");
                hold!(call.progress[call.observed] == tag, "1: progress {tag} to the program, out of order");
                call.observed += 1;
            }
            Observed::Result { call: request, .. } | Observed::Error { call: request, .. } => {
                let Some(call) = self.call(client, request) else {
                    return Err(format!("12: an end of call {request}, which client {client} never made"));
                };
                hold!(!call.observed_end, "3: two ends of call {request} of client {client}");
                call.observed_end = true;
                let complete = call.ended && call.observed == call.heard;
                hold!(complete || call.canceled, "2, 12: the program of client {client} misses progress");
            }
            Observed::Closed(_) => {
                for call in self.calls.iter_mut().filter(|call| call.caller == client) {
                    call.observed_end = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that everything has been delivered and answered.
    pub fn finished(&self) -> Result<(), Broken> {
        for call in &self.calls {
            let Some(client) = self.clients.get(call.caller) else {
                hold!(call.ended, "13: call {} of the router never ends", call.request);
                continue;
            };
            let (caller, request) = (call.caller, call.request);
            hold!(
                call.ended || client.ended || client.leaving,
                "13: call {request} of client {caller} never ends"
            );
            let observed = call.observed_end || !client.kind.ours;
            hold!(observed, "13: the program of client {caller} is never told the end of call {request}");
        }
        Ok(())
    }
}
