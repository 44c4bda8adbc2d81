//! The cost of an attack for a bystander, compared with a control: the same attack on another router, on the
//! same processors.

use std::any::Any;
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bystander::{Bystander, Waits};
use crate::case::{Outcome, is_long};
use crate::process::{Router, be_nice};
use crate::wire::SENT;

/// The number of attackers at a time.
const ATTACKERS: usize = 4;

/// The greatest ratios to the control of the bystander's p99 and of its longest wait.
const P99: u32 = 5;
const LONGEST: u32 = 10;

/// The least values of the control: the scheduler alone causes such waits.
const LEAST_P99: Duration = Duration::from_millis(4);
const LEAST_LONGEST: Duration = Duration::from_millis(10);

/// The number of attempts of which one must pass, since other programs run on the machine too;
/// `HOSTILE_ATTEMPTS` overrides it.
const ATTEMPTS: usize = 3;

/// An attack with fewer bytes counts as failed.
const LEAST_SENT: u64 = 1000;

/// Resources of attackers during the attack.
pub type Keep = Box<dyn Any>;

/// An attack that goes on for a while.
pub struct Flood {
    /// Prepares the router of this port, before the attack: subscribers, callees.
    pub scene: fn(u16) -> io::Result<Keep>,
    /// Attacks the router of this port until then. It is called again if it ends earlier. The third argument is
    /// the number of the attacker.
    pub attack: fn(u16, Instant, usize) -> io::Result<()>,
    pub attackers: usize,
    /// The number of innocent pairs.
    pub pairs: usize,
    /// The duration of the attack.
    pub time: Duration,
    /// The configuration file of the routers, if they do not have the defaults.
    pub configuration: Option<&'static str>,
    /// The greatest ratio of the bystander's p99 to that of the control.
    pub p99: u32,
}

impl Flood {
    pub fn new(attack: fn(u16, Instant, usize) -> io::Result<()>) -> Self {
        let time = Duration::from_millis(if is_long() { 6000 } else { 700 });
        Self {
            scene: |_| Ok(Box::new(())),
            attack,
            attackers: ATTACKERS,
            pairs: 1,
            time,
            configuration: None,
            p99: P99,
        }
    }

    pub fn scene(mut self, scene: fn(u16) -> io::Result<Keep>) -> Self {
        self.scene = scene;
        self
    }

    /// One attacker, and time enough for one attack.
    pub fn once(mut self) -> Self {
        self.attackers = 1;
        self
    }

    /// On routers with this configuration file.
    pub fn configured(mut self, text: &'static str) -> Self {
        self.configuration = Some(text);
        self
    }

    /// The p99 of the bystander may be this many times that of the control.
    pub fn within(mut self, ratio: u32) -> Self {
        self.p99 = ratio;
        self
    }

    /// Beside so many innocent pairs.
    pub fn beside(mut self, pairs: usize) -> Self {
        self.pairs = pairs;
        self
    }

    pub fn run(self) -> Outcome {
        let mut outcome = Err(String::new());
        let attempts = std::env::var("HOSTILE_ATTEMPTS").ok().and_then(|attempts| attempts.parse().ok());
        for _ in 0..attempts.unwrap_or(ATTEMPTS) {
            let control = self.measure(true)?;
            let waits = self.measure(false)?;
            outcome = judge(control, waits, self.p99);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// The waits of a bystander of the attacked router, or of another one.
    fn measure(&self, control: bool) -> Result<Waits, String> {
        let attempt = || -> io::Result<(Router, Option<Router>, Keep)> {
            let start = || self.configuration.map_or_else(Router::start, Router::configured);
            let attacked = start()?;
            let other = if control { Some(start()?) } else { None };
            let keep = (self.scene)(attacked.port)?;
            Ok((attacked, other, keep))
        };
        let (attacked, other, keep) = attempt().map_err(|error| format!("no scene: {error}"))?;
        let bystander = Bystander::start(other.as_ref().unwrap_or(&attacked).url(), self.pairs);
        let sent = SENT.load(Ordering::Relaxed);
        let until = Instant::now() + self.time;
        std::thread::scope(|scope| {
            for attacker in 0..self.attackers {
                let port = attacked.port;
                scope.spawn(move || {
                    be_nice();
                    while Instant::now() < until {
                        if (self.attack)(port, until, attacker).is_err() {
                            std::thread::sleep(Duration::from_millis(10));
                        }
                    }
                });
            }
        });
        std::thread::sleep(Duration::from_millis(100));
        let sent = SENT.load(Ordering::Relaxed) - sent;
        let waits = bystander.finish();
        drop((keep, attacked, other));
        match sent {
            0..LEAST_SENT => Err(format!("the attackers could send no more than {sent} bytes")),
            _ => waits,
        }
    }
}

fn judge(control: Waits, waits: Waits, ratio: u32) -> Outcome {
    let text = format!("{waits}; control {control}");
    let p99 = control.p99.max(LEAST_P99) * ratio;
    let longest = control.longest.max(LEAST_LONGEST) * LONGEST;
    match (waits.p99 <= p99, waits.longest <= longest) {
        (true, true) => Ok(text),
        (false, _) => Err(format!("the bystander's p99 is above {p99:?}: {text}")),
        (_, false) => Err(format!("the bystander's longest wait is above {longest:?}: {text}")),
    }
}
