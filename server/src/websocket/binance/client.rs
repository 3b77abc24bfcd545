//! The task of one client of the market streams.

use super::super::clients::Clients;
use super::super::connection::{self, ClientMessage, Connection, Disconnect, MessageStream};
use super::super::frame::Frame;
use super::super::subscription::SeriesKey;
use super::address::{MAX_STREAMS, StreamAddress};
use super::command::{self, StreamCommand};
use super::errors::StreamError;
use super::membership::StreamMembership;
use super::stream_name;
use crate::app::Data;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tallow_model::error::chain;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The maximum size of a message: the names of all streams of a connection, at about 30 bytes each.
const MAX_MESSAGE_BYTES: usize = 32 * 1024;

/// Serves a client from the handshake to the end of its connection.
pub(crate) async fn run(clients: Arc<Clients>, data: Arc<Data>, upgraded: OnUpgrade, address: StreamAddress) {
    let Some((mut sink, mut stream)) = connection::open(upgraded, MAX_MESSAGE_BYTES).await else { return };
    let connection = Connection::new(clients.clone());
    let membership =
        StreamMembership::join(clients.hub.clone(), connection.mailbox.clone(), address.combined);
    let disconnect = tokio::select! {
        biased;
        disconnect = connection.ended() => disconnect,
        disconnect = connection.send_mailbox(&mut sink, None) => disconnect,
        disconnect = answer_requests(&connection, &data, membership, &address, &mut stream) => disconnect,
    };
    connection::close(disconnect, sink, stream).await;
}

/// Subscribes to the streams of the address, then answers the client's requests.
async fn answer_requests(
    connection: &Connection,
    data: &Data,
    mut membership: StreamMembership,
    address: &StreamAddress,
    stream: &mut MessageStream,
) -> Disconnect {
    match check(&connection.clients, data, &address.streams).await {
        Ok(()) => membership.subscribe(&address.streams, None),
        Err(StreamError::Stores) => {
            return Disconnect::Close(CloseCode::Again, "the stores can't answer at the moment");
        }
        Err(_) => return Disconnect::Close(CloseCode::Policy, "unknown symbol"),
    }
    loop {
        let message = match connection.receive(stream).await {
            Ok(message) => message,
            Err(disconnect) => return disconnect,
        };
        if let ClientMessage::Text(text) = message {
            let (id, command) = command::parse(&text);
            let outcome = match command {
                Ok(command) => execute(&connection.clients, data, &mut membership, &id, command).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                connection.mailbox.keep(command::response(&id, Err(error)));
            }
        }
    }
}

/// Executes a request and queues its response; an error has none yet.
async fn execute(
    clients: &Clients,
    data: &Data,
    membership: &mut StreamMembership,
    id: &Value,
    command: StreamCommand,
) -> Result<(), StreamError> {
    let response = |result: Value| -> Frame { command::response(id, Ok(result)) };
    match command {
        StreamCommand::Subscribe(streams) => {
            if membership.streams().union(&streams).count() > MAX_STREAMS {
                return Err(StreamError::too_many_streams());
            }
            check(clients, data, &streams).await?;
            membership.subscribe(&streams, Some(response(Value::Null)));
        }
        StreamCommand::Unsubscribe(streams) => membership.unsubscribe(&streams, response(Value::Null)),
        StreamCommand::ListSubscriptions => {
            let names: Vec<String> = membership.streams().iter().map(|key| stream_name::name(*key)).collect();
            membership.respond(response(names.into()));
        }
        StreamCommand::SetCombined(combined) => membership.set_combined(combined, response(Value::Null)),
        StreamCommand::GetCombined => membership.respond(response(membership.is_combined().into())),
    }
    Ok(())
}

/// Checks that the stores have the symbols of these streams.
///
/// The client's pongs wait meanwhile, so the check has the time limit of a request.
async fn check(clients: &Clients, data: &Data, streams: &BTreeSet<SeriesKey>) -> Result<(), StreamError> {
    let limit = clients.app.settings.request_timeout;
    timeout(limit, are_known(data, streams)).await.unwrap_or_else(|_| {
        tracing::warn!(limit_ms = limit.as_millis(), "symbols not looked up in time");
        Err(StreamError::Stores)
    })
}

async fn are_known(data: &Data, streams: &BTreeSet<SeriesKey>) -> Result<(), StreamError> {
    let stores = |error: tallow_model::Error| {
        tracing::warn!(error = chain(&error), "symbols not looked up");
        StreamError::Stores
    };
    let unknown = |key: SeriesKey| {
        StreamError::Invalid(format!("unknown symbol in stream {:?}", stream_name::name(key)))
    };
    let mut streams = streams.iter().copied();
    match (streams.next(), streams.len()) {
        (None, _) => Ok(()),
        (Some(only), 0) => match data.knows(only.0).await.map_err(stores)? {
            true => Ok(()),
            false => Err(unknown(only)),
        },
        (Some(first), _) => {
            let known = data.symbols().await.map_err(stores)?;
            let missing = std::iter::once(first).chain(streams).find(|(symbol, _)| !known.contains(symbol));
            missing.map_or(Ok(()), |key| Err(unknown(key)))
        }
    }
}
