//! The event of a kline: the candle of one window as it stands, with `x` once it has closed.
//!
//! What Tallow does not know is as at `/api/v3`: the ids of the first and the last trade are -1, and the shares of takers 0.
//! So are the volumes of a feed without sizes, as a rolling volume is not that of a window.

use super::super::frame::Frame;
use super::stream;
use crate::market::QUOTE;
use tallow_model::EventTime;
use tallow_model::rows::LatestCandle;

/// The event of a candle at this time of the clock. The characters of a symbol need no escaping, and Rust prints no float
/// with an exponent.
pub(super) fn event(candle: &LatestCandle, now: EventTime) -> Frame {
    let LatestCandle { symbol, interval, open, high, low, close, event_count, is_closed, .. } = candle;
    let (start, end) = (candle.window_start * 1000, candle.window_end * 1000 - 1);
    let now = now.millis();
    let (volume, quote_volume) = candle.quote_volume.map_or((0.0, 0.0), |quote| (candle.volume_sum, quote));
    format!(
        r#"{{"e":"kline","E":{now},"s":"{symbol}{QUOTE}","k":{{"t":{start},"T":{end},"s":"{symbol}{QUOTE}","i":"{interval}","f":-1,"L":-1,"o":"{open}","c":"{close}","h":"{high}","l":"{low}","v":"{volume}","n":{event_count},"x":{is_closed},"q":"{quote_volume}","V":"0","Q":"0","B":"0"}}}}"#
    )
    .into()
}

/// The same, with the name of its stream around it.
pub(super) fn combined(candle: &LatestCandle, event: &Frame) -> Frame {
    let name = stream::name((candle.symbol, candle.interval));
    format!(r#"{{"stream":"{name}","data":{event}}}"#).into()
}
