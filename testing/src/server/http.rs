//! A plain HTTP client: one connection a request.

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

/// A client of a server: its address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The address of the server.
    pub address: SocketAddr,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    /// The code of a problem document, after checking that it is one.
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

/// An answer whose head has come. Dropped, its connection is closed.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Answer {
    /// The next part of the body.
    pub async fn part(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = within(self.body.frame()).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    /// All that is left of the body, if it has a proper end.
    pub async fn rest(mut self) -> Result<Bytes, hyper::Error> {
        within((&mut self.body).collect()).await.map(|body| body.to_bytes())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[]).await
    }

    /// The JSON of an answer that must be 200.
    pub async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
        reply.json()
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let answer = self.ask(stream, method, path, headers).await;
        let (status, headers) = (answer.status, answer.headers.clone());
        let body = answer.rest().await.unwrap();
        Reply { status, headers, body }
    }

    /// An answer whose body waits to be read: in small buffers, so that the server soon waits too.
    pub async fn begin(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        self.ask(stream, "GET", path, headers).await
    }

    async fn ask(&self, stream: TcpStream, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
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
        Answer { status: head.status, headers: head.headers, body, connection }
    }

    /// Sends raw bytes and reads until the server closes the connection.
    pub async fn send_raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        answer
    }
}
