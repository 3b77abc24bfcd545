//! The graph on threads of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tallow_dataflow::{RunError, Settings, WorkerIo, Workers, run};
use tallow_model::Error;
use tallow_model::error::chain;

/// The time after the loss of another process within which this one may be stopped too. Nothing was
/// wrong then: a cluster is not stopped at one moment.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The time between two looks at the stop signal.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The running graph.
pub struct Graph {
    thread: JoinHandle<Result<(), Error>>,
    stop: Arc<AtomicBool>,
    threads: usize,
    /// The number of workers that have received their partitions.
    started: Arc<AtomicUsize>,
}

impl Graph {
    /// Runs the graph on the workers of this process, once `connect` has connected the other
    /// processes. `connect` returns none if the stop signal is set first. `io` is called once for
    /// each worker, on its thread.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(
        threads: usize,
        connect: impl FnOnce(&AtomicBool) -> Result<Option<Workers>, Error> + Send + 'static,
        settings: Settings,
        io: impl Fn(usize, usize) -> WorkerIo + Send + Sync + 'static,
    ) -> Result<Graph, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let started = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::Builder::new()
            .name("dataflow".to_owned())
            .spawn({
                let (stop, started) = (stop.clone(), started.clone());
                move || {
                    let Some(workers) = connect(&stop)? else { return Ok(()) };
                    let ended = run(workers, &settings, stop.clone(), move |index, peers| {
                        let io = io(index, peers);
                        started.fetch_add(1, Ordering::Relaxed);
                        io
                    });
                    match ended {
                        Err(lost @ RunError::PeerLost { .. }) if is_set_soon(&stop) => {
                            tracing::info!(%lost, "and this one is to stop too");
                            Ok(())
                        }
                        Err(lost @ RunError::PeerLost { .. }) => Err(Error::Pipeline(lost.to_string())),
                        Err(error) => Err(Error::Pipeline(format!("run the dataflow: {}", chain(&error)))),
                        Ok(()) => Ok(()),
                    }
                }
            })
            .map_err(|source| Error::Thread { name: "dataflow".to_owned(), source })?;
        Ok(Graph { thread, stop, threads, started })
    }

    /// Returns whether all workers of this process have received their partitions. Before that they
    /// wait for the other processes.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed) >= self.threads
    }

    /// Returns whether the graph has ended, by itself or stopped.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the graph where it is: open windows stay open.
    ///
    /// # Errors
    /// The failure of the graph, if it has failed.
    pub fn stop(self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Error::Pipeline("the dataflow has panicked".to_owned()))?
    }
}

/// Returns whether the signal is set within `STOP_GRACE`.
fn is_set_soon(stop: &AtomicBool) -> bool {
    let deadline = Instant::now() + STOP_GRACE;
    while !stop.load(Ordering::Relaxed) && Instant::now() < deadline {
        std::thread::sleep(POLL_INTERVAL);
    }
    stop.load(Ordering::Relaxed)
}
