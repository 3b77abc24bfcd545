//! A server on a free port over stores in memory, and a client for it.

use super::history::MemoryHistory;
use super::http::{Client, within};
use super::market::{MemoryCache, START_MS, StillPipeline};
use std::ops::Deref;
use std::sync::Arc;
use tallow_model::clock::ManualClock;
use tallow_model::store::PipelineStatus;
use tallow_server::{App, ServeError, ServerSettings, Tls, serve};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server and its stores.
pub struct Server {
    client: Client,
    /// The cache of the server.
    pub cache: Arc<MemoryCache>,
    /// The history of the server.
    pub history: Arc<MemoryHistory>,
    /// The pipeline that the server reports on.
    pub pipeline: Arc<StillPipeline>,
    /// The clock of the server.
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
