//! Running the graph on the worker threads of one process, alone or as a member of a cluster.

mod peer_link;
mod peer_liveness;

pub use peer_link::Link;

use crate::graph::{WorkerIo, build};
use crate::settings::Settings;
use peer_link::{Remote, Stream};
use peer_liveness::{Lost, PeerLiveness};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::{
    CommsGuard, initialize_networking_from_sockets,
};
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};

/// Longest sleep of an idle worker between two looks at the stop signal.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Longest wait for goodbyes to be sent when a run ends early.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// Reason for which the graph could not be run to its end.
#[derive(Debug)]
pub enum RunError {
    /// The workers could not be started.
    Start(String),
    /// A worker has panicked with this message.
    Panicked(String),
    /// Another process is lost, and without it nothing can be settled.
    PeerLost {
        /// Number of the lost process.
        process: usize,
        /// Address of the lost process.
        address: String,
        /// Description of the loss.
        detail: String,
    },
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunError::Start(detail) => write!(f, "start the workers of the dataflow: {detail}"),
            RunError::Panicked(detail) => write!(f, "a worker of the dataflow has panicked: {detail}"),
            RunError::PeerLost { process, address, detail } => {
                write!(f, "process {process} at {address} is gone: {detail}")
            }
        }
    }
}

impl std::error::Error for RunError {}

/// The worker threads of this process, and its connections to the other processes of a cluster.
///
/// # Examples
///
/// ```
/// use tallow_dataflow::Workers;
///
/// let alone = Workers::from(4);
/// assert_eq!((alone.threads, alone.process), (4, 0));
/// assert!(alone.peers.is_empty());
/// ```
pub struct Workers {
    /// Worker threads in each process.
    pub threads: usize,
    /// Number of this process, counted from 0.
    pub process: usize,
    /// Every other process once; empty for a process that runs alone.
    pub peers: Vec<Peer>,
}

/// Another process and the connection to it.
pub struct Peer {
    /// Number of the process.
    pub process: usize,
    /// Address of the process, for error messages.
    pub address: String,
    /// The connection. Nothing but the handshake may have been sent or read on it.
    pub link: Arc<dyn Link>,
}

impl From<usize> for Workers {
    /// Creates a process that runs alone with this number of workers.
    fn from(threads: usize) -> Workers {
        Workers { threads, process: 0, peers: Vec::new() }
    }
}

/// Builds the graph on the workers of this process and runs it until its input has ended or `stop`
/// is set.
///
/// `io` is called once on each worker's thread, with the worker's index and the number of workers,
/// both counted over all processes. When the input ends, every open candle is settled. When `stop`
/// is set, nothing more is settled and open candles stay open.
///
/// Laws: `tests/oracle.rs::one_two_and_four_workers_give_the_same` and
/// `tests/cluster.rs::several_processes_settle_what_one_does`.
///
/// # Errors
/// Returns an error if a worker can't be started or panics, or if another process is lost. All
/// workers of this process have ended then.
///
/// # Examples
///
/// One worker without partitions: the input ends at once. The crate's head has a complete example.
///
/// ```
/// use std::sync::Arc;
/// use tallow_dataflow::{Output, Settings, WorkerIo, run};
/// use tallow_model::clock::SystemClock;
/// use tallow_model::{LiveCandle, PartitionProgress, Reject, Step};
///
/// struct Ignore;
/// impl Output for Ignore {
///     fn settled(&mut self, step: Step) {
///         assert!(step.candles.is_empty());
///     }
///     fn live(&mut self, _: Vec<LiveCandle>) {}
///     fn rejected(&mut self, _: Vec<Reject>) {}
///     fn progress(&mut self, _: &[PartitionProgress]) {}
///     fn failed(&mut self, _: u32, _: String) {}
///     fn is_full(&self) -> bool {
///         false
///     }
/// }
///
/// run(1, &Settings::default(), Arc::default(), |_worker, _workers| WorkerIo {
///     readers: Vec::new(),
///     arrivals: None,
///     output: Box::new(Ignore),
///     clock: Arc::new(SystemClock),
///     checkpoints: None,
///     restore: None,
/// })?;
/// # Ok::<(), tallow_dataflow::RunError>(())
/// ```
pub fn run<F>(
    workers: impl Into<Workers>,
    settings: &Settings,
    stop: Arc<AtomicBool>,
    io: F,
) -> Result<(), RunError>
where
    F: Fn(usize, usize) -> WorkerIo + Send + Sync + 'static,
{
    let settings = settings.clone();
    let workers = workers.into();
    let liveness = Arc::new(PeerLiveness::new(workers.peers.len()));
    let (builders, connections) = Connections::start(workers, &liveness)?;
    let guards = timely::execute::execute_from(builders, Box::new(()), timely::WorkerConfig::default(), {
        let (stop, liveness) = (Arc::clone(&stop), Arc::clone(&liveness));
        move |worker| {
            let _stop_the_others = StopOnPanic(Arc::clone(&stop));
            build(worker, &settings, io(worker.index(), worker.peers()));
            while worker.has_dataflows() {
                if stop.load(Ordering::Relaxed) || liveness.lost().is_some() {
                    liveness.break_off();
                    for dataflow in worker.installed_dataflows() {
                        worker.drop_dataflow(dataflow);
                    }
                    break;
                }
                worker.step_or_park(Some(POLL_INTERVAL));
            }
        }
    })
    .map_err(RunError::Start)?;
    let mut panicked = None;
    for result in guards.join() {
        panicked = panicked.or(result.err());
    }
    let finished = panicked.is_none() && !liveness.has_broken_off();
    connections.end(finished, &stop);
    match (panicked, liveness.lost()) {
        (Some(detail), _) => Err(RunError::Panicked(detail)),
        (None, Some(lost)) if !finished && !stop.load(Ordering::Relaxed) => {
            let Lost { process, address, detail } = lost.clone();
            Err(RunError::PeerLost { process, address, detail })
        }
        _ => Ok(()),
    }
}

