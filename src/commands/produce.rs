//! `tallow produce`: a feed into a topic of Kafka.
//!
//! ```text
//! CoinGecko ─┐
//! market    ─┼─► outlet ─► topic
//! files     ─┘
//! ```
//!
//! A record's key is its symbol, its value the tick's JSON, its timestamp the time at which it is sent. While no broker
//! can be reached, records wait; nothing is given up as long as the process lives. It ends when the feed does or at a
//! signal, and says then what has become of every record.

mod files;
mod market;
mod outlet;
mod pace;
mod quotes;

use crate::cli::ProduceFlags;
use crate::config::{Config, FeedKind};
use anyhow::bail;
use files::Files;
use market::Market;
use outlet::Outlet;
use quotes::Quotes;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where the records come from.
enum Source {
    CoinGecko(Box<Quotes>),
    Market(Market),
    Files(Files),
}

/// Runs until the feed has ended, `stop` is set or something fails for good.
///
/// # Errors
/// When it can't start, something has failed for good, or not every record has been acknowledged.
pub(crate) fn run(config: &Config, flags: &ProduceFlags, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let source = match config.produce.feed {
        FeedKind::CoinGecko => Source::CoinGecko(Box::new(Quotes::open(config)?)),
        FeedKind::Sim => Source::Market(Market::open(&config.produce, flags)?),
        FeedKind::File => Source::Files(Files::open(&flags.from, config.produce.speed)?),
    };
    let mut outlet = Outlet::open(&config.kafka, stop)?;
    tracing::info!(
        feed = config.produce.feed.name(),
        topic = config.kafka.topic,
        brokers = config.kafka.bootstrap_servers,
        "producing"
    );
    if outlet.wait_for_topic()?.is_break() {
        tracing::info!("stopped before a broker answered, nothing was sent");
        return Ok(());
    }
    tracing::info!("ready");
    let fed = match source {
        Source::CoinGecko(quotes) => quotes.run(&mut outlet),
        Source::Market(market) => market.run(&mut outlet),
        Source::Files(files) => files.run(&mut outlet),
    };
    if let Err(failure) = &fed {
        tracing::error!(failure = format!("{failure:#}"), "stopping because of a failure");
    }
    let finished = outlet.finish();
    fed.and(finished)
}

/// Says which flags of the command don't go together.
///
/// # Errors
/// When some don't.
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
