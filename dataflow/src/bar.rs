//! The bar: the sum of a set of ticks, as a commutative monoid.
//!
//! - **Formula.** Open is the price of the first tick by [`TickPosition`], close the price of the
//!   last; high and low by price; count; exact sums of price, size and notional; the newest 24-hour
//!   volume that a quote carried.
//! - **Law.** `merge` is associative and commutative, and gives the same bits for any order or
//!   grouping, because minima, maxima and integer sums do. Proof by test:
//!   `merging_in_any_order_and_grouping_gives_the_same_bits`, below.
//! - **Ties.** None: a partition's offsets are unique, so no two ticks have the same position.
//! - **Unit.** One symbol and one window; a position's event time is relative to the window's
//!   start.

use serde::{Deserialize, Serialize};
use tallow_model::{
    Candle, EventTime, NOTIONAL_PLACES, NotionalSum, PRICE_PLACES, Price, PriceSum, SIZE_PLACES, SizeSum,
    Tick,
};

/// Position of a tick in its window, ordered by event time, then partition, then offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TickPosition {
    /// Event time in milliseconds since the window's start.
    pub since_start_ms: u32,
    /// The partition of the log that the tick was read from.
    pub partition: u32,
    /// The tick's offset in that partition.
    pub offset: u64,
}

/// The sum of a set of ticks of one symbol and window. Never empty: there is no bar without a tick.
///
/// # Examples
///
/// ```
/// use tallow_dataflow::Bar;
/// use tallow_model::{EventTime, decode};
///
/// let minute = EventTime(0);
/// let first = decode(br#"{"symbol":"BTC","price":100,"size":2,"timestamp":1000}"#)?;
/// let second = decode(br#"{"symbol":"BTC","price":101,"size":1,"timestamp":2000}"#)?;
///
/// // Any order of merging gives the same bar: open and close go by event time.
/// let mut bar = Bar::of(&second, minute, 0, 7);
/// bar.merge(&Bar::of(&first, minute, 0, 8));
///
/// let candle = bar.candle(minute);
/// assert_eq!((candle.open.0, candle.close.0, candle.count), (100.0, 101.0, 2));
/// assert_eq!(candle.traded_volume().to_string(), "3");
/// # Ok::<(), tallow_model::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bar {
    /// Position of the first tick.
    pub first: TickPosition,
    /// Position of the last tick.
    pub last: TickPosition,
    /// Price of the first tick.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// Price of the last tick.
    pub close: Price,
    /// Number of ticks, with or without a size.
    pub count: u32,
    /// Number of ticks with a size, which are trades.
    pub sized: u32,
    /// Sum of the prices.
    pub price_sum: PriceSum,
    /// Sum of the sizes.
    pub size_sum: SizeSum,
    /// Sum of price × size.
    pub notional_sum: NotionalSum,
    /// The newest rolling 24-hour volume of a quote, with the quote's position.
    pub day_volume: Option<(TickPosition, Price)>,
}

impl Bar {
    /// Returns the candle of this bar in the window that starts at `window_start`.
    pub fn candle(&self, window_start: EventTime) -> Candle {
        Candle {
            window_start,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            count: self.count,
            sized: self.sized,
            price_sum: self.price_sum,
            size_sum: self.size_sum,
            notional_sum: self.notional_sum,
            day_volume: self.day_volume.map(|(_, volume)| volume),
        }
    }

    /// Creates the bar of a single tick in the window that starts at `window_start`.
    pub fn of(tick: &Tick, window_start: EventTime, partition: u32, offset: u64) -> Bar {
        let since_start = tick.time.millis().saturating_sub(window_start.millis());
        let position = TickPosition {
            since_start_ms: u32::try_from(since_start).unwrap_or(u32::MAX),
            partition,
            offset,
        };
        let price = Price(tick.price.value);
        let (sized, size_sum, notional_sum) = match &tick.size {
            Some(size) => (1, size.fixed(SIZE_PLACES), tick.price.product_fixed(size, NOTIONAL_PLACES)),
            None => (0, 0, 0),
        };
        Bar {
            first: position,
            last: position,
            open: price,
            high: price,
            low: price,
            close: price,
            count: 1,
            sized,
            price_sum: tick.price.fixed(PRICE_PLACES),
            size_sum,
            notional_sum,
            day_volume: tick.day_volume.map(|volume| (position, volume)),
        }
    }

