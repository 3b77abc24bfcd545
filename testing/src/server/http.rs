//! An HTTP client with one connection a request.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// The longest wait for an outcome. It guards against hanging.
pub const DEADLINE: Duration = crate::wait::LIMIT;

/// Returns the output of a future, which must come before [`DEADLINE`].
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("an outcome before the deadline")
}

/// A client of a server, which connects for each request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The address of the server.
    pub address: SocketAddr,
}

/// A complete response.
#[derive(Debug)]
pub struct Reply {
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The whole body, as it was sent.
    pub body: Bytes,
}

impl Reply {
    /// Parses the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The value of a header that must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    /// The code of the problem document, after checking its fields.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert_eq!(document["request_id"], self.header("x-request-id"));
        for field in ["type", "title", "detail"] {
            assert!(document[field].as_str().is_some_and(|text| !text.is_empty()), "{document}");
        }
        document["code"].as_str().unwrap().to_owned()
    }
}

/// A response whose head has arrived. Dropping it closes the connection.
pub struct PartialReply {
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl PartialReply {
    /// The next part of the body.
    pub async fn part(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = within(self.body.frame()).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    /// Returns the rest of the body.
    ///
    /// # Errors
    ///
    /// If the body ends abruptly.
    pub async fn rest(mut self) -> Result<Bytes, hyper::Error> {
        within((&mut self.body).collect()).await.map(|body| body.to_bytes())
    }
}

impl Drop for PartialReply {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Sends `GET path` and reads the whole response.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[]).await
    }

    /// The JSON of a response that must have status 200.
    pub async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
        reply.json()
    }

    /// Sends a request without a body and reads the whole response.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let reply = self.request(stream, method, path, headers).await;
        let (status, headers) = (reply.status, reply.headers.clone());
        let body = reply.rest().await.unwrap();
        Reply { status, headers, body }
    }

    /// A response with an unread body, over small buffers, so that the server is blocked soon.
    pub async fn begin(&self, path: &str, headers: &[(&str, &str)]) -> PartialReply {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        self.request(stream, "GET", path, headers).await
    }

    async fn request(
        &self,
        stream: TcpStream,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> PartialReply {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.await) });
        let mut request =
            Request::builder().method(method).uri(path).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (head, body) = within(sender.send_request(request)).await.unwrap().into_parts();
        PartialReply { status: head.status, headers: head.headers, body, connection }
    }

    /// Sends raw bytes and reads until the server closes the connection.
    pub async fn send_raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut response = Vec::new();
        let _ = within(stream.read_to_end(&mut response)).await;
        response
    }
}
