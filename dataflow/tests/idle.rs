//! Idle partitions under a clock that the test moves: when time advances without ticks, and where a
//! tick is placed that arrives after that.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tallow_dataflow::{Settings, WorkerIo, run};
use tallow_model::{Interval, PartitionReader, SettledCandle};
use tallow_testing::graph::{Collector, MemoryPartition, MockClock, tick, wait_for, worker_io};

const NOON: u64 = 1_700_006_400_000;

/// A graph that runs on its own threads until the test ends.
struct Running {
    topics: Vec<MemoryPartition>,
    clock: Arc<MockClock>,
    collector: Collector,
    stop: Arc<AtomicBool>,
    workers: usize,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(partitions: u32, workers: usize, settings: Settings) -> Running {
        Running::start_with(partitions, 0, workers, settings).0
    }

    /// Starts a graph to which `later` partitions can be added through the senders, one a worker.
    /// They are the last of `topics`.
    fn start_with(
        partitions: u32,
        later: u32,
        workers: usize,
        settings: Settings,
    ) -> (Running, Vec<Sender<Box<dyn PartitionReader + Send>>>) {
        let topics: Vec<MemoryPartition> = (0..partitions + later).map(MemoryPartition::new).collect();
        let (senders, arrivals): (Vec<_>, Vec<_>) = (0..workers).map(|_| channel()).unzip();
        let arrivals = Mutex::new(arrivals.into_iter().map(Some).collect::<Vec<_>>());
        let clock = Arc::new(MockClock::new(NOON));
        let (collector, stop) = (Collector::default(), Arc::<AtomicBool>::default());
        let (its_topics, its_clock, output, its_stop) =
            (topics[..partitions as usize].to_vec(), clock.clone(), collector.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            run(workers, &settings, its_stop, move |index, peers| WorkerIo {
                arrivals: arrivals.lock().unwrap()[index].take(),
                ..worker_io(&its_topics, index, peers, &output, &its_clock)
            })
            .unwrap();
        });
        (Running { topics, clock, collector, stop, workers, thread: Some(thread) }, senders)
    }

    fn send(&self, partition: usize, ms_after_noon: u64, price: u64) {
        let before = self.read();
        self.topics[partition].push(tick("BTC", NOON + ms_after_noon, price, 1));
        wait_for("the tick to be read", || self.read() > before);
    }

    fn read(&self) -> u64 {
        self.collector.progress.lock().unwrap().values().map(|p| p.counts.records_in).sum()
    }

    fn set_clock(&self, ms_after_noon: u64) {
        self.clock.run_to(NOON + ms_after_noon, self.workers);
    }

    fn frontier(&self) -> u64 {
        self.collector.frontier(self.workers).saturating_sub(NOON)
    }

    fn wait_for_frontier(&self, ms_after_noon: u64) {
        wait_for(&format!("the frontier to reach {ms_after_noon}, it is {}", self.frontier()), || {
            self.frontier() >= ms_after_noon
        });
    }

    fn minutes(&self) -> Vec<SettledCandle> {
        let candles = self.collector.outcome().candles;
        candles.into_iter().filter(|candle| candle.interval == Interval::OneMinute).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let result = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            result.unwrap().unwrap();
        }
    }
}

#[test]
fn a_quiet_market_closes_its_last_candle_within_the_stated_bound() {
    for workers in [1, 2] {
        let market = Running::start(3, workers, Settings::default());
        market.set_clock(59_000);
        market.send(0, 59_000, 100);
        // A worker that is far ahead of the others waits for them and does not count silence
        // meanwhile.
        market.set_clock(59_200);
        market.wait_for_frontier(50_000);
        // The silence is too short, so time stands still.
        market.set_clock(59_000 + 29_999);
        assert!(market.frontier() <= 60_000 && market.minutes().is_empty());
        // The window ends at 60 000. The bound is max(10 s, 30 s) + 1 s after that.
        market.set_clock(60_000 + 31_000);
        wait_for("the candle", || market.minutes().len() == 1);
        assert_eq!(market.minutes()[0].revision, 0);
        // Time advances with the clock: maximal event time − 10 s + silence.
        market.set_clock(200_000);
        market.wait_for_frontier(191_000);
        assert_eq!(market.frontier(), 191_000);
    }
}

