//! The times for which the realm's lock is waited for and held during a measurement: only with the feature
//! `lock-times`.

#[cfg(feature = "lock-times")]
pub(crate) use times::Locks;

use crate::Failed;
use crate::target::Target;

/// The figures of the lock for a row of the table.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// Measures the lock from its start to its end.
pub(crate) struct LockMeter {
    #[cfg(feature = "lock-times")]
    before: Option<Locks>,
}

#[cfg(feature = "lock-times")]
impl LockMeter {
    pub(crate) async fn start(target: &mut Target) -> Result<Self, Failed> {
        Ok(Self { before: target.locks().await? })
    }

    /// The figures for this many messages; none for a router that does not report them.
    pub(crate) async fn end(self, target: &mut Target, messages: f64) -> Result<Figures, Failed> {
        let locks = target.locks().await?.zip(self.before);
        Ok(locks.map(|(now, before)| now.figures(&before, messages)).unwrap_or_default())
    }
}

#[cfg(not(feature = "lock-times"))]
impl LockMeter {
    pub(crate) async fn start(_: &mut Target) -> Result<Self, Failed> {
        Ok(Self {})
    }

    pub(crate) async fn end(self, _: &mut Target, _: f64) -> Result<Figures, Failed> {
        Ok(Figures::new())
    }
}

#[cfg(feature = "lock-times")]
mod times {
    use serde::Deserialize;

    use super::Figures;

    /// The router's figures of its realm's lock, since its start.
    #[derive(Clone, Debug, Deserialize)]
    pub(crate) struct Locks {
        waited: Times,
        held: Times,
    }

    #[derive(Clone, Debug, Deserialize)]
    struct Times {
        /// The number of times below 1, 2, 4, 8, … nanoseconds.
        counts: Vec<u64>,
        nanos: u64,
    }

    impl Times {
        fn since(&self, before: &Self) -> Self {
            let counts = self.counts.iter().zip(&before.counts).map(|(now, then)| now - then);
            Self { counts: counts.collect(), nanos: self.nanos - before.nanos }
        }

        /// The upper bound of this part of the times, in microseconds.
        fn below(&self, part: f64) -> f64 {
            let (mut seen, all) = (0, self.counts.iter().sum::<u64>());
            for (bucket, count) in self.counts.iter().enumerate() {
                seen += count;
                if seen as f64 >= part * all as f64 {
                    return 2f64.powi(bucket as i32) / 1e3;
                }
            }
            0.0
        }
    }

    impl Locks {
        /// The cells in the row of a figure, for this many messages.
        pub(crate) fn figures(&self, before: &Self, messages: f64) -> Figures {
            let (waited, held) = (self.waited.since(&before.waited), self.held.since(&before.held));
            let times = held.counts.iter().sum::<u64>() as f64;
            let nanos = held.nanos as f64 / messages;
            vec![
                ("messages for each time the lock is taken", messages / times),
                ("lock held for each message, ns", nanos),
                ("a realm's limit, messages a second", 1e9 / nanos),
                ("held p50 below, us", held.below(0.5)),
                ("p99", held.below(0.99)),
                ("longest", held.below(1.0)),
                ("waited p50 below, us", waited.below(0.5)),
                ("p99 of it", waited.below(0.99)),
                ("longest of it", waited.below(1.0)),
            ]
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn figures_are_of_the_time_between() {
            let locks = |counts: [u64; 4], nanos| {
                let times = Times { counts: counts.to_vec(), nanos };
                Locks { waited: times.clone(), held: times }
            };
            let figures = locks([5, 0, 9, 1], 4000).figures(&locks([5, 0, 0, 0], 1000), 20.0);
            let figure = |name| figures.iter().find(|figure| figure.0 == name).unwrap().1;
            assert_eq!(figure("messages for each time the lock is taken"), 2.0);
            assert_eq!(figure("lock held for each message, ns"), 150.0);
            assert_eq!((figure("held p50 below, us"), figure("longest")), (0.004, 0.008));
        }
    }
}
