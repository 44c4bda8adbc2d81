//! `ticket`: the client sends a secret, which the router compares (Advanced Profile, *Ticket-based Authentication*).

use wamp_proto::message::{Authenticate, AuthenticateExtra, Challenge, ChallengeExtra};

use super::{Method, Secret};

/// Returns the CHALLENGE.
pub fn challenge() -> Challenge {
    Challenge { method: Method::Ticket.name(), extra: ChallengeExtra::default() }
}

/// Returns the answer of a client; `None` if the ticket is not UTF-8.
pub fn answer(ticket: &Secret) -> Option<Authenticate> {
    Some(Authenticate { signature: ticket.text()?.into(), extra: AuthenticateExtra::default() })
}

/// Returns whether the ticket in an AUTHENTICATE is this one.
pub fn verify(ticket: &Secret, said: &Authenticate) -> bool {
    *ticket == Secret::from(&*said.signature)
}