#[test]
fn an_idle_partition_does_not_hold_the_others_back() {
    for workers in [1, 2] {
        let market = Running::start(2, workers, Settings::default());
        market.send(0, 1_000, 100);
        market.send(1, 1_000, 200);
        market.send(0, 75_000, 101);
        // Partition 1 may still have ticks of the first minute.
        assert!(market.frontier() <= 60_000);
        market.set_clock(20_000);
        market.send(0, 75_500, 102);
        market.set_clock(45_000);
        market.send(0, 76_000, 102);
        // Workers repeat their reports only when the clock moves.
        market.set_clock(45_200);
        market.wait_for_frontier(67_000);
        assert_eq!(market.minutes().len(), 1);
    }
}

#[test]
fn a_tick_that_ends_the_silence_too_late_for_its_window_becomes_a_correction() {
    let market = Running::start(2, 1, Settings::default());
    market.send(0, 1_000, 100);
    market.send(1, 1_000, 200);
    market.set_clock(45_000);
    market.send(0, 75_000, 101);
    market.wait_for_frontier(66_000);
    market.set_clock(46_000);
    // This tick's own partition would place it on time.
    market.send(1, 59_000, 300);
    market.send(1, 90_000, 300);
    market.send(0, 100_000, 102);
    market.wait_for_frontier(80_000);
    let minutes = market.minutes();
    let first: Vec<(u32, f64, u32)> = minutes
        .iter()
        .filter(|c| c.candle.window_start.millis() == NOON)
        .map(|c| (c.revision, c.candle.close.0, c.candle.count))
        .collect();
    assert_eq!(first, [(0, 2.0, 2), (1, 3.0, 3)]);
}

#[test]
fn partitions_that_are_empty_from_the_start_do_not_count() {
    let market = Running::start(3, 2, Settings::default());
    market.set_clock(20_000);
    market.send(1, 1_000, 100);
    market.send(1, 75_000, 100);
    market.set_clock(20_200);
    market.wait_for_frontier(66_000);
    assert_eq!(market.minutes().len(), 1);
}

#[test]
fn a_paused_replay_of_old_data_is_not_thrown_years_ahead() {
    let market = Running::start(1, 1, Settings::default());
    // The ticks are from noon; the clock is a year later.
    market.clock.jump_to(NOON + 31_536_000_000);
    market.send(0, 1_000, 100);
    wait_for("the frontier to come to the tick", || market.collector.frontier(1) > 0);
    market.set_clock(31_536_000_000 + 40_000);
    market.wait_for_frontier(32_000);
    assert_eq!(market.frontier(), 32_000);
}

#[test]
fn a_machine_that_wakes_up_does_not_take_its_sleep_for_silence() {
    for workers in [1, 2] {
        let market = Running::start(2, workers, Settings::default());
        market.send(0, 1_000, 100);
        market.send(1, 1_500, 100);
        market.clock.jump_to(NOON + 3_600_000);
        // The records written meanwhile are read only after some turns that found nothing.
        market.set_clock(3_600_000 + 2_000);
        assert!(market.frontier() <= 1_000, "{}", market.frontier());
        for (ms, price) in [(50_000, 101), (70_000, 102), (3_599_000, 103)] {
            market.send(0, ms, price);
            market.send(1, ms, price);
        }
        assert_eq!(market.collector.outcome().counts.on_time, 8);
    }
}

