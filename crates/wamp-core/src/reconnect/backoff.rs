//! The delay before the next attempt.

use std::fmt;
use std::time::Duration;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// Delays that double up to a limit, each drawn from once to twice its nominal length.
#[derive(Clone)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    nominal: Duration,
    seed: u64,
    drawn: u64,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, nominal: first, seed, drawn: 0 }
    }

    /// The next delay.
    pub(super) fn next_delay(&mut self) -> Duration {
        let nominal = self.nominal.min(self.longest);
        self.nominal = nominal.saturating_mul(2).min(self.longest);
        nominal.saturating_add(nominal.mul_f64(self.draw()))
    }

    /// The next delay is the first one again.
    pub(super) fn reset(&mut self) {
        self.nominal = self.first;
    }

    /// A number from 0 to 1, excluding 1.
    fn draw(&mut self) -> f64 {
        // A generator for each number: delays are rare, and this one has no state to be copied.
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.drawn.to_le_bytes());
        self.drawn += 1;
        let bits = ChaCha12Rng::from_seed(seed).next_u32();
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("nominal", &self.nominal).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(15);

    #[test]
    fn delays_double_from_250_ms_to_15_s_and_each_is_drawn_from_once_to_twice_that() {
        let mut backoff = Backoff::new(FIRST, LONGEST, 1);
        let nominal = [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000].map(Duration::from_millis);
        for nominal in nominal {
            let delay = backoff.next_delay();
            assert!((nominal..2 * nominal).contains(&delay), "{delay:?} for {nominal:?}");
        }
        backoff.reset();
        assert!((FIRST..2 * FIRST).contains(&backoff.next_delay()));
    }

    #[test]
    fn a_thousand_clients_come_back_evenly_spread() {
        let mut quarters = [0; 4];
        for seed in 0..1000 {
            let delay = Backoff::new(FIRST, LONGEST, seed).next_delay() - FIRST;
            quarters[(4 * delay.as_micros() / FIRST.as_micros()) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| (200..300).contains(count)), "{quarters:?}");
    }
}
