//! The feed: asks at an interval, and after a failure when that makes sense again.
//!
//! **When.** After a success one interval after the last request began. After a failure no earlier
//! than the back-off says (twice as long each time, up to a cap, with jitter), no earlier than the
//! source asks for (`Retry-After`), and while the breaker is open not at all.
//!
//! **What.** The quotes of an answer, unchanged ones too: each is an observation of its own. A coin
//! that has none is left out, counted, and logged when the reason changes.

use super::breaker::{Breaker, Stand};
use super::client::Client;
use super::config::CoinGeckoConfig;
use super::errors::{Remedy, RequestFailure};
use super::quote::{Found, Quote, quotes};
use std::collections::BTreeMap;
use std::time::Duration;
use tallow_model::Symbol;
use tallow_model::error::Error;
use tallow_model::retry::{Backoff, BackoffSettings};
use tokio::time::Instant;

/// The totals of a feed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedTotals {
    /// Number of requests made.
    pub requests: u64,
    /// Number of requests that gave nothing.
    pub failures: u64,
    /// Number of quotes returned.
    pub quotes: u64,
    /// Coins without a usable quote, summed over all responses.
    pub left_out: u64,
}

/// A feed of quotes that polls CoinGecko.
#[derive(Debug)]
pub struct Feed {
    config: CoinGeckoConfig,
    client: Client,
    next: Instant,
    backoff: Backoff,
    breaker: Breaker,
    proven: bool,
    /// Coins without a usable quote in the newest response, and the reasons.
    left_out: BTreeMap<Symbol, String>,
    counts: FeedTotals,
}

impl Feed {
    /// Creates a feed whose first request is made at once. Needs a Tokio runtime with time.
    ///
    /// # Errors
    /// When a setting is invalid.
    pub fn try_new(config: CoinGeckoConfig) -> Result<Feed, Error> {
        let client = Client::try_new(&config)?;
        let breaker = Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_open_ms));
        Ok(Feed {
            backoff: backoff(&config),
            config,
            client,
            next: Instant::now(),
            breaker,
            proven: false,
            left_out: BTreeMap::new(),
            counts: FeedTotals::default(),
        })
    }

    /// Waits for the next response, however long that takes, and returns its quotes.
    ///
    /// Cancel safe: a request in flight is dropped, and the next call repeats it.
    ///
    /// # Errors
    /// When a further request can't help.
    pub async fn next(&mut self) -> Result<Vec<Quote>, Error> {
        loop {
            tokio::time::sleep_until(self.next).await;
            let asked = Instant::now();
            let answer = self.ask().await;
            self.counts.requests += 1;
            match answer {
                Ok(read) => {
                    self.succeed();
                    self.next = asked + Duration::from_millis(self.config.poll_interval_ms);
                    return Ok(self.sort(read));
                }
                Err(failure) => {
                    self.counts.failures += 1;
                    let wait = self.fail(failure)?;
                    self.next = Instant::now() + wait;
                }
            }
        }
    }

    /// Returns the totals so far.
    pub fn counts(&self) -> FeedTotals {
        self.counts
    }

    async fn ask(&self) -> Result<Vec<Found>, RequestFailure> {
        let answer = self.client.ask().await?;
        quotes(&answer.body, &self.config.coins, self.config.event_time, answer.observed)
    }

    fn succeed(&mut self) {
        let failures = self.breaker.failures();
        if failures > 0 {
            tracing::info!(failures, "CoinGecko answers again");
            self.breaker.succeed();
            self.backoff = backoff(&self.config);
        }
        self.proven = true;
    }

    /// Returns the wait after this failure.
    fn fail(&mut self, failure: RequestFailure) -> Result<Duration, Error> {
        let stop = match failure.remedy {
            Remedy::Wait => false,
            Remedy::Doubt => !self.proven,
            Remedy::Stop => true,
        };
        if stop {
            return Err(Error::Invalid(format!("ask CoinGecko: {failure}")));
        }
        let asked_for = failure.retry_after.unwrap_or_default();
        let mut wait = self.backoff.next_wait().max(asked_for);
        let was_open = self.breaker.is_open();
        let stand = self.breaker.fail();
        if let Stand::Open(open) = stand {
            wait = wait.max(open);
        }
        let (problem, wait_ms, failures) =
            (failure.problem, wait.as_millis() as u64, self.breaker.failures());
        match stand {
            Stand::Open(_) if !was_open => {
                tracing::warn!(
                    problem,
                    failures,
                    wait_ms,
                    "CoinGecko fails again and again, leaving it alone for a while"
                );
            }
            Stand::Closed if failures == 1 => {
                tracing::warn!(problem, wait_ms, "CoinGecko gives no quotes, waiting to ask again");
            }
            _ => tracing::debug!(problem, failures, wait_ms, "CoinGecko still gives no quotes"),
        }
        Ok(wait)
    }

    /// Returns the usable quotes; counts the coins without one, and logs when that changes.
    fn sort(&mut self, read: Vec<Found>) -> Vec<Quote> {
        let mut usable = Vec::with_capacity(read.len());
        for (symbol, result) in read {
            match result {
                Ok(quote) => {
                    usable.push(quote);
                    if self.left_out.remove(&symbol).is_some() {
                        tracing::info!(%symbol, "coin has quotes again");
                    }
                }
                Err(reason) => {
                    self.counts.left_out += 1;
                    if self.left_out.get(&symbol) != Some(&reason) {
                        tracing::warn!(%symbol, reason, "coin has no usable quote, it is left out");
                        self.left_out.insert(symbol, reason);
                    }
                }
            }
        }
        self.counts.quotes += usable.len() as u64;
        usable
    }
}

