//! The time of the machines.

use std::ops::Add;
use std::time::Duration;

/// A point in time, as a duration since an origin that the driver chooses.
///
/// `std::time::Instant` cannot be created without a clock, so the machines have a type of their own. A driver uses
/// `Time::after(start.elapsed())`, a test any duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The driver's origin.
    pub const ORIGIN: Time = Time(Duration::ZERO);

    /// The time this long after the origin.
    pub const fn after(since_origin: Duration) -> Self {
        Time(since_origin)
    }

    /// The duration since the origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The duration since `earlier`; zero if this is not later.
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
