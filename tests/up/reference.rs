//! The rows of a data folder, and the expected rows: those of the graph alone over the same log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tallow_connectors::logs::filelog::{FileLog, FileLogReader};
use tallow_connectors::stores::sqlite::SqliteHistory;
use tallow_dataflow::{AnomalySettings, Output, Settings, WorkerIo, run};
use tallow_model::clock::SystemClock;
use tallow_model::rows::{AlertRow, CandleRow};
use tallow_model::store::{AlertQuery, CandleQuery, History};
use tallow_model::{
    Interval, LiveCandle, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, Step, Symbol, Tick,
    decode,
};

/// Settled candles and alerts, the last version of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Books {
    /// By interval, symbol and window start.
    pub(crate) candles: BTreeMap<(Interval, Symbol, u64), CandleRow>,
    /// By id.
    pub(crate) alerts: BTreeMap<String, AlertRow>,
}

impl Books {
    /// Without what had not settled when the frontier was here.
    pub(crate) fn before(&self, frontier: u64) -> Books {
        let mut books = self.clone();
        books.candles.retain(|_, row| row.window_end.millis() < frontier);
        books.alerts.retain(|_, row| row.window_end.millis() < frontier);
        books
    }

    /// The rows of the store.
    pub(crate) fn stored(data: &Path) -> Books {
        let history = SqliteHistory::open(data.join("tallow.db")).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut books = Books::default();
            for symbol in history.symbols().await.expect("symbols") {
                for interval in Interval::ALL {
                    let query = CandleQuery::all(symbol, interval);
                    for row in history.candles(&query).await.expect("candles").rows {
                        let twice = books.candles.insert((interval, symbol, row.window_start.millis()), row);
                        assert_eq!(twice, None);
                    }
                }
            }
            let query = AlertQuery {
                symbol: None,
                since: None,
                until: None,
                severity: None,
                include_retracted: true,
                limit: usize::MAX,
            };
            let alerts = history.alerts(&query).await.expect("alerts");
            books.alerts = alerts.into_iter().map(|row| (row.alert_id.clone(), row)).collect();
            books
        })
    }

    /// The rows that the log makes under the settings of the tests.
    pub(crate) fn of_log(data: &Path) -> Books {
        let log = FileLog::open(data.join("log")).expect("a log");
        let settings = Settings {
            anomalies: AnomalySettings { threshold: 2.5, ..AnomalySettings::default() },
            ..Settings::default()
        };
        let books = Arc::new(Mutex::new(Books::default()));
        let clerk = Clerk(books.clone());
        run(1, &settings, Arc::new(AtomicBool::new(false)), move |_, _| WorkerIo {
            readers: (0..log.partitions())
                .map(|partition| {
                    Box::new(ToEnd(log.reader(partition, 0).expect("a reader"))) as Box<dyn PartitionReader>
                })
                .collect(),
            arrivals: None,
            output: Box::new(clerk.clone()),
            clock: Arc::new(SystemClock),
            checkpoints: None,
            restore: None,
        })
        .expect("a run");
        let books = books.lock().expect("not poisoned");
        books.clone()
    }
}

/// Every line of a partition as a tick, in order: none may be torn.
pub(crate) fn ticks(data: &Path, partition: u32) -> Vec<Tick> {
    let log = FileLog::open(data.join("log")).expect("a log");
    let mut reader = ToEnd(log.reader(partition, 0).expect("a reader"));
    let mut ticks = Vec::new();
    while let ReadStatus::More = reader.read(10_000, &mut |record| {
        ticks.push(decode(record.payload.expect("a line")).expect("a tick"));
    }) {}
    ticks
}

/// A log that nobody writes: its end is the end.
struct ToEnd(FileLogReader);

impl PartitionReader for ToEnd {
    fn partition(&self) -> u32 {
        self.0.partition()
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        match self.0.read(limit, visit) {
            ReadStatus::CaughtUp => ReadStatus::Finished,
            status => status,
        }
    }
}

#[derive(Clone)]
struct Clerk(Arc<Mutex<Books>>);

impl Output for Clerk {
    fn settled(&mut self, step: Step) {
        let mut books = self.0.lock().expect("not poisoned");
        for settled in &step.candles {
            let key = (settled.interval, settled.symbol, settled.candle.window_start.millis());
            books.candles.insert(key, CandleRow::from(settled));
        }
        books.alerts.extend(step.alerts.iter().map(|settled| (settled.alert.id(), AlertRow::from(settled))));
    }

    fn live(&mut self, _: Vec<LiveCandle>) {}

    fn rejected(&mut self, rejects: Vec<Reject>) {
        panic!("no record may be rejected: {rejects:?}");
    }

    fn progress(&mut self, _: &[PartitionProgress]) {}

    fn failed(&mut self, partition: u32, message: String) {
        panic!("partition {partition}: {message}");
    }

    fn is_full(&self) -> bool {
        false
    }
}
