//! Which handler answers which path. Every route is read-only: `GET`, and `HEAD` with the same headers.

use crate::answer::{Answer, momentary};
use crate::api::{
    alerts, binance, export, health, historical, latest, metrics, stats, symbols, trending, udf,
};
use crate::cors::{self, Caller};
use crate::problem::{ParameterError, Problem};
use crate::server::Shared;
use crate::websocket::{Dialect, StreamAddress, Subscription};
use crate::{openapi, page, websocket};
use hyper::body::Incoming;
use hyper::header::ALLOW;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tallow_model::{MAX_SYMBOL_LEN, Symbol};

/// The name that stands for every symbol, in any case. A symbol of this name can't be asked for by itself where both
/// are possible.
pub(crate) const ALL: &str = "ALL";

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    Health,
    Ready,
    Metrics,
    Stats,
    Data(DataRoute),
}

/// What is answered from the stores, or belongs to the pages that show them.
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
    Binance(binance::Route),
    Udf(udf::Route),
    Prices,
    RawStreams,
    CombinedStreams,
}

/// Every path with a handler, as the contract writes it: the first that fits counts. `{…}` stands for one segment,
/// `{streams}` for all that are left; `all` fits in any case. Each of them is described in `/openapi.json`.
pub(crate) const ROUTES: [(&str, Route); 36] = {
    use binance::Route as B;
    use udf::Route as U;
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

/// What every path of a route begins with.
const BEGINNINGS: [&str; ROUTES.len()] = {
    let mut beginnings = [""; ROUTES.len()];
    let mut place = 0;
    while place < ROUTES.len() {
        beginnings[place] = beginning(ROUTES[place].0);
        place += 1;
    }
    beginnings
};

/// The part of a template that is written in one way only.
const fn beginning(template: &str) -> &str {
    let mut end = 0;
    while end < template.len() && template.as_bytes()[end] != b'{' {
        end += 1;
    }
    let literal = template.split_at(end).0;
    match literal.as_bytes() {
        // In any case.
        [.., b'/', b'a', b'l', b'l'] => literal.split_at(end - "all".len()).0,
        _ => literal,
    }
}

/// A route that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The path as the contract writes it.
    pub(crate) template: &'static str,
    route: Route,
}

impl Found {
    /// Whether this is a probe, which is answered however busy the server is and whoever asks.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self.route, Route::Health | Route::Ready)
    }

    /// Whether this is answered without a key: a probe, one of the page's own files, or the description of all others.
    pub(crate) fn is_open(self) -> bool {
        use DataRoute::{Asset, Docs, DocsFile, Document, OpenApi};
        self.is_probe() || matches!(self.route, Route::Data(Document | Asset | OpenApi | Docs | DocsFile))
    }
}

/// What is at this path.
pub(crate) fn find(path: &str) -> Option<Found> {
    let fits = |&(&(template, _), beginning): &(&(&str, Route), &&str)| {
        // Most do not fit, and that shows here already.
        path.starts_with(*beginning) && named(template, path).is_some()
    };
    let found = ROUTES.iter().zip(&BEGINNINGS).find(fits);
    found.map(|(&(template, route), _)| Found { template, route })
}

/// The segment of the path that `{…}` of the template stands for; none where the path does not fit.
fn named<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let mut name = "";
    let mut segments = path.split('/');
    for expected in template.split('/') {
        let segment = segments.next()?;
        match expected {
            // That is the other kind of socket, which goes without a symbol here.
            "{streams}" => return (segment != "prices").then_some(segment),
            "all" if is_all(segment) => {}
            _ if expected.starts_with('{') => name = segment,
            _ if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(name)
}

/// Hands the request to the handler of what was found at its path. An unknown path is 404 whatever the method.
pub(crate) async fn route(
    shared: &Arc<Shared>,
    caller: &Caller,
    found: Option<Found>,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let app = &shared.app;
    let uri = request.uri().clone();
    let (path, query) = (uri.path(), uri.query());
    let Some(Found { template, route }) = found else {
        let detail = format!("there is nothing at {path}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail));
    };
    if request.method() == Method::OPTIONS {
        return Ok(cors::options());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let detail = format!("{path} is read with GET or HEAD");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        return Err(problem.with(ALLOW, cors::METHODS));
    }
    let route = match route {
        Route::Health => return health::health(app, query).await.map(momentary),
        Route::Ready => return health::ready(app, query).map(momentary),
        Route::Metrics => return metrics::pipeline(shared, query).map(momentary),
        Route::Stats => return stats::pipeline(app, shared.started.elapsed(), query).await,
        Route::Data(route) => route,
    };
    let Some(data) = &app.data else {
        let detail = format!("this process has no stores to answer {path} from; the server has");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_stores", detail));
    };
    let name = named(template, path).unwrap_or_default();
    match route {
        DataRoute::Document => page::document(app.settings.dashboard),
        DataRoute::Asset => page::asset(app.settings.dashboard, name),
        DataRoute::OpenApi => openapi::document(query),
        DataRoute::Docs => Ok(openapi::docs()),
        DataRoute::DocsFile => openapi::docs_file(name),
        DataRoute::LatestAll => latest::all(data, query).await,
        DataRoute::Latest => latest::one(data, symbol(name)?, query).await,
        DataRoute::Historical => historical::list(data, symbol(name)?, path, query).await,
        DataRoute::HistoricalStats => historical::stats(data, symbol(name)?, query).await,
        DataRoute::HistoricalLatest => historical::latest(data, symbol(name)?, query).await,
        DataRoute::HistoricalExport => {
            export::answer(shared, data, caller.address, symbol(name)?, query).await
        }
        DataRoute::Alerts => alerts::list(data, None, query).await,
        DataRoute::AlertsOf => alerts::list(data, Some(symbol(name)?), query).await,
        DataRoute::Symbols => symbols::list(data, query).await,
        DataRoute::Trending => trending::list(data, query).await,
        DataRoute::Binance(route) => binance::answer(data, route, query).await,
        DataRoute::Udf(route) => udf::answer(data, route, query).await,
        DataRoute::Prices => {
            let symbol = if is_all(name) { None } else { Some(symbol(name)?) };
            let dialect = Dialect::Native(Subscription::parse(symbol, query)?);
            websocket::upgrade(&shared.clients, data, caller, request, dialect)
        }
        DataRoute::RawStreams => {
            let dialect = Dialect::Binance(StreamAddress::raw(path, query)?);
            websocket::upgrade(&shared.clients, data, caller, request, dialect)
        }
        DataRoute::CombinedStreams => {
            let dialect = Dialect::Binance(StreamAddress::combined(query)?);
            websocket::upgrade(&shared.clients, data, caller, request, dialect)
        }
    }
}

fn is_all(segment: &str) -> bool {
    percent_decode_str(segment).decode_utf8().is_ok_and(|name| name.eq_ignore_ascii_case(ALL))
}

/// The symbol in a path: percent-decoded, in any case.
fn symbol(segment: &str) -> Result<Symbol, Problem> {
    let bytes: Vec<u8> = percent_decode_str(segment).collect();
    Symbol::parse(&bytes).map_err(|error| {
        Problem::parameters(vec![ParameterError {
            parameter: "symbol".to_owned(),
            detail: error.to_string(),
            allowed: format!("1–{MAX_SYMBOL_LEN} of A–Z a–z 0–9 . _ -"),
        }])
    })
}
