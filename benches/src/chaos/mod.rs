//! Fault injection into a running pipeline, and the comparison after it: see `bin/chaos.rs`.

mod deck;
mod expected;
mod pipeline;
mod services;
mod verdict;
mod watch;

pub use deck::Fault;
pub use verdict::Verdict;

use anyhow::{Context, Result, bail};
use deck::Deck;
use expected::Expected;
use pipeline::{Pipeline, Producer};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rustix::process::Signal;
use services::Services;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::KafkaConfig;
use tallow_dataflow::{AnomalySettings, Settings};
use watch::Watch;

/// Longest recovery of the pipeline from a fault.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time for which a process is stopped by SIGSTOP.
const STOPPED: Duration = Duration::from_secs(15);

/// Parameters of a chaos run.
pub struct Plan {
    /// Path of the program `tallow`.
    pub tallow: PathBuf,
    /// Folder of scripts/services and scripts/compare.
    pub scripts: PathBuf,
    /// Seed of the faults and their times.
    pub seed: u64,
    /// Number of injected faults.
    pub faults: usize,
    /// The faults to inject; all if empty.
    pub only: Vec<Fault>,
    /// The pause between two faults.
    pub pause: RangeInclusive<Duration>,
    /// Speed of event time relative to the clock.
    pub speed: u32,
    /// Ticks a second of the clock.
    pub rate: u32,
    /// The folder of checkpoints.
    pub checkpoints: PathBuf,
    /// Folder of the logs and the expected tables.
    pub out: PathBuf,
}

impl Plan {
    /// Returns the pipeline's settings. The detector is far more sensitive than by default, so that
    /// a short run has alerts too.
    fn settings(&self) -> Settings {
        let anomalies = AnomalySettings { threshold: 2.5, min_samples: 5, ..AnomalySettings::default() };
        Settings { anomalies, ..Settings::default() }
    }
}

/// Injects the faults and compares the results.
///
/// # Errors
/// Returns an error if a step fails or the pipeline does not recover from a fault.
pub fn run(plan: &Plan) -> Result<Verdict> {
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let services = Services::new(&plan.scripts)?;
    let mut deck = Deck::new(&plan.only, services::is_small_disk(&plan.checkpoints)?)?;
    let mut producer = Producer::start(plan)?;
    let mut pipeline = Pipeline::start(plan, 2, 1)?;
    let watch = Watch::start(services.postgres_url());
    watch.passes(0, PATIENCE).context("settle a first candle")?;
    let mut verdict = Verdict::new(plan.seed);
    for number in 1..=plan.faults {
        let pause = random.random_range(plan.pause.clone());
        // The sleep is the point: a fault has a random moment.
        std::thread::sleep(pause);
        let fault = deck.draw(&mut random);
        say(&format!("fault {number} of {}: {fault}", plan.faults))?;
        let began = Instant::now();
        let incarnation = pipeline.incarnation();
        apply(fault, plan, &mut random, &services, &mut pipeline, &watch)?;
        producer.still_runs()?;
        verdict.count(fault);
        // In three of four cases the pipeline may recover before the next fault.
        if random.random_bool(0.75) || number == plan.faults {
            if fault.ends_processes() {
                pipeline.comes_back(incarnation, PATIENCE)?;
            }
            let before = watch.newest();
            watch.passes(before, PATIENCE).with_context(|| format!("settle anything after {fault}"))?;
            if fault.ends_processes() {
                verdict.recovered(fault, began.elapsed());
            }
        }
    }
    say("the producer stops")?;
    producer.stop()?;
    let config = KafkaConfig {
        bootstrap_servers: services.brokers().to_owned(),
        topic: services::setting("TALLOW__KAFKA__TOPIC")?,
        alerts_topic: services::setting("TALLOW__KAFKA__ALERTS_TOPIC")?,
        ..KafkaConfig::default()
    };
    let expected = Expected::of(&config, &plan.settings(), &plan.out)?;
    say(&format!("{} records; everything before {} must be settled", expected.records, expected.frontier))?;
    verdict.compare(&expected, &config, &services, &plan.out, PATIENCE)?;
    pipeline.stop()?;
    verdict.records = expected.records;
    Ok(verdict)
}

/// Injects one fault, and undoes it if it does not pass by itself.
fn apply(
    fault: Fault,
    plan: &Plan,
    random: &mut ChaCha8Rng,
    services: &Services,
    pipeline: &mut Pipeline,
    watch: &Watch,
) -> Result<()> {
    let away = Duration::from_millis(random.random_range(500..4_000));
    match fault {
        Fault::KillOne => pipeline.kill_one(random),
        Fault::KillAll => pipeline.kill_all(),
        Fault::KillRedis => services.kill("redis", Signal::KILL, away),
        Fault::KillPostgres => services.kill("postgres", Signal::QUIT, away),
        Fault::KillKafka => services.kill("kafka", Signal::KILL, away),
        Fault::Stop => pipeline.stop_one_for(random, STOPPED),
        Fault::FullDisk => {
            let filler = services::fill(&plan.checkpoints)?;
            let before = watch.newest();
            // The pipeline continues without room for checkpoints.
            watch.passes(before, PATIENCE).context("settle anything while checkpoints can't be stored")?;
            if random.random_bool(0.5) {
                pipeline.kill_one(random)?;
            }
            std::thread::sleep(away);
            std::fs::remove_file(&filler).with_context(|| format!("remove {}", filler.display()))
        }
        Fault::Truncate | Fault::Flip => {
            pipeline.kill_all()?;
            services::damage_newest(&plan.checkpoints, fault == Fault::Truncate, random)
        }
        Fault::Rescale => {
            let (processes, workers) = [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)][random.random_range(0..5)];
            say(&format!("  now {processes} processes of {workers} workers"))?;
            if random.random_bool(0.5) {
                pipeline.kill_everything()?
            } else {
                pipeline.stop()?
            }
            *pipeline = Pipeline::start(plan, processes, workers)?;
            Ok(())
        }
    }
}

/// Prints a message with the time.
fn say(what: &str) -> Result<()> {
    use tallow_model::clock::SystemClock;
    use tallow_model::{Clock, EventTime};
    let now = EventTime(SystemClock.now_ms() / 1_000 * 1_000).rfc3339();
    Ok(writeln!(std::io::stdout(), "{now} {what}")?)
}

/// Waits until `ready` returns a value. The error names `what` was waited for.
fn until<T>(what: &str, within: Duration, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = ready()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {within:?} for {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
