//! The responses that are no success, as the document describes them.

use super::headers::references;
use super::operation::Errors;
use serde_json::{Value, json};

/// A response of several operations.
pub(super) struct Refusal {
    status: u16,
    title: &'static str,
    code: &'static str,
    description: &'static str,
    detail: &'static str,
    headers: &'static [&'static str],
}

const fn refusal(
    status: u16,
    title: &'static str,
    code: &'static str,
    description: &'static str,
    detail: &'static str,
) -> Refusal {
    Refusal { status, title, code, description, detail, headers: &[] }
}

const REFUSALS: [Refusal; 14] = [
    refusal(
        400,
        "Bad Request",
        "invalid_parameter",
        "A parameter is unknown, given twice or invalid (`invalid_parameter`; `errors` names each parameter and the allowed \
         values), or the store can't serve such a request (`unusable_request`).",
        "limit: \"0\" is not an integer within the bounds; allowed: 1–100",
    ),
    Refusal {
        headers: &["WwwAuthenticate"],
        ..refusal(
            401,
            "Unauthorized",
            "unauthorized",
            "The server demands a key, and the request has none or a wrong one.",
            "an API key is needed, as Authorization: Bearer or X-API-Key",
        )
    },
    refusal(
        403,
        "Forbidden",
        "origin_not_allowed",
        "Pages of this origin may not connect.",
        "pages of this origin may not connect",
    ),
    refusal(
        404,
        "Not Found",
        "unknown_symbol",
        "No store has the symbol (`unknown_symbol`), it has nothing in this range (`no_data`), there is nothing at this \
         path (`unknown_route`), the process runs the pipeline alone and has no stores (`no_stores`), or the dashboard is switched off \
         (`no_dashboard`).",
        "no candle of NONE has been seen; /api/v1/symbols lists the symbols",
    ),
    Refusal {
        headers: &["Allow"],
        ..refusal(
            405,
            "Method Not Allowed",
            "method_not_allowed",
            "The method is none of GET, HEAD and OPTIONS.",
            "/api/v1/symbols is read with GET or HEAD",
        )
    },
    refusal(
        406,
        "Not Acceptable",
        "not_acceptable",
        "The `Accept-Encoding` of the client allows no coding of the server.",
        "the client accepts none of zstd, br, gzip and identity",
    ),
    refusal(
        413,
        "Payload Too Large",
        "body_too_large",
        "The request has a body.",
        "nothing here is answered to the body of a request; it must have none",
    ),
    refusal(
        414,
        "URI Too Long",
        "uri_too_long",
        "Path and query have more than 8192 bytes.",
        "path and query have 9000 bytes, the most is 8192",
    ),
    Refusal {
        headers: &["Upgrade", "WebSocketVersion"],
        ..refusal(
            426,
            "Upgrade Required",
            "upgrade_required",
            "The request is no handshake of a WebSocket.",
            "this is a WebSocket: No \"Connection: upgrade\" header",
        )
    },
    Refusal {
        headers: &["RetryAfter"],
        ..refusal(
            429,
            "Too Many Requests",
            "too_many_requests",
            "The address has exceeded its rate.",
            "more requests from this address than it may make; ask again in 1 s",
        )
    },
    refusal(
        431,
        "Request Header Fields Too Large",
        "headers_too_long",
        "The headers have more than 16384 bytes, or there are more than 100.",
        "the headers have 20000 bytes, the most is 16384",
    ),
    refusal(
        500,
        "Internal Server Error",
        "internal_error",
        "The server failed; its log has the cause.",
        "the request failed inside the server; its log has the cause under this request id",
    ),
    Refusal {
        headers: &["RetryAfter"],
        ..refusal(
            503,
            "Service Unavailable",
            "unavailable",
            "A store can't be read, the response took too long, or the server is too busy.",
            "a store can't answer at the moment; /health says which",
        )
    },
    refusal(
        505,
        "HTTP Version Not Supported",
        "http_version",
        "The request is HTTP/1.0, in which a body of unknown length has no end that tells whether it is whole.",
        "a body of unknown length has a proper end from HTTP/1.1 on only, and this request is older",
    ),
];

impl Refusal {
    /// Returns the name of the component.
    fn name(&self) -> String {
        self.title.split(' ').collect()
    }

    fn json(&self) -> Value {
        let headers = references(self.headers.iter().copied().chain(["CacheControl"]));
        let mut example = json!({
            "type": format!("urn:tallow:problem:{}", self.code),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": "019a8b0e-5f7c-7b5e-8c1d-2f6a4d3b9e10",
        });
        if self.status == 400 {
            example["errors"] = json!([{
                "parameter": "limit",
                "detail": "\"0\" is not an integer within the bounds",
                "allowed": "1–100",
            }]);
        }
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        json!({
            "description": self.description,
            "headers": headers,
            "content": {"application/problem+json": {"schema": schema, "example": example}},
        })
    }
}

/// Returns the components that the responses of operations refer to.
pub(super) fn components() -> serde_json::Map<String, Value> {
    let plain = REFUSALS.iter().map(|refusal| (refusal.name(), refusal.json()));
    let dialects = REFUSALS.iter().flat_map(|refusal| {
        let (binance, udf) = match refusal.status {
            400 => (true, true),
            404 => (false, true),
            _ => (false, false),
        };
        let binance = binance.then(|| {
            dialect("Binance", refusal, "BinanceMistake", json!({"code": -1121, "msg": "Invalid symbol."}))
        });
        let udf = udf
            .then(|| dialect("Udf", refusal, "UdfError", json!({"s": "error", "errmsg": "unknown_symbol"})));
        binance.into_iter().chain(udf)
    });
    plain.chain(dialects).collect()
}

/// Returns the response in the shape of another program, for a mistake of the caller.
fn dialect(prefix: &str, refusal: &Refusal, schema: &str, example: Value) -> (String, Value) {
    let mut response = refusal.json();
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    response["content"]["application/json"] = json!({"schema": schema, "example": example});
    (format!("{prefix}{}", refusal.name()), response)
}

/// Returns the responses of an operation that are no success: the status, and a reference to the
/// description.
pub(super) fn responses(errors: Errors) -> impl Iterator<Item = (String, Value)> {
    let applies = move |refusal: &&Refusal| match refusal.status {
        401 => !matches!(errors, Errors::Probe | Errors::Page),
        403 | 426 => errors == Errors::WebSocket,
        404 => errors != Errors::Probe,
        406 => errors != Errors::WebSocket,
        429 => errors != Errors::Probe,
        505 => errors == Errors::Streamed,
        _ => true,
    };
    REFUSALS.iter().filter(applies).map(move |refusal| {
        let prefix = match (errors, refusal.status) {
            (Errors::Binance, 400) => "Binance",
            (Errors::Udf, 400 | 404) => "Udf",
            _ => "",
        };
        let reference = format!("#/components/responses/{prefix}{}", refusal.name());
        (refusal.status.to_string(), json!({ "$ref": reference }))
    })
}
