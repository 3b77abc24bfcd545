//! `tallow serve`: the API and the dashboard out of PostgreSQL and Redis, which any number of processes can do.
//!
//! What the pipeline says of itself comes from the processes that run it. Nothing here has state: one that is stopped and
//! started again has lost nothing but its connections.

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

/// How often the signal to stop is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How many updates are kept for a subscriber that is behind.
const CACHED_UPDATES: usize = 16_384;

/// Serves until `stop` is set.
///
/// # Errors
/// When it can't start, or the listener fails for good. A store that can't be reached is no error: it is said, and what
/// needs it is answered 503 until it is back.
pub(crate) fn run(config: &Config, stop: &AtomicBool) -> anyhow::Result<()> {
    let tls = config.tls()?;
    let listener = listen(config.server.listen)?;
    let url = config.url(listener.local_addr().context("read the address of the listener")?);
    let history = PostgresHistory::open(&config.postgres)?;
    let settings = open_files::provide(config.serving());
    let mut web = Web::start(listener, config.server.threads(), || {
        let cache = RedisCache::start(&config.redis, CACHED_UPDATES)?;
        let pipeline = RemotePipeline::start(&config.server.pipelines)?;
        let app = App::new(Arc::new(cache), Arc::new(history), Arc::new(pipeline), settings);
        Ok(app.with_tls(tls).with_allowed_lateness_ms(config.dataflow.allowed_lateness_ms))
    })?;
    tracing::info!(url, "listening");
    while !stop.load(Ordering::Relaxed) && !web.has_stopped() {
        std::thread::sleep(LOOK);
    }
    web.stop();
    web.join()?;
    tracing::info!("stopped");
    Ok(())
}
