//! Messages with a fault: a fault that concerns one request ends that request, and one that concerns the link
//! ends the session (behaviour [70](crate::behaviour#rule-70)).
//!
//! | from a router | its payload, or the value of a detail, is faulty |
//! |---|---|
//! | RESULT | the call fails, with `wamp.error.invalid_argument`; CANCEL unless it was the last result |
//! | ERROR | the request fails, with the URI of the ERROR |
//! | EVENT | counted, dropped |
//! | INVOCATION | answered with ERROR; a further chunk ends the invocation |
//! | INTERRUPT | as if it had no options |
//! | CREDIT | ignored |
//! | all others, and every message whose head cannot be read | ABORT |

use wamp_proto::message::{self, CancelMode, CreditOptions, Head, InterruptOptions, RequestKind, Total};
use wamp_proto::{DecodeError, Payload, RequestId, Serializer, Uri, uri};

use super::{Event, Session, State};
use crate::progress::ReplyKind;
use crate::{Failure, Time};

impl Session {
    /// Handles a message of this length that could not be read completely. Texts about it are written in
    /// `serializer`.
    pub fn handle_faulty(&mut self, now: Time, serializer: Serializer, error: &DecodeError, len: usize) {
        let head = match self.state {
            State::Closed => return,
            State::Joining { .. } => None,
            State::Open | State::Leaving { .. } => error.head(),
        };
        let failure = |uri: Uri| {
            let payload = Payload::new(serializer, &(error.to_string(),)).unwrap_or_default();
            Failure { error: uri, payload }
        };
        match head {
            Some(Head::Result { request, progress }) => {
                let kind = if *progress == Some(false) { ReplyKind::Last } else { ReplyKind::Progress };
                self.handle_faulty_result(now, *request, kind, len, failure(uri::INVALID_ARGUMENT));
            }
            Some(Head::Error { kind, request, error: uri }) => {
                let (kind, request) = (*kind, *request);
                let failure = failure(uri.clone().unwrap_or(uri::INVALID_ARGUMENT));
                let Failure { error, payload } = failure;
                let details = message::ErrorDetails::default();
                self.handle_error(now, message::Error { kind, request, details, error, payload });
            }
            Some(Head::Event { subscription }) => {
                let stats = &mut self.stats;
                match self.subscriber.is_subscribed(*subscription) {
                    true => stats.faulty_events += 1,
                    false => stats.unknown += 1,
                }
            }
            Some(Head::Invocation { request }) => {
                let failure = failure(error.reason());
                self.handle_faulty_invocation(*request, failure);
            }
            Some(Head::Interrupt { request }) => {
                let options = InterruptOptions::default();
                self.handle_interrupt(message::Interrupt { request: *request, options });
            }
            Some(Head::Credit { request }) => {
                let options = CreditOptions::default();
                self.handle_credit(now, message::Credit { request: *request, options, total: Total(None) });
            }
            _ => self.violation(error.to_string()),
        }
    }

    fn handle_faulty_invocation(&mut self, invocation: RequestId, failure: Failure) {
        if self.is_invoked(invocation) {
            if !self.is_uploading(invocation) {
                let text = format!("INVOCATION with the request id {invocation}, which was used before");
                return self.violation(text);
            }
            self.end_invocation(invocation);
            let (mode, reason) = (CancelMode::KillNoWait, Some(failure.error.clone()));
            self.events.push_back(Event::Interrupted { invocation, mode, reason });
        } else if !self.is_new_invocation(invocation) {
            return;
        }
        self.send(failure.answer(RequestKind::Invocation, invocation));
    }
}
