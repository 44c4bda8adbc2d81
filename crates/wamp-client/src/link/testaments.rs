//! Testaments that are left with the router again in each connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Waker;

use wamp_proto::message::{self, CallOptions};
use wamp_proto::{Serializer, Uri};

use crate::caller::running::ReadyCall;
use crate::engine::inbox::{Inbox, Next};
use crate::engine::shared::Engine;
use crate::engine::state::Replies;
use crate::error::{CallError, RequestError};
use crate::link::Link;
use crate::link::comeback::Comeback;
use crate::link::states::ConnectionState;
use crate::pubsub::testament::TestamentScope;

/// A testament that the router of an earlier connection has accepted.
#[derive(Clone)]
pub(crate) struct Testament {
    pub(crate) scope: TestamentScope,
    pub(crate) publish: Arc<message::Publish>,
}

/// The procedure that takes testaments.
pub(crate) const ADD: Uri = Uri::from_static("wamp.session.add_testament");

/// The memory of the answer of the router, which is empty.
const BUFFER: usize = 64 << 10;

impl Testament {
    /// The arguments of `wamp.session.add_testament`.
    pub(crate) fn arguments(
        &self,
        serializer: Serializer,
    ) -> Result<wamp_proto::Payload, wamp_proto::EncodeError> {
        self.publish.to_testament(serializer, Some(self.scope.as_str()))
    }

    /// Leaves it with the router of this connection, without waiting. Returns the answer that follows.
    fn leave_again(&self, engine: &Arc<Engine>) -> Result<Arc<Replies>, CallError> {
        let arguments = self.arguments(engine.serializer())?;
        let replies = Arc::new(Inbox::new(BUFFER));
        let call = ReadyCall {
            procedure: ADD,
            options: CallOptions::default(),
            payload: arguments,
            replies: replies.clone(),
            limit: BUFFER,
        };
        engine.with(|state, now| {
            let checked = state.session.check_publish(&self.publish.options, &self.publish.payload);
            checked.map_err(|misuse| state.refused(misuse))?;
            call.send(state, now)
        })?;
        Ok(replies)
    }
}

impl Link {
    /// Keeps a testament that this engine has left with its router. Returns `false` if there is a newer connection by now,
    /// whose router does not have it.
    pub(crate) fn keep_testament(&self, engine: &Arc<Engine>, testament: &Testament) -> bool {
        let Some(comeback) = &self.comeback else { return true };
        let mut core = comeback.lock();
        if engine.is_over() && core.engine.as_ref().is_some_and(|current| !Arc::ptr_eq(current, engine)) {
            return false;
        }
        core.testaments.push(testament.clone());
        true
    }

    /// Forgets the testaments of a scope.
    pub(crate) fn forget_testaments(&self, scope: TestamentScope) {
        if let Some(comeback) = &self.comeback {
            comeback.lock().testaments.retain(|testament| testament.scope != scope);
        }
    }

    /// Leaves all testaments with the router of a new connection, before anything else is sent. One that is refused is
    /// dropped, and the program is told.
    pub(super) fn leave_testaments(self: &Arc<Self>, comeback: &Comeback, engine: &Arc<Engine>) {
        let testaments = comeback.lock().testaments.clone();
        if testaments.is_empty() {
            return;
        }
        let left: Vec<_> = testaments
            .into_iter()
            .map(|testament| {
                let left = testament.leave_again(engine);
                (testament, left)
            })
            .collect();
        let link = self.clone();
        engine.runtime().clone().spawn(async move {
            for (testament, left) in left {
                let answer = match left {
                    Ok(replies) => answer(&replies).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = answer {
                    link.lose_testament(&testament, error);
                }
            }
        });
    }

    fn lose_testament(&self, testament: &Testament, error: CallError) {
        let error = match error {
            CallError::Application { uri, payload } => RequestError::Refused { uri, payload },
            CallError::NotSupported => RequestError::NotSupported,
            CallError::Encode(error) => RequestError::Encode(error),
            CallError::TooLarge(error) => RequestError::TooLarge(error),
            // The connection was lost again: it is left in the next one.
            _ => return,
        };
        let Some(comeback) = &self.comeback else { return };
        let mut wakers = Vec::new();
        {
            let mut core = comeback.lock();
            core.testaments.retain(|other| !Arc::ptr_eq(&other.publish, &testament.publish));
            core.push(ConnectionState::Lost { uri: testament.publish.topic.clone(), error }, &mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The end of a call.
async fn answer(replies: &Replies) -> Result<(), CallError> {
    loop {
        if let Next::End(end) = poll_fn(|cx| replies.poll_take(cx)).await {
            return end.map(drop);
        }
    }
}
