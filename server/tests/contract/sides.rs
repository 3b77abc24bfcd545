//! Two servers over two pairs of stores with the same data. Each request goes to both, and their
//! responses must be equal.

use crate::market;
use hyper::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tallow_model::clock::ManualClock;
use tallow_model::store::{History, Pipeline, Sink};
use tallow_model::{LiveCandle, Step};
use tallow_runtime::remote::RemotePipeline;
use tallow_server::{App, ServerSettings, serve};
use tallow_testing::fixtures::embedded::{MemoryFixture, SqliteFixture};
use tallow_testing::fixtures::postgres::PostgresFixture;
use tallow_testing::fixtures::redis::RedisFixture;
use tallow_testing::fixtures::{CacheFixture, Fixture, StoreFixture};
use tallow_testing::server::http::Reply;
use tallow_testing::server::market::StillPipeline;
use tallow_testing::server::socket::Socket;
use tallow_testing::server::{Client, within};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The headers that differ between the two responses, with the reason.
const OWN_HEADERS: [(&str, &str); 7] = [
    ("date", "the clock of the machine"),
    ("x-request-id", "each request has its own"),
    ("x-process-time-ms", "the duration of the request"),
    ("server-timing", "the duration of the request"),
    ("x-data-source", "the name of the store, which is checked separately"),
    ("etag", "depends on the bytes, compared if the bytes are equal"),
    ("content-length", "depends on the bytes, compared if the bytes are equal"),
];

/// The fields that differ: path of the request, JSON pointer into the response, and reason.
const OWN_FIELDS: [(&str, &str, &str); 2] = [
    ("/health", "/services", "a service for each store, by its name; their health is checked separately"),
    ("/api/v1/stats", "/uptime_seconds", "each process has its own start time"),
];

/// The relative difference up to which two sums are equal, because databases add in different
/// orders.
const ROUNDING: f64 = 1e-12;

/// The number of updates that a subscriber may lag behind, as in `tallow up` and `tallow serve`.
const CAPACITY: usize = 16_384;

/// One pair of stores and its server.
struct Side<S, C> {
    client: Client,
    sink: Box<dyn Sink>,
    history: Arc<dyn History>,
    pipeline: Arc<dyn Pipeline>,
    cache: C,
    clock: Arc<ManualClock>,
    settings: ServerSettings,
    /// Stops the server when it is dropped, which is before the stores are.
    stop: Option<oneshot::Sender<()>>,
    _reporting: Option<oneshot::Sender<()>>,
    _store: S,
}

impl<S: StoreFixture, C: CacheFixture> Side<S, C> {
    async fn start(
        pipeline: Arc<dyn Pipeline>,
        reporting: Option<oneshot::Sender<()>>,
        settings: &ServerSettings,
    ) -> Side<S, C> {
        let (store, cache) = (S::fresh(), C::fresh(CAPACITY));
        let (sink, history) = (store.sink(1), store.history());
        let clock = Arc::new(ManualClock::new(market::NOW));
        let app = App::new(cache.shared(), history.clone(), pipeline.clone(), settings.clone());
        let (client, stop) = running(app.with_clock(clock.clone()));
        let settings = settings.clone();
        let stop = Some(stop);
        Side {
            client,
            sink,
            history,
            pipeline,
            cache,
            clock,
            settings,
            stop,
            _reporting: reporting,
            _store: store,
        }
    }

    /// Stops the server and starts another one over the same stores.
    fn restart(&mut self) {
        let (cache, settings) = (self.cache.shared(), self.settings.clone());
        let app = App::new(cache, self.history.clone(), self.pipeline.clone(), settings);
        let (client, stop) = running(app.with_clock(self.clock.clone()));
        (self.client, self.stop) = (client, Some(stop));
    }

    fn write(&mut self, steps: &[Step]) {
        tokio::task::block_in_place(|| self.sink.write(steps)).unwrap();
    }
}

/// Serves the app on a free port until the returned sender is dropped.
fn running(app: App) -> (Client, oneshot::Sender<()>) {
    // Small buffers, so that a client that does not read blocks the server soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(8 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(128).unwrap();
    let client = Client { address: listener.local_addr().unwrap() };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(serve(listener, app, stopped));
    (client, stop)
}

