//! PostgreSQL beyond the contract: its schema, several processes that write, and what goes wrong
//! outside.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod faults;
mod processes;
mod rows;
mod schema;
mod timescale;

use tallow_connectors::stores::postgres::{PostgresConfig, migrate};
use tallow_model::{Candle, EventTime, Interval, MINUTE_MS, Price, SettledCandle, Step, Symbol};
use tallow_testing::database::Database;

fn config(url: &str) -> PostgresConfig {
    PostgresConfig { url: url.to_owned().into(), pool_size: 4, ..PostgresConfig::default() }
}

/// A migrated database, or `None` after saying that the test is skipped.
fn migrated() -> Option<(Database, PostgresConfig)> {
    let database = Database::create()?;
    let config = config(&database.url());
    migrate(&config).unwrap();
    Some((database, config))
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// A one-minute candle of one trade of size 1.
fn candle(name: &str, minute: u64, price: f64) -> SettledCandle {
    let window_start = EventTime(minute * MINUTE_MS);
    let price = Price(price);
    SettledCandle {
        symbol: symbol(name),
        interval: Interval::OneMinute,
        candle: Candle {
            window_start,
            open: price,
            high: price,
            low: price,
            close: price,
            count: 1,
            sized: 1,
            price_sum: 0,
            size_sum: 10i128.pow(15),
            notional_sum: 0,
            day_volume: None,
        },
        revision: 0,
        settled_at: EventTime(window_start.millis() + MINUTE_MS),
    }
}

/// The step of a worker that settles these candles and whose frontier is past them.
fn step(worker: usize, candles: Vec<SettledCandle>) -> Step {
    let newest = candles.iter().map(|it| it.settled_at.millis()).max();
    Step { worker, frontier: newest.map(|newest| EventTime(newest + 1_000)), candles, alerts: Vec::new() }
}
