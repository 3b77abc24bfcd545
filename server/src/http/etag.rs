//! Conditional requests after RFC 9110: an entity tag on every response that may be stored, and 304
//! for a client that has the response already.
//!
//! The tag is strong: it is made of the bytes of the body, so equal tags mean equal bodies,
//! whichever process responds and whenever it was started. BLAKE3 is a function of the bytes alone,
//! while the faster hashes for tables may change with a version, and nobody can make two bodies
//! with one tag.

use crate::http::response::{Content, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};

/// The hexadecimal digits of the hash in a tag: 128 bits, so that no two bodies share a tag by
/// chance.
const TAG_DIGITS: usize = 32;

/// Returns the tag of a body in this content coding, with its quotation marks. Each coding has a
/// tag of its own, as its bytes differ.
pub(crate) fn tag(body: &[u8], coding: Option<&str>) -> String {
    let hash = blake3::hash(body).to_hex();
    let digits = &hash[..TAG_DIGITS];
    coding.map_or_else(|| format!("\"{digits}\""), |coding| format!("\"{digits}-{coding}\""))
}

/// Whether the client may store the response and revalidate it by its tag.
pub(crate) fn is_storable(response: &Response) -> bool {
    response.status() == StatusCode::OK
        && response.headers().get(CACHE_CONTROL).is_some_and(|value| value != "no-store")
}

/// Whether the client has the response of this tag, by its `If-None-Match`. The standard demands
/// the weak comparison for this header: a cache on the way may have made a tag weak.
pub(crate) fn has(request: &HeaderMap, tag: &str) -> bool {
    request.get_all(IF_NONE_MATCH).iter().any(|line| {
        let Ok(line) = line.to_str() else { return false };
        line.trim() == "*" || tags(line).any(|known| known == tag)
    })
}

/// Returns the tags of a list, each with its quotation marks and without the mark of weakness.
/// Anything that is no tag ends the list.
fn tags(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        // A tag may contain a comma, so the list can't be split at commas.
        let end = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, after) = rest.split_at(end);
        rest = after;
        Some(tag)
    })
}

/// Sets the tag of a response.
pub(crate) fn set_tag(response: &mut Response, tag: &str) {
    // A tag has digits, letters and quotation marks only.
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, value);
    }
}

/// Turns a response into 304 without a body, for a client that has the body.
pub(crate) fn not_modified(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(CONTENT_TYPE);
    *response.body_mut() = Content::default();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(lines: &[&str], tag: &str) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_NONE_MATCH, line.parse().expect("a header"));
        }
        has(&headers, tag)
    }

    #[test]
    fn a_tag_is_found_in_lists_weak_or_strong() {
        for lines in [
            &["\"a\""][..],
            &["W/\"a\""],
            &["\"x\", \"a\""],
            &["\"x\",W/\"a\",\"y\""],
            &["\"x,\" ,\t\"a\""],
            &["\"x\"", "\"a\""],
            &["*"],
            &[" * "],
        ] {
            assert!(knows(lines, "\"a\""), "{lines:?}");
        }
    }

    #[test]
    fn another_tag_or_none_is_no_match() {
        for lines in [
            &[][..],
            &[""],
            &["a"],
            &["\"b\""],
            &["\"a"],
            &["\"aa\""],
            &["\"x,\"a\""],
            &["w/\"a\""],
            &["'a', \"a\""],
            &["\"*\""],
        ] {
            assert!(!knows(lines, "\"a\""), "{lines:?}");
        }
    }

    #[test]
    fn equal_bodies_have_equal_tags_and_each_coding_its_own() {
        assert_eq!(tag(b"", None), "\"af1349b9f5f9a1a6a0404dea36dcc949\"");
        assert_eq!(tag(b"", Some("br")), "\"af1349b9f5f9a1a6a0404dea36dcc949-br\"");
        assert_ne!(tag(b"a", None), tag(b"b", None));
    }
}
