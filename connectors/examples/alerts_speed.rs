//! Measures the sink of alerts: opening it on a topic that has some, reading them back, and single
//! alerts.
//!
//! `cargo run --release -p tallow-connectors --example alerts_speed BROKERS NAME [WORKERS
//! [ALERTS]]`; it makes the topics NAME-ticks, NAME-alerts and NAME-dead-letters.
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::error::Error;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaAlerts, KafkaConfig, ensure_topics};
use tallow_model::store::Sink;
use tallow_model::{Alert, AlertStatus, EventTime, Price, SettledAlert, Step};

const MINUTE_MS: u64 = 60_000;
/// Number of single alerts that are written.
const SINGLE: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(brokers), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: alerts_speed BROKERS NAME [WORKERS [ALERTS]]".into());
    };
    let workers: usize = arguments.next().map_or(Ok(1), |it| it.parse())?;
    let alerts: u64 = arguments.next().map_or(Ok(10_000), |it| it.parse())?;
    let config = KafkaConfig {
        bootstrap_servers: brokers,
        topic: format!("{name}-ticks"),
        alerts_topic: format!("{name}-alerts"),
        dead_letters_topic: format!("{name}-dead-letters"),
        group: name,
        ..KafkaConfig::default()
    };
    ensure_topics(&config)?;
    let start = 29_000_000;
    let mut sink = KafkaAlerts::open(&config, 0..workers, 0..0)?;
    let many: Vec<Step> = (start..start + alerts).map(step).collect::<Result<_, _>>()?;
    let began = Instant::now();
    sink.write(&many)?;
    println!("{alerts} alerts in one transaction: {:?}", began.elapsed());
    drop(sink);

    let began = Instant::now();
    let mut sink = KafkaAlerts::open(&config, 0..workers, 0..0)?;
    println!("opened for {workers} workers: {:?}", began.elapsed());
    let began = Instant::now();
    sink.write(&many[..1])?;
    println!("read back: {:?}", began.elapsed());
    let mut took: Vec<Duration> = Vec::new();
    for minute in start + alerts..start + alerts + SINGLE {
        let step = step(minute)?;
        let began = Instant::now();
        sink.write(&[step])?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("one alert: p50 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0));
    Ok(())
}

/// An alert of one minute.
fn step(minute: u64) -> Result<Step, Box<dyn Error>> {
    let alert = Alert {
        symbol: "BTC".parse()?,
        window_start: EventTime(minute * MINUTE_MS),
        open: Price(95_750.0),
        close: Price(97_004.3),
        previous_close: Price(95_751.5),
        z_score: Price(6.4),
        mean: Price(0.000_01),
        stddev: Price(0.002),
        samples: 60,
        threshold: Price(4.0),
        revision: 0,
    };
    let settled_at = alert.window_end();
    let settled = SettledAlert { alert, status: AlertStatus::Raised, settled_at };
    Ok(Step { frontier: Some(settled_at), alerts: vec![settled], ..Step::default() })
}
