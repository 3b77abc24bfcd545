//! The state that all requests of a running server share.

use crate::api::export::Exports;
use crate::app::App;
use crate::http::rate_limit::RateLimit;
use crate::http::timings::Timings;
use crate::websocket::Clients;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// The app, and the limits and figures of the process that serves it.
pub(crate) struct Shared {
    pub(crate) app: Arc<App>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) exports: Exports,
    /// One permit for each request that may still be answered at the same time.
    pub(crate) requests: Arc<Semaphore>,
    /// The rate of each address; `None` without a limit.
    pub(crate) rate_limit: Option<Arc<RateLimit>>,
    pub(crate) started: Instant,
    pub(crate) timings: Arc<Timings>,
}

impl Shared {
    /// The state of a server that starts now.
    pub(crate) fn new(app: Arc<App>, clients: Arc<Clients>) -> Shared {
        Shared {
            exports: Exports::new(&app.settings),
            requests: permits(app.settings.max_requests),
            rate_limit: RateLimit::new(&app.settings).map(Arc::new),
            started: Instant::now(),
            timings: Arc::default(),
            app,
            clients,
        }
    }
}

/// A semaphore of `most` permits; 0 stands for no limit.
fn permits(most: usize) -> Arc<Semaphore> {
    let permits = if most == 0 { Semaphore::MAX_PERMITS } else { most.min(Semaphore::MAX_PERMITS) };
    Arc::new(Semaphore::new(permits))
}
