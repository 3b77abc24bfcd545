//! The task of one client: the greeting, then the mailbox at the client's pace, its messages, and the farewell.

use super::connection::{self, Connection, Farewell, Heard, Sink, Stream};
use super::frame::{self, Frame};
use super::hub::Membership;
use super::mailbox::Mailbox;
use super::series::Shown;
use super::subscription::Subscription;
use crate::api::latest::newest_closed;
use crate::app::Data;
use crate::server::Shared;
use crate::settings::MAX_MESSAGE_BYTES;
use hyper::upgrade::OnUpgrade;
use std::collections::BTreeSet;
use std::sync::Arc;
use tallow_connectors::Error;
use tallow_connectors::dataflow::{EventTime, Interval, Symbol};
use tallow_connectors::error::chain;
use tallow_connectors::model::{CandleRow, LatestCandle};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Serves a client from the handshake to the end.
pub(crate) async fn run(
    shared: Arc<Shared>,
    data: Arc<Data>,
    upgraded: OnUpgrade,
    subscription: Subscription,
) {
    let Some((mut sink, mut stream)) = connection::open(upgraded, MAX_MESSAGE_BYTES).await else { return };
    let connection = Connection::new(shared);
    let farewell = tokio::select! {
        biased;
        farewell = connection.over() => farewell,
        farewell = serve(&connection, &data, &subscription, &mut sink) => farewell,
        farewell = converse(&connection, &mut stream) => farewell,
    };
    connection::end(farewell, sink, stream).await;
}

/// Greets the client, then sends what comes into its mailbox.
async fn serve(
    connection: &Connection,
    data: &Data,
    subscription: &Subscription,
    sink: &mut Sink,
) -> Farewell {
    let Connection { shared, mailbox, .. } = connection;
    if let Some(symbol) = subscription.symbol {
        match data.knows(symbol).await {
            Ok(true) => {}
            Ok(false) => return Farewell::Close(CloseCode::Policy, "unknown symbol"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "symbol not looked up");
                return Farewell::Close(CloseCode::Again, "the stores can't answer at the moment");
            }
        }
    }
    // First the place at the hub, then the snapshot: nothing falls between the two.
    let mut membership = shared.hub.join(subscription, mailbox.clone());
    complete(data, subscription, mailbox, &mut membership).await;
    let greeting = greeting(shared, subscription, &membership);
    (membership.snapshot, membership.missed) = (Vec::new(), None);
    connection.write(sink, greeting, Some(keepalive)).await
}

fn keepalive(shared: &Shared) -> Frame {
    frame::keepalive(shared.app.now(), shared.hub.clients())
}

/// Adds to the snapshot of the hub, which has seen only what has come since the server started, what the stores have.
async fn complete(data: &Data, subscription: &Subscription, mailbox: &Mailbox, membership: &mut Membership) {
    let seen: BTreeSet<(Symbol, Interval)> =
        membership.snapshot.iter().map(|shown| (shown.candle.symbol, shown.candle.interval)).collect();
    let symbols = match subscription.symbol {
        Some(symbol) => vec![symbol],
        None => match data.symbols().await {
            Ok(symbols) => symbols.into_iter().collect(),
            Err(error) => return tracing::warn!(error = chain(&error), "snapshot not completed"),
        },
    };
    let mut missing: Vec<(Symbol, Interval)> = Vec::new();
    for symbol in symbols {
        missing.extend(subscription.intervals.iter().map(|interval| (symbol, *interval)));
    }
    missing.retain(|key| !seen.contains(key));
    for (symbol, interval) in missing {
        match stored(data, symbol, interval, subscription.closed_only).await {
            Ok(Some(candle)) => {
                mailbox.told(&candle);
                if let Ok(json) = serde_json::to_string(&*candle) {
                    membership.snapshot.push(Shown { candle, json: json.into() });
                }
            }
            Ok(None) => {}
            Err(error) => return tracing::warn!(error = chain(&error), "snapshot not completed"),
        }
    }
    membership.snapshot.sort_by_key(|shown| (shown.candle.symbol, shown.candle.interval));
}

/// The newest candle that the cache has, or the newest closed one of the history.
async fn stored(
    data: &Data,
    symbol: Symbol,
    interval: Interval,
    closed_only: bool,
) -> Result<Option<Arc<LatestCandle>>, Error> {
    let cached = data.cache.newest(symbol, interval).await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        None
    });
    if let Some(candle) = cached.filter(|candle| candle.is_closed || !closed_only) {
        return Ok(Some(candle));
    }
    let row = newest_closed(data, symbol, interval).await?;
    Ok(row.map(|row| Arc::new(unpublished(&row, interval))))
}

/// A closed candle in the shape of an update, with the sequence number 0 of one that was not published.
fn unpublished(row: &CandleRow, interval: Interval) -> LatestCandle {
    LatestCandle {
        symbol: row.symbol,
        interval,
        window_start: row.window_start.millis() / 1000,
        window_end: row.window_end.millis() / 1000,
        open: row.open_price,
        high: row.high_price,
        low: row.low_price,
        close: row.close_price,
        volume_sum: row.volume_sum,
        quote_volume: row.vwap.map(|_| row.quote_volume),
        event_count: row.trade_count,
        is_closed: true,
        revision: row.revision,
        seq: 0,
        event_time: row.window_end,
    }
}

/// The first frames.
fn greeting(shared: &Shared, subscription: &Subscription, membership: &Membership) -> Vec<Frame> {
    let name = subscription.name();
    let Membership { snapshot, missed, .. } = membership;
    let mut frames = vec![shared.hub.stamped(|stamp| stamp.connection(&name))];
    if let Some(((symbol, interval), resume_from)) = subscription.resumes() {
        let newest = snapshot.first().map_or(0, |shown| shown.candle.seq);
        match missed {
            Some(missed) => frames.extend(
                missed.iter().map(|json| shared.hub.stamped(|stamp| stamp.price_update(symbol, json))),
            ),
            // The snapshot is all that was missed.
            None if newest == resume_from || newest == resume_from.saturating_add(1) => {}
            None => {
                let from_seq = resume_from.saturating_add(1);
                frames.push(frame::resync_required(shared.app.now(), &name, Some(interval), from_seq));
            }
        }
    }
    frames.extend(
        snapshot
            .iter()
            .map(|shown| shared.hub.stamped(|stamp| stamp.initial_data(shown.candle.symbol, &shown.json))),
    );
    frames
}

/// Answers the client's messages.
async fn converse(connection: &Connection, stream: &mut Stream) -> Farewell {
    loop {
        match connection.hear(stream).await {
            Ok(Heard::Text(text)) => connection.mailbox.keep(reply(&text, connection.shared.app.now())),
            Ok(Heard::Control) => {}
            Err(farewell) => return farewell,
        }
    }
}

fn reply(text: &str, now: EventTime) -> Frame {
    let message: Result<serde_json::Value, _> = serde_json::from_str(text);
    match message.as_ref().ok().and_then(|message| message.get("type")).and_then(|kind| kind.as_str()) {
        Some("ping") => frame::pong(now),
        Some(_) => frame::error(now, "the only type understood is \"ping\""),
        None => frame::error(now, "expected a JSON object with a \"type\""),
    }
}