/// Both pairs. The embedded pair is tested alone if the services are missing, which is reported.
pub(crate) struct Both {
    embedded: Side<SqliteFixture, MemoryFixture>,
    services: Option<Side<PostgresFixture, RedisFixture>>,
}

impl Both {
    /// Servers over empty stores.
    pub(crate) async fn empty(settings: ServerSettings) -> Both {
        let pipeline = || Arc::new(StillPipeline::new(market::status()));
        let embedded = Side::start(pipeline(), None, &settings).await;
        let mut both = Both { embedded, services: None };
        if PostgresFixture::is_there() && RedisFixture::is_there() {
            let clock = Arc::new(ManualClock::new(market::NOW));
            let app = App::of_pipeline(pipeline(), ServerSettings::default()).with_clock(clock);
            let (process, reporting) = running(app);
            let remote =
                RemotePipeline::start(&[format!("http://{}", process.address).parse().unwrap()]).unwrap();
            let side = Side::start(Arc::new(remote), Some(reporting), &settings).await;
            // The status of the process is read at an interval.
            within(async {
                while side.client.get("/ready").await.status != StatusCode::OK {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            both.services = Some(side);
        }
        both
    }

    /// Servers over stores with the data of `market`.
    pub(crate) async fn start() -> Both {
        let mut both = Both::empty(ServerSettings::default()).await;
        both.write(&market::settled());
        both.publish(&market::newest_settled());
        both.publish_live(&market::all_open());
        both
    }

    /// Writes to both histories.
    pub(crate) fn write(&mut self, steps: &[Step]) {
        self.embedded.write(steps);
        self.services.iter_mut().for_each(|side| side.write(steps));
    }

    /// Publishes settled candles and waits until both caches have them.
    pub(crate) fn publish(&self, step: &Step) {
        self.embedded.cache.publish_settled(step);
        if let Some(side) = &self.services {
            side.cache.publish_settled(step);
            side.cache.settle();
        }
    }

    /// Publishes open candles and waits until both caches have them.
    pub(crate) fn publish_live(&self, candles: &[LiveCandle]) {
        self.embedded.cache.publish_live(candles);
        if let Some(side) = &self.services {
            side.cache.publish_live(candles);
            side.cache.settle();
        }
    }

    /// Stops both servers.
    pub(crate) fn stop(&mut self) {
        self.embedded.stop = None;
        self.services.iter_mut().for_each(|side| side.stop = None);
    }

    /// Restarts both servers over the same stores.
    pub(crate) fn restart(&mut self) {
        self.embedded.restart();
        self.services.iter_mut().for_each(Side::restart);
    }

    /// A client of each server, for requests to one server only.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Client> {
        std::iter::once(self.embedded.client).chain(self.services.iter().map(|side| side.client))
    }

    /// Sends a request to both servers and returns their common response.
    pub(crate) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
        let response = self.embedded.client.send(method, target, headers).await;
        if let Some(side) = &self.services {
            let other = side.client.send(method, target, headers).await;
            assert_same(&format!("{method} {target}"), target, &response, &other);
        }
        response
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[]).await
    }

    /// The JSON of a response that must have status 200.
    pub(crate) async fn json(&self, target: &str) -> Value {
        let reply = self.get(target).await;
        assert_eq!(reply.status, StatusCode::OK, "{target}: {reply:?}");
        reply.json()
    }

    /// Connects a WebSocket client to each server.
    pub(crate) async fn connect(&self, path: &str) -> Sockets {
        let mut sockets = Vec::new();
        for client in self.clients() {
            sockets.push(client.connect(path).await);
        }
        Sockets(sockets)
    }
}

/// A WebSocket client of each server; both must receive the same frames.
pub(crate) struct Sockets(Vec<Socket>);

impl Sockets {
    /// The next frame of both.
    pub(crate) async fn frame(&mut self) -> Value {
        let frame = self.0[0].frame().await;
        for other in &mut self.0[1..] {
            let other = other.frame().await;
            let differences = differences(&frame, &other);
            assert!(differences.is_empty(), "{differences:#?}\n{frame}\n{other}");
        }
        frame
    }

    /// The code with which both servers close; frames before it are skipped.
    pub(crate) async fn close_code(&mut self) -> CloseCode {
        let code = self.0[0].close_code().await;
        for other in &mut self.0[1..] {
            assert_eq!(other.close_code().await, code);
        }
        code
    }

