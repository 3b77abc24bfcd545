//! The graph on threads of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tallow_dataflow::{RunError, Settings, WorkerIo, Workers, run};
use tallow_model::Error;
use tallow_model::error::chain;

/// How long after another process is lost this one may be told to stop, and then nothing was wrong: where all are stopped,
/// not all are at the same moment.
const STOPPED_TOO: Duration = Duration::from_secs(1);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The running graph.
pub struct Graph {
    thread: JoinHandle<Result<(), Error>>,
    stop: Arc<AtomicBool>,
    threads: usize,
    /// How many workers have been given what they read.
    started: Arc<AtomicUsize>,
}

impl Graph {
    /// Runs it on so many workers of this process, once `connect` has found the other processes; it gives none when the
    /// signal that it is given has been set before. `io` is called once for each worker, on its thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
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

    /// Whether all workers of this process have been given what they read. Before that they wait for the other processes.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed) >= self.threads
    }

    /// Whether it has ended, told or not.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops it where it is: what is open stays open.
    ///
    /// # Errors
    /// When it had failed.
    pub fn stop(self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Error::Pipeline("the dataflow has panicked".to_owned()))?
    }
}

/// Whether the signal is set within `STOPPED_TOO`.
fn is_set_soon(stop: &AtomicBool) -> bool {
    let deadline = Instant::now() + STOPPED_TOO;
    while !stop.load(Ordering::Relaxed) && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
    stop.load(Ordering::Relaxed)
}
