//! `tallow produce`: writes a feed to a Kafka topic.
//!
//! ```text
//! CoinGecko ─┐
//! market    ─┼─► topic
//! files     ─┘
//! ```
//!
//! The key of a record is the symbol, the value is the JSON of the tick, and the timestamp is the
//! time of sending. While no broker can be reached, records wait; none is dropped as long as the
//! process lives. The command ends with its feed or at a signal, and logs the number of
//! acknowledged and failed records.

mod files;
mod market;
mod pace;
mod quotes;
mod topic;

use crate::cli::ProduceFlags;
use crate::config::{Config, FeedKind};
use anyhow::bail;
use files::Files;
use market::Market;
use quotes::Quotes;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use topic::Topic;

/// The source of the records.
enum Source {
    CoinGecko(Box<Quotes>),
    Market(Market),
    Files(Files),
}

/// Runs until the feed has ended or `stop` is set.
///
/// # Errors
/// If the feed or the topic fails for good, or a record has not been acknowledged.
pub(crate) fn run(config: &Config, flags: &ProduceFlags, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let source = match config.produce.feed {
        FeedKind::CoinGecko => Source::CoinGecko(Box::new(Quotes::open(config)?)),
        FeedKind::Sim => Source::Market(Market::open(&config.produce, flags)?),
        FeedKind::File => Source::Files(Files::open(&flags.from, config.produce.speed)?),
    };
    let mut topic = Topic::open(&config.kafka, stop)?;
    tracing::info!(
        feed = config.produce.feed.name(),
        topic = config.kafka.topic,
        brokers = config.kafka.bootstrap_servers,
        "producing"
    );
    if topic.wait_for_topic()?.is_break() {
        tracing::info!("stopped before a broker was reached, no record was sent");
        return Ok(());
    }
    tracing::info!("ready");
    let fed = match source {
        Source::CoinGecko(quotes) => quotes.run(&mut topic),
        Source::Market(market) => market.run(&mut topic),
        Source::Files(files) => files.run(&mut topic),
    };
    if let Err(failure) = &fed {
        tracing::error!(failure = format!("{failure:#}"), "stopping because of a failure");
    }
    let finished = topic.finish();
    fed.and(finished)
}

/// Checks that the flags fit the feed.
///
/// # Errors
/// If a flag does not fit the feed, or one that the feed needs is missing.
pub(crate) fn check(config: &Config, flags: &ProduceFlags) -> anyhow::Result<()> {
    let feed = config.produce.feed;
    let given = [
        ("--from", FeedKind::File, !flags.from.is_empty()),
        ("--start", FeedKind::Sim, flags.start.is_some()),
        ("--duration", FeedKind::Sim, flags.duration.is_some()),
        ("--disorder", FeedKind::Sim, flags.disorder),
        ("--seed", FeedKind::Sim, flags.seed.is_some()),
        ("--symbols", FeedKind::Sim, flags.symbols.is_some()),
        ("--rate", FeedKind::Sim, flags.rate.is_some()),
    ];
    for (name, of, given) in given {
        if given && of != feed {
            bail!("{name} is for --feed {}, and the feed is {}", of.name(), feed.name());
        }
    }
    if feed == FeedKind::CoinGecko && flags.speed.is_some() {
        bail!("--speed is for --feed sim and file, and the feed is {}", feed.name());
    }
    if feed == FeedKind::File && flags.from.is_empty() {
        bail!("--feed file needs --from FILE");
    }
    Ok(())
}
