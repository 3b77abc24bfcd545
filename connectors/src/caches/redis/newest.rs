//! The queries for newest candles, and the parsers of their results.

use super::keys::Keys;
use redis::{Cmd, cmd};
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// Returns the query for all published series; [`read_series`] parses its result.
pub(super) fn series(keys: &Keys) -> Cmd {
    let mut question = cmd("HKEYS");
    question.arg(&keys.numbers);
    question
}

/// Parses the symbols and intervals, sorted; the candles of some may have expired.
pub(super) fn read_series(fields: &[String]) -> Vec<(Symbol, Interval)> {
    let mut series: Vec<_> = fields.iter().filter_map(|field| Keys::parse_field(field)).collect();
    series.sort_unstable();
    series
}

/// Returns the query for the newest candles of at least one series. Its result is an array of bytes
/// for [`read_candle`], or nil for an expired candle.
pub(super) fn candles(keys: &Keys, series: &[(Symbol, Interval)]) -> Cmd {
    let mut question = cmd("MGET");
    for (symbol, interval) in series {
        question.arg(keys.latest(*symbol, *interval));
    }
    question
}

/// Parses a candle; returns it with its text as it was published.
pub(super) fn read_candle(json: &[u8]) -> Result<(LatestCandle, &str), String> {
    let text = str::from_utf8(json).map_err(|error| error.to_string())?;
    let candle = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok((candle, text))
}
