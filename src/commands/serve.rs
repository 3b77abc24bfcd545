//! `tallow serve`: the API and the dashboard from PostgreSQL and Redis, in any number of processes.
//!
//! The status of the pipeline comes from the processes that run it. A server has no state: a
//! restart loses nothing but the connections.

use crate::config::Config;
use crate::open_files;
use crate::web::{Web, listen};
use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_connectors::caches::redis::RedisCache;
use tallow_connectors::stores::postgres::PostgresHistory;
use tallow_runtime::remote::RemotePipeline;
use tallow_server::App;

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The number of updates that are kept for a subscriber that is behind.
const CACHED_UPDATES: usize = 16_384;

/// Serves until `stop` is set.
///
/// # Errors
/// If the server can't start, or the listener fails for good. An unreachable store is no error: it
/// is logged, and requests that need the store get a 503 until it is back.
pub(crate) fn run(config: &Config, stop: &AtomicBool) -> anyhow::Result<()> {
    let tls = config.server.tls()?;
    let listener = listen(config.server.listen)?;
    let url = config.server.url(listener.local_addr().context("read the address of the listener")?);
    let history = PostgresHistory::open(&config.postgres)?;
    let settings = open_files::provide(config.server.serving.clone());
    let mut web = Web::start(listener, config.server.threads(), || {
        let cache = RedisCache::start(&config.redis, CACHED_UPDATES)?;
        let pipeline = RemotePipeline::start(&config.server.pipelines)?;
        let app = App::new(Arc::new(cache), Arc::new(history), Arc::new(pipeline), settings);
        Ok(app.with_tls(tls).with_allowed_lateness_ms(config.dataflow.graph.allowed_lateness_ms))
    })?;
    tracing::info!(url, "listening");
    while !stop.load(Ordering::Relaxed) && !web.has_stopped() {
        std::thread::sleep(POLL_INTERVAL);
    }
    web.stop();
    web.join()?;
    tracing::info!("stopped");
    Ok(())
}
