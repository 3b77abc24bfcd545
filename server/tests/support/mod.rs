//! A server on a free port over stores in memory, and a client for it.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may fail by panicking, and nobody links to this module"
)]

pub mod history;
pub mod http;
pub mod market;
pub mod socket;

use history::MemoryHistory;
use market::{MemoryCache, StillPipeline};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::clock::ManualClock;
use tallow_model::store::PipelineStatus;
use tallow_server::{App, ServeError, ServerSettings, Tls, serve};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The time at the start of a test: 2025-11-16T05:30:00Z.
pub const START_MS: u64 = 1_763_271_000_000;

/// The maximum time that a test waits for an outcome.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A client of a server, which connects for each request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: SocketAddr,
}

/// A running server and its stores.
pub struct Server {
    client: Client,
    pub cache: Arc<MemoryCache>,
    pub history: Arc<MemoryHistory>,
    pub pipeline: Arc<StillPipeline>,
    pub clock: Arc<ManualClock>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// A server with the default settings.
    pub async fn start() -> Server {
        Server::start_with(ServerSettings::default(), 1024).await
    }

    /// A server with these settings over a stream that holds `stream_capacity` updates.
    pub async fn start_with(settings: ServerSettings, stream_capacity: usize) -> Server {
        // Small buffers, so that a client that does not read blocks the server soon.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(8 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Server::start_on(socket.listen(128).unwrap(), settings, stream_capacity)
    }

    /// A server over TLS.
    pub async fn start_over(tls: Tls, settings: ServerSettings) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server::start_as(listener, 1024, |cache, history, pipeline| {
            App::new(cache, history, pipeline, settings).with_tls(Some(tls))
        })
    }

    /// A server without stores.
    pub async fn of_pipeline() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server::start_as(listener, 1, |_, _, pipeline| App::of_pipeline(pipeline, ServerSettings::default()))
    }

    fn start_on(listener: TcpListener, settings: ServerSettings, stream_capacity: usize) -> Server {
        Server::start_as(listener, stream_capacity, |cache, history, pipeline| {
            App::new(cache, history, pipeline, settings)
        })
    }

    fn start_as(
        listener: TcpListener,
        stream_capacity: usize,
        app: impl FnOnce(Arc<MemoryCache>, Arc<MemoryHistory>, Arc<StillPipeline>) -> App,
    ) -> Server {
        let address = listener.local_addr().unwrap();
        let cache = Arc::new(MemoryCache::new(stream_capacity));
        let history = Arc::new(MemoryHistory::default());
        let status = PipelineStatus { source: "simulated".to_owned(), ready: true, ..Default::default() };
        let pipeline = Arc::new(StillPipeline::new(status));
        let clock = Arc::new(ManualClock::new(START_MS));
        let app = app(cache.clone(), history.clone(), pipeline.clone()).with_clock(clock.clone());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve(listener, app, stopped));
        Server { client: Client { address }, cache, history, pipeline, clock, stop: Some(stop), running }
    }

    /// Signals the server to stop.
    pub fn tell_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until the server has stopped.
    pub async fn stopped(self) {
        within(self.running).await.unwrap().unwrap();
    }
}

/// The result of the future, which must be ready before the deadline.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("an outcome before the deadline")
}
