//! The market streams of Binance, `/ws/…` and `/stream?streams=…`, for programs that listen to them already.
//!
//! There is one kind of stream, the klines of a settled interval: `btcusd@kline_1m`, `_5m` and `_15m`. What would have to
//! be made up is refused by name: the market has no order book, and ticks are not trades with ids.
//!
//! As at Binance nothing is sent before something happens. Unlike there, a closed kline comes once more with each
//! correction of its candle; and where something can't be sent that should have been, the connection is closed with 1013,
//! as there is no event that would say so.
//!
//! Requests and answers are those of [Binance], the codes of mistakes too.
//!
//! [Binance]: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams

mod client;
mod kline;
mod mistake;
mod request;
mod rooms;
mod stream;

pub(super) use client::run;
pub(super) use rooms::Rooms;

use super::subscription::Key;
use crate::http::problem::{ParameterError, Problem};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

/// The most streams of one connection.
const MAX_STREAMS: usize = 1024;

/// What the address of a connection asks for.
pub(crate) struct Opening {
    /// The streams from the beginning on.
    pub(super) streams: BTreeSet<Key>,
    /// Whether events say of which stream they are.
    pub(super) combined: bool,
}

impl Opening {
    /// Reads the path `/ws`, which may go on with names of streams, each followed by `/`. A number among them is the
    /// client's own name for the connection, as some have it.
    pub(crate) fn raw(path: &str, query: Option<&str>) -> Result<Opening, Problem> {
        for (name, value) in parameters(query) {
            time_unit(&name, &value)?;
        }
        let names = path.strip_prefix("/ws").unwrap_or_default();
        let names = percent_decode_str(names).decode_utf8_lossy();
        let is_stream = |name: &&str| !name.bytes().all(|byte| byte.is_ascii_digit());
        Opening::of(names.split('/').filter(is_stream), false)
    }

    /// Reads the parameter `streams` of `/stream`: names with `/` between them.
    pub(crate) fn combined(query: Option<&str>) -> Result<Opening, Problem> {
        let mut streams: Option<String> = None;
        for (name, value) in parameters(query) {
            if name != "streams" {
                time_unit(&name, &value)?;
            } else if streams.replace(value).is_some() {
                return Err(refused("streams", "sent twice".to_owned(), "one list with / between the names"));
            }
        }
        let names = streams.as_deref().unwrap_or_default();
        Opening::of(names.split('/').filter(|name| !name.is_empty()), true)
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>, combined: bool) -> Result<Opening, Problem> {
        let streams = names.map(stream::parse).collect::<Result<BTreeSet<Key>, String>>();
        let streams = streams.map_err(|detail| refused("streams", detail, stream::SERVED))?;
        if streams.len() > MAX_STREAMS {
            let detail = format!("{} streams", streams.len());
            return Err(refused("streams", detail, &format!("{MAX_STREAMS} at most")));
        }
        Ok(Opening { streams, combined })
    }
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned()
}

/// Checks a parameter that is not about streams: the one there is says in what unit times are, and that is this one.
fn time_unit(name: &str, value: &str) -> Result<(), Problem> {
    if name != "timeUnit" {
        return Err(refused(name, "is not known".to_owned(), "streams (of /stream), timeUnit"));
    }
    match value.eq_ignore_ascii_case("MILLISECOND") {
        true => Ok(()),
        false => Err(refused(name, format!("{value:?} is not the unit of the times"), "MILLISECOND")),
    }
}

fn refused(parameter: &str, detail: String, allowed: &str) -> Problem {
    let parameter = parameter.to_owned();
    Problem::parameters(vec![ParameterError { parameter, detail, allowed: allowed.to_owned() }])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn names(opening: &Opening) -> Vec<String> {
        opening.streams.iter().map(|key| stream::name(*key)).collect()
    }

    #[test]
    fn a_path_may_have_streams_and_a_number() {
        for (path, expected) in [
            ("/ws", vec![]),
            ("/ws/", vec![]),
            ("/ws/0", vec![]),
            ("/ws/btcusd@kline_1m", vec!["btcusd@kline_1m"]),
            ("/ws/BTCUSD%40kline_5m/ethusd@kline_15m", vec!["btcusd@kline_5m", "ethusd@kline_15m"]),
        ] {
            let opening = Opening::raw(path, None).unwrap();
            assert_eq!(
                (names(&opening), opening.combined),
                (expected.iter().map(|it| (*it).to_owned()).collect(), false)
            );
        }
        for path in ["/ws/btcusd", "/ws/btcusdt@kline_1m", "/ws/btcusd@kline_1M", "/ws/btcusd@kline_1m%2Fx"] {
            assert!(Opening::raw(path, None).is_err(), "{path}");
        }
        assert!(Opening::raw("/ws/btcusd@kline_1m", Some("timeUnit=millisecond")).is_ok());
        for query in ["timeUnit=MICROSECOND", "streams=btcusd@kline_1m"] {
            assert!(Opening::raw("/ws/btcusd@kline_1m", Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn combined_streams_are_a_parameter() {
        let opening =
            Opening::combined(Some("streams=btcusd@kline_1m/btcusd%40kline_1m/ethusd@kline_1m")).unwrap();
        assert_eq!(
            (names(&opening), opening.combined),
            (vec!["btcusd@kline_1m".into(), "ethusd@kline_1m".into()], true)
        );
        assert!(Opening::combined(None).unwrap().streams.is_empty());
        for query in ["streams=btcusd@depth", "stream=btcusd@kline_1m", "streams=&streams=", "timeUnit=s"] {
            assert!(Opening::combined(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn more_streams_than_a_connection_may_have_are_refused() {
        let streams = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("s{number}usd@kline_1m")).collect();
            Opening::combined(Some(&format!("streams={}", names.join("/"))))
        };
        assert_eq!(streams(MAX_STREAMS).unwrap().streams.len(), 1024);
        assert!(streams(MAX_STREAMS + 1).is_err());
    }
}
