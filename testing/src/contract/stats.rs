//! Figures over candles against a plain computation in two passes.

use super::queries::plainly_rolled_up;
use super::write;
use crate::fixtures::StoreFixture;
use crate::samples::{
    FAR, HOUR, MIDNIGHT, MINUTE, all, candle, frontier, market, quoted, rolled_up, step, symbol,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandleQuery, CandleStats, Direction, RollingWindow};
use tallow_model::{EventTime, Interval};

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Σ (x − mean x)(y − mean y).
fn comoment(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean(x), mean(y));
    x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum()
}

fn plain_stats(rows: &[CandleRow]) -> Option<CandleStats> {
    let (first, last) = (rows.first()?, rows.last()?);
    let returns: Vec<f64> =
        rows.windows(2).map(|pair| pair[1].close_price / pair[0].close_price - 1.0).collect();
    let (volumes, sizes): (Vec<f64>, Vec<f64>) = rows[1..]
        .iter()
        .zip(&returns)
        .filter(|(row, _)| row.vwap.is_some())
        .map(|(row, change)| (row.volume_sum, change.abs()))
        .unzip();
    let variances = comoment(&volumes, &volumes) * comoment(&sizes, &sizes);
    let ticks: u64 = rows.iter().map(|row| row.trade_count).sum();
    Some(CandleStats {
        first: first.window_start,
        last: last.window_end,
        lowest_price: rows.iter().map(|row| row.low_price).fold(f64::MAX, f64::min),
        highest_price: rows.iter().map(|row| row.high_price).fold(f64::MIN, f64::max),
        average_price: rows.iter().map(|row| row.avg_price * row.trade_count as f64).sum::<f64>()
            / ticks as f64,
        total_volume: rows.iter().filter(|row| row.vwap.is_some()).map(|row| row.volume_sum).sum(),
        candle_count: rows.len() as u64,
        first_open: first.open_price,
        last_close: last.close_price,
        volatility: (returns.len() >= 2)
            .then(|| (comoment(&returns, &returns) / (returns.len() - 1) as f64).sqrt()),
        volume_price_correlation: (variances > 0.0).then(|| comoment(&volumes, &sizes) / variances.sqrt()),
    })
}

fn assert_same(found: &CandleStats, expected: &CandleStats, what: &str) {
    let close = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 * expected.abs().max(1e-6);
    let both = |found: Option<f64>, expected: Option<f64>| match (found, expected) {
        (Some(found), Some(expected)) => close(found, expected),
        (found, expected) => found == expected,
    };
    let shown = format!("{what}: {found:?} is not {expected:?}");
    assert!(close(found.average_price, expected.average_price), "{shown}");
    assert!(close(found.total_volume, expected.total_volume), "{shown}");
    assert!(both(found.volatility, expected.volatility), "{shown}");
    assert!(both(found.volume_price_correlation, expected.volume_price_correlation), "{shown}");
    let exact = CandleStats {
        average_price: expected.average_price,
        total_volume: expected.total_volume,
        volatility: expected.volatility,
        volume_price_correlation: expected.volume_price_correlation,
        ..found.clone()
    };
    assert_eq!(&exact, expected, "{what}");
}

pub async fn figures_are_those_of_a_plain_computation<B: StoreFixture>() {
    for seed in 0..8 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let fixture = B::fresh();
        let mut sink = fixture.sink(1);
        let history = fixture.history();
        let count = random.random_range(1..300usize);
        let candles = market(&mut random, "BTC", Interval::FifteenMinutes, count);
        write(&mut *sink, &[step(candles.clone(), vec![]), frontier(0, Some(FAR))]);
        let rows: Vec<CandleRow> = candles.iter().map(CandleRow::from).collect();
        for window_ms in [15 * MINUTE, 4 * HOUR] {
            let span = rolled_up(Interval::FifteenMinutes, window_ms);
            let windows = plainly_rolled_up(&rows, span);
            for _ in 0..10 {
                let mut bound = || rows[random.random_range(0..rows.len())].window_start;
                let (from, until) = (bound(), bound());
                let expected = plain_stats(
                    &windows
                        .iter()
                        .filter(|row| row.window_start >= from && row.window_start < until)
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                // The page asked for makes no difference.
                let query = CandleQuery {
                    from: Some(from),
                    until: Some(until),
                    direction: Direction::Descending,
                    limit: 3,
                    offset: 2,
                    ..all("BTC", span)
                };
                let found = history.stats(&query).await.unwrap();
                assert_eq!(found.is_some(), expected.is_some(), "seed {seed}, {query:?}");
                if let (Some(found), Some(expected)) = (found, expected) {
                    assert_same(&found, &expected, &format!("seed {seed}, {query:?}"));
                }
            }
        }
    }
}

