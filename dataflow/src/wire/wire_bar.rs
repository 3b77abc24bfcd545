//! A partial bar on its way to another process, and the check of every field.

use crate::bar::{Bar, TickPosition};
use crate::operators::combine::PartialBar;
use abomonation::Abomonation;
use tallow_model::{EventTime, MAX_EVENT_TIME, MINUTE_MS, Price, Symbol};

/// A partial bar as integers of a fixed size, without pointers and without padding: every bit
/// pattern is a valid value.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct WireBar {
    symbol: [u64; 3],
    minute: u64,
    logical: u64,
    first: WirePosition,
    last: WirePosition,
    /// The bits of open, high, low and close.
    prices: [u64; 4],
    count: u32,
    sized: u32,
    /// The sums of price, size and notional, each as its low and its high half.
    sums: [[u64; 2]; 3],
    /// 1 if the bar has a 24-hour volume, else 0.
    has_day_volume: u64,
    day_volume_position: WirePosition,
    /// The bits of the 24-hour volume.
    day_volume: u64,
}

/// A [`TickPosition`] as integers.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct WirePosition {
    since_start_ms: u32,
    partition: u32,
    offset: u64,
}

/// A `WireBar` owns nothing beyond its own bytes, so the default `entomb` and `exhume`, which do
/// nothing, are right.
impl Abomonation for WireBar {}

/// No byte of a wire bar is padding: its size is that of its fields together.
const _: () = assert!(size_of::<WirePosition>() == 4 + 4 + 8);
const _: () = assert!(
    size_of::<WireBar>()
        == 3 * 8
            + 8
            + 8
            + 2 * size_of::<WirePosition>()
            + 4 * 8
            + 4
            + 4
            + 6 * 8
            + 8
            + size_of::<WirePosition>()
            + 8
);

impl WirePosition {
    const NONE: WirePosition = WirePosition { since_start_ms: 0, partition: 0, offset: 0 };

    fn of(position: TickPosition) -> WirePosition {
        let TickPosition { since_start_ms, partition, offset } = position;
        WirePosition { since_start_ms, partition, offset }
    }

    fn position(self) -> Result<TickPosition, String> {
        let WirePosition { since_start_ms, partition, offset } = self;
        if u64::from(since_start_ms) >= MINUTE_MS {
            return Err(format!("a tick is {since_start_ms} ms into its minute"));
        }
        Ok(TickPosition { since_start_ms, partition, offset })
    }
}

impl WireBar {
    pub(super) fn of(partial: &PartialBar) -> WireBar {
        let PartialBar { symbol, minute, logical, bar } = partial;
        let halves = |sum: i128| [sum as u64, (sum >> 64) as u64];
        let (has_day_volume, (position, volume)) = match bar.day_volume {
            Some((position, volume)) => (1, (WirePosition::of(position), volume.0.to_bits())),
            None => (0, (WirePosition::NONE, 0)),
        };
        WireBar {
            symbol: symbol.words(),
            minute: minute.millis(),
            logical: *logical,
            first: WirePosition::of(bar.first),
            last: WirePosition::of(bar.last),
            prices: [bar.open, bar.high, bar.low, bar.close].map(|price| price.0.to_bits()),
            count: bar.count,
            sized: bar.sized,
            sums: [bar.price_sum, bar.size_sum, bar.notional_sum].map(halves),
            has_day_volume,
            day_volume_position: position,
            day_volume: volume,
        }
    }

    /// Returns the bar, or which field no bar can have.
    pub(super) fn bar(&self) -> Result<PartialBar, String> {
        let symbol =
            Symbol::of_words(self.symbol).ok_or_else(|| format!("{:?} is no symbol", self.symbol))?;
        if !self.minute.is_multiple_of(MINUTE_MS) || self.minute > MAX_EVENT_TIME.millis() {
            return Err(format!("{} is no minute", self.minute));
        }
        if self.count == 0 || self.sized > self.count {
            return Err(format!("{} of {} ticks have a size", self.sized, self.count));
        }
        let finite = |bits: u64| {
            let value = f64::from_bits(bits);
            if value.is_finite() { Ok(Price(value)) } else { Err(format!("{value} is no price")) }
        };
        let [open, high, low, close] = self.prices.map(finite);
        let [price_sum, size_sum, notional_sum] =
            self.sums.map(|[low, high]| i128::from(high as i64) << 64 | i128::from(low));
        let day_volume = match self.has_day_volume {
            0 if (self.day_volume_position, self.day_volume) == (WirePosition::NONE, 0) => None,
            1 => Some((self.day_volume_position.position()?, finite(self.day_volume)?)),
            tag => return Err(format!("{tag} does not say whether there is a volume")),
        };
        let bar = Bar {
            first: self.first.position()?,
            last: self.last.position()?,
            open: open?,
            high: high?,
            low: low?,
            close: close?,
            count: self.count,
            sized: self.sized,
            price_sum,
            size_sum,
            notional_sum,
            day_volume,
        };
        Ok(PartialBar { symbol, minute: EventTime(self.minute), logical: self.logical, bar })
    }
}
