//! The answer to CHALLENGE.

use wamp_proto::message::{Challenge, Welcome};
use wamp_proto::{Uri, quoted, uri};

use super::{Closed, Event, Session, State};
use crate::auth::{Answer, Method};
use crate::{Misuse, Time};

/// The state of the authentication while the session is joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Challenged {
    NotYet,
    /// The driver computes the answer.
    Asked,
    Answered,
}

impl Session {
    /// Answers the challenge of [`Event::Challenged`] with AUTHENTICATE.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], if the session does not wait for that.
    pub fn authenticate(&mut self, _now: Time, answer: Answer) -> Result<(), Misuse> {
        match &mut self.state {
            State::Joining { challenge: challenge @ Challenged::Asked, .. } => {
                *challenge = Challenged::Answered;
            }
            _ => return Err(Misuse::NotOpen),
        }
        self.expected = answer.expected;
        self.send(answer.authenticate);
        Ok(())
    }

    /// Returns the reason why a WELCOME is refused: the router has not proved itself (behaviour
    /// [225](crate::behaviour#rule-225)).
    pub(super) fn distrusts(&mut self, welcome: &Welcome, challenge: Challenged) -> Option<&'static str> {
        let extra = welcome.details.authextra.as_ref();
        match self.expected.take() {
            Some(expected) if !expected.is_in(extra) => {
                Some("the router has not proved that it knows the password")
            }
            None if self.config.is_mutual && challenge != Challenged::Answered => {
                Some("the router has not asked for a proof, and has not given one")
            }
            _ => None,
        }
    }

    /// Gives up joining, with ABORT: the challenge cannot be answered, for this reason.
    pub fn refuse_challenge(&mut self, _now: Time, text: &str) {
        if matches!(self.state, State::Joining { .. }) {
            self.refuse_to_answer(uri::AUTHENTICATION_FAILED, text);
        }
    }

    pub(super) fn handle_challenge(&mut self, asked: Box<Challenge>) {
        let State::Joining { challenge, .. } = &mut self.state else { return };
        let is_silent = matches!(Method::from_name(&asked.method), Some(Method::Anonymous | Method::Tls));
        let offered = !is_silent && self.config.authmethods.contains(&asked.method);
        match challenge {
            Challenged::NotYet if offered => {
                *challenge = Challenged::Asked;
                self.events.push_back(Event::Challenged(asked));
            }
            Challenged::NotYet => {
                let text = format!("the authentication method {} was not offered", quoted(&asked.method));
                self.refuse_to_answer(uri::NO_MATCHING_AUTH_METHOD, &text);
            }
            Challenged::Asked | Challenged::Answered => {
                self.violation("a second CHALLENGE".to_owned());
            }
        }
    }

    pub(super) fn refuse_to_answer(&mut self, reason: Uri, text: &str) {
        self.abort(reason, text);
        self.close(Closed::NotAnswered(text.to_owned()));
    }
}
