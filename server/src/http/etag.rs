//! Conditional requests after RFC 9110: an entity tag on every answer that may be stored, and 304 to a client that has
//! that very answer already.
//!
//! The tag is strong: it is made of the bytes of the body, so equal tags mean equal bodies, whichever process answers
//! and whenever it was started. BLAKE3 is a function of the bytes alone, where the faster hashes for tables may change
//! with a version, and nobody can make two bodies of one tag.

use crate::http::response::{Content, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};

/// How many hexadecimal digits of the hash a tag has: 128 bits, at which no two bodies ever meet by chance.
const TAG_DIGITS: usize = 32;

/// The tag of a body in this content coding, in its quotation marks. Each coding has a tag of its own, as the bytes
/// that it sends are others.
pub(crate) fn tag(body: &[u8], coding: Option<&str>) -> String {
    let hash = blake3::hash(body).to_hex();
    let digits = &hash[..TAG_DIGITS];
    coding.map_or_else(|| format!("\"{digits}\""), |coding| format!("\"{digits}-{coding}\""))
}

/// Whether this answer may be stored by the one who asked, to be asked for again by its tag.
pub(crate) fn is_storable(response: &Response) -> bool {
    response.status() == StatusCode::OK
        && response.headers().get(CACHE_CONTROL).is_some_and(|value| value != "no-store")
}

/// Whether the client has the answer of this tag, by its `If-None-Match`. The comparison is the weak one, as the
/// standard has it for this header: a cache on the way may have made a tag weak.
pub(crate) fn has(request: &HeaderMap, tag: &str) -> bool {
    request.get_all(IF_NONE_MATCH).iter().any(|line| {
        let Ok(line) = line.to_str() else { return false };
        line.trim() == "*" || tags(line).any(|known| known == tag)
    })
}

/// The tags of a list, each in its quotation marks, without the mark of weakness. What is no tag ends the list.
fn tags(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        // A tag may have a comma in it, so the list can't be split at commas.
        let end = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, after) = rest.split_at(end);
        rest = after;
        Some(tag)
    })
}

/// Puts the tag into an answer.
pub(crate) fn set_tag(response: &mut Response, tag: &str) {
    // Digits, letters and quotation marks are all a tag has.
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, value);
    }
}

/// The same answer without its body, for a client that has it.
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
