//! The runner of sinks, with a sink that fails as it is told.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tallow_model::Error;
use tallow_model::retry::BackoffSettings;
use tallow_model::store::{Sink, SinkStatus};
use tallow_model::{Alert, AlertStatus, EventTime, Price, Reject, RejectReason, SettledAlert, Step};
use tallow_runtime::sinks::{SinkQueue, SinkRunner, SinkSettings};
use tallow_testing::wait::LIMIT as PATIENCE;

/// The outcomes of the next writes; once they are used up, writes succeed.
enum Turn {
    Fail(ErrorKind),
    Panic,
    /// Waits until the test lets it go on, then stores.
    Hang(Receiver<()>),
}

/// A sink that keeps the frontiers of the steps it was given.
#[derive(Clone, Default)]
struct Scripted {
    turns: Arc<Mutex<VecDeque<Turn>>>,
    stored: Arc<Mutex<Vec<u64>>>,
    rejects: Arc<Mutex<Vec<u64>>>,
    through: Option<EventTime>,
}

impl Scripted {
    fn new(turns: impl IntoIterator<Item = Turn>) -> Scripted {
        Scripted { turns: Arc::new(Mutex::new(turns.into_iter().collect())), ..Scripted::default() }
    }

    fn turn(&self) -> Result<(), Error> {
        let turn = self.turns.lock().unwrap().pop_front();
        match turn {
            Some(Turn::Fail(kind)) => Err(Error::file("write to", Path::new("store"), kind.into())),
            Some(Turn::Panic) => panic!("told to"),
            Some(Turn::Hang(go_on)) => {
                let _released = go_on.recv();
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn stored(&self) -> Vec<u64> {
        self.stored.lock().unwrap().clone()
    }
}

impl Sink for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        self.turn()?;
        self.stored.lock().unwrap().extend(steps.iter().filter_map(|step| step.frontier).map(|it| it.0));
        self.through = steps.last().and_then(|step| step.frontier);
        Ok(())
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        self.turn()?;
        self.rejects.lock().unwrap().extend(rejects.iter().map(|reject| reject.offset));
        Ok(())
    }

    fn stored_through(&self) -> Option<EventTime> {
        self.through
    }
}

/// A step of `changes` alerts.
fn step(frontier: u64, changes: usize) -> Step {
    let one = Price(1.0);
    let alert = Alert {
        symbol: "BTC".parse().unwrap(),
        window_start: EventTime(0),
        open: one,
        close: one,
        previous_close: one,
        z_score: one,
        mean: one,
        stddev: one,
        samples: 1,
        threshold: one,
        revision: 0,
    };
    let settled = SettledAlert { alert, status: AlertStatus::Raised, settled_at: EventTime(0) };
    Step { worker: 0, frontier: Some(EventTime(frontier)), candles: vec![], alerts: vec![settled; changes] }
}

fn reject(offset: u64) -> Reject {
    let detail = String::new();
    Reject { partition: 0, offset, log_time: None, reason: RejectReason::Malformed, detail, raw: vec![] }
}

fn settings() -> SinkSettings {
    let backoff = BackoffSettings { first: Duration::from_millis(1), longest: Duration::from_millis(4) };
    SinkSettings { max_changes: 100, max_entries: 20, batch_changes: 10, backoff }
}

fn start(sink: &Scripted) -> (SinkRunner, Arc<SinkQueue>) {
    let runner = SinkRunner::start(Box::new(sink.clone()), settings()).unwrap();
    let queue = runner.queue();
    (runner, queue)
}

/// A turn that waits, and what lets it go on.
fn hang() -> (Turn, Sender<()>) {
    let (go_on, wait) = bounded(0);
    (Turn::Hang(wait), go_on)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not {what} in time");
        std::thread::yield_now();
    }
}

#[test]
fn a_sink_that_fails_for_a_while_loses_and_reorders_nothing() {
    let failures = [ErrorKind::StorageFull, ErrorKind::TimedOut, ErrorKind::ResourceBusy];
    let sink = Scripted::new(failures.into_iter().cycle().take(12).map(Turn::Fail));
    let (runner, queue) = start(&sink);
    for number in 1..=200 {
        queue.try_send(step(number, (number % 4) as usize)).unwrap();
        if number % 50 == 0 {
            queue.try_send_rejects(vec![reject(number)]).unwrap();
        }
    }
    queue.wait_stored(PATIENCE).unwrap();
    assert_eq!(sink.stored(), (1..=200).collect::<Vec<_>>());
    assert_eq!(*sink.rejects.lock().unwrap(), [50, 100, 150, 200]);
    let mut status = queue.status();
    let stored_through = Some(EventTime(200));
    let name = "scripted".to_owned();
    let batches = status.write_seconds.take().map(|seconds| seconds.count());
    assert!((1..=204).contains(&batches.unwrap()), "{batches:?}");
    let expected =
        SinkStatus { name, queue: 0, retries: 12, stored_through, problem: None, write_seconds: None };
    assert_eq!(status, expected);
    runner.close(PATIENCE).unwrap();
}

