//! The page and its files, out of the binary.

use std::borrow::Cow;

use bytes::Bytes;
use rust_embed::{Embed, EmbeddedFile};
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use super::reply;

#[derive(Embed)]
#[folder = "web/"]
struct Files;

/// What the page may load: its own files, and the media that players make in memory. Nothing inline, nothing from
/// elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

/// The page.
pub(super) fn page(request: &HeaderMap) -> Response {
    asset(request, "index.html")
}

/// A file of the page.
pub(super) fn asset(request: &HeaderMap, path: &str) -> Response {
    let Some(file) = Files::get(path) else {
        return reply::failure(StatusCode::NOT_FOUND, "the page has no such file; it is at /");
    };
    let tag = tag(&file);
    let body = match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    };
    let mut response = reply::tagged(request, content_type(path), reply::FRESH, &tag, body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn tag(file: &EmbeddedFile) -> String {
    let start = file.metadata.sha256_hash().into_iter().take(8);
    let hex: String = start.map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_file_the_page_names_is_there() {
        let page = String::from_utf8(Files::get("index.html").unwrap().data.into_owned()).unwrap();
        let mut named = page
            .split(['"', '\''])
            .filter_map(|text| text.strip_prefix("/assets/"))
            .peekable();
        assert!(named.peek().is_some());
        for path in named {
            assert!(Files::get(path).is_some(), "{path} is missing");
        }
    }

    #[test]
    fn nothing_in_the_page_is_inline_since_the_policy_forbids_it() {
        let page = String::from_utf8(Files::get("index.html").unwrap().data.into_owned()).unwrap();
        assert!(!page.contains("<style") && !page.contains(" style="));
        assert!(!page.contains("onclick=") && !page.contains("javascript:"));
        for script in page.split("<script").skip(1) {
            assert!(script.split('>').next().unwrap().contains("src="), "{script}");
        }
    }
}