    pub(crate) async fn say(&mut self, text: &str) {
        for socket in &mut self.0 {
            socket.say(text).await;
        }
    }
}

/// Compares two responses to the same request.
fn assert_same(what: &str, target: &str, response: &Reply, other: &Reply) {
    assert_eq!(response.status, other.status, "{what}: {response:?}\n{other:?}");
    let names = |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<BTreeSet<String>>();
    assert_eq!(names(response), names(other), "{what}");
    let same_bytes = response.body == other.body;
    for name in names(response) {
        let bound_to_bytes = matches!(&*name, "etag" | "content-length");
        if !OWN_HEADERS.iter().any(|(own, _)| *own == name)
            || (bound_to_bytes && same_bytes && !is_own(target))
        {
            assert_eq!(response.header(&name), other.header(&name), "{what}: {name}");
        }
    }
    if response.headers.contains_key("x-data-source") {
        let expected = if response.header("x-cache-hit") == "true" { "redis" } else { "postgres" };
        assert_eq!(
            (response.header("x-data-source"), other.header("x-data-source")),
            ("embedded", expected),
            "{what}"
        );
    }
    if same_bytes {
        return;
    }
    let content_type = response.header("content-type");
    let (mut this, mut that) = match content_type {
        "application/jsonl" => (lines(response), lines(other)),
        _ if content_type.contains("json") => (response.json(), other.json()),
        _ if content_type.starts_with("text/csv") => (cells(response), cells(other)),
        // The values of metrics differ between processes; their names and types do not.
        _ if content_type.contains("openmetrics") => (described(response), described(other)),
        _ => panic!("{what}: {:?} is not {:?}", response.body, other.body),
    };
    for (path, pointer, _) in OWN_FIELDS {
        if is_at(target, path) && response.status == StatusCode::OK {
            for document in [&mut this, &mut that] {
                let own = document.pointer_mut(pointer).map(Value::take).unwrap();
                let healthy = own.as_object().is_none_or(|own| own.values().all(|state| state == "healthy"));
                assert!(healthy, "{what}: {own}");
            }
        }
    }
    if content_type == "application/problem+json" {
        (this["request_id"], that["request_id"]) = (Value::Null, Value::Null);
    }
    let differences = differences(&this, &that);
    assert!(differences.is_empty(), "{what}: {differences:#?}\n{this}\n{that}");
}

fn is_at(target: &str, path: &str) -> bool {
    target.split('?').next() == Some(path)
}

/// Whether responses of this path have fields that differ.
fn is_own(target: &str) -> bool {
    OWN_FIELDS.iter().any(|(path, ..)| is_at(target, path)) || is_at(target, "/metrics")
}

/// The cells of a CSV table.
fn cells(reply: &Reply) -> Value {
    let text = std::str::from_utf8(&reply.body).unwrap();
    text.lines().map(|line| line.split(',').collect::<Value>()).collect()
}

/// The objects of JSON lines, as an array.
fn lines(reply: &Reply) -> Value {
    let text = std::str::from_utf8(&reply.body).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
}

/// The names and types of the metrics.
fn described(reply: &Reply) -> Value {
    let text = std::str::from_utf8(&reply.body).unwrap();
    text.lines().filter(|line| line.starts_with("# TYPE")).collect()
}

/// The differences of two documents, apart from the rounding of sums.
fn differences(this: &Value, that: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match (this, that) {
        (Value::Object(ours), Value::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            let pairs = ours.iter().zip(theirs.values());
            pairs.flat_map(|((key, ours), theirs)| under_pointer(key, differences(ours, theirs))).collect()
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let pairs = ours.iter().zip(theirs).enumerate();
            pairs
                .flat_map(|(at, (ours, theirs))| under_pointer(&at.to_string(), differences(ours, theirs)))
                .collect()
        }
        _ if this == that => Vec::new(),
        _ => match (number(this), number(that)) {
            (Some(ours), Some(theirs)) if (ours - theirs).abs() <= ROUNDING * ours.abs() => Vec::new(),
            _ => vec![format!(": {this} is not {that}")],
        },
    }
}

fn under_pointer(pointer: &str, differences: Vec<String>) -> Vec<String> {
    differences.into_iter().map(|difference| format!("/{pointer}{difference}")).collect()
}
