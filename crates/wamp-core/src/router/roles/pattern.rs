//! Patterns of URIs: matching, containment, and common URIs.

use wamp_proto::message::MatchPolicy;

/// A URI, or a pattern of URIs, as in `SUBSCRIBE.Options.match`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One URI.
    Exact(String),
    /// All URIs that begin with this text.
    Prefix(String),
    /// All URIs with the same number of components, and with these where they are not empty.
    Wildcard(String),
}

/// The rank of a pattern: a more specific one is greater.
pub(super) type Rank = (bool, usize, bool, usize);

impl Pattern {
    /// One URI.
    pub fn exact(uri: impl Into<String>) -> Self {
        Self::Exact(uri.into())
    }

    /// All URIs that begin with this text.
    pub fn prefix(text: impl Into<String>) -> Self {
        Self::Prefix(text.into())
    }

    /// All URIs that have these components, where an empty one stands for any: `com.shop..buy`.
    pub fn wildcard(text: impl Into<String>) -> Self {
        Self::Wildcard(text.into())
    }

    /// A pattern of this policy.
    pub fn new(policy: MatchPolicy, text: impl Into<String>) -> Self {
        match policy {
            MatchPolicy::Prefix => Self::prefix(text),
            MatchPolicy::Wildcard => Self::wildcard(text),
            _ => Self::exact(text),
        }
    }

    /// Returns whether a URI matches.
    pub fn matches(&self, uri: &str) -> bool {
        match self {
            Self::Exact(own) => own == uri,
            Self::Prefix(own) => uri.starts_with(own.as_str()),
            Self::Wildcard(own) => fits(own, uri, |own, other| own.is_empty() || own == other),
        }
    }

    /// Returns whether this pattern matches every URI that the other one matches, as far as the two texts
    /// show that.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(uri)) => self.matches(uri),
            (Self::Prefix(own), Self::Prefix(other)) => other.starts_with(own.as_str()),
            (Self::Prefix(own), Self::Wildcard(other)) => head(other).starts_with(own.as_str()),
            (Self::Wildcard(own), Self::Wildcard(other)) => {
                fits(own, other, |own, other| own.is_empty() || own == other)
            }
            (Self::Exact(_), _) | (Self::Wildcard(_), Self::Prefix(_)) => false,
        }
    }

    /// Returns whether a URI may match both patterns.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(uri), pattern) | (pattern, Self::Exact(uri)) => pattern.matches(uri),
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
            (Self::Wildcard(one), Self::Wildcard(other)) => {
                fits(one, other, |one, other| one.is_empty() || other.is_empty() || one == other)
            }
            (Self::Prefix(prefix), Self::Wildcard(wildcard))
            | (Self::Wildcard(wildcard), Self::Prefix(prefix)) => begins(wildcard, prefix),
        }
    }

    /// An exact URI before all others, then the pattern with the most components that are not empty, then a wildcard
    /// before a prefix, then the longer prefix.
    pub(super) fn rank(&self) -> Rank {
        let named = |text: &str| text.split('.').filter(|component| !component.is_empty()).count();
        match self {
            Self::Exact(_) => (true, 0, false, 0),
            Self::Prefix(text) => (false, named(text), false, text.len()),
            Self::Wildcard(text) => (false, named(text), true, 0),
        }
    }
}

/// Returns whether two texts have the same number of components, and each pair of components fits.
fn fits(one: &str, other: &str, fit: impl Fn(&str, &str) -> bool) -> bool {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (Some(one), Some(other)) if fit(one, other) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// The text of a wildcard before its first empty component: every URI that it matches begins with it.
fn head(wildcard: &str) -> &str {
    let mut start = 0;
    for component in wildcard.split('.') {
        if component.is_empty() {
            return &wildcard[..start];
        }
        start += component.len() + 1;
    }
    wildcard
}

/// Whether a URI that a wildcard matches may begin with this text.
fn begins(wildcard: &str, prefix: &str) -> bool {
    let mut components = wildcard.split('.');
    let mut wanted = prefix.split('.').peekable();
    while let Some(text) = wanted.next() {
        let Some(component) = components.next() else { return false };
        let fits = match wanted.peek() {
            Some(_) => component.is_empty() || component == text,
            // The last one may be cut off.
            None => component.is_empty() || component.starts_with(text),
        };
        if !fits {
            return false;
        }
    }
    true
}
