//! The feed of the simulated market. Past trades are sent at the configured speed, later ones each
//! at its time: never ahead of the clock, because a tick from the future would be rejected.

use super::pace::Pace;
use super::topic::{Go, Topic};
use crate::cli::ProduceFlags;
use crate::config::{ProduceConfig, Speed};
use anyhow::bail;
use std::time::Duration;
use tallow_connectors::feeds::simulator::{
    Arrival, Disorder, DisorderSettings, Simulator, SimulatorSettings,
};
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, EventTime};

/// The length of one step of the market, in milliseconds of event time.
const STEP_MS: u64 = 1_000;

/// The market between two event times.
pub(super) struct Market {
    trades: Trades,
    speed: Speed,
    from_ms: u64,
    /// The end in event time; `None` for no end.
    end_ms: Option<u64>,
}

/// The trades in the order of their arrival.
enum Trades {
    InOrder(Simulator),
    Disordered(Box<Disorder>),
}

impl Market {
    /// Opens the market at `--start`. Without that flag, a market at a speed other than 1 opens
    /// `--duration` ago, and any other market opens now.
    ///
    /// # Errors
    /// If a setting can't be used, or the start lies in the future.
    pub(super) fn open(config: &ProduceConfig, flags: &ProduceFlags) -> anyhow::Result<Market> {
        let now_ms = SystemClock.now_ms();
        let duration_ms = flags.duration.map(|duration| duration.as_millis() as u64);
        let ahead = config.speed != Speed::Times(1.0);
        let from_ms = match (flags.start, duration_ms) {
            (Some(start), _) => start.millis(),
            (None, Some(duration_ms)) if ahead => now_ms.saturating_sub(duration_ms),
            (None, _) => now_ms,
        };
        if from_ms > now_ms {
            bail!("--start {} lies in the future", EventTime(from_ms).rfc3339());
        }
        let settings = SimulatorSettings {
            seed: config.seed,
            symbols: config.symbols.clone(),
            trades_per_second: config.trades_per_second,
            ..SimulatorSettings::default()
        };
        let market = Simulator::open(&settings, from_ms)?;
        let trades = if flags.disorder {
            let settings = DisorderSettings { seed: config.seed, ..DisorderSettings::default() };
            Trades::Disordered(Box::new(Disorder::try_new(settings, market)?))
        } else {
            Trades::InOrder(market)
        };
        let end_ms = duration_ms.map(|duration_ms| from_ms.saturating_add(duration_ms));
        Ok(Market { trades, speed: config.speed, from_ms, end_ms })
    }

    /// Sends the trades until the market ends or the command is stopped. Delayed trades are sent at
    /// once at the end of the market.
    ///
    /// # Errors
    /// If a record can't be sent for good.
    pub(super) fn run(mut self, topic: &mut Topic) -> anyhow::Result<()> {
        tracing::info!(
            from = EventTime(self.from_ms).rfc3339(),
            until = self.end_ms.map(|end_ms| EventTime(end_ms).rfc3339()),
            speed = %self.speed,
            "the market is SIMULATED"
        );
        let mut pace = Pace::from(self.speed, self.from_ms, SystemClock.now_ms());
        let (mut arrivals, mut line) = (Vec::new(), Vec::new());
        let mut at_ms = self.from_ms;
        while self.end_ms.is_none_or(|end_ms| at_ms < end_ms) && topic.poll().is_continue() {
            at_ms = at_ms.saturating_add(STEP_MS).min(self.end_ms.unwrap_or(u64::MAX));
            self.trades.until(at_ms, &mut arrivals);
            for arrival in arrivals.drain(..) {
                let now_ms = SystemClock.now_ms();
                let ahead = Duration::from_millis(arrival.at_ms.saturating_sub(now_ms));
                let wait = pace.wait(arrival.at_ms, now_ms).max(ahead);
                if !wait.is_zero() && topic.rest(wait).is_break() {
                    return Ok(());
                }
                if send(&arrival, &mut line, topic)?.is_break() {
                    return Ok(());
                }
            }
        }
        if topic.is_stopped() {
            return Ok(());
        }
        self.trades.finish(&mut arrivals);
        for arrival in arrivals {
            if send(&arrival, &mut line, topic)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Trades {
    /// Appends the trades that arrive before `until_ms`.
    fn until(&mut self, until_ms: u64, out: &mut Vec<Arrival>) {
        match self {
            Trades::InOrder(market) => {
                let mut ticks = Vec::new();
                market.ticks_until(until_ms, &mut ticks);
                out.extend(ticks.into_iter().map(|tick| Arrival { at_ms: tick.time.millis(), tick }));
            }
            Trades::Disordered(disorder) => disorder.arrivals_until(until_ms, out),
        }
    }

    /// Appends the trades that are still delayed.
    fn finish(self, out: &mut Vec<Arrival>) {
        if let Trades::Disordered(disorder) = self {
            disorder.finish(out);
        }
    }
}

fn send(arrival: &Arrival, line: &mut Vec<u8>, topic: &mut Topic) -> anyhow::Result<Go> {
    line.clear();
    arrival.tick.to_json_line(SystemClock.now_ms(), line);
    topic.send(Some(arrival.tick.symbol), line)
}