pub async fn figures_that_are_undefined_are_absent<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let minute = |number: u64| candle("BTC", Interval::OneMinute, MIDNIGHT + number * MINUTE, 2, 100.0);
    let query = all("BTC", Interval::OneMinute);
    let mut expected_volatility = [None, None, Some(0.0), Some(0.0)].into_iter();
    for number in 0..4 {
        write(&mut *sink, &[step(vec![minute(number)], vec![])]);
        let stats = history.stats(&query).await.unwrap().unwrap();
        assert_eq!(stats.candle_count, number + 1);
        assert_eq!(Some(stats.volatility), expected_volatility.next());
        // The price never moves, so there is nothing that the volume could go along with.
        assert_eq!(stats.volume_price_correlation, None);
    }
    // Quotes carry no traded volume.
    let quotes = (10..20u32).map(|number| {
        let price = 100.0 + f64::from(number * number % 7);
        let moving = candle("ETH", Interval::OneMinute, MIDNIGHT + u64::from(number) * MINUTE, number, price);
        quoted(&moving, Some(price * 1e6))
    });
    write(&mut *sink, &[step(quotes.collect(), vec![])]);
    let stats = history.stats(&all("ETH", Interval::OneMinute)).await.unwrap().unwrap();
    assert_eq!((stats.total_volume, stats.volume_price_correlation), (0.0, None));
    assert!(stats.volatility.is_some_and(|volatility| volatility > 0.0));
    assert_eq!(stats.first, EventTime(MIDNIGHT + 10 * MINUTE));
}

/// The quarters from a time on, and the minutes since the last of them.
fn plainly_recent(quarters: &[CandleRow], minutes: &[CandleRow], from: EventTime) -> Option<RollingWindow> {
    let since = |rows: &[CandleRow], from: EventTime| -> Vec<CandleRow> {
        rows.iter().filter(|row| row.window_start >= from).cloned().collect()
    };
    let late = since(quarters, from);
    let rest = since(minutes, late.last().map_or(from, |row| row.window_end));
    let rows: Vec<CandleRow> = late.into_iter().chain(rest).collect();
    let previous = quarters.iter().find(|row| row.window_end == from).map(|row| row.close_price);
    let traded = rows.iter().filter(|row| row.vwap.is_some());
    let first = rows.first()?;
    Some(RollingWindow {
        symbol: first.symbol,
        start: first.window_start,
        previous_close: previous,
        open: first.open_price,
        high: rows.iter().map(|row| row.high_price).fold(f64::MIN, f64::max),
        low: rows.iter().map(|row| row.low_price).fold(f64::MAX, f64::min),
        volume: traded.map(|row| row.volume_sum).sum(),
        quote_volume: rows.iter().map(|row| row.quote_volume).sum(),
        trades: rows.iter().map(|row| row.trade_count).sum(),
    })
}

pub async fn what_has_settled_of_late_is_that_of_a_plain_computation<B: StoreFixture>() {
    for seed in 0..5 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let fixture = B::fresh();
        let mut sink = fixture.sink(1);
        let history = fixture.history();
        // ADA has minutes alone, as a symbol has that is quite new.
        let mut markets = Vec::new();
        for (name, count) in [("ADA", 0), ("BTC", 100), ("ETH", 40)] {
            let candles = [(Interval::FifteenMinutes, count), (Interval::OneMinute, 600)]
                .map(|(interval, count)| market(&mut random, name, interval, count));
            write(&mut *sink, &[step(candles.concat(), vec![]), frontier(0, Some(FAR))]);
            markets.push(candles.map(|candles| candles.iter().map(CandleRow::from).collect::<Vec<_>>()));
        }
        for _ in 0..20 {
            let from = EventTime(MIDNIGHT + random.random_range(0..2_000) * 15 * MINUTE);
            let expected: Vec<RollingWindow> = markets
                .iter()
                .filter_map(|[quarters, minutes]| plainly_recent(quarters, minutes, from))
                .collect();
            let found = history.recent(None, from).await.unwrap();
            assert_eq!(found.len(), expected.len(), "seed {seed}, {from:?}");
            for (found, expected) in found.iter().zip(&expected) {
                let close = |one: f64, other: f64| (one - other).abs() <= 1e-9 * other.abs();
                assert!(close(found.volume, expected.volume), "{found:?} is not {expected:?}");
                assert!(close(found.quote_volume, expected.quote_volume), "{found:?} is not {expected:?}");
                let (volume, quote_volume) = (expected.volume, expected.quote_volume);
                assert_eq!(
                    &RollingWindow { volume, quote_volume, ..found.clone() },
                    expected,
                    "seed {seed}, {from:?}"
                );
            }
            let of_btc: Vec<RollingWindow> =
                found.into_iter().filter(|recent| recent.symbol == symbol("BTC")).collect();
            assert_eq!(history.recent(Some(symbol("BTC")), from).await.unwrap(), of_btc);
        }
        assert_eq!(history.recent(Some(symbol("NONE")), EventTime(0)).await.unwrap(), []);
    }
}
