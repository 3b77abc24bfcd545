//! A WebSocket client of a test.

use super::http::{Client, within};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A connected client.
pub struct Socket(pub WebSocketStream<TcpStream>);

impl Client {
    /// A client that has completed the handshake.
    pub async fn connect(&self, path: &str) -> Socket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        let url = format!("ws://{}{path}", self.address);
        let (socket, _) = within(client_async(url, stream)).await.unwrap();
        Socket(socket)
    }

    /// A client that has read its greeting with this number of `initial_data` frames.
    pub async fn greeted(&self, path: &str, initial: usize) -> Socket {
        let mut socket = self.connect(path).await;
        assert_eq!(socket.frame().await["type"], "connection");
        for _ in 0..initial {
            assert_eq!(socket.frame().await["type"], "initial_data");
        }
        socket
    }
}

impl Socket {
    /// The next message of any kind.
    pub async fn message(&mut self) -> Message {
        within(self.0.next()).await.expect("a message").unwrap()
    }

    /// The next JSON frame; the library answers pings.
    pub async fn frame(&mut self) -> Value {
        loop {
            match self.message().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("expected a text frame: {other:?}"),
            }
        }
    }

    /// The code with which the server closes; frames before it are skipped.
    pub async fn close_code(&mut self) -> CloseCode {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.expect("a close frame with a code").code;
            }
        }
    }

    /// Sends a message of any kind.
    pub async fn send(&mut self, message: Message) {
        within(self.0.send(message)).await.unwrap();
    }

    /// Sends a text message.
    pub async fn say(&mut self, text: &str) {
        self.send(Message::text(text.to_owned())).await;
    }
}
