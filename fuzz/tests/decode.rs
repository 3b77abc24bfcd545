//! The property of the tick decoder on a stable toolchain: the seeds of libFuzzer, then texts of
//! the shape of a tick, some of them damaged. `TALLOW_FUZZ_CASES` sets their number.

mod texts;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Default number of texts, which takes some seconds.
const CASES: u32 = 4_000;

#[test]
fn the_seeds_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/decode");
    let mut tried = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder of seeds") {
        tallow_fuzz::check(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
        tried += 1;
    }
    assert!(tried >= 5, "only {tried} seeds in {}", folder.display());
}

#[test]
fn texts_of_the_shape_of_a_tick_hold() {
    let cases =
        std::env::var("TALLOW_FUZZ_CASES").map_or(CASES, |cases| cases.parse().expect("a number of cases"));
    let config = ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let ticks = AtomicU32::new(0);
    let hold = |text: Vec<u8>| {
        ticks.fetch_add(u32::from(tallow_fuzz::check(&text)), Ordering::Relaxed);
        Ok(())
    };
    if let Err(error) = TestRunner::new(config).run(&texts::damaged(), hold) {
        panic!("{error}");
    }
    // A share of ticks outside these bounds means that the texts no longer reach the hard cases.
    let ticks = ticks.into_inner();
    assert!(ticks > cases / 10 && ticks < cases / 10 * 9, "{ticks} of {cases} texts were ticks");
}
