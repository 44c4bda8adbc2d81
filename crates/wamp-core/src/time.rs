//! Time as the machines know it.

use std::ops::Add;
use std::time::Duration;

/// A moment: how long after an origin that the driver chooses, and keeps.
///
/// It is a type of its own since `std::time::Instant` cannot be made without a clock. A driver takes
/// `Time::after(start.elapsed())`, a test any number it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The driver's origin.
    pub const ORIGIN: Time = Time(Duration::ZERO);

    /// So long after the origin.
    pub const fn after(since_origin: Duration) -> Self {
        Time(since_origin)
    }

    /// How long after the origin this is.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; nothing if it is not after it.
    pub const fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(duration))
    }
}
