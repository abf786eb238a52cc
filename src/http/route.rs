//! What a request path asks for. Parsed once, here, into values that can do no harm.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{config::Vhosts, hub::StreamKey, output::hls};

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/` and `/preview/APP/NAME`. The page itself reads from its address what it shows.
    Page,
    /// `/assets/PATH`
    Asset(String),
    /// `/APP/NAME.flv`
    Flv(StreamKey),
    /// `/APP/NAME.m3u8`, with the relative URL below which the stream's files are.
    Multivariant(StreamKey, String),
    /// `/APP/NAME/FILE`
    HlsFile(StreamKey, hls::Resource),
    /// `/APP/NAME.jpg`
    Picture(StreamKey),
    /// `/api/v1/server`
    Server,
    /// `/api/v1/streams`
    Streams,
    /// `/api/v1/streams/APP/NAME`
    Stream(StreamKey),
    /// Below `/api/v1/pipelines` and `/api/v1/streams/APP/NAME/pipelines`.
    Pipelines(PipelineRoute),
    /// `/api/v1/encoders`
    Encoders,
    /// `/api/v1/templates`
    Templates,
    /// `/api/v1/templates/NAME/graph`
    TemplateGraph(String),
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/stat`
    Stat,
    /// `/metrics`
    Metrics,
}

/// What of pipelines is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PipelineRoute {
    /// `/api/v1/pipelines`
    All,
    /// `/api/v1/streams/APP/NAME/pipelines`
    OfStream(StreamKey),
    /// `/api/v1/pipelines/ID`
    One(u64),
    /// `/api/v1/pipelines/ID/restart`
    Restart(u64),
    /// `/api/v1/pipelines/ID/graph`
    Graph(u64),
}

impl PipelineRoute {
    /// From what follows `pipelines` in a path.
    fn parse(parts: &[&str]) -> Option<Self> {
        let number = |text: &str| text.parse().ok();
        match parts {
            [] => Some(Self::All),
            [id] => number(id).map(Self::One),
            [id, "restart"] => number(id).map(Self::Restart),
            [id, "graph"] => number(id).map(Self::Graph),
            _ => None,
        }
    }
}

/// Why a path asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteError {
    #[error("the path is not percent-encoded UTF-8")]
    Encoding,
    #[error("the path holds a control character, or a part that is empty, '.' or '..'")]
    Forbidden,
    #[error("there is nothing at this path; streams are at /APP/NAME.m3u8 and /APP/NAME.flv, the list of them at /")]
    Unknown,
}

/// Longest path that is looked at: two names of 1024 bytes, each byte percent-encoded, and a file name.
const MAX_PATH: usize = 8192;

/// Characters of a path component that need no encoding, as [`StreamKey::url_path`] has it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

