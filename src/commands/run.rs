//! `tallow run`: one process of the pipeline. It reads its partitions of the topic of ticks,
//! settles its symbols together with the other processes, and writes the settled candles and
//! alerts.
//!
//! ```text
//! Kafka ─► dataflow ─► outlet ─┬─► PostgreSQL      needs every change; if one of these can't keep up,
//!          (its threads)       ├─► Kafka alerts    the source pauses
//!                              ├─► dead letters
//!                              └─► Redis           has the present; nothing waits for it
//! ```
//!
//! A start resumes from the newest checkpoint, or reads the topic from its beginning: the stores
//! get the same rows again and stay as they are. A checkpoint is stored only after all stores have
//! its content.

mod others;
mod sinks;
mod topic_status;

use crate::cli::RunFlags;
use crate::config::Config;
use crate::open_files;
use crate::web::{self, Web, listen};
use anyhow::{Context, bail};
use sinks::Sinks;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::KafkaLog;
use tallow_dataflow::WorkerIo;
use tallow_model::PartitionReader;
use tallow_model::clock::SystemClock;
use tallow_runtime::cluster::Cluster;
use tallow_runtime::pipeline::{
    Checkpoints, Destinations, FoundCheckpoint, Graph, StatusBoard, StatusSettings, WorkerOutput, WorkerSlots,
};
use tallow_server::App;
use topic_status::TopicStatus;

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The threads of the status server, which has few clients.
const STATUS_THREADS: usize = 2;
/// The time that a stop waits for the checkpoint under way.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the process until `stop` is set.
///
/// # Errors
/// If the process can't start, or a part of it fails for good.
pub(crate) fn run(config: &Config, flags: &RunFlags, stop: &AtomicBool) -> anyhow::Result<()> {
    let started = Instant::now();
    let listener = listen(config.run.listen)?;
    let address = listener.local_addr().context("read the address of the listener")?;
    let cluster = flags.cluster.clone().context("find the index of this process")?;
    let mut process = PipelineProcess::start(config, flags, cluster, listener)?;
    tracing::info!(url = %format_args!("http://{address}"), "status server is listening");
    let outcome = process.watch(stop, started);
    if let Err(failure) = &outcome {
        let failure = format!("{failure:#}");
        tracing::error!(failure, "stopping because of a failure");
        process.board.fail(failure);
    }
    let stopped = process.stop();
    tracing::info!("stopped");
    outcome.and(stopped)
}

/// The running process.
struct PipelineProcess {
    board: Arc<StatusBoard>,
    sinks: Sinks,
    checkpoints: Checkpoints,
    graph: Option<Graph>,
    web: Option<Web>,
}

impl PipelineProcess {
    fn start(
        config: &Config,
        flags: &RunFlags,
        cluster: Cluster,
        listener: TcpListener,
    ) -> anyhow::Result<PipelineProcess> {
        announce(config, &cluster);
        let log = Arc::new(KafkaLog::open(&config.kafka)?);
        let source = format!("kafka:{}", config.kafka.topic);
        let is_first = cluster.process == 0;
        let past = FoundCheckpoint::find(
            &config.checkpoint,
            &source,
            &config.graph(),
            flags.from_scratch,
            is_first,
        )?;
        let starts = past.starts(log.ends())?;
        let former = past.former_workers(&cluster)?;
        let mut checkpoints = past.begin(&config.checkpoint, &cluster)?;
        let sinks = Sinks::start(config, &cluster, former)?;
        let board = Arc::new(StatusBoard::new(StatusSettings {
            source,
            workers: cluster.workers(),
            max_out_of_orderness_ms: config.dataflow.graph.max_out_of_orderness_ms,
            log: Arc::new(TopicStatus(log.clone())),
            stores: sinks.queues(),
            others: vec![sinks.cache_status()],
            checkpoints: checkpoints.sink(),
            restoring_since: checkpoints.restoring_since(),
        }));
        let app = App::of_pipeline(board.clone(), open_files::provide(config.server.reporting()))
            .with_allowed_lateness_ms(config.dataflow.graph.allowed_lateness_ms);
        let web = Web::start(listener, STATUS_THREADS, || Ok(app))?;
        let destinations = Destinations { checkpoints: checkpoints.sink(), ..sinks.destinations() };
        let graph = read(config, cluster, &log, &starts, &mut checkpoints, destinations, board.clone())?;
        Ok(PipelineProcess { board, sinks, checkpoints, graph: Some(graph), web: Some(web) })
    }

    /// Watches the threads until `stop` is set.
    ///
    /// # Errors
    /// If one has failed for good.
    fn watch(&mut self, stop: &AtomicBool, started: Instant) -> anyhow::Result<()> {
        let mut assigned = false;
        let mut caught_up = false;
        while !stop.load(Ordering::Relaxed) {
            if let Some(failure) = self.board.failure() {
                bail!(failure);
            }
            web::still_runs(&mut self.graph, &mut self.web)?;
            if !assigned && self.graph.as_ref().is_some_and(Graph::has_started) {
                assigned = true;
                tracing::info!(seconds = started.elapsed().as_secs_f64(), "ready");
            }
            if assigned && !caught_up && self.board.is_ready() {
                caught_up = true;
                tracing::info!(seconds = started.elapsed().as_secs_f64(), "caught up with the log");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Stops the parts in the order of the data flow, so that all settled changes are stored.
    ///
    /// # Errors
    /// The first error of a part.
    fn stop(mut self) -> anyhow::Result<()> {
        if let Some(web) = &mut self.web {
            web.stop();
        }
        let settled = self.graph.map_or(Ok(()), Graph::stop).map_err(anyhow::Error::from);
        let stored = self.sinks.close();
        let served = self.web.map_or(Ok(()), Web::join);
        self.checkpoints.close(CHECKPOINT_TIMEOUT);
        settled.and(stored).and(served)
    }
}

/// Runs the graph over the topic, from the offsets of the checkpoint. A partition belongs to the
/// worker of its number modulo the number of workers in all processes.
fn read(
    config: &Config,
    cluster: Cluster,
    log: &KafkaLog,
    starts: &BTreeMap<u32, u64>,
    checkpoints: &mut Checkpoints,
    destinations: Destinations,
    board: Arc<StatusBoard>,
) -> anyhow::Result<Graph> {
    let (workers, peers) = (cluster.workers(), cluster.peers());
    let first = workers.start;
    let open = |index| log.worker(index, peers, starts);
    let partitions = workers.map(open).collect::<Result<WorkerSlots<_>, _>>()?;
    let policy = checkpoints.policy();
    let restore: WorkerSlots<_> = checkpoints.take_restore().into_iter().collect();
    let threads = cluster.threads;
    let graph = Graph::start(
        threads,
        others::connector(config, cluster, checkpoints.name()),
        config.graph(),
        move |index, _| {
            let mine = partitions.take(index - first);
            let (readers, arrivals) = mine.map(|it| (it.readers, it.arrivals)).unzip();
            let readers = readers.into_iter().flatten().map(|reader| reader as Box<dyn PartitionReader>);
            WorkerIo {
                readers: readers.collect(),
                arrivals,
                output: Box::new(WorkerOutput::new(destinations.clone(), board.clone())),
                clock: Arc::new(SystemClock),
                checkpoints: policy.clone(),
                restore: restore.take(index - first),
            }
        },
    )?;
    Ok(graph)
}

fn announce(config: &Config, cluster: &Cluster) {
    tracing::info!(
        topic = config.kafka.topic,
        brokers = config.kafka.bootstrap_servers,
        process = cluster.process,
        processes = cluster.processes(),
        workers = cluster.threads,
        "starting"
    );
}