    /// Merges `other`, a bar of the same symbol and window with other ticks, into this one.
    pub fn merge(&mut self, other: &Bar) {
        if other.first < self.first {
            (self.first, self.open) = (other.first, other.open);
        }
        if other.last > self.last {
            (self.last, self.close) = (other.last, other.close);
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.count = self.count.saturating_add(other.count);
        self.sized = self.sized.saturating_add(other.sized);
        // The bounds of an accepted tick leave room for 10⁸ ticks a window. A sum past that stays
        // at its limit and does not wrap.
        self.price_sum = self.price_sum.saturating_add(other.price_sum);
        self.size_sum = self.size_sum.saturating_add(other.size_sum);
        self.notional_sum = self.notional_sum.saturating_add(other.notional_sum);
        self.day_volume = self.day_volume.max(other.day_volume);
    }

    /// Returns this bar relative to a window that starts `earlier_ms` milliseconds earlier.
    pub(crate) fn rebased(mut self, earlier_ms: u32) -> Bar {
        self.first.since_start_ms += earlier_ms;
        self.last.since_start_ms += earlier_ms;
        if let Some((position, _)) = &mut self.day_volume {
            position.since_start_ms += earlier_ms;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tallow_model::decode;

    fn bar(ms: u64, offset: u64, price: &str, size: &str) -> Bar {
        let line = format!(r#"{{"symbol":"BTC","price_usd":{price},"size":{size},"timestamp":{ms}}}"#);
        Bar::of(&decode(line.as_bytes()).expect("a tick"), EventTime(0), 0, offset)
    }

    #[test]
    fn open_and_close_follow_event_time_and_not_arrival() {
        let mut bar_of_two = bar(500, 1, "10", "1");
        bar_of_two.merge(&bar(100, 2, "11", "2"));
        assert_eq!((bar_of_two.open, bar_of_two.close), (Price(11.0), Price(10.0)));
        assert_eq!((bar_of_two.count, bar_of_two.size_sum), (2, 3_000_000_000_000_000));
    }

    #[test]
    fn ticks_of_one_millisecond_are_ordered_by_offset() {
        let mut one = bar(100, 7, "10", "1");
        one.merge(&bar(100, 6, "11", "1"));
        assert_eq!((one.open, one.close), (Price(11.0), Price(10.0)));
    }

    prop_compose! {
        fn bars()(ticks in prop::collection::vec((0u64..60_000, 1u32..1_000_000, 0u32..1_000_000), 2..20))
            -> Vec<Bar> {
            ticks.iter().enumerate().map(|(offset, (ms, price, size))| {
                bar(*ms, offset as u64, &format!("{price}.37"), &format!("0.{size:06}"))
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn merging_in_any_order_and_grouping_gives_the_same_bits(bars in bars(), split in 1usize..19, seed in any::<u64>()) {
            let fold = |bars: &[Bar]| {
                let mut folded = bars[0];
                bars[1..].iter().for_each(|bar| folded.merge(bar));
                folded
            };
            let in_order = fold(&bars);
            let mut shuffled = bars.clone();
            shuffled.sort_by_key(|bar| bar.first.offset.wrapping_mul(seed | 1));
            let split = split.min(shuffled.len() - 1);
            let mut grouped = fold(&shuffled[split..]);
            grouped.merge(&fold(&shuffled[..split]));
            prop_assert_eq!(in_order, grouped);
        }
    }
}
