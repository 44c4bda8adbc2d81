//! The task of a session that comes back: it connects, joins, declares everything again, and ends with the
//! session.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wamp_core::Failure;
use wamp_core::reconnect::{Action, Ask, Declaration};
use wamp_core::session::Closed;
use wamp_proto::{RegistrationId, SubscriptionId};

use crate::connect::join::Joining;
use crate::engine::shared::Engine;
use crate::engine::state::{PendingRequest, State};
use crate::error::RequestError;
use crate::link::Link;
use crate::link::comeback::Comeback;
use crate::link::kept::Kept;

type Answered<T> = oneshot::Receiver<Result<T, RequestError>>;

/// The pending answer to a repeated declaration.
enum Awaited {
    Procedure(Answered<RegistrationId>),
    Feed(Answered<SubscriptionId>),
}

/// Ends the session when the task ends, also when the runtime drops it.
struct Supervised<'a>(&'a Arc<Link>, &'a Comeback);

impl Drop for Supervised<'_> {
    fn drop(&mut self) {
        self.0.finish(self.1);
    }
}

/// Runs a session that this engine has joined.
pub(crate) async fn supervise(link: Arc<Link>, engine: Arc<Engine>) {
    let Some(comeback) = &link.comeback else { return };
    let _supervised = Supervised(&link, comeback);
    let mut present = Some(engine);
    loop {
        let (actions, is_over) = {
            let mut core = comeback.lock();
            let actions: Vec<Action> = std::iter::from_fn(|| core.machine.poll_action()).collect();
            (actions, core.machine.is_over())
        };
        if is_over {
            if let Some(engine) = present {
                engine.ended_and_written().await;
            }
            return;
        }
        let mut asks = Vec::new();
        let mut has_dialed = false;
        for action in actions {
            match action {
                Action::Dial { url } => {
                    present = dial(&link, comeback, url).await;
                    has_dialed = true;
                }
                Action::Ask(ask) => asks.push(ask),
            }
        }
        if has_dialed {
            // The state may have changed meanwhile.
            continue;
        }
        if let Some(engine) = present.as_ref().filter(|_| !asks.is_empty()) {
            declare(&link, comeback, engine, asks);
        }
        tokio::select! {
            biased;
            () = comeback.wake.notified() => {}
            closed = ended(present.as_deref()) => {
                if let Some(engine) = &present {
                    link.handle_ended(comeback, engine, closed);
                }
                // Its last messages are still written, unless another connection follows.
                if !comeback.lock().machine.is_over() {
                    present = None;
                }
            }
            () = until(comeback.deadline()) => {
                link.tell(comeback, |core, now| core.machine.handle_timeout(now));
            }
        }
    }
}

/// Makes an attempt, unless the session is left meanwhile.
async fn dial(link: &Arc<Link>, comeback: &Comeback, url: usize) -> Option<Arc<Engine>> {
    let mut dialing = pin!(comeback.dialer.dial(url));
    let dialed = loop {
        tokio::select! {
            biased;
            dialed = &mut dialing => break dialed,
            () = comeback.wake.notified() => {
                if comeback.lock().machine.is_over() {
                    return None;
                }
            }
        }
    };
    match dialed.map(Joining::joined) {
        Ok(engine) => {
            link.leave_testaments(comeback, &engine);
            link.tell(comeback, |core, now| {
                core.engine = Some(engine.clone());
                core.machine.handle_joined(now);
            });
            Some(engine)
        }
        Err(error) => {
            link.handle_failed(comeback, error);
            None
        }
    }
}

