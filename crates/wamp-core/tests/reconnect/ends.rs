//! The two ends: a connection of the client, and the router with the witness.

use std::collections::{BTreeMap, VecDeque};

use wamp_core::Time;
use wamp_core::reconnect::{Ask, DeclarationId};
use wamp_core::router::{self, Join, Realm, SessionKey};
use wamp_core::session::Session;
use wamp_proto::message::{self, HelloDetails};
use wamp_proto::{
    Feature, Features, Message, RegistrationId, RequestId, Role, Roles, Serializer, SubscriptionId, Uri,
};

use crate::ledger::CallNo;

/// The procedure and the topic of the witness.
pub const STREAM: Uri = Uri::from_static("witness.stream");

/// The client's end of a connection, and the wire.
#[derive(Clone)]
pub struct Connection {
    pub session: Session,
    /// Its session in the router.
    pub key: Option<SessionKey>,
    pub queue: VecDeque<Message>,
    pub to_router: VecDeque<Message>,
    pub to_client: VecDeque<Message>,
    pub has_joined: bool,
    pub asks: BTreeMap<RequestId, Ask>,
    /// Subscriptions that are not answered.
    pub subscribing: usize,
    pub calls: BTreeMap<RequestId, CallNo>,
    pub procedures: BTreeMap<RegistrationId, DeclarationId>,
    /// Several subscriptions to one topic are one for the router.
    pub topics: BTreeMap<SubscriptionId, Vec<DeclarationId>>,
}

impl Connection {
    /// Ends unused subscriptions, when no pending answer can add a use.
    pub fn unsubscribe_unused(&mut self, now: Time) {
        if self.subscribing > 0 {
            return;
        }
        let unused = self.topics.iter().filter(|(_, declarations)| declarations.is_empty());
        for subscription in unused.map(|(subscription, _)| *subscription).collect::<Vec<_>>() {
            self.topics.remove(&subscription);
            let _ = self.session.unsubscribe(now, subscription);
        }
    }
}

#[derive(Clone)]
pub struct Router {
    pub realm: Realm,
    pub witness: SessionKey,
    pub heard: Vec<Message>,
    /// The witness's invocations that are not answered.
    pub invocations: VecDeque<RequestId>,
    pub requests: u64,
}

fn roles() -> Roles {
    let features = Features::none().with(Feature::ProgressiveCallResults).with(Feature::CallCanceling);
    [Role::Caller, Role::Callee, Role::Publisher, Role::Subscriber]
        .into_iter()
        .fold(Roles::none(), |roles, role| roles.with(role, features.clone()))
}

pub fn join(details: HelloDetails) -> Join {
    Join { details, serializer: Serializer::ALL[0], max_message: usize::MAX, transport: Default::default() }
}

impl Router {
    pub fn new(now: Time, seed: u64) -> Self {
        let mut realm = Realm::new(router::Config::new("realm1"), seed);
        let details = HelloDetails { roles: roles(), ..HelloDetails::default() };
        let witness = realm.join(now, join(details)).expect("every client may join");
        let mut router =
            Self { realm, witness, heard: Vec::new(), invocations: VecDeque::new(), requests: 0 };
        let request = router.request();
        let register = message::Register { request, options: Default::default(), procedure: STREAM };
        router.realm.handle_message(now, witness, register.into());
        router
    }

    pub fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(self.requests).expect("it is small")
    }
}
