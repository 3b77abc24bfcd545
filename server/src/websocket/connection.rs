//! The connection of one client, in either protocol: it sends the mailbox at the client's pace,
//! sends pings, receives messages, and closes with a reason.

use super::clients::Clients;
use super::frame::Frame;
use super::heartbeat::Heartbeat;
use super::mailbox::{Mailbox, MailboxEnd};
use crate::settings::FAREWELL_LIMIT;
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

/// The maximum number of frames that are written before the socket is flushed.
///
/// Frames that have been taken from the mailbox are not conflated any more.
const MAX_BATCH_FRAMES: usize = 32;

/// The size of a client's read buffer.
///
/// Every client has one, and it is cleared with each frame, when the task checks for messages.
const READ_BUFFER_BYTES: usize = 512;

const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// The maximum number of messages that a client may send a second, pings included; also the burst.
const MAX_MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).unwrap();

type ServerSocket = WebSocketStream<TokioIo<Upgraded>>;
/// The half of a connection that sends frames.
pub(super) type FrameSink = SplitSink<ServerSocket, Message>;
/// The half of a connection that receives messages.
pub(super) type MessageStream = SplitStream<ServerSocket>;

/// The way in which the server ends a connection.
pub(super) enum Disconnect {
    /// With a close frame of this code and reason.
    Close(CloseCode, &'static str),
    /// Without a close frame: the client is gone or has closed the connection itself.
    Gone,
}

/// A message that counts to the limit on messages.
pub(super) enum ClientMessage {
    /// A text for the protocol.
    Text(Frame),
    /// A ping, which has been answered already, or a pong that answers no ping.
    Control,
}

/// The state that the reader and the writer of one client share.
pub(super) struct Connection {
    pub(super) clients: Arc<Clients>,
    pub(super) mailbox: Arc<Mailbox>,
    heartbeat: Heartbeat,
    message_rate: DefaultDirectRateLimiter,
}

/// Waits until the handshake is complete; `None` if it fails.
pub(super) async fn open(
    upgraded: OnUpgrade,
    max_message_bytes: usize,
) -> Option<(FrameSink, MessageStream)> {
    let upgraded = match upgraded.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::debug!(%error, "handshake not completed");
            return None;
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    Some(WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await.split())
}

impl Connection {
    /// A connection with an empty mailbox.
    pub(super) fn new(clients: Arc<Clients>) -> Connection {
        let settings = &clients.app.settings;
        let mailbox = Arc::new(Mailbox::new(settings.client_queue));
        let heartbeat = Heartbeat::new(settings.pong_timeout);
        let message_rate = RateLimiter::direct(Quota::per_second(MAX_MESSAGES_PER_SECOND));
        Connection { clients, mailbox, heartbeat, message_rate }
    }

    /// Returns once the server must end the connection.
    ///
    /// The server stops, the client is too slow or dead, or a frame for the client is lost.
    pub(super) async fn ended(&self) -> Disconnect {
        let stopping = &self.clients.stopping;
        tokio::select! {
            biased;
            () = stopping.cancelled() => Disconnect::Close(CloseCode::Away, "server is stopping"),
            end = self.mailbox.ended() => match end {
                MailboxEnd::Overflow => self.evicted("client is too slow"),
                MailboxEnd::Gap(reason) => Disconnect::Close(CloseCode::Again, reason),
            },
            () = self.heartbeat.missed() => self.evicted("no ping was answered in time"),
        }
    }

    /// Sends frames in batches of [`MAX_BATCH_FRAMES`].
    ///
    /// The send timeout applies to each batch, so that a slow client need not accept all frames
    /// within it, and only one batch is in memory.
    ///
    /// # Errors
    /// If the client is gone or does not accept a batch in time.
    pub(super) async fn send_all(
        &self,
        sink: &mut FrameSink,
        mut frames: impl Iterator<Item = Frame>,
    ) -> Result<(), Disconnect> {
        let mut batch = Vec::with_capacity(MAX_BATCH_FRAMES);
        loop {
            batch.extend(frames.by_ref().take(MAX_BATCH_FRAMES).map(Message::Text));
            if batch.is_empty() {
                return Ok(());
            }
            self.send(sink, &mut batch).await?;
        }
    }

