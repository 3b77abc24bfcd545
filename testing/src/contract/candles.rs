//! Candles and progress: idempotence, the guard of versions, what readers see.

use super::write;
use crate::fixtures::StoreFixture;
use crate::samples::{MIDNIGHT, MINUTE, all, candle, corrected, frontier, step};
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandlePage, History};
use tallow_model::{EventTime, Interval, Price, Reject, RejectReason, SettledCandle};

const BASE: Interval = Interval::OneMinute;

async fn rows(history: &dyn History, interval: Interval) -> Vec<CandleRow> {
    history.candles(&all("BTC", interval)).await.unwrap().rows
}

pub async fn the_same_steps_written_again_change_nothing<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let first = candle("BTC", BASE, MIDNIGHT, 5, 100.0);
    let steps = [
        step(vec![first, candle("ETH", BASE, MIDNIGHT, 3, 10.0)], vec![]),
        step(vec![corrected(&first, 99.0), candle("BTC", BASE, MIDNIGHT + MINUTE, 1, 101.0)], vec![]),
    ];
    write(&mut *sink, &steps);
    let once = rows(&*history, BASE).await;
    assert_eq!(once[0], CandleRow::from(&corrected(&first, 99.0)));
    assert_eq!(once[1], CandleRow::from(&candle("BTC", BASE, MIDNIGHT + MINUTE, 1, 101.0)));
    assert_eq!(once.len(), 2);
    let through = sink.stored_through();

    write(&mut *sink, &steps);
    write(&mut *sink, &steps[..1]);
    write(&mut *fixture.sink(1), &steps);
    assert_eq!(rows(&*history, BASE).await, once);
    assert_eq!(sink.stored_through(), through);
    assert_eq!(history.symbols().await.unwrap(), ["BTC", "ETH"].map(crate::samples::symbol));
    history.ping().await.unwrap();
}

pub async fn a_newer_version_replaces_and_an_older_one_does_not<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    for interval in Interval::ALL {
        let old = candle("BTC", interval, MIDNIGHT, 5, 100.0);
        let new = corrected(&old, 107.0);
        for (written, stays) in [(old, old), (new, new), (old, new)] {
            write(&mut *sink, &[step(vec![written], vec![])]);
            assert_eq!(rows(&*history, interval).await, [CandleRow::from(&stays)]);
        }
        // As many ticks: the revision decides.
        let mut revised = new;
        revised.revision += 1;
        revised.candle.close = Price(55.0);
        for written in [revised, new] {
            write(&mut *sink, &[step(vec![written], vec![])]);
            assert_eq!(rows(&*history, interval).await, [CandleRow::from(&revised)]);
        }
    }
}

pub async fn the_revision_never_goes_down<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let mut corrected_twice = candle("BTC", BASE, MIDNIGHT, 5, 100.0);
    corrected_twice.revision = 2;
    // A run that read the late ticks in time comes to the same candle, and more, with fewer
    // corrections.
    let with_more_ticks = candle("BTC", BASE, MIDNIGHT, 6, 100.0);
    write(&mut *sink, &[step(vec![corrected_twice], vec![]), step(vec![with_more_ticks], vec![])]);
    let stored = &rows(&*fixture.history(), BASE).await[0];
    assert_eq!((stored.trade_count, stored.revision), (6, 2));
}

pub async fn the_newest_of_several_versions_in_one_step_stays<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let first = candle("BTC", BASE, MIDNIGHT, 5, 100.0);
    let second = corrected(&first, 98.0);
    let third = corrected(&second, 97.0);
    write(&mut *sink, &[step(vec![first, second, third], vec![])]);
    assert_eq!(rows(&*fixture.history(), BASE).await, [CandleRow::from(&third)]);
}

