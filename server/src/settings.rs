//! The settings of the server: who may call it, and how much of anything it allows.
//!
//! A setting is one field with its bounds and one commented line in the section `[server]` of
//! `config/default.toml`, where its default stands.

use crate::http::api_key::ApiKey;
use crate::http::proxies::Proxies;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tallow_model::setting::{Bounded, Millis, UNBOUNDED, WEEK_MS};

/// The commented defaults of all settings.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The most bytes a request's path and query may have.
pub(crate) const MAX_URI_BYTES: usize = 8 * 1024;
/// The most bytes the names and values of a request's headers may have.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The most headers a request may have.
pub(crate) const MAX_HEADERS: usize = 100;
/// The most headers that are read: most requests with too many are still answered with a problem
/// document that says so. Each request makes room for that many, two times 32 KiB.
pub(crate) const MAX_READ_HEADERS: usize = 1024;
/// The most bytes that are read before a request's head must be complete: a head that is longer
/// than allowed, but shorter than this, is still answered with a problem document that says so.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most bytes a WebSocket client's message may have.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The most time for the end of a WebSocket: the frame that was being written, the close frame and
/// the client's own.
pub(crate) const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// The behaviour of the server towards its clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSettings {
    /// The origins whose pages may read the responses, as `https://example.org`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// The API keys. A request must carry one of them; without any, everybody may read. `/health`,
    /// `/ready`, `/openapi.json`, `/docs` and the files of the dashboard need no key.
    pub api_keys: Vec<ApiKey>,
    /// Whether `/` is the dashboard.
    pub dashboard: bool,
    /// The maximum number of open HTTP connections; further ones wait to be accepted.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub max_connections: usize,
    /// The maximum number of WebSocket clients; further ones get a 503.
    pub max_websockets: usize,
    /// The maximum number of HTTP connections of one address, 0 for no limit; further ones are
    /// closed at once. An address is an IPv4 address or an IPv6 network of 64 bits, here and below.
    /// All clients behind a proxy that is not trusted are one address. A trusted proxy has no
    /// limit.
    ///
    /// The default is a quarter of all connections: no address keeps the others out, and an office
    /// behind one address finds room.
    pub max_connections_per_address: usize,
    /// The proxies whose `X-Forwarded-For` is believed: the limits and the access log use the
    /// address that it names. The header is ignored in requests from any other address.
    pub trusted_proxies: Vec<Proxies>,
    /// The maximum number of WebSocket clients of one address, 0 for no limit; further ones get a
    /// 503.
    ///
    /// A client may hold its whole queue, some 2 MB: with the default an address makes the server
    /// hold at most 128 MB. The candles that a returning client has missed are shared with other
    /// clients, and are no more than its queue may be.
    pub max_websockets_per_address: usize,
    /// The maximum number of requests at a time, 0 for no limit; further ones get a 503. `/health`
    /// and `/ready` are not counted, because a busy server must not be restarted for being busy.
    ///
    /// The default is far above the number of queries that the pools of the stores answer at a
    /// time; a request that would wait longer had better be sent again.
    pub max_requests: usize,
    /// The maximum number of exports at a time, 0 for no limit; further ones get a 503. An export
    /// under way is not counted as a request, because it lasts as long as its client reads.
    ///
    /// Each export has a page of candles in memory, and keeps a store busy while its client reads
    /// fast.
    pub max_exports: usize,
    /// The maximum number of exports of one address, 0 for no limit; further ones get a 503.
    pub max_exports_per_address: usize,
    /// The sustained rate of one address, in requests per second, 0 for no limit; further requests
    /// get a 429. `/health` and `/ready` are not counted.
    pub rate_per_second: u32,
    /// The number of requests that an address may make at once after a pause; 0 for
    /// `rate_per_second`.
    pub rate_burst: u32,
    /// The age of the newest event of a symbol from which its price is called stale.
    ///
    /// The default is four polls of a feed that is polled every 30 s.
    #[serde(rename = "stale_after_ms", with = "Millis::<0, UNBOUNDED>")]
    pub stale_after: Duration,
    /// The time in which a connection must send the complete head of its next request. It counts
    /// from the previous response, so that it also closes idle connections.
    #[serde(rename = "idle_timeout_ms", with = "Millis::<1, WEEK_MS>")]
    pub header_read_timeout: Duration,
    /// The time after which a request gets a 503. Also the time in which the store must read each
    /// part of an export; after it the export is aborted.
    #[serde(rename = "request_timeout_ms", with = "Millis::<1, WEEK_MS>")]
    pub request_timeout: Duration,
    /// The time that a stop waits for requests and WebSocket clients before it aborts them.
    #[serde(rename = "shutdown_timeout_ms", with = "Millis::<0, WEEK_MS>")]
    pub shutdown_timeout: Duration,
    /// The silence after which a WebSocket client gets a keepalive frame.
    #[serde(rename = "keepalive_ms", with = "Millis::<1, WEEK_MS>")]
    pub keepalive: Duration,
    /// The interval between two pings of a WebSocket client. Not 0.
    #[serde(rename = "ping_interval_ms", with = "Millis::<1, WEEK_MS>")]
    pub ping_interval: Duration,
    /// The time in which a WebSocket client must answer a ping; after it the connection is closed
    /// with 1013.
    ///
    /// The default is longer than `send_timeout`: a client may have that much to read before the
    /// ping.
    #[serde(rename = "pong_timeout_ms", with = "Millis::<1, WEEK_MS>")]
    pub pong_timeout: Duration,
    /// The time in which a client must accept some of the bytes that are sent to it; after it the
    /// connection is closed, a WebSocket with 1013.
    #[serde(rename = "send_timeout_ms", with = "Millis::<1, WEEK_MS>")]
    pub send_timeout: Duration,
    /// The maximum number of frames that must not be dropped and wait for a WebSocket client;
    /// beyond it the client is closed with 1013. Also the maximum number of missed closed candles
    /// that a returning client is sent; beyond it the client is told to resync.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub client_queue: usize,
}

impl Default for ServerSettings {
    /// The settings of `config/default.toml`.
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
