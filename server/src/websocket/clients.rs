//! The state that all WebSocket clients of a server share.

use super::hub::Hub;
use crate::app::App;
use crate::places::Places;
use crate::shutdown::{Stopping, Tasks};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The hub, the limits and the tasks of the WebSocket clients of one server.
pub(crate) struct Clients {
    pub(crate) app: Arc<App>,
    /// Delivers each update of the cache to the clients.
    pub(crate) hub: Arc<Hub>,
    /// The tasks that the server waits for when it stops.
    pub(crate) tasks: Arc<Tasks>,
    /// One permit for each client that may still connect.
    pub(crate) permits: Arc<Semaphore>,
    /// The limit on the clients of one address.
    pub(crate) per_address: Arc<Places>,
    pub(crate) stopping: Stopping,
}

impl Clients {
    /// A hub without clients, and the limits of the settings.
    pub(crate) fn new(app: Arc<App>, tasks: Arc<Tasks>, stopping: Stopping) -> Clients {
        let max_clients = app.settings.max_websockets.min(Semaphore::MAX_PERMITS);
        Clients {
            hub: Arc::new(Hub::new(app.pipeline.clone(), app.clock.clone())),
            tasks,
            permits: Arc::new(Semaphore::new(max_clients)),
            per_address: Places::new(app.settings.max_websockets_per_address),
            stopping,
            app,
        }
    }
}
