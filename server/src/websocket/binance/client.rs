//! The task of one client of streams.

use super::super::connection::{self, Connection, Farewell, Heard, Stream};
use super::super::frame::Frame;
use super::super::subscription::Key;
use super::mistake::Mistake;
use super::request::{self, Request};
use super::rooms::Seat;
use super::{MAX_STREAMS, Opening, stream};
use crate::app::Data;
use crate::websocket::clients::Clients;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tallow_model::error::chain;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The most bytes of a message: room for all streams that a connection may have, at some 30 a name.
const MAX_MESSAGE_BYTES: usize = 32 * 1024;

/// Serves a client from the handshake to the end.
pub(crate) async fn run(shared: Arc<Clients>, data: Arc<Data>, upgraded: OnUpgrade, opening: Opening) {
    let Some((mut sink, mut stream)) = connection::open(upgraded, MAX_MESSAGE_BYTES).await else { return };
    let connection = Connection::new(shared.clone());
    let seat = Seat::take(shared.hub.clone(), connection.mailbox.clone(), opening.combined);
    let farewell = tokio::select! {
        biased;
        farewell = connection.over() => farewell,
        farewell = connection.write(&mut sink, None) => farewell,
        farewell = converse(&connection, &data, seat, &opening, &mut stream) => farewell,
    };
    connection::end(farewell, sink, stream).await;
}

/// Opens the streams that the address asks for, then does what the client's messages ask for.
async fn converse(
    connection: &Connection,
    data: &Data,
    mut seat: Seat,
    opening: &Opening,
    stream: &mut Stream,
) -> Farewell {
    match check(&connection.shared, data, &opening.streams).await {
        Ok(()) => seat.subscribe(&opening.streams, None),
        Err(Mistake::Stores) => {
            return Farewell::Close(CloseCode::Again, "the stores can't answer at the moment");
        }
        Err(_) => return Farewell::Close(CloseCode::Policy, "unknown symbol"),
    }
    loop {
        let heard = match connection.hear(stream).await {
            Ok(heard) => heard,
            Err(farewell) => return farewell,
        };
        if let Heard::Text(text) = heard {
            let (id, request) = request::parse(&text);
            let outcome = match request {
                Ok(request) => obey(&connection.shared, data, &mut seat, &id, request).await,
                Err(mistake) => Err(mistake),
            };
            if let Err(mistake) = outcome {
                connection.mailbox.keep(request::answer(&id, Err(mistake)));
            }
        }
    }
}

/// Does what is asked for, and answers.
async fn obey(
    shared: &Clients,
    data: &Data,
    seat: &mut Seat,
    id: &Value,
    request: Request,
) -> Result<(), Mistake> {
    let answer = |result: Value| -> Frame { request::answer(id, Ok(result)) };
    match request {
        Request::Subscribe(streams) => {
            if seat.streams().union(&streams).count() > MAX_STREAMS {
                return Err(Mistake::too_many_streams());
            }
            check(shared, data, &streams).await?;
            seat.subscribe(&streams, Some(answer(Value::Null)));
        }
        Request::Unsubscribe(streams) => seat.unsubscribe(&streams, answer(Value::Null)),
        Request::ListSubscriptions => {
            let names: Vec<String> = seat.streams().iter().map(|key| stream::name(*key)).collect();
            seat.tell(answer(names.into()));
        }
        Request::SetCombined(combined) => seat.combine(combined, answer(Value::Null)),
        Request::GetCombined => seat.tell(answer(seat.combined().into())),
    }
    Ok(())
}

/// Whether one of the stores has every symbol of these. The client's pongs wait meanwhile, so the stores have no more time
/// than for a request.
async fn check(shared: &Clients, data: &Data, streams: &BTreeSet<Key>) -> Result<(), Mistake> {
    let limit = shared.app.settings.request_timeout;
    timeout(limit, are_known(data, streams)).await.unwrap_or_else(|_| {
        tracing::warn!(limit_ms = limit.as_millis(), "symbols not looked up in time");
        Err(Mistake::Stores)
    })
}

async fn are_known(data: &Data, streams: &BTreeSet<Key>) -> Result<(), Mistake> {
    let stores = |error: tallow_model::Error| {
        tracing::warn!(error = chain(&error), "symbols not looked up");
        Mistake::Stores
    };
    let unknown = |key: Key| Mistake::Invalid(format!("unknown symbol in stream {:?}", stream::name(key)));
    let mut streams = streams.iter().copied();
    match (streams.next(), streams.len()) {
        (None, _) => Ok(()),
        (Some(only), 0) => match data.knows(only.0).await.map_err(stores)? {
            true => Ok(()),
            false => Err(unknown(only)),
        },
        (Some(first), _) => {
            let known = data.symbols().await.map_err(stores)?;
            let stranger = std::iter::once(first).chain(streams).find(|(symbol, _)| !known.contains(symbol));
            stranger.map_or(Ok(()), |key| Err(unknown(key)))
        }
    }
}
