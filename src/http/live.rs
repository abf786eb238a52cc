//! FLV over HTTP and over WebSocket: the same admission as for RTMP players, and the same stream for both.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use percent_encoding::percent_decode_str;
use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{Request, Site, body, reply, websocket};
use crate::{
    hub::{Interest, Protocol, StreamKey},
    output::flv::{Feed, UnknownVariant, Variant},
};

/// Said of a stream that has no publisher.
pub(super) const NOT_LIVE: &str = "no such stream is live; the live ones are listed at /";

/// A stream that lasts until the publisher has gone for good, the viewer goes, or the server stops.
///
/// The head of the answer does not wait for anything: players show that they are connected while nobody publishes yet.
pub(super) fn flv(site: &Site, key: &StreamKey, request: &Request) -> Response {
    let Some(app) = (site.apps)(key.app()) else {
        let text = format!("there is no application '{}' on this server", key.app());
        return reply::failure(StatusCode::NOT_FOUND, &text);
    };
    let variant = match variant(&request.query) {
        Ok(variant) => variant,
        Err(error) => return reply::failure(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    if !app.idle_streams && !site.hub.is_live(key) {
        return reply::failure(StatusCode::NOT_FOUND, NOT_LIVE);
    }
    let feed = |protocol| {
        let interest = Interest {
            protocol,
            peer: Some(request.peer),
            software: request.software(),
            from_cache: app.gop_cache,
        };
        // Who may not wait is sent away with the publisher.
        let patience = if app.idle_streams {
            app.idle_timeout
        } else {
            Default::default()
        };
        Feed::new(site.hub.subscribe(key, interest), variant, patience)
    };
    let stop = &request.stop;
    if websocket::is_wanted(request) {
        return match websocket::accept(request) {
            Ok((response, upgrade)) => {
                let (slot, close) = (Arc::clone(&request.slot), stop.connections.clone());
                stop.tasks
                    .spawn(websocket::send(upgrade, feed(Protocol::WsFlv), slot, close));
                response
            }
            Err(error) => error.response(),
        };
    }
    let mut response = if request.method == Method::HEAD {
        Response::new(bytes::Bytes::new().into())
    } else {
        let tags = stream::unfold(feed(Protocol::HttpFlv), async |mut feed| {
            Some((feed.next().await?, feed))
        });
        body::live(tags.take_until(stop.connections.clone().cancelled_owned()))
    };
    describe(response.headers_mut());
    response
}

/// The same for every part that is asked for: of a live stream there are none.
fn describe(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/x-flv"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    // nginx in front of us would hold back what it has until its buffers are full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// `?only=audio` and `?only=video`. Other arguments are somebody else's.
fn variant(query: &str) -> Result<Variant, UnknownVariant> {
    let only = query.split('&').find_map(|argument| argument.strip_prefix("only="));
    only.map_or(Ok(Variant::Whole), |only| {
        percent_decode_str(only).decode_utf8_lossy().parse()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_argument_chooses_the_variant_and_the_others_are_left_alone() {
        for (query, chosen) in [
            ("", Ok(Variant::Whole)),
            ("token=only%3Daudio&audio=0", Ok(Variant::Whole)),
            ("only=audio", Ok(Variant::Audio)),
            ("token=x&only=video&t=1", Ok(Variant::Video)),
            ("only=%61udio", Ok(Variant::Audio)),
            ("only=", Err(UnknownVariant)),
            ("only=subtitles", Err(UnknownVariant)),
        ] {
            assert_eq!(variant(query), chosen, "{query}");
        }
    }
}