fn backoff(config: &CoinGeckoConfig) -> Backoff {
    Backoff::new(BackoffSettings {
        first: Duration::from_millis(config.backoff_first_ms),
        longest: Duration::from_millis(config.backoff_max_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::super::config::{Plan, TimeOf};
    use super::*;
    use tallow_model::error::Action;
    use tallow_model::secret::Secret;

    fn feed() -> Feed {
        let config = CoinGeckoConfig {
            base_url: "http://localhost:1".to_owned(),
            plan: Plan::None,
            api_key: Secret::default(),
            coins: vec!["bitcoin:BTC".parse().expect("a coin")],
            poll_interval_ms: 30_000,
            timeout_ms: 10_000,
            event_time: TimeOf::Observed,
            backoff_first_ms: 1_000,
            backoff_max_ms: 8_000,
            breaker_failures: 6,
            breaker_open_ms: 120_000,
        };
        Feed::try_new(config).expect("a feed")
    }

    fn failure(remedy: Remedy, retry_after_s: Option<u64>) -> RequestFailure {
        RequestFailure {
            problem: "status 500".to_owned(),
            remedy,
            retry_after: retry_after_s.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_grow_to_the_cap_then_the_breaker_opens_and_a_success_resets_both() {
        let mut feed = feed();
        let mut waits = |count| -> Vec<u64> {
            let wait =
                |feed: &mut Feed| feed.fail(failure(Remedy::Wait, None)).expect("a wait").as_millis() as u64;
            (0..count).map(|_| wait(&mut feed)).collect()
        };
        for (wait, whole) in waits(7).into_iter().zip([1_000, 2_000, 4_000, 8_000, 8_000]) {
            assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole}");
        }
        assert_eq!(waits(2), [120_000, 120_000]);
        feed.succeed();
        assert!(feed.fail(failure(Remedy::Wait, None)).expect("a wait") <= Duration::from_secs(1));
    }

    #[test]
    fn retry_after_is_heeded_where_it_is_longer() {
        let mut feed = feed();
        let mut wait = |seconds| feed.fail(failure(Remedy::Wait, Some(seconds))).expect("a wait");
        assert_eq!(wait(53), Duration::from_secs(53));
        assert!(wait(0) >= Duration::from_secs(1));
    }

    #[test]
    fn a_refused_key_stops_it_and_a_refused_request_only_if_none_has_succeeded() {
        let mut feed = feed();
        let error = feed.fail(failure(Remedy::Doubt, None)).expect_err("it stops");
        assert_eq!((error.action(), error.to_string().as_str()), (Action::Stop, "ask CoinGecko: status 500"));
        feed.succeed();
        feed.fail(failure(Remedy::Doubt, None)).expect("it waits");
        feed.fail(failure(Remedy::Stop, None)).expect_err("it stops");
    }
}
