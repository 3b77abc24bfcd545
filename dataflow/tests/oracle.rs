//! The graph against a plain sequential computation at every logical time, and the laws that follow
//! from the settled output being a function of the log.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use tallow_dataflow::Settings;
use tallow_testing::graph::oracle::{Plain, assert_same, expected, lines, random_log};
use tallow_testing::graph::{Random, eager, settle};

#[test]
fn every_version_at_every_time_equals_the_sequential_computation() {
    let (mut late, mut too_late, mut corrections, mut retracted) = (0, 0, 0, 0);
    for seed in 0..12 {
        for settings in [Settings::default(), eager()] {
            let log = random_log(seed, 1 + seed as usize % 3, 1_200);
            let expected = expected(&log, &settings);
            let outcome = settle(&lines(&log), 1, &settings);
            assert_same(&outcome, &expected);
            assert_eq!(outcome.counts.records_in, log.iter().map(|p| p.len() as u64).sum::<u64>());
            assert_eq!(outcome.rejects.len() as u64, expected.too_late);
            late += expected.late;
            too_late += expected.too_late;
            corrections += expected.versions.iter().filter(|v| v.revision > 0).count();
            retracted += expected.changes.iter().filter(|c| !c.raised).count();
        }
    }
    // The logs prove nothing unless they contain the hard cases.
    assert!(
        late > 1_000 && too_late > 100 && corrections > 1_000 && retracted > 10,
        "{late} {too_late} {corrections} {retracted}"
    );
}

#[test]
fn one_two_and_four_workers_give_the_same() {
    let log = random_log(99, 5, 1_000);
    let one = settle(&lines(&log), 1, &eager());
    assert_same(&one, &expected(&log, &eager()));
    for workers in [2, 4] {
        assert_eq!(settle(&lines(&log), workers, &eager()), one, "{workers} workers");
    }
}

#[test]
fn any_batch_size_gives_the_same() {
    let log = random_log(7, 2, 800);
    let whole = settle(&lines(&log), 1, &eager());
    for batch_records in [1, 2, 7, 100] {
        let settings = Settings { batch_records, ..eager() };
        assert_eq!(settle(&lines(&log), 2, &settings), whole, "batches of {batch_records}");
    }
}

#[test]
fn a_partition_that_runs_ahead_changes_nothing() {
    let log = random_log(11, 3, 800);
    let tight = Settings { max_skew_ms: 1_000, batch_records: 3, ..eager() };
    let free = Settings { max_skew_ms: u64::MAX, ..eager() };
    assert_eq!(settle(&lines(&log), 2, &tight), settle(&lines(&log), 1, &free));
}

#[test]
fn blocks_that_expire_in_several_portions_equal_the_sequential_computation() {
    let symbols: Vec<&'static str> = (0..400).map(|i| &*format!("S{i}").leak()).collect();
    let mut random = Random(5);
    let mut plains = Vec::new();
    for minute in 0..60 {
        for &symbol in &symbols {
            let late = if random.chance(3) { random.below(240_000) } else { 0 };
            let ms = 1_700_000_100_000 + minute * 60_000 + random.below(50_000) - late;
            plains.push(Plain { symbol, ms, price: 10_000 + random.below(100), size: 1 });
        }
    }
    let log = vec![plains];
    assert_same(&settle(&lines(&log), 1, &eager()), &expected(&log, &eager()));
}

#[test]
fn more_workers_than_partitions_are_no_hindrance() {
    let log = random_log(3, 1, 300);
    assert_eq!(settle(&lines(&log), 4, &eager()), settle(&lines(&log), 1, &eager()));
}

/// Milliseconds after a window's border at which something changes: the border itself, and the
/// times at which a watermark of ten seconds reaches it.
const BORDERS: &[u64] = &[0, 1, 9_999, 10_000, 10_001, 11_000, 30_000, 59_999];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Ticks are crowded around window borders and the watermark, so that every boundary case
    /// occurs.
    #[test]
    fn ticks_at_the_borders_equal_the_sequential_computation(
        ticks in prop::collection::vec((0u64..20, prop::sample::select(BORDERS), 1u64..400, 0usize..2), 1..120),
        workers in 1usize..3,
        batch_records in 1usize..50,
    ) {
        let mut log = vec![Vec::new(), Vec::new()];
        for (minute, since_border, price, partition) in ticks {
            let ms = 1_700_000_040_000 + minute * 60_000 + since_border;
            log[partition].push(Plain { symbol: "BTC", ms, price: 10_000 + price, size: price });
        }
        let settings = Settings { batch_records, ..eager() };
        assert_same(&settle(&lines(&log), workers, &settings), &expected(&log, &settings));
    }
}
