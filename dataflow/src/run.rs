//! Runs the graph on the threads of one process, or of one of several that work together.

mod link;
mod watch;

pub use link::Link;

use crate::graph::{WorkerIo, build};
use crate::settings::Settings;
use link::{Remote, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::{
    CommsGuard, initialize_networking_from_sockets,
};
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use watch::{Lost, Watch};

/// How long a worker with nothing to do sleeps before it looks at the stop signal again.
const PARK: Duration = Duration::from_millis(50);

/// How long the end waits for the other processes to be told, where there is no more to wait for.
const GOODBYE: Duration = Duration::from_millis(500);

/// Why the graph could not be run to its end.
#[derive(Debug)]
pub enum RunError {
    /// The workers could not be started.
    Start(String),
    /// A worker has panicked; what it said.
    Panicked(String),
    /// Another process is gone, and without it nothing can be settled.
    PeerLost {
        /// Which one.
        process: usize,
        /// Where it was.
        address: String,
        /// What is known of its end.
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

/// The workers that run here, and the connections to the processes of the others.
pub struct Workers {
    /// Worker threads in each process.
    pub threads: usize,
    /// This process, counted from 0.
    pub process: usize,
    /// Every other process once; empty for a process of its own.
    pub peers: Vec<Peer>,
}

/// Another process, connected.
pub struct Peer {
    /// Its number.
    pub process: usize,
    /// Where it is, for errors.
    pub address: String,
    /// The way to it. Nothing has been sent or read yet but what the two agreed upon before.
    pub link: Arc<dyn Link>,
}

impl From<usize> for Workers {
    /// A process of its own with so many workers.
    fn from(threads: usize) -> Workers {
        Workers { threads, process: 0, peers: Vec::new() }
    }
}

/// Builds the graph on the workers of this process and runs it until its input has ended or `stop` is set.
///
/// `io` is called once on each worker's thread, with the worker's index and the number of workers, those of other
/// processes included. When the input ends, everything still open is settled. When `stop` is set nothing more is: what is
/// open stays open.
///
/// # Errors
/// When a worker can't be started or panics, or another process is lost; the workers are stopped then.
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
    let watch = Arc::new(Watch::new(workers.peers.len()));
    let (builders, connections) = Connections::start(workers, &watch)?;
    let guards = timely::execute::execute_from(builders, Box::new(()), timely::WorkerConfig::default(), {
        let (stop, watch) = (Arc::clone(&stop), Arc::clone(&watch));
        move |worker| {
            let _stop_the_others = StopOnPanic(Arc::clone(&stop));
            build(worker, &settings, io(worker.index(), worker.peers()));
            while worker.has_dataflows() {
                if stop.load(Ordering::Relaxed) || watch.lost().is_some() {
                    watch.break_off();
                    for dataflow in worker.installed_dataflows() {
                        worker.drop_dataflow(dataflow);
                    }
                    break;
                }
                worker.step_or_park(Some(PARK));
            }
        }
    })
    .map_err(RunError::Start)?;
    let mut panicked = None;
    for result in guards.join() {
        panicked = panicked.or(result.err());
    }
    let finished = panicked.is_none() && !watch.has_broken_off();
    connections.end(finished, &stop);
    match (panicked, watch.lost()) {
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
    watch: Arc<Watch>,
    threads: Option<CommsGuard>,
}

impl Connections {
    /// Starts the threads, and makes what the workers are built of.
    fn start(workers: Workers, watch: &Arc<Watch>) -> Result<(Vec<AllocatorBuilder>, Connections), RunError> {
        let Workers { threads, process, peers } = workers;
        let remote =
            |peer: Peer| (peer.process, Arc::new(Remote::new(peer.process, peer.address, peer.link)));
        let remotes: BTreeMap<usize, Arc<Remote>> = peers.into_iter().map(remote).collect();
        let expected = (0..=remotes.len()).filter(|other| *other != process);
        if threads == 0 || watch.others() != remotes.len() || !remotes.keys().copied().eq(expected) {
            return Err(RunError::Start(format!(
                "{threads} threads in process {process}, connected to {:?}, are no cluster",
                remotes.keys()
            )));
        }
        let hooks = Hooks::default();
        let inner = ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), None);
        let mut connections = Connections {
            remotes: remotes.values().cloned().collect(),
            watch: Arc::clone(watch),
            threads: None,
        };
        if remotes.is_empty() {
            return Ok((inner.into_iter().map(AllocatorBuilder::Process).collect(), connections));
        }
        let stream = |other| Some(Stream::new(Arc::clone(remotes.get(&other)?), Arc::clone(watch)));
        let streams = (0..=remotes.len()).map(stream).collect();
        let (builders, guard) = initialize_networking_from_sockets(inner, streams, process, threads, hooks)
            .map_err(|error| RunError::Start(error.to_string()))?;
        connections.threads = Some(guard);
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), connections))
    }

    /// Ends them once the workers have ended. Where those have `finished`, the other processes may still need what is on
    /// its way to them; else nobody waits for anybody but for the goodbye to be sent.
    fn end(mut self, finished: bool, stop: &AtomicBool) {
        self.watch.workers_ended();
        let as_expected = finished && self.watch.wait_for_connections(stop, PARK);
        if !finished {
            self.watch.wait_for_writers(GOODBYE);
        }
        if as_expected {
            drop(self.threads.take());
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.watch.workers_ended();
        self.remotes.iter().for_each(|remote| remote.close());
        // Now that the connections are closed the threads end by themselves. To join one that has unwound would be a
        // panic here.
        std::mem::forget(self.threads.take());
    }
}

/// Sets the stop signal when its thread unwinds: timely itself would let the other workers wait for ever.
struct StopOnPanic(Arc<AtomicBool>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
