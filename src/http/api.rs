//! The JSON interface, version 1. Fields keep their names and meanings; new ones may be added.
//!
//! Times are RFC 3339 in UTC, rates bits a second, sizes bytes. What is not known is `null`.

use std::time::Instant;

use serde::Serialize;
use streammill_media::{Codec, Format, MediaKind};

use super::{
    Site,
    meter::Rates,
    pipelines::{self, Pipeline},
};
use crate::{
    hub::{LiveSnapshot, Origin, Protocol, StreamKey, StreamSnapshot},
    output::date_time::Rfc3339,
    pipeline::roster::PipelineSnapshot,
};

/// `GET /api/v1/server`
#[derive(Debug, Serialize)]
pub(super) struct Server {
    /// Always `streammill`.
    name: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    /// Port of the RTMP listener.
    rtmp_port: Option<u16>,
    streams: usize,
    viewers: usize,
    bitrate_in: u64,
    bitrate_out: u64,
}

/// `GET /api/v1/streams`
#[derive(Debug, Serialize)]
pub(super) struct Streams {
    /// In order of application and name. Streams that nobody publishes, but someone waits for, are among them.
    streams: Vec<Stream>,
}

/// `GET /api/v1/streams/APP/NAME`
#[derive(Debug, Serialize)]
pub(super) struct Stream {
    app: String,
    name: String,
    /// Someone publishes it.
    live: bool,
    /// When the publication began.
    since: Option<String>,
    uptime_seconds: Option<f64>,
    publisher: Option<Publisher>,
    /// How long the publisher has been away, while the stream waits for him.
    away_seconds: Option<f64>,
    tracks: Vec<Track>,
    /// Everyone who receives it by RTMP or FLV, and pipelines.
    subscribers: usize,
    /// Everyone who watches by RTMP, FLV or HLS.
    viewers: usize,
    /// The same by the way they watch.
    viewers_by: ViewersBy,
    bytes_in: u64,
    /// To viewers and pipelines that are there or were, since the publication began.
    bytes_out: u64,
    bitrate_in: u64,
    bitrate_out: u64,
    bitrate_video: u64,
    bitrate_audio: u64,
    /// Packets lost by the present subscribers because they read too slowly.
    dropped: u64,
    /// Where it can be played, as paths on this server.
    play: Play,
    /// The pipelines that work on it.
    pipelines: Vec<Pipeline>,
}

#[derive(Debug, Default, Serialize)]
struct ViewersBy {
    rtmp: usize,
    http_flv: usize,
    ws_flv: usize,
    hls: usize,
}

#[derive(Debug, Serialize)]
struct Publisher {
    /// `rtmp` or `pipeline`.
    protocol: &'static str,
    /// `IP:PORT` of a client.
    address: Option<String>,
    /// What the client calls itself, or the template of a pipeline.
    encoder: String,
}

#[derive(Debug, Serialize)]
struct Track {
    /// `video` or `audio`.
    kind: &'static str,
    /// Its number within its kind.
    id: u8,
    /// `h264`, `hevc`, `av1`, `vp8`, `vp9`, `aac`, `mp3`, `opus`, `flac`, `ac3`, `eac3`.
    codec: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// Pictures a second: as the stream says, or else as measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    fps: Option<f64>,
    /// Samples a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u8>,
}

#[derive(Debug, Serialize)]
struct Play {
    flv: Option<String>,
    /// Only where a pipeline packages the stream, or did until a moment ago.
    hls: Option<String>,
}

pub(super) fn server(site: &Site) -> Server {
    let all = site.hub.streams();
    let live: Vec<&StreamSnapshot> = all.iter().filter(|stream| stream.live.is_some()).collect();
    let meter = site.meter();
    let rates = live.iter().map(|stream| meter.rates(&stream.key));
    let (bitrate_in, bitrate_out) = rates.fold((0, 0), |sum, rates| (sum.0 + rates.bits_in, sum.1 + rates.bits_out));
    drop(meter);
    Server {
        name: "streammill",
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: site.statistics.started.elapsed().as_secs(),
        rtmp_port: site.rtmp_port,
        streams: live.len(),
        viewers: live.iter().map(|stream| viewers(site, stream).all()).sum(),
        bitrate_in,
        bitrate_out,
    }
}

