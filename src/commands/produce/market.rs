//! The simulated market as a feed: at its pace, and never ahead of the clock, because a tick from the future would be
//! rejected. What lies in the past comes as fast as the speed says; what follows, each trade at its time.

use super::outlet::Outlet;
use super::pace::Pace;
use crate::cli::ProduceFlags;
use crate::config::{ProduceConfig, Speed};
use anyhow::bail;
use std::time::Duration;
use tallow_connectors::feeds::simulator::{
    Arrival, Disorder, DisorderSettings, Simulator, SimulatorSettings,
};
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, EventTime};

/// How much of the market is taken at a time, in milliseconds of event time.
const STEP_MS: u64 = 1_000;

/// A market from one point in event time to another.
pub(super) struct Market {
    trades: Trades,
    speed: Speed,
    from_ms: u64,
    /// Where it ends; none for never.
    end_ms: Option<u64>,
}

/// The trades in the order in which they come.
enum Trades {
    InOrder(Simulator),
    Disordered(Box<Disorder>),
}

impl Market {
    /// The market of the settings, from `--start` on. Without it: the last `--duration` up to now where it may run
    /// faster than the clock, else from now on.
    ///
    /// # Errors
    /// When a setting can't be.
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

    /// Sends its trades until it ends or is stopped. What is still on its way at the end comes at once.
    ///
    /// # Errors
    /// When a record can't be sent for good.
    pub(super) fn run(mut self, outlet: &mut Outlet) -> anyhow::Result<()> {
        tracing::info!(
            from = EventTime(self.from_ms).rfc3339(),
            until = self.end_ms.map(|end_ms| EventTime(end_ms).rfc3339()),
            speed = %self.speed,
            "the market is SIMULATED"
        );
        let mut pace = Pace::from(self.speed, self.from_ms, SystemClock.now_ms());
        let (mut arrivals, mut line) = (Vec::new(), Vec::new());
        let mut at_ms = self.from_ms;
        while self.end_ms.is_none_or(|end_ms| at_ms < end_ms) && outlet.look().is_continue() {
            at_ms = at_ms.saturating_add(STEP_MS).min(self.end_ms.unwrap_or(u64::MAX));
            self.trades.until(at_ms, &mut arrivals);
            for arrival in arrivals.drain(..) {
                let now_ms = SystemClock.now_ms();
                let ahead = Duration::from_millis(arrival.at_ms.saturating_sub(now_ms));
                let wait = pace.wait(arrival.at_ms, now_ms).max(ahead);
                if !wait.is_zero() && outlet.rest(wait).is_break() {
                    return Ok(());
                }
                if send(&arrival, &mut line, outlet)?.is_break() {
                    return Ok(());
                }
            }
        }
        if outlet.is_stopped() {
            return Ok(());
        }
        self.trades.finish(&mut arrivals);
        for arrival in arrivals {
            if send(&arrival, &mut line, outlet)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Trades {
    /// Appends those that come before `until_ms`.
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

    /// Appends those that are still on their way.
    fn finish(self, out: &mut Vec<Arrival>) {
        if let Trades::Disordered(disorder) = self {
            disorder.finish(out);
        }
    }
}

fn send(arrival: &Arrival, line: &mut Vec<u8>, outlet: &mut Outlet) -> anyhow::Result<super::outlet::Go> {
    line.clear();
    arrival.tick.to_json_line(SystemClock.now_ms(), line);
    outlet.send(Some(arrival.tick.symbol), line)
}
