//! The task of one client: the greeting, then the mailbox at the client's pace, its messages, and the farewell.

use super::connection::{self, Connection, Farewell, Heard, Sink, Stream};
use super::frame::{self, Frame};
use super::hub::{Hub, Membership};
use super::mailbox::Mailbox;
use super::subscription::Subscription;
use crate::app::Data;
use crate::settings::MAX_MESSAGE_BYTES;
use crate::websocket::clients::Clients;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;
use tallow_model::EventTime;
use tallow_model::error::chain;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Serves a client from the handshake to the end.
pub(crate) async fn run(
    shared: Arc<Clients>,
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
    data: &Arc<Data>,
    subscription: &Subscription,
    sink: &mut Sink,
) -> Farewell {
    let Connection { shared, mailbox, .. } = connection;
    if let Some(symbol) = subscription.symbol.filter(|symbol| !shared.hub.knows(*symbol)) {
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
    let most_missed = shared.app.settings.client_queue;
    let mut membership = shared.hub.join(subscription, mailbox.clone(), most_missed);
    complete(&shared.hub, data, subscription, mailbox, &mut membership).await;
    if let Err(farewell) = connection.greet(sink, greeting(subscription, &mut membership)).await {
        return farewell;
    }
    connection.write(sink, Some(keepalive)).await
}

fn keepalive(shared: &Clients) -> Frame {
    frame::keepalive(shared.app.now(), shared.hub.clients())
}

/// Adds to the snapshot of the hub, which has seen only what has come since the server started, what the stores have.
async fn complete(
    hub: &Hub,
    data: &Arc<Data>,
    subscription: &Subscription,
    mailbox: &Mailbox,
    membership: &mut Membership,
) {
    let seen = membership.snapshot.iter().map(|shown| (shown.candle.symbol, shown.candle.interval)).collect();
    for shown in hub.lookups.complete(data, subscription, &seen).await {
        mailbox.told(&shown.candle);
        hub.found(shown.clone());
        membership.snapshot.push(shown);
    }
    membership.snapshot.sort_by_key(|shown| (shown.candle.symbol, shown.candle.interval));
}

/// The first frames, each written when it is asked for: what they are made of is shared with other clients.
fn greeting(subscription: &Subscription, membership: &mut Membership) -> impl Iterator<Item = Frame> + use<> {
    let snapshot = std::mem::take(&mut membership.snapshot);
    let missed = membership.missed.take();
    let stamp = membership.stamp.clone();
    let name = subscription.name();
    let newest = snapshot.first().map_or(0, |shown| shown.candle.seq);
    let resync = |interval, from_seq| Some(frame::resync_required(stamp.time, &name, interval, from_seq));
    let notice = match (subscription.resume_from, subscription.only(), &missed) {
        (None, ..) | (.., Some(_)) => None,
        (Some(_), None, None) => resync(None, 0),
        // The snapshot is all that was missed.
        (Some(seq), Some(_), None)
            if !membership.has_gap && (newest == seq || newest == seq.saturating_add(1)) =>
        {
            None
        }
        (Some(seq), Some((_, interval)), None) => resync(Some(interval), seq.saturating_add(1)),
    };
    let opening = [Some(stamp.connection(&name)), notice].into_iter().flatten();
    let missed = subscription.symbol.zip(missed).map(|(symbol, missed)| {
        let stamp = stamp.clone();
        missed.into_iter().map(move |json| stamp.price_update(symbol, &json))
    });
    let initial = snapshot.into_iter().map(move |shown| stamp.initial_data(shown.candle.symbol, &shown.json));
    opening.chain(missed.into_iter().flatten()).chain(initial)
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