pub(super) fn streams(site: &Site) -> Streams {
    let pipelines = (site.pipelines)();
    let streams = site.hub.streams();
    Streams {
        streams: streams
            .iter()
            .map(|stream| describe(site, stream, &pipelines))
            .collect(),
    }
}

pub(super) fn stream(site: &Site, key: &StreamKey) -> Option<Stream> {
    let stream = site.hub.stream(key)?;
    Some(describe(site, &stream, &(site.pipelines)()))
}

fn describe(site: &Site, stream: &StreamSnapshot, pipelines: &[PipelineSnapshot]) -> Stream {
    let key = &stream.key;
    let rates = site.meter().rates(key);
    let live = stream.live.as_ref();
    let path = key.url_path();
    let viewers = viewers(site, stream);
    Stream {
        app: key.app().to_owned(),
        name: key.name().to_owned(),
        live: live.is_some(),
        since: live.map(|live| Rfc3339(live.since).to_string()),
        uptime_seconds: live.map(|live| live.uptime.as_secs_f64()),
        publisher: live.map(|live| Publisher::from(&live.origin)),
        away_seconds: live.and_then(|live| live.away).map(|away| away.as_secs_f64()),
        tracks: live.map(|live| tracks(live, rates)).unwrap_or_default(),
        subscribers: stream.subscribers.len(),
        viewers: viewers.all(),
        viewers_by: viewers,
        bytes_in: live.map_or(0, |live| live.bytes_in),
        bytes_out: rates.bytes_out,
        bitrate_in: rates.bits_in,
        bitrate_out: rates.bits_out,
        bitrate_video: rates.video_bits,
        bitrate_audio: rates.audio_bits,
        dropped: stream.subscribers.iter().map(|subscriber| subscriber.dropped).sum(),
        play: Play {
            flv: live.map(|_| format!("/{path}.flv")),
            hls: site.hls.has(key).then(|| format!("/{path}.m3u8")),
        },
        pipelines: pipelines::of_stream(pipelines, key),
    }
}

/// Everyone who watches: players at the hub, and those who fetch segments. Pipelines do not watch.
fn viewers(site: &Site, stream: &StreamSnapshot) -> ViewersBy {
    let by = |protocol| {
        let subscribers = stream.subscribers.iter();
        subscribers
            .filter(|subscriber| subscriber.interest.protocol == protocol)
            .count()
    };
    ViewersBy {
        rtmp: by(Protocol::Rtmp),
        http_flv: by(Protocol::HttpFlv),
        ws_flv: by(Protocol::WsFlv),
        hls: site.audience().viewers(&stream.key, Instant::now()),
    }
}

