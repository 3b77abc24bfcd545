//! `hello-server`: hyper with nothing behind it. Every response is the same few bytes.
//!
//! It is set up like Tallow's server: two threads, HTTP/1.1, no delay in sending. It prints its
//! address and serves until standard input ends.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::{Read, Write};
use tokio::net::TcpListener;

const THREADS: usize = 2;
const HELLO: &[u8] = b"hello\n";

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(HELLO))))
}

async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("accept a connection")?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            // A failed connection is ignored: the client measures.
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        });
    }
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).context("listen")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    let server = runtime.spawn(serve(listener));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    server.abort();
    Ok(())
}
