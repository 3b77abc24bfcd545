//! Which handler answers which path. Every route is read-only: `GET`, and `HEAD` with the same headers.

use crate::answer::{Answer, momentary};
use crate::api::{alerts, binance, health, historical, latest, metrics, stats, symbols, trending, udf};
use crate::cors::{self, Caller};
use crate::problem::{ParameterError, Problem};
use crate::server::Shared;
use crate::{page, websocket};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tallow_connectors::dataflow::{MAX_SYMBOL_LEN, Symbol};

/// The name that stands for every symbol, in any case. A symbol of this name can't be asked for by itself where both
/// are possible.
pub(crate) const ALL: &str = "ALL";

/// A path with a handler.
enum Route<'a> {
    Health,
    Ready,
    Metrics,
    Stats,
    Data(DataRoute<'a>),
}

/// A path that is answered from the stores, or belongs to the page that shows them, with the symbol as it stands there.
enum DataRoute<'a> {
    Document,
    Asset(&'a str),
    LatestAll,
    Latest(&'a str),
    Historical(&'a str),
    HistoricalStats(&'a str),
    HistoricalLatest(&'a str),
    Alerts(Option<&'a str>),
    Symbols,
    Trending,
    Binance(binance::Route),
    Udf(udf::Route),
    Prices(&'a str),
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Route<'a>> {
        let segments: Vec<&'a str> = path.split('/').skip(1).collect();
        Some(match segments[..] {
            ["health"] => Route::Health,
            ["ready"] => Route::Ready,
            ["metrics"] => Route::Metrics,
            ["api", "v1", "stats"] => Route::Stats,
            _ => Route::Data(DataRoute::of(&segments)?),
        })
    }
}

impl<'a> DataRoute<'a> {
    fn of(segments: &[&'a str]) -> Option<DataRoute<'a>> {
        Some(match *segments {
            [""] => DataRoute::Document,
            ["assets", name] => DataRoute::Asset(name),
            ["api", "v1", "latest", name] if is_all(name) => DataRoute::LatestAll,
            ["api", "v1", "latest", name] => DataRoute::Latest(name),
            ["api", "v1", "historical", name] => DataRoute::Historical(name),
            ["api", "v1", "historical", name, "stats"] => DataRoute::HistoricalStats(name),
            ["api", "v1", "historical", name, "latest"] => DataRoute::HistoricalLatest(name),
            ["api", "v1", "alerts"] => DataRoute::Alerts(None),
            ["api", "v1", "alerts", name] => DataRoute::Alerts(Some(name)),
            ["api", "v1", "symbols"] => DataRoute::Symbols,
            ["api", "v1", "trending"] => DataRoute::Trending,
            ["api", "v3", ref names @ ..] => DataRoute::Binance(binance::Route::of(names)?),
            ["udf", name] => DataRoute::Udf(udf::Route::of(name)?),
            ["ws", "prices", name] => DataRoute::Prices(name),
            _ => return None,
        })
    }
}

/// The route of a path as the contract writes it, to tell requests apart by. What leads nowhere is one route too, as
/// callers make up paths without end.
pub(crate) fn template(path: &str) -> &'static str {
    match Route::of(path) {
        Some(Route::Health) => "/health",
        Some(Route::Ready) => "/ready",
        Some(Route::Metrics) => "/metrics",
        Some(Route::Stats) => "/api/v1/stats",
        Some(Route::Data(route)) => match route {
            DataRoute::Document => "/",
            DataRoute::Asset(_) => "/assets/{name}",
            DataRoute::LatestAll => "/api/v1/latest/all",
            DataRoute::Latest(_) => "/api/v1/latest/{symbol}",
            DataRoute::Historical(_) => "/api/v1/historical/{symbol}",
            DataRoute::HistoricalStats(_) => "/api/v1/historical/{symbol}/stats",
            DataRoute::HistoricalLatest(_) => "/api/v1/historical/{symbol}/latest",
            DataRoute::Alerts(None) => "/api/v1/alerts",
            DataRoute::Alerts(Some(_)) => "/api/v1/alerts/{symbol}",
            DataRoute::Symbols => "/api/v1/symbols",
            DataRoute::Trending => "/api/v1/trending",
            DataRoute::Binance(route) => route.template(),
            DataRoute::Udf(route) => route.template(),
            DataRoute::Prices(_) => "/ws/prices/{symbol}",
        },
        None => "none",
    }
}

/// Whether this is the path of a probe, which is answered however busy the server is and whoever asks.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(Route::of(path), Some(Route::Health | Route::Ready))
}

/// Whether this path is answered without a key: a probe's, or that of one of the page's own files.
pub(crate) fn is_open(path: &str) -> bool {
    matches!(
        Route::of(path),
        Some(Route::Health | Route::Ready | Route::Data(DataRoute::Document | DataRoute::Asset(_)))
    )
}

/// Hands the request to its handler. An unknown path is 404 whatever the method.
pub(crate) async fn route(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let app = &shared.app;
    let uri = request.uri().clone();
    let (path, query) = (uri.path(), uri.query());
    let Some(route) = Route::of(path) else {
        let detail = format!("there is nothing at {path}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail));
    };
    if request.method() == Method::OPTIONS {
        return Ok(cors::options());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let detail = format!("{path} is read with GET or HEAD");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        return Err(problem.with("Allow", cors::METHODS));
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
    match route {
        DataRoute::Document => page::document(app.settings.dashboard),
        DataRoute::Asset(name) => page::asset(app.settings.dashboard, name),
        DataRoute::LatestAll => latest::all(data, query).await,
        DataRoute::Latest(name) => latest::one(data, symbol(name)?, query).await,
        DataRoute::Historical(name) => historical::list(data, symbol(name)?, path, query).await,
        DataRoute::HistoricalStats(name) => historical::stats(data, symbol(name)?, query).await,
        DataRoute::HistoricalLatest(name) => historical::latest(data, symbol(name)?, query).await,
        DataRoute::Alerts(name) => alerts::list(data, name.map(symbol).transpose()?, query).await,
        DataRoute::Symbols => symbols::list(data, query).await,
        DataRoute::Trending => trending::list(data, query).await,
        DataRoute::Binance(route) => binance::answer(data, route, query).await,
        DataRoute::Udf(route) => udf::answer(data, route, query).await,
        DataRoute::Prices(name) => {
            let symbol = if is_all(name) { None } else { Some(symbol(name)?) };
            websocket::upgrade(shared, data, caller, request, symbol)
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
