//! The routes: the handler of each path, and which paths need no key or are exempt from the limits.

use crate::dialects::{binance, udf};
use crate::market::ALL;
use percent_encoding::percent_decode_str;

/// The route of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    Health,
    Ready,
    Metrics,
    Stats,
    Data(DataRoute),
}

/// A route that reads the stores, or belongs to the pages that show them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DataRoute {
    Document,
    Asset,
    OpenApi,
    Docs,
    DocsFile,
    LatestAll,
    Latest,
    Historical,
    HistoricalStats,
    HistoricalLatest,
    HistoricalExport,
    Alerts,
    AlertsOf,
    Symbols,
    Trending,
    Binance(binance::BinanceRoute),
    Udf(udf::UdfRoute),
    Prices,
    RawStreams,
    CombinedStreams,
}

/// Every path with a handler, as `docs/api-contract.md` writes it: the first one that matches
/// counts. `{…}` matches one segment, even an empty one, `{streams}` all that are left; `all`
/// matches in any case. These rules are why no router of a library is used. Every path is described
/// in `/openapi.json`.
pub(crate) const ROUTES: [(&str, Route); 36] = {
    use binance::BinanceRoute as B;
    use udf::UdfRoute as U;
    [
        ("/health", Route::Health),
        ("/ready", Route::Ready),
        ("/metrics", Route::Metrics),
        ("/api/v1/stats", Route::Stats),
        ("/api/v1/latest/all", Route::Data(DataRoute::LatestAll)),
        ("/api/v1/latest/{symbol}", Route::Data(DataRoute::Latest)),
        ("/api/v1/historical/{symbol}", Route::Data(DataRoute::Historical)),
        ("/api/v1/historical/{symbol}/stats", Route::Data(DataRoute::HistoricalStats)),
        ("/api/v1/historical/{symbol}/latest", Route::Data(DataRoute::HistoricalLatest)),
        ("/api/v1/historical/{symbol}/export", Route::Data(DataRoute::HistoricalExport)),
        ("/api/v1/alerts", Route::Data(DataRoute::Alerts)),
        ("/api/v1/alerts/{symbol}", Route::Data(DataRoute::AlertsOf)),
        ("/api/v1/symbols", Route::Data(DataRoute::Symbols)),
        ("/api/v1/trending", Route::Data(DataRoute::Trending)),
        ("/api/v3/ping", Route::Data(DataRoute::Binance(B::Ping))),
        ("/api/v3/time", Route::Data(DataRoute::Binance(B::Time))),
        ("/api/v3/exchangeInfo", Route::Data(DataRoute::Binance(B::ExchangeInfo))),
        ("/api/v3/klines", Route::Data(DataRoute::Binance(B::Klines))),
        ("/api/v3/uiKlines", Route::Data(DataRoute::Binance(B::Klines))),
        ("/api/v3/ticker/price", Route::Data(DataRoute::Binance(B::Price))),
        ("/api/v3/ticker/24hr", Route::Data(DataRoute::Binance(B::Day))),
        ("/udf/config", Route::Data(DataRoute::Udf(U::Config))),
        ("/udf/symbols", Route::Data(DataRoute::Udf(U::Symbols))),
        ("/udf/search", Route::Data(DataRoute::Udf(U::Search))),
        ("/udf/history", Route::Data(DataRoute::Udf(U::History))),
        ("/udf/time", Route::Data(DataRoute::Udf(U::Time))),
        ("/udf/marks", Route::Data(DataRoute::Udf(U::Marks))),
        ("/ws/prices/{symbol}", Route::Data(DataRoute::Prices)),
        ("/ws", Route::Data(DataRoute::RawStreams)),
        ("/ws/{streams}", Route::Data(DataRoute::RawStreams)),
        ("/stream", Route::Data(DataRoute::CombinedStreams)),
        ("/", Route::Data(DataRoute::Document)),
        ("/assets/{name}", Route::Data(DataRoute::Asset)),
        ("/openapi.json", Route::Data(DataRoute::OpenApi)),
        ("/docs", Route::Data(DataRoute::Docs)),
        ("/docs/{file}", Route::Data(DataRoute::DocsFile)),
    ]
};

/// The beginning that all paths of a route share.
const BEGINNINGS: [&str; ROUTES.len()] = {
    let mut beginnings = [""; ROUTES.len()];
    let mut place = 0;
    while place < ROUTES.len() {
        beginnings[place] = beginning(ROUTES[place].0);
        place += 1;
    }
    beginnings
};

/// Returns the part of a template that is written in one way only.
const fn beginning(template: &str) -> &str {
    let mut end = 0;
    while end < template.len() && template.as_bytes()[end] != b'{' {
        end += 1;
    }
    let literal = template.split_at(end).0;
    match literal.as_bytes() {
        // Matches in any case.
        [.., b'/', b'a', b'l', b'l'] => literal.split_at(end - "all".len()).0,
        _ => literal,
    }
}

/// A route that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The path as [`ROUTES`] has it.
    pub(crate) template: &'static str,
    pub(crate) route: Route,
}

impl Found {
    /// Whether the route is a probe, which is answered however busy the server is and whoever asks.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self.route, Route::Health | Route::Ready)
    }

    /// Whether the route needs no key: a probe, a file of the dashboard, or the description of the
    /// API.
    pub(crate) fn is_open(self) -> bool {
        use DataRoute::{Asset, Docs, DocsFile, Document, OpenApi};
        self.is_probe() || matches!(self.route, Route::Data(Document | Asset | OpenApi | Docs | DocsFile))
    }
}

/// Returns the route of a path.
pub(crate) fn find(path: &str) -> Option<Found> {
    let fits = |&(&(template, _), beginning): &(&(&str, Route), &&str)| {
        // Most templates fail here already, which is cheap.
        path.starts_with(*beginning) && named(template, path).is_some()
    };
    let found = ROUTES.iter().zip(&BEGINNINGS).find(fits);
    found.map(|(&(template, route), _)| Found { template, route })
}

/// Returns the segment of the path that `{…}` of the template matches; `None` if the path does not
/// match.
pub(crate) fn named<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let mut name = "";
    let mut segments = path.split('/');
    for expected in template.split('/') {
        let segment = segments.next()?;
        match expected {
            // `/ws/prices` without a symbol is no stream of this name.
            "{streams}" => return (segment != "prices").then_some(segment),
            "all" if is_all(segment) => {}
            _ if expected.starts_with('{') => name = segment,
            _ if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(name)
}

/// Returns whether the segment stands for every symbol.
pub(crate) fn is_all(segment: &str) -> bool {
    percent_decode_str(segment).decode_utf8().is_ok_and(|name| name.eq_ignore_ascii_case(ALL))
}
