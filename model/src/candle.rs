//! Candles as they leave the graph: settled for books, open for eyes.

use crate::number::{
    FixedText, NOTIONAL_PLACES, NotionalSum, PRICE_PLACES, Price, PriceSum, SIZE_PLACES, SizeSum,
    nearest_ratio,
};
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval};
use serde::{Deserialize, Serialize};

/// Open, high, low, close and exact sums of one window. The symbol and the interval stand beside it.
///
/// Unlike a bar it no longer knows the places of its first and last tick: between windows, order is by window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candle {
    /// The start of the window.
    pub window_start: EventTime,
    /// Price of the first tick.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// Price of the last tick.
    pub close: Price,
    /// How many ticks it was made of.
    pub count: u32,
    /// How many of them carried a size.
    pub sized: u32,
    /// Sum of the prices.
    pub price_sum: PriceSum,
    /// Sum of the sizes.
    pub size_sum: SizeSum,
    /// Sum of price × size.
    pub notional_sum: NotionalSum,
    /// The newest rolling 24-hour volume that a quote carried.
    pub day_volume: Option<Price>,
}

impl Candle {
    /// Adds the candle of a later, adjoining or not, part of the same larger window.
    pub fn append(&mut self, later: &Candle) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.count = self.count.saturating_add(later.count);
        self.sized = self.sized.saturating_add(later.sized);
        self.price_sum = self.price_sum.saturating_add(later.price_sum);
        self.size_sum = self.size_sum.saturating_add(later.size_sum);
        self.notional_sum = self.notional_sum.saturating_add(later.notional_sum);
        self.day_volume = later.day_volume.or(self.day_volume);
    }

    /// The mean of the prices, every tick weighing the same: the float nearest to the exact mean.
    pub fn average(&self) -> Price {
        Price(nearest_ratio(self.price_sum, i128::from(self.count) * 10i128.pow(PRICE_PLACES.unsigned_abs())))
    }

    /// The mean of the prices weighted by size; none where nothing was traded.
    pub fn vwap(&self) -> Option<Price> {
        // Both in the finer unit, that of the size.
        let notional =
            self.notional_sum.saturating_mul(10i128.pow((SIZE_PLACES - NOTIONAL_PLACES).unsigned_abs()));
        (self.size_sum > 0).then(|| Price(nearest_ratio(notional, self.size_sum)))
    }

    /// The traded base quantity, as an exact decimal.
    pub fn traded_volume(&self) -> FixedText {
        FixedText { units: self.size_sum, places: SIZE_PLACES }
    }

    /// The traded quote quantity, as an exact decimal.
    pub fn quote_volume(&self) -> FixedText {
        FixedText { units: self.notional_sum, places: NOTIONAL_PLACES }
    }

    /// The volume to show: the traded volume; for a feed without sizes the newest rolling 24-hour volume, which
    /// is never added up; else zero.
    pub fn volume(&self) -> Volume {
        match self.day_volume {
            Some(volume) if self.sized == 0 => Volume::Rolling(volume),
            _ => Volume::Traded(self.traded_volume()),
        }
    }
}

/// What a candle's volume is.
#[derive(Clone, Copy, Debug)]
pub enum Volume {
    /// The exact sum of the sizes of the window's trades.
    Traded(FixedText),
    /// The newest 24-hour figure that a quote of this window carried.
    Rolling(Price),
}

impl Volume {
    /// The nearest float.
    pub fn value(&self) -> f64 {
        match self {
            Volume::Traded(sum) => sum.value(),
            Volume::Rolling(price) => price.0,
        }
    }
}

impl std::fmt::Display for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Volume::Traded(sum) => sum.fmt(f),
            Volume::Rolling(price) => price.fmt(f),
        }
    }
}

/// A version of a candle that is settled: final unless a late tick corrects it.
///
/// The versions of a candle are ordered by `candle.count`: a correction only ever adds ticks. `revision` counts
/// them, 0 for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettledCandle {
    /// Whose candle.
    pub symbol: Symbol,
    /// How long its window is.
    pub interval: Interval,
    /// The candle.
    pub candle: Candle,
    /// How many times it has been corrected before this version.
    pub revision: u32,
    /// The logical time at which this version became the settled one.
    pub settled_at: EventTime,
}

/// The candle of a window that is still open, as far as it has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCandle {
    /// Whose candle.
    pub symbol: Symbol,
    /// How long its window is.
    pub interval: Interval,
    /// The candle so far.
    pub candle: Candle,
    /// Event time of its newest tick.
    pub event_time: EventTime,
}
