//! Pages of candles, settled and rolled up, against a plain computation over all rows.

use super::write;
use crate::fixtures::StoreFixture;
use crate::samples::{
    FAR, HOUR, MIDNIGHT, MINUTE, all, candle, corrected, frontier, market, quoted, rolled_up, step,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tallow_model::error::Action;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandlePage, CandleQuery, Direction, Span};
use tallow_model::{EventTime, Interval, SettledCandle};

/// The windows of a span, all of them over, from rows of its base in order.
pub fn plainly_rolled_up(rows: &[CandleRow], span: Span) -> Vec<CandleRow> {
    let window = |row: &CandleRow| row.window_start.millis() / span.window_ms;
    let of_window = |parts: &[CandleRow]| {
        let (first, last) = (&parts[0], &parts[parts.len() - 1]);
        let traded = || parts.iter().filter(|part| part.vwap.is_some());
        let volume: f64 = traded().map(|part| part.volume_sum).sum();
        let quote_of_traded: f64 = traded().map(|part| part.quote_volume).sum();
        let ticks: u64 = parts.iter().map(|part| part.trade_count).sum();
        let price_sum: f64 = parts.iter().map(|part| part.avg_price * part.trade_count as f64).sum();
        CandleRow {
            symbol: first.symbol,
            window_start: EventTime(window(first) * span.window_ms),
            window_end: EventTime((window(first) + 1) * span.window_ms),
            open_price: first.open_price,
            high_price: parts.iter().map(|part| part.high_price).fold(f64::MIN, f64::max),
            low_price: parts.iter().map(|part| part.low_price).fold(f64::MAX, f64::min),
            close_price: last.close_price,
            avg_price: price_sum / ticks as f64,
            vwap: traded().next().map(|_| quote_of_traded / volume),
            volume_sum: if traded().next().is_some() { volume } else { last.volume_sum },
            quote_volume: parts.iter().map(|part| part.quote_volume).sum(),
            trade_count: ticks,
            revision: parts.iter().map(|part| part.revision).sum(),
        }
    };
    rows.chunk_by(|a, b| window(a) == window(b)).map(of_window).collect()
}

/// The rows of a query out of all rows in order.
fn plainly_paged(rows: &[CandleRow], query: &CandleQuery) -> CandlePage {
    let mut rows: Vec<CandleRow> = rows
        .iter()
        .filter(|row| query.from.is_none_or(|from| row.window_start >= from))
        .filter(|row| query.until.is_none_or(|until| row.window_start < until))
        .cloned()
        .collect();
    if query.direction == Direction::Descending {
        rows.reverse();
    }
    let total = query.counted.then_some(rows.len() as u64);
    rows.retain(|row| match (query.after, query.direction) {
        (None, _) => true,
        (Some(after), Direction::Ascending) => row.window_start > after,
        (Some(after), Direction::Descending) => row.window_start < after,
    });
    CandlePage { rows: rows.into_iter().skip(query.offset).take(query.limit).collect(), total }
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{what}: {found} is not {expected}");
}

/// The page of a counting query that finds nothing.
const NOTHING: CandlePage = CandlePage { rows: Vec::new(), total: Some(0) };

/// Sums of floats may differ in the last digits with the order of adding; nothing else may differ
/// at all.
fn assert_same(found: &CandlePage, expected: &CandlePage, what: &str) {
    assert_eq!((found.total, found.rows.len()), (expected.total, expected.rows.len()), "{what}");
    for (found, expected) in found.rows.iter().zip(&expected.rows) {
        assert_close(found.avg_price, expected.avg_price, what);
        assert_close(found.volume_sum, expected.volume_sum, what);
        assert_close(found.quote_volume, expected.quote_volume, what);
        assert_close(found.vwap.unwrap_or(-1.0), expected.vwap.unwrap_or(-1.0), what);
        let exact = CandleRow {
            avg_price: expected.avg_price,
            volume_sum: expected.volume_sum,
            quote_volume: expected.quote_volume,
            vwap: expected.vwap,
            ..found.clone()
        };
        assert_eq!(&exact, expected, "{what}");
    }
}

