//! The HTTP and WebSocket interface of Tallow: a thin server over the store traits.
//!
//! The server reads what the pipeline has stored and reports what the pipeline says about itself;
//! it knows nothing of the graph. The caller owns the listener and the stop signal: see [`serve`].
//!
//! - `http` accepts connections and gives every response what all responses have in common;
//!   `http/stack.rs` is the list.
//! - `routes` finds the route of a path, and `dispatch` calls its handler.
//! - `api` has the handlers of Tallow's own interface, `dialects` those of interfaces that other
//!   programs already speak.
//! - `parameter` declares a parameter once, for the handler that reads it and for the document that
//!   describes it.
//! - `openapi` describes every operation: `/openapi.json`, and `/docs` to try it.
//! - `websocket` has one hub that takes each update once and puts the same frame into the mailbox
//!   of every client.

mod api;
mod app;
mod dashboard;
mod dialects;
mod dispatch;
mod http;
mod market;
mod openapi;
mod parameter;
mod query;
mod routes;
mod settings;
mod shared;
mod websocket;

pub use app::App;
pub use http::api_key::{ApiKey, InvalidApiKey};
pub use http::proxies::{InvalidProxies, Proxies};
pub use http::server::{ServeError, serve};
pub use http::tls::{Tls, TlsError};
pub use settings::ServerSettings;
