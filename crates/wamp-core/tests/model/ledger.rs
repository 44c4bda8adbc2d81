//! The invariants of a call from end to end. They look at messages and at what programs are told, know
//! nothing of how a dealer or a session works, and are one list:
//!
//!  1. A caller hears progressive results in the order in which its callee sent them, without doubles or holes.
//!  2. Without a cancel, a timeout or somebody leaving, no progressive result is missing before the last.
//!  3. Each CALL gets at most one last RESULT or ERROR, and after it nothing.
//!  4. Nobody hears progress who did not ask for it or did not announce it.
//!  5. The last RESULT is the first last answer of the callee.
//!  6. An invocation gets at most one INTERRUPT, or `kill` and then `killnowait`.
//!  7. No INTERRUPT goes to a callee that did not announce call_canceling.
//!  8. A callee hears the chunks of a call in order, without doubles or holes, and no other callee hears one.
//!  9. A chunk is flagged as the last just if its caller flagged it so.
//! 10. Nothing goes to a session after its GOODBYE or ABORT, or after its link was lost.
//! 11. Nobody is aborted who did nothing wrong.
//! 12. What a program is told of a call is what came over its wire, up to where the program canceled it.
//! 13. When all has been delivered and answered, each call of a caller that is there has had its end; no
//!     table of a session or the realm holds anything (`World::finish`).
//!
//! And of credit, each hop by itself (`account`):
//!
//! 14. A sender of ours sends progress just if it has credit, and is told when it has some again.
//! 15. What is granted rises with each CREDIT, and to more than has been spent.
//! 16. It is never more than what was consumed and the widest window.
//! 17. The dealer never grants more than what has come and what the receiver further on has left.
//! 18. CREDIT goes to who announced it for that role, about a stream that goes on, and to nobody else.
//! 19. Nobody is left without credit while the receiver has room and its application goes on.
//! 20. A call ends as slow just if its receiver has granted nothing to a sender without credit for so long.

use crate::endpoint::Told;
use crate::said::{Mode, OF_CALL, OF_INVOCATION, Said, Tag};
use crate::setup::Kind;

#[derive(Clone)]
struct Call {
    caller: usize,
    request: u64,
    willing: bool,
    /// Each chunk's tag, and whether more follow.
    chunks: Vec<(Tag, bool)>,
    /// Who answers it, under which id.
    served: Option<(usize, u64)>,
    chunks_served: usize,
    /// What the callee has sent.
    progress: Vec<Tag>,
    /// Its first last answer, and how much progress came before it.
    last: Option<(Tag, usize)>,
    interrupts: Vec<Mode>,
    /// What the router has sent to the caller, and what the caller's program was told.
    heard: usize,
    ended: bool,
    told: usize,
    told_end: bool,
    canceled: bool,
}

#[derive(Clone)]
struct Client {
    kind: Kind,
    /// It may be aborted.
    sinned: bool,
    /// Nothing may go to it but GOODBYE, or ABORT; and after GOODBYE not even that.
    leaving: bool,
    dismissed: bool,
    /// Nothing may go to it.
    ended: bool,
}

#[derive(Clone)]
pub struct Ledger {
    clients: Vec<Client>,
    calls: Vec<Call>,
}