impl Route {
    /// Parses the path of a request, without its query.
    pub(super) fn parse(path: &str) -> Result<Self, RouteError> {
        if path.len() > MAX_PATH {
            return Err(RouteError::Unknown);
        }
        let path = path.strip_prefix('/').ok_or(RouteError::Unknown)?;
        if path.is_empty() {
            return Ok(Self::Page);
        }
        let parts: Vec<String> = path.split('/').map(decode).collect::<Result<_, _>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["healthz"] => Ok(Self::Health),
            ["readyz"] => Ok(Self::Ready),
            ["stat"] => Ok(Self::Stat),
            ["metrics"] => Ok(Self::Metrics),
            ["assets", rest @ ..] => Ok(Self::Asset(rest.join("/"))),
            ["preview", app, name @ ..] => key(app, name, "").map(|_| Self::Page),
            ["api", "v1", "server"] => Ok(Self::Server),
            ["api", "v1", "streams"] => Ok(Self::Streams),
            ["api", "v1", "streams", app, name @ .., "pipelines"] if !name.is_empty() => {
                let key = key(app, name, "")?;
                Ok(Self::Pipelines(PipelineRoute::OfStream(key)))
            }
            ["api", "v1", "streams", app, name @ .., "pipelines", id] if !name.is_empty() => {
                key(app, name, "")?;
                let id = PipelineRoute::parse(&[id]).ok_or(RouteError::Unknown)?;
                Ok(Self::Pipelines(id))
            }
            ["api", "v1", "streams", app, name @ ..] => key(app, name, "").map(Self::Stream),
            ["api", "v1", "pipelines", rest @ ..] => {
                let route = PipelineRoute::parse(rest).ok_or(RouteError::Unknown)?;
                Ok(Self::Pipelines(route))
            }
            ["api", "v1", "encoders"] => Ok(Self::Encoders),
            ["api", "v1", "templates"] => Ok(Self::Templates),
            ["api", "v1", "templates", name, "graph"] => Ok(Self::TemplateGraph((*name).to_owned())),
            ["api", ..] => Err(RouteError::Unknown),
            [app, name @ .., file] => Self::of_stream(app, name, file),
            _ => Err(RouteError::Unknown),
        }
    }

    /// The same at a host with applications of its own. What is asked of the API goes by full names at every host.
    pub(super) fn at(self, host: Option<&str>, vhosts: &Vhosts) -> Result<Self, RouteError> {
        let at_host = |key: StreamKey| {
            let app = vhosts.full_name(host, key.app());
            StreamKey::new(&app, key.name()).map_err(|_| RouteError::Unknown)
        };
        Ok(match self {
            Self::Flv(key) => Self::Flv(at_host(key)?),
            Self::Multivariant(key, folder) => Self::Multivariant(at_host(key)?, folder),
            Self::HlsFile(key, resource) => Self::HlsFile(at_host(key)?, resource),
            Self::Picture(key) => Self::Picture(at_host(key)?),
            other => other,
        })
    }

    /// What belongs to a stream. A stream's name may hold slashes, so it is the last part that decides.
    fn of_stream(app: &str, folders: &[&str], file: &str) -> Result<Self, RouteError> {
        if let Ok(resource) = file.parse() {
            return Ok(Self::HlsFile(key(app, folders, "")?, resource));
        }
        if let Some(last) = file.strip_suffix(".flv") {
            return Ok(Self::Flv(key(app, folders, last)?));
        }
        if let Some(last) = file.strip_suffix(".m3u8") {
            let folder = utf8_percent_encode(last, ESCAPED).to_string();
            return Ok(Self::Multivariant(key(app, folders, last)?, folder));
        }
        if let Some(last) = file.strip_suffix(".jpg") {
            return Ok(Self::Picture(key(app, folders, last)?));
        }
        Err(RouteError::Unknown)
    }
}

/// The key of `app` and the name that `folders` and `last` make together.
fn key(app: &str, folders: &[&str], last: &str) -> Result<StreamKey, RouteError> {
    let mut name = folders.join("/");
    if !last.is_empty() {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(last);
    }
    StreamKey::new(app, &name).map_err(|_| RouteError::Unknown)
}