/// How many watch a stream by each protocol.
pub(super) fn viewers_by_protocol(site: &Site, stream: &StreamSnapshot) -> [(&'static str, u64); 4] {
    let ViewersBy {
        rtmp,
        http_flv,
        ws_flv,
        hls,
    } = viewers(site, stream);
    [("rtmp", rtmp), ("http-flv", http_flv), ("ws-flv", ws_flv), ("hls", hls)]
        .map(|(protocol, viewers)| (protocol, viewers as u64))
}

impl ViewersBy {
    fn all(&self) -> usize {
        self.rtmp + self.http_flv + self.ws_flv + self.hls
    }
}

fn tracks(live: &LiveSnapshot, rates: Rates) -> Vec<Track> {
    let tracks = live.tracks.tracks.iter();
    tracks.map(|track| Track::new(track, rates)).collect()
}

impl Track {
    fn new(track: &streammill_media::Track, rates: Rates) -> Self {
        let mut described = Self {
            kind: match track.kind() {
                MediaKind::Video => "video",
                MediaKind::Audio => "audio",
                MediaKind::Data => "data",
            },
            id: track.id.0,
            codec: codec_name(track.codec),
            profile: profile_name(track),
            level: None,
            width: None,
            height: None,
            fps: None,
            rate: None,
            channels: None,
        };
        match track.format {
            Format::Video(video) => {
                let told = video.frame_rate.filter(|(_, denominator)| *denominator > 0);
                let fps = told.map_or(rates.frames, |(numerator, denominator)| {
                    f64::from(numerator) / f64::from(denominator)
                });
                described.fps = (fps > 0.0).then_some((fps * 100.0).round() / 100.0);
                described.width = Some(video.width);
                described.height = Some(video.height);
                described.level = level_name(track.codec, video.level);
            }
            Format::Audio(audio) => {
                described.rate = Some(audio.sample_rate);
                described.channels = Some(audio.channels);
            }
        }
        described
    }
}

/// A codec as ffmpeg and browsers' menus call it.
pub(super) fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::Aac => "aac",
        Codec::Mp3 => "mp3",
        Codec::Hevc => "hevc",
        Codec::Av1 => "av1",
        Codec::Vp8 => "vp8",
        Codec::Vp9 => "vp9",
        Codec::Opus => "opus",
        Codec::Flac => "flac",
        Codec::Ac3 => "ac3",
        Codec::Eac3 => "eac3",
        _ => "unknown",
    }
}

/// A level as the codec's specification writes it.
fn level_name(codec: Codec, level: u8) -> Option<String> {
    match codec {
        // Rec. ITU-T H.265 §A.4.1: `general_level_idc` is thirty times the number.
        Codec::Hevc => Some(format!("{}.{}", level / 30, level % 30 / 3)),
        // AV1 §A.3: four minor levels to a major one, from 2.0 on; 31 is none.
        Codec::Av1 if level == 31 => None,
        Codec::Av1 => Some(format!("{}.{}", 2 + level / 4, level % 4)),
        Codec::Vp8 => None,
        Codec::Vp9 if level == 0 => None,
        _ => Some(format!("{}.{}", level / 10, level % 10)),
    }
}

/// Rec. ITU-T H.264 and H.265 Annex A, AV1 Annex A, and the audio object types of ISO/IEC 14496-3.
pub(super) fn profile_name(track: &streammill_media::Track) -> Option<&'static str> {
    match (track.codec, track.format) {
        (Codec::H264, Format::Video(video)) => Some(match video.profile {
            66 => "Baseline",
            77 => "Main",
            88 => "Extended",
            100 => "High",
            110 => "High 10",
            122 => "High 4:2:2",
            244 => "High 4:4:4",
            _ => return None,
        }),
        (Codec::Hevc, Format::Video(video)) => Some(match video.profile {
            1 => "Main",
            2 => "Main 10",
            3 => "Main Still Picture",
            4 => "Range Extensions",
            _ => return None,
        }),
        (Codec::Av1, Format::Video(video)) => Some(match video.profile {
            0 => "Main",
            1 => "High",
            2 => "Professional",
            _ => return None,
        }),
        (Codec::Vp9, Format::Video(video)) => Some(match video.profile {
            0 => "0",
            1 => "1",
            2 => "2",
            _ => "3",
        }),
        (Codec::Aac, Format::Audio(audio)) => Some(match audio.profile {
            1 => "Main",
            2 => "LC",
            5 => "HE",
            29 => "HEv2",
            _ => return None,
        }),
        _ => None,
    }
}

impl From<&Origin> for Publisher {
    fn from(origin: &Origin) -> Self {
        match origin {
            Origin::Rtmp { peer, software } => Self {
                protocol: "rtmp",
                address: peer.map(|peer| peer.to_string()),
                encoder: software.clone(),
            },
            Origin::Pipeline { template, .. } => Self {
                protocol: "pipeline",
                address: None,
                encoder: template.clone(),
            },
        }
    }
}
