//! Replies: bodies with the headers that every answer of this server carries, good or bad.
//!
//! A player on another site must be able to read an error too, or it sees "status 0" in place of a 404; so the CORS
//! headers are put on in one place, behind every handler.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use warp::{
    Reply as _,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use crate::output::hls::Segment;

/// Playlists and lists: to be asked for anew each time.
pub(super) const FRESH: HeaderValue = HeaderValue::from_static("no-cache");

/// Segments: their names never mean other bytes.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=86400, immutable");

/// An answer with a body that is at hand.
pub(super) fn whole(content_type: &'static str, cache: HeaderValue, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, cache);
    response
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => whole("application/json", FRESH, body),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("no JSON: {error}")),
    }
}

/// An error in words. `text` says what to do about it, and nothing that the client could not know.
pub(super) fn failure(status: StatusCode, text: &str) -> Response {
    let mut response = whole("text/plain; charset=utf-8", FRESH, format!("{text}\n"));
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Bytes with an entity tag, or the news that the client has them. `tag` is quoted.
pub(super) fn tagged(
    request: &HeaderMap,
    content_type: &'static str,
    cache: HeaderValue,
    tag: &str,
    body: Bytes,
) -> Response {
    let mut response = if knows(request, tag) {
        let mut response = Response::new(Bytes::new().into());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(header::CACHE_CONTROL, cache);
        response
    } else {
        whole(content_type, cache, body)
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A segment, whole or the range that is asked for, sent from the parts it is kept in.
pub(super) fn segment(request: &HeaderMap, content_type: &'static str, tag: &str, segment: &Arc<Segment>) -> Response {
    let length = segment.bytes;
    let range = match range(request, length) {
        Asked::Whole => None,
        Asked::Range(range) => Some(range),
        Asked::Impossible => {
            let mut response = failure(
                StatusCode::RANGE_NOT_SATISFIABLE,
                &format!("the segment has {length} bytes"),
            );
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{length}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return response;
        }
    };
    if range.is_none() && knows(request, tag) {
        return tagged(request, content_type, IMMUTABLE, tag, Bytes::new());
    }
    let sent = range.clone().unwrap_or(0..length);
    let slices = segment.slices(sent.clone());
    let slices = slices.into_iter().map(Ok::<_, std::convert::Infallible>);
    let mut response = warp::reply::stream(stream::iter(slices)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.len()));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(range) = range {
        let text = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// The answer to `OPTIONS`: what a script on another site may do.
pub(super) fn preflight() -> Response {
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Accept, Authorization, Cache-Control, Content-Type, If-Modified-Since, If-None-Match, If-Range, Pragma, Range, \
             X-Requested-With",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// The answer to a method that nothing here has.
pub(super) fn method_not_allowed(method: &Method) -> Response {
    let text = format!("{method} is not possible here; use {METHODS}");
    let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, &text);
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// Puts on what every answer carries.
pub(super) fn finish(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Accept-Ranges, Content-Length, Content-Range, Date, ETag, Retry-After"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const METHODS: &str = "GET, HEAD, OPTIONS";

/// The client has what carries this tag (RFC 9110 §13.1.2).
fn knows(request: &HeaderMap, tag: &str) -> bool {
    let listed = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    listed.is_some_and(|listed| {
        listed
            .split(',')
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == tag || known == "*")
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Range(Range<usize>),
    Impossible,
}

/// The range a request asks for (RFC 9110 §14.2). Several at once, other units and what cannot be read mean the whole.
fn range(request: &HeaderMap, length: usize) -> Asked {
    let value = request.get(header::RANGE).and_then(|value| value.to_str().ok());
    let spec = value.and_then(|value| value.strip_prefix("bytes="));
    let Some((first, last)) = spec.and_then(|spec| spec.trim().split_once('-')) else {
        return Asked::Whole;
    };
    let number = |text: &str| text.trim().parse::<usize>();
    match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first > last => Asked::Whole,
        (Ok(first), _) if first >= length => Asked::Impossible,
        (Ok(first), Ok(last)) => Asked::Range(first..last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Asked::Range(first..length),
        (Err(_), Ok(0)) if first.trim().is_empty() => Asked::Impossible,
        (Err(_), Ok(_)) if length == 0 => Asked::Impossible,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => Asked::Range(length.saturating_sub(suffix)..length),
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        let asked = |text: &str, length| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            range(&headers, length)
        };
        assert_eq!(range(&HeaderMap::new(), 10), Asked::Whole);
        for (text, meant) in [
            ("bytes=0-0", Asked::Range(0..1)),
            ("bytes=2-5", Asked::Range(2..6)),
            ("bytes=2-", Asked::Range(2..10)),
            ("bytes=2-99999999999999999999", Asked::Whole),
            ("bytes=2-18446744073709551615", Asked::Range(2..10)),
            ("bytes=-3", Asked::Range(7..10)),
            ("bytes=-30", Asked::Range(0..10)),
            ("bytes=-0", Asked::Impossible),
            ("bytes=10-", Asked::Impossible),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=-", Asked::Whole),
        ] {
            assert_eq!(asked(text, 10), meant, "{text}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Impossible);
        assert_eq!(asked("bytes=-1", 0), Asked::Impossible);
    }

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "\"a\", W/\"b\"".parse().unwrap());
        assert!(knows(&headers, "\"a\"") && knows(&headers, "\"b\""));
        assert!(!knows(&headers, "\"c\""));
        let response = tagged(&headers, "text/plain", FRESH, "\"a\"", Bytes::from_static(b"body"));
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    }
}