/// One part of a path, decoded. What it decodes to may hold a slash; nothing else that could lead elsewhere.
fn decode(part: &str) -> Result<String, RouteError> {
    let is_hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let bytes = part.as_bytes();
    for (index, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        if !is_hex(bytes.get(index + 1).copied()) || !is_hex(bytes.get(index + 2).copied()) {
            return Err(RouteError::Encoding);
        }
    }
    let text = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| RouteError::Encoding)?;
    let leads_elsewhere = text
        .split(['/', '\\'])
        .any(|component| matches!(component, "" | "." | ".."));
    if leads_elsewhere || text.chars().any(char::is_control) {
        return Err(RouteError::Forbidden);
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use streammill_media::MediaKind;

    use super::*;

    fn stream(app: &str, name: &str) -> StreamKey {
        StreamKey::new(app, name).unwrap()
    }

    #[test]
    fn every_path_is_what_the_table_says() {
        let video = hls::TrackName::new(MediaKind::Video, 0).unwrap();
        let playlist = hls::Resource::Playlist {
            track: video,
            presentation: 0xa1,
        };
        let segment = hls::Resource::Segment {
            track: video,
            presentation: 0xa1,
            sequence: 12,
        };
        let multivariant = |app, name, folder: &str| Route::Multivariant(stream(app, name), folder.to_owned());
        for (path, route) in [
            ("/", Route::Page),
            ("/preview/live/x", Route::Page),
            ("/preview/live/a/b", Route::Page),
            ("/assets/app.js", Route::Asset("app.js".to_owned())),
            (
                "/assets/vendor/hls.min.js",
                Route::Asset("vendor/hls.min.js".to_owned()),
            ),
            ("/live/x.flv", Route::Flv(stream("live", "x"))),
            ("/live/x.y.flv", Route::Flv(stream("live", "x.y"))),
            ("/live/a/b.flv", Route::Flv(stream("live", "a/b"))),
            ("/live/a%2Fb.flv", Route::Flv(stream("live", "a/b"))),
            ("/live/x.m3u8", multivariant("live", "x", "x")),
            (
                "/live/Kamera%20%C3%A4.m3u8",
                multivariant("live", "Kamera ä", "Kamera%20%C3%A4"),
            ),
            ("/live/a/b.m3u8", multivariant("live", "a/b", "b")),
            ("/live/a%2Fb.m3u8", multivariant("live", "a/b", "a%2Fb")),
            ("/live/a\"b.m3u8", multivariant("live", "a\"b", "a%22b")),
            (
                "/live/x/video.a1.media.m3u8",
                Route::HlsFile(stream("live", "x"), playlist),
            ),
            (
                "/live/a/b/video.a1.12.m4s",
                Route::HlsFile(stream("live", "a/b"), segment),
            ),
            ("/live/x.jpg", Route::Picture(stream("live", "x"))),
            ("/live/a/b.jpg", Route::Picture(stream("live", "a/b"))),
            ("/api/v1/server", Route::Server),
            ("/api/v1/streams", Route::Streams),
            ("/api/v1/streams/live/x.y", Route::Stream(stream("live", "x.y"))),
            ("/api/v1/templates", Route::Templates),
            ("/api/v1/templates/hls/graph", Route::TemplateGraph("hls".to_owned())),
            ("/api/v1/pipelines", Route::Pipelines(PipelineRoute::All)),
            ("/api/v1/pipelines/7", Route::Pipelines(PipelineRoute::One(7))),
            ("/api/v1/pipelines/7/graph", Route::Pipelines(PipelineRoute::Graph(7))),
            (
                "/api/v1/pipelines/7/restart",
                Route::Pipelines(PipelineRoute::Restart(7)),
            ),
            (
                "/api/v1/streams/live/a/b/pipelines",
                Route::Pipelines(PipelineRoute::OfStream(stream("live", "a/b"))),
            ),
            (
                "/api/v1/streams/live/x/pipelines/7",
                Route::Pipelines(PipelineRoute::One(7)),
            ),
            ("/healthz", Route::Health),
            ("/readyz", Route::Ready),
            ("/stat", Route::Stat),
            ("/metrics", Route::Metrics),
        ] {
            assert_eq!(Route::parse(path), Ok(route), "{path}");
        }
    }

    #[test]
    fn paths_that_ask_for_nothing_say_why() {
        use RouteError::{Encoding, Forbidden, Unknown};
        for (path, error) in [
            ("/live/../etc/passwd", Forbidden),
            ("/live/%2e%2e/x.flv", Forbidden),
            ("/live/..%2fx.flv", Forbidden),
            ("/live/a%5C..%5Cx.flv", Forbidden),
            ("/live/x%00.flv", Forbidden),
            ("/live/x%0d%0a.flv", Forbidden),
            ("/live//x.flv", Forbidden),
            ("/assets/../Cargo.toml", Forbidden),
            ("/live/%zz.flv", Encoding),
            ("/live/x.flv%2", Encoding),
            ("/live/%ff.flv", Encoding),
            ("", Unknown),
            ("x", Unknown),
            ("/live", Unknown),
            ("/live.flv", Unknown),
            ("/live/x", Unknown),
            ("/live/x.mp4", Unknown),
            ("/live/.flv", Unknown),
            ("/live/.jpg", Unknown),
            ("/live/.m3u8", Unknown),
            ("/live/video.a1.media.m3u8", Unknown),
            ("/preview/live", Unknown),
            ("/api/v2/streams", Unknown),
            ("/api/v1/pipelines/x", Unknown),
            ("/api/v1/pipelines/7/other", Unknown),
        ] {
            assert_eq!(Route::parse(path), Err(error), "{path}");
        }
        assert_eq!(Route::parse(&format!("/live/{}.flv", "x".repeat(9000))), Err(Unknown));
        assert_eq!(Route::parse(&format!("/live/{}.flv", "x".repeat(1100))), Err(Unknown));
    }
}
