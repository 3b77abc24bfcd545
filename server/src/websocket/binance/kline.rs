//! The event of a kline: the newest candle of one window, with `x` true once the window is closed.
//!
//! Unknown fields have the values of `/api/v3`: the ids of the first and last trade are -1, and the
//! volumes of takers are 0. The volumes of a feed without sizes are 0 too, because a rolling volume
//! is not the volume of a window.

use super::super::frame::Frame;
use super::stream_name;
use crate::market::QUOTE;
use tallow_model::EventTime;
use tallow_model::rows::LatestCandle;

/// The raw event of a candle at this time of the clock.
///
/// The characters of a symbol need no escaping, and Rust prints no float with an exponent.
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

/// The combined event: the raw event with the name of its stream around it.
pub(super) fn combined(candle: &LatestCandle, event: &Frame) -> Frame {
    let name = stream_name::name((candle.symbol, candle.interval));
    format!(r#"{{"stream":"{name}","data":{event}}}"#).into()
}
