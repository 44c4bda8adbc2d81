//! Roles: the rights of the sessions of a realm (Advanced Profile, *Authorization*).
//!
//! A role is a list of rules, each for the URIs of a [`Pattern`]. For each request one rule decides alone: the most
//! specific one that matches its URI (behaviour [258](crate::behaviour#rule-258)). Without such a rule the request is
//! denied.

mod actions;
mod pattern;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use wamp_proto::message::MatchPolicy;
use wamp_proto::{ByteString, Uri, uri};

pub use actions::Actions;
pub use pattern::Pattern;

use super::config::{Disclosure, Meta};
use super::refused::Refused;

/// A role.
///
/// ```
/// use wamp_core::router::{Actions, Meta, Pattern, Role};
///
/// let user = Role::new("user")
///     .allow(Actions::CALL | Actions::SUBSCRIBE, Pattern::prefix("com.shop."))
///     .deny(Pattern::prefix("com.shop.admin."))
///     .meta(Meta::Own);
/// assert!(user.allows(Actions::CALL, "com.shop.buy"));
/// assert!(!user.allows(Actions::REGISTER, "com.shop.buy"));
/// assert!(!user.allows(Actions::CALL, "com.shop.admin.close"));
/// ```
#[derive(Clone, Debug)]
pub struct Role {
    name: ByteString,
    rules: Vec<Rule>,
    meta: Meta,
    /// A rule has a trust level.
    trusts: bool,
    has_authorizer: bool,
}

/// The actions that a role may take with the URIs of a pattern.
#[derive(Clone, Debug)]
pub struct Rule {
    pattern: Pattern,
    actions: Actions,
    disclosure: Option<Disclosure>,
    trustlevel: Option<u64>,
    forces: bool,
}

impl Rule {
    /// A rule that allows these actions and denies all others.
    pub fn new(actions: Actions, pattern: Pattern) -> Self {
        Self { pattern, actions, disclosure: None, trustlevel: None, forces: false }
    }

    /// Sets whether the session is disclosed to callees and subscribers, instead of the setting of the realm (behaviour
    /// [260](crate::behaviour#rule-260)).
    #[must_use]
    pub fn disclosure(mut self, disclosure: Disclosure) -> Self {
        self.disclosure = Some(disclosure);
        self
    }

    /// Sets the trust level of calls and publications, for callees and subscribers: `trustlevel` of INVOCATION and EVENT
    /// (Advanced Profile, *Call Trust Levels*, *Publication Trust Levels*; behaviour
    /// [116](crate::behaviour#rule-116)). A level above 2^53 counts as 2^53.
    #[must_use]
    pub fn trustlevel(mut self, level: u64) -> Self {
        self.trustlevel = Some(level.min(wamp_proto::MAX_ID));
        self
    }

    /// Sets whether the session may take over registrations of any other session with `force_reregister` (behaviour
    /// [146](crate::behaviour#rule-146)).
    #[must_use]
    pub fn force(mut self, forces: bool) -> Self {
        self.forces = forces;
        self
    }

    /// Returns the trust level, if the rule has one.
    pub fn own_trustlevel(&self) -> Option<u64> {
        self.trustlevel
    }

    /// Returns whether registrations of any other session may be taken over.
    pub fn forces(&self) -> bool {
        self.forces
    }

    /// Returns the pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Returns whether the session is disclosed, if the rule sets it.
    pub fn own_disclosure(&self) -> Option<Disclosure> {
        self.disclosure
    }

    /// Returns the actions that it allows.
    pub fn actions(&self) -> Actions {
        self.actions
    }
}

impl Role {
    /// Creates a role that may only read with the meta API.
    pub fn new(name: impl Into<ByteString>) -> Self {
        Self { name: name.into(), rules: Vec::new(), meta: Meta::Read, trusts: false, has_authorizer: false }
    }

    /// Creates a role that may do everything except control others with the meta API.
    pub fn everything(name: impl Into<ByteString>) -> Self {
        Self::new(name).allow(Actions::ALL, Pattern::prefix(""))
    }

    /// Allows these actions, and denies all others, for the URIs of a pattern.
    #[must_use]
    pub fn allow(self, actions: Actions, pattern: Pattern) -> Self {
        self.rule(Rule::new(actions, pattern))
    }

    /// Denies all actions for the URIs of a pattern.
    #[must_use]
    pub fn deny(self, pattern: Pattern) -> Self {
        self.allow(Actions::NONE, pattern)
    }

