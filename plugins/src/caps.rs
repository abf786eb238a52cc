//! Tracks as caps, and caps as tracks.
//!
//! The decoder configuration travels in the caps (`codec_data`), as GStreamer's muxers and decoders expect it for
//! length-prefixed H.264 and raw AAC; nothing is put into the stream itself.

use bytes::Bytes;
use streammill_media::{Codec, Format, Track, TrackId, codec::ConfigError};

/// The caps of a track's buffers.
pub fn caps_of_track(track: &Track) -> gst::Caps {
    let caps = match (track.codec, track.format) {
        (Codec::H264, Format::Video(video)) => {
            let mut caps = gst::Caps::builder("video/x-h264")
                .field("stream-format", "avc")
                .field("alignment", "au");
            if let (Ok(width), Ok(height)) = (i32::try_from(video.width), i32::try_from(video.height)) {
                caps = caps.field("width", width).field("height", height);
            }
            caps.field("codec_data", gst::Buffer::from_slice(track.config.clone()))
        }
        (Codec::Aac, Format::Audio(audio)) => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4i32)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("rate", i32::try_from(audio.sample_rate).unwrap_or(i32::MAX))
            .field("channels", i32::from(audio.channels))
            .field("codec_data", gst::Buffer::from_slice(track.config.clone())),
        (Codec::Mp3, Format::Audio(audio)) => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 1i32)
            .field("layer", 3i32)
            .field("parsed", true)
            .field("rate", i32::try_from(audio.sample_rate).unwrap_or(i32::MAX))
            .field("channels", i32::from(audio.channels)),
        // Codecs to come have to be named here before the elements can carry them.
        (codec, _) => gst::Caps::builder("application/x-streammill-unknown").field("codec", format!("{codec:?}")),
    };
    caps.build()
}

/// The track that caps describe: the inverse of [`caps_of_track`] for caps that hold a decoder configuration.
pub fn track_of_caps(caps: &gst::CapsRef, id: TrackId) -> Result<Track, CapsError> {
    let structure = caps.structure(0).ok_or(CapsError::Empty)?;
    let codec = match structure.name().as_str() {
        "video/x-h264" => Codec::H264,
        "audio/mpeg"
            if structure
                .get::<i32>("mpegversion")
                .is_ok_and(|version| matches!(version, 2 | 4)) =>
        {
            Codec::Aac
        }
        _ => return Err(CapsError::Codec { caps: caps.to_string() }),
    };
    let config = structure
        .get::<gst::Buffer>("codec_data")
        .map_err(|_| CapsError::NoCodecData { caps: caps.to_string() })?;
    let config = config.map_readable().map_err(|_| CapsError::Unreadable)?;
    Ok(Track::from_config(id, codec, Bytes::copy_from_slice(&config))?)
}

/// What `millsrc` gives.
pub(crate) fn source_caps(name: &str) -> gst::Caps {
    match name {
        "video" => gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .build(),
        _ => audio_caps(true),
    }
}

/// What `millsink` takes: streams as FLV carries them, and CMAF fragments for a host that packages them.
pub(crate) fn sink_caps(name: &str) -> gst::Caps {
    let mut caps = match name {
        "video" => source_caps(name),
        // An encoder's MP3 has no configuration record that could announce it.
        _ => audio_caps(false),
    };
    let cmaf = gst::Caps::builder("video/quicktime").field("variant", "cmaf").build();
    caps.merge(cmaf);
    caps
}

fn audio_caps(with_mp3: bool) -> gst::Caps {
    let mut caps = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4i32)
        .field("stream-format", "raw")
        .build();
    if with_mp3 {
        let mp3 = gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 1i32)
            .field("layer", 3i32)
            .build();
        caps.merge(mp3);
    }
    caps
}

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
    #[error("caps hold no codec_data: {caps}")]
    NoCodecData {
        /// The caps.
        caps: String,
    },
    /// The buffer with the configuration cannot be mapped.
    #[error("codec_data cannot be read")]
    Unreadable,
    /// The decoder configuration is not one.
    #[error("codec_data: {0}")]
    Config(#[from] ConfigError),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_aac_track_survives_the_way_through_caps() {
        gst::init().unwrap();
        // AAC-LC, 44.1 kHz, stereo.
        let track = Track::from_config(TrackId(0), Codec::Aac, Bytes::from_static(&[0x12, 0x10])).unwrap();
        let caps = caps_of_track(&track);
        assert!(caps.can_intersect(&source_caps("audio")), "{caps}");
        assert_eq!(track_of_caps(&caps, TrackId(0)).unwrap(), track);
    }

    #[test]
    fn caps_without_a_decoder_configuration_are_refused() {
        gst::init().unwrap();
        let bare = source_caps("video");
        assert!(matches!(
            track_of_caps(&bare, TrackId(0)),
            Err(CapsError::NoCodecData { .. })
        ));
        let raw = gst::Caps::new_empty_simple("video/x-raw");
        assert!(matches!(track_of_caps(&raw, TrackId(0)), Err(CapsError::Codec { .. })));
    }
}
