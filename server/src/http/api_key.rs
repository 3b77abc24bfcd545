//! API keys, without which a server that has keys refuses requests.
//!
//! The server knows the name and the SHA-256 of each key, so that neither its settings nor its
//! memory give a key away. A key must be long and random, as the hash of a guessable one can be
//! guessed: `openssl rand -hex 32` makes one, and `printf %s "$KEY" | sha256sum` its hash.

use crate::http::problem::Problem;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// The parameter that carries the key of a WebSocket client: a browser can't set headers for it.
pub(crate) const PARAMETER: &str = "api_key";

/// The length of a hash in bytes.
const HASH_BYTES: usize = 32;

/// The name and the hash of an API key, written `name:hash` with 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiKey {
    name: String,
    hash: [u8; HASH_BYTES],
}

/// A text is no [`ApiKey`]. The error does not show the text, which may be the key itself by
/// mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key is given as name:hash, the hash as the 64 hexadecimal digits of its SHA-256")]
pub struct InvalidApiKey;

impl FromStr for ApiKey {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<ApiKey, InvalidApiKey> {
        let (name, digits) = text.split_once(':').ok_or(InvalidApiKey)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if name.is_empty() || digits.len() != 2 * HASH_BYTES || !is_hexadecimal {
            return Err(InvalidApiKey);
        }
        let mut hash = [0; HASH_BYTES];
        for (place, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).map_err(|_| InvalidApiKey)?;
        }
        Ok(ApiKey { name: name.to_owned(), hash })
    }
}

impl TryFrom<String> for ApiKey {
    type Error = InvalidApiKey;

    fn try_from(text: String) -> Result<ApiKey, InvalidApiKey> {
        text.parse()
    }
}

impl From<ApiKey> for String {
    fn from(key: ApiKey) -> String {
        let digits: String = key.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}:{digits}", key.name)
    }
}

impl ApiKey {
    /// Returns the name, which is no secret.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for ApiKey {
    /// Writes the name without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({:?})", self.name)
    }
}

/// Returns the key that authorises the request, from its headers or from `given`; `None` if no keys
/// are configured.
///
/// # Errors
/// If keys are configured and the request has none of them.
pub(crate) fn check<'k>(
    keys: &'k [ApiKey],
    headers: &HeaderMap,
    given: Option<&str>,
) -> Result<Option<&'k ApiKey>, Problem> {
    if keys.is_empty() {
        return Ok(None);
    }
    let refused = |detail: &str, challenge: &str| {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        Err(problem.with(WWW_AUTHENTICATE, challenge))
    };
    let Some(key) = in_headers(headers).or(given.map(str::as_bytes)) else {
        return refused("an API key is needed, as Authorization: Bearer or X-API-Key", "Bearer");
    };
    let hash = Sha256::digest(key);
    // All keys are compared to the end, so that the time taken does not tell which key was nearly
    // right.
    let known =
        keys.iter().fold(None, |known, key| if key.hash.ct_eq(&hash[..]).into() { Some(key) } else { known });
    if known.is_some() {
        return Ok(known);
    }
    refused("this API key is not one of those that may ask", "Bearer error=\"invalid_token\"")
}

/// Returns the key in the headers of a request.
fn in_headers(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes().trim_ascii()))
}

/// Takes the key out of a query: the key is no parameter of any route, and must neither be shown
/// nor logged.
pub(crate) fn split_query(query: &str) -> (Option<String>, String) {
    let mut key = None;
    let mut rest = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == PARAMETER {
            key = Some(value.into_owned());
        } else {
            rest.append_pair(&name, &value);
        }
    }
    (key, rest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of `abc`, the standard's own example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn keys() -> Vec<ApiKey> {
        vec![
            format!("first:{}", "0".repeat(64)).parse().expect("a key"),
            format!("abc:{ABC}").parse().expect("a key"),
        ]
    }

    fn is_let_in(headers: &[(&'static str, &str)], given: Option<&str>) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let keys = keys();
        match check(&keys, &map, given) {
            Ok(key) => {
                assert_eq!(key.map(ApiKey::name), Some("abc"));
                true
            }
            Err(_) => false,
        }
    }

    #[test]
    fn a_key_is_found_wherever_it_may_be() {
        assert!(is_let_in(&[("authorization", "Bearer abc")], None));
        assert!(is_let_in(&[("authorization", "bearer  abc ")], None));
        assert!(is_let_in(&[("x-api-key", "abc")], None));
        assert!(is_let_in(&[("authorization", "Basic abc"), ("x-api-key", "abc")], None));
        assert!(is_let_in(&[], Some("abc")));
    }

    #[test]
    fn another_key_or_none_is_refused() {
        assert!(!is_let_in(&[], None));
        assert!(!is_let_in(&[("authorization", "abc")], None));
        assert!(!is_let_in(&[("authorization", "Basic abc")], None));
        assert!(!is_let_in(&[("authorization", "Bearer")], None));
        assert!(!is_let_in(&[("authorization", "Bearer Abc"), ("x-api-key", "abc")], None));
        assert!(!is_let_in(&[("x-api-key", ABC)], None), "the hash is not the key");
        assert!(!is_let_in(&[], Some("")));
        assert!(check(&[], &HeaderMap::new(), None).is_ok(), "without keys everyone may ask");
    }

    #[test]
    fn what_is_no_hash_with_a_name_is_refused() {
        for text in
            ["", "abc", ABC, &format!(":{ABC}"), &format!("a:{}", &ABC[1..]), &format!("a:{}g", &ABC[1..])]
        {
            assert_eq!(text.parse::<ApiKey>(), Err(InvalidApiKey), "{text}");
        }
        let text = format!("abc:{ABC}");
        let key: ApiKey = text.parse().expect("a key");
        assert_eq!(String::from(key.clone()), text);
        assert_eq!(format!("{key:?}"), "ApiKey(\"abc\")");
    }

    #[test]
    fn the_key_leaves_the_query() {
        assert_eq!(
            split_query("interval=1m&api_key=a%20b&x=%26"),
            (Some("a b".to_owned()), "interval=1m&x=%26".to_owned())
        );
        assert_eq!(split_query("api_key=a"), (Some("a".to_owned()), String::new()));
        assert_eq!(split_query("a=b"), (None, "a=b".to_owned()));
    }
}
