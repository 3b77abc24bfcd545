//! CoinGecko as a feed: the quotes of each answer, as they come.

use super::outlet::Outlet;
use crate::config::Config;
use anyhow::Context;
use std::pin::pin;
use std::time::Duration;
use tallow_connectors::feeds::coingecko::Feed;
use tokio::runtime::Runtime;

/// How often the stop signal is looked at while an answer is awaited.
const LOOK: Duration = Duration::from_millis(50);

/// The feed and what it runs on.
pub(super) struct Quotes {
    feed: Feed,
    runtime: Runtime,
}

impl Quotes {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When a setting can't be.
    pub(super) fn open(config: &Config) -> anyhow::Result<Quotes> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
        let coins: Vec<String> = config.coingecko.coins.iter().map(|coin| coin.symbol.to_string()).collect();
        tracing::info!(
            source = config.coingecko.host(),
            symbols = coins.join(","),
            interval_ms = config.coingecko.poll_interval_ms,
            "quotes are CoinGecko's"
        );
        Ok(Quotes { feed: Feed::try_new(config.coingecko.clone())?, runtime })
    }

    /// Sends quotes until it is stopped.
    ///
    /// # Errors
    /// When asking again can't help, or a record can't be sent for good.
    pub(super) fn run(self, outlet: &mut Outlet) -> anyhow::Result<()> {
        let Quotes { mut feed, runtime } = self;
        let fed = runtime.block_on(feed_into(&mut feed, outlet));
        let counts = feed.counts();
        tracing::info!(
            requests = counts.requests,
            failures = counts.failures,
            quotes = counts.quotes,
            left_out = counts.left_out,
            "asked CoinGecko"
        );
        fed
    }
}

async fn feed_into(feed: &mut Feed, outlet: &mut Outlet) -> anyhow::Result<()> {
    loop {
        let quotes = {
            let mut next = pin!(feed.next());
            loop {
                tokio::select! {
                    quotes = &mut next => break quotes?,
                    () = tokio::time::sleep(LOOK) => if outlet.look().is_break() { return Ok(()) },
                }
            }
        };
        for quote in quotes {
            if outlet.send(Some(quote.symbol), &quote.line)?.is_break() {
                return Ok(());
            }
        }
    }
}
