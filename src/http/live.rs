//! FLV over HTTP and over WebSocket: the same admission as for RTMP players, and the same stream for both.

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use percent_encoding::percent_decode_str;
use tokio::{sync::mpsc, time::timeout};
use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header},
    reply::Response,
};

use super::{Request, Site, Stop, body, connection::STALL_TIMEOUT, reply, websocket};
use crate::{
    hub::{Interest, Protocol, StreamKey},
    output::{
        Slices,
        flv::{Feed, UnknownVariant, Variant},
    },
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
    let every_track = request.query.split('&').any(|argument| argument == "tracks=all");
    if !app.idle_streams && !site.hub.is_live(key) {
        return reply::failure(StatusCode::NOT_FOUND, NOT_LIVE);
    }
    let feed = |protocol| {
        let interest = Interest {
            protocol,
            peer: Some(request.peer),
            software: request.software(),
            from_cache: app.gop_cache,
            wait_for_key_frame: true,
        };
        // Who may not wait is sent away with the publisher.
        let patience = if app.idle_streams {
            app.idle_timeout
        } else {
            Default::default()
        };
        Feed::new(site.hub.subscribe(key, interest), variant, patience).with_every_track(every_track)
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
    } else if request.version == Some(Version::HTTP_2) {
        body::live(offered(feed(Protocol::HttpFlv), stop))
    } else {
        let tags = stream::unfold(feed(Protocol::HttpFlv), async |mut feed| {
            Some((feed.next().await?, feed))
        });
        body::live(tags.take_until(stop.connections.clone().cancelled_owned()))
    };
    describe(response.headers_mut());
    response
}

/// What a feed has, offered by a task of its own.
///
/// Over HTTP/2 each body has a window of its own, and is asked for nothing while that is closed. The socket is fine, so
/// nobody would notice that one viewer has stopped reading, and the hub would hold for it what it can. The task notices.
fn offered(mut feed: Feed, stop: &Stop) -> impl Stream<Item = Slices> + use<> {
    let (offer, taken) = mpsc::channel(1);
    let close = stop.connections.clone();
    stop.tasks.spawn(async move {
        let play = async {
            while let Some(tags) = feed.next().await {
                if !matches!(timeout(STALL_TIMEOUT, offer.send(tags)).await, Ok(Ok(()))) {
                    return;
                }
            }
        };
        tokio::select! {
            () = play => {}
            () = offer.closed() => {}
            () = close.cancelled() => {}
        }
    });
    stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken)))
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
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, TrackId};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::hub::{Hub, Limits, Origin};

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_stops_reading_one_of_many_bodies_is_given_up() {
        let (hub, stop) = (Hub::new(Limits::default()), Stop::default());
        let key = StreamKey::new("live", "x").unwrap();
        let origin = Origin::Pipeline {
            template: "test".to_owned(),
            ancestors: Vec::new(),
        };
        let publication = hub.claim(key.clone(), origin).unwrap();
        let push = |millis| {
            publication.push(Frame {
                kind: MediaKind::Video,
                track: TrackId(0),
                role: FrameRole::Coded,
                key: true,
                dts: MediaTime::from_millis(millis),
                pts: MediaTime::from_millis(millis),
                tag: bytes::Bytes::from_static(b"\x17\x01\0\0\0picture"),
                header_len: 5,
            });
        };
        let viewer = || {
            let interest = Interest {
                protocol: Protocol::HttpFlv,
                peer: None,
                software: String::new(),
                from_cache: true,
                wait_for_key_frame: true,
            };
            let feed = Feed::new(hub.subscribe(&key, interest), Variant::Whole, Duration::ZERO);
            offered(feed, &stop).boxed()
        };
        let (mut reads, mut stalls, leaves) = (viewer(), viewer(), viewer());
        drop(leaves);
        push(0);
        assert!(reads.next().await.is_some() && stalls.next().await.is_some());
        let began = Instant::now();
        let present = || hub.stream(&key).map_or(0, |stream| stream.subscribers.len());
        let mut millis = 0;
        while present() == 2 {
            millis += 1000;
            push(millis);
            assert!(reads.next().await.is_some());
            sleep(Duration::from_secs(1)).await;
        }
        let stalled = began.elapsed();
        assert!(stalled >= STALL_TIMEOUT && stalled < STALL_TIMEOUT * 2, "{stalled:?}");
        assert!(stalls.next().await.is_some(), "what was offered last can be had");
        assert!(stalls.next().await.is_none());
        stop.connections.cancel();
        while reads.next().await.is_some() {}
        stop.tasks.close();
        stop.tasks.wait().await;
        assert_eq!(present(), 0);
    }

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