pub async fn progress_is_the_least_of_the_workers_and_never_goes_back<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(2);
    assert_eq!(sink.stored_through(), None);
    write(&mut *sink, &[frontier(0, Some(MIDNIGHT))]);
    assert_eq!(sink.stored_through(), None);
    write(&mut *sink, &[frontier(1, Some(MIDNIGHT + MINUTE)), frontier(0, Some(MIDNIGHT + 2 * MINUTE))]);
    assert_eq!(sink.stored_through(), Some(EventTime(MIDNIGHT + MINUTE)));
    drop(sink);

    // The next run has another number of workers and reads the log from its beginning.
    let mut sink = fixture.sink(1);
    assert_eq!(sink.stored_through(), Some(EventTime(MIDNIGHT + MINUTE)));
    write(&mut *sink, &[frontier(0, Some(MIDNIGHT - MINUTE))]);
    assert_eq!(sink.stored_through(), Some(EventTime(MIDNIGHT + MINUTE)));
    write(&mut *sink, &[frontier(0, Some(MIDNIGHT + 3 * MINUTE))]);
    assert_eq!(sink.stored_through(), Some(EventTime(MIDNIGHT + 3 * MINUTE)));
    write(&mut *sink, &[frontier(0, None)]);
    assert_eq!(sink.stored_through(), Some(EventTime(MIDNIGHT + 3 * MINUTE)));
}

pub async fn reopening_keeps_everything<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let first = candle("BTC", BASE, MIDNIGHT, 5, 100.0);
    write(&mut *sink, &[step(vec![first], vec![])]);
    let before = (rows(&*history, BASE).await, sink.stored_through());
    drop((sink, history));

    let mut sink = fixture.sink(1);
    assert_eq!((rows(&*fixture.history(), BASE).await, sink.stored_through()), before);
    write(&mut *sink, &[step(vec![candle("BTC", BASE, MIDNIGHT + MINUTE, 5, 100.0)], vec![])]);
    assert_eq!(rows(&*fixture.history(), BASE).await.len(), 2);
}

pub async fn readers_see_whole_steps_while_they_are_written<B: StoreFixture>() {
    const STEPS: u64 = 200;
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let histories = [fixture.history(), fixture.history(), fixture.history()];
    let readers: Vec<_> = histories
        .into_iter()
        .map(|history| {
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < 2 * STEPS {
                    let CandlePage { rows, total } = history.candles(&all("BTC", BASE)).await.unwrap();
                    let total = total.unwrap();
                    assert_eq!(rows.len() as u64, total);
                    assert_eq!(total % 2, 0, "half a step");
                    assert!(total >= seen, "{total} after {seen}");
                    seen = total;
                }
            })
        })
        .collect();
    for number in 0..STEPS {
        let pair = [2 * number, 2 * number + 1];
        let candles: Vec<SettledCandle> =
            pair.iter().map(|minute| candle("BTC", BASE, MIDNIGHT + minute * MINUTE, 5, 100.0)).collect();
        write(&mut *sink, &[step(candles, vec![])]);
    }
    for reader in readers {
        tokio::time::timeout(crate::wait::LIMIT, reader).await.unwrap().unwrap();
    }
}

pub async fn a_price_comes_back_digit_for_digit<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let mut settled = candle("BTC", BASE, MIDNIGHT, 5, 100.0);
    settled.candle.open = Price(1_219.345_585_274_282_7);
    settled.candle.high = Price(1e12);
    settled.candle.low = Price(1e-18);
    settled.candle.close = Price(0.1 + 0.2);
    write(&mut *sink, &[step(vec![settled], vec![])]);
    assert_eq!(rows(&*fixture.history(), BASE).await, [CandleRow::from(&settled)]);
}

pub async fn rejects_are_taken_again_and_again<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let reject = |offset, log_time, raw: &[u8]| Reject {
        partition: 0,
        offset,
        log_time,
        reason: RejectReason::Malformed,
        detail: "not a tick".to_owned(),
        raw: raw.to_vec(),
    };
    let rejects = [
        reject(0, None, b""),
        reject(9, Some(EventTime(MIDNIGHT)), b"\xff\x00\xfe"),
        reject(u64::MAX, None, b"{}"),
    ];
    for _ in 0..2 {
        tokio::task::block_in_place(|| sink.write_rejects(&rejects)).unwrap();
    }
    tokio::task::block_in_place(|| sink.write_rejects(&[])).unwrap();
}
