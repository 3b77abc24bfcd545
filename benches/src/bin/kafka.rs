//! `kafka-bench`: the speed at which one worker settles a Kafka topic, compared with the same
//! records from files, and with a bare consumer that only counts messages.
//!
//! The topic is filled once from the log of `settle-bench`, one file a partition. Then the systems
//! run in turns, each run in a process of its own, measured from opening the input to its end. The
//! results from topic and files must be the same.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};
use tallow_benches::log::Log;
use tallow_benches::report::spread;
use tallow_benches::tallow::{of_files, settle};
use tallow_benches::totals::Settled;
use tallow_connectors::logs::kafka::{
    Bound, KafkaConfig, KafkaProducer, KafkaRange, ProducerRecord, ensure_topics,
};
use tallow_dataflow::Settings;

/// Time limit of requests to the brokers.
const BROKER_TIMEOUT: Duration = Duration::from_secs(60);

/// Measures the speed at which one worker settles a topic.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Brokers: host:port, separated by commas
    #[arg(long, required = true)]
    bootstrap: Option<String>,
    /// The topic to create and fill; it should not exist
    #[arg(long, required = true)]
    topic: Option<String>,
    /// Number of runs of each system
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Folder of the logs
    #[arg(long, default_value = "target/bench")]
    data: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one system once and prints the outcome as JSON
    Run {
        /// The system to run
        system: System,
        /// Brokers
        #[arg(long)]
        bootstrap: String,
        /// The topic
        #[arg(long)]
        topic: String,
        /// One file a partition
        files: Vec<PathBuf>,
    },
}

/// The measured systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum System {
    /// A bare consumer of librdkafka that counts messages
    Consumer,
    /// Tallow with one worker, from files
    Files,
    /// Tallow with one worker, from the topic
    Topic,
}

impl System {
    const ALL: [System; 3] = [System::Consumer, System::Files, System::Topic];

    fn name(self) -> &'static str {
        match self {
            System::Consumer => "consumer",
            System::Files => "files",
            System::Topic => "topic",
        }
    }
}

/// Outcome of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Outcome {
    records_per_second: f64,
    /// `None` for a system that settles nothing.
    settled: Option<Settled>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Run { system, bootstrap, topic, files }) = arguments.command {
        serde_json::to_writer(std::io::stdout(), &run(system, &config(&bootstrap, &topic), &files)?)?;
        return Ok(());
    }
    let (Some(bootstrap), Some(topic)) = (arguments.bootstrap, arguments.topic) else {
        bail!("--bootstrap and --topic are required");
    };
    let files = Log::Ticks.files(&arguments.data)?;
    let records = fill(&config(&bootstrap, &topic), &files)?;
    let mut speeds = System::ALL.map(|_| Vec::new());
    let mut settled: Option<Settled> = None;
    for _ in 0..arguments.runs {
        for (system, speeds) in System::ALL.into_iter().zip(&mut speeds) {
            let outcome = apart(system, &bootstrap, &topic, &files)?;
            speeds.push(outcome.records_per_second);
            if let Some(found) = outcome.settled {
                match &settled {
                    Some(known) if *known != found => bail!("files and topic have not settled the same"),
                    _ => settled = Some(found),
                }
            }
        }
    }
    report(records, &speeds)
}

fn config(bootstrap: &str, topic: &str) -> KafkaConfig {
    KafkaConfig {
        bootstrap_servers: bootstrap.to_owned(),
        topic: topic.to_owned(),
        alerts_topic: format!("{topic}-alerts"),
        dead_letters_topic: format!("{topic}-dead-letters"),
        ..KafkaConfig::default()
    }
}

/// Creates the topic and writes the lines of each file to the partition of its number.
fn fill(config: &KafkaConfig, files: &[PathBuf]) -> Result<u64> {
    let partitions = u32::try_from(files.len()).context("count the partitions")?;
    ensure_topics(&KafkaConfig { partitions, ..config.clone() })?;
    let producer = KafkaProducer::open(config, "kafka-bench")?;
    let mut records = 0;
    for (partition, path) in (0..).zip(files) {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        for line in BufReader::with_capacity(1 << 20, file).split(b'\n') {
            let line = line.with_context(|| format!("read {}", path.display()))?;
            let record = ProducerRecord {
                topic: &config.topic,
                partition: Some(partition),
                key: None,
                payload: Some(&line),
                headers: &[],
                timestamp_ms: None,
            };
            producer.send(&record, BROKER_TIMEOUT)?;
            records += 1;
        }
    }
    producer.flush(BROKER_TIMEOUT)?;
    Ok(records)
}

/// Runs a system once in a process of its own.
fn apart(system: System, bootstrap: &str, topic: &str, files: &[PathBuf]) -> Result<Outcome> {
    let program = std::env::current_exe().context("find the program itself")?;
    let output = Process::new(program)
        .args(["run", system.name(), "--bootstrap", bootstrap, "--topic", topic])
        .args(files)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {}", system.name()))?;
    if !output.status.success() {
        bail!("{} ended with {}", system.name(), output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("read the outcome of {}", system.name()))
}

fn run(system: System, config: &KafkaConfig, files: &[PathBuf]) -> Result<Outcome> {
    let start = Instant::now();
    let (records, settled) = match system {
        System::Consumer => (consume(config)?, None),
        System::Files => {
            let totals = settle(of_files(files, 1)?, &Settings::default())?;
            (totals.records.records_in, Some(totals.settled()))
        }
        System::Topic => {
            let range = KafkaRange::resolve(config, &config.topic, Bound::Beginning, Bound::End)?;
            let totals = settle(vec![range.worker(0, 1)?], &Settings::default())?;
            (totals.records.records_in, Some(totals.settled()))
        }
    };
    Ok(Outcome { records_per_second: records as f64 / start.elapsed().as_secs_f64(), settled })
}

/// Counts the messages of the topic with the plainest consumer.
fn consume(config: &KafkaConfig) -> Result<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("group.id", format!("{}-consumer", config.topic))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // By default the fetcher pauses for a second whenever its queue is full.
        .set("fetch.queue.backoff.ms", "2")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(&config.topic), BROKER_TIMEOUT)?;
    let topic = metadata.topics().first().context("find the topic")?;
    let mut list = TopicPartitionList::new();
    for partition in topic.partitions() {
        list.add_partition_offset(&config.topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut records, mut open) = (0, topic.partitions().len());
    while open > 0 {
        match consumer.poll(BROKER_TIMEOUT) {
            Some(Ok(_)) => records += 1,
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None => bail!("nothing came within {BROKER_TIMEOUT:?}"),
        }
    }
    Ok(records)
}

fn report(records: u64, speeds: &[Vec<f64>; 3]) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{records} records in a topic, one worker\n")?;
    writeln!(out, "{:<24} {:>12} {:>12} {:>12}", "records/s", "min", "median", "max")?;
    for (system, speeds) in System::ALL.iter().zip(speeds) {
        let [least, median, greatest] = spread(speeds.iter().copied());
        writeln!(out, "{:<24} {least:>12.0} {median:>12.0} {greatest:>12.0}", system.name())?;
    }
    let [consumer, files, topic] = speeds;
    for (name, others) in [("topic / consumer", consumer), ("topic / files", files)] {
        let [least, median, greatest] = spread(topic.iter().zip(others).map(|(topic, other)| topic / other));
        writeln!(out, "{name:<24} {least:>12.2} {median:>12.2} {greatest:>12.2}")?;
    }
    Ok(())
}
