//! Which handler answers which path. Every route is read-only: `GET`, and `HEAD` with the same headers.

use crate::answer::Answer;
use crate::api::{alerts, health, historical, latest, stats, symbols};
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

/// A path with a handler, and the symbol as it stands there.
enum Route<'a> {
    Document,
    Script,
    Style,
    Health,
    Ready,
    LatestAll,
    Latest(&'a str),
    Historical(&'a str),
    HistoricalStats(&'a str),
    HistoricalLatest(&'a str),
    Alerts(Option<&'a str>),
    Symbols,
    Stats,
    Prices(&'a str),
}

impl Route<'_> {
    fn of(path: &str) -> Option<Route<'_>> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        Some(match segments[..] {
            [""] => Route::Document,
            ["page.js"] => Route::Script,
            ["page.css"] => Route::Style,
            ["health"] => Route::Health,
            ["ready"] => Route::Ready,
            ["api", "v1", "latest", name] if is_all(name) => Route::LatestAll,
            ["api", "v1", "latest", name] => Route::Latest(name),
            ["api", "v1", "historical", name] => Route::Historical(name),
            ["api", "v1", "historical", name, "stats"] => Route::HistoricalStats(name),
            ["api", "v1", "historical", name, "latest"] => Route::HistoricalLatest(name),
            ["api", "v1", "alerts"] => Route::Alerts(None),
            ["api", "v1", "alerts", name] => Route::Alerts(Some(name)),
            ["api", "v1", "symbols"] => Route::Symbols,
            ["api", "v1", "stats"] => Route::Stats,
            ["ws", "prices", name] => Route::Prices(name),
            _ => return None,
        })
    }
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
    match route {
        Route::Document => Ok(page::document()),
        Route::Script => Ok(page::script()),
        Route::Style => Ok(page::style()),
        Route::Health => health::health(app, query).await,
        Route::Ready => health::ready(app, query),
        Route::LatestAll => latest::all(app, query).await,
        Route::Latest(name) => latest::one(app, symbol(name)?, query).await,
        Route::Historical(name) => historical::list(app, symbol(name)?, path, query).await,
        Route::HistoricalStats(name) => historical::stats(app, symbol(name)?, query).await,
        Route::HistoricalLatest(name) => historical::latest(app, symbol(name)?, query).await,
        Route::Alerts(name) => alerts::list(app, name.map(symbol).transpose()?, query).await,
        Route::Symbols => symbols::list(app, query).await,
        Route::Stats => stats::pipeline(app, shared.started.elapsed(), query).await,
        Route::Prices(name) => {
            let symbol = if is_all(name) { None } else { Some(symbol(name)?) };
            websocket::upgrade(shared, caller, request, symbol)
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
