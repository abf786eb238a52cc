//! Pictures over HTTP: the newest still of a stream.

use std::time::Duration;

use warp::{
    http::{HeaderMap, StatusCode},
    reply::Response,
};

use super::{Site, live::NOT_LIVE, reply};
use crate::{hub::StreamKey, pipeline::job::Destination};

/// How long whoever asks waits for the first picture. It takes a key frame, and browsers have patience.
const PATIENCE: Duration = Duration::from_secs(8);

/// `/APP/NAME.jpg`
pub(super) async fn newest(site: &Site, key: &StreamKey, request: &HeaderMap) -> Response {
    let is_wanted = site.roster.want(&site.hub, key);
    let draws = |destination: &Destination| matches!(destination, Destination::Pictures(drawn) if drawn == key);
    let is_drawn = || {
        let pipelines = (site.pipelines)();
        pipelines.iter().any(|pipeline| draws(&pipeline.destination))
    };
    let picture = match is_wanted || is_drawn() {
        true => site.pictures.wait(key, PATIENCE).await,
        false => None,
    };
    match picture {
        Some(picture) => {
            let tag = format!("\"{:x}\"", picture.number);
            reply::tagged(request, "image/jpeg", reply::FRESH, &tag, picture.data)
        }
        None if is_drawn() => reply::failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "the first picture of this stream is not drawn yet; ask again",
        ),
        None if site.hub.is_live(key) => reply::failure(
            StatusCode::NOT_FOUND,
            "the stream is live, but no pipeline draws pictures of it; add pipelines = [\"thumbnail\"] to its app",
        ),
        None => reply::failure(StatusCode::NOT_FOUND, NOT_LIVE),
    }
}
