//! A history in memory, as lists of rows.

use super::market::{START_MS, down, symbol};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tallow_model::Error;
use tallow_model::rows::{AlertRow, CandleRow};
use tallow_model::store::{
    AlertQuery, CandlePage, CandleQuery, CandleStats, Direction, History, RollingWindow,
};
use tallow_model::{AlertStatus, AlertType, EventTime, Interval, Severity, Symbol};
use tokio::sync::{Notify, Semaphore};

/// The symbol for which the history panics.
pub const PANIC: &str = "PANIC";

/// A history with the rows that a test puts into it.
pub struct MemoryHistory {
    rows: Mutex<Vec<(Interval, CandleRow)>>,
    alerts: Mutex<Vec<AlertRow>>,
    /// Whether every query fails.
    pub is_down: AtomicBool,
    /// The permits for queries while `is_gated` is set.
    pub gate: Semaphore,
    /// Whether queries wait at the gate.
    pub is_gated: AtomicBool,
    /// Notified when a query waits for a permit.
    pub waits: Notify,
    /// The number of queries so far.
    pub queries: AtomicUsize,
}

impl Default for MemoryHistory {
    fn default() -> MemoryHistory {
        MemoryHistory {
            rows: Mutex::default(),
            alerts: Mutex::default(),
            is_down: AtomicBool::new(false),
            gate: Semaphore::new(0),
            is_gated: AtomicBool::new(false),
            waits: Notify::new(),
            queries: AtomicUsize::new(0),
        }
    }
}

impl MemoryHistory {
    /// Stores a candle in place of an earlier version.
    pub fn put(&self, interval: Interval, row: CandleRow) {
        let mut rows = self.rows.lock().unwrap();
        let key = |row: &CandleRow| (row.symbol, row.window_start);
        rows.retain(|(other, candle)| (*other, key(candle)) != (interval, key(&row)));
        rows.push((interval, row));
    }

    /// Adds minutes that are not in the history yet.
    pub fn put_minutes(&self, rows: impl Iterator<Item = CandleRow>) {
        self.rows.lock().unwrap().extend(rows.map(|row| (Interval::OneMinute, row)));
    }

    /// Stores an alert.
    pub fn put_alert(&self, alert: AlertRow) {
        self.alerts.lock().unwrap().push(alert);
    }

    async fn check(&self) -> Result<(), Error> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        if self.is_gated.load(Ordering::SeqCst) {
            self.waits.notify_one();
            self.gate.acquire().await.unwrap().forget();
        }
        if self.is_down.load(Ordering::SeqCst) { Err(down("history")) } else { Ok(()) }
    }

    /// The windows of a query in ascending order, without its limit and offset.
    fn windows(&self, query: &CandleQuery) -> Vec<CandleRow> {
        assert_ne!(query.symbol, symbol(PANIC), "the test wants this panic");
        let mut windows: BTreeMap<EventTime, CandleRow> = BTreeMap::new();
        let mut rows = self.rows.lock().unwrap().clone();
        rows.sort_by_key(|(_, row)| row.window_start);
        for (interval, row) in rows {
            if interval != query.span.base || row.symbol != query.symbol {
                continue;
            }
            let start_ms = row.window_start.millis();
            let start = EventTime(start_ms - start_ms % query.span.window_ms);
            let whole = windows.entry(start).or_insert_with(|| CandleRow {
                window_start: start,
                window_end: EventTime(start.millis() + query.span.window_ms),
                volume_sum: 0.0,
                trade_count: 0,
                ..row.clone()
            });
            whole.high_price = whole.high_price.max(row.high_price);
            whole.low_price = whole.low_price.min(row.low_price);
            whole.close_price = row.close_price;
            whole.volume_sum += row.volume_sum;
            whole.trade_count += row.trade_count;
        }
        let within = |time: &EventTime| {
            query.from.is_none_or(|from| *time >= from) && query.until.is_none_or(|until| *time < until)
        };
        windows.into_iter().filter(|(start, _)| within(start)).map(|(_, row)| row).collect()
    }
}

