//! Live prices over WebSocket: `/ws/prices/{symbol}`, and the streams of Binance.
//!
//! One hub takes every update of the cache once, writes its frame once, and puts it into the mailbox of every client
//! that wants it; a task for each client takes from its mailbox at the client's pace. So a slow client delays nobody:
//! its open candles are conflated in its mailbox, and once too many frames wait that must not be dropped it is closed.
//!
//! Architecture invariant: the hub never waits for a client.

mod binance;
mod client;
mod clients;
mod connection;
mod frame;
mod heartbeat;
mod hub;
mod lookups;
mod mailbox;
mod series;
mod state;
mod subscription;

pub(crate) use binance::Opening;
pub(crate) use clients::Clients;
pub(crate) use hub::ClientFigures;
pub(crate) use subscription::Subscription;

use crate::app::Data;
use crate::http::cors::Caller;
use crate::http::problem::Problem;
use crate::http::response::Response;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::{Request, StatusCode};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

/// What a client speaks, and wants to be sent.
pub(crate) enum Dialect {
    /// Tallow's own.
    Native(Subscription),
    /// That of Binance's streams.
    Binance(Opening),
}

/// Answers the handshake and starts the task of the client.
///
/// A symbol that nobody has seen is refused only after the handshake, with close code 1008: a browser does not show a
/// page why a handshake has failed.
pub(crate) fn upgrade(
    clients: &Arc<Clients>,
    data: &Arc<Data>,
    caller: &Caller,
    mut request: Request<Incoming>,
    dialect: Dialect,
) -> Result<Response, Problem> {
    if !caller.is_allowed(&clients.app.settings.allowed_origins) {
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
        let most = clients.app.settings.max_websockets;
        Problem::unavailable(format!("{most} WebSocket clients are connected, the most there may be"))
    })?;
    let address_permit = clients.per_address.take(caller.address).ok_or_else(|| {
        let most = clients.app.settings.max_websockets_per_address;
        let detail =
            format!("{most} WebSocket clients are connected from this address, the most there may be");
        Problem::unavailable(detail)
    })?;
    let upgraded = hyper::upgrade::on(&mut request);
    let (shared, data) = (clients.clone(), data.clone());
    clients.tasks.spawn(async move {
        match dialect {
            Dialect::Native(subscription) => client::run(shared, data, upgraded, subscription).await,
            Dialect::Binance(opening) => binance::run(shared, data, upgraded, opening).await,
        }
        drop((permit, address_permit));
    });
    Ok(response)
}
