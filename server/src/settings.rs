//! The settings of the server: who may call it, and how much of anything it allows.
//!
//! A setting is one field here, with its bounds in its type, and one commented line in the section `[server]` of
//! `config/default.toml`, which is also where its default stands.

use crate::http::api_key::ApiKey;
use crate::http::proxies::Proxies;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tallow_model::setting::{Bounded, Millis, WEEK_MS};

/// The commented defaults of all settings.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The most bytes a request's path and query may have.
pub(crate) const MAX_URI_BYTES: usize = 8 * 1024;
/// The most bytes the names and values of a request's headers may have.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The most headers a request may have.
pub(crate) const MAX_HEADERS: usize = 100;
/// The most headers that are read: most requests with too many are still answered with a problem document that says so.
/// Each request makes room for that many, two times 32 KiB.
pub(crate) const MAX_READ_HEADERS: usize = 1024;
/// The most bytes that are read before a request's head must be complete: a head that is longer than allowed, but
/// shorter than this, is still answered with a problem document that says so.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most bytes a WebSocket client's message may have.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The most time for the end of a WebSocket: the frame that was being written, the close frame and the client's own.
pub(crate) const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// The settings of the server, as the section `[server]` has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSettings {
    /// The origins whose pages may read responses, as `https://example.org`; `*` for every origin.
    pub allowed_origins: Vec<String>,
    /// The API keys, one of which a request must have; none for everyone. `/health`, `/ready`, `/openapi.json`, `/docs`
    /// and the files of the dashboard need no key.
    pub api_keys: Vec<ApiKey>,
    /// Whether `/` is the dashboard.
    pub dashboard: bool,
    /// The most HTTP connections that are open at a time; further ones wait to be accepted.
    pub max_connections: Bounded<1, { u64::MAX }>,
    /// The most HTTP connections of one address at a time, 0 for no limit; further ones are closed at once. An address
    /// is an IPv4 address or an IPv6 network of 64 bits, here and below. All callers behind a proxy are one address,
    /// unless it is a trusted proxy; a trusted proxy may have any number of connections.
    pub max_connections_per_address: usize,
    /// The proxies whose `X-Forwarded-For` is believed: the address in it counts for limits and logs. The header of
    /// anyone else is ignored.
    pub trusted_proxies: Vec<Proxies>,
    /// The most WebSocket clients at a time; further ones are answered 503.
    pub max_websockets: usize,
    /// The most WebSocket clients of one address at a time, 0 for no limit; further ones are answered 503.
    pub max_websockets_per_address: usize,
    /// The most requests that are answered at a time, 0 for no limit; further ones are answered 503. `/health` and
    /// `/ready` are not counted: a busy server must not be restarted for being busy.
    pub max_requests: usize,
    /// The most exports that are sent at a time, 0 for no limit; further ones are answered 503. An export that is under
    /// way does not count as a request: it takes as long as its client does.
    pub max_exports: usize,
    /// The most exports of one address at a time, 0 for no limit; further ones are answered 503.
    pub max_exports_per_address: usize,
    /// The most requests a second of one address in the long run, 0 for no limit; further ones are answered 429.
    /// `/health` and `/ready` are not counted.
    pub rate_per_second: u32,
    /// The most requests of one address at once after a rest; 0 for as many as in a second.
    pub rate_burst: u32,
    /// The age of the newest event of a symbol from which its price is called stale.
    pub stale_after_ms: Millis<0, { u64::MAX }>,
    /// The most time for the response to a request; after it the response is 503. Also the most time for each part of
    /// an export to be read from the store; after it the export breaks off.
    pub request_timeout_ms: Millis<1, WEEK_MS>,
    /// The most time in which a client may accept nothing of what it is sent before its connection ends; that of a
    /// WebSocket client ends with 1013.
    pub send_timeout_ms: Millis<1, WEEK_MS>,
    /// The most time that a stop waits for requests and WebSocket clients before it cuts them off.
    pub shutdown_timeout_ms: Millis<0, WEEK_MS>,
    /// The most frames that must not be dropped and wait for a WebSocket client, before it is closed with 1013; and the
    /// most closed candles that a returning client is sent, before it is told to resync instead.
    pub client_queue: Bounded<1, { u64::MAX }>,
    /// The most time in which a connection must have sent the whole head of its next request. The time counts from the
    /// last response, so that an idle connection is closed as well.
    pub idle_timeout_ms: Millis<1, WEEK_MS>,
    /// The silence after which a WebSocket client is sent a keepalive frame.
    pub keepalive_ms: Millis<1, WEEK_MS>,
    /// The time between the pings that a WebSocket client is sent.
    pub ping_interval_ms: Millis<1, WEEK_MS>,
    /// The most time in which a WebSocket client must have answered a ping; else its connection ends with 1013.
    pub pong_timeout_ms: Millis<1, WEEK_MS>,
}

impl Default for ServerSettings {
    /// The settings that `config/default.toml` has.
    fn default() -> ServerSettings {
        #[derive(Deserialize)]
        struct Sections {
            server: ServerSettings,
        }
        #[allow(clippy::expect_used, reason = "the file is part of the program, and each test reads it")]
        let sections: Sections = toml::from_str(DEFAULTS).expect("the default settings are valid");
        sections.server
    }
}
