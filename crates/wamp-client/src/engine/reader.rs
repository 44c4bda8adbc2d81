//! The task that reads.

use std::sync::Arc;
use std::task::Waker;

use wamp_core::Time;
use wamp_core::session::Stats;
use wamp_proto::Limits;
use wamp_transport::{Incoming, ReadError, ReadHalf};

use crate::engine::inbound::{AT_ONCE, Inbound, pieces};
use crate::engine::shared::Engine;
use crate::engine::silence::Watch;
use crate::engine::state::State;

/// The longest message before WELCOME.
const BEFORE_WELCOME: usize = 64 << 10;

/// Consumers are woken after this many parts of a read.
const PARTS_OF_A_WAKE: u32 = 8;

/// Ends the session when its reader ends, also when the runtime drops it.
struct Reader(Arc<Engine>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.with(|state, now| state.session.handle_closed(now));
    }
}

/// The task that reads.
pub(crate) async fn read<R: ReadHalf>(
    engine: Arc<Engine>,
    mut half: R,
    max_message: usize,
    mut watch: Watch,
) {
    let _reader = Reader(engine.clone());
    half.set_max_receive(max_message.min(BEFORE_WELCOME));
    let limits = Limits { message: max_message, ..Limits::default() };
    let mut joined = false;
    let mut incoming = Vec::new();
    loop {
        let read = tokio::select! {
            biased;
            () = engine.stop.notified() => return,
            read = half.read_runs(&mut incoming) => read,
            () = watch.deadline() => {
                if let Some(why) = watch.handle_timeout(&half, &engine) {
                    tracing::debug!(why, "closed the connection to a silent router");
                    engine.with(|state, now| state.session.handle_silence(now, why));
                }
                continue;
            }
        };
        watch.handle_read(&half, &engine, &incoming);
        if let Err(error) = &read {
            tracing::debug!(%error, "cannot read from the connection");
        }
        let (mut end, mut before, mut handled) = (read.err(), None, 0);
        let (after, open) = loop {
            let part = handle_part(&engine, &incoming, handled, &limits, &mut end, &mut before);
            if part.must_wait {
                tokio::select! {
                    biased;
                    () = engine.stop.notified() => return,
                    () = engine.with_room(|_, _| ()) => {}
                }
                watch.handle_pause();
            }
            if part.is_last {
                break (part.stats, part.is_open);
            }
            handled = part.handled;
        };
        incoming.clear();
        if before != Some(after) {
            let (late, unsolicited, unknown) = (after.late, after.unsolicited, after.unknown);
            tracing::debug!(late, unsolicited, unknown, "ignored late or unsolicited messages");
        }
        if open && !joined {
            joined = true;
            half.set_max_receive(max_message);
            engine.with(|state, _| watch.begin(&half, &state.session));
        }
    }
}

/// What happened to a part of a read.
struct Part {
    /// This many items were handled.
    handled: usize,
    is_last: bool,
    stats: Stats,
    is_open: bool,
    /// Whether nothing more may be handled until there is room in the queue.
    must_wait: bool,
}

/// Handles the items from this one on, until all are done or the reader must wait; then the end, if there is
/// one.
fn handle_part(
    engine: &Arc<Engine>,
    incoming: &[Incoming],
    mut handled: usize,
    limits: &Limits,
    end: &mut Option<ReadError>,
    before: &mut Option<Stats>,
) -> Part {
    let mut pieces = incoming.iter().flat_map(pieces).skip(handled).peekable();
    let (mut wakers, mut parts) = (Vec::new(), 0);
    loop {
        let inbound = Inbound::read(&mut pieces, engine.serializer(), limits);
        handled += AT_ONCE;
        parts += 1;
        let is_last = pieces.peek().is_none();
        let part = engine.with(|state, now| {
            before.get_or_insert(state.session.stats());
            inbound.handle(state, now, limits);
            if let Some(error) = end.take_if(|_| is_last) {
                handle_end(state, now, &error);
            }
            wakers.append(&mut state.after.wakers);
            let (stats, is_open) = (state.session.stats(), state.session.is_open());
            Part { handled, is_last, stats, is_open, must_wait: state.is_overfull() }
        });
        // A consumer that is woken for each part sleeps again before the next one comes.
        if part.is_last || part.must_wait || parts % PARTS_OF_A_WAKE == 0 {
            wakers.drain(..).for_each(Waker::wake);
        }
        if part.is_last || part.must_wait {
            return part;
        }
    }
}

fn handle_end(state: &mut State, now: Time, error: &ReadError) {
    match error {
        ReadError::TooLarge { .. } | ReadError::Violation(_) => {
            state.session.handle_garbage(now, error.to_string());
        }
        _ => state.session.handle_closed(now),
    }
}
