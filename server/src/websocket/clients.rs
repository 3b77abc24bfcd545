//! The state that all WebSocket clients of a server share.

use super::hub::Hub;
use crate::app::App;
use crate::http::per_address::AddressLimit;
use crate::http::shutdown::Tasks;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The hub, the limits and the tasks of the WebSocket clients of one server.
pub(crate) struct Clients {
    pub(crate) app: Arc<App>,
    /// Delivers each update of the cache to the clients.
    pub(crate) hub: Arc<Hub>,
    /// Runs the connections and the clients.
    pub(crate) tasks: Tasks,
    /// Cancelled once the server is stopping.
    pub(crate) stopping: CancellationToken,
    /// One permit for each client that may still connect.
    pub(super) permits: Arc<Semaphore>,
    /// The limit on the clients of one address.
    pub(super) per_address: Arc<AddressLimit>,
}

impl Clients {
    /// A hub without clients, and the limits of the settings.
    pub(crate) fn new(app: Arc<App>, tasks: Tasks, stopping: CancellationToken) -> Clients {
        let max_clients = app.settings.max_websockets.min(Semaphore::MAX_PERMITS);
        Clients {
            hub: Arc::new(Hub::new(app.pipeline.clone(), app.clock.clone())),
            tasks,
            stopping,
            permits: Arc::new(Semaphore::new(max_clients)),
            per_address: AddressLimit::new(app.settings.max_websockets_per_address),
            app,
        }
    }
}