/// Which invariant does not hold, and how.
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
            sinned: false,
            leaving: false,
            dismissed: false,
            ended: false,
        };
        Self { clients: kinds.iter().map(client).collect(), calls: Vec::new() }
    }

    /// A call that a client has made; of several with the same id the first that has not ended.
    fn call(&mut self, caller: usize, request: u64) -> Option<&mut Call> {
        let mut calls = self.calls.iter_mut().filter(|call| (call.caller, call.request) == (caller, request));
        let first = calls.next()?;
        if first.ended { calls.find(|call| !call.ended).or(Some(first)) } else { Some(first) }
    }

    fn served(&mut self, callee: usize, invocation: u64) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.served == Some((callee, invocation)))
    }

    pub fn sins(&mut self, client: usize) {
        self.clients[client].sinned = true;
    }

    /// A client puts a message on its wire.
    pub fn sent(&mut self, client: usize, said: &Said) {
        let in_chunks = self.clients[client].kind.features.caller_chunks;
        match *said {
            Said::Call { request, more, willing, tag, .. } => match self.call(client, request) {
                Some(call) if in_chunks => call.chunks.push((tag, more)),
                _ => {
                    let willing = willing && self.clients[client].kind.features.caller_progress;
                    self.calls.push(Call {
                        caller: client,
                        request,
                        willing,
                        chunks: vec![(tag, more)],
                        served: None,
                        chunks_served: 0,
                        progress: Vec::new(),
                        last: None,
                        interrupts: Vec::new(),
                        heard: 0,
                        ended: false,
                        told: 0,
                        told_end: false,
                        canceled: false,
                    });
                }
            },
            Said::Yield { invocation, progress, tag } => {
                let Some(call) = self.served(client, invocation) else { return };
                if progress {
                    call.progress.push(tag);
                } else if call.last.is_none() {
                    call.last = Some((tag, call.progress.len()));
                }
            }
            Said::Error { kind: OF_INVOCATION, request, tag, .. } => {
                let Some(call) = self.served(client, request) else { return };
                if call.last.is_none() {
                    call.last = Some((tag, call.progress.len()));
                }
            }
            _ => {}
        }
    }

    /// A program cancels a call.
    pub fn cancels(&mut self, client: usize, request: u64) {
        if let Some(call) = self.call(client, request) {
            call.canceled = true;
        }
    }

    /// The router has read the last message of a client: `true` if its link is gone too.
    pub fn left(&mut self, client: usize, gone: bool) {
        self.clients[client].leaving = true;
        self.clients[client].ended |= gone;
    }

    /// The router puts a message on the wire of a client.
    pub fn heard(&mut self, client: usize, said: &Said) -> Result<(), Broken> {
        let its = &mut self.clients[client];
        hold!(!its.ended, "10: {said:?} to client {client}, whose session is over");
        match said {
            Said::Goodbye { .. } => {
                hold!(!its.dismissed, "10: GOODBYE to client {client} again");
                (its.leaving, its.dismissed) = (true, true);
            }
            Said::Abort { .. } => {
                hold!(its.sinned, "11: client {client} is aborted and did nothing wrong");
                its.ended = true;
            }
            _ => hold!(!its.leaving, "10: {said:?} to client {client}, which has left"),
        }
        match *said {
            Said::Invocation { invocation, more, willing, tag, .. } => {
                self.invoked(client, invocation, more, willing, tag)
            }
            Said::Interrupt { invocation, mode, .. } => self.interrupted(client, invocation, mode),
            Said::Result { request, progress, tag } => self.answered(client, request, progress, tag),
            Said::Error { kind: OF_CALL, request, tag, .. } => self.answered(client, request, false, tag),
            _ => Ok(()),
        }
    }

    fn invoked(
        &mut self,
        callee: usize,
        invocation: u64,
        more: bool,
        willing: bool,
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
        let Some(call) = call else { return Err(format!("8, 9: INVOCATION of {tag}, which begins no call")) };
        hold!(
            call.served.is_none(),
            "8: INVOCATION of {tag} for client {callee}, and {:?} before",
            call.served
        );
        hold!(
            call.willing || !willing,
            "4: INVOCATION of {tag} asks for progress that its caller does not take"
        );
        // With `strict_features` the router may ask for less.
        call.willing = willing;
        call.served = Some((callee, invocation));
        call.chunks_served = 1;
        Ok(())
    }

    fn interrupted(&mut self, callee: usize, invocation: u64, mode: Mode) -> Result<(), Broken> {
        let takes = self.clients[callee].kind.features.callee_canceling;
        hold!(takes, "7: INTERRUPT for client {callee}, which takes none");
        let Some(call) = self.served(callee, invocation) else {
            return Err(format!(
                "6: INTERRUPT for invocation {invocation} of client {callee}, which never was"
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
            return Err(format!("3: an answer to call {request} of client {caller}, which never was"));
        };
        hold!(!call.ended, "3: an answer to call {request} of client {caller} after its end");
        if progress {
            hold!(call.willing, "4: progress of call {request} to client {caller}");
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
            hold!(last == tag, "5: {tag} ends a call that its callee has answered with {last}");
            hold!(
                !call.willing || call.heard == before,
                "2: {} of {before} results before {tag}",
                call.heard
            );
        }
        Ok(())
    }

    /// A program is told something.
    pub fn told(&mut self, client: usize, told: &Told) -> Result<(), Broken> {
        match *told {
            Told::Progress { call: request, tag, .. } => {
                let Some(call) = self.call(client, request) else {
                    return Err(format!("12: progress of call {request}, which client {client} never made"));
                };
                hold!(!call.told_end, "3: progress of call {request} of client {client} after its end");
                hold!(call.willing, "4: progress of call {request} to the program of client {client}");
                hold!(call.told < call.heard, "12: progress {tag} that never came over the wire");
                hold!(call.progress[call.told] == tag, "1: progress {tag} to the program, out of order");
                call.told += 1;
            }
            Told::Result { call: request, .. } | Told::Error { call: request, .. } => {
                let Some(call) = self.call(client, request) else {
                    return Err(format!("12: an end of call {request}, which client {client} never made"));
                };
                hold!(!call.told_end, "3: two ends of call {request} of client {client}");
                call.told_end = true;
                let complete = call.ended && call.told == call.heard;
                hold!(complete || call.canceled, "2, 12: the program of client {client} misses something");
            }
            Told::Closed(_) => {
                for call in self.calls.iter_mut().filter(|call| call.caller == client) {
                    call.told_end = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// All has been delivered and answered.
    pub fn finished(&self) -> Result<(), Broken> {
        for call in &self.calls {
            let client = &self.clients[call.caller];
            let (caller, request) = (call.caller, call.request);
            hold!(
                call.ended || client.ended || client.leaving,
                "13: call {request} of client {caller} never ends"
            );
            let told = call.told_end || !client.kind.ours;
            hold!(told, "13: the program of client {caller} is never told the end of call {request}");
        }
        Ok(())
    }
}
