//! The parts of a world.

use std::time::Duration;

use wamp_core::router::{self, Join};
use wamp_proto::message::{HelloDetails, InvocationPolicy, RegisterOptions};
use wamp_proto::{self as proto, Feature, Role, Roles, Serializer};

use crate::account::Windows;
use crate::dealer::{Credit, Features, Rules};
use crate::wire_message::Procedure;

/// Returns the announcement of a publisher and subscriber without features.
pub fn pubsub_join() -> Join {
    let none = proto::Features::none;
    let roles = Roles::none().with(Role::Publisher, none()).with(Role::Subscriber, none());
    let details = HelloDetails { roles, ..HelloDetails::default() };
    Join { details, serializer: Serializer::Json, max_message: usize::MAX, transport: Default::default() }
}

/// Returns whether several callees may register a procedure.
pub fn is_shared(procedure: Procedure) -> bool {
    procedure == 1 || procedure == 3
}

/// Returns whether the callees of a procedure watch timeouts themselves.
pub fn forwards_timeout(procedure: Procedure) -> bool {
    procedure == 2
}

/// Returns how many calls of a procedure each callee takes at once.
pub fn concurrency(procedure: Procedure) -> Option<usize> {
    (procedure == 3).then_some(2)
}

pub fn register_options(procedure: Procedure) -> RegisterOptions {
    RegisterOptions {
        invoke: match procedure {
            1 => Some(InvocationPolicy::RoundRobin),
            3 => Some(InvocationPolicy::Last),
            _ => None,
        },
        forward_timeout: forwards_timeout(procedure).then_some(true),
        concurrency: concurrency(procedure).map(|calls| calls as u64),
        ..RegisterOptions::default()
    }
}

/// A client.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Whether it is one of our sessions, rather than a peer played by the model.
    pub ours: bool,
    pub features: Features,
    /// Whether it answers late, twice and after the end, and sends forbidden messages.
    pub rogue: bool,
    /// Whether it does not answer GOODBYE.
    pub mute: bool,
    pub serializer: Serializer,
    /// Its windows, if it knows credit.
    pub windows: Option<Windows>,
    pub numbering: Numbering,
}

/// The way in which a peer of the model numbers its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// 1, 2, 3, …
    Counting,
    /// Random numbers, each used once.
    Drawn,
    /// The first number that none of its calls has, as far as it knows.
    Reusing,
}

impl Kind {
    pub const ALL_FEATURES: Features = Features {
        caller_progress: true,
        caller_chunks: true,
        callee_progress: true,
        callee_canceling: true,
        callee_chunks: true,
        callee_timeout: true,
        callee_reroute: true,
        caller_credit: None,
        callee_credit: None,
    };

    pub fn ours() -> Self {
        let features = Self::ALL_FEATURES;
        Kind {
            ours: true,
            features,
            rogue: false,
            mute: false,
            serializer: Serializer::Json,
            windows: None,
            numbering: Numbering::Counting,
        }
    }

    pub fn raw(features: Features) -> Self {
        Kind { ours: false, features, ..Self::ours() }
    }

    /// A peer that makes no calls in chunks and numbers its requests in this way.
    pub fn numbering(numbering: Numbering) -> Self {
        let features = Features { caller_chunks: false, ..Self::ALL_FEATURES };
        Kind { numbering, ..Self::raw(features) }
    }

    /// The same, with credit as a caller and as a callee.
    pub fn counting(self, first: u64, max: u64) -> Self {
        let credit = Some(first);
        let features = Features { caller_credit: credit, callee_credit: credit, ..self.features };
        Kind { features, windows: Some(Windows { first, max }), ..self }
    }

    pub fn roles(&self) -> Roles {
        let features = |list: &[(bool, Feature)]| {
            let announced = list.iter().filter(|(announced, _)| *announced);
            announced.fold(wamp_proto::Features::none(), |all, (_, feature)| all.with(*feature))
        };
        let f = self.features;
        let caller = features(&[
            (f.caller_progress, Feature::ProgressiveCallResults),
            (f.caller_chunks, Feature::ProgressiveCallInvocations),
        ]);
        let callee = features(&[
            (f.callee_progress, Feature::ProgressiveCallResults),
            (f.callee_canceling, Feature::CallCanceling),
            (f.callee_chunks, Feature::ProgressiveCallInvocations),
            (f.callee_timeout, Feature::CallTimeout),
            (f.callee_reroute, Feature::CallReroute),
        ]);
        let credit = |features: wamp_proto::Features, credit: Option<u64>| match credit {
            Some(bytes) => features.with_credit(bytes),
            None => features,
        };
        let (caller, callee) = (credit(caller, f.caller_credit), credit(callee, f.callee_credit));
        Roles::none().with(Role::Caller, caller).with(Role::Callee, callee)
    }
}

/// A realm and its clients, which have all joined and registered.
#[derive(Clone, Debug)]
pub struct Setup {
    pub clients: Vec<Kind>,
    pub offers: Vec<(usize, Procedure)>,
    pub strict: bool,
    /// Whether the realm requires every session to count its requests.
    pub strict_ids: bool,
    /// The router's windows, if it knows credit.
    pub windows: Option<Windows>,
}

impl Setup {
    pub fn rules(&self) -> Rules {
        let (kill_wait, goodbye_wait) = (Duration::from_secs(30), Duration::from_secs(5));
        let patience = Duration::from_secs(300);
        let credit = self.windows.map(|windows| Credit { windows, patience });
        Rules { strict: self.strict, strict_ids: self.strict_ids, kill_wait, goodbye_wait, credit }
    }

    /// Returns whether credit is counted anywhere.
    pub fn counts(&self) -> bool {
        self.windows.is_some() && self.clients.iter().any(|kind| kind.features.knows_credit())
    }

    pub fn config(&self) -> router::Config {
        let rules = self.rules();
        let mut config = router::Config::new("realm1");
        config.strict_features = rules.strict;
        config.strict_request_ids = rules.strict_ids;
        config.kill_timeout = rules.kill_wait;
        config.goodbye_timeout = rules.goodbye_wait;
        config.credit = rules.credit.map(|rule| router::Credit {
            window: rule.windows.first,
            max_window: rule.windows.max,
            patience: rule.patience,
        });
        config
    }
}
