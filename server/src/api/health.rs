//! `/health`: whether each part works, with status 200 even if a part does not. `/ready`: whether
//! the data is current.

use crate::app::App;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::query::Query;
use hyper::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;
use tallow_model::Error;
use tallow_model::EventTime;
use tallow_model::error::chain;
use tallow_model::rows::rfc3339;

/// The most time for a store to answer a ping.
const PING_LIMIT: Duration = Duration::from_secs(2);

const HEALTHY: &str = "healthy";

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(with = "rfc3339")]
    timestamp: EventTime,
    services: BTreeMap<String, String>,
    /// The origin of the ticks.
    source: String,
}

/// The problems of each part; a part that works has none.
#[derive(Default)]
struct Findings(BTreeMap<String, Vec<String>>);

impl Findings {
    /// Adds a finding. Parts with the same name, such as a store and its sink, are one service.
    fn add(&mut self, name: &str, problem: Option<String>) {
        self.0.entry(name.to_owned()).or_default().extend(problem);
    }

    fn into_services(self) -> BTreeMap<String, String> {
        let text = |problems: Vec<String>| match problems[..] {
            [] => HEALTHY.to_owned(),
            _ => format!("unhealthy: {}", problems.join("; ")),
        };
        self.0.into_iter().map(|(name, problems)| (name, text(problems))).collect()
    }
}

/// Returns whether each store, each sink and the pipeline work.
pub(crate) async fn health(app: &App, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    let status = app.pipeline.status();
    let mut findings = Findings::default();
    if let Some(data) = &app.data {
        let (cache, history) = tokio::join!(pinged(data.cache.ping()), pinged(data.history.ping()));
        findings.add(data.cache.name(), cache);
        findings.add(data.history.name(), history);
    }
    findings.add("pipeline", status.failure);
    for sink in status.sinks {
        findings.add(&sink.name, sink.problem);
    }
    let services = findings.into_services();
    let all_healthy = services.values().all(|state| state == HEALTHY);
    let health = Health {
        status: if all_healthy { HEALTHY } else { "degraded" },
        timestamp: app.now(),
        services,
        source: status.source,
    };
    Ok(response::json(StatusCode::OK, &health)?)
}

/// Returns why a store does not answer; `None` if it does.
async fn pinged(ping: impl Future<Output = Result<(), Error>>) -> Option<String> {
    match tokio::time::timeout(PING_LIMIT, ping).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some(format!("no answer within {} s", PING_LIMIT.as_secs())),
    }
}

/// Returns 200 once the pipeline has caught up with its log, and 503 before that and after a
/// failure.
pub(crate) fn ready(app: &App, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    let status = app.pipeline.status();
    if let Some(failure) = status.failure {
        return Err(Problem::unavailable(format!("the pipeline has failed: {failure}")));
    }
    if !status.ready {
        return Err(Problem::unavailable("the pipeline is still catching up with its log"));
    }
    Ok(response::json(StatusCode::OK, &serde_json::json!({ "status": "ready" }))?)
}
