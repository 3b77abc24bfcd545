//! The caller of a request: its address, and the origin of the page that makes the request.

use crate::http::per_address::Address;
use hyper::header::{HOST, HeaderMap, ORIGIN};

/// The address of a caller, and what its headers say about the page that makes the request.
pub(crate) struct Caller {
    pub(crate) address: Address,
    /// The `Origin` header; `None` for a caller that is no page of another origin.
    pub(crate) origin: Option<String>,
    /// Whether the page came from this server.
    is_same_origin: bool,
}

impl Caller {
    /// Reads the headers of a request from this address.
    pub(crate) fn of(address: Address, headers: &HeaderMap) -> Caller {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let origin = text(ORIGIN);
        let host = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        let is_same_origin = host.is_some() && host == text(HOST);
        Caller { address, origin: origin.map(str::to_owned), is_same_origin }
    }

    /// Whether the caller may read responses. A caller that is no page of another origin always
    /// may.
    pub(crate) fn is_allowed(&self, allowed_origins: &[String]) -> bool {
        let Some(origin) = &self.origin else { return true };
        self.is_same_origin
            || allowed_origins.iter().any(|entry| entry == "*" || entry.eq_ignore_ascii_case(origin))
    }
}
