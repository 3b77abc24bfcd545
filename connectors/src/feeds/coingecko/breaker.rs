//! A circuit breaker: after a number of failures in a row it opens, and the feed pauses; then one
//! trial decides.
//!
//! It only counts and returns waits: the feed has one request at a time, so there is nobody to turn
//! away.

use std::time::Duration;

/// A count of failures in a row, and its consequence.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Failures in a row after which it opens.
    threshold: u32,
    /// Time for which it stays open.
    open: Duration,
    failures: u32,
}

/// The state of the breaker after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Continue with requests.
    Closed,
    /// Pause for this time; the next request is a trial.
    Open(Duration),
}

impl Breaker {
    /// Creates a closed breaker.
    pub(super) fn new(threshold: u32, open: Duration) -> Breaker {
        Breaker { threshold, open, failures: 0 }
    }

    /// Records a failed request. A failed trial opens the breaker again at once.
    pub(super) fn fail(&mut self) -> Stand {
        self.failures = self.failures.saturating_add(1);
        if self.is_open() { Stand::Open(self.open) } else { Stand::Closed }
    }

    /// Returns whether the breaker is open, or waits for its trial.
    pub(super) fn is_open(&self) -> bool {
        self.failures >= self.threshold
    }

    /// Records a successful request: the breaker closes and counts from zero.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Returns the number of failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(60);

    #[test]
    fn it_opens_after_the_failures_in_a_row_and_a_failed_trial_opens_it_again() {
        let mut breaker = Breaker::new(3, OPEN);
        let stands: Vec<Stand> = (0..5).map(|_| breaker.fail()).collect();
        let open = Stand::Open(OPEN);
        assert_eq!(stands, [Stand::Closed, Stand::Closed, open, open, open]);
        assert_eq!((breaker.failures(), breaker.is_open()), (5, true));
    }

    #[test]
    fn a_success_closes_it_and_starts_the_count_anew() {
        let mut breaker = Breaker::new(2, OPEN);
        assert_eq!((breaker.fail(), breaker.fail()), (Stand::Closed, Stand::Open(OPEN)));
        breaker.succeed();
        assert_eq!((breaker.failures(), breaker.fail()), (0, Stand::Closed));
    }
}
