//! The tables of a router as an administrator sees them, and the two things that an administrator can do: end a
//! session, and cancel a call.
//!
//! A table is read in portions of 1,000 rows. Between two portions the lock of the realm is free.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use wamp_core::Time;
use wamp_core::router::{
    CallId, CallInfo, Joins, Portion, Realm as Machine, RegistrationInfo, SessionInfo, Sizes, Stats,
    SubscriptionInfo, Timings,
};
use wamp_proto::{SessionId, Uri};

use crate::links::Links;
use crate::realm::Realm;
use crate::router::Router;

/// The rows that are looked at under one lock.
const PORTION: usize = 1000;

/// The most rows of a result.
const MOST: usize = 10_000;

/// The rows that an administrator asks for.
///
/// ```
/// use wamp_router::{Order, Query};
///
/// let query = Query::new().realm("realm1").filter("longop").order(Order::Results).limit(10);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Query {
    realm: Option<String>,
    filter: String,
    order: Order,
    limit: usize,
}

/// The order of rows, and so the rows that a limited result has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// The oldest first; registrations and subscriptions by their names.
    #[default]
    Age,
    /// Calls: the most progressive results first. Sessions: the longest queue first. Registrations and subscriptions: the
    /// most callees or subscribers first.
    Results,
}

impl Query {
    /// All rows of all realms, the oldest 200.
    pub fn new() -> Self {
        Self { realm: None, filter: String::new(), order: Order::Age, limit: 200 }
    }

    /// Only the rows of one realm.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Only rows with this text in one of their names, in upper or lower case.
    pub fn filter(mut self, text: &str) -> Self {
        self.filter = text.to_lowercase();
        self
    }

    /// Sets the order.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets the most rows, at most 10,000.
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows.min(MOST);
        self
    }

    fn takes(&self, names: &[&str]) -> bool {
        self.filter.is_empty() || names.iter().any(|name| name.to_lowercase().contains(&self.filter))
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

/// Rows of a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed<T> {
    /// The number of rows in the table, in the realms that were asked for.
    pub total: usize,
    /// The number of those that match the filter.
    pub matching: usize,
    /// The first of these.
    pub rows: Vec<Row<T>>,
}

/// A row, and its realm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row<T> {
    /// The name of the realm.
    pub realm: Uri,
    /// The rest of the row.
    pub info: T,
}

/// A session with its link.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionRow {
    /// The session.
    pub session: SessionInfo,
    /// The bytes that are queued for it.
    pub queued: usize,
    /// The bytes above which its link is full.
    pub high_water: usize,
}

/// The figures of a realm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RealmFigures {
    /// Its name.
    pub name: Uri,
    /// Its counters.
    pub total: Stats,
    /// Its current sizes.
    pub now: Sizes,
    /// The time for which sessions were held, summed over the sessions.
    pub held_time: Duration,
    /// The times of calls.
    pub timings: Timings,
    /// The joins by method.
    pub joins: Joins,
}

/// The bytes of all connections since the start of a router, without those of TLS and of handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Received bytes.
    pub received: u64,
    /// Sent bytes.
    pub sent: u64,
}

impl Router {
    /// Returns the figures of all realms, by their names.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let router = wamp_router::Router::builder().realm("realm1").build();
    /// assert_eq!(router.realms()[0].now.sessions, 0);
    /// # }
    /// ```
    pub fn realms(&self) -> Vec<RealmFigures> {
        let mut realms = self.state().realms.all();
        realms.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        realms.iter().map(|realm| realm.figures()).collect()
    }

    /// Returns the bytes of all connections.
    pub fn traffic(&self) -> Traffic {
        let (received, sent) = self.state().budget.traffic();
        Traffic { received, sent }
    }

    /// Returns the refused attempts to join, by the reason of the ABORT. Reasons that are rare or unknown are `other`.
    pub fn join_failures(&self) -> Vec<(&'static str, u64)> {
        self.state().refusals.joins()
    }

    /// Returns whether each realm answers within this time, and the router is not shutting down.
    pub async fn is_well(&self, within: Duration) -> bool {
        let answers = async {
            for realm in self.state().realms.all() {
                realm.look(|_, _, _| ()).await;
            }
        };
        !self.state().is_closing() && tokio::time::timeout(within, answers).await.is_ok()
    }

    /// Returns sessions.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use wamp_router::{Query, Router};
    ///
    /// let router = Router::builder().realm("realm1").build();
    /// let listed = router.sessions(&Query::new()).await;
    /// assert_eq!((listed.total, listed.rows.len()), (0, 0));
    /// # }
    /// ```
    pub async fn sessions(&self, query: &Query) -> Listed<SessionRow> {
        let read = |machine: &Machine, links: &Links, now, from, places| {
            let Portion { rows, next } = machine.sessions_from(now, from, places);
            let with_link = |session: SessionInfo| {
                let link = links.get(session.key);
                let (queued, high_water) = link.map(|link| link.queued()).unwrap_or_default();
                SessionRow { session, queued, high_water }
            };
            Portion { rows: rows.into_iter().map(with_link).collect(), next }
        };
        let takes = |row: &SessionRow| {
            let SessionInfo { authid, authrole, agent, peer, .. } = &row.session;
            let texts =
                [&**authid, &**authrole, agent.as_deref().unwrap_or(""), peer.as_deref().unwrap_or("")];
            query.takes(&texts)
        };
        let key = |row: &SessionRow| match query.order {
            Order::Age => (Reverse(row.session.age.as_nanos()), row.session.key),
            Order::Results => (Reverse(row.queued as u128), row.session.key),
        };
        self.list(query, read, takes, key).await
    }

