//! The settings of the server: who may call it, and how much of anything it allows.

use crate::http::auth::ApiKey;
use crate::http::proxies::Proxies;
use std::time::Duration;

/// The most bytes a request's path and query may have.
pub(crate) const MAX_URI_BYTES: usize = 8 * 1024;
/// The most bytes the names and values of a request's headers may have.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The most headers a request may have.
pub(crate) const MAX_HEADERS: usize = 100;
/// The most headers that are read, so that most requests with too many are answered with a problem document that says so.
/// Room for them is made with each request: two times 32 KiB.
pub(crate) const MAX_READ_HEADERS: usize = 1024;
/// The most bytes that are read before a request's head must be complete: room for a head that is too long to be
/// answered with a problem document that says so.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most bytes a WebSocket client's message may have.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// How long the farewell to a WebSocket client may take: what was being written, the close frame and the client's own.
pub(crate) const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// How the server behaves towards its clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// The origins whose pages may read the answers, as `https://example.org`; `*` for every one.
    pub allowed_origins: Vec<String>,
    /// The keys one of which a request must have; none for everyone. `/health`, `/ready`, `/openapi.json`, `/docs` and the
    /// page's own files need no key.
    pub api_keys: Vec<ApiKey>,
    /// Whether `/` is the dashboard.
    pub dashboard: bool,
    /// How many HTTP connections are open at a time; further ones wait to be accepted.
    pub max_connections: usize,
    /// How many WebSocket clients are connected at a time; further ones are answered 503.
    pub max_websockets: usize,
    /// How many HTTP connections an address has at a time, 0 for no limit; further ones are closed at once. An address is
    /// an IPv4 address or an IPv6 network of 64 bits, here and below. All callers behind a proxy are one address, if it is
    /// none of the trusted ones; those may have as many connections as they like.
    pub max_connections_per_address: usize,
    /// The proxies that say by `X-Forwarded-For` from which address they are asked; that address counts then, for limits and
    /// logs. What anyone else says is passed over.
    pub trusted_proxies: Vec<Proxies>,
    /// How many WebSocket clients an address has at a time, 0 for no limit; further ones are answered 503.
    pub max_websockets_per_address: usize,
    /// How many requests are answered at a time, 0 for no limit; further ones are answered 503. `/health` and `/ready`
    /// are not counted: a busy server is not to be restarted for being busy.
    pub max_requests: usize,
    /// How many exports are sent at a time, 0 for no limit; further ones are answered 503. They are not counted as requests
    /// once they are under way: they take as long as their clients do.
    pub max_exports: usize,
    /// How many of them an address has at a time, 0 for no limit; further ones are answered 503.
    pub max_exports_per_address: usize,
    /// How many requests a second an address makes in the long run, 0 for no limit; further ones are answered 429.
    /// `/health` and `/ready` are not counted.
    pub rate_per_second: u32,
    /// How many requests an address makes at once after a rest; 0 for those of a second.
    pub rate_burst: u32,
    /// How old the newest event of a symbol may be before its price is called stale.
    pub stale_after: Duration,
    /// Within what time a connection must have sent the whole head of its next request. The time counts from the
    /// answer before, so that a connection that is idle for so long is closed as well.
    pub header_read_timeout: Duration,
    /// Within what time a request is answered; after it the answer is 503. Also within what time each part of an export is
    /// read from the store; after it the export breaks off.
    pub request_timeout: Duration,
    /// How long a stop waits for requests and WebSocket clients before it cuts them off.
    pub shutdown_timeout: Duration,
    /// After what silence a WebSocket client gets a keepalive frame.
    pub keepalive: Duration,
    /// How often a WebSocket client gets a ping of the protocol. Not 0.
    pub ping_interval: Duration,
    /// Within what time a WebSocket client must have answered a ping; else its connection ends with 1013.
    pub pong_timeout: Duration,
    /// How long a client may accept nothing of what it is sent before its connection ends; that of a WebSocket client
    /// with 1013.
    pub send_timeout: Duration,
    /// How many frames that must not be dropped may wait for a WebSocket client before it is closed with 1013; and how
    /// many closed candles it is sent that it has missed while it was away, of more it is told to resync.
    pub client_queue: usize,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            allowed_origins: vec!["*".to_owned()],
            api_keys: Vec::new(),
            dashboard: true,
            max_connections: 1024,
            max_websockets: 1024,
            // A quarter of all: no address keeps the others out, and an office behind one address finds room.
            max_connections_per_address: 256,
            trusted_proxies: Vec::new(),
            // A client may hold its whole queue, some 2 MB: so no address can make the server hold more than 128 MB. What it
            // has missed while it was away is shared with the others, and no more than its queue may be.
            max_websockets_per_address: 64,
            // Far above what the stores' pools answer at a time; what waits longer than that had better come again.
            max_requests: 512,
            // Each has a page of candles in memory and keeps a store at work while its client reads fast.
            max_exports: 8,
            max_exports_per_address: 4,
            rate_per_second: 0,
            rate_burst: 0,
            // Four polls of a feed that is polled every 30 s.
            stale_after: Duration::from_secs(120),
            header_read_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(3),
            keepalive: Duration::from_secs(30),
            ping_interval: Duration::from_secs(30),
            // Longer than `send_timeout`: a client may have that much to read before the ping.
            pong_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(30),
            client_queue: 4096,
        }
    }
}
