//! `tallow up`: everything in one process. A simulated market writes a log, and the dataflow reads
//! that log. Settled candles and alerts go to the embedded store, and with the open candles to the
//! cache. The server reads both.
//!
//! ```text
//! market ─► journal ─► log ─► dataflow ─► outlet ─┬─► store ─┐
//! (a thread)                  (its threads)       └─► cache ─┴─► server
//! ```
//!
//! A start resumes from the newest checkpoint in the data folder, or replays the log from its
//! beginning: the store gets the same rows again and stays as it is.

mod feed;
mod graph;
mod journal;
mod market;
mod progress_log;
mod stop;

use crate::cli::UpFlags;
use crate::config::Config;
use crate::open_files;
use crate::web::{self, Web, listen};
use anyhow::{Context, anyhow, bail};
use feed::Feed;
use journal::Journal;
use progress_log::ProgressLog;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stop::{Stopped, Stopper};
use tallow_connectors::caches::memory::MemoryCache;
use tallow_connectors::feeds::simulator::PRODUCER;
use tallow_connectors::logs::filelog::{FileLog, FileLogConfig, FileLogWriter};
use tallow_connectors::stores::sqlite::{SqliteHistory, SqliteSink};
use tallow_model::Error;
use tallow_model::clock::SystemClock;
use tallow_model::error::chain;
use tallow_model::{Clock, EventTime};
use tallow_runtime::checkpoint::CheckpointConfig;
use tallow_runtime::cluster::Cluster;
use tallow_runtime::pipeline::{
    Checkpoints, Destinations, FoundCheckpoint, Graph, StatusBoard, StatusSettings, StoreOutput,
};
use tallow_runtime::sinks::{SinkRunner, SinkSettings};
use tallow_server::{App, Tls};

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The number of updates that the cache keeps for a subscriber that is behind.
const CACHED_UPDATES: usize = 16_384;
/// The time that a stop waits for the store. Changes that are not stored by then are read again
/// from the log at the next start.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// The time that a stop waits for the checkpoint under way.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the pipeline until `stop` is set.
///
/// # Errors
/// If the pipeline can't start, or a part of it fails for good. An address that can't be listened
/// on is reported before anything is written.
pub(crate) fn run(config: &Config, flags: &UpFlags, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let started = Instant::now();
    let tls = config.server.tls()?;
    let listener = listen(config.server.listen)?;
    let url = config.server.url(listener.local_addr().context("read the address of the listener")?);
    let log = open_log(config)?;
    let mut up = Up::start(config, flags, listener, tls, log)?;
    tracing::info!(url, "listening");
    let outcome = up.watch(&stop, started);
    if let Err(failure) = &outcome {
        let failure = format!("{failure:#}");
        tracing::error!(failure, "stopping because of a failure");
        up.board.fail(failure);
    }
    let stopped = up.stop();
    tracing::info!("stopped");
    outcome.and(stopped)
}

/// Creates the data folder if it is missing, and opens the log in it. The log is locked: a second
/// process gets an error.
fn open_log(config: &Config) -> anyhow::Result<FileLogWriter> {
    let data = &config.up.data;
    let keep = || format!("keep data in {}", data.display());
    if data.exists() && !data.is_dir() {
        bail!("{}: it is not a folder", keep());
    }
    std::fs::create_dir_all(data).with_context(keep)?;
    let settings = FileLogConfig {
        folder: data.join("log"),
        partitions: config.log.partitions,
        segment_bytes: config.log.segment_bytes,
        fsync_interval_ms: config.log.fsync_interval_ms,
    };
    FileLogWriter::open(&settings).map_err(anyhow::Error::from)
}

/// The running pipeline.
struct Up {
    config: Config,
    board: Arc<StatusBoard>,
    log: FileLog,
    /// The offset from which each partition is read.
    starts: BTreeMap<u32, u64>,
    checkpoints: Checkpoints,
    /// The partitions that get ticks.
    used: BTreeSet<u32>,
    store: SinkRunner,
    cache: Arc<MemoryCache>,
    feed: Option<JoinHandle<Result<(), Error>>>,
    stopper: Stopper,
    /// Set once the dataflow may read the log.
    primed: Arc<AtomicBool>,
    graph: Option<Graph>,
    web: Option<Web>,
    ready: bool,
}

