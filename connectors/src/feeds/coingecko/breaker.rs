//! A circuit breaker: after so many failures in a row it opens, and nobody asks for a while; then one trial decides.
//!
//! It only counts and says how long to wait: the feed that asks has one request at a time, so there is nobody to be
//! turned away.

use std::time::Duration;

/// What failures in a row mean.
#[derive(Debug)]
pub(super) struct Breaker {
    /// After how many it opens.
    threshold: u32,
    /// For how long.
    open: Duration,
    failures: u32,
}

/// How the breaker stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Ask on.
    Closed,
    /// Don't ask for so long; the request after that is a trial.
    Open(Duration),
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(threshold: u32, open: Duration) -> Breaker {
        Breaker { threshold, open, failures: 0 }
    }

    /// A request has failed. A trial that fails opens it again at once.
    pub(super) fn fail(&mut self) -> Stand {
        self.failures = self.failures.saturating_add(1);
        if self.is_open() { Stand::Open(self.open) } else { Stand::Closed }
    }

    /// Whether it is open, or has been and waits for its trial.
    pub(super) fn is_open(&self) -> bool {
        self.failures >= self.threshold
    }

    /// A request has succeeded: it closes, and counts from the beginning.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// How many have failed in a row.
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