/// Declares all of this at once and in this order. The answers are awaited elsewhere.
fn declare(link: &Arc<Link>, comeback: &Comeback, engine: &Arc<Engine>, asks: Vec<Ask>) {
    let declarations: Vec<(Ask, Declaration, Kept)> = {
        let core = comeback.lock();
        let kept = |ask: Ask| {
            let kept = core.kept.get(&ask.declaration)?.clone();
            Some((ask, core.machine.declaration(ask.declaration)?.clone(), kept))
        };
        asks.into_iter().filter_map(kept).collect()
    };
    let awaited: Vec<(Ask, Kept, Option<Awaited>)> = engine.with(|state, now| {
        let declare = |(ask, declaration, kept): (Ask, Declaration, Kept)| {
            let awaited = submit(state, now, engine, declaration, &kept);
            (ask, kept, awaited)
        };
        // Kept values must not be dropped under the lock.
        declarations.into_iter().map(declare).collect()
    });
    let (link, engine) = (link.clone(), engine.clone());
    engine.runtime().clone().spawn(async move {
        let Some(comeback) = &link.comeback else { return };
        for (ask, _, awaited) in awaited {
            match awaited {
                Some(Awaited::Procedure(answer)) => {
                    handle_registered(&link, comeback, &engine, ask, answer).await;
                }
                Some(Awaited::Feed(answer)) => handle_subscribed(&link, comeback, &engine, ask, answer).await,
                // The connection has ended just now.
                None => {}
            }
        }
    });
}

fn submit(
    state: &mut State,
    now: wamp_core::Time,
    engine: &Arc<Engine>,
    declaration: Declaration,
    kept: &Kept,
) -> Option<Awaited> {
    match (declaration, kept) {
        (Declaration::Register { options, procedure }, Kept::Procedure(handler, _)) => {
            let request = state.session.register(now, options, procedure).ok()?;
            let (waiter, answer) = oneshot::channel();
            let procedure = handler.procedure(engine);
            state.requests.insert(request, PendingRequest::Register(procedure, waiter));
            Some(Awaited::Procedure(answer))
        }
        (Declaration::Subscribe { options, topic }, Kept::Feed(_, feed, _)) => {
            let retained = options.get_retained == Some(true);
            let request = state.session.subscribe(now, options, topic).ok()?;
            let (waiter, answer) = oneshot::channel();
            let pending = PendingRequest::Subscribe { feed: feed.clone(), retained, waiter };
            state.requests.insert(request, pending);
            Some(Awaited::Feed(answer))
        }
        _ => None,
    }
}

async fn handle_registered(
    link: &Arc<Link>,
    comeback: &Comeback,
    engine: &Arc<Engine>,
    ask: Ask,
    answer: Answered<RegistrationId>,
) {
    match answer.await {
        Ok(Ok(id)) => {
            let note = |kept: &Kept| {
                if let Kept::Procedure(_, current) = kept {
                    current.set(id);
                }
            };
            if !link.handle_answer(comeback, ask, Ok(()), note) {
                let _ = engine.with(|state, now| state.unregister(now, id, None));
            }
        }
        Ok(Err(error)) => handle_refused(link, comeback, ask, error),
        Err(_) => {}
    }
}

async fn handle_subscribed(
    link: &Arc<Link>,
    comeback: &Comeback,
    engine: &Arc<Engine>,
    ask: Ask,
    answer: Answered<SubscriptionId>,
) {
    match answer.await {
        Ok(Ok(id)) => {
            let note = |kept: &Kept| {
                if let Kept::Feed(_, _, current) = kept {
                    current.set(id);
                }
            };
            if !link.handle_answer(comeback, ask, Ok(()), note) {
                engine.with(|state, now| state.drop_finished_feeds(now, id));
            }
        }
        Ok(Err(error)) => handle_refused(link, comeback, ask, error),
        Err(_) => {}
    }
}

fn handle_refused(link: &Arc<Link>, comeback: &Comeback, ask: Ask, error: RequestError) {
    // Otherwise the connection has ended, which is reported to the machine separately.
    if let RequestError::Refused { uri, payload } = error {
        let failure = Failure { error: uri, payload };
        link.handle_answer(comeback, ask, Err(failure), |_| ());
    }
}

async fn ended(engine: Option<&Engine>) -> Closed {
    match engine {
        Some(engine) => engine.ended().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
