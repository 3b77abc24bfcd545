//! The server: accepts connections, serves each in a task of its own, and stops on a signal.

use crate::app::App;
use crate::http::per_address::AddressLimit;
use crate::http::proxies;
use crate::http::shutdown::Tasks;
use crate::http::stack::stack;
use crate::settings::{FAREWELL_LIMIT, MAX_HEAD_BYTES, MAX_READ_HEADERS};
use crate::shared::Shared;
use crate::websocket::Clients;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::error::chain;
use tallow_model::store::Cache;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// The pause after the system could not open another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most time that the start waits for the cache to be read; then the server starts without it.
const PREFILL_LIMIT: Duration = Duration::from_secs(2);

/// The server has stopped without a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("read the address of the listener")]
    Address(#[source] io::Error),
    /// The listener has failed for good.
    #[error("accept a connection on {address}")]
    Accept {
        /// Address of the listener.
        address: SocketAddr,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

/// Serves until `stop` is ready. Then the server accepts nothing more, closes WebSocket clients
/// with 1001, lets running requests finish within the shutdown timeout of the settings, cuts off
/// the others and returns.
///
/// # Errors
/// If the listener itself has failed. A failed connection is no error, and neither is a lack of
/// file descriptors: the server then waits until it can continue.
pub async fn serve(listener: TcpListener, app: App, stop: impl Future) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Address)?;
    let app = Arc::new(app);
    let (tasks, stopping) = (Tasks::default(), CancellationToken::new());
    // Cuts off what still runs when this future is dropped half-way.
    let _cut_off = tasks.cut_off().clone().drop_guard();
    let connections = Arc::new(Semaphore::new(app.settings.max_connections.min(Semaphore::MAX_PERMITS)));
    let per_address = AddressLimit::new(app.settings.max_connections_per_address);
    let clients = Arc::new(Clients::new(app.clone(), tasks.clone(), stopping.clone()));
    if let Some(data) = &app.data {
        run_hub(&clients, &data.cache).await;
    }
    let shared = Arc::new(Shared::new(app, clients));

    if let Some(rate_limit) = shared.rate_limit.clone() {
        let stopping = stopping.clone();
        tasks.spawn(async move { rate_limit.clean_up(stopping).await });
    }
    tracing::info!(%address, "serving");
    let mut stop = pin!(stop);
    let outcome = loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stop => break Ok(()),
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                // A trusted proxy has the connections of all its clients.
                let is_proxy = proxies::are_at(&shared.app.settings.trusted_proxies, peer);
                let address_permit = if is_proxy { None } else { per_address.take(peer.into()) };
                if !is_proxy && address_permit.is_none() {
                    tracing::debug!(%peer, "connection closed: the address has all it may");
                    continue;
                }
                let connection = connection(shared.clone(), stream, peer);
                tasks.spawn(async move {
                    connection.await;
                    drop((address_permit, permit));
                });
            }
            Err(error) if may_pass(&error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(source) => break Err(ServeError::Accept { address, source }),
        }
    };
    drop(listener);
    stopping.cancel();
    let cut_off = tasks.finish(shared.app.settings.shutdown_timeout).await;
    tracing::info!(%address, cut_off, "stopped serving");
    outcome
}

/// Fills the hub from the cache and starts its task.
async fn run_hub(clients: &Clients, cache: &Arc<dyn Cache>) {
    let (hub, updates) = (&clients.hub, cache.subscribe());
    match tokio::time::timeout(PREFILL_LIMIT, hub.prefill(&**cache)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(cache = cache.name(), error = chain(&error), "cache not read"),
        Err(_) => tracing::warn!(cache = cache.name(), "cache not read in time"),
    }
    let cut_off = clients.tasks.cut_off().clone();
    tokio::spawn(cut_off.run_until_cancelled_owned(hub.clone().run(cache.clone(), updates)));
}

/// Accepts the next connection once there is room for it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address.ip(), permit))
}

/// Whether accepting may work again later: one connection failed, or the system lacks a resource.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    const OUT_OF_FILES_PROCESS: i32 = 24;
    const OUT_OF_FILES_SYSTEM: i32 = 23;
    const OUT_OF_BUFFERS: i32 = 105;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::OutOfMemory
            | Kind::TimedOut
            | Kind::WouldBlock
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    ) || matches!(error.raw_os_error(), Some(OUT_OF_FILES_PROCESS | OUT_OF_FILES_SYSTEM | OUT_OF_BUFFERS))
}

/// Serves a connection, over TLS if the server has a certificate.
async fn connection(shared: Arc<Shared>, stream: TcpStream, peer: IpAddr) {
    // Small frames should leave at once. A socket that refuses the option still works, only later.
    let _ = stream.set_nodelay(true);
    // A WebSocket client that accepts nothing is sent a close frame first; hence the farewell on
    // top.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(shared.app.settings.send_timeout.saturating_add(FAREWELL_LIMIT)));
    let stream = Box::pin(stream);
    let Some(tls) = &shared.app.tls else {
        return serve_requests(shared, stream, peer).await;
    };
    // A caller that does not finish the handshake would hold a permit for ever.
    let limit = shared.app.settings.header_read_timeout;
    let stopping = &shared.clients.stopping;
    let handshake = tls.acceptor().accept(stream);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(limit, handshake) => shaken,
        () = stopping.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_requests(shared, stream, peer).await,
        Ok(Err(error)) => tracing::debug!(%error, "connection ended in its TLS handshake"),
        Err(_) => tracing::debug!("connection ended: no TLS handshake in time"),
    }
}

/// Serves the requests of a connection, one after the other.
async fn serve_requests(
    shared: Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: IpAddr,
) {
    let stopping = shared.clients.stopping.clone();
    let service = TowerToHyperService::new(stack(shared.clone(), peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.app.settings.header_read_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_READ_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
