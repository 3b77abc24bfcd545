//! The task of one client of `/ws/prices/{symbol}`: it sends the greeting and the mailbox, and
//! answers the client's messages.

use super::clients::Clients;
use super::connection::{self, ClientMessage, Connection, Disconnect, FrameSink, MessageStream};
use super::frame::{self, Frame};
use super::hub::{Hub, Membership};
use super::mailbox::Mailbox;
use super::subscription::Subscription;
use crate::app::Data;
use crate::settings::MAX_MESSAGE_BYTES;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;
use tallow_model::EventTime;
use tallow_model::error::chain;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Serves a client from the handshake to the end of its connection.
pub(crate) async fn run(
    clients: Arc<Clients>,
    data: Arc<Data>,
    upgraded: OnUpgrade,
    subscription: Subscription,
) {
    let Some((mut sink, mut stream)) = connection::open(upgraded, MAX_MESSAGE_BYTES).await else { return };
    let connection = Connection::new(clients);
    let disconnect = tokio::select! {
        biased;
        disconnect = connection.ended() => disconnect,
        disconnect = serve(&connection, &data, &subscription, &mut sink) => disconnect,
        disconnect = answer_messages(&connection, &mut stream) => disconnect,
    };
    connection::close(disconnect, sink, stream).await;
}

/// Sends the greeting, then the frames of the mailbox.
async fn serve(
    connection: &Connection,
    data: &Arc<Data>,
    subscription: &Subscription,
    sink: &mut FrameSink,
) -> Disconnect {
    let Connection { clients, mailbox, .. } = connection;
    if let Some(symbol) = subscription.symbol.filter(|symbol| !clients.hub.knows(*symbol)) {
        match data.knows(symbol).await {
            Ok(true) => {}
            Ok(false) => return Disconnect::Close(CloseCode::Policy, "unknown symbol"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "symbol not looked up");
                return Disconnect::Close(CloseCode::Again, "the stores can't answer at the moment");
            }
        }
    }
    // The client joins the hub before its snapshot is completed, so that no update falls between.
    let max_missed = clients.app.settings.client_queue;
    let mut membership = clients.hub.join(subscription, mailbox.clone(), max_missed);
    complete(&clients.hub, data, subscription, mailbox, &mut membership).await;
    if let Err(disconnect) = connection.send_all(sink, greeting(subscription, &mut membership)).await {
        return disconnect;
    }
    connection.send_mailbox(sink, Some(keepalive)).await
}

fn keepalive(clients: &Clients) -> Frame {
    frame::keepalive(clients.app.now(), clients.hub.clients())
}

/// Adds candles of the stores to the hub's snapshot, which has only series with updates since the
/// start.
async fn complete(
    hub: &Hub,
    data: &Arc<Data>,
    subscription: &Subscription,
    mailbox: &Mailbox,
    membership: &mut Membership,
) {
    let known = membership.snapshot.iter().map(|it| (it.candle.symbol, it.candle.interval)).collect();
    for stored in hub.lookups.complete(data, subscription, &known).await {
        mailbox.skip_through(&stored.candle);
        hub.add_stored(stored.clone());
        membership.snapshot.push(stored);
    }
    membership.snapshot.sort_by_key(|it| (it.candle.symbol, it.candle.interval));
}

/// The first frames. Each is written when it is needed, from JSON that clients share.
fn greeting(subscription: &Subscription, membership: &mut Membership) -> impl Iterator<Item = Frame> + use<> {
    let snapshot = std::mem::take(&mut membership.snapshot);
    let missed = membership.missed.take();
    let stamp = membership.stamp.clone();
    let name = subscription.name();
    let newest = snapshot.first().map_or(0, |it| it.candle.seq);
    let resync = |interval, from_seq| Some(frame::resync_required(stamp.time, &name, interval, from_seq));
    let notice = match (subscription.resume_from, subscription.only(), &missed) {
        (None, ..) | (.., Some(_)) => None,
        (Some(_), None, None) => resync(None, 0),
        // The snapshot has all that the client has missed.
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
    let initial = snapshot.into_iter().map(move |it| stamp.initial_data(it.candle.symbol, &it.json));
    opening.chain(missed.into_iter().flatten()).chain(initial)
}

async fn answer_messages(connection: &Connection, stream: &mut MessageStream) -> Disconnect {
    loop {
        match connection.receive(stream).await {
            Ok(ClientMessage::Text(text)) => {
                connection.mailbox.keep(reply(&text, connection.clients.app.now()));
            }
            Ok(ClientMessage::Control) => {}
            Err(disconnect) => return disconnect,
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
