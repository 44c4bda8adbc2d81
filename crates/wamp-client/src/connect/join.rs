//! From a connection to a session: HELLO and its answer.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::session;
use wamp_transport::{Queue, Transport};

use super::error::ConnectError;
use super::settings::Settings;
use crate::engine::shared::Engine;
use crate::engine::silence::Watch;
use crate::engine::state::State;
use crate::engine::{reader, writer};

/// A connection being made, and a session joined over it.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Joining, ConnectError>> + Send>>;

/// Sends HELLO over an established connection and waits for the answer.
pub(crate) async fn join<T: Transport>(
    transport: T,
    settings: Settings,
    url: Option<String>,
) -> Result<Joining, ConnectError> {
    let Settings { mut config, max_message, timeout, keepalive, comes_back, .. } = settings;
    config.join_timeout = timeout;
    let (serializer, max_send) = (transport.serializer(), transport.max_send());
    let watch = Watch::new(keepalive, &transport);
    config.credit = Some(session::Credit::new(serializer));
    config.answers_pings = true;
    config.max_send = Some(session::MaxSend::new(serializer, max_send));
    // No router can guess which ids collide in the tables.
    let seed = RandomState::new().hash_one(());
    let mut core = session::Session::new(Time::ORIGIN, config, seed);
    let mut queue = Queue::new(serializer);
    if let Some(hello) = core.poll_transmit() {
        queue.push_within(&hello, max_send).map_err(|error| ConnectError::unsent(url.as_deref(), error))?;
    }
    let (waiter, joined) = oneshot::channel();
    let mut state = State::new(core, queue, waiter);
    state.keeps_declared = comes_back;
    let engine = Engine::new(state, max_send, Instant::now());
    let (read, write) = transport.split();
    engine.runtime().spawn(reader::read(Arc::clone(&engine), read, max_message, watch));
    engine.runtime().spawn(writer::write(Arc::clone(&engine), write, keepalive.map(|it| it.write)));
    // From here on dropping the future ends the session.
    let joining = Joining(Some(engine.clone()));
    engine.with(|_, _| ());
    match joined.await {
        Ok(Ok(joined)) => {
            engine.set_joined(*joined);
            Ok(joining)
        }
        Ok(Err(closed)) => Err(ConnectError::from_closed(url.as_deref(), closed)),
        // The waiter is kept until it is told.
        Err(_) => Err(ConnectError::from_closed(url.as_deref(), session::Closed::Lost)),
    }
}

/// The engine of a session that has joined. Dropped before it is used, it ends the session.
pub(crate) struct Joining(Option<Arc<Engine>>);

impl Joining {
    pub(crate) fn joined(mut self) -> Arc<Engine> {
        self.0.take().expect("it is taken once, by value")
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if let Some(engine) = &self.0 {
            engine.with(|state, now| {
                if state.leave(now).is_err() && !state.session.is_leaving() {
                    // Nothing waits for the answer to HELLO any more.
                    state.session.handle_closed(now);
                }
            });
        }
    }
}
