//! The two dialects that the clients of `fanout-bench` can speak: what they ask for, and what they
//! read out of a frame.
//!
//! An event of Binance's streams has no field for the moment at which its candle was published. So
//! the publisher makes that moment, in milliseconds of the clock, the closing price too.

use clap::ValueEnum;

/// Dialect of the clients.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Dialect {
    /// Tallow's own, `/ws/prices/{symbol}`
    Tallow,
    /// Binance's streams: half of the clients at `/ws/…`, half at `/stream?streams=…`
    Binance,
}

/// The fields of a candle in a frame.
#[derive(Debug, PartialEq)]
pub(super) struct Update<'a> {
    pub(super) symbol: &'a str,
    /// Start of the window in seconds.
    pub(super) window_start: u64,
    pub(super) is_closed: bool,
    /// Time of the update in milliseconds of the clock; meaningless once the candle is closed.
    pub(super) published_ms: u64,
}

/// Returns the name of a symbol.
pub(super) fn name(number: usize) -> String {
    format!("FAN{number}")
}

impl Dialect {
    /// Returns the path and query of the client of this number, for one of the symbols or for all
    /// of them.
    pub(super) fn target(self, client: usize, symbols: usize, all: bool) -> String {
        let stream = |number: usize| format!("{}usd@kline_1m", name(number).to_lowercase());
        match self {
            Dialect::Tallow if all => "/ws/prices/ALL".to_owned(),
            Dialect::Tallow => format!("/ws/prices/{}", name(client % symbols)),
            Dialect::Binance => {
                let streams: Vec<String> = match all {
                    true => (0..symbols).map(stream).collect(),
                    false => vec![stream(client % symbols)],
                };
                // Parity would give each symbol clients of one kind only.
                let path = if (client / symbols).is_multiple_of(2) { "/ws/" } else { "/stream?streams=" };
                format!("{path}{}", streams.join("/"))
            }
        }
    }

    /// Parses a frame; `None` if it is no update of a candle.
    pub(super) fn read(self, text: &str) -> Option<Update<'_>> {
        match self {
            Dialect::Tallow => {
                let text = text.strip_prefix(r#"{"type":"price_update","#)?;
                Some(Update {
                    symbol: field(text, "symbol")?,
                    window_start: field(text, "windowStart")?.parse().ok()?,
                    is_closed: field(text, "isClosed")? == "true",
                    published_ms: field(text, "eventTime")?.parse().ok()?,
                })
            }
            Dialect::Binance => {
                // In a combined stream the event is the last field.
                let text = &text[text.find(r#"{"e":"kline","#)?..];
                let start_ms: u64 = field(text, "t")?.parse().ok()?;
                Some(Update {
                    symbol: field(text, "s")?,
                    window_start: start_ms / 1000,
                    is_closed: field(text, "x")? == "true",
                    published_ms: field(text, "c")?.parse::<f64>().ok()? as u64,
                })
            }
        }
    }
}

/// Returns the text of the value of the first field of this name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find(name)? + name.len()..];
        let before = text.len() - rest.len() - name.len();
        if let Some(value) = rest.strip_prefix("\":")
            && text[..before].ends_with('"')
        {
            return Some(value[..value.find([',', '}'])?].trim_matches('"'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_say_the_same() {
        let update = Update {
            symbol: "FAN1",
            window_start: 1_763_887_560,
            is_closed: false,
            published_ms: 1_763_887_601_234,
        };
        let own = r#"{"type":"price_update","symbol":"FAN1","data":{"symbol":"FAN1","interval":"1m","windowStart":1763887560,"close":1763887601234.0,"isClosed":false,"seq":7,"eventTime":1763887601234},"timestamp":"t","source":"bench"}"#;
        assert_eq!(Dialect::Tallow.read(own), Some(update));
        let event = r#"{"e":"kline","E":1763887601240,"s":"FAN1USD","k":{"t":1763887560000,"T":1763887619999,"s":"FAN1USD","i":"1m","f":-1,"L":-1,"o":"100","c":"1763887601234","h":"101","l":"100","v":"1","n":4,"x":true,"q":"100","V":"0","Q":"0","B":"0"}}"#;
        let expected = || Update {
            symbol: "FAN1USD",
            window_start: 1_763_887_560,
            is_closed: true,
            published_ms: 1_763_887_601_234,
        };
        assert_eq!(Dialect::Binance.read(event), Some(expected()));
        let combined = format!(r#"{{"stream":"fan1usd@kline_1m","data":{event}}}"#);
        assert_eq!(Dialect::Binance.read(&combined), Some(expected()));
    }

    #[test]
    fn other_frames_are_no_updates() {
        for text in ["", "{}", r#"{"type":"keepalive","connections":1}"#, r#"{"result":null,"id":1}"#] {
            assert_eq!(Dialect::Tallow.read(text), None, "{text}");
            assert_eq!(Dialect::Binance.read(text), None, "{text}");
        }
    }

    #[test]
    fn clients_are_spread_over_symbols_and_kinds_of_streams() {
        let targets = |all| [0, 1, 2, 3].map(|client| Dialect::Binance.target(client, 2, all));
        let of_one = [
            "/ws/fan0usd@kline_1m",
            "/ws/fan1usd@kline_1m",
            "/stream?streams=fan0usd@kline_1m",
            "/stream?streams=fan1usd@kline_1m",
        ];
        assert_eq!(targets(false), of_one);
        assert_eq!(targets(true)[3], "/stream?streams=fan0usd@kline_1m/fan1usd@kline_1m");
        assert_eq!(Dialect::Tallow.target(3, 2, false), "/ws/prices/FAN1");
    }
}
