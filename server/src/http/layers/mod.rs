//! The server's own layers, one file each. A layer is a function from a service to the service
//! around it: neither needs a future with a name, and no future is boxed on the way.
//!
//! All services here are ready at any time, so no layer asks the next one whether it is.

pub(crate) mod access_log;
pub(crate) mod auth;
pub(crate) mod catch_panic;
pub(crate) mod cors;
pub(crate) mod encoding;
pub(crate) mod headers;
pub(crate) mod limits;
pub(crate) mod problems;
pub(crate) mod trace;

use crate::http::request::Request;
use crate::http::response::Response;
use tower::Service;

/// A service of the stack whose requests fail with `E`.
pub(crate) trait Handler<E>:
    Service<Request, Response = Response, Error = E, Future: Send + 'static> + Clone + Send + 'static
{
}

impl<E, S> Handler<E> for S where
    S: Service<Request, Response = Response, Error = E, Future: Send + 'static> + Clone + Send + 'static
{
}
