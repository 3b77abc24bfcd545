//! Runs that are stopped anywhere and restored from a checkpoint settle the same as one run that
//! never stops.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use tallow_dataflow::{Settings, State};
use tallow_model::{EventTime, next_second};
use tallow_testing::graph::crashes::{Crashes, Vault};
use tallow_testing::graph::oracle::{Plain, assert_same, expected, lines, random_log};
use tallow_testing::graph::{Outcome, settle};

/// Returns settings under which all workers advance time in small steps.
fn eager() -> Settings {
    Settings { batch_records: 5, max_skew_ms: 60_000, ..tallow_testing::graph::eager() }
}

/// A run that ends with a stop. Every partition has some records from the start: an empty partition
/// does not hold time back, and its later records are late.
#[derive(Clone, Debug)]
struct Stop {
    /// Lines of each partition that become readable, in thousandths of its remaining lines.
    shares: Vec<u64>,
    /// Progress of the settled frontier before the stop, in thousandths of what the lines allow.
    settles: u64,
    workers: usize,
    /// Distance between checkpoints.
    interval_ms: u64,
}

fn stops() -> impl Strategy<Value = Vec<Stop>> {
    let stop = (
        prop::collection::vec(20u64..1_000, 3),
        0u64..=1_000,
        1usize..4,
        prop::sample::select(vec![1_000u64, 60_000, 300_000]),
    );
    let stop = stop.prop_map(|(shares, settles, workers, interval_ms)| Stop {
        shares,
        settles,
        workers,
        interval_ms,
    });
    prop::collection::vec(stop, 1..5)
}

/// Returns the frontier after the first `limits` lines of each partition.
fn frontier(log: &[Vec<Plain>], limits: &[u64], settings: &Settings) -> u64 {
    let of = |(plains, limit): (&Vec<Plain>, &u64)| {
        let newest = plains[..*limit as usize].iter().map(|plain| plain.ms).max();
        newest.map(|ms| next_second(ms - settings.max_out_of_orderness_ms))
    };
    log.iter().zip(limits).filter_map(of).min().unwrap_or(0)
}

/// Runs and stops once for each of `stops`, then runs to the end of the log.
fn crash(log: &[Vec<Plain>], settings: &Settings, stops: &[Stop], last_workers: usize) -> Crashes {
    let mut crashes = Crashes::over(&lines(log), settings);
    let mut limits: Vec<u64> = vec![0; log.len()];
    let mut settled = log.iter().flatten().map(|plain| plain.ms).min().unwrap();
    for stop in stops {
        for ((limit, plains), share) in limits.iter_mut().zip(log).zip(&stop.shares) {
            // The last line is held back, so that the log does not end.
            let left = (plains.len() as u64 - 1).saturating_sub(*limit);
            *limit += left * share / 1_000;
        }
        let running = crashes.start(stop.workers, stop.interval_ms, &limits);
        let reached = frontier(log, &limits, settings);
        if reached > settled {
            settled += (reached - settled) * stop.settles / 1_000;
            running.settles(settled);
        }
        running.stop();
    }
    crashes.finish(last_workers, 60_000);
    crashes
}

/// Returns the states of the complete checkpoints by frontier.
fn states(vault: &Vault) -> BTreeMap<EventTime, State> {
    vault.complete().into_iter().map(|(id, parts)| (id.frontier, parts.state())).collect()
}

/// Returns the outcome of one run that never stops, and its checkpoints.
fn unbroken(log: &[Vec<Plain>], settings: &Settings) -> (Outcome, BTreeMap<EventTime, State>) {
    let mut crashes = Crashes::over(&lines(log), settings);
    crashes.finish(1, 1_000);
    (crashes.outcome(), states(&crashes.vault))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_run_stopped_anywhere_puts_out_what_an_unbroken_one_does(
        seed in 0u64..1_000,
        partitions in 1usize..4,
        stops in stops(),
        last_workers in 1usize..4,
        batch_records in prop::sample::select(vec![1usize, 7, 100, 16_384]),
        max_skew_ms in prop::sample::select(vec![60_000u64, 1_800_000]),
    ) {
        let log = random_log(seed, partitions, 500);
        let settings = Settings { batch_records, max_skew_ms, ..eager() };
        let crashes = crash(&log, &settings, &stops, last_workers);
        assert_same(&crashes.outcome(), &expected(&log, &settings));
        prop_assert_eq!(crashes.outcome(), settle(&lines(&log), 1, &settings));
    }
}

#[test]
fn checkpoints_hold_the_same_state_whoever_takes_them() {
    let log = random_log(17, 3, 1_000);
    let (outcome, whole) = unbroken(&log, &eager());
    let stop =
        |share, workers, interval_ms| Stop { shares: vec![share; 3], settles: 1_000, workers, interval_ms };
    let stops = [stop(300, 2, 60_000), stop(400, 3, 60_000), stop(500, 1, 1_000)];
    let crashes = crash(&log, &eager(), &stops, 2);
    assert_eq!(crashes.outcome(), outcome);
    let mut compared = 0;
    for (frontier, state) in states(&crashes.vault) {
        // An unbroken run need not have taken a checkpoint there.
        if let Some(expected) = whole.get(&frontier) {
            assert_eq!(&state, expected, "at {}", frontier.rfc3339());
            compared += 1;
        }
    }
    assert!(compared > 4, "{compared} of the checkpoints could be compared");
}

#[test]
fn a_restored_run_settles_only_what_the_checkpoint_does_not_have() {
    let log = random_log(5, 2, 1_000);
    let stop = Stop { shares: vec![900; 2], settles: 1_000, workers: 2, interval_ms: 60_000 };
    let crashes = crash(&log, &eager(), &[stop], 1);
    let whole = settle(&lines(&log), 1, &eager());
    let last = crashes.last();
    let since = last.candles.iter().map(|candle| candle.settled_at).min().unwrap();
    let expected: Vec<_> = whole.candles.iter().filter(|it| it.settled_at >= since).copied().collect();
    assert_eq!(last.candles, expected);
    assert!(last.candles.len() < whole.candles.len());
    assert_eq!(last.counts, whole.counts);
}

#[test]
fn a_tick_that_ended_a_silence_is_not_taken_for_one_that_the_checkpoint_has() {
    let base = 1_700_000_040_000;
    let plain = |since, price| Plain { symbol: "BTC", ms: base + since, price, size: 1 };
    // The third tick is of the first minute, and arrives after the clock has made the source give
    // up time.
    let log = vec![vec![plain(1_000, 100), plain(70_000, 110), plain(5_000, 90), plain(400_000, 120)]];
    let settings = eager();
    let mut crashes = Crashes::over(&lines(&log), &settings);
    let running = crashes.start(1, 60_000, &[2]);
    running.reads(&[2]);
    crashes.clock.run_to(4_000_000_000_000 + 200_000, 1);
    running.settles(base + 240_000);
    running.offer(&[3]);
    running.reads(&[3]);
    running.settles(base + 250_000);
    running.stop();
    let (id, parts) = crashes.vault.newest().unwrap();
    // The tick's own partition would place it a second after the first minute, before the
    // checkpoint.
    assert!(id.frontier.millis() >= base + 180_000, "{}", id.frontier.rfc3339());
    assert!(parts.partitions[0].idle);
    crashes.finish(2, 60_000);
    let candles = crashes.outcome().candles;
    let newest = candles
        .iter()
        .filter(|it| it.candle.window_start == EventTime(base))
        .max_by_key(|it| it.candle.count);
    assert_eq!(newest.unwrap().candle.count, 2);
}
