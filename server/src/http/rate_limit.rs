//! The rate limit: a token bucket for each address, which bounds its requests in the long run and
//! at once.
//!
//! A full bucket is forgotten, as a new bucket would be the same. So the state is that of the
//! addresses with a request in the time that it takes to fill a bucket, plus [`CLEANUP`].

use crate::http::headers;
use crate::http::per_address::Address;
use crate::http::problem::Problem;
use crate::http::response::{Response, set_header};
use crate::settings::ServerSettings;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The time between two clean-ups of full buckets.
const CLEANUP: Duration = Duration::from_secs(10);

/// The time since the start, on tokio's clock, which tests can stop.
#[derive(Clone)]
struct Since(Instant);

impl Clock for Since {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Limiter = RateLimiter<Address, DashMapStateStore<Address>, Since, StateInformationMiddleware>;

/// The buckets of all addresses.
pub(crate) struct RateLimit {
    limiter: Limiter,
    clock: Since,
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

/// The state of the bucket of an address after a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// The requests of a full bucket.
    limit: u32,
    /// The requests that are left.
    remaining: u32,
    /// Seconds until the bucket is full, without further requests.
    reset: u32,
    /// Seconds until the next request is allowed; `None` if this request is.
    pub(crate) retry_after: Option<u64>,
}

impl RateLimit {
    /// Returns the limit of the settings; `None` if they have none.
    pub(crate) fn new(settings: &ServerSettings) -> Option<RateLimit> {
        let per_second = NonZeroU32::new(settings.rate_per_second)?;
        let burst = NonZeroU32::new(settings.rate_burst).unwrap_or(per_second);
        let quota = governor::Quota::per_second(per_second).allow_burst(burst);
        let clock = Since(Instant::now());
        let limiter = Limiter::new(quota, DashMapStateStore::default(), clock.clone());
        Some(RateLimit { limiter, clock, per_second, burst })
    }

    /// Takes a request out of the bucket of the address, or says how long to wait for one.
    pub(crate) fn take(&self, address: Address) -> Allowance {
        let (remaining, retry_after) = match self.limiter.check_key(&address) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                (0, Some(wait.as_millis().div_ceil(1000).max(1) as u64))
            }
        };
        let missing = self.burst.get().saturating_sub(remaining);
        let reset = missing.div_ceil(self.per_second.get());
        Allowance { limit: self.burst.get(), remaining, reset, retry_after }
    }

    /// Forgets full buckets from time to time, until the server stops.
    pub(crate) async fn clean_up(&self, stopping: CancellationToken) {
        let forgetting = async {
            loop {
                tokio::time::sleep(CLEANUP).await;
                self.limiter.retain_recent();
                self.limiter.shrink_to_fit();
            }
        };
        stopping.run_until_cancelled(forgetting).await;
    }
}

impl Allowance {
    /// Returns an error if the request exceeds the limit.
    ///
    /// # Errors
    /// If the bucket was empty.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let Some(seconds) = self.retry_after else { return Ok(()) };
        let detail = format!("more requests from this address than it may make; ask again in {seconds} s");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Err(problem.with(RETRY_AFTER, seconds))
    }

    /// Adds the state to a response, as the three headers that clients know. The single header of
    /// the newer IETF drafts is not settled yet.
    pub(crate) fn show(&self, response: &mut Response) {
        set_header(response, headers::RATE_LIMIT, self.limit);
        set_header(response, headers::RATE_REMAINING, self.remaining);
        set_header(response, headers::RATE_RESET, self.reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn rate(rate_per_second: u32, rate_burst: u32) -> RateLimit {
        let settings = ServerSettings { rate_per_second, rate_burst, ..Default::default() };
        RateLimit::new(&settings).expect("a rate")
    }

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        assert!(RateLimit::new(&ServerSettings::default()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills_again() {
        let rate = rate(2, 4);
        let here = address("192.0.2.1");
        let left = |remaining, reset, retry_after| Allowance { limit: 4, remaining, reset, retry_after };
        assert_eq!(rate.take(here), left(3, 1, None));
        assert_eq!(rate.take(here), left(2, 1, None));
        assert_eq!(rate.take(here), left(1, 2, None));
        assert_eq!(rate.take(here), left(0, 2, None));
        assert_eq!(rate.take(here), left(0, 2, Some(1)));
        assert_eq!(rate.take(address("192.0.2.2")), left(3, 1, None), "another has a bucket of its own");
        tokio::time::advance(Duration::from_millis(499)).await;
        assert_eq!(rate.take(here), left(0, 2, Some(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(rate.take(here), left(0, 2, None));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(rate.take(here), left(3, 1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_burst_is_that_of_a_second_if_none_is_set() {
        let rate = rate(3, 0);
        let taken = (0..5).filter(|_| rate.take(address("2001:db8::1")).retry_after.is_none()).count();
        assert_eq!(taken, 3);
        assert!(rate.take(address("2001:db8::2")).retry_after.is_some(), "the same network");
    }

    #[tokio::test(start_paused = true)]
    async fn full_buckets_are_forgotten_and_the_task_ends_with_the_server() {
        let rate = rate(1, 60);
        let stopping = CancellationToken::new();
        let watch = async {
            let start = Instant::now();
            let at = |seconds| tokio::time::sleep_until(start + Duration::from_secs(seconds));
            rate.take(address("192.0.2.1"));
            for _ in 0..60 {
                rate.take(address("192.0.2.2"));
            }
            assert_eq!(rate.limiter.len(), 2);
            at(11).await;
            assert_eq!(rate.limiter.len(), 1, "the emptier bucket is still needed");
            at(71).await;
            assert_eq!(rate.limiter.len(), 0);
            stopping.cancel();
        };
        tokio::join!(rate.clean_up(stopping.clone()), watch);
    }
}
