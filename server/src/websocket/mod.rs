//! Live prices over WebSocket: `/ws/prices/{symbol}`, and the market streams of Binance.
//!
//! One hub takes each update of the cache once, writes its frame once, and puts the frame into the
//! mailbox of every client that subscribes to it. A task for each client empties its mailbox at the
//! pace of the client. A slow client therefore delays nobody: its open candles are conflated in its
//! mailbox, and it is disconnected once too many frames wait that must not be dropped.
//!
//! Architecture invariant: the hub never waits for a client.

pub(crate) mod binance;
mod client;
mod clients;
mod connection;
mod delivered;
#[cfg(test)]
mod fixtures;
mod frame;
mod heartbeat;
mod hub;
mod hub_state;
mod lookups;
mod mailbox;
mod subscription;

pub(crate) use binance::StreamAddress;
pub(crate) use clients::Clients;
pub(crate) use hub::ClientStats;
pub(crate) use subscription::Subscription;

use crate::app::Data;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::http::response::Response;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::{Request, StatusCode};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

/// The protocol that a client speaks, with the subscription of its address.
pub(crate) enum Dialect {
    /// Tallow's own protocol.
    Native(Subscription),
    /// The protocol of Binance's market streams.
    Binance(StreamAddress),
}

/// Answers the handshake and starts the task of the client.
///
/// An unknown symbol is refused only after the handshake, with close code 1008, because a browser
/// does not show a page why a handshake has failed.
///
/// # Errors
/// A problem document if the page's origin is not allowed, the request is not a handshake, or a
/// limit on the number of clients is reached.
pub(crate) fn upgrade(
    clients: &Arc<Clients>,
    data: &Arc<Data>,
    caller: &Caller,
    mut request: Request<Incoming>,
    dialect: Dialect,
) -> Result<Response, Problem> {
    let settings = &clients.app.settings;
    if !caller.is_allowed(&settings.allowed_origins) {
        let detail = "pages of this origin may not connect";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", detail));
    }
    let response = create_response_with_body(&request, Default::default).map_err(|error| {
        let detail = format!("this is a WebSocket: {error}");
        Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", detail)
            .with(UPGRADE, "websocket")
            .with(CONNECTION, "Upgrade")
            .with(SEC_WEBSOCKET_VERSION, 13)
    })?;
    let permit = clients.permits.clone().try_acquire_owned().map_err(|_| {
        let max = settings.max_websockets;
        Problem::unavailable(format!("the server has its maximum of {max} WebSocket clients"))
    })?;
    let address_permit = clients.per_address.take(caller.address).ok_or_else(|| {
        let max = settings.max_websockets_per_address;
        Problem::unavailable(format!("this address has its maximum of {max} WebSocket clients"))
    })?;
    let upgraded = hyper::upgrade::on(&mut request);
    let (shared, data) = (clients.clone(), data.clone());
    clients.tasks.spawn(async move {
        match dialect {
            Dialect::Native(subscription) => client::run(shared, data, upgraded, subscription).await,
            Dialect::Binance(address) => binance::run(shared, data, upgraded, address).await,
        }
        drop((permit, address_permit));
    });
    Ok(response)
}
