//! URIs: the names of realms, procedures, topics and errors (Basic Profile, *URIs*), and the predefined ones.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytestring::ByteString;

use crate::message::MatchPolicy;
use crate::quoted::quoted;

/// A text in a place where the specification wants a URI.
///
/// Decoding accepts any text, since a bad URI is answered with an ERROR; [`Uri::check`] applies the rules. A
/// decoded URI is a slice of its frame; [`Uri::detached`] copies it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uri(ByteString);

/// The rules by which a URI is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UriRules {
    /// No white space, control characters or `#`, and no empty component.
    #[default]
    Loose,
    /// Components of `a-z`, `0-9` and `_`, none of them empty.
    Strict,
}

/// Whether components may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriKind {
    /// A complete name; no component is empty.
    Exact,
    /// A prefix of names; the last component may be empty.
    Prefix,
    /// A pattern; an empty component matches any one component.
    Wildcard,
}

impl From<MatchPolicy> for UriKind {
    fn from(policy: MatchPolicy) -> Self {
        match policy {
            MatchPolicy::Exact => Self::Exact,
            MatchPolicy::Prefix => Self::Prefix,
            MatchPolicy::Wildcard => Self::Wildcard,
        }
    }
}

/// The largest size of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UriLimits {
    /// The length in bytes; 1 KiB by default.
    pub bytes: usize,
    /// The number of components; 64 by default.
    pub components: usize,
}

impl Default for UriLimits {
    fn default() -> Self {
        Self { bytes: 1024, components: 64 }
    }
}

/// The reason why a text is not a valid URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{uri} is not a valid URI: {reason}")]
pub struct InvalidUri {
    /// The text, quoted.
    uri: String,
    reason: Cow<'static, str>,
}

impl InvalidUri {
    fn new(uri: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { uri: quoted(uri).to_string(), reason: reason.into() }
    }
}

impl Uri {
    /// Creates a URI known at compile time. It is not checked.
    pub const fn from_static(uri: &'static str) -> Self {
        Self(ByteString::from_static(uri))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the text against the rules.
    pub fn check(&self, rules: UriRules, kind: UriKind) -> Result<(), InvalidUri> {
        match fault(self, rules, kind) {
            None => Ok(()),
            Some(reason) => Err(InvalidUri::new(self, reason)),
        }
    }

    /// Checks the size of the text, at a cost bounded by the limits.
    pub fn check_size(&self, limits: UriLimits) -> Result<(), InvalidUri> {
        let UriLimits { bytes, components } = limits;
        if self.len() > bytes {
            return Err(InvalidUri::new(
                self,
                format!("it has {} bytes, at most {bytes} are allowed", self.len()),
            ));
        }
        let dots = self.bytes().filter(|byte| *byte == b'.').count();
        if dots >= components {
            let reason = format!("it has {} components, at most {components} are allowed", dots + 1);
            return Err(InvalidUri::new(self, reason));
        }
        Ok(())
    }

    /// Returns whether the first component is `wamp`, which the protocol reserves.
    pub fn is_reserved(&self) -> bool {
        self.as_str() == "wamp" || self.starts_with("wamp.")
    }

    /// Returns a copy of the text that does not keep a frame in memory.
    pub fn detached(&self) -> Self {
        Self(ByteString::from(self.as_str()))
    }
}

fn fault(uri: &str, rules: UriRules, kind: UriKind) -> Option<&'static str> {
    if is_plain(uri.as_bytes(), rules) { None } else { find_fault(uri, rules, kind) }
}

/// Returns whether a URI is ASCII without empty components and follows the rules for every kind, as nearly
/// all do.
fn is_plain(uri: &[u8], rules: UriRules) -> bool {
    let mut before = b'.';
    for byte in uri {
        let is_allowed = match rules {
            UriRules::Loose => matches!(byte, b'!'..=b'~') && *byte != b'#',
            UriRules::Strict => matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'),
        };
        if !is_allowed || *byte == b'.' && before == b'.' {
            return false;
        }
        before = *byte;
    }
    before != b'.'
}

