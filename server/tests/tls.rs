//! The server over TLS: HTTP, WebSocket, and clients without TLS.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tallow_server::{ServerSettings, Tls};
use tallow_testing::server::market::candle;
use tallow_testing::server::{Server, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The files of a certificate and its key.
struct Files {
    _folder: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
    der: CertificateDer<'static>,
}

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["tallow.test".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    Files { _folder: folder, certificate, key, der: cert.der().clone() }
}

async fn connect(server: &Server, files: &Files) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(files.der.clone()).unwrap();
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("tallow.test").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

#[tokio::test]
async fn http_and_websocket_work_over_tls() {
    let files = files();
    let tls = Tls::read(&files.certificate, &files.key).unwrap();
    let mut server = Server::start_over(tls, ServerSettings::default()).await;
    server.cache.publish(candle("BTC", 2, 101.25, false));

    let stream = connect(&server, &files).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("/api/v1/latest/BTC").header("host", "tallow.test");
    let reply = within(sender.send_request(request.body(Empty::<Bytes>::new()).unwrap())).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    let body = within(reply.into_body().collect()).await.unwrap().to_bytes();
    assert!(body.starts_with(br#"{"symbol":"BTC""#));
    connection.abort();

    let stream = connect(&server, &files).await;
    let (mut socket, _) =
        within(tokio_tungstenite::client_async("wss://tallow.test/ws/prices/BTC", stream)).await.unwrap();
    let first = within(socket.next()).await.unwrap().unwrap().into_text().unwrap();
    assert!(first.contains(r#""type":"connection""#), "{first}");
    server.tell_to_stop();
    server.stopped().await;
}

#[tokio::test]
async fn a_client_without_tls_is_disconnected() {
    let files = files();
    let settings = ServerSettings {
        max_connections: 1,
        header_read_timeout: Duration::from_millis(200),
        ..ServerSettings::default()
    };
    let mut server = Server::start_over(Tls::read(&files.certificate, &files.key).unwrap(), settings).await;
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    // The connection ends, with a reset if the server has not read all bytes.
    let _ = within(plain.read_to_end(&mut said)).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    // A silent client holds the only permit until its timeout.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let waiting = connect(&server, &files);
    assert_eq!(within(silent.read(&mut [0; 1])).await.unwrap(), 0);
    drop(within(waiting).await);
    server.tell_to_stop();
    server.stopped().await;
}

#[test]
fn mismatched_certificate_files_are_refused_by_name() {
    let (files, others) = (files(), self::files());
    let error = Tls::read(&files.certificate, &others.key).unwrap_err();
    let (certificate, key) = (files.certificate.display(), others.key.display());
    assert_eq!(error.to_string(), format!("use the certificate {certificate} with the key {key}"));
    let error = Tls::read(&files.certificate, &files.certificate).unwrap_err();
    assert_eq!(error.to_string(), format!("read a private key from {certificate}"));
    let error = Tls::read(&files.key, &files.key).unwrap_err();
    assert_eq!(error.to_string(), format!("read a certificate from {}", files.key.display()));
}