#[test]
fn a_full_queue_says_so_and_takes_what_comes_all_the_same() {
    let (turn, go_on) = hang();
    let sink = Scripted::new([turn]);
    let (runner, queue) = start(&sink);
    queue.try_send(step(1, 99)).unwrap();
    assert!(!queue.is_full());
    queue.try_send(step(2, 1)).unwrap();
    assert!(queue.is_full(), "by changes, those under way included");
    queue.try_send(step(3, 500)).unwrap();
    go_on.send(()).unwrap();
    queue.wait_stored(PATIENCE).unwrap();
    assert!(!queue.is_full());

    let (turn, go_on) = hang();
    sink.turns.lock().unwrap().push_back(turn);
    (4..24).for_each(|number| queue.try_send(step(number, 0)).unwrap());
    assert!(queue.is_full(), "by entries, empty ones too");
    go_on.send(()).unwrap();
    queue.wait_stored(PATIENCE).unwrap();
    assert!(!queue.is_full());
    assert_eq!(sink.stored(), (1..24).collect::<Vec<_>>());
    runner.close(PATIENCE).unwrap();
}

#[test]
fn a_failure_for_good_is_told_to_everyone_who_asks() {
    let sink = Scripted::new([Turn::Fail(ErrorKind::PermissionDenied)]);
    let (runner, queue) = start(&sink);
    queue.try_send(step(1, 1)).unwrap();
    let failed = "sink scripted: write to store: permission denied";
    assert_eq!(queue.wait_stored(PATIENCE).unwrap_err().to_string(), failed);
    assert_eq!(queue.try_send(step(2, 1)).unwrap_err().to_string(), failed);
    assert_eq!(queue.status().problem.as_deref(), Some("write to store: permission denied"));
    assert_eq!(queue.failure(), queue.status().problem);
    assert!(queue.is_full(), "so that the source stops reading");
    assert_eq!(runner.close(PATIENCE).unwrap_err().to_string(), failed);
    assert!(sink.stored().is_empty());
}

#[test]
fn a_sink_that_panics_has_failed() {
    let sink = Scripted::new([Turn::Panic]);
    let (runner, queue) = start(&sink);
    queue.try_send(step(1, 1)).unwrap();
    let failed = "sink scripted: its thread panicked";
    assert_eq!(queue.wait_stored(PATIENCE).unwrap_err().to_string(), failed);
    assert_eq!(runner.close(PATIENCE).unwrap_err().to_string(), failed);
}

#[test]
fn closing_stores_what_waits_and_takes_nothing_more() {
    let (turn, go_on) = hang();
    let sink = Scripted::new([turn, Turn::Fail(ErrorKind::StorageFull)]);
    let (runner, queue) = start(&sink);
    (1..=50).for_each(|number| queue.try_send(step(number, 3)).unwrap());
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| runner.close(PATIENCE));
        // Empty lots, so that asking leaves nothing behind.
        until("refusing", || queue.try_send_rejects(vec![]).is_err());
        assert_eq!(queue.try_send(step(51, 1)).unwrap_err().to_string(), "sink scripted: it is being closed");
        go_on.send(()).unwrap();
        closing.join().unwrap().unwrap();
    });
    assert_eq!(sink.stored(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn closing_gives_up_in_time_on_a_sink_that_never_writes() {
    let sink = Scripted::new((0..1_000_000).map(|_| Turn::Fail(ErrorKind::StorageFull)));
    let (runner, queue) = start(&sink);
    queue.try_send(step(1, 1)).unwrap();
    until("in trouble", || queue.status().problem.is_some());
    let error = runner.close(Duration::from_millis(1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "sink scripted: not everything was stored within 1ms, 1 waiting: write to store: no storage space"
    );
    let closed = queue.wait_stored(PATIENCE).unwrap_err().to_string();
    assert_eq!(closed, "sink scripted: it was closed before everything was stored");
    // The thread, and the sink with it, goes.
    until("gone", || Arc::strong_count(&sink.turns) == 1);
}

#[test]
fn dropping_the_runner_ends_its_thread() {
    let sink = Scripted::default();
    let (runner, queue) = start(&sink);
    queue.try_send(step(1, 1)).unwrap();
    queue.wait_stored(PATIENCE).unwrap();
    drop(runner);
    assert_eq!(Arc::strong_count(&sink.turns), 1);
    assert!(queue.try_send(step(2, 1)).is_err());
}
