//! What a world is made of.

use std::time::Duration;

use wamp_core::router;
use wamp_proto::message::{InvocationPolicy, RegisterOptions};
use wamp_proto::{Feature, Role, Roles, Serializer};

use crate::dealer::{Features, Rules};
use crate::said::Procedure;

/// Procedures that several callees may register.
pub fn is_shared(procedure: Procedure) -> bool {
    procedure == 1 || procedure == 3
}

/// Procedures whose callees want to watch timeouts themselves.
pub fn forwards_timeout(procedure: Procedure) -> bool {
    procedure == 2
}

pub fn register_options(procedure: Procedure) -> RegisterOptions {
    let mut options = RegisterOptions::default();
    options.invoke = match procedure {
        1 => Some(InvocationPolicy::RoundRobin),
        3 => Some(InvocationPolicy::Last),
        _ => None,
    };
    options.forward_timeout = forwards_timeout(procedure).then_some(true);
    options
}

/// A client.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// One of our sessions, or a peer whose messages the model writes itself.
    pub ours: bool,
    pub features: Features,
    /// Answers late, twice and after the end; sends what it must not send.
    pub rogue: bool,
    /// Does not answer GOODBYE.
    pub mute: bool,
    pub serializer: Serializer,
}

impl Kind {
    pub const ALL_FEATURES: Features = Features {
        caller_progress: true,
        caller_chunks: true,
        callee_progress: true,
        callee_canceling: true,
        callee_chunks: true,
        callee_timeout: true,
    };

    pub fn ours() -> Self {
        let features = Self::ALL_FEATURES;
        Kind { ours: true, features, rogue: false, mute: false, serializer: Serializer::Json }
    }

    pub fn raw(features: Features) -> Self {
        Kind { ours: false, features, rogue: false, mute: false, serializer: Serializer::Json }
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
        ]);
        Roles::none().with(Role::Caller, caller).with(Role::Callee, callee)
    }
}

/// A realm and its clients, all of which have joined, with what they have registered.
#[derive(Clone, Debug)]
pub struct Setup {
    pub clients: Vec<Kind>,
    pub offers: Vec<(usize, Procedure)>,
    pub strict: bool,
}

impl Setup {
    pub fn rules(&self) -> Rules {
        let (kill_wait, goodbye_wait) = (Duration::from_secs(30), Duration::from_secs(5));
        Rules { strict: self.strict, kill_wait, goodbye_wait }
    }

    pub fn config(&self) -> router::Config {
        let rules = self.rules();
        let mut config = router::Config::new("realm1");
        config.strict_features = rules.strict;
        config.kill_timeout = rules.kill_wait;
        config.goodbye_timeout = rules.goodbye_wait;
        config
    }
}
