//! The HTTP and WebSocket face of Tallow: a thin server over the store traits.
//!
//! It reads what the pipeline has stored and says what the pipeline says of itself; it knows nothing of the graph.
//! The caller owns the listener and the stop signal: see [`serve`].
//!
//! - `router` turns a method and a path into a handler of `api`, `websocket` or `page`.
//! - `exchange` gives every answer what all have in common: request id, timings, CORS, problem documents.
//! - `openapi` says what can be asked: `/openapi.json`, and `/docs` to try it.
//! - `websocket` has one hub that takes each update once and puts the same frame into the mailbox of every client.

mod answer;
mod api;
mod app;
mod coding;
mod conditional;
mod cors;
mod exchange;
mod headers;
mod keys;
mod openapi;
mod page;
mod pair;
mod places;
mod problem;
mod proxies;
mod query;
mod rate;
mod record;
mod router;
mod server;
mod settings;
mod shutdown;
mod stream;
mod timings;
mod tls;
mod websocket;

pub use app::App;
pub use keys::{ApiKey, InvalidApiKey};
pub use proxies::{InvalidProxies, Proxies};
pub use server::{ServeError, serve};
pub use settings::ServerSettings;
pub use tls::{Tls, TlsError};
