//! The first page: live prices, a plain document with a script and a style of its own and nothing from elsewhere.

use crate::answer::{self, Answer, set_header};
use hyper::StatusCode;

/// What the page may load: its own script and style, and data from this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`.
pub(crate) fn document() -> Answer {
    let mut answer = part("text/html; charset=utf-8", include_str!("page/index.html"));
    set_header(&mut answer, "content-security-policy", POLICY);
    set_header(&mut answer, "referrer-policy", "no-referrer");
    answer
}

/// `/page.js`.
pub(crate) fn script() -> Answer {
    part("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

/// `/page.css`.
pub(crate) fn style() -> Answer {
    part("text/css; charset=utf-8", include_str!("page/page.css"))
}

fn part(content_type: &'static str, text: &'static str) -> Answer {
    answer::with_body(StatusCode::OK, content_type, text)
}