impl Up {
    fn start(
        config: &Config,
        flags: &UpFlags,
        listener: std::net::TcpListener,
        tls: Option<Tls>,
        log: FileLogWriter,
    ) -> anyhow::Result<Up> {
        let data: &Path = &config.up.data;
        let file = data.join("tallow.db");
        let workers = config.dataflow.workers;
        let past = find_checkpoint(config, flags)?;
        let reader = log.log();
        let ends = (0..reader.partitions())
            .map(|partition| reader.end_offset(partition).map_err(anyhow::Error::from));
        let starts = past.starts(&ends.collect::<anyhow::Result<Vec<_>>>()?)?;
        let checkpoints = past.begin(&config.checkpoint, &alone(workers))?;
        let sink = SqliteSink::open(&file, workers)?;
        let history = SqliteHistory::open(&file)?;
        let (market, from) = market::open(&config.up, &log, SystemClock.now_ms())?;
        announce(config, from);

        let used: BTreeSet<u32> = config.up.symbols.iter().map(|it| log.partition_of(*it)).collect();
        let settings = SinkSettings { max_changes: config.store.queue_changes, ..SinkSettings::default() };
        let store = SinkRunner::start(Box::new(sink), settings)?;
        let written = Arc::new(ProgressLog::default());
        let board = Arc::new(StatusBoard::new(StatusSettings {
            source: PRODUCER.source.to_owned(),
            workers: 0..workers,
            max_out_of_orderness_ms: config.dataflow.graph.max_out_of_orderness_ms,
            log: written.clone(),
            stores: vec![store.queue()],
            others: Vec::new(),
            checkpoints: checkpoints.sink(),
            restoring_since: checkpoints.restoring_since(),
        }));
        let cache = Arc::new(MemoryCache::new(CACHED_UPDATES));
        let (stopper, stopped) = Stopped::new();
        let journal = Journal::new(log, used.clone(), written.clone(), stopped.clone())?;
        let feed = Feed::new(market, from, journal, written, stopped);
        let primed = feed.primed();
        let settings = open_files::provide(config.server.serving.clone());
        let app = App::new(cache.clone(), Arc::new(history), board.clone(), settings)
            .with_tls(tls)
            .with_allowed_lateness_ms(config.dataflow.graph.allowed_lateness_ms);
        let web = Web::start(listener, config.server.threads(), || Ok(app))?;
        let feed = std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || feed.run())
            .context("start the thread of the feed")?;
        Ok(Up {
            config: config.clone(),
            board,
            log: reader,
            starts,
            checkpoints,
            used,
            store,
            cache,
            feed: Some(feed),
            stopper,
            primed,
            graph: None,
            web: Some(web),
            ready: false,
        })
    }

    /// Watches the threads until `stop` is set.
    ///
    /// # Errors
    /// If one has failed for good.
    fn watch(&mut self, stop: &AtomicBool, started: Instant) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            self.check()?;
            if self.graph.is_none() && self.primed.load(Ordering::Acquire) {
                let store =
                    StoreOutput { queue: self.store.queue(), candles: true, alerts: true, rejects: true };
                let checkpoints = self.checkpoints.sink();
                let destinations =
                    Destinations { stores: vec![store], cache: self.cache.clone(), checkpoints };
                let from = graph::StartingPoint {
                    starts: std::mem::take(&mut self.starts),
                    restore: self.checkpoints.take_restore(),
                    policy: self.checkpoints.policy(),
                };
                let board = self.board.clone();
                let graph = graph::start(&self.config, &self.log, &self.used, from, destinations, board)?;
                self.graph = Some(graph);
            }
            if !self.ready && self.board.is_ready() {
                self.ready = true;
                tracing::info!(seconds = started.elapsed().as_secs_f64(), "ready");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Checks that all threads still run.
    fn check(&mut self) -> anyhow::Result<()> {
        if let Some(failure) = self.board.failure() {
            bail!(failure);
        }
        if let Some(feed) = self.feed.take_if(|feed| feed.is_finished()) {
            join_feed(feed)?;
            bail!("the feed has ended");
        }
        web::still_runs(&mut self.graph, &mut self.web)
    }

    /// Stops the parts in the order of the data flow, so that all settled changes are stored.
    ///
    /// # Errors
    /// The first error of a part.
    fn stop(mut self) -> anyhow::Result<()> {
        if let Some(web) = &mut self.web {
            web.stop();
        }
        drop(self.stopper);
        let fed = self.feed.map_or(Ok(()), join_feed);
        let settled = self.graph.map_or(Ok(()), Graph::stop).map_err(anyhow::Error::from);
        let failed = self.store.queue().failure().is_some();
        let stored = match self.store.close(STORE_TIMEOUT) {
            Err(error) if !failed => {
                let problem = chain(&error);
                tracing::warn!(problem, "some changes were not stored, the next start reads them again");
                Ok(())
            }
            stored => stored.map_err(anyhow::Error::from),
        };
        let served = self.web.map_or(Ok(()), Web::join);
        self.checkpoints.close(CHECKPOINT_TIMEOUT);
        fed.and(settled).and(stored).and(served)
    }
}

/// Finds the newest checkpoint in the data folder. Checkpoints elsewhere are of other logs.
fn find_checkpoint(config: &Config, flags: &UpFlags) -> anyhow::Result<FoundCheckpoint> {
    let folder = config.up.data.join("checkpoints");
    let url =
        if config.checkpoint.url.is_empty() { String::new() } else { format!("file:{}", folder.display()) };
    let settings = CheckpointConfig { url, ..config.checkpoint.clone() };
    Ok(FoundCheckpoint::find(&settings, "log", &config.graph(), flags.from_scratch, true)?)
}

/// A cluster of this process alone.
fn alone(threads: usize) -> Cluster {
    Cluster { threads, process: 0, addresses: Vec::new() }
}

fn join_feed(feed: JoinHandle<Result<(), Error>>) -> anyhow::Result<()> {
    let fed = feed.join().map_err(|_| anyhow!("the feed has panicked"))?;
    fed.map_err(|error| anyhow::Error::from(error).context("append ticks to the log"))
}

fn announce(config: &Config, from: EventTime) {
    let up = &config.up;
    let symbols: Vec<String> = up.symbols.iter().map(ToString::to_string).collect();
    tracing::info!(
        source = PRODUCER.source,
        seed = up.seed,
        symbols = symbols.join(","),
        from = from.rfc3339(),
        "the market is SIMULATED"
    );
    tracing::info!(folder = %up.data.display(), "keeping data");
}
