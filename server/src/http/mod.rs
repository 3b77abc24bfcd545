//! HTTP itself: the listener, the connections, and what every request and response has in common.

pub(crate) mod access_log;
pub(crate) mod auth;
pub(crate) mod compression;
pub(crate) mod cors;
pub(crate) mod etag;
pub(crate) mod headers;
pub(crate) mod per_address;
pub(crate) mod problem;
pub(crate) mod proxies;
pub(crate) mod rate_limit;
pub(crate) mod response;
pub(crate) mod server;
pub(crate) mod shutdown;
mod stack;
pub(crate) mod streamed;
pub(crate) mod timings;
pub(crate) mod tls;
