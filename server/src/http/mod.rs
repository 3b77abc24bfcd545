//! HTTP itself: the listener, the connections, and what every request and response has in common.

pub(crate) mod api_key;
pub(crate) mod caller;
pub(crate) mod compression;
pub(crate) mod etag;
pub(crate) mod headers;
pub(crate) mod layers;
pub(crate) mod per_address;
pub(crate) mod problem;
pub(crate) mod proxies;
pub(crate) mod rate_limit;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod server;
pub(crate) mod shutdown;
mod stack;
pub(crate) mod timings;
pub(crate) mod tls;
