//! `tallow up`: everything in one process. A simulated market goes to a log of its own, the dataflow reads that log,
//! what it settles goes to the embedded store and, with the open candles, to the cache, and the server shows both.
//!
//! ```text
//! market ─► journal ─► log ─► dataflow ─► outlet ─┬─► store ─┐
//! (a thread)                  (its threads)       └─► cache ─┴─► server
//! ```
//!
//! A start goes on from the newest checkpoint in the data folder, or replays the log from its beginning: the store takes
//! the same rows again and stays as it is.

mod feed;
mod graph;
mod halt;
mod journal;
mod market;
mod written;

use crate::cli::UpFlags;
use crate::config::Config;
use crate::open_files;
use crate::web::{self, Web, listen};
use anyhow::{Context, anyhow, bail};
use feed::Feed;
use halt::{Halt, Halter};
use journal::Journal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
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
use written::Written;

/// How often the threads are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How many updates the cache keeps for a subscriber that is behind.
const CACHED_UPDATES: usize = 16_384;
/// How long a stop waits for the store. What it has not stored by then comes again from the log at the next start.
const STORE_LIMIT: Duration = Duration::from_secs(3);
/// How long it waits for the checkpoint that is under way.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(1);

/// Runs until `stop` is set or something fails for good.
///
/// # Errors
/// When it can't start or something has failed for good. An address that can't be listened on is found out before
/// anything is written.
pub(crate) fn run(config: &Config, flags: &UpFlags, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let started = Instant::now();
    let tls = config.tls()?;
    let listener = listen(config.server.listen)?;
    let url = config.url(listener.local_addr().context("read the address of the listener")?);
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

/// Makes the data folder where it is missing and opens the log in it, which only one process can.
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
    /// The partitions that ticks come to.
    used: BTreeSet<u32>,
    store: SinkRunner,
    cache: Arc<MemoryCache>,
    feed: Option<JoinHandle<Result<(), Error>>>,
    halter: Halter,
    /// Whether the dataflow may read the log.
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
        let written = Arc::new(Written::default());
        let board = Arc::new(StatusBoard::new(StatusSettings {
            source: PRODUCER.source.to_owned(),
            workers: 0..workers,
            max_out_of_orderness_ms: config.dataflow.max_out_of_orderness_ms,
            log: written.clone(),
            stores: vec![store.queue()],
            others: Vec::new(),
            checkpoints: checkpoints.sink(),
            restoring_since: checkpoints.restoring_since(),
        }));
        let cache = Arc::new(MemoryCache::new(CACHED_UPDATES));
        let (halter, halt) = Halt::new();
        let journal = Journal::new(log, used.clone(), written.clone(), halt.clone())?;
        let feed = Feed::new(market, from, journal, written, halt);
        let primed = feed.primed();
        let settings = open_files::provide(config.serving());
        let app = App::new(cache.clone(), Arc::new(history), board.clone(), settings)
            .with_tls(tls)
            .with_allowed_lateness_ms(config.dataflow.allowed_lateness_ms);
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
            halter,
            primed,
            graph: None,
            web: Some(web),
            ready: false,
        })
    }

    /// Looks after the threads until `stop` is set.
    ///
    /// # Errors
    /// When something has failed for good.
    fn watch(&mut self, stop: &AtomicBool, started: Instant) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            self.check()?;
            if self.graph.is_none() && self.primed.load(Ordering::Acquire) {
                let store =
                    StoreOutput { queue: self.store.queue(), candles: true, alerts: true, rejects: true };
                let checkpoints = self.checkpoints.sink();
                let destinations =
                    Destinations { stores: vec![store], cache: self.cache.clone(), checkpoints };
                let from = graph::From {
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
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Whether everything still runs.
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

    /// Stops in the order in which data flows, so that nothing that has settled is left out.
    ///
    /// # Errors
    /// The first that something has to say.
    fn stop(mut self) -> anyhow::Result<()> {
        if let Some(web) = &mut self.web {
            web.stop();
        }
        drop(self.halter);
        let fed = self.feed.map_or(Ok(()), join_feed);
        let settled = self.graph.map_or(Ok(()), Graph::stop).map_err(anyhow::Error::from);
        let failed = self.store.queue().failure().is_some();
        let stored = match self.store.close(STORE_LIMIT) {
            Err(error) if !failed => {
                let problem = chain(&error);
                tracing::warn!(problem, "not everything was stored, it comes again at the next start");
                Ok(())
            }
            stored => stored.map_err(anyhow::Error::from),
        };
        let served = self.web.map_or(Ok(()), Web::join);
        self.checkpoints.close(CHECKPOINT_LIMIT);
        fed.and(settled).and(stored).and(served)
    }
}

/// The newest checkpoint in the data folder; one that is kept elsewhere is not this log's.
fn find_checkpoint(config: &Config, flags: &UpFlags) -> anyhow::Result<FoundCheckpoint> {
    let folder = config.up.data.join("checkpoints");
    let url =
        if config.checkpoint.url.is_empty() { String::new() } else { format!("file:{}", folder.display()) };
    let settings = CheckpointConfig { url, ..config.checkpoint.clone() };
    Ok(FoundCheckpoint::find(&settings, "log", &config.graph(), flags.from_scratch, true)?)
}

/// A process of its own.
fn alone(threads: usize) -> Cluster {
    Cluster { threads, process: 0, addresses: Vec::new() }
}

fn join_feed(feed: JoinHandle<Result<(), Error>>) -> anyhow::Result<()> {
    let fed = feed.join().map_err(|_| anyhow!("the feed has panicked"))?;
    fed.map_err(|error| anyhow::Error::from(error).context("append ticks to the log"))
}

/// Says what is about to run.
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
