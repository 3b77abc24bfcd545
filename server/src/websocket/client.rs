//! The task of one client: the greeting, then the mailbox at the client's pace, its messages, and the farewell.

use super::frame::{self, Frame};
use super::hub::Membership;
use super::mailbox::Mailbox;
use super::series::Shown;
use super::subscription::Subscription;
use crate::api::latest::newest_closed;
use crate::app::Data;
use crate::server::Shared;
use crate::settings::{FAREWELL_LIMIT, MAX_MESSAGE_BYTES};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::collections::BTreeSet;
use std::sync::Arc;
use tallow_connectors::Error;
use tallow_connectors::dataflow::{EventTime, Interval, Symbol};
use tallow_connectors::error::chain;
use tallow_connectors::model::{CandleRow, LatestCandle};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// The most frames that are written before the socket is flushed. What has been taken can't be conflated any more.
const BATCH: usize = 32;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How a connection ends.
enum Farewell {
    /// With this code and reason.
    Close(CloseCode, &'static str),
    /// The client is gone, or has said good-bye itself.
    Gone,
}

/// Serves a client from the handshake to the end.
pub(crate) async fn run(
    shared: Arc<Shared>,
    data: Arc<Data>,
    upgraded: OnUpgrade,
    subscription: Subscription,
) {
    let upgraded = match upgraded.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return tracing::debug!(%error, "handshake not completed"),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(MAX_MESSAGE_BYTES)
        .write_buffer_size(16 * 1024)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let mailbox = Arc::new(Mailbox::new(subscription, shared.app.settings.client_queue));
    let mut stopping = shared.stopping.clone();
    let farewell = tokio::select! {
        biased;
        () = stopping.wait() => Farewell::Close(CloseCode::Away, "server is stopping"),
        () = mailbox.overflow() => evicted(&shared),
        farewell = serve(&shared, &data, &mailbox, &mut sink) => farewell,
        farewell = read(&shared, &mailbox, &mut stream) => farewell,
    };
    if let Farewell::Close(code, reason) = farewell {
        // A client that takes longer is cut off.
        let _ = timeout(FAREWELL_LIMIT, close(sink, stream, code, reason)).await;
    }
}

/// Greets the client, then sends what comes into its mailbox.
async fn serve(
    shared: &Shared,
    data: &Data,
    mailbox: &Arc<Mailbox>,
    sink: &mut SplitSink<Socket, Message>,
) -> Farewell {
    if let Some(symbol) = mailbox.subscription.symbol {
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
    let mut membership = shared.hub.join(mailbox.clone());
    complete(data, mailbox, &mut membership).await;
    let greeting = greeting(shared, mailbox, &membership);
    (membership.snapshot, membership.missed) = (Vec::new(), None);
    match write(shared, mailbox, sink, greeting).await {
        Ok(never) => match never {},
        Err(farewell) => farewell,
    }
}

/// Adds to the snapshot of the hub, which has seen only what has come since the server started, what the stores have.
async fn complete(data: &Data, mailbox: &Mailbox, membership: &mut Membership) {
    let subscription = &mailbox.subscription;
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
fn greeting(shared: &Shared, mailbox: &Mailbox, membership: &Membership) -> Vec<Frame> {
    let subscription = &mailbox.subscription;
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

/// Writes the greeting, then the mailbox, until the connection fails or the client accepts nothing any more.
async fn write(
    shared: &Shared,
    mailbox: &Mailbox,
    sink: &mut SplitSink<Socket, Message>,
    greeting: Vec<Frame>,
) -> Result<std::convert::Infallible, Farewell> {
    let settings = &shared.app.settings;
    let mut batch = greeting;
    loop {
        let deadline = Instant::now() + settings.send_timeout;
        let written = timeout_at(deadline, async {
            for frame in batch.drain(..) {
                sink.feed(Message::Text(frame)).await?;
            }
            sink.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Farewell::Gone),
            Err(_) => return Err(evicted(shared)),
        }
        match timeout(settings.keepalive, mailbox.next()).await {
            Ok(frame) => {
                batch.push(frame);
                batch.extend(std::iter::from_fn(|| mailbox.take()).take(BATCH - 1));
            }
            Err(_) => batch.push(frame::keepalive(shared.app.now(), shared.hub.clients())),
        }
    }
}

/// The client takes in too little.
fn evicted(shared: &Shared) -> Farewell {
    shared.hub.evict();
    Farewell::Close(CloseCode::Again, "client is too slow")
}

/// Takes the client's messages. Pings of the protocol are answered below this.
async fn read(shared: &Shared, mailbox: &Mailbox, stream: &mut SplitStream<Socket>) -> Farewell {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => mailbox.keep(reply(&text, shared.app.now())),
            Some(Ok(Message::Binary(_))) => {
                return Farewell::Close(CloseCode::Unsupported, "messages must be text");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return farewell_of(&error),
            None => return Farewell::Gone,
        }
    }
}

fn farewell_of(error: &tungstenite::Error) -> Farewell {
    match error {
        tungstenite::Error::Capacity(_) => Farewell::Close(CloseCode::Size, "message is too long"),
        tungstenite::Error::Utf8(_) => Farewell::Close(CloseCode::Invalid, "text is not UTF-8"),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            Farewell::Gone
        }
        tungstenite::Error::Protocol(_) => Farewell::Close(CloseCode::Protocol, "not a WebSocket frame"),
        _ => Farewell::Gone,
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

/// Says good-bye and hears the client out, so that the close frame is not lost to a reset.
async fn close(
    mut sink: SplitSink<Socket, Message>,
    mut stream: SplitStream<Socket>,
    code: CloseCode,
    reason: &'static str,
) {
    let frame = CloseFrame { code, reason: reason.into() };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
