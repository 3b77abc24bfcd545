//! The log return of a one-minute candle: the element of the anomaly detector's baseline.
//!
//! - **Formula.** *r* = ln(close / previous close), *previous* being the symbol's last candle that
//!   started at most `lookback` before this one.
//! - **Unit.** 10⁻¹⁴, an integer, so that sums of returns are exact. Returns beyond ±50 (a factor
//!   of 10²¹ in a minute) count as ±50, so that the sums of a day's candles fit 128 bits.
//!
//! The logarithm is `libm`'s. The platform's differs in the last bit from machine to machine.

use crate::state::checkpoint::RetainedReturn;
use serde::{Deserialize, Serialize};
use tallow_model::{EventTime, Price, Symbol};

/// Units in a return of one: 10¹⁴.
pub(crate) const RETURN_UNITS: f64 = 1e14;

/// Bound of a return's magnitude; larger returns count as this one.
const MAX_RETURN: f64 = 50.0;

/// A candle's close against the close before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LogReturn {
    pub(crate) window_start: EventTime,
    pub(crate) open: Price,
    pub(crate) close: Price,
    /// 0, which is no price, if no candle started within the lookback. An `Option` would cost eight
    /// bytes more for every symbol-minute of the lookback.
    previous_close: Price,
    /// In units of 10⁻¹⁴; 0 without a previous close.
    pub(crate) log_return: i64,
    /// The candle's revision.
    pub(crate) revision: u32,
}

impl LogReturn {
    pub(crate) fn of(
        window_start: EventTime,
        open: Price,
        close: Price,
        previous_close: Option<Price>,
        revision: u32,
    ) -> LogReturn {
        let log_return = previous_close.map_or(0, |previous| {
            let log_return = libm::log(close.0 / previous.0).clamp(-MAX_RETURN, MAX_RETURN);
            libm::rint(log_return * RETURN_UNITS) as i64
        });
        LogReturn {
            window_start,
            open,
            close,
            previous_close: previous_close.unwrap_or_default(),
            log_return,
            revision,
        }
    }

    /// Close of the candle before this one; `None` if no candle started within the lookback.
    pub(crate) fn previous_close(&self) -> Option<Price> {
        (self.previous_close.0 > 0.0).then_some(self.previous_close)
    }

    /// Returns the row that a checkpoint holds.
    pub(crate) fn retained(&self, symbol: Symbol) -> RetainedReturn {
        RetainedReturn {
            symbol,
            start: self.window_start,
            open: self.open,
            close: self.close,
            previous_close: self.previous_close(),
            revision: self.revision,
        }
    }

    /// Returns the symbol and the return of a checkpoint's row.
    pub(crate) fn restored(row: RetainedReturn) -> (Symbol, LogReturn) {
        let RetainedReturn { symbol, start, open, close, previous_close, revision } = row;
        (symbol, LogReturn::of(start, open, close, previous_close, revision))
    }
}
