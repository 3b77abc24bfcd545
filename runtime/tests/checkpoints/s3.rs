//! S3, as a server in this process speaks it: signatures are checked, and objects lie in a folder.

use crate::fixture::{
    assert_shares, id, newest, origin, part, until, until_problem, until_written, write, writer,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use std::sync::Arc;
use tallow_model::error::chain;
use tallow_runtime::checkpoint::{CheckpointConfig, CheckpointStore};
use tempfile::{TempDir, tempdir};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch::Sender;

const KEY: &str = "tallow";
const SECRET: &str = "correct-horse-battery";

struct Server {
    endpoint: String,
    /// Whether it takes connections; if not, it closes them.
    up: Arc<Sender<bool>>,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let up = Arc::new(Sender::new(true));
        runtime.spawn({
            let up = Arc::clone(&up);
            async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let (service, mut up) = (service.clone(), up.subscribe());
                    if !*up.borrow() {
                        continue;
                    }
                    tokio::spawn(async move {
                        let serving = Builder::new(TokioExecutor::new());
                        let connection = serving.serve_connection(TokioIo::new(socket), service);
                        // A server that has gone down answers nobody any more.
                        tokio::select! {
                            _ = connection => {}
                            _ = up.wait_for(|up| !up) => {}
                        }
                    });
                }
            }
        });
        Server { endpoint, up, _runtime: runtime, _folder: folder }
    }

    fn store(&self, prefix: &str, secret: &str) -> CheckpointStore {
        let variables = [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
            // Of another program: not for the store.
            ("BUCKET", "other"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = CheckpointConfig { url: format!("s3://bucket/{prefix}"), ..CheckpointConfig::default() };
        CheckpointStore::open_with(&config, origin(), &variables).unwrap()
    }
}

#[test]
fn checkpoints_are_kept_on_s3_as_in_a_folder() {
    let server = Server::start();
    let store = server.store("some/prefix", SECRET);
    assert_eq!(newest(&store), None);
    for minute in 1..=5 {
        write(&store, id(minute), 2);
    }
    assert_shares(&store.newest().unwrap().unwrap(), id(5), 2);
    store.register_run(1, 4).unwrap();
    store.register_run(1, 4).unwrap();
    assert_eq!(store.most_workers().unwrap(), 4);
    // Another prefix is another place.
    assert_eq!(newest(&server.store("other", SECRET)), None);
    assert_eq!(store.discard_all().unwrap(), 3);
    assert_eq!(newest(&server.store("some/prefix", SECRET)), None);
}

/// The promise never to overwrite an object rests on this refusal.
#[test]
fn s3_refuses_to_write_over_an_object() {
    let server = Server::start();
    let client = AmazonS3Builder::new()
        .with_endpoint(&server.endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(KEY)
        .with_secret_access_key(SECRET)
        .with_bucket_name("bucket")
        .build()
        .unwrap();
    let at = Path::from("object");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        client.put_opts(&at, "first".into(), PutMode::Create.into()).await.unwrap();
        let again = client.put_opts(&at, "second".into(), PutMode::Create.into()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(client.get(&at).await.unwrap().bytes().await.unwrap(), "first");
    });
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let server = Server::start();
    let store = server.store("prefix", SECRET);
    write(&store, id(1), 1);
    server.up.send_replace(false);
    until("its connections are closed", || (server.up.receiver_count() == 0).then_some(()));
    let writer = writer(&store, 0..1);
    writer.submit(part(id(2), 0, 1), Vec::new()).unwrap();
    let problem = until_problem(&writer, "s3://bucket/prefix");
    assert!(problem.contains("HTTP error") && !problem.contains(SECRET), "{problem}");
    assert!(store.newest().is_err(), "a server that does not answer is not one without checkpoints");
    server.up.send_replace(true);
    until_written(&writer, 1);
    assert_shares(&store.newest().unwrap().unwrap(), id(2), 1);
}

#[test]
fn wrong_credentials_are_an_error_that_does_not_repeat_them() {
    let error = chain(&Server::start().store("prefix", "wrong-secret").newest().unwrap_err());
    assert!(error.starts_with("list s3://bucket/prefix") && !error.contains("wrong-secret"), "{error}");
}
