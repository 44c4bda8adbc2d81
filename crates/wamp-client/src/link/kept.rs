//! Registrations and subscriptions that are declared in each connection, and their ids there.

use std::sync::{Arc, Mutex, PoisonError};

use wamp_proto::{RegistrationId, SubscriptionId, Uri};

use crate::ended::{End, Ended};
use crate::engine::feed::Feed;
use crate::engine::handlers::Handler;

/// An id of the present connection, or of the last one.
pub(crate) struct Current<T>(Mutex<T>);

impl<T: Copy> Current<T> {
    pub(crate) fn new(id: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(id)))
    }

    pub(crate) fn get(&self) -> T {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, id: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// A registration or subscription that is declared in each connection.
#[derive(Clone)]
pub(crate) enum Kept {
    Procedure(Handler, Arc<Current<RegistrationId>>),
    Feed(Uri, Arc<Feed>, Arc<Current<SubscriptionId>>),
}

impl Kept {
    pub(super) fn uri(&self) -> &Uri {
        match self {
            Kept::Procedure(handler, _) => &handler.uri,
            Kept::Feed(topic, ..) => topic,
        }
    }

    /// Its end.
    pub(super) fn end(&self) -> &End {
        match self {
            Kept::Procedure(handler, _) => &handler.end,
            Kept::Feed(_, feed, _) => feed.end(),
        }
    }

    /// Ends it: no more calls or events follow.
    pub(super) fn finish(&self, ended: Ended) {
        match self {
            Kept::Procedure(handler, _) => handler.end.set(ended),
            Kept::Feed(_, feed, _) => feed.finish(ended),
        }
    }
}