    /// Returns running calls.
    pub async fn calls(&self, query: &Query) -> Listed<CallInfo> {
        let read = |machine: &Machine, _: &Links, now, from, places| machine.calls_from(now, from, places);
        let takes = |row: &CallInfo| {
            let authid = |party: &Option<wamp_core::router::Party>| {
                party.as_ref().map(|party| party.authid.to_string()).unwrap_or_default()
            };
            let procedure = row.procedure.as_deref().unwrap_or_default();
            query.filter.is_empty()
                || query.takes(&[procedure, &authid(&row.caller), &authid(&row.callee), row.state.name()])
        };
        let key = |row: &CallInfo| match query.order {
            Order::Age => (Reverse(row.age.as_nanos()), row.id),
            Order::Results => (Reverse(u128::from(row.results)), row.id),
        };
        self.list(query, read, takes, key).await
    }

    /// Returns registrations.
    pub async fn registrations(&self, query: &Query) -> Listed<RegistrationInfo> {
        let read = |machine: &Machine, _: &Links, _, from, places| machine.registrations_from(from, places);
        let takes = |row: &RegistrationInfo| query.takes(&[&row.uri]);
        let key = |row: &RegistrationInfo| {
            (Reverse(if query.order == Order::Results { row.callees } else { 0 }), row.uri.clone())
        };
        self.list(query, read, takes, key).await
    }

    /// Returns subscriptions, without those of meta topics.
    pub async fn subscriptions(&self, query: &Query) -> Listed<SubscriptionInfo> {
        let read = |machine: &Machine, _: &Links, _, from, places| machine.subscriptions_from(from, places);
        let takes = |row: &SubscriptionInfo| query.takes(&[row.uri.as_str()]);
        let key = |row: &SubscriptionInfo| {
            (Reverse(if query.order == Order::Results { row.subscribers } else { 0 }), row.uri.clone())
        };
        self.list(query, read, takes, key).await
    }

    async fn list<T, K: Ord>(
        &self,
        query: &Query,
        read: impl Fn(&Machine, &Links, Time, usize, usize) -> Portion<T>,
        takes: impl Fn(&T) -> bool,
        key: impl Fn(&T) -> K,
    ) -> Listed<T> {
        let mut listed = Listed { total: 0, matching: 0, rows: Vec::new() };
        for realm in self.realms_of(query) {
            let mut from = Some(0);
            while let Some(place) = from {
                let portion =
                    realm.look(|machine, links, now| read(machine, links, now, place, PORTION)).await;
                listed.total += portion.rows.len();
                for info in portion.rows.into_iter().filter(&takes) {
                    listed.matching += 1;
                    listed.rows.push(Row { realm: realm.name().clone(), info });
                }
                if listed.rows.len() > query.limit {
                    listed.rows.sort_by_cached_key(|row| key(&row.info));
                    listed.rows.truncate(query.limit);
                }
                from = portion.next;
                // Other tasks have the thread in between.
                tokio::task::yield_now().await;
            }
        }
        listed.rows.sort_by_cached_key(|row| key(&row.info));
        listed
    }

    fn realms_of(&self, query: &Query) -> Vec<Arc<Realm>> {
        let realms = &self.state().realms;
        match &query.realm {
            Some(name) => realms.get(name).into_iter().collect(),
            None => realms.all(),
        }
    }

    /// Ends a session with GOODBYE. Returns `false` if the realm does not have it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use wamp_router::Router;
    ///
    /// let router = Router::builder().realm("realm1").build();
    /// let session = wamp_proto::SessionId::new(42).expect("an id");
    /// assert!(!router.end_session("realm1", session, "ended by an administrator").await);
    /// # }
    /// ```
    pub async fn end_session(&self, realm: &str, session: SessionId, text: &str) -> bool {
        let Some(realm) = self.state().realms.get(realm) else { return false };
        realm.with(|machine, now| machine.kill(now, session, wamp_proto::uri::KILLED, text)).await
    }

    /// Ends a running call: its caller gets ERROR `wamp.error.canceled` with this text, and its callee INTERRUPT. Returns
    /// `false` if it has ended already.
    pub async fn cancel_call(&self, realm: &str, call: CallId, text: &str) -> bool {
        let Some(realm) = self.state().realms.get(realm) else { return false };
        realm.with(|machine, now| machine.cancel_call(now, call, text)).await
    }
}