#[test]
fn a_partition_that_back_pressure_keeps_from_being_read_is_not_idle() {
    let market = Running::start(2, 1, Settings::default());
    market.send(0, 1_000, 100);
    market.send(1, 1_000, 100);
    market.collector.full.store(true, Ordering::SeqCst);
    market.topics[1].push(tick("BTC", NOON + 2_000, 100, 1));
    market.set_clock(300_000);
    // The source has taken turns since, has read nothing, and time stands still.
    let frontier = market.frontier();
    market.collector.full.store(false, Ordering::SeqCst);
    wait_for("the waiting tick", || market.read() == 3);
    assert!(frontier <= 1_000, "{frontier}");
    assert_eq!(market.collector.outcome().counts.on_time, 3);
}

#[test]
fn open_candles_are_shown_at_once_and_then_at_most_every_interval() {
    let settings = Settings { live_interval_ms: Some(250), ..Settings::default() };
    let market = Running::start(1, 1, settings);
    market.send(0, 1_000, 100);
    wait_for("the first showing", || market.collector.live.lock().unwrap().len() == 3);
    market.send(0, 1_100, 105);
    market.send(0, 1_200, 103);
    assert_eq!(market.collector.live.lock().unwrap().len(), 3);
    market.set_clock(250);
    wait_for("the second showing", || market.collector.live.lock().unwrap().len() == 6);
    let live = market.collector.live.lock().unwrap().clone();
    assert_eq!((live[3].candle.open.0, live[3].candle.high.0, live[3].candle.close.0), (1.0, 1.05, 1.03));
    assert_eq!(live[3].event_time.millis(), NOON + 1_200);
    assert_eq!(live[5].interval, Interval::FifteenMinutes);
}

#[test]
fn a_log_that_cannot_be_reached_is_not_silent() {
    for workers in [1, 2] {
        let market = Running::start(2, workers, Settings::default());
        market.send(0, 59_000, 100);
        market.send(1, 59_500, 100);
        market.topics[1].away.store(true, Ordering::SeqCst);
        // Partition 0 is silent and the state of partition 1 is unknown: time stands still, however
        // long that lasts.
        market.set_clock(300_000);
        assert!(market.frontier() <= 60_000 && market.minutes().is_empty());
        market.topics[1].away.store(false, Ordering::SeqCst);
        market.send(1, 59_900, 101);
        assert_eq!(market.collector.outcome().counts.on_time, 3);
        // Partition 1 must be silent as long as any other before it is idle.
        market.set_clock(300_000 + 29_000);
        assert!(market.minutes().is_empty());
        market.set_clock(300_000 + 32_000);
        wait_for("the candle", || market.minutes().len() == 1);
    }
}

#[test]
fn a_partition_that_the_log_gets_later_is_read_too() {
    for workers in [1, 2, 3] {
        // With three workers the third one has no partition at first.
        let (market, senders) = Running::start_with(2, 1, workers, Settings::default());
        market.send(0, 1_000, 100);
        market.send(1, 1_000, 100);
        senders[2 % workers].send(Box::new(market.topics[2].clone())).unwrap();
        market.send(2, 2_000, 130);
        // Ticks too far past the clock would be rejected.
        market.set_clock(20_000);
        for partition in 0..3 {
            market.send(partition, 75_000, 101);
        }
        wait_for("the candle", || market.minutes().len() == 1);
        let candle = market.minutes()[0].candle;
        assert_eq!((candle.count, candle.high.0), (3, 1.30));
        assert_eq!(market.collector.outcome().counts.on_time, 6);
    }
}

#[test]
fn the_input_does_not_end_while_partitions_may_still_come() {
    let (market, senders) = Running::start_with(1, 1, 2, Settings::default());
    market.topics[0].push(tick("BTC", NOON, 100, 1));
    market.topics[0].finish();
    wait_for("the tick to be read", || market.read() == 1);
    market.topics[1].push(tick("BTC", NOON + 1_000, 101, 1));
    market.topics[1].finish();
    senders[1].send(Box::new(market.topics[1].clone())).unwrap();
    wait_for("the second tick to be read", || market.read() == 2);
    assert!(market.minutes().is_empty());
    drop(senders);
    wait_for("the end", || market.minutes().len() == 1);
    assert_eq!(market.minutes()[0].candle.count, 2);
}
