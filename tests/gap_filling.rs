//! Recorded trades of an exchange through the graph, the embedded store and the API: with
//! `fill=previous` the answer is the exchange's own series, its filled gaps included.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use tallow_connectors::caches::memory::MemoryCache;
use tallow_connectors::logs::file::FileReader;
use tallow_connectors::stores::sqlite::{SqliteHistory, SqliteSink};
use tallow_dataflow::{Output, Settings, WorkerIo, run};
use tallow_model::clock::SystemClock;
use tallow_model::store::{Pipeline, PipelineStatus, Sink};
use tallow_model::{LiveCandle, PartitionProgress, PartitionReader, Reject, Step};
use tallow_server::{App, ServerSettings, serve};
use tallow_testing::recordings::recording;

/// Passes on what settles.
struct Steps(Sender<Step>);

impl Output for Steps {
    fn settled(&mut self, step: Step) {
        self.0.send(step).expect("a receiver");
    }
    fn live(&mut self, _candles: Vec<LiveCandle>) {}
    fn rejected(&mut self, rejects: Vec<Reject>) {
        panic!("{rejects:?}");
    }
    fn progress(&mut self, _partitions: &[PartitionProgress]) {}
    fn failed(&mut self, _partition: u32, message: String) {
        panic!("{message}");
    }
    fn is_full(&self) -> bool {
        false
    }
}

/// A pipeline that has stopped.
struct Done;

impl Pipeline for Done {
    fn status(&self) -> PipelineStatus {
        PipelineStatus { source: "recorded".to_owned(), ready: true, ..PipelineStatus::default() }
    }
}

#[test]
fn the_gaps_are_filled_as_the_exchange_fills_them() {
    let (Some(ticks), Some(bars)) = (recording("kraken/ticks.jsonl"), recording("kraken/bars_1m.csv")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("tallow.db");
    let mut sink = SqliteSink::open(&store, 1).expect("a store");
    let (send, steps) = channel();
    let outlet = Mutex::new(Some(Steps(send)));
    run(1, &Settings::default(), Arc::default(), move |_, _| WorkerIo {
        readers: vec![Box::new(FileReader::open(&ticks, 0).expect("a file")) as Box<dyn PartitionReader>],
        arrivals: None,
        output: Box::new(outlet.lock().expect("not poisoned").take().expect("one worker")),
        clock: Arc::new(SystemClock),
        checkpoints: None,
        restore: None,
    })
    .expect("the end of the input");
    sink.write(&steps.try_iter().collect::<Vec<_>>()).expect("stored");

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let history = SqliteHistory::open(&store).expect("a history");
    let app =
        App::new(Arc::new(MemoryCache::new(1)), Arc::new(history), Arc::new(Done), ServerSettings::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = runtime.spawn(serve(listener, app, async { drop(stopped.await) }));
    let series = get(
        address,
        "/api/v1/historical/XBTUSDT?interval=1m&limit=1000&order_by=asc&fill=previous&start_time=1762795440000",
    );

    let bars = std::fs::read_to_string(bars).expect("the bars");
    let bars: Vec<Vec<&str>> = bars.lines().skip(1).map(|bar| bar.split(',').collect()).collect();
    let rows = series.as_array().expect("an array");
    let mut filled = 0;
    for (bar, row) in bars.iter().zip(rows) {
        let start: i64 = bar[1].parse().expect("a time");
        let shown: tallow_model::rows::CandleRow = serde_json::from_value(row.clone()).expect("a row");
        assert_eq!(i64::try_from(shown.window_start.millis()), Ok(start));
        let figures =
            [shown.open_price, shown.high_price, shown.low_price, shown.close_price, shown.volume_sum];
        assert_eq!(
            figures,
            [2, 3, 4, 5, 6].map(|column| bar[column].parse::<f64>().expect("a number")),
            "{bar:?}"
        );
        assert_eq!(shown.trade_count.to_string(), bar[7], "{bar:?}");
        assert_eq!(shown.vwap.is_none(), shown.trade_count == 0, "{bar:?}");
        filled += usize::from(shown.trade_count == 0);
    }
    // The recording goes on for a minute that is not complete, so the series is one longer than the
    // bars.
    assert!(rows.len() >= bars.len(), "{} rows for {} bars", rows.len(), bars.len());
    assert!(filled > 100, "only {filled} gaps");
    drop(stop);
    runtime.block_on(server).expect("no panic").expect("a clean end");
}

fn get(address: SocketAddr, path: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(body).expect("JSON")
}