/// The connections to the other processes, and timely's threads on them.
struct Connections {
    remotes: Vec<Arc<Remote>>,
    liveness: Arc<PeerLiveness>,
    threads: Option<CommsGuard>,
}

impl Connections {
    /// Starts the threads, and returns the allocators that the workers are built from.
    fn start(
        workers: Workers,
        liveness: &Arc<PeerLiveness>,
    ) -> Result<(Vec<AllocatorBuilder>, Connections), RunError> {
        let Workers { threads, process, peers } = workers;
        let remote =
            |peer: Peer| (peer.process, Arc::new(Remote::new(peer.process, peer.address, peer.link)));
        let remotes: BTreeMap<usize, Arc<Remote>> = peers.into_iter().map(remote).collect();
        let expected = (0..=remotes.len()).filter(|other| *other != process);
        if threads == 0 || liveness.others() != remotes.len() || !remotes.keys().copied().eq(expected) {
            return Err(RunError::Start(format!(
                "{threads} threads in process {process}, connected to {:?}, are no cluster",
                remotes.keys()
            )));
        }
        let hooks = Hooks::default();
        let inner = ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), None);
        let mut connections = Connections {
            remotes: remotes.values().cloned().collect(),
            liveness: Arc::clone(liveness),
            threads: None,
        };
        if remotes.is_empty() {
            return Ok((inner.into_iter().map(AllocatorBuilder::Process).collect(), connections));
        }
        let stream = |other| Some(Stream::new(Arc::clone(remotes.get(&other)?), Arc::clone(liveness)));
        let streams = (0..=remotes.len()).map(stream).collect();
        let (builders, guard) = initialize_networking_from_sockets(inner, streams, process, threads, hooks)
            .map_err(|error| RunError::Start(error.to_string()))?;
        connections.threads = Some(guard);
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), connections))
    }

    /// Ends the connections after the workers have ended. If the workers have `finished`, the other
    /// processes may still need bytes on their way to them, so this waits for all connections to
    /// end. Otherwise it waits only for the goodbyes to be sent.
    fn end(mut self, finished: bool, stop: &AtomicBool) {
        self.liveness.workers_ended();
        let as_expected = finished && self.liveness.wait_for_connections(stop, POLL_INTERVAL);
        if !finished {
            self.liveness.wait_for_writers(GOODBYE_TIMEOUT);
        }
        if as_expected {
            drop(self.threads.take());
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.liveness.workers_ended();
        self.remotes.iter().for_each(|remote| remote.close());
        // The threads end once the connections are closed. Joining a thread that has unwound would
        // panic here.
        std::mem::forget(self.threads.take());
    }
}

/// Sets the stop signal when its thread unwinds: timely alone would let the other workers wait for
/// ever.
struct StopOnPanic(Arc<AtomicBool>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
