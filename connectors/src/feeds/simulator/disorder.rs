//! A simulated market whose ticks arrive out of order and late, as those of real feeds do.
//!
//! **Rule.** Each tick gets one of three fates: late, with a delay within `late_delay_ms`; out of
//! order, with a delay of 1 to `max_delay_ms`; or no delay. It arrives at its event time plus the
//! delay, and ticks come out in the order of arrival, those of one millisecond in the order of the
//! market. So the sequence is only reordered: nothing is lost, doubled or changed.
//!
//! **Deterministic.** The fates come from a ChaCha8 stream of their own, drawn in the market's
//! order: arrivals depend neither on the clock nor on the portions in which they are taken.
//!
//! **State.** The ticks under way: those of the longest delay.

use super::simulation::Simulator;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::RangeInclusive;
use tallow_model::error::Error;
use tallow_model::feed::FeedTick;

/// The share of delayed ticks, and their delays.
#[derive(Clone, Debug, PartialEq)]
pub struct DisorderSettings {
    /// Seed of the fates.
    pub seed: u64,
    /// Share of ticks that arrive somewhat out of order, from 0 to 1.
    pub out_of_order_share: f64,
    /// Longest delay of these, in milliseconds; at least 1.
    pub max_delay_ms: u64,
    /// Share of ticks that arrive late, from 0 to 1; both shares together are at most 1.
    pub late_share: f64,
    /// Range of delays of these, in milliseconds.
    pub late_delay_ms: RangeInclusive<u64>,
}

impl Default for DisorderSettings {
    /// Returns shares of 2 % out of order by up to 8 s, and 0.1 % late by 12 to 120 s: behind a
    /// watermark of 10 s.
    fn default() -> DisorderSettings {
        DisorderSettings {
            seed: 1,
            out_of_order_share: 0.02,
            max_delay_ms: 8_000,
            late_share: 0.001,
            late_delay_ms: 12_000..=120_000,
        }
    }
}

/// A tick and its time of arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Milliseconds since the epoch; never before the tick's event time.
    pub at_ms: u64,
    /// The tick itself, unchanged.
    pub tick: FeedTick,
}

/// A simulated market seen through a feed that delays some of its ticks.
#[derive(Clone, Debug)]
pub struct Disorder {
    settings: DisorderSettings,
    market: Simulator,
    rng: ChaCha8Rng,
    drawn: u64,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    /// A buffer, kept for reuse.
    ticks: Vec<FeedTick>,
}

impl Disorder {
    /// Delays the ticks of `market`, from its next one on.
    ///
    /// # Errors
    /// When a share or a delay is invalid.
    pub fn try_new(settings: DisorderSettings, market: Simulator) -> Result<Disorder, Error> {
        let (disordered, late) = (settings.out_of_order_share, settings.late_share);
        if !(disordered >= 0.0 && late >= 0.0 && disordered + late <= 1.0) {
            return Err(Error::Invalid(format!(
                "delay a share of {disordered} and a late share of {late} of the ticks"
            )));
        }
        if settings.max_delay_ms == 0 || settings.late_delay_ms.is_empty() {
            return Err(Error::Invalid(format!(
                "delay ticks by up to {} ms and late ones by {:?} ms",
                settings.max_delay_ms, settings.late_delay_ms
            )));
        }
        let rng = ChaCha8Rng::seed_from_u64(settings.seed);
        Ok(Disorder { settings, market, rng, drawn: 0, under_way: BinaryHeap::new(), ticks: Vec::new() })
    }

    /// Appends all ticks that arrive before `until_ms` and have not been taken yet, in order of
    /// arrival.
    pub fn arrivals_until(&mut self, until_ms: u64, out: &mut Vec<Arrival>) {
        let mut ticks = std::mem::take(&mut self.ticks);
        self.market.ticks_until(until_ms, &mut ticks);
        for tick in ticks.drain(..) {
            let at_ms = tick.time.millis().saturating_add(self.draw_delay());
            self.under_way.push(Reverse(UnderWay { place: (at_ms, self.drawn), tick }));
            self.drawn += 1;
        }
        self.ticks = ticks;
        while let Some(Reverse(first)) = self.under_way.peek()
            && first.place.0 < until_ms
        {
            self.pop(out);
        }
    }

    /// Ends the feed: appends the ticks that are still under way.
    pub fn finish(mut self, out: &mut Vec<Arrival>) {
        while !self.under_way.is_empty() {
            self.pop(out);
        }
    }

    fn pop(&mut self, out: &mut Vec<Arrival>) {
        out.extend(
            self.under_way.pop().map(|Reverse(first)| Arrival { at_ms: first.place.0, tick: first.tick }),
        );
    }

    fn draw_delay(&mut self) -> u64 {
        let DisorderSettings { out_of_order_share, max_delay_ms, late_share, late_delay_ms, .. } =
            &self.settings;
        let fate: f64 = self.rng.random();
        if fate < *late_share {
            self.rng.random_range(late_delay_ms.clone())
        } else if fate < late_share + out_of_order_share {
            self.rng.random_range(1..=*max_delay_ms)
        } else {
            0
        }
    }
}

/// A tick under way, ordered by arrival, then by the market's order. No two are equal.
#[derive(Clone, Debug)]
struct UnderWay {
    place: (u64, u64),
    tick: FeedTick,
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &UnderWay) -> bool {
        self.place == other.place
    }
}
impl Eq for UnderWay {}
impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &UnderWay) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for UnderWay {
    fn cmp(&self, other: &UnderWay) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}