fn find_fault(uri: &str, rules: UriRules, kind: UriKind) -> Option<&'static str> {
    let mut components = uri.split('.').peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        if component.is_empty() {
            match kind {
                UriKind::Exact => return Some("a component is empty"),
                UriKind::Prefix if !last => return Some("a component before the last is empty"),
                UriKind::Prefix | UriKind::Wildcard => continue,
            }
        }
        match rules {
            UriRules::Loose if component.contains('#') => return Some("it contains `#`"),
            UriRules::Loose if component.contains(is_blank) => {
                return Some("it contains white space or a control character");
            }
            UriRules::Strict if !component.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')) => {
                return Some("a component has characters other than a-z, 0-9 and _");
            }
            UriRules::Loose | UriRules::Strict => {}
        }
    }
    None
}

/// White space in any of the regular expression dialects that peers check URIs with, and control characters,
/// which some of them count as white space.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

impl Deref for Uri {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<ByteString> for Uri {
    fn from(uri: ByteString) -> Self {
        Self(uri)
    }
}

impl From<&str> for Uri {
    fn from(uri: &str) -> Self {
        Self(uri.into())
    }
}

impl From<String> for Uri {
    fn from(uri: String) -> Self {
        Self(uri.into())
    }
}

impl From<&String> for Uri {
    fn from(uri: &String) -> Self {
        uri.as_str().into()
    }
}

impl From<&Uri> for Uri {
    fn from(uri: &Uri) -> Self {
        uri.clone()
    }
}

impl std::borrow::Borrow<str> for Uri {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Uri {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Uri {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

macro_rules! predefined {
    ($($(#[$doc:meta])* $name:ident = $uri:literal;)*) => {
        $($(#[$doc])* pub const $name: Uri = Uri::from_static($uri);)*
    };
}

predefined! {
    /// The peer broke the protocol.
    PROTOCOL_VIOLATION = "wamp.error.protocol_violation";
    /// HELLO named a realm that does not exist.
    NO_SUCH_REALM = "wamp.error.no_such_realm";
    /// HELLO announced no role that the router serves.
    NO_SUCH_ROLE = "wamp.error.no_such_role";
    /// HELLO offered no authentication method that the router takes.
    NO_MATCHING_AUTH_METHOD = "wamp.error.no_matching_auth_method";
    /// CALL of a procedure that is not registered.
    NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure";
    /// REGISTER of a procedure that is already registered.
    PROCEDURE_ALREADY_EXISTS = "wamp.error.procedure_already_exists";
    /// UNREGISTER of a registration that the session does not hold.
    NO_SUCH_REGISTRATION = "wamp.error.no_such_registration";
    /// UNSUBSCRIBE of a subscription that the session does not hold.
    NO_SUCH_SUBSCRIPTION = "wamp.error.no_such_subscription";
    /// A subscription without a history.
    HISTORY_UNAVAILABLE = "wamp.error.history_unavailable";
    /// A session that does not exist, or has begun to end.
    NO_SUCH_SESSION = "wamp.error.no_such_session";
    /// A call that every callee has refused to take.
    NO_AVAILABLE_CALLEE = "wamp.error.no_available_callee";
    /// A URI that breaks the rules for URIs.
    INVALID_URI = "wamp.error.invalid_uri";
    /// Arguments or options of the wrong type or value.
    INVALID_ARGUMENT = "wamp.error.invalid_argument";
    /// An error of the procedure itself.
    RUNTIME_ERROR = "wamp.error.runtime_error";
    /// The call was canceled, or one of its peers has left.
    CANCELED = "wamp.error.canceled";
    /// Another spelling of [`CANCELED`], which is read but never written.
    CANCELLED = "wamp.error.cancelled";
    /// The call took longer than its timeout.
    TIMEOUT = "wamp.error.timeout";
    /// The callee cannot take the call now, or a limit of the router was reached.
    UNAVAILABLE = "wamp.error.unavailable";
    /// A message is too big for its receiver.
    PAYLOAD_SIZE_EXCEEDED = "wamp.error.payload_size_exceeded";
    /// The peer lacks a feature that the request needs.
    FEATURE_NOT_SUPPORTED = "wamp.error.feature_not_supported";
    /// The realm does not disclose callers.
    DISCLOSE_ME_DISALLOWED = "wamp.error.option_disallowed.disclose_me";
    /// UNREGISTERED: another session of the same client has taken the registration over.
    UNREGISTERED = "wamp.error.unregistered";
    /// The session is not authorized to do this.
    NOT_AUTHORIZED = "wamp.error.not_authorized";
    /// Whether the session is authorized could not be decided.
    AUTHORIZATION_FAILED = "wamp.error.authorization_failed";
    /// The router could not decide about the client's proof, or does not do so now.
    AUTHENTICATION_FAILED = "wamp.error.authentication_failed";
    /// The router does not accept the client's proof.
    AUTHENTICATION_DENIED = "wamp.error.authentication_denied";
    /// GOODBYE: the client leaves the realm.
    CLOSE_REALM = "wamp.close.close_realm";
    /// GOODBYE: the router shuts down.
    SYSTEM_SHUTDOWN = "wamp.close.system_shutdown";
    /// GOODBYE: the answer to a GOODBYE.
    GOODBYE_AND_OUT = "wamp.close.goodbye_and_out";
    /// GOODBYE: the router's administrator ended the session.
    KILLED = "wamp.close.killed";
}

#[cfg(test)]
mod tests {
    use super::*;

    // behaviour 63
    #[test]
    fn loose_and_strict_rules_for_each_kind() {
        use UriKind::*;
        use UriRules::*;
        let table = [
            ("com.myapp.longop", true, true, true, true),
            ("com", true, true, true, true),
            ("com.My-App.\u{e9}t\u{e9}", true, false, true, false),
            ("com..longop", false, false, true, true),
            (".longop", false, false, true, true),
            ("com.myapp.", false, false, true, true),
            ("", false, false, true, true),
            ("com.my app", false, false, false, false),
            ("com.my#app", false, false, false, false),
            ("com.my\tapp", false, false, false, false),
            ("com.\u{2003}x", false, false, false, false),
            ("com.x\u{1c}", false, false, false, false),
            ("\u{0}com.x", false, false, false, false),
            ("com.\u{feff}x", false, false, false, false),
        ];
        for (uri, loose, strict, loose_wildcard, strict_wildcard) in table {
            let uri = Uri::from(uri);
            assert_eq!(uri.check(Loose, Exact).is_ok(), loose, "{uri} loose");
            assert_eq!(uri.check(Strict, Exact).is_ok(), strict, "{uri} strict");
            assert_eq!(uri.check(Loose, Wildcard).is_ok(), loose_wildcard, "{uri} loose wildcard");
            assert_eq!(uri.check(Strict, Wildcard).is_ok(), strict_wildcard, "{uri} strict wildcard");
        }
    }

    #[test]
    fn a_uri_has_at_most_1024_bytes_and_64_components() {
        let limits = UriLimits::default();
        let size = |uri: String| Uri::from(uri).check_size(limits).map_err(|error| error.to_string());
        assert_eq!(size("a".repeat(1024)), Ok(()));
        assert_eq!(size("é".repeat(512)), Ok(()));
        assert_eq!(size(["a"; 64].join(".")), Ok(()));
        let long = size("é".repeat(513)).unwrap_err();
        assert!(
            long.ends_with("…\" is not a valid URI: it has 1026 bytes, at most 1024 are allowed"),
            "{long}"
        );
        let many = size(".".repeat(64)).unwrap_err();
        assert!(many.ends_with("it has 65 components, at most 64 are allowed"), "{many}");
    }

    #[test]
    fn only_the_end_of_a_prefix_may_be_empty() {
        assert!(Uri::from("com.myapp.").check(UriRules::Loose, UriKind::Prefix).is_ok());
        assert!(Uri::from("com..myapp").check(UriRules::Loose, UriKind::Prefix).is_err());
    }

    #[test]
    fn wamp_is_reserved_and_wampum_is_not() {
        assert!(Uri::from("wamp.error.canceled").is_reserved());
        assert!(Uri::from("wamp").is_reserved());
        assert!(!Uri::from("wampum.shop").is_reserved());
    }
}
