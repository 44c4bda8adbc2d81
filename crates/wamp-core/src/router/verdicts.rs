//! Verdicts of authorizers, and those of a session that hold for further requests (behaviour
//! [265](crate::behaviour#rule-265)).

use std::collections::BTreeMap;
use std::time::Duration;

use wamp_proto::Uri;
use wamp_proto::message::MatchPolicy;

use super::config::Disclosure;
use super::roles::Actions;
use crate::Time;

/// The longest time for which a verdict holds.
const LONGEST: Duration = Duration::from_secs(60);

/// The most verdicts of a session that are kept.
const VERDICTS: usize = 256;

/// The most bytes of their URIs.
const BYTES: usize = 16 << 10;

/// The decision of an authorizer.
///
/// ```
/// use std::time::Duration;
///
/// use wamp_core::router::{Disclosure, Verdict};
///
/// let verdict = Verdict::ALLOWED.with_disclosure(Disclosure::Always).valid_for(Duration::from_secs(10));
/// assert!(verdict.is_allowed());
/// assert!(!Verdict::DENIED.is_allowed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    kind: Kind,
    disclosure: Option<Disclosure>,
    lifetime: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Allowed,
    Denied,
    Undecided,
}

impl Verdict {
    /// The request is allowed, and the realm says whether the session is disclosed.
    pub const ALLOWED: Self = Self::new(Kind::Allowed);

    /// The request is not allowed.
    pub const DENIED: Self = Self::new(Kind::Denied);

    /// The authorizer could not decide.
    pub const UNDECIDED: Self = Self::new(Kind::Undecided);

    const fn new(kind: Kind) -> Self {
        Self { kind, disclosure: None, lifetime: Duration::ZERO }
    }

    /// Sets whether the session is disclosed to the callee or the subscribers, instead of the setting of the realm.
    #[must_use]
    pub fn with_disclosure(mut self, disclosure: Disclosure) -> Self {
        self.disclosure = Some(disclosure);
        self
    }

    /// Sets for how long the verdict holds: until then, the authorizer is not asked about requests of the same session with
    /// the same action, URI and kind of pattern. 60 s at most; by default, it holds for one request. It ends sooner when
    /// the configuration of the realm changes, or when the session has too many others.
    #[must_use]
    pub fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(LONGEST);
        self
    }

    /// Returns whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        self.kind == Kind::Allowed
    }

    /// Returns whether the authorizer could not decide.
    pub fn is_undecided(&self) -> bool {
        self.kind == Kind::Undecided
    }

    /// Returns whether the session is disclosed, if the verdict says so.
    pub fn disclosure(&self) -> Option<Disclosure> {
        self.disclosure
    }

    /// Returns for how long the verdict holds.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

/// The subject of a question: two requests with the same one get the same verdict.
pub(super) type Subject = (Actions, MatchPolicy, Uri);

/// The verdicts of a session that hold for further requests, each with its end.
#[derive(Clone, Default)]
pub(super) struct Known {
    verdicts: BTreeMap<(u8, u8, Uri), (Time, Verdict)>,
    bytes: usize,
}

fn key((action, policy, uri): &Subject) -> (u8, u8, Uri) {
    (action.bits(), *policy as u8, uri.clone())
}

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// Returns the verdict on a subject, if one holds.
    pub(super) fn get(&self, now: Time, subject: &Subject) -> Option<Verdict> {
        let (end, verdict) = self.verdicts.get(&key(subject))?;
        (*end > now).then_some(*verdict)
    }

    /// Keeps a verdict, if it holds for further requests.
    pub(super) fn keep(&mut self, now: Time, subject: &Subject, verdict: Verdict) {
        let key = key(subject);
        self.remove(&key);
        if verdict.lifetime.is_zero() || verdict.is_undecided() || key.2.len() > BYTES {
            return;
        }
        while self.verdicts.len() >= VERDICTS || self.bytes + key.2.len() > BYTES {
            // The one that would end first.
            let first = self.verdicts.iter().min_by_key(|(_, (end, _))| *end).map(|(key, _)| key.clone());
            let Some(first) = first else { break };
            self.remove(&first);
        }
        let (action, policy, uri) = key;
        self.bytes += uri.len();
        self.verdicts.insert((action, policy, uri.detached()), (now + verdict.lifetime, verdict));
    }

    fn remove(&mut self, key: &(u8, u8, Uri)) {
        if self.verdicts.remove(key).is_some() {
            self.bytes -= key.2.len();
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_of_a_session_are_few_and_end_in_time() {
        let (mut known, now) = (Known::default(), Time::ORIGIN);
        let about = |uri: String| (Actions::CALL, MatchPolicy::Exact, Uri::from(uri));
        let for_seconds = |seconds| Verdict::ALLOWED.valid_for(Duration::from_secs(seconds));
        for index in 0..1000_u64 {
            known.keep(now, &about(format!("com.n{index}")), for_seconds(1 + index % 30));
            assert!(known.verdicts.len() <= VERDICTS && known.bytes <= BYTES);
        }
        known.keep(now, &about("com.x".to_owned()), for_seconds(3600));
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(known.get(at(59), &about("com.x".to_owned())), Some(for_seconds(60)));
        assert_eq!(known.get(at(60), &about("com.x".to_owned())), None);
        let other = (Actions::REGISTER, MatchPolicy::Exact, Uri::from("com.x"));
        assert_eq!(known.get(now, &other), None);
        assert_eq!(known.get(now, &(Actions::CALL, MatchPolicy::Prefix, Uri::from("com.x"))), None);
        // A later verdict replaces it, also one that holds for one request.
        known.keep(now, &about("com.x".to_owned()), Verdict::DENIED);
        assert_eq!(known.get(now, &about("com.x".to_owned())), None);
        for length in [BYTES / 2, BYTES / 2, BYTES, BYTES + 1, BYTES / 2] {
            known.keep(now, &about(format!("com.{}", "x".repeat(length - 4))), for_seconds(60));
            let sum = known.verdicts.keys().map(|(_, _, uri)| uri.len()).sum::<usize>();
            assert!(known.bytes == sum && sum <= BYTES, "{sum}");
        }
        known.clear();
        assert!(known.is_empty() && known.bytes == 0);
    }
}
