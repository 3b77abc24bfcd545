//! Runs the graph on the threads of one process, or of one of several that work together.

use crate::graph::{WorkerIo, build};
use crate::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a worker with nothing to do sleeps before it looks at the stop signal again.
const PARK: Duration = Duration::from_millis(50);

/// Why the graph could not be run to its end.
#[derive(Debug)]
pub enum RunError {
    /// The workers could not be started.
    Start(String),
    /// A worker has panicked; what it said.
    Panicked(String),
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunError::Start(detail) => write!(f, "start the workers of the dataflow: {detail}"),
            RunError::Panicked(detail) => write!(f, "a worker of the dataflow has panicked: {detail}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Which workers run here, and where the others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Worker threads in each process.
    pub threads: usize,
    /// This process, counted from 0.
    pub process: usize,
    /// Where each process listens for the others, `host:port`, in the same order everywhere; empty for a process of
    /// its own.
    pub addresses: Vec<String>,
}

impl Cluster {
    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// The workers of this process among all.
    pub fn workers(&self) -> std::ops::Range<usize> {
        self.process * self.threads..(self.process + 1) * self.threads
    }

    fn config(&self) -> timely::CommunicationConfig {
        if self.addresses.len() > 1 {
            timely::CommunicationConfig::Cluster {
                threads: self.threads,
                process: self.process,
                addresses: self.addresses.clone(),
                report: false,
                zerocopy: false,
            }
        } else {
            timely::CommunicationConfig::Process(self.threads)
        }
    }
}

impl From<usize> for Cluster {
    /// A process of its own with so many workers.
    fn from(threads: usize) -> Cluster {
        Cluster { threads, process: 0, addresses: Vec::new() }
    }
}

/// Builds the graph on the workers of this process and runs it until its input has ended or `stop` is set.
///
/// `io` is called once on each worker's thread, with the worker's index and the number of workers, those of other
/// processes included. When the input ends, everything still open is settled. When `stop` is set nothing more is: what is open stays open.
///
/// # Errors
/// When a worker can't be started or panics; the others are stopped then.
pub fn run<F>(
    cluster: impl Into<Cluster>,
    settings: &Settings,
    stop: Arc<AtomicBool>,
    io: F,
) -> Result<(), RunError>
where
    F: Fn(usize, usize) -> WorkerIo + Send + Sync + 'static,
{
    let settings = settings.clone();
    let config =
        timely::Config { communication: cluster.into().config(), worker: timely::WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| {
        let _stop_the_others = StopOnPanic(Arc::clone(&stop));
        build(worker, &settings, io(worker.index(), worker.peers()));
        while worker.has_dataflows() {
            if stop.load(Ordering::Relaxed) {
                for dataflow in worker.installed_dataflows() {
                    worker.drop_dataflow(dataflow);
                }
                break;
            }
            worker.step_or_park(Some(PARK));
        }
    })
    .map_err(RunError::Start)?;
    let mut panicked = None;
    for result in guards.join() {
        panicked = panicked.or(result.err());
    }
    panicked.map_or(Ok(()), |detail| Err(RunError::Panicked(detail)))
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
