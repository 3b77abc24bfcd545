//! The waits between attempts: exponential, with a cap, and with jitter so that many callers do not
//! return at once.

use rand::RngExt;
use std::time::Duration;

/// The bounds of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// The wait after the first failure, before jitter.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for BackoffSettings {
    fn default() -> BackoffSettings {
        BackoffSettings { first: Duration::from_millis(50), longest: Duration::from_secs(10) }
    }
}

/// The waits of one series of failures. Each is twice the previous one up to the cap, times a
/// random factor between a half and one.
#[derive(Debug)]
pub struct Backoff {
    settings: BackoffSettings,
    next: Duration,
}

impl Backoff {
    /// Returns the start of a series.
    pub fn new(settings: BackoffSettings) -> Backoff {
        Backoff { settings, next: settings.first.min(settings.longest) }
    }

    /// Returns the wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.settings.longest);
        wait.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_keep_half_of_themselves() {
        let first = Duration::from_millis(10);
        let longest = Duration::from_millis(70);
        let mut backoff = Backoff::new(BackoffSettings { first, longest });
        for whole in [10, 20, 40, 70, 70, 70].map(Duration::from_millis) {
            let wait = backoff.next_wait();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
    }

    #[test]
    fn a_first_wait_beyond_the_cap_is_capped() {
        let settings = BackoffSettings { first: Duration::from_secs(9), longest: Duration::from_secs(1) };
        assert!(Backoff::new(settings).next_wait() <= Duration::from_secs(1));
    }
}
