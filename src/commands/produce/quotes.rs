//! The feed of CoinGecko: sends the quotes of each response.

use super::topic::Topic;
use crate::config::Config;
use anyhow::Context;
use std::pin::pin;
use std::time::Duration;
use tallow_connectors::feeds::coingecko::Feed;
use tokio::runtime::Runtime;

/// The interval at which the stop signal is polled while a response is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The feed, and the runtime of its requests.
pub(super) struct Quotes {
    feed: Feed,
    runtime: Runtime,
}

impl Quotes {
    /// Opens the feed without a request.
    ///
    /// # Errors
    /// If a setting can't be used.
    pub(super) fn open(config: &Config) -> anyhow::Result<Quotes> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
        let coins: Vec<String> = config.coingecko.coins.iter().map(|coin| coin.symbol.to_string()).collect();
        tracing::info!(
            source = config.coingecko.host(),
            symbols = coins.join(","),
            interval_ms = config.coingecko.poll_interval_ms,
            "polling CoinGecko"
        );
        Ok(Quotes { feed: Feed::try_new(config.coingecko.clone())?, runtime })
    }

    /// Sends quotes until the command is stopped.
    ///
    /// # Errors
    /// If a request fails and a retry can't help, or a record can't be sent for good.
    pub(super) fn run(self, topic: &mut Topic) -> anyhow::Result<()> {
        let Quotes { mut feed, runtime } = self;
        let fed = runtime.block_on(feed_into(&mut feed, topic));
        let counts = feed.counts();
        tracing::info!(
            requests = counts.requests,
            failures = counts.failures,
            quotes = counts.quotes,
            left_out = counts.left_out,
            "stopped polling CoinGecko"
        );
        fed
    }
}

async fn feed_into(feed: &mut Feed, topic: &mut Topic) -> anyhow::Result<()> {
    loop {
        let quotes = {
            let mut next = pin!(feed.next());
            loop {
                tokio::select! {
                    quotes = &mut next => break quotes?,
                    () = tokio::time::sleep(POLL_INTERVAL) => if topic.poll().is_break() { return Ok(()) },
                }
            }
        };
        for quote in quotes {
            if topic.send(Some(quote.symbol), &quote.line)?.is_break() {
                return Ok(());
            }
        }
    }
}
