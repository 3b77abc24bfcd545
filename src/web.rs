//! The server, on threads of its own.

use anyhow::{Context, bail};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tallow_runtime::pipeline::Graph;
use tallow_server::{App, ServeError, serve};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The time that queries without a waiting client may still run.
const QUERY_TIMEOUT: Duration = Duration::from_millis(500);

/// Binds a listener to `address`.
///
/// # Errors
/// If the address can't be listened on. The text names the address.
pub(crate) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    listener.set_nonblocking(true).with_context(|| format!("listen on {address}"))?;
    Ok(listener)
}

/// Checks that the threads of the graph and of the server still run.
///
/// # Errors
/// If one of them has ended; with its own error if it has one.
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
    /// Serves the app on `threads` threads. The app is made inside their runtime, so that it can
    /// spawn tasks there.
    ///
    /// # Errors
    /// If the app can't be made, or the system has no threads to give.
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

    /// Whether the server has stopped, with or without a request to.
    pub(crate) fn has_stopped(&self) -> bool {
        self.task.is_finished()
    }

    /// Asks the server to stop: it accepts no further connections, and the open ones have
    /// `server.shutdown_timeout_ms` to finish.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the server has stopped already.
            let _ = stop.send(());
        }
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// If the server has failed.
    pub(crate) fn join(mut self) -> anyhow::Result<()> {
        self.stop();
        let served = self.runtime.block_on(self.task);
        self.runtime.shutdown_timeout(QUERY_TIMEOUT);
        Ok(served.context("the server has panicked")??)
    }
}
