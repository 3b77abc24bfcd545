//! Candles as they leave the graph: settled ones for the stores, open ones for display.

use crate::number::{
    FixedText, NOTIONAL_PLACES, NotionalSum, PRICE_PLACES, Price, PriceSum, SIZE_PLACES, SizeSum,
    nearest_ratio,
};
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval};
use serde::{Deserialize, Serialize};

/// Open, high, low, close and exact sums of one window. The symbol and the interval stand beside
/// it.
///
/// A candle no longer knows the positions of its first and last tick, as a bar does: between
/// windows, the order of the windows decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candle {
    /// The start of the window.
    pub window_start: EventTime,
    /// The price of the first tick.
    pub open: Price,
    /// The highest price of the window.
    pub high: Price,
    /// The lowest price of the window.
    pub low: Price,
    /// The price of the last tick.
    pub close: Price,
    /// The number of ticks.
    pub count: u32,
    /// The number of ticks that carried a size.
    pub sized: u32,
    /// The sum of the prices.
    pub price_sum: PriceSum,
    /// The sum of the sizes.
    pub size_sum: SizeSum,
    /// The sum of price × size.
    pub notional_sum: NotionalSum,
    /// The newest rolling 24-hour volume that a quote carried.
    pub day_volume: Option<Price>,
}

impl Candle {
    /// Adds the candle of a later part of the same larger window. The two parts need not adjoin.
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

    /// Returns the mean of the prices, all ticks weighted equally: the float nearest to the exact
    /// mean.
    pub fn average(&self) -> Price {
        Price(nearest_ratio(self.price_sum, i128::from(self.count) * 10i128.pow(PRICE_PLACES.unsigned_abs())))
    }

    /// Returns the mean of the prices weighted by size; `None` if nothing was traded.
    pub fn vwap(&self) -> Option<Price> {
        // Both in the finer unit, the unit of the size.
        let notional =
            self.notional_sum.saturating_mul(10i128.pow((SIZE_PLACES - NOTIONAL_PLACES).unsigned_abs()));
        (self.size_sum > 0).then(|| Price(nearest_ratio(notional, self.size_sum)))
    }

    /// Returns the traded base quantity, as an exact decimal.
    pub fn traded_volume(&self) -> FixedText {
        FixedText { units: self.size_sum, places: SIZE_PLACES }
    }

    /// Returns the traded quote quantity, as an exact decimal.
    pub fn quote_volume(&self) -> FixedText {
        FixedText { units: self.notional_sum, places: NOTIONAL_PLACES }
    }

    /// Returns the volume to show: the traded volume; for a feed without sizes the newest rolling
    /// 24-hour volume, which is never summed; else zero.
    pub fn volume(&self) -> Volume {
        match self.day_volume {
            Some(volume) if self.sized == 0 => Volume::Rolling(volume),
            _ => Volume::Traded(self.traded_volume()),
        }
    }
}

/// The volume of a candle, by its origin.
#[derive(Clone, Copy, Debug)]
pub enum Volume {
    /// The exact sum of the sizes of the window's trades.
    Traded(FixedText),
    /// The newest 24-hour volume that a quote of this window carried.
    Rolling(Price),
}

impl Volume {
    /// Returns the nearest float.
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

/// A settled version of a candle: final unless a late tick corrects it.
///
/// The versions of a candle are ordered by `candle.count`, because a correction only ever adds
/// ticks. `revision` counts the versions from 0. See [`crate::version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettledCandle {
    /// The market's symbol.
    pub symbol: Symbol,
    /// The length of the window.
    pub interval: Interval,
    /// The candle of this version.
    pub candle: Candle,
    /// The number of corrections before this version.
    pub revision: u32,
    /// The logical time at which this version became the settled one.
    pub settled_at: EventTime,
}

/// The candle of a window that is still open, with the ticks seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCandle {
    /// The market's symbol.
    pub symbol: Symbol,
    /// The length of the window.
    pub interval: Interval,
    /// The candle so far.
    pub candle: Candle,
    /// The event time of the newest tick.
    pub event_time: EventTime,
}
