//! The name of a stream: symbol, `USD`, `@kline_` and interval, for example `btcusd@kline_1m`.
//!
//! A client may write the symbol in any case; events and lists have it in lower case.

use super::super::subscription::SeriesKey;
use crate::market;
use tallow_model::Interval;

/// The names of the streams that are served, for error texts.
pub(super) const SERVED: &str = "SYMBOL@kline_INTERVAL, SYMBOL like btcusd, INTERVAL 1m, 5m or 15m";

/// Returns the series of a stream, or the reason why the stream is not served.
pub(super) fn parse(name: &str) -> Result<SeriesKey, String> {
    let Some((symbol, kind)) = name.split_once('@') else {
        return Err(format!("{name:?} is not the name of a stream"));
    };
    let Some(interval) = kind.strip_prefix("kline_") else {
        return Err(format!("{name:?} is not served: there is no data for {kind:?}"));
    };
    let Some(interval) = Interval::parse(interval) else {
        return Err(format!("{name:?} is not served: there are no live candles of {interval:?}"));
    };
    let unknown = || format!("{name:?} names no symbol that ends in {}, like btcusd", market::QUOTE);
    Ok((market::symbol(symbol).ok_or_else(unknown)?, interval))
}

/// The name of the stream of a series.
pub(super) fn name((symbol, interval): SeriesKey) -> String {
    let symbol = market::name(symbol).to_ascii_lowercase();
    format!("{symbol}@kline_{interval}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_any_case() {
        for text in ["btcusd@kline_1m", "BTCUSD@kline_1m"] {
            assert_eq!(name(parse(text).unwrap()), "btcusd@kline_1m");
        }
        assert_eq!(name(parse("new.xusd@kline_15m").unwrap()), "new.xusd@kline_15m");
    }

    #[test]
    fn an_unserved_stream_is_refused_by_name() {
        for text in [
            "",
            "btcusd",
            "@",
            "usd@kline_1m",
            "btcusdt@kline_1m",
            "₿usd@kline_1m",
            "€@kline_1m",
            "btcusd@kline_1M",
            "btcusd@kline_1h",
            "btcusd@kline_1m@+08:00",
            "btcusd@KLINE_1m",
            "btcusd@aggTrade",
            "btcusd@miniTicker",
            "btcusd@ticker",
            "btcusd@depth",
            "!miniTicker@arr",
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.starts_with(&format!("{text:?}")), "{refusal}");
        }
    }
}