    /// Sends the frames of the mailbox until the client is gone or does not accept them in time.
    ///
    /// Also sends pings, and a `keepalive` frame after a silence.
    pub(super) async fn send_mailbox(
        &self,
        sink: &mut FrameSink,
        keepalive: Option<fn(&Clients) -> Frame>,
    ) -> Disconnect {
        let settings = &self.clients.app.settings;
        let mut batch: Vec<Message> = Vec::new();
        let mut silent_since = Instant::now();
        let mut next_ping = silent_since + settings.ping_interval;
        // One timer serves pings and keepalives. It is reset only when it fires: a frame moves the
        // end of the silence without touching the timer.
        let mut due = pin!(sleep_until(silent_since + settings.keepalive.min(settings.ping_interval)));
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
                        if silent_since + settings.keepalive <= now {
                            silent_since = now;
                            batch.push(Message::Text(keepalive(&self.clients)));
                        }
                        next = next.min(silent_since + settings.keepalive);
                    }
                    due.as_mut().reset(next);
                }
                () = self.mailbox.next(MAX_BATCH_FRAMES, |frame| batch.push(Message::Text(frame))) => {
                    silent_since = Instant::now();
                }
            }
            if let Err(disconnect) = self.send(sink, &mut batch).await {
                return disconnect;
            }
        }
    }

    /// Sends messages, which the client must accept within the send timeout.
    async fn send(&self, sink: &mut FrameSink, batch: &mut Vec<Message>) -> Result<(), Disconnect> {
        let deadline = Instant::now() + self.clients.app.settings.send_timeout;
        let written = timeout_at(deadline, async {
            for message in batch.drain(..) {
                sink.feed(message).await?;
            }
            sink.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Disconnect::Gone),
            Err(_) => Err(self.evicted("client is too slow")),
        }
    }

    fn evicted(&self, reason: &'static str) -> Disconnect {
        self.clients.hub.count_eviction();
        Disconnect::Close(CloseCode::Again, reason)
    }

    /// Receives the next message. The WebSocket library answers pings.
    ///
    /// # Errors
    /// If the client is gone, sends an invalid message, or sends too many messages.
    pub(super) async fn receive(&self, stream: &mut MessageStream) -> Result<ClientMessage, Disconnect> {
        let message = self.next(stream).await?;
        match self.message_rate.check() {
            Ok(()) => Ok(message),
            Err(_) => Err(Disconnect::Close(CloseCode::Policy, "too many messages, 5 a second are the most")),
        }
    }

    async fn next(&self, stream: &mut MessageStream) -> Result<ClientMessage, Disconnect> {
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(ClientMessage::Text(text)),
                Some(Ok(Message::Binary(_))) => {
                    return Err(Disconnect::Close(CloseCode::Unsupported, "messages must be text"));
                }
                Some(Ok(Message::Pong(payload))) if self.heartbeat.pong(&payload) => {}
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(ClientMessage::Control),
                // The stream ends after a close frame.
                Some(Ok(Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(disconnect_after(&error)),
                None => return Err(Disconnect::Gone),
            }
        }
    }
}

fn disconnect_after(error: &tungstenite::Error) -> Disconnect {
    match error {
        tungstenite::Error::Capacity(_) => Disconnect::Close(CloseCode::Size, "message is too long"),
        tungstenite::Error::Utf8(_) => Disconnect::Close(CloseCode::Invalid, "text is not UTF-8"),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            Disconnect::Gone
        }
        tungstenite::Error::Protocol(_) => Disconnect::Close(CloseCode::Protocol, "not a WebSocket frame"),
        _ => Disconnect::Gone,
    }
}

/// Ends the connection, within [`FAREWELL_LIMIT`] even if the client does not answer the close
/// frame.
pub(super) async fn close(disconnect: Disconnect, sink: FrameSink, stream: MessageStream) {
    if let Disconnect::Close(code, reason) = disconnect {
        let _ = timeout(FAREWELL_LIMIT, send_close(sink, stream, code, reason)).await;
    }
}

/// Sends the close frame and reads until the client has closed, so that no reset discards the
/// frame.
async fn send_close(mut sink: FrameSink, mut stream: MessageStream, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