    /// Adds a rule. It replaces the one with the same pattern.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.retain(|other| other.pattern != rule.pattern);
        self.rules.push(rule);
        self.trusts = self.rules.iter().any(|rule| rule.trustlevel.is_some());
        // The most specific first, so that the first one that matches decides.
        self.rules.sort_by_key(|rule| Reverse(rule.pattern.rank()));
        self
    }

    /// Sets the part of the meta API that the role may use; [`Meta::Read`] by default.
    #[must_use]
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Has an authorizer decide about requests to which no rule applies (behaviour
    /// [262](crate::behaviour#rule-262)). The driver asks it: [`Event::Authorize`](super::Event::Authorize).
    #[must_use]
    pub fn with_authorizer(mut self) -> Self {
        self.has_authorizer = true;
        self
    }

    /// Returns whether an authorizer decides about requests to which no rule applies.
    pub fn has_authorizer(&self) -> bool {
        self.has_authorizer
    }

    /// Whether its authorizer decides about a request, since no rule does. About a pattern a rule decides if it allows all
    /// URIs of the pattern, or denies one.
    pub(super) fn asks(&self, action: Actions, policy: MatchPolicy, uri: &Uri) -> bool {
        if !self.has_authorizer {
            return false;
        }
        let pattern = Pattern::new(policy, uri.as_str());
        if let Pattern::Exact(uri) = &pattern {
            return !self.rules.iter().any(|rule| rule.pattern.matches(uri));
        }
        let mut denying = self.rules.iter().filter(|rule| !rule.actions.has(action));
        !self.allows_pattern(action, &pattern) && !denying.any(|rule| rule.pattern.meets(&pattern))
    }

    /// Returns the name.
    pub fn name(&self) -> &ByteString {
        &self.name
    }

    /// Returns the rules, the most specific first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the part of the meta API that it may use.
    pub fn meta_part(&self) -> Meta {
        self.meta
    }

    /// Returns whether a rule allows this action for a URI.
    pub fn allows(&self, action: Actions, uri: &str) -> bool {
        self.decides(action, uri).is_some()
    }

    /// Returns whether a rule allows this action for every URI that a pattern matches (behaviour
    /// [261](crate::behaviour#rule-261)).
    pub fn allows_pattern(&self, action: Actions, pattern: &Pattern) -> bool {
        self.decides_pattern(action, pattern).is_some()
    }

    /// The rule that allows an action for every URI of a pattern.
    fn decides_pattern(&self, action: Actions, pattern: &Pattern) -> Option<&Rule> {
        if let Pattern::Exact(uri) = pattern {
            return self.decides(action, uri);
        }
        // For each URI of the pattern this rule decides, or one that is at least as specific.
        let allowing =
            self.rules.iter().find(|rule| rule.actions.has(action) && rule.pattern.contains(pattern))?;
        let rank = allowing.pattern.rank();
        let mut denying = self.rules.iter().filter(|rule| !rule.actions.has(action));
        let is_denied = denying.any(|rule| rule.pattern.rank() >= rank && rule.pattern.meets(pattern));
        (!is_denied).then_some(allowing)
    }

    /// The rule that allows an action for a URI. Of several that are equally specific all must allow it.
    fn decides(&self, action: Actions, uri: &str) -> Option<&Rule> {
        let mut matching = self.rules.iter().filter(|rule| rule.pattern.matches(uri));
        let first = matching.next().filter(|rule| rule.actions.has(action))?;
        let rank = first.pattern.rank();
        let mut equal = matching.take_while(|rule| rule.pattern.rank() == rank);
        equal.all(|rule| rule.actions.has(action)).then_some(first)
    }

    /// Checks a request with this URI. Returns the disclosure of the rule that allows it, if it has one.
    pub(super) fn check(&self, action: Actions, uri: &Uri) -> Result<Option<Disclosure>, Refused> {
        self.decides(action, uri).map(|rule| rule.disclosure).ok_or_else(not_authorized)
    }

    /// The trust level of a request with this URI.
    pub(super) fn trust(&self, action: Actions, uri: &Uri) -> Option<u64> {
        if self.trusts { self.decides(action, uri)?.trustlevel } else { None }
    }

    /// Whether the rule that allows REGISTER with this pattern lets it take over any registration.
    pub(super) fn forces(&self, policy: MatchPolicy, uri: &Uri) -> bool {
        let rule = self.decides_pattern(Actions::REGISTER, &Pattern::new(policy, uri.as_str()));
        rule.is_some_and(|rule| rule.forces)
    }

    /// Checks a request with this pattern.
    pub(super) fn check_pattern(
        &self,
        action: Actions,
        policy: MatchPolicy,
        uri: &Uri,
    ) -> Result<(), Refused> {
        let pattern = Pattern::new(policy, uri.as_str());
        if self.allows_pattern(action, &pattern) { Ok(()) } else { Err(not_authorized()) }
    }
}

/// The roles of a realm. Without any, each session may do everything.
#[derive(Clone, Debug, Default)]
pub struct Roles(BTreeMap<ByteString, Arc<Role>>);

impl Roles {
    /// No roles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a role. It replaces the one with the same name.
    pub fn insert(&mut self, role: Role) {
        self.0.insert(role.name.clone(), Arc::new(role));
    }

    /// Returns whether there is no role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a role may control others with the meta API.
    pub(super) fn have_control(&self) -> bool {
        self.0.values().any(|role| role.meta >= Meta::Control)
    }

    /// Returns whether a role has trust levels for requests of this kind.
    pub(super) fn have_trustlevels(&self, action: Actions) -> bool {
        let trusts = |rule: &Rule| rule.trustlevel.is_some() && rule.actions.has(action);
        self.0.values().any(|role| role.rules.iter().any(trusts))
    }

    /// Returns all roles, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.values().map(|role| &**role)
    }

    /// Returns the role with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Role>> {
        self.0.get(name)
    }
}

/// The refusal of a request, the same for all denied requests.
fn not_authorized() -> Refused {
    (uri::NOT_AUTHORIZED, "this session is not authorized to do this".to_owned())
}
