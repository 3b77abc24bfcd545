//! Candles, alerts and steps to write, made by hand and from seeds.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tallow_model::store::{CandleQuery, Span};
use tallow_model::{
    Alert, AlertStatus, Candle, EventTime, Interval, Price, SettledAlert, SettledCandle, Step, Symbol,
};

/// The midnight of a Sunday, to which every window of a day or less is aligned.
pub const MIDNIGHT: u64 = 1_763_251_200_000;
/// A minute in milliseconds.
pub const MINUTE: u64 = 60_000;
/// An hour in milliseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// A time after all samples.
pub const FAR: u64 = MIDNIGHT + 1_000 * 24 * HOUR;

/// Parses a symbol that must be valid.
pub fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// A candle of `count` trades of size 1 at about `price`.
pub fn candle(name: &str, interval: Interval, window_start: u64, count: u32, price: f64) -> SettledCandle {
    let exact_price = (price * 1e6) as i128 * 10i128.pow(12);
    SettledCandle {
        symbol: symbol(name),
        interval,
        candle: Candle {
            window_start: EventTime(window_start),
            open: Price(price),
            high: Price(price + 2.0),
            low: Price(price - 1.0),
            close: Price(price + 1.0),
            count,
            sized: count,
            price_sum: exact_price * i128::from(count),
            size_sum: 10i128.pow(15) * i128::from(count),
            notional_sum: exact_price / 10i128.pow(6) * i128::from(count),
            day_volume: None,
        },
        revision: 0,
        settled_at: EventTime(window_start + interval.millis()),
    }
}

/// Returns the candle after another tick.
pub fn corrected(settled: &SettledCandle, close: f64) -> SettledCandle {
    let mut newer = *settled;
    newer.candle.count += 1;
    newer.candle.close = Price(close);
    newer.revision += 1;
    newer.settled_at = EventTime(settled.settled_at.millis() + 5_000);
    newer
}

/// Returns the candle as a feed without sizes would make it.
pub fn quoted(settled: &SettledCandle, day_volume: Option<f64>) -> SettledCandle {
    let mut quoted = *settled;
    quoted.candle.sized = 0;
    quoted.candle.size_sum = 0;
    quoted.candle.notional_sum = 0;
    quoted.candle.day_volume = day_volume.map(Price);
    quoted
}

/// A step of the only worker, whose frontier is past everything in it.
pub fn step(candles: Vec<SettledCandle>, alerts: Vec<SettledAlert>) -> Step {
    let times = candles.iter().map(|it| it.settled_at).chain(alerts.iter().map(|it| it.settled_at));
    let frontier = times.max().map(|newest| EventTime(newest.millis() + 1_000));
    Step { worker: 0, frontier, candles, alerts }
}

/// A step with the frontier of a worker alone.
pub fn frontier(worker: usize, frontier: Option<u64>) -> Step {
    Step { worker, frontier: frontier.map(EventTime), ..Step::default() }
}

/// An alert of the window that starts at `window_start`, in milliseconds.
pub fn alert(name: &str, window_start: u64, z_score: f64) -> Alert {
    Alert {
        symbol: symbol(name),
        window_start: EventTime(window_start),
        open: Price(100.0),
        close: Price(if z_score > 0.0 { 103.5 } else { 97.25 }),
        previous_close: Price(100.5),
        z_score: Price(z_score),
        mean: Price(0.000_01),
        stddev: Price(0.002),
        samples: 60,
        threshold: Price(4.0),
        revision: 0,
    }
}

/// A version of an alert that settles `delay_ms` after its window.
pub fn settled_alert(alert: Alert, status: AlertStatus, delay_ms: u64) -> SettledAlert {
    SettledAlert { alert, status, settled_at: EventTime(alert.window_end().millis() + delay_ms) }
}

/// Every candle of a symbol and span, oldest first, and their number.
pub fn all(name: &str, span: impl Into<Span>) -> CandleQuery {
    CandleQuery { counted: true, ..CandleQuery::all(symbol(name), span) }
}

/// Windows of `base` rolled up to `window_ms`.
pub fn rolled_up(base: Interval, window_ms: u64) -> Span {
    Span { base, window_ms }
}

/// Candles of a market with gaps, from `MIDNIGHT` on: traded, quoted, corrected, mixed.
pub fn market(random: &mut ChaCha8Rng, name: &str, interval: Interval, count: usize) -> Vec<SettledCandle> {
    let quotes = random.random_range(0.0..=1.0f64).powi(3);
    let gaps = random.random_range(0.0..0.9f64);
    let mut window_start = MIDNIGHT + random.random_range(0..200) * interval.millis();
    let mut close = random.random_range(0.01..50_000.0f64);
    let mut candles = Vec::new();
    for _ in 0..count {
        let ticks = random.random_range(1..500u32);
        let open = close * random.random_range(0.99..1.01f64);
        close = open * random.random_range(0.98..1.02f64);
        let mut settled = candle(name, interval, window_start, ticks, open);
        settled.candle.high = Price(open.max(close) * random.random_range(1.0..1.01f64));
        settled.candle.low = Price(open.min(close) * random.random_range(0.99..1.0f64));
        settled.candle.close = Price(close);
        settled.candle.size_sum = random.random_range(1..10i128.pow(20));
        settled.candle.notional_sum = (settled.candle.size_sum as f64 / 1e3 * open) as i128;
        settled.revision = random.random_range(0..10u32).saturating_sub(6);
        if random.random_bool(quotes) {
            let day_volume = random.random_bool(0.8).then(|| random.random_range(1e6..1e9f64));
            settled = quoted(&settled, day_volume);
        }
        candles.push(settled);
        window_start += interval.millis();
        while random.random_bool(gaps) {
            window_start += interval.millis() * random.random_range(1..20);
        }
    }
    candles
}
