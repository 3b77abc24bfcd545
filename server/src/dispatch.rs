//! Hands each request to the handler of its route. Every route is read-only: `GET`, and `HEAD` with
//! the same headers.

use crate::api::{alerts, export, health, historical, latest, metrics, stats, symbols, trending};
use crate::dialects::{binance, udf};
use crate::http::layers::cors;
use crate::http::problem::{ParameterError, Problem};
use crate::http::request::Request;
use crate::http::response::{Response, no_store};
use crate::routes::{DataRoute, Found, Route, is_all, named};
use crate::websocket::{Dialect, StreamAddress, Subscription};
use crate::{dashboard, openapi, websocket};
use hyper::header::ALLOW;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use tallow_model::{MAX_SYMBOL_LEN, Symbol};

/// Hands the request to the handler of its route. An unknown path is 404 whatever the method.
pub(crate) async fn dispatch(request: Request) -> Result<Response, Problem> {
    let context = request.body().context.clone();
    let (shared, caller) = (&*context.shared, &context.caller);
    let app = &*shared.app;
    let request = request.map(|received| received.body);
    let uri = request.uri().clone();
    let (path, query) = (uri.path(), uri.query());
    let Some(Found { template, route }) = context.found else {
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
        Route::Health => return health::health(app, query).await.map(no_store),
        Route::Ready => return health::ready(app, query).map(no_store),
        Route::Metrics => {
            return metrics::pipeline(
                app,
                &shared.timings,
                shared.clients.hub.stats(),
                shared.started,
                query,
            )
            .map(no_store);
        }
        Route::Stats => return stats::pipeline(app, shared.started.elapsed(), query).await,
        Route::Data(route) => route,
    };
    let Some(data) = &app.data else {
        let detail = format!("this process has no stores to answer {path} from; the server has");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_stores", detail));
    };
    let name = named(template, path).unwrap_or_default();
    match route {
        DataRoute::Document => dashboard::document(app.settings.dashboard),
        DataRoute::Asset => dashboard::asset(app.settings.dashboard, name),
        DataRoute::OpenApi => openapi::document(query),
        DataRoute::Docs => Ok(openapi::docs()),
        DataRoute::DocsFile => openapi::docs_file(name),
        DataRoute::LatestAll => latest::all(data, query).await,
        DataRoute::Latest => latest::one(data, symbol(name)?, query).await,
        DataRoute::Historical => historical::list(data, symbol(name)?, path, query).await,
        DataRoute::HistoricalStats => historical::stats(data, symbol(name)?, query).await,
        DataRoute::HistoricalLatest => historical::latest(data, symbol(name)?, query).await,
        DataRoute::HistoricalExport => {
            export::export(&shared.exports, &app.settings, data, caller.address, symbol(name)?, query).await
        }
        DataRoute::Alerts => alerts::list(data, None, query).await,
        DataRoute::AlertsOf => alerts::list(data, Some(symbol(name)?), query).await,
        DataRoute::Symbols => symbols::list(data, query).await,
        DataRoute::Trending => trending::list(data, query).await,
        DataRoute::Binance(route) => binance::respond(data, route, query).await,
        DataRoute::Udf(route) => udf::respond(data, route, query).await,
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

/// Reads the symbol in a path: percent-decoded, in any case.
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
