//! `/docs`: the document as a page on which every operation can be tried: Swagger UI, from the
//! files of its crate.

use crate::http::problem::Problem;
use crate::http::response::{self, Response, set_header};
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// The content security policy of the page: its own files, and data from this server. Swagger UI
/// sets styles on elements, and its own style has pictures in it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Files of Swagger UI that the page needs, and their content types.
const CARRIED: [(&str, &str); 3] = [
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// All files of the page; the first one starts it.
pub(super) const FILE_NAMES: [&str; 4] = ["start.js", CARRIED[0].0, CARRIED[1].0, CARRIED[2].0];

static NO_CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// `/docs`.
pub(crate) fn page() -> Response {
    let mut response =
        response::with_body(StatusCode::OK, "text/html; charset=utf-8", include_str!("docs.html"));
    set_header(&mut response, CONTENT_SECURITY_POLICY, POLICY);
    set_header(&mut response, REFERRER_POLICY, "no-referrer");
    response
}

/// `/docs/{file}`.
pub(crate) fn file(name: &str) -> Result<Response, Problem> {
    if name == FILE_NAMES[0] {
        let script = include_str!("docs.js");
        return Ok(response::with_body(StatusCode::OK, "text/javascript; charset=utf-8", script));
    }
    let unknown = || {
        let detail = format!("there is nothing at /docs/{name}");
        Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail)
    };
    let (name, content_type) = CARRIED.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    match utoipa_swagger_ui::serve(name, NO_CONFIG.clone()) {
        Ok(Some(file)) => Ok(response::with_body(StatusCode::OK, content_type, file.bytes.into_owned())),
        Ok(None) => Err(unknown()),
        Err(error) => {
            tracing::error!(file = name, %error, "file of the page not read");
            Err(Problem::internal())
        }
    }
}
