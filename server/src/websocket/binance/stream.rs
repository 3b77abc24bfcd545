//! The name of a stream: symbol, `USD`, `@kline_` and interval, as in `btcusd@kline_1m`. A symbol may be in any case, as it
//! may elsewhere; events and lists name it in lower case.

use super::super::subscription::Key;
use crate::market;
use tallow_model::Interval;

/// What can be listened to.
pub(super) const SERVED: &str = "SYMBOL@kline_INTERVAL, SYMBOL like btcusd, INTERVAL 1m, 5m or 15m";

/// The series that a stream is of, or why there is no such stream.
pub(super) fn parse(name: &str) -> Result<Key, String> {
    let Some((symbol, kind)) = name.split_once('@') else {
        return Err(format!("{name:?} is not the name of a stream"));
    };
    let Some(interval) = kind.strip_prefix("kline_") else {
        return Err(format!("{name:?} can't be served: of {kind:?} the data says nothing or not enough"));
    };
    let Some(interval) = Interval::parse(interval) else {
        return Err(format!("{name:?} can't be served: candles of {interval:?} do not settle live"));
    };
    let unknown = || format!("{name:?} is of no symbol like btcusd, one with {} behind it", market::QUOTE);
    Ok((market::symbol(symbol).ok_or_else(unknown)?, interval))
}

/// The name of a series' stream.
pub(super) fn name((symbol, interval): Key) -> String {
    let symbol = market::name(symbol).to_ascii_lowercase();
    format!("{symbol}@kline_{interval}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_any_case_and_written_in_lower() {
        for text in ["btcusd@kline_1m", "BTCUSD@kline_1m"] {
            assert_eq!(name(parse(text).unwrap()), "btcusd@kline_1m");
        }
        assert_eq!(name(parse("new.xusd@kline_15m").unwrap()), "new.xusd@kline_15m");
    }

    #[test]
    fn what_is_not_served_is_refused_with_its_name() {
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
