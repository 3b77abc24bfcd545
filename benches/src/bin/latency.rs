//! `latency-bench`: the latency of a tick from its producer, through Kafka, the dataflow and Redis,
//! to a WebSocket client.
//!
//! It sends ticks at an even pace and watches the open candles. A tick is visible with the first
//! update of its symbol's one-minute candle whose `eventTime` is not before the tick's: its price
//! is in that candle then. The latency is the time from the call that hands the tick to the
//! producer to the client's receipt of the frame, on one clock.

use anyhow::{Context, Result, bail};
use clap::Parser;
use futures_util::StreamExt;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaConfig, KafkaProducer, ProducerRecord};
use tallow_model::clock::SystemClock;
use tallow_model::rows::LatestCandle;
use tallow_model::{Clock, Interval};
use tokio_tungstenite::tungstenite::Message;

/// Time after the last tick in which ticks may become visible.
const VISIBLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Measures the latency of a tick until it is visible to a WebSocket client.
#[derive(Parser)]
struct Arguments {
    /// Brokers: host:port, separated by commas
    #[arg(long)]
    bootstrap: String,
    /// The topic of ticks
    #[arg(long)]
    topic: String,
    /// Address of tallow serve, host:port
    #[arg(long)]
    server: String,
    /// Ticks a second, of all symbols together
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// Number of symbols
    #[arg(long, default_value_t = 8)]
    symbols: u64,
    /// Seconds before the figures count
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Seconds that count
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// An event of the measurement.
enum Event {
    /// A tick is about to be sent.
    Sent(Sent),
    /// No more ticks are sent.
    AllSent,
    /// A client has received an update.
    Seen(Seen),
}

/// A tick on its way.
struct Sent {
    symbol: usize,
    time_ms: u64,
    at: Instant,
    counts: bool,
}

/// The last update of a symbol that a client has received.
struct Seen {
    symbol: usize,
    event_time_ms: u64,
    at: Instant,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (events, happened) = channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let symbols: HashMap<String, usize> =
        (0..arguments.symbols as usize).map(|number| (name(number), number)).collect();
    let producer = producer(&arguments)?;
    // The server knows a symbol only after its first tick, but a client can subscribe to all
    // symbols before.
    let url = format!("ws://{}/ws/prices/ALL", arguments.server);
    let (mut socket, _) = runtime
        .block_on(tokio_tungstenite::connect_async(&url))
        .with_context(|| format!("connect to {url}"))?;
    let seen = events.clone();
    let watching = runtime.spawn(async move {
        while let Some(Ok(frame)) = socket.next().await {
            let at = Instant::now();
            if let Message::Text(text) = frame
                && let Some((symbol, event_time_ms)) = update(&text, &symbols)
                && seen.send(Event::Seen(Seen { symbol, event_time_ms, at })).is_err()
            {
                break;
            }
        }
    });
    let sending = {
        let (rate, symbols) = (arguments.rate, arguments.symbols);
        let (warm_up, seconds) = (arguments.warm_up, arguments.seconds);
        let topic = arguments.topic.clone();
        std::thread::spawn(move || -> Result<()> {
            let start = Instant::now();
            for number in 0..rate * (warm_up + seconds) {
                let due = start + Duration::from_secs_f64(number as f64 / rate as f64);
                // The sleep is the pace of the ticks.
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let symbol = (number % symbols) as usize;
                let (key, time_ms) = (name(symbol), SystemClock.now_ms());
                let line = format!(
                    r#"{{"symbol":"{key}","price_usd":{}.{:02},"size":0.01,"timestamp":{time_ms}}}"#,
                    1_000 + number % 50,
                    number % 100
                );
                let at = Instant::now();
                events.send(Event::Sent(Sent { symbol, time_ms, at, counts: number >= rate * warm_up }))?;
                let record = ProducerRecord {
                    topic: &topic,
                    partition: None,
                    key: Some(key.as_bytes()),
                    payload: Some(line.as_bytes()),
                    headers: &[],
                    timestamp_ms: None,
                };
                producer.send(&record, VISIBLE_TIMEOUT)?;
            }
            producer.flush(VISIBLE_TIMEOUT)?;
            Ok(events.send(Event::AllSent)?)
        })
    };
    let latencies = measure(&happened, arguments.symbols as usize)?;
    sending.join().map_err(|_| anyhow::anyhow!("the sending thread has panicked"))??;
    watching.abort();
    report(&arguments, latencies)
}

/// Returns the latency of each tick that counts, in milliseconds.
fn measure(events: &Receiver<Event>, symbols: usize) -> Result<Vec<f64>> {
    let mut waiting: Vec<VecDeque<Sent>> = (0..symbols).map(|_| VecDeque::new()).collect();
    let mut latencies = Vec::new();
    let mut all_sent = false;
    while !all_sent || waiting.iter().any(|ticks| !ticks.is_empty()) {
        let Ok(event) = events.recv_timeout(VISIBLE_TIMEOUT) else {
            let left: usize = waiting.iter().map(VecDeque::len).sum();
            bail!("{left} ticks have not become visible within {VISIBLE_TIMEOUT:?}");
        };
        match event {
            Event::Sent(tick) => waiting[tick.symbol].push_back(tick),
            Event::AllSent => all_sent = true,
            Event::Seen(update) => {
                let ticks = &mut waiting[update.symbol];
                let visible = |tick: &mut Sent| tick.time_ms <= update.event_time_ms && tick.at <= update.at;
                while let Some(tick) = ticks.pop_front_if(visible) {
                    if tick.counts {
                        latencies.push((update.at - tick.at).as_secs_f64() * 1_000.0);
                    }
                }
            }
        }
    }
    Ok(latencies)
}

fn producer(arguments: &Arguments) -> Result<KafkaProducer> {
    let config = KafkaConfig {
        bootstrap_servers: arguments.bootstrap.clone(),
        topic: arguments.topic.clone(),
        ..KafkaConfig::default()
    };
    Ok(KafkaProducer::open(&config, "latency-bench")?)
}

fn name(symbol: usize) -> String {
    format!("LAT{symbol}")
}

/// Returns the symbol and the event time of an update of an open one-minute candle.
fn update(text: &str, symbols: &HashMap<String, usize>) -> Option<(usize, u64)> {
    #[derive(serde::Deserialize)]
    struct Frame {
        r#type: String,
        data: Option<LatestCandle>,
    }
    let frame: Frame = serde_json::from_str(text).ok()?;
    let candle = frame.data.filter(|_| frame.r#type == "price_update")?;
    let open = candle.interval == Interval::OneMinute && !candle.is_closed;
    let symbol = symbols.get(&candle.symbol.to_string())?;
    open.then_some((*symbol, candle.event_time.millis()))
}

fn report(arguments: &Arguments, mut latencies: Vec<f64>) -> Result<()> {
    latencies.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
    if latencies.is_empty() {
        bail!("no tick was sent in the time that counts");
    }
    writeln!(
        std::io::stdout(),
        "{} ticks at {}/s, {} symbols: visible after p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms",
        latencies.len(),
        arguments.rate,
        arguments.symbols,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
    )?;
    Ok(())
}
