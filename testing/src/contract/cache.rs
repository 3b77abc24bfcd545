//! The cache: which candle is the latest, and what goes over the channel.

use crate::fixtures::CacheFixture;
use crate::samples::{MIDNIGHT, MINUTE, alert, candle, corrected, settled_alert, step, symbol};
use tallow_model::rows::{AlertMessage, LatestCandle};
use tallow_model::store::{Cache, Update};
use tallow_model::{AlertStatus, EventTime, Interval, LiveCandle, SettledCandle};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

const CAPACITY: usize = 1024;

fn open(settled: &SettledCandle) -> LiveCandle {
    let event_time = EventTime(settled.candle.window_start.millis() + 1_500);
    LiveCandle { symbol: settled.symbol, interval: settled.interval, candle: settled.candle, event_time }
}

fn minute(number: u64, count: u32) -> SettledCandle {
    candle("BTC", Interval::OneMinute, MIDNIGHT + number * MINUTE, count, 100.0)
}

fn publish_live(fixture: &impl CacheFixture, candles: &[LiveCandle]) {
    fixture.publish_live(candles);
    fixture.settle();
}

fn publish_settled(fixture: &impl CacheFixture, candles: Vec<SettledCandle>) {
    fixture.publish_settled(&step(candles, vec![]));
    fixture.settle();
}

/// An update arrives, or the test fails.
async fn next(updates: &mut Receiver<Update>) -> Result<Update, RecvError> {
    tokio::time::timeout(crate::wait::LIMIT, updates.recv()).await.unwrap()
}

async fn next_candle(updates: &mut Receiver<Update>) -> LatestCandle {
    match next(updates).await.unwrap() {
        Update::Candle { candle, .. } => (*candle).clone(),
        other => panic!("{other:?} is no candle"),
    }
}

/// Start of the window in minutes, closed, ticks, revision.
async fn latest(cache: &dyn Cache) -> (u64, bool, u64, u32) {
    let it = cache.latest(symbol("BTC")).await.unwrap().unwrap();
    ((it.window_start * 1_000 - MIDNIGHT) / MINUTE, it.is_closed, it.event_count, it.revision)
}

pub async fn the_newest_candle_is_the_latest_whatever_comes_after_it<B: CacheFixture>() {
    let fixture = B::fresh(CAPACITY);
    let cache = fixture.cache();
    cache.ping().await.unwrap();
    assert_eq!(cache.latest(symbol("BTC")).await.unwrap(), None);
    assert_eq!(cache.latest_all().await.unwrap(), []);

    publish_live(&fixture, &[open(&minute(0, 3))]);
    assert_eq!(latest(cache).await, (0, false, 3, 0));
    publish_live(&fixture, &[open(&minute(0, 5)), open(&minute(0, 4))]);
    assert_eq!(latest(cache).await, (0, false, 5, 0));
    publish_live(&fixture, &[open(&minute(1, 1))]);
    publish_settled(&fixture, vec![minute(0, 6)]);
    assert_eq!(latest(cache).await, (1, false, 1, 0));
    publish_settled(&fixture, vec![minute(1, 1)]);
    assert_eq!(latest(cache).await, (1, true, 1, 0));
    publish_settled(&fixture, vec![corrected(&minute(1, 1), 7.0), minute(1, 1)]);
    assert_eq!(latest(cache).await, (1, true, 2, 1));
    publish_live(&fixture, &[open(&minute(2, 1))]);
    assert_eq!(latest(cache).await, (2, false, 1, 0));

    // Each interval and symbol for itself; the latest is of one minute.
    let five = candle("BTC", Interval::FiveMinutes, MIDNIGHT, 9, 100.0);
    let other = candle("ADA", Interval::OneMinute, MIDNIGHT, 2, 0.4);
    publish_live(&fixture, &[open(&five), open(&other)]);
    assert_eq!(latest(cache).await, (2, false, 1, 0));
    let newest = cache.newest(symbol("BTC"), Interval::FiveMinutes).await.unwrap().unwrap();
    assert_eq!(newest.event_count, 9);
    assert_eq!(cache.newest(symbol("BTC"), Interval::FifteenMinutes).await.unwrap(), None);
    let all = cache.latest_all().await.unwrap();
    assert_eq!(all.iter().map(|it| it.symbol).collect::<Vec<_>>(), ["ADA", "BTC"].map(symbol));
}

