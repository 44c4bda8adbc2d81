//! From a connection to a session: HELLO and its answer.

use std::error::Error;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wamp_core::Time;
use wamp_core::auth::{Connection, Login, Refusal};
use wamp_core::session;
use wamp_proto::message::Challenge;
use wamp_transport::{Queue, Security, Transport};

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
    let login = login(transport.security(), &settings, url.as_deref()).await?;
    let Settings { mut config, max_message, timeout, keepalive, comes_back, .. } = settings;
    config.join_timeout = timeout;
    if let Some(login) = &login {
        config.set_login(login).map_err(|error| ConnectError::no_credentials(url.as_deref(), error))?;
    }
    let (serializer, max_send) = (transport.serializer(), transport.max_send());
    let watch = Watch::new(keepalive, &transport);
    config.credit = Some(session::Credit::new(serializer));
    config.answers_pings = true;
    config.max_send = Some(session::MaxSend::new(serializer, max_send));
    // The seed makes collisions of ids in the tables unpredictable for a router.
    let seed = RandomState::new().hash_one(());
    let mut core = session::Session::new(Time::ORIGIN, config, seed);
    let mut queue = Queue::new(serializer);
    if let Some(hello) = core.poll_transmit() {
        queue.push_within(&hello, max_send).map_err(|error| ConnectError::unsent(url.as_deref(), error))?;
    }
    let (waiter, joined) = oneshot::channel();
    let (asker, challenged) = oneshot::channel();
    let mut state = State::new(core, queue, waiter);
    state.challenged = Some(asker);
    state.keeps_declared = comes_back;
    let engine = Engine::new(state, max_send, Instant::now());
    let (read, write) = transport.split();
    engine.runtime().spawn(reader::read(Arc::clone(&engine), read, max_message, watch));
    engine.runtime().spawn(writer::write(Arc::clone(&engine), write, keepalive.map(|it| it.write)));
    // From here on dropping the future ends the session.
    let joining = Joining(Some(engine.clone()));
    engine.with(|_, _| ());
    if let Some(login) = login {
        authenticate(&engine, login, challenged).await;
    }
    match joined.await {
        Ok(Ok(joined)) => {
            engine.set_joined(*joined);
            Ok(joining)
        }
        Ok(Err(closed)) => Err(ConnectError::from_closed(url.as_deref(), closed)),
        // The waiter is kept until it is notified.
        Err(_) => Err(ConnectError::from_closed(url.as_deref(), session::Closed::Lost)),
    }
}

/// Asks for the credentials; returns `None` if there are none.
async fn login(
    security: Security,
    settings: &Settings,
    url: Option<&str>,
) -> Result<Option<Login>, ConnectError> {
    if settings.auth.is_empty() {
        return Ok(None);
    }
    let asking = async {
        let mut credentials = Vec::new();
        for source in &settings.auth {
            credentials.push(source.credential().await?);
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(credentials)
    };
    let credentials = match tokio::time::timeout(settings.timeout, asking).await {
        Ok(credentials) => credentials.map_err(|error| ConnectError::no_credentials(url, error))?,
        Err(_) => return Err(ConnectError::timeout(url, "the credentials took too long")),
    };
    let mut random = [0; 18];
    getrandom::fill(&mut random).map_err(|error| ConnectError::no_credentials(url, error.to_string()))?;
    let is_confidential = security.is_confidential && !settings.is_exposed;
    let connection = Connection { channel: security.channel_binding, is_confidential, random };
    let login = Login::new(credentials, &connection);
    login.map(Some).map_err(|refusal| ConnectError::unusable_credentials(url, refusal))
}

/// Answers the challenge of the router, if one arrives before the session has joined or ended.
async fn authenticate(engine: &Arc<Engine>, login: Login, challenged: oneshot::Receiver<Box<Challenge>>) {
    let Ok(challenge) = challenged.await else { return };
    let answer = if login.is_slow(&challenge) {
        let computing = engine.runtime().spawn_blocking(move || login.answer(&challenge));
        computing.await.unwrap_or(Err(Refusal("the answer could not be computed")))
    } else {
        login.answer(&challenge)
    };
    engine.with(|state, now| match answer {
        // It fails if the session has ended meanwhile.
        Ok(answer) => drop(state.session.authenticate(now, answer)),
        Err(refusal) => state.session.refuse_challenge(now, refusal.0),
    });
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
