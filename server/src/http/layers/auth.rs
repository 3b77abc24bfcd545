//! API keys: who may ask at all, if not everyone may.

use crate::http::api_key::{self, ApiKey};
use crate::http::problem::Problem;
use crate::http::request::Request;
use crate::routes::Found;
use hyper::Method;
use hyper::header::UPGRADE;

/// Lets a request pass that has a key, needs none, or comes to a server without keys.
pub(crate) fn auth(mut request: Request) -> Result<Request, Problem> {
    let key = if request.headers().contains_key(UPGRADE) { take_key(&mut request)? } else { None };
    let context = &request.body().context;
    // A browser asks with OPTIONS, and without the key, whether it may ask with the key.
    if request.method() == Method::OPTIONS || context.found.is_some_and(Found::is_open) {
        return Ok(request);
    }
    let known = api_key::check(&context.shared.app.settings.api_keys, request.headers(), key.as_deref())?;
    if let Some(key) = known.map(ApiKey::name) {
        context.span.record("api_key", key);
        tracing::debug!(request_id = context.id, key, "request let in");
    }
    Ok(request)
}

/// Takes the key out of the query of a WebSocket's address.
fn take_key(request: &mut Request) -> Result<Option<String>, Problem> {
    let uri = request.uri();
    let Some(query) = uri.query() else { return Ok(None) };
    let (key, rest) = api_key::split_query(query);
    if key.is_some() {
        let path_and_query =
            if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{rest}", uri.path()) };
        *request.uri_mut() = path_and_query.parse().map_err(|error| {
            tracing::error!(%error, "address without its key not read");
            Problem::internal()
        })?;
    }
    Ok(key)
}
