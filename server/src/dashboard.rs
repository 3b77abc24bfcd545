//! The dashboard: a document and the files that it loads, all of them part of the program.
//!
//! The build script makes the files out of `server/dashboard`. The name of a file holds a hash of
//! its content, so a browser may keep the file for ever; the document, which has the names, is
//! revalidated each time. A program that was built without the dashboard has a document that says
//! what was missing.

use crate::http::problem::Problem;
use crate::http::response::{self, Response, set_header};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use rust_embed::RustEmbed;

/// The content security policy of the page: its own script and style, and data from this server.
/// Pictures are drawn, or part of the style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A year, the longest time that caches observe; the content under a hashed name never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The output of the build script: `index.html`, and the files that it names in `assets/`.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/dashboard"]
struct Files;

/// `/`.
///
/// # Errors
/// If the dashboard is switched off, or the program has no document.
pub(crate) fn document(is_on: bool) -> Result<Response, Problem> {
    if !is_on {
        let detail = "the dashboard is switched off; the data is at /api/v1";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_dashboard", detail));
    }
    let mut response = file("index.html").ok_or_else(Problem::internal)?;
    set_header(&mut response, CONTENT_SECURITY_POLICY, POLICY);
    set_header(&mut response, REFERRER_POLICY, "no-referrer");
    Ok(response)
}

/// `/assets/{name}`.
///
/// # Errors
/// If there is no such file, or the dashboard is switched off.
pub(crate) fn asset(is_on: bool, name: &str) -> Result<Response, Problem> {
    let found = if is_on { file(&format!("assets/{name}")) } else { None };
    let mut response = found.ok_or_else(|| {
        let detail = format!("the dashboard has no file {name:?}");
        Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail)
    })?;
    set_header(&mut response, CACHE_CONTROL, FOR_EVER);
    Ok(response)
}

fn file(path: &str) -> Option<Response> {
    let file = Files::get(path)?;
    let content_type = match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    Some(response::with_body(StatusCode::OK, content_type, file.data.into_owned()))
}
