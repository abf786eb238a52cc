//! FLV over HTTP.

use std::{convert::Infallible, net::SocketAddr};

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use warp::{
    Reply as _,
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{Site, reply};
use crate::{
    hub::{Interest, Protocol, StreamKey},
    output::flv,
};

/// Said of a stream that has no publisher.
pub(super) const NOT_LIVE: &str = "no such stream is live; the live ones are listed at /";

/// A stream that lasts until the publisher, the viewer or the server goes.
pub(super) fn flv(
    site: &Site,
    key: &StreamKey,
    method: &Method,
    peer: SocketAddr,
    software: String,
    close: CancellationToken,
) -> Response {
    if !site.hub.is_live(key) {
        return reply::failure(StatusCode::NOT_FOUND, NOT_LIVE);
    }
    let mut response = if method == Method::HEAD {
        Response::new(bytes::Bytes::new().into())
    } else {
        let interest = Interest {
            protocol: Protocol::HttpFlv,
            peer: Some(peer),
            software,
            from_cache: (site.gop_cache)(key),
        };
        let body = flv::body(site.hub.subscribe(key, interest));
        let body = body.take_until(close.cancelled_owned()).map(Ok::<_, Infallible>);
        warp::reply::stream(body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/x-flv"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
