//! The data of both pairs of stores: a day and two hours of BTC, quotes of ETH, one symbol that
//! only the history has, one that only the cache has, and alerts.

use tallow_model::store::{CheckpointFigures, PartitionStatus, PipelineStatus};
use tallow_model::{
    AlertStatus, Counts, EventTime, Interval, LiveCandle, PartitionProgress, SettledAlert, SettledCandle,
    Step,
};
use tallow_testing::samples::{
    HOUR, MIDNIGHT, MINUTE, alert, candle, corrected, frontier, quoted, settled_alert, step,
};

/// The midnight at which the minutes begin.
pub(crate) const DAY: u64 = MIDNIGHT + 24 * HOUR;
/// The time on the server's clock: 2025-11-17T02:07:30.250Z.
pub(crate) const NOW: u64 = DAY + 2 * HOUR + 7 * MINUTE + 30_250;
/// The watermark of the pipeline.
const WATERMARK: u64 = NOW - 10_000;

/// The number of minutes of BTC after [`DAY`] that are settled; the last has just ended.
pub(crate) const MINUTES: u64 = 127;
/// The minutes of BTC that have no candle.
pub(crate) const QUIET: [u64; 4] = [30, 31, 32, 90];
/// The minute of BTC that has been corrected.
pub(crate) const CORRECTED: u64 = 20;
/// The number of quarters after `MIDNIGHT` that are settled.
const QUARTERS: u64 = 104;
/// The quarters that have no candle.
const QUIET_QUARTERS: [u64; 3] = [10, 11, 50];

/// The closed minute of BTC with this number after [`DAY`].
pub(crate) fn minute(number: u64) -> SettledCandle {
    let price = 95_750.12 + number as f64 * 0.37;
    let settled = candle("BTC", Interval::OneMinute, DAY + number * MINUTE, 3 + number as u32 % 5, price);
    if number == CORRECTED { corrected(&settled, 95_000.000_000_12) } else { settled }
}

fn minutes() -> impl Iterator<Item = SettledCandle> {
    (0..MINUTES).filter(|number| !QUIET.contains(number)).map(minute)
}

fn fives() -> impl Iterator<Item = SettledCandle> {
    let five = |number: u64| {
        candle("BTC", Interval::FiveMinutes, DAY + number * 5 * MINUTE, 17, 95_700.1 + number as f64 * 1.7)
    };
    (0..25).filter(|number| *number != 7).map(five)
}

fn quarters() -> impl Iterator<Item = SettledCandle> {
    let quarter = |number: u64| {
        let (start, price) = (MIDNIGHT + number * 15 * MINUTE, 94_000.25 + number as f64 * 16.9);
        candle("BTC", Interval::FifteenMinutes, start, 40 + number as u32 % 7, price)
    };
    (0..QUARTERS).filter(|number| !QUIET_QUARTERS.contains(number)).map(quarter)
}

/// The candles of a feed without sizes.
fn quotes() -> impl Iterator<Item = SettledCandle> {
    fn volume(number: u64) -> Option<f64> {
        Some(9.1e9 + number as f64 * 1e6)
    }
    let minute = |number: u64| {
        let start = DAY + number * MINUTE;
        quoted(&candle("ETH", Interval::OneMinute, start, 2, 3_100.5 - number as f64 * 0.25), volume(number))
    };
    let quarter = |number: u64| {
        let start = MIDNIGHT + number * 15 * MINUTE;
        quoted(&candle("ETH", Interval::FifteenMinutes, start, 30, 3_200.5 - number as f64), volume(number))
    };
    (100..MINUTES).map(minute).chain((90..QUARTERS).map(quarter))
}

fn alerts() -> Vec<SettledAlert> {
    let at = |name, window_start, z_score, status| {
        settled_alert(alert(name, window_start, z_score), status, 5_000)
    };
    vec![
        at("BTC", MIDNIGHT + HOUR, 5.0, AlertStatus::Raised),
        at("BTC", DAY + 10 * MINUTE, 4.5, AlertStatus::Raised),
        at("BTC", DAY + 60 * MINUTE, -6.5, AlertStatus::Raised),
        at("BTC", DAY + 61 * MINUTE, 9.0, AlertStatus::Retracted),
        at("ETH", DAY + 110 * MINUTE, 8.5, AlertStatus::Raised),
    ]
}

/// All settled candles and alerts, for the history.
pub(crate) fn settled() -> Vec<Step> {
    let old = candle("OLD", Interval::OneMinute, DAY, 1, 0.000_000_12);
    let candles = quarters().chain(fives()).chain(minutes()).chain(quotes()).chain([old]).collect();
    vec![step(candles, alerts()), frontier(0, Some(WATERMARK))]
}

/// The newest settled candles, for the cache.
pub(crate) fn newest_settled() -> Step {
    let newest = [minute(MINUTES - 2), minute(MINUTES - 1)].into_iter();
    let longer = fives().last().into_iter().chain(quarters().last());
    let quotes = quotes().filter(|quote| quote.interval == Interval::OneMinute).last();
    step(newest.chain(longer).chain(quotes).collect(), Vec::new())
}

/// The open candle with this number of ticks.
pub(crate) fn open(name: &str, interval: Interval, count: u32) -> LiveCandle {
    let start = NOW - NOW % interval.millis();
    let price = 95_800.75 + f64::from(count);
    let SettledCandle { symbol, interval, candle, .. } = candle(name, interval, start, count, price);
    LiveCandle { symbol, interval, candle, event_time: EventTime(NOW - 500) }
}

/// The open candles, for the cache: trades of BTC, a quote of ETH, and the first trades of a
/// symbol.
pub(crate) fn all_open() -> Vec<LiveCandle> {
    let of_btc = Interval::ALL.map(|interval| open("BTC", interval, 4));
    let mut eth = open("ETH", Interval::OneMinute, 1);
    (eth.candle.sized, eth.candle.size_sum, eth.candle.notional_sum) = (0, 0, 0);
    eth.candle.day_volume = Some(tallow_model::Price(9.4e9));
    of_btc.into_iter().chain([eth, open("NEW.X", Interval::OneMinute, 2)]).collect()
}

/// The status of the pipeline.
pub(crate) fn status() -> PipelineStatus {
    let time = |millis| Some(EventTime(millis));
    let counts = Counts { records_in: 10, on_time: 7, late: 2, malformed: 1, ..Counts::default() };
    let progress = PartitionProgress {
        partition: 0,
        counts,
        offset: Some(9),
        max_event_time: time(NOW - 500),
        idle: false,
    };
    PipelineStatus {
        source: "simulated".to_owned(),
        ready: true,
        counts,
        watermark: time(WATERMARK),
        max_event_time: time(NOW - 500),
        candles_settled: [5, 2, 1],
        corrections: [2, 1, 0],
        alerts_raised: [2, 1, 1],
        alerts_retracted: 1,
        partitions: vec![PartitionStatus { progress, pending: Some(4), silent_seconds: None }],
        checkpoint: Some(CheckpointFigures { stored: 3, bytes: 4096, ..CheckpointFigures::default() }),
        ..PipelineStatus::default()
    }
}
