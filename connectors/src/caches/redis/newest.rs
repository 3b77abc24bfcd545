//! The questions after the newest candles, and how their answers are read.

use super::keys::Keys;
use redis::{Cmd, cmd};
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// Which series have been published to. The answer is for [`read_series`].
pub(super) fn series(keys: &Keys) -> Cmd {
    let mut question = cmd("HKEYS");
    question.arg(&keys.numbers);
    question
}

/// The symbols and intervals, sorted; the candles of some may have expired.
pub(super) fn read_series(fields: &[String]) -> Vec<(Symbol, Interval)> {
    let mut series: Vec<_> = fields.iter().filter_map(|field| Keys::parse_field(field)).collect();
    series.sort_unstable();
    series
}

/// The newest candles of these series, of which there must be one. The answer is an array of bytes, each for
/// [`read_candle`], or nil where the candle has expired.
pub(super) fn candles(keys: &Keys, series: &[(Symbol, Interval)]) -> Cmd {
    let mut question = cmd("MGET");
    for (symbol, interval) in series {
        question.arg(keys.latest(*symbol, *interval));
    }
    question
}

/// The candle and its text, as it was published; or what is wrong with it.
pub(super) fn read_candle(json: &[u8]) -> Result<(LatestCandle, &str), String> {
    let text = str::from_utf8(json).map_err(|error| error.to_string())?;
    let candle = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok((candle, text))
}