#[async_trait]
impl History for MemoryHistory {
    fn name(&self) -> &'static str {
        "books"
    }

    async fn ping(&self) -> Result<(), Error> {
        self.check().await
    }

    async fn symbols(&self) -> Result<Vec<Symbol>, Error> {
        self.check().await?;
        let rows = self.rows.lock().unwrap();
        Ok(rows.iter().map(|(_, row)| row.symbol).collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn candles(&self, query: &CandleQuery) -> Result<CandlePage, Error> {
        self.check().await?;
        let mut rows = self.windows(query);
        let total = query.counted.then_some(rows.len() as u64);
        if query.direction == Direction::Descending {
            rows.reverse();
        }
        let rest = query.rest(EventTime(0)..EventTime(u64::MAX));
        rows.retain(|row| rest.contains(&row.window_start));
        Ok(CandlePage { rows: rows.into_iter().skip(query.offset).take(query.limit).collect(), total })
    }

    async fn stats(&self, query: &CandleQuery) -> Result<Option<CandleStats>, Error> {
        self.check().await?;
        let rows = self.windows(query);
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
        Ok(Some(CandleStats {
            first: first.window_start,
            last: last.window_end,
            lowest_price: rows.iter().map(|row| row.low_price).fold(f64::INFINITY, f64::min),
            highest_price: rows.iter().map(|row| row.high_price).fold(0.0, f64::max),
            average_price: 100.0,
            total_volume: rows.iter().map(|row| row.volume_sum).sum(),
            candle_count: rows.len() as u64,
            first_open: first.open_price,
            last_close: last.close_price,
            volatility: None,
            volume_price_correlation: Some(f64::NAN),
        }))
    }

    async fn recent(&self, symbol: Option<Symbol>, from: EventTime) -> Result<Vec<RollingWindow>, Error> {
        self.check().await?;
        let mut rows = self.rows.lock().unwrap().clone();
        rows.retain(|(_, row)| symbol.is_none_or(|symbol| row.symbol == symbol));
        rows.sort_by_key(|(_, row)| row.window_start);
        let symbols: BTreeSet<Symbol> = rows.iter().map(|(_, row)| row.symbol).collect();
        let recent = symbols.into_iter().filter_map(|symbol| {
            let of = |interval: Interval| {
                rows.iter()
                    .filter(move |(other, row)| *other == interval && row.symbol == symbol)
                    .map(|(_, row)| row)
            };
            let quarters = of(Interval::FifteenMinutes).filter(|row| row.window_start >= from);
            let rest = quarters.clone().next_back().map_or(from, |row| row.window_end);
            let mut candles = quarters.chain(of(Interval::OneMinute).filter(|row| row.window_start >= rest));
            let before = of(Interval::FifteenMinutes).find(|row| row.window_end == from);
            let mut recent = RollingWindow::of(candles.next()?, before.map(|row| row.close_price));
            candles.for_each(|row| recent.add(row));
            Some(recent)
        });
        Ok(recent.collect())
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRow>, Error> {
        self.check().await?;
        let mut alerts = self.alerts.lock().unwrap().clone();
        alerts.retain(|alert| {
            query.symbol.is_none_or(|symbol| alert.symbol == symbol)
                && query.since.is_none_or(|since| alert.window_end >= since)
                && query.until.is_none_or(|until| alert.window_end < until)
                && query.severity.is_none_or(|severity| alert.severity == severity)
                && (query.include_retracted || alert.status == AlertStatus::Raised)
        });
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.window_start));
        alerts.truncate(query.limit);
        Ok(alerts)
    }
}

/// The closed one-minute candle of this minute after the start.
pub fn row(name: &str, minute: u64, close: f64) -> CandleRow {
    let window_start = EventTime(START_MS + minute * 60_000);
    CandleRow {
        symbol: symbol(name),
        window_start,
        window_end: EventTime(window_start.millis() + 60_000),
        open_price: 100.0,
        high_price: close.max(100.0),
        low_price: close.min(100.0),
        close_price: close,
        avg_price: 100.0,
        vwap: Some(100.0),
        volume_sum: 2.5,
        quote_volume: 250.0,
        trade_count: 3,
        revision: 0,
    }
}

/// The alert of the given minute after the start.
pub fn alert_row(name: &str, minute: u64, severity: Severity, status: AlertStatus) -> AlertRow {
    let window_start = EventTime(START_MS + minute * 60_000);
    let window_end = EventTime(window_start.millis() + 60_000);
    AlertRow {
        alert_id: format!("{name}:1m:{}:zscore", window_start.millis()),
        symbol: symbol(name),
        alert_type: AlertType::PriceDrop,
        severity,
        price_change_pct: -1.5,
        old_price: 100.0,
        new_price: 98.5,
        z_score: -6.5,
        mean: 0.0,
        stddev: 0.002,
        samples: 60,
        threshold: 4.0,
        window_start,
        window_end,
        revision: 0,
        status,
        created_at: window_end,
    }
}