pub async fn an_open_candle_of_a_closed_window_is_dropped<B: CacheFixture>() {
    let fixture = B::fresh(CAPACITY);
    let mut updates = fixture.cache().subscribe();
    publish_settled(&fixture, vec![minute(1, 4)]);
    publish_live(&fixture, &[open(&minute(1, 9)), open(&minute(0, 9))]);
    assert_eq!(latest(fixture.cache()).await, (1, true, 4, 0));
    publish_live(&fixture, &[open(&minute(3, 2))]);
    // Of a window that has not closed, though a newer one is open: shown, and not the latest.
    publish_live(&fixture, &[open(&minute(2, 8))]);
    assert_eq!(latest(fixture.cache()).await, (3, false, 2, 0));
    for (seq, ticks) in [(1, 4), (2, 2), (3, 8)] {
        let candle = next_candle(&mut updates).await;
        assert_eq!((candle.seq, candle.event_count), (seq, ticks));
    }
}

pub async fn a_correction_of_an_old_window_is_published_and_is_not_the_latest<B: CacheFixture>() {
    let fixture = B::fresh(CAPACITY);
    publish_settled(&fixture, vec![minute(0, 4), minute(1, 4)]);
    let mut updates = fixture.cache().subscribe();
    publish_settled(&fixture, vec![corrected(&minute(0, 4), 7.0)]);
    let correction = next_candle(&mut updates).await;
    assert_eq!((correction.seq, correction.revision, correction.close), (3, 1, 7.0));
    assert_eq!(latest(fixture.cache()).await, (1, true, 4, 0));
}

pub async fn numbers_grow_by_one_per_symbol_and_interval<B: CacheFixture>() {
    let fixture = B::fresh(CAPACITY);
    // Also while nobody listens.
    publish_live(&fixture, &[open(&minute(0, 1))]);
    let mut updates = fixture.cache().subscribe();
    let of = |name, interval, count| open(&candle(name, interval, MIDNIGHT, count, 100.0));
    for count in 2..5u32 {
        publish_live(
            &fixture,
            &[
                of("BTC", Interval::OneMinute, count),
                of("BTC", Interval::FiveMinutes, count),
                of("ETH", Interval::OneMinute, count),
            ],
        );
        for first in [2, 1, 1] {
            assert_eq!(next_candle(&mut updates).await.seq, first + u64::from(count) - 2);
        }
    }
    let latest = fixture.cache().latest(symbol("BTC")).await.unwrap().unwrap();
    assert_eq!(latest.seq, 4);
}

pub async fn an_update_carries_its_json_and_alerts_follow_candles<B: CacheFixture>() {
    let fixture = B::fresh(CAPACITY);
    let mut updates = fixture.cache().subscribe();
    let raised = settled_alert(alert("BTC", MIDNIGHT, 6.4), AlertStatus::Raised, 0);
    fixture.publish_settled(&step(vec![minute(0, 4)], vec![raised]));
    fixture.settle();
    match next(&mut updates).await.unwrap() {
        Update::Candle { candle, json } => {
            assert_eq!(serde_json::from_str::<LatestCandle>(&json).unwrap(), *candle);
            let expected = LatestCandle { seq: 1, ..LatestCandle::from(&minute(0, 4)) };
            assert_eq!(*candle, expected);
        }
        other => panic!("{other:?} is no candle"),
    }
    match next(&mut updates).await.unwrap() {
        Update::Alert { alert, json } => {
            assert_eq!(serde_json::from_str::<AlertMessage>(&json).unwrap(), *alert);
            assert_eq!(*alert, AlertMessage::from(&raised));
        }
        other => panic!("{other:?} is no alert"),
    }
}

pub async fn a_bulk_of_history_tells_a_slow_subscriber_what_it_missed<B: CacheFixture>() {
    const BULK: u64 = 20_000;
    let fixture = B::fresh(CAPACITY);
    let mut updates = fixture.cache().subscribe();
    publish_settled(&fixture, (0..BULK).map(|number| minute(number, 2)).collect());
    assert_eq!(next(&mut updates).await.unwrap_err(), RecvError::Lagged(BULK - CAPACITY as u64));
    for seq in BULK - CAPACITY as u64 + 1..=BULK {
        assert_eq!(next_candle(&mut updates).await.seq, seq);
    }
    assert_eq!(latest(fixture.cache()).await, (BULK - 1, true, 2, 0));
}

pub async fn numbers_are_in_order_on_the_channel_with_several_publishers<B: CacheFixture + Sync>() {
    const EACH: u64 = 5_000;
    let fixture = B::fresh(2 * EACH as usize);
    let mut updates = fixture.cache().subscribe();
    std::thread::scope(|scope| {
        for first in [0, EACH] {
            let fixture = &fixture;
            scope.spawn(move || {
                for number in first..first + EACH {
                    fixture.publish_settled(&step(vec![minute(number, 2)], vec![]));
                }
            });
        }
    });
    fixture.settle();
    for seq in 1..=2 * EACH {
        assert_eq!(next_candle(&mut updates).await.seq, seq);
    }
    assert_eq!(latest(fixture.cache()).await, (2 * EACH - 1, true, 2, 0));
}