/// A query over windows of which there are some between the two rows.
fn any_query(random: &mut ChaCha8Rng, name: &str, span: Span, rows: &[CandleRow]) -> CandleQuery {
    let mut time = || {
        let row = &rows[random.random_range(0..rows.len())];
        let shift = [0, 0, 1, MINUTE, span.window_ms][random.random_range(0..5usize)];
        random.random_bool(0.6).then_some(EventTime(row.window_start.millis() + shift))
    };
    let (from, until, after) = (time(), time(), time());
    CandleQuery {
        from,
        until,
        after: after.filter(|_| random.random_bool(0.5)),
        direction: [Direction::Ascending, Direction::Descending][random.random_range(0..2usize)],
        limit: [0, 1, 5, 40, usize::MAX][random.random_range(0..5usize)],
        offset: [0, 0, 1, 7, 1_000_000, usize::MAX][random.random_range(0..6usize)],
        counted: random.random_bool(0.7),
        ..all(name, span)
    }
}

async fn compare_pages<B: StoreFixture>(seed: u64, base: Interval, spans: &[u64]) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let markets = ["BTC", "ETH"].map(|name| (name, market(&mut random, name, base, 300)));
    for (_, candles) in &markets {
        write(&mut *sink, &[step(candles.clone(), vec![]), frontier(0, Some(FAR))]);
    }
    for (name, candles) in &markets {
        let rows: Vec<CandleRow> = candles.iter().map(CandleRow::from).collect();
        for window_ms in spans {
            let span = rolled_up(base, *window_ms);
            let windows = if span == base.into() { rows.clone() } else { plainly_rolled_up(&rows, span) };
            for _ in 0..40 {
                let query = any_query(&mut random, name, span, &rows);
                let found = history.candles(&query).await.unwrap();
                assert_same(&found, &plainly_paged(&windows, &query), &format!("seed {seed}, {query:?}"));
            }
        }
    }
}

pub async fn pages_are_those_of_a_plain_computation<B: StoreFixture>() {
    for (seed, base) in (0..).zip(Interval::ALL) {
        compare_pages::<B>(seed, base, &[base.millis()]).await;
    }
}

pub async fn rolled_up_pages_are_those_of_a_plain_computation<B: StoreFixture>() {
    for seed in 0..5 {
        compare_pages::<B>(seed, Interval::FifteenMinutes, &[HOUR, 4 * HOUR, 24 * HOUR]).await;
        compare_pages::<B>(seed, Interval::OneMinute, &[3 * MINUTE, 7 * MINUTE]).await;
    }
}

fn quarter(number: u64) -> SettledCandle {
    candle("BTC", Interval::FifteenMinutes, MIDNIGHT + number * 15 * MINUTE, 4, 100.0 + number as f64)
}

pub async fn a_rolled_up_window_is_answered_when_it_is_over<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let hours = all("BTC", rolled_up(Interval::FifteenMinutes, HOUR));
    let hours_over = async || history.candles(&hours).await.unwrap().total.unwrap();

    write(&mut *sink, &[step(vec![quarter(0), quarter(1)], vec![])]);
    assert_eq!(hours_over().await, 0);
    // Nothing was traded in the rest of the hour. At its very end something may still settle.
    write(&mut *sink, &[frontier(0, Some(MIDNIGHT + HOUR))]);
    assert_eq!(hours_over().await, 0);
    write(&mut *sink, &[frontier(0, Some(MIDNIGHT + HOUR + 1_000))]);
    assert_eq!(hours_over().await, 1);
    assert_eq!(history.stats(&hours).await.unwrap().unwrap().candle_count, 1);

    // The symbol's last quarter says that the hour is over, even before the other worker has
    // spoken.
    let mut sink = fixture.sink(2);
    write(&mut *sink, &[step(vec![quarter(6), quarter(7), quarter(8)], vec![])]);
    let page = history.candles(&hours).await.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.close_price).collect::<Vec<_>>(), [102.0, 108.0]);
    assert_eq!(page.total, Some(2));
    // A correction of a part changes the whole and its revision.
    write(&mut *sink, &[step(vec![corrected(&quarter(7), 1.5)], vec![])]);
    let page = history.candles(&hours).await.unwrap();
    assert_eq!((page.rows[1].close_price, page.rows[1].revision), (1.5, 1));
}

