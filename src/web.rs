//! The server on threads of its own.

use anyhow::{Context, bail};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tallow_runtime::pipeline::Graph;
use tallow_server::{App, ServeError, serve};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long queries that nobody waits for any more may still run.
const LAST_QUERIES: Duration = Duration::from_millis(500);

/// Takes the address.
///
/// # Errors
/// When it can't be listened on, which is said with the address.
pub(crate) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    listener.set_nonblocking(true).with_context(|| format!("listen on {address}"))?;
    Ok(listener)
}

/// Checks that the threads of the graph and of the server still run.
///
/// # Errors
/// When one of them has ended, with its own error if it has one.
pub(crate) fn still_runs(graph: &mut Option<Graph>, web: &mut Option<Web>) -> anyhow::Result<()> {
    if let Some(graph) = graph.take_if(|graph| graph.has_ended()) {
        graph.stop()?;
        bail!("the dataflow has ended");
    }
    if let Some(web) = web.take_if(|web| web.has_stopped()) {
        web.join()?;
        bail!("the server has stopped");
    }
    Ok(())
}

/// The running server.
pub(crate) struct Web {
    runtime: Runtime,
    task: JoinHandle<Result<(), ServeError>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Web {
    /// Serves the app on so many threads. It is made on the server's threads so that it can have tasks of its own there.
    ///
    /// # Errors
    /// When the app can't be made, or the system has no threads to give.
    pub(crate) fn start(
        listener: TcpListener,
        threads: usize,
        app: impl FnOnce() -> anyhow::Result<App>,
    ) -> anyhow::Result<Web> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("server")
            .enable_all()
            .build()
            .context("start the threads of the server")?;
        let (stop, stopped) = oneshot::channel();
        let (listener, app) = {
            let _runtime = runtime.enter();
            (tokio::net::TcpListener::from_std(listener).context("listen")?, app()?)
        };
        let task = runtime.spawn(serve(listener, app, stopped));
        Ok(Web { runtime, task, stop: Some(stop) })
    }

    /// Whether it has stopped, told or not.
    pub(crate) fn has_stopped(&self) -> bool {
        self.task.is_finished()
    }

    /// Tells it to stop: it accepts nothing more, and those connected have a few seconds to finish.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that it has stopped already.
            let _ = stop.send(());
        }
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// When it had failed.
    pub(crate) fn join(mut self) -> anyhow::Result<()> {
        self.stop();
        let served = self.runtime.block_on(self.task);
        self.runtime.shutdown_timeout(LAST_QUERIES);
        Ok(served.context("the server has panicked")??)
    }
}
