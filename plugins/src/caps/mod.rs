//! Tracks as caps, and caps as tracks.
//!
//! The decoder configuration travels in the caps, as GStreamer's muxers and decoders expect it: `codec_data` for records,
//! `streamheader` for what Ogg would put in front. Nothing is put into the stream itself.

mod from_track;
mod to_track;

use streammill_media::{ConfigError, MediaKind};

pub use from_track::caps_of_track;
pub use to_track::track_of_caps;

/// What `millsrc` gives.
pub(crate) fn source_caps(kind: MediaKind) -> gst::Caps {
    let texts = match kind {
        MediaKind::Video => VIDEO,
        MediaKind::Audio | MediaKind::Data => AUDIO,
    };
    let mut caps = gst::Caps::new_empty();
    for text in texts {
        // Constants of ours, which the tests have parsed.
        if let Ok(more) = text.parse::<gst::Caps>() {
            caps.merge(more);
        }
    }
    caps
}

/// What `millsink` takes: streams as Enhanced RTMP carries them, and for a host CMAF fragments to package and pictures to
/// show.
pub(crate) fn sink_caps(kind: MediaKind) -> gst::Caps {
    let mut caps = source_caps(kind);
    let cmaf = gst::Caps::builder("video/quicktime").field("variant", "cmaf").build();
    caps.merge(cmaf);
    if kind == MediaKind::Video {
        caps.merge(gst::Caps::new_empty_simple("image/jpeg"));
    }
    caps
}

const VIDEO: &[&str] = &[
    "video/x-h264, stream-format=avc, alignment=au",
    "video/x-h265, stream-format=hvc1, alignment=au",
    "video/x-av1, stream-format=obu-stream, alignment=tu",
    "video/x-vp8",
    "video/x-vp9",
];

const AUDIO: &[&str] = &[
    "audio/mpeg, mpegversion=4, stream-format=raw",
    "audio/mpeg, mpegversion=1, layer=3",
    "audio/x-opus",
    "audio/x-flac, framed=true",
    "audio/x-ac3, framed=true",
    "audio/x-eac3, framed=true",
];

/// Caps that describe no track.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CapsError {
    /// No structure at all.
    #[error("caps are empty or ANY")]
    Empty,
    /// A format that no stream can carry.
    #[error("a stream cannot carry {caps}")]
    Codec {
        /// The caps.
        caps: String,
    },
    /// The decoder configuration is missing.
    #[error("caps hold no decoder configuration: {caps}")]
    NoConfig {
        /// The caps.
        caps: String,
    },
    /// The coding describes itself in its frames, and the first one cannot be read.
    #[error("the first frame says nothing about the stream: {0}")]
    Frame(ConfigError),
    /// The buffer with the configuration cannot be mapped.
    #[error("the decoder configuration cannot be read")]
    Unreadable,
    /// The decoder configuration is not one.
    #[error("decoder configuration: {0}")]
    Config(ConfigError),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use streammill_media::{Codec, Track, TrackId};

    use super::*;

    fn track(codec: Codec, config: &'static [u8], frame: &[u8]) -> Track {
        Track::from_frame(TrackId(0), codec, Bytes::from_static(config), frame).unwrap()
    }

    /// One of each that is told whole by caps.
    fn tracks() -> Vec<Track> {
        let vpcc = b"\0\x1f\x82\x01\x01\x01\0\0";
        vec![
            track(Codec::Aac, b"\x12\x10", b""),
            track(Codec::Opus, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0", b""),
            track(
                Codec::Flac,
                b"fLaC\x80\0\0\x22\x12\x00\x12\x00\0\0\x0e\0\x2e\x6d\x0a\xc4\x42\xf0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\
                  \x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
                b"",
            ),
            track(
                Codec::Av1,
                b"\x81\x04\x0c\0\x0a\x0b\0\0\0\x24\xcf\xa7\x0d\xbf\xff\x30\x08",
                b"",
            ),
            track(Codec::Vp8, vpcc, b"\x10\x02\0\x9d\x01\x2a\x80\x02\xe0\x01"),
            track(Codec::Mp3, b"", &[0xff, 0xfb, 0x90, 0x64, 0, 0]),
            track(Codec::Ac3, b"", b"\x0b\x77\xfe\x95\x14\x40\x43\xe1"),
            track(Codec::Eac3, b"", b"\x0b\x77\x01\x7f\x34\x87\xc0\x00"),
        ]
    }

    #[test]
    fn the_pads_take_every_codec() {
        gst::init().unwrap();
        assert_eq!(source_caps(MediaKind::Video).size(), VIDEO.len());
        assert_eq!(source_caps(MediaKind::Audio).size(), AUDIO.len());
        for track in tracks() {
            let caps = caps_of_track(&track);
            assert!(caps.can_intersect(&source_caps(track.kind())), "{caps}");
            assert!(caps.can_intersect(&sink_caps(track.kind())), "{caps}");
        }
    }

    #[test]
    fn a_track_survives_the_way_through_caps() {
        gst::init().unwrap();
        let frames: [&[u8]; 3] = [
            b"\x10\x02\0\x9d\x01\x2a\x80\x02\xe0\x01",
            &[0xff, 0xfb, 0x90, 0x64, 0, 0],
            b"\x0b\x77\xfe\x95\x14\x40\x43\xe1",
        ];
        for track in tracks() {
            let frame = match track.codec {
                Codec::Vp8 => frames[0],
                Codec::Mp3 => frames[1],
                Codec::Ac3 => frames[2],
                Codec::Eac3 => b"\x0b\x77\x01\x7f\x34\x87\xc0\x00",
                _ => b"",
            };
            let caps = caps_of_track(&track);
            let again = track_of_caps(&caps, TrackId(0), frame).unwrap();
            // What a VP8 encoder's caps leave out is filled in with what holds for all of VP8.
            let expected = match track.codec {
                Codec::Vp8 => Codec::Vp8,
                _ => {
                    assert_eq!(again, track, "{caps}");
                    continue;
                }
            };
            assert_eq!((again.codec, again.rfc6381().as_str()), (expected, "vp08.00.00.08"));
        }
    }

    #[test]
    fn caps_without_a_decoder_configuration_are_refused() {
        gst::init().unwrap();
        let bare = "video/x-h264, stream-format=avc, alignment=au"
            .parse::<gst::Caps>()
            .unwrap();
        let result = track_of_caps(&bare, TrackId(0), b"");
        assert!(matches!(result, Err(CapsError::NoConfig { .. })), "{result:?}");
        let mp3 = "audio/mpeg, mpegversion=1, layer=3".parse::<gst::Caps>().unwrap();
        let result = track_of_caps(&mp3, TrackId(0), b"not one");
        assert!(matches!(result, Err(CapsError::Frame(_))), "{result:?}");
        let raw = gst::Caps::new_empty_simple("video/x-raw");
        let result = track_of_caps(&raw, TrackId(0), b"");
        assert!(matches!(result, Err(CapsError::Codec { .. })), "{result:?}");
    }
}
