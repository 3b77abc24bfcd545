//! The connection of one client, whichever dialect it speaks: its mailbox is written out at its pace, pings go out, its
//! messages come in, and in the end it is told why.

use super::frame::Frame;
use super::heartbeat::Heartbeat;
use super::mailbox::{End, Mailbox};
use crate::settings::FAREWELL_LIMIT;
use crate::websocket::clients::Clients;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// The most frames that are written before the socket is flushed. What has been taken can't be conflated any more.
const BATCH: usize = 32;

/// What is read at a time, in bytes. Every client has such a buffer, and it is cleared whenever its task looks whether
/// there is something to read: with each frame.
const READ_BUFFER: usize = 512;

/// How many messages a second a client may send, pings included, and how many at once.
const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).unwrap();

type Socket = WebSocketStream<TokioIo<Upgraded>>;
/// The half that is written.
pub(super) type Sink = SplitSink<Socket, Message>;
/// The half that is read.
pub(super) type Stream = SplitStream<Socket>;

/// How a connection ends.
pub(super) enum Farewell {
    /// With this code and reason.
    Close(CloseCode, &'static str),
    /// The client is gone, or has said good-bye itself.
    Gone,
}

/// A message of the client's that means something.
pub(super) enum Heard {
    /// To be understood.
    Text(Frame),
    /// A ping, or a pong that nobody has asked for. A ping has been answered already.
    Control,
}

/// What the reader and the writer of one client share.
pub(super) struct Connection {
    pub(super) shared: Arc<Clients>,
    pub(super) mailbox: Arc<Mailbox>,
    heartbeat: Heartbeat,
    messages: DefaultDirectRateLimiter,
}

/// Waits until the handshake is complete. Messages may have so many bytes.
pub(super) async fn open(upgraded: OnUpgrade, max_message_bytes: usize) -> Option<(Sink, Stream)> {
    let upgraded = match upgraded.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::debug!(%error, "handshake not completed");
            return None;
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(16 * 1024)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    Some(WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await.split())
}

impl Connection {
    /// A connection with an empty mailbox.
    pub(super) fn new(shared: Arc<Clients>) -> Connection {
        let settings = &shared.app.settings;
        let mailbox = Arc::new(Mailbox::new(settings.client_queue));
        let heartbeat = Heartbeat::new(settings.pong_timeout);
        let messages = RateLimiter::direct(Quota::per_second(MESSAGES_PER_SECOND));
        Connection { shared, mailbox, heartbeat, messages }
    }

    /// Returns once the connection must end, whatever the client says: the server stops, the client takes in too little
    /// or is dead, or something that it had to be sent is lost.
    pub(super) async fn over(&self) -> Farewell {
        let stopping = &self.shared.stopping;
        tokio::select! {
            biased;
            () = stopping.cancelled() => Farewell::Close(CloseCode::Away, "server is stopping"),
            end = self.mailbox.ended() => match end {
                End::Overflow => self.evicted("client is too slow"),
                End::Gap(reason) => Farewell::Close(CloseCode::Again, reason),
            },
            () = self.heartbeat.missed() => self.evicted("no ping was answered in time"),
        }
    }

    /// Writes the greeting, as many frames at a time as are taken from the mailbox: a slow client need not take in all of
    /// it within the time that it has for one part, and no more of it than a part is in memory.
    pub(super) async fn greet(
        &self,
        sink: &mut Sink,
        mut greeting: impl Iterator<Item = Frame>,
    ) -> Result<(), Farewell> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.extend(greeting.by_ref().take(BATCH).map(Message::Text));
            if batch.is_empty() {
                return Ok(());
            }
            self.send(sink, &mut batch).await?;
        }
    }

    /// Writes the mailbox, until the connection fails or the client accepts nothing any more. What `keepalive` makes
    /// breaks a silence.
    pub(super) async fn write(&self, sink: &mut Sink, keepalive: Option<fn(&Clients) -> Frame>) -> Farewell {
        let settings = &self.shared.app.settings;
        let mut batch: Vec<Message> = Vec::new();
        let mut silent_from = Instant::now();
        let mut next_ping = silent_from + settings.ping_interval;
        // One timer for both, which is set when it rings: a frame moves the end of a silence, and touches no timer.
        let mut due = pin!(sleep_until(silent_from + settings.keepalive.min(settings.ping_interval)));
        loop {
            tokio::select! {
                biased;
                () = due.as_mut() => {
                    let now = Instant::now();
                    if next_ping <= now {
                        next_ping = now + settings.ping_interval;
                        batch.push(self.heartbeat.ping());
                    }
                    let mut next = next_ping;
                    if let Some(keepalive) = keepalive {
                        if silent_from + settings.keepalive <= now {
                            silent_from = now;
                            batch.push(Message::Text(keepalive(&self.shared)));
                        }
                        next = next.min(silent_from + settings.keepalive);
                    }
                    due.as_mut().reset(next);
                }
                () = self.mailbox.next(BATCH, |frame| batch.push(Message::Text(frame))) => {
                    silent_from = Instant::now();
                }
            }
            if let Err(farewell) = self.send(sink, &mut batch).await {
                return farewell;
            }
        }
    }

    /// Writes these messages, which the client must accept in time.
    async fn send(&self, sink: &mut Sink, batch: &mut Vec<Message>) -> Result<(), Farewell> {
        let deadline = Instant::now() + self.shared.app.settings.send_timeout;
        let written = timeout_at(deadline, async {
            for message in batch.drain(..) {
                sink.feed(message).await?;
            }
            sink.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Farewell::Gone),
            Err(_) => Err(self.evicted("client is too slow")),
        }
    }

    /// The client is closed because it takes in too little.
    fn evicted(&self, reason: &'static str) -> Farewell {
        self.shared.hub.evict();
        Farewell::Close(CloseCode::Again, reason)
    }

    /// The next message of the client's, if it does not send too many. Pings of the protocol are answered below this.
    pub(super) async fn hear(&self, stream: &mut Stream) -> Result<Heard, Farewell> {
        let heard = self.next(stream).await?;
        match self.messages.check() {
            Ok(()) => Ok(heard),
            Err(_) => Err(Farewell::Close(CloseCode::Policy, "too many messages, 5 a second are the most")),
        }
    }

    async fn next(&self, stream: &mut Stream) -> Result<Heard, Farewell> {
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Heard::Text(text)),
                Some(Ok(Message::Binary(_))) => {
                    return Err(Farewell::Close(CloseCode::Unsupported, "messages must be text"));
                }
                Some(Ok(Message::Pong(payload))) if self.heartbeat.pong(&payload) => {}
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(Heard::Control),
                // After a close frame comes the end.
                Some(Ok(Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(farewell_of(&error)),
                None => return Err(Farewell::Gone),
            }
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

/// Ends the connection. A client that takes its time over the farewell is cut off.
pub(super) async fn end(farewell: Farewell, sink: Sink, stream: Stream) {
    if let Farewell::Close(code, reason) = farewell {
        let _ = timeout(FAREWELL_LIMIT, close(sink, stream, code, reason)).await;
    }
}

/// Says good-bye and hears the client out, so that the close frame is not lost to a reset.
async fn close(mut sink: Sink, mut stream: Stream, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