pub async fn rolling_volumes_are_never_added_up<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let quotes = vec![
        quoted(&quarter(0), Some(7e9)),
        quoted(&quarter(1), Some(8e9)),
        quoted(&quarter(3), Some(7.5e9)),
        // The next hour: one quarter with trades among quotes.
        quoted(&quarter(4), Some(7e9)),
        quarter(5),
        quoted(&quarter(7), Some(9e9)),
    ];
    write(&mut *sink, &[step(quotes, vec![]), frontier(0, Some(FAR))]);
    let hours = all("BTC", rolled_up(Interval::FifteenMinutes, HOUR));
    let rows = history.candles(&hours).await.unwrap().rows;
    assert_eq!((rows[0].volume_sum, rows[0].vwap, rows[0].quote_volume), (7.5e9, None, 0.0));
    assert_eq!((rows[1].volume_sum, rows[1].vwap, rows[1].quote_volume), (4.0, Some(105.0), 420.0));
    let stats = history.stats(&hours).await.unwrap().unwrap();
    assert_eq!(stats.total_volume, 4.0);
}

pub async fn unknown_symbols_and_empty_ranges_have_no_candles<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    assert_eq!(history.symbols().await.unwrap(), []);
    write(&mut *sink, &[step(vec![quarter(0)], vec![]), frontier(0, Some(FAR))]);
    let at = |time: u64| Some(EventTime(time));
    for span in [Interval::FifteenMinutes.into(), rolled_up(Interval::FifteenMinutes, HOUR)] {
        let queries = [
            all("NONE", span),
            CandleQuery { from: at(MIDNIGHT + 1), ..all("BTC", span) },
            CandleQuery { until: at(MIDNIGHT), ..all("BTC", span) },
            CandleQuery { from: at(MIDNIGHT + HOUR), until: at(MIDNIGHT), ..all("BTC", span) },
            CandleQuery { from: at(u64::MAX), until: at(u64::MAX), ..all("BTC", span) },
        ];
        for query in queries {
            assert_eq!(history.candles(&query).await.unwrap(), NOTHING, "{query:?}");
            assert_eq!(history.stats(&query).await.unwrap(), None, "{query:?}");
        }
        let whole = CandleQuery { from: at(0), until: at(u64::MAX), ..all("BTC", span) };
        assert_eq!(history.candles(&whole).await.unwrap().total, Some(1));
    }
    // Of an interval of which nothing has been written.
    assert_eq!(history.candles(&all("BTC", Interval::OneMinute)).await.unwrap(), NOTHING);
}

pub async fn a_window_that_is_no_multiple_of_its_base_is_refused<B: StoreFixture>() {
    let fixture = B::fresh();
    let _sink = fixture.sink(1);
    let history = fixture.history();
    for window_ms in [0, 1, 20 * MINUTE, (15 * MINUTE) << 40] {
        let query = all("BTC", rolled_up(Interval::FifteenMinutes, window_ms));
        let refused = history.candles(&query).await.unwrap_err();
        assert_eq!(refused.action(), Action::Stop);
        let text = format!("windows of {window_ms} ms can't be rolled up from 15m candles");
        assert_eq!(refused.to_string(), text);
        assert!(history.stats(&query).await.is_err());
    }
}
