//! Configuration of a realm: its machine, and the principals that may join it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use wamp_core::auth::{Method, Principal, Principals};
use wamp_core::router::{Config, History, Role};
use wamp_proto::{ByteString, Uri};

use crate::authenticator::Authenticator;
use crate::authorizer::{Authorizer, Decider, Deciders};
use crate::own_calls::Procedure;

/// The configuration of a realm.
///
/// It dereferences to the settings of the realm itself. Without any setting of authentication a realm is open
/// to anonymous sessions. With one it admits only its principals, and anonymous sessions only if
/// [`anonymous`](Self::anonymous) is set.
///
/// ```
/// use wamp_router::auth::Principal;
/// use wamp_router::{Actions, Pattern, RealmConfig, Role, Router};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut realm = RealmConfig::new("shop")
///     .principal(Principal::new("joe", "user").password("correct horse"))
///     .role(Role::everything("user"))
///     .anonymous("guest")
///     .role(Role::new("guest").allow(Actions::SUBSCRIBE, Pattern::prefix("com.shop.price.")));
/// realm.strict_features = true;
/// let router = Router::builder().realm_with(realm).build();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RealmConfig {
    pub(crate) machine: Config,
    pub(crate) principals: Principals,
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    /// The procedures that know principals, by method.
    pub(crate) procedures: BTreeMap<Method, Procedure>,
    /// The authorizers, by role.
    pub(crate) authorizers: Deciders,
}

impl RealmConfig {
    /// A realm with this name, open to anonymous sessions.
    pub fn new(name: impl Into<Uri>) -> Self {
        Config::new(name).into()
    }

    /// Adds a principal, and closes the realm for others. It replaces the one with the same authid.
    #[must_use]
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principals.insert(principal);
        self
    }

    /// Looks up principals that are not configured, and closes the realm for others.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.principals.close();
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Looks up principals that are not configured by a call of a WAMP procedure, for these methods, and closes the realm
    /// for others. The procedure is called as a dynamic authenticator of Crossbar.io, with the realm, the authid and
    /// details, and returns a role or a dict; see [`wamp_core::auth::procedure`]. It has 5 s to answer. For methods that an
    /// [`authenticator`](Self::authenticator) has, that one is asked instead.
    ///
    /// ```
    /// use wamp_router::auth::{Method, Principal};
    /// use wamp_router::{Procedure, RealmConfig, Role, Router};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let check = Procedure::new("com.auth.check").realm("auth");
    /// let shop = RealmConfig::new("shop")
    ///     .authenticator_procedure([Method::Ticket, Method::WampCra], check)
    ///     .role(Role::everything("user"));
    /// let auth = RealmConfig::new("auth").principal(Principal::new("checker", "checker").password("correct horse"));
    /// let router = Router::builder().realm_with(shop).realm_with(auth).build();
    /// # }
    /// ```
    #[must_use]
    pub fn authenticator_procedure(
        mut self,
        methods: impl IntoIterator<Item = Method>,
        procedure: Procedure,
    ) -> Self {
        self.principals.close();
        self.procedures.extend(methods.into_iter().map(|method| (method, procedure.clone())));
        self
    }

    /// Returns the procedures that know principals, by method.
    pub fn authenticator_procedures(&self) -> impl Iterator<Item = (Method, &Procedure)> {
        self.procedures.iter().map(|(method, procedure)| (*method, procedure))
    }

    /// Admits anonymous sessions, with this role.
    #[must_use]
    pub fn anonymous(mut self, role: impl Into<ByteString>) -> Self {
        self.principals.set_anonymous(role);
        self
    }

    /// Adds a role. It replaces the one with the same name. With roles, a session has only the rights of its
    /// role, and a session whose role is not configured is refused.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.machine.roles.insert(role);
        self
    }

    /// Keeps a history of the events of a pattern, which `wamp.subscription.get_events` returns (behaviour
    /// [124](wamp_core::behaviour#rule-124)).
    ///
    /// ```
    /// use wamp_router::{History, Pattern, RealmConfig};
    ///
    /// let realm = RealmConfig::new("shop").history(History::new(Pattern::prefix("com.shop.order.")));
    /// ```
    #[must_use]
    pub fn history(mut self, history: History) -> Self {
        self.machine.history.push(history);
        self
    }

    /// Sets an authorizer, which decides about requests of a role to which no rule of the role applies. The role need not
    /// be [added](Self::role) if it has no rules.
    #[must_use]
    pub fn authorizer(mut self, role: impl Into<ByteString>, authorizer: impl Authorizer) -> Self {
        self.authorizers.insert(role.into(), Decider::Program(Arc::new(authorizer)));
        self
    }

    /// The same with a WAMP procedure, which is called as a dynamic authorizer of Crossbar.io: with details of the session,
    /// a URI, `call`, `register`, `publish` or `subscribe`, and the options of the request. It returns a boolean, or a dict
    /// with the booleans `allow` and, optionally, `disclose`.
    #[must_use]
    pub fn authorizer_procedure(mut self, role: impl Into<ByteString>, procedure: Procedure) -> Self {
        self.authorizers.insert(role.into(), Decider::Procedure(procedure));
        self
    }

    /// Returns the procedures that decide about requests, by role.
    pub fn authorizer_procedures(&self) -> impl Iterator<Item = (&ByteString, &Procedure)> {
        self.authorizers.iter().filter_map(|(role, decider)| match decider {
            Decider::Procedure(procedure) => Some((role, procedure)),
            Decider::Program(_) => None,
        })
    }

    /// Tells the machine which roles have an authorizer. Returns the authorizers.
    pub(crate) fn take_authorizers(&mut self) -> Deciders {
        let authorizers = std::mem::take(&mut self.authorizers);
        for role in authorizers.keys() {
            let known = self.machine.roles.get(role).map(|role| Role::clone(role));
            let role = known.unwrap_or_else(|| Role::new(role.clone()));
            self.machine.roles.insert(role.with_authorizer());
        }
        authorizers
    }

    /// Returns whether clients without a proof may join.
    pub(crate) fn is_open(&self) -> bool {
        self.principals.anonymous().is_some()
    }

    /// Returns the principals.
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// Closes the realm for all sessions that no other setting admits.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.principals.close();
        self
    }
}

impl From<Config> for RealmConfig {
    fn from(machine: Config) -> Self {
        Self {
            machine,
            principals: Principals::new(),
            authenticator: None,
            procedures: BTreeMap::new(),
            authorizers: Deciders::new(),
        }
    }
}

impl Deref for RealmConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.machine
    }
}

impl DerefMut for RealmConfig {
    fn deref_mut(&mut self) -> &mut Config {
        &mut self.machine
    }
}
