//! The client: one request for all coins, and its response or failure.
//!
//! A response is bounded in time and in size, and is data only if it says so: CoinGecko and the
//! proxies before it also answer with pages, texts and JSON of other shapes, some of them with
//! status 200. Redirects are not followed, because the key would go with them.

use super::config::CoinGeckoConfig;
use super::errors::{self, RequestFailure};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use std::time::Duration;
use tallow_model::clock::SystemClock;
use tallow_model::error::Error;
use tallow_model::{Clock, EventTime};

/// Most bytes of a response: some hundred times the size that all coins need.
const MAX_BODY: usize = 1 << 20;
/// Most bytes that are read of an error response.
const MAX_ERROR_BODY: usize = 16 << 10;

/// Sends requests to CoinGecko.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
}

/// The body of a successful response, and its time of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteResponse {
    /// JSON: an object with a field for each coin.
    pub body: Vec<u8>,
    /// Time at which the last byte arrived.
    pub observed: EventTime,
}

impl Client {
    /// Creates a client that requests all configured coins at once.
    ///
    /// # Errors
    /// When a setting is invalid, or the certificates of this machine can't be read.
    pub fn try_new(config: &CoinGeckoConfig) -> Result<Client, Error> {
        config.check()?;
        let unusable = |problem: String| Error::Invalid(format!("ask CoinGecko: {problem}"));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(name) = config.plan.key_header() {
            let mut key = HeaderValue::from_str(config.api_key.expose().trim())
                .map_err(|_| unusable("the API key has a character that no key has".to_owned()))?;
            key.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), key);
        }
        let timeout = Duration::from_millis(config.timeout_ms);
        let http = reqwest::Client::builder()
            .user_agent(concat!("tallow/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout)
            .timeout(timeout)
            .build()
            .map_err(|error| unusable(tallow_model::error::chain(&error)))?;
        let ids: Vec<&str> = config.coins.iter().map(|coin| coin.id.as_str()).collect();
        let parameters = [
            ("ids", ids.join(",")),
            ("vs_currencies", "usd".to_owned()),
            ("include_market_cap", "true".to_owned()),
            ("include_24hr_vol", "true".to_owned()),
            ("include_24hr_change", "true".to_owned()),
            ("include_last_updated_at", "true".to_owned()),
            ("precision", "full".to_owned()),
        ];
        let url = Url::parse_with_params(&format!("{}/simple/price", config.base_url()), parameters)
            .map_err(|error| unusable(format!("coingecko.base_url: {error}")))?;
        Ok(Client { http, url })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When no response arrives in time, or the response is not data.
    pub async fn ask(&self) -> Result<QuoteResponse, RequestFailure> {
        let response = self.http.get(self.url.clone()).send().await.map_err(RequestFailure::unanswered)?;
        let status = response.status();
        let headers = response.headers().clone();
        if !status.is_success() {
            let (body, _) = read(response, MAX_ERROR_BODY).await?;
            return Err(RequestFailure::refused(status, &headers, &body, now()));
        }
        let (body, whole) = read(response, MAX_BODY).await?;
        let observed = now();
        if !whole {
            return Err(RequestFailure::unexpected(format!("the answer is longer than {MAX_BODY} bytes")));
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            let start = errors::shown(&String::from_utf8_lossy(&body));
            return Err(RequestFailure::unexpected(format!(
                "the answer is {kind:?}, not JSON; it begins with {start:?}"
            )));
        }
        Ok(QuoteResponse { body, observed })
    }
}

/// Reads the body up to `limit`; returns whether that is all of it.
async fn read(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), RequestFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(RequestFailure::unanswered)? {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body, false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, true))
}

fn now() -> EventTime {
    EventTime(SystemClock.now_ms())
}
