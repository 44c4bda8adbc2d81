//! Detection of a router that is gone without closing the connection.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use wamp_core::session::Session;
use wamp_proto::Role;
use wamp_transport::keepalive::{self, Config, Seen, Verdict};
use wamp_transport::{Incoming, ReadHalf, Transport};

use crate::engine::shared::Engine;

/// The transport on which every peer answers a PING (RFC 6455, 5.5.2).
const WEBSOCKET: &str = "websocket";

/// Shorter times would cause a flood of PINGs.
const SHORTEST: Duration = Duration::from_millis(10);

/// The detection of a router that is gone without closing the connection, for example because the network or
/// the router's machine is down. The session then ends with [`Closed::Silent`](crate::Closed::Silent), and so
/// does everything that waits for the router.
///
/// By default a router that is silent for 30 s gets a PING, and the connection is closed 10 s later if nothing
/// arrives; bytes of an unfinished message count. A connection that accepts nothing for 30 s is closed as well.
///
/// Not every router survives a PING over RawSocket. A router gets one if it announces `_progress_credit`, as
/// ours does, or has sent a PING itself. For other routers the operating system probes the TCP connection
/// after the same times, which shows whether the router's machine is there (behaviour 94).
///
/// ```
/// # use std::time::Duration;
/// use wamp_client::Keepalive;
///
/// let connect = wamp_client::connect("ws://127.0.0.1:8080/ws")
///     .keepalive(Keepalive::default().silence(Duration::from_secs(5)).answer(Duration::from_secs(5)));
/// # drop(connect);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    pub(crate) silence: Duration,
    pub(crate) answer: Duration,
    pub(crate) write: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        let Config { silence, pong, .. } = Config::default();
        Self { silence, answer: pong, write: Duration::from_secs(30) }
    }
}

impl Keepalive {
    /// Sets the silence after which the router gets a PING; 30 s by default.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Sets the silence after the PING until the connection is closed; 10 s by default.
    pub fn answer(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }

    /// Sets for how long the connection may accept nothing while there is data to write; 30 s by default.
    pub fn write(mut self, write: Duration) -> Self {
        self.write = write;
        self
    }
}

impl From<Keepalive> for Config {
    fn from(keepalive: Keepalive) -> Self {
        Config { silence: keepalive.silence.max(SHORTEST), pong: keepalive.answer, ..Config::default() }
    }
}

/// The reader's record of the router's signs of life, from WELCOME on.
pub(crate) struct Watch {
    settings: Option<Keepalive>,
    /// Whether the transport has PINGs.
    can_ping: bool,
    /// Whether the router is known to answer a PING.
    asks: bool,
    running: Option<Running>,
}

struct Running {
    rule: keepalive::Keepalive<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    /// Creates it for a connection over this transport.
    pub(crate) fn new(settings: Option<Keepalive>, transport: &impl Transport) -> Self {
        Self { settings, can_ping: transport.pings(), asks: transport.name() == WEBSOCKET, running: None }
    }

    /// Starts the watch once the session is open.
    pub(crate) fn begin(&mut self, half: &impl ReadHalf, session: &Session) {
        let credit = session.router().get(Role::Dealer).and_then(|dealer| dealer.credit);
        self.asks |= credit.is_some();
        self.running = self.settings.map(|settings| {
            let mut rule = keepalive::Keepalive::new(settings, Instant::now(), half.received());
            rule.set_asks(self.can_ping && self.asks);
            let timer = Box::pin(sleep_until(rule.deadline()));
            Running { rule, timer }
        });
    }

    /// Records the result of a read.
    pub(crate) fn handle_read(&mut self, half: &impl ReadHalf, engine: &Engine, came: &[Incoming]) {
        let Some(Running { rule, .. }) = &mut self.running else { return };
        let has_message = came.iter().any(|item| !is_control(item));
        rule.handle_read(Instant::now(), bytes(half, engine), has_message);
        // A router that sends a PING knows them.
        if self.can_ping && !self.asks && came.iter().any(is_control) {
            self.asks = true;
            rule.set_asks(true);
        }
    }

    /// Records that the connection was not read from until now.
    pub(crate) fn handle_pause(&mut self) {
        if let Some(Running { rule, .. }) = &mut self.running {
            rule.handle_pause(Instant::now());
        }
    }

    /// Waits until the next action.
    pub(crate) async fn deadline(&mut self) {
        match &mut self.running {
            Some(running) => running.timer.as_mut().await,
            None => pending().await,
        }
    }

    /// Sends a PING if one is due. Returns the reason if the connection must be closed.
    pub(crate) fn handle_timeout(&mut self, half: &impl ReadHalf, engine: &Engine) -> Option<String> {
        let (Some(Running { rule, timer }), Some(settings)) = (&mut self.running, self.settings) else {
            return None;
        };
        // Bytes that a connection accepts after it had accepted none are a sign of life too, so a PING may be
        // queued behind other messages.
        let seen = Seen { received: bytes(half, engine), unfinished: half.unfinished(), ..Seen::default() };
        let verdict = rule.handle_timeout(Instant::now(), seen);
        timer.as_mut().reset(rule.deadline());
        match verdict {
            Verdict::Wait => None,
            Verdict::Ping => {
                engine.ping();
                None
            }
            Verdict::GiveUp(why) => {
                let seconds = (settings.silence + settings.answer).as_secs_f64();
                Some(format!("{why}, and nothing else came for {seconds} s"))
            }
        }
    }
}

/// Returns the number of bytes that have arrived, and of those known to be accepted.
fn bytes(half: &impl ReadHalf, engine: &Engine) -> u64 {
    half.received() + engine.moved()
}

fn is_control(item: &Incoming) -> bool {
    matches!(item, Incoming::Ping(_) | Incoming::Pong(_))
}
