//! The address of a connection to the market streams, which may name the first streams.

use super::super::subscription::SeriesKey;
use super::stream_name;
use crate::http::problem::{ParameterError, Problem};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

/// The maximum number of streams of one connection.
pub(super) const MAX_STREAMS: usize = 1024;

/// The streams and the event format that an address asks for.
pub(crate) struct StreamAddress {
    /// The first streams of the connection.
    pub(super) streams: BTreeSet<SeriesKey>,
    /// Whether each event comes with the name of its stream.
    pub(super) combined: bool,
}

impl StreamAddress {
    /// Reads the path `/ws` and the stream names after it, which are separated by `/`.
    ///
    /// A number among the names is ignored: some clients add one as their name for the connection.
    ///
    /// # Errors
    /// A problem document if a name or parameter is not served.
    pub(crate) fn raw(path: &str, query: Option<&str>) -> Result<StreamAddress, Problem> {
        for (name, value) in parameters(query) {
            check_time_unit(&name, &value)?;
        }
        let names = path.strip_prefix("/ws").unwrap_or_default();
        let names = percent_decode_str(names).decode_utf8_lossy();
        let is_stream = |name: &&str| !name.bytes().all(|byte| byte.is_ascii_digit());
        StreamAddress::of(names.split('/').filter(is_stream), false)
    }

    /// Reads the parameter `streams` of `/stream`: stream names that are separated by `/`.
    ///
    /// # Errors
    /// A problem document if a name or parameter is not served.
    pub(crate) fn combined(query: Option<&str>) -> Result<StreamAddress, Problem> {
        let mut streams: Option<String> = None;
        for (name, value) in parameters(query) {
            if name != "streams" {
                check_time_unit(&name, &value)?;
            } else if streams.replace(value).is_some() {
                return Err(refused("streams", "sent twice".to_owned(), "one list with / between the names"));
            }
        }
        let names = streams.as_deref().unwrap_or_default();
        StreamAddress::of(names.split('/').filter(|name| !name.is_empty()), true)
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>, combined: bool) -> Result<StreamAddress, Problem> {
        let streams = names.map(stream_name::parse).collect::<Result<BTreeSet<SeriesKey>, String>>();
        let streams = streams.map_err(|detail| refused("streams", detail, stream_name::SERVED))?;
        if streams.len() > MAX_STREAMS {
            let detail = format!("{} streams", streams.len());
            return Err(refused("streams", detail, &format!("{MAX_STREAMS} at most")));
        }
        Ok(StreamAddress { streams, combined })
    }
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned()
}

/// Checks a parameter other than `streams`. The only one is the unit of times: milliseconds.
fn check_time_unit(name: &str, value: &str) -> Result<(), Problem> {
    if name != "timeUnit" {
        return Err(refused(name, "unknown".to_owned(), "streams (of /stream), timeUnit"));
    }
    match value.eq_ignore_ascii_case("MILLISECOND") {
        true => Ok(()),
        false => Err(refused(name, format!("{value:?} is not a supported unit"), "MILLISECOND")),
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

    fn names(address: &StreamAddress) -> Vec<String> {
        address.streams.iter().map(|key| stream_name::name(*key)).collect()
    }

    #[test]
    fn a_path_may_name_streams() {
        for (path, expected) in [
            ("/ws", vec![]),
            ("/ws/", vec![]),
            ("/ws/0", vec![]),
            ("/ws/btcusd@kline_1m", vec!["btcusd@kline_1m"]),
            ("/ws/BTCUSD%40kline_5m/ethusd@kline_15m", vec!["btcusd@kline_5m", "ethusd@kline_15m"]),
        ] {
            let address = StreamAddress::raw(path, None).unwrap();
            assert_eq!(
                (names(&address), address.combined),
                (expected.iter().map(|it| (*it).to_owned()).collect(), false)
            );
        }
        for path in ["/ws/btcusd", "/ws/btcusdt@kline_1m", "/ws/btcusd@kline_1M", "/ws/btcusd@kline_1m%2Fx"] {
            assert!(StreamAddress::raw(path, None).is_err(), "{path}");
        }
        assert!(StreamAddress::raw("/ws/btcusd@kline_1m", Some("timeUnit=millisecond")).is_ok());
        for query in ["timeUnit=MICROSECOND", "streams=btcusd@kline_1m"] {
            assert!(StreamAddress::raw("/ws/btcusd@kline_1m", Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn combined_streams_are_a_parameter() {
        let address =
            StreamAddress::combined(Some("streams=btcusd@kline_1m/btcusd%40kline_1m/ethusd@kline_1m"))
                .unwrap();
        assert_eq!(
            (names(&address), address.combined),
            (vec!["btcusd@kline_1m".into(), "ethusd@kline_1m".into()], true)
        );
        assert!(StreamAddress::combined(None).unwrap().streams.is_empty());
        for query in ["streams=btcusd@depth", "stream=btcusd@kline_1m", "streams=&streams=", "timeUnit=s"] {
            assert!(StreamAddress::combined(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn more_streams_than_the_limit_are_refused() {
        let streams = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("s{number}usd@kline_1m")).collect();
            StreamAddress::combined(Some(&format!("streams={}", names.join("/"))))
        };
        assert_eq!(streams(MAX_STREAMS).unwrap().streams.len(), 1024);
        assert!(streams(MAX_STREAMS + 1).is_err());
    }
}
