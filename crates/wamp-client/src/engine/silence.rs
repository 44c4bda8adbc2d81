//! How a session finds out that its router is gone without a word.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use wamp_core::session::Session;
use wamp_proto::Role;
use wamp_transport::keepalive::{self, Config, Seen, Verdict};
use wamp_transport::{Incoming, ReadHalf};

use crate::engine::shared::Engine;

/// The transport over which each peer answers a PING (RFC 6455, 5.5.2).
const WEBSOCKET: &str = "websocket";

/// No times are shorter than this, which would be a flood of PINGs.
const SHORTEST: Duration = Duration::from_millis(10);

/// How a session finds out that its router is gone without a word: because a cable was pulled, say, or the router's
/// machine has stopped. The session then ends with [`Closed::Silent`](crate::Closed::Silent), and everything that waits
/// for the router with it.
///
/// By default a router that is silent for 30 s is sent a PING, and given up when nothing comes for 10 s more; bytes of a
/// message that is not complete yet are something. A router that accepts nothing of what it is sent is given up after
/// 30 s.
///
/// Not every router survives a PING over RawSocket. It is sent to one that announces `_progress_credit`, as ours does,
/// or has sent a PING itself. For others the operating system probes a TCP connection after the same times, which shows
/// whether the router's machine is there.
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
    /// How long the router may be silent before it is sent a PING; 30 s by default.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// How long after the PING the router may be silent; 10 s by default.
    pub fn answer(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }

    /// How long the connection may accept nothing of what is to be written; 30 s by default.
    pub fn write(mut self, write: Duration) -> Self {
        self.write = write;
        self
    }
}

impl From<Keepalive> for Config {
    fn from(keepalive: Keepalive) -> Self {
        let mut config = Config::default();
        (config.silence, config.pong) = (keepalive.silence.max(SHORTEST), keepalive.answer);
        config
    }
}

/// The reader's watch over the router's signs of life, from WELCOME on.
pub(crate) struct Watch {
    settings: Option<Keepalive>,
    /// The router is known to answer a PING.
    asks: bool,
    running: Option<Running>,
}

struct Running {
    rule: keepalive::Keepalive<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    /// For a connection over this transport.
    pub(crate) fn new(settings: Option<Keepalive>, transport: &str) -> Self {
        Self { settings, asks: transport == WEBSOCKET, running: None }
    }

    /// The session is open.
    pub(crate) fn begin(&mut self, half: &impl ReadHalf, session: &Session) {
        let credit = session.router().get(Role::Dealer).and_then(|dealer| dealer.credit);
        self.asks |= credit.is_some();
        self.running = self.settings.map(|settings| {
            let mut rule = keepalive::Keepalive::new(settings, Instant::now(), half.received());
            rule.set_asks(self.asks);
            let timer = Box::pin(sleep_until(rule.deadline()));
            Running { rule, timer }
        });
    }

    /// A read has brought something.
    pub(crate) fn handle_read(&mut self, half: &impl ReadHalf, engine: &Engine, came: &[Incoming]) {
        let Some(Running { rule, .. }) = &mut self.running else { return };
        let has_message = came.iter().any(|item| !is_control(item));
        rule.handle_read(Instant::now(), bytes(half, engine), has_message);
        // A router that sends one knows them.
        if !self.asks && came.iter().any(is_control) {
            self.asks = true;
            rule.set_asks(true);
        }
    }

    /// Nothing was read until now.
    pub(crate) fn handle_pause(&mut self) {
        if let Some(Running { rule, .. }) = &mut self.running {
            rule.handle_pause(Instant::now());
        }
    }

    /// Waits until something is to be done.
    pub(crate) async fn deadline(&mut self) {
        match &mut self.running {
            Some(running) => running.timer.as_mut().await,
            None => pending().await,
        }
    }

    /// Sends a PING if it is time for that. Says why, if the router is to be given up.
    pub(crate) fn handle_timeout(&mut self, half: &impl ReadHalf, engine: &Engine) -> Option<String> {
        let (Some(Running { rule, timer }), Some(settings)) = (&mut self.running, self.settings) else {
            return None;
        };
        // Bytes that a connection accepts after it has accepted none are a sign of life, too. So a PING may be sent
        // behind others.
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

/// The bytes that have come, and those that have been seen to leave.
fn bytes(half: &impl ReadHalf, engine: &Engine) -> u64 {
    half.received() + engine.moved()
}

fn is_control(item: &Incoming) -> bool {
    matches!(item, Incoming::Ping(_) | Incoming::Pong(_))
}
