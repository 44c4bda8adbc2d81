//! Final failures, and those that may pass.

use wamp_proto::{Uri, uri};

use crate::session::Closed;

/// The reason why an attempt to get a session failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// It may succeed later: the name does not resolve, no server answers, it takes too long, credentials are
    /// not available.
    Passing,
    /// It will not succeed: the URL is wrong, the certificate is not valid, the server does not speak the
    /// protocol.
    Final,
    /// The connection was established, and the router refused the session.
    Closed(Closed),
}

/// Refusals that no later attempt changes.
const FINAL: [Uri; 7] = [
    uri::NO_SUCH_REALM,
    uri::NO_SUCH_ROLE,
    uri::NOT_AUTHORIZED,
    uri::NO_MATCHING_AUTH_METHOD,
    Uri::from_static("wamp.error.authorization_denied"),
    Uri::from_static("wamp.error.authentication_denied"),
    Uri::from_static("wamp.error.no_such_principal"),
];

const AUTHENTICATION_FAILED: Uri = Uri::from_static("wamp.error.authentication_failed");

/// Returns whether this end is final, so that no other session follows. An administrator's `wamp.close.*` is
/// final unless `returns_after_close`; the router's shutdown is not.
pub fn is_final(closed: &Closed, returns_after_close: bool) -> bool {
    match closed {
        Closed::Left | Closed::NotAnswered(_) => true,
        Closed::ByRouter { reason, .. } | Closed::Aborted { reason, .. } => {
            let by_administrator = reason.starts_with("wamp.close.") && *reason != uri::SYSTEM_SHUTDOWN;
            FINAL.contains(reason) || (by_administrator && !returns_after_close)
        }
        Closed::Violation(_) | Closed::Lost | Closed::Silent(_) | Closed::JoinTimeout => false,
    }
}

/// The number of attempts in a row whose credentials were refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusals(u32);

impl Refusals {
    /// Whether the attempt with this failure was the last one. Credentials may have just expired, so only the
    /// second refusal in a row of fresh ones is final.
    pub(super) fn is_final(&mut self, fault: &Fault, returns_after_close: bool) -> bool {
        match fault {
            Fault::Passing => false,
            Fault::Final => true,
            Fault::Closed(Closed::Aborted { reason, .. }) if *reason == AUTHENTICATION_FAILED => {
                self.0 += 1;
                self.0 == 2
            }
            Fault::Closed(closed) => is_final(closed, returns_after_close),
        }
    }

    /// Records that credentials were accepted.
    pub(super) fn clear(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(reason: &'static str) -> Closed {
        Closed::Aborted { reason: Uri::from_static(reason), message: None }
    }

    #[test]
    fn each_end_is_final_or_not() {
        let by_router =
            |reason: &'static str| Closed::ByRouter { reason: Uri::from_static(reason), message: None };
        let table = [
            (Closed::Left, true, true),
            (Closed::Lost, false, false),
            (Closed::Silent("a cable".to_owned()), false, false),
            (Closed::Violation("nonsense".to_owned()), false, false),
            (Closed::JoinTimeout, false, false),
            (by_router("wamp.close.system_shutdown"), false, false),
            (by_router("wamp.close.killed"), true, false),
            (by_router("wamp.close.close_realm"), true, false),
            (by_router("com.example.maintenance"), false, false),
            (by_router("wamp.error.not_authorized"), true, true),
            (aborted("wamp.error.no_such_realm"), true, true),
            (aborted("wamp.error.no_such_role"), true, true),
            (aborted("wamp.error.not_authorized"), true, true),
            (aborted("wamp.error.no_matching_auth_method"), true, true),
            (aborted("wamp.error.authorization_denied"), true, true),
            (aborted("wamp.error.authentication_denied"), true, true),
            (aborted("wamp.error.no_such_principal"), true, true),
            (aborted("wamp.error.authentication_failed"), false, false),
            (aborted("wamp.error.unavailable"), false, false),
            (aborted("wamp.error.protocol_violation"), false, false),
            (aborted("wamp.close.system_shutdown"), false, false),
        ];
        for (closed, by_default, when_asked) in table {
            assert_eq!(is_final(&closed, false), by_default, "{closed:?}");
            assert_eq!(is_final(&closed, true), when_asked, "{closed:?}, returning after a close");
        }
    }

    #[test]
    fn fresh_credentials_that_are_refused_twice_in_a_row_are_final() {
        let refused = Fault::Closed(aborted("wamp.error.authentication_failed"));
        let mut refusals = Refusals::default();
        assert!(!refusals.is_final(&refused, false));
        assert!(!refusals.is_final(&Fault::Passing, false));
        assert!(refusals.is_final(&refused, false));
        refusals.clear();
        assert!(!refusals.is_final(&refused, false));
    }
}
