//! HLS over HTTP: what the store holds, with the right types and life times.

use std::time::{Duration, Instant};

use streammill_media::MediaKind;
use warp::{
    http::{HeaderMap, StatusCode},
    reply::Response,
};

use super::{Site, audience::Viewer, live::NOT_LIVE, reply};
use crate::{
    hub::{Origin, StreamKey, StreamSnapshot},
    output::hls::{Missing, Resource, TrackName},
};

/// How long a player that asks for a stream which has just begun waits for the first segment. Players give up after 10 s.
const PATIENCE: Duration = Duration::from_secs(8);

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// `/APP/NAME.m3u8`
pub(super) async fn multivariant(site: &Site, key: &StreamKey, folder: &str) -> Response {
    let may_come = site.hub.is_live(key) | site.roster.want(&site.hub, key);
    let renditions = renditions(site, key);
    match site
        .hls
        .multivariant(key, folder, &renditions, may_come, PATIENCE)
        .await
    {
        Ok(text) => reply::whole(PLAYLIST, reply::FRESH, text),
        Err(missing) => absent(site, key, missing),
    }
}

/// The streams that pipelines have made of another one, and where their files are.
fn renditions(site: &Site, key: &StreamKey) -> Vec<(StreamKey, String)> {
    let is_made_from = |stream: &StreamSnapshot| match stream.live.as_ref().map(|live| &live.origin) {
        Some(Origin::Pipeline { ancestors, .. }) => ancestors.contains(key),
        _ => false,
    };
    let streams = site.hub.streams().into_iter().filter(is_made_from);
    // A full name means the same at every host.
    let placed = streams.map(|stream| (stream.key.clone(), format!("/{}", stream.key.url_path())));
    placed.collect()
}

/// `/APP/NAME/FILE`
pub(super) fn file(site: &Site, key: &StreamKey, resource: Resource, request: &HeaderMap, viewer: Viewer) -> Response {
    // Whoever reads on keeps running what makes it.
    site.roster.want(&site.hub, key);
    let seen = |bytes: usize| site.audience().note(key, viewer, bytes as u64, Instant::now());
    let tag = format!("\"{resource}\"");
    match resource {
        Resource::Playlist { track, presentation } => match site.hls.media(key, presentation, track) {
            Ok(text) => {
                seen(text.len());
                reply::whole(PLAYLIST, reply::FRESH, text)
            }
            Err(Missing::NotYet) => absent(site, key, Missing::NotYet),
            Err(_) => reply::failure(
                StatusCode::NOT_FOUND,
                "this playlist is over; load the stream's .m3u8 again",
            ),
        },
        Resource::Init {
            track,
            presentation,
            number,
        } => match site.hls.init(key, presentation, track, number) {
            Some(data) => reply::tagged(request, media_type(track), reply::IMMUTABLE, &tag, data),
            None => gone(),
        },
        Resource::Segment {
            track,
            presentation,
            sequence,
        } => match site.hls.segment(key, presentation, track, sequence) {
            Some(segment) => {
                seen(segment.bytes);
                reply::segment(request, media_type(track), &tag, &segment)
            }
            None => gone(),
        },
    }
}

fn media_type(track: TrackName) -> &'static str {
    match track.kind() {
        MediaKind::Audio => "audio/mp4",
        MediaKind::Video | MediaKind::Data => "video/mp4",
    }
}

fn absent(site: &Site, key: &StreamKey, missing: Missing) -> Response {
    let (status, text) = match missing {
        Missing::NoStream if site.hub.is_live(key) => (
            StatusCode::NOT_FOUND,
            "the stream is live, but no pipeline makes HLS of it; add pipelines = [\"hls\"] to its app, or play it as .flv",
        ),
        Missing::NotYet => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the stream has just begun and has no segment yet; ask again",
        ),
        _ => (StatusCode::NOT_FOUND, NOT_LIVE),
    };
    reply::failure(status, text)
}

fn gone() -> Response {
    reply::failure(
        StatusCode::NOT_FOUND,
        "this segment is not held any more; the playlist lists those that are",
    )
}
