//! Fault injection into a running pipeline, and the comparison after it: see `bin/chaos.rs`.

mod deck;
mod expected;
mod pipeline;
mod plan;
mod progress;
mod services;
mod verdict;
mod watch;

pub use deck::Fault;
pub use plan::Plan;
pub use verdict::Verdict;

use anyhow::{Context, Result};
use deck::Deck;
use expected::Expected;
use pipeline::{Pipeline, Producer};
use plan::{MAX_RECOVERY, SUSPENSION};
use progress::say;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rustix::process::Signal;
use services::Services;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::KafkaConfig;
use watch::Watch;

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
    watch.passes(0, MAX_RECOVERY).context("settle a first candle")?;
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
                pipeline.comes_back(incarnation, MAX_RECOVERY)?;
            }
            let before = watch.newest();
            watch.passes(before, MAX_RECOVERY).with_context(|| format!("settle anything after {fault}"))?;
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
    verdict.compare(&expected, &config, &services, &plan.out, MAX_RECOVERY)?;
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
        Fault::Stop => pipeline.stop_one_for(random, SUSPENSION),
        Fault::FullDisk => {
            let filler = services::fill(&plan.checkpoints)?;
            let before = watch.newest();
            // The pipeline continues without room for checkpoints.
            watch
                .passes(before, MAX_RECOVERY)
                .context("settle anything while checkpoints can't be stored")?;
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
