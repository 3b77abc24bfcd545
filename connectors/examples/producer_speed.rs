//! Measures the producer: small records a second into a topic that is there, acknowledged by all
//! replicas.
//!
//! `cargo run --release -p tallow-connectors --example producer_speed BROKERS TOPIC [RECORDS]`
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::error::Error;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaConfig, KafkaProducer, ProducerRecord};

const KEYS: [&str; 8] = ["BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "AVAX", "POL"];
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(brokers), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: producer_speed BROKERS TOPIC [RECORDS]".into());
    };
    let records: u64 = arguments.next().map_or(Ok(2_000_000), |records| records.parse())?;
    let config = KafkaConfig {
        bootstrap_servers: brokers,
        topic,
        alerts_topic: String::new(),
        dead_letters_topic: String::new(),
        partitions: 3,
        replication_factor: 1,
        group: String::new(),
        options: Vec::new(),
    };
    let producer = KafkaProducer::open(&config, "producer-speed")?;
    let partitions = producer.partitions(&config.topic, LIMIT)?;
    let payloads: Vec<String> = (0..1_000)
        .map(|n| {
            format!(
                r#"{{"symbol":"BTC","price_usd":95{n:03}.12,"size":0.0{n},"timestamp":17632710{n:03}20}}"#
            )
        })
        .collect();
    let started = Instant::now();
    for n in 0..records as usize {
        let record = ProducerRecord {
            topic: &config.topic,
            partition: None,
            key: Some(KEYS[n % KEYS.len()].as_bytes()),
            payload: Some(payloads[n % payloads.len()].as_bytes()),
            headers: &[],
            timestamp_ms: None,
        };
        producer.send(&record, LIMIT)?;
    }
    let queued = started.elapsed();
    producer.flush(LIMIT)?;
    let elapsed = started.elapsed();
    println!(
        "{records} records into {partitions} partitions: queued in {:.2} s, acknowledged in {:.2} s, {:.0} a second",
        queued.as_secs_f64(),
        elapsed.as_secs_f64(),
        records as f64 / elapsed.as_secs_f64()
    );
    Ok(())
}
