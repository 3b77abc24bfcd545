//! Runs the graph on the threads of one process.

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

/// Builds the graph on `workers` threads and runs it until its input has ended or `stop` is set.
///
/// `io` is called once on each worker's thread, with the worker's index and the number of workers. When the input
/// ends, everything still open is settled. When `stop` is set nothing more is: what is open stays open.
///
/// # Errors
/// When a worker can't be started or panics; the others are stopped then.
pub fn run<F>(workers: usize, settings: &Settings, stop: Arc<AtomicBool>, io: F) -> Result<(), RunError>
where
    F: Fn(usize, usize) -> WorkerIo + Send + Sync + 'static,
{
    let settings = settings.clone();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
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
