//! Tracks: what elementary streams a publication is made of.

use bytes::Bytes;

use crate::codec::{
    ConfigError,
    aac::AudioSpecificConfig,
    h264::{AvcConfig, Sps},
    mp3,
};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// AMF0 data messages (`onMetaData`, `onTextData`, …).
    Data,
}

/// The number of a track within its kind. The only track of a kind is number 0, as in Enhanced RTMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u8);

/// The coding of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// H.264 / AVC, length-prefixed NAL units, `avcC` configuration.
    H264,
    /// AAC, raw frames, AudioSpecificConfig.
    Aac,
    /// MPEG-1/2 layer 3 audio; it has no configuration record.
    Mp3,
}

impl Codec {
    /// What a track of this coding carries.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::H264 => MediaKind::Video,
            Self::Aac | Self::Mp3 => MediaKind::Audio,
        }
    }
}

/// One elementary stream, as its decoder configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its number within its kind.
    pub id: TrackId,
    /// Its coding.
    pub codec: Codec,
    /// The decoder configuration record (`avcC`, AudioSpecificConfig), without any FLV header.
    pub config: Bytes,
    /// What the configuration says about the pictures or the sound.
    pub format: Format,
}

impl Track {
    /// From a decoder configuration record, as it follows the FLV codec header.
    pub fn from_config(id: TrackId, codec: Codec, config: Bytes) -> Result<Self, ConfigError> {
        let format = match codec {
            Codec::H264 => {
                let avc = AvcConfig::parse(&config)?;
                let sps = Sps::parse(avc.sps.first().ok_or(ConfigError::NoSps)?)?;
                Format::Video(VideoFormat {
                    width: sps.width,
                    height: sps.height,
                    frame_rate: sps.frame_rate,
                    profile: sps.profile,
                    constraints: sps.constraints,
                    level: sps.level,
                })
            }
            Codec::Aac => Format::Audio(AudioSpecificConfig::parse(&config)?.format()),
            Codec::Mp3 => return Err(ConfigError::NoRecord(codec)),
        };
        Ok(Self {
            id,
            codec,
            config,
            format,
        })
    }

    /// From the first frame of an MP3 stream, which has no configuration record.
    pub fn mp3(id: TrackId, frame: &[u8]) -> Result<Self, ConfigError> {
        let format = Format::Audio(mp3::parse_header(frame)?);
        Ok(Self {
            id,
            codec: Codec::Mp3,
            config: Bytes::new(),
            format,
        })
    }

    /// The name of the coding in playlists and MIME types (RFC 6381 §3.3): `avc1.64001f`, `mp4a.40.2`.
    pub fn rfc6381(&self) -> String {
        match self.format {
            Format::Video(video) => format!("avc1.{:02x}{:02x}{:02x}", video.profile, video.constraints, video.level),
            Format::Audio(audio) => format!("mp4a.40.{}", audio.profile),
        }
    }

    /// What the track carries.
    pub fn kind(&self) -> MediaKind {
        match self.format {
            Format::Video(_) => MediaKind::Video,
            Format::Audio(_) => MediaKind::Audio,
        }
    }
}

/// Picture or sound properties of a [`Track`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Of a video track.
    Video(VideoFormat),
    /// Of an audio track.
    Audio(AudioFormat),
}

/// What a video decoder configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Displayed width in pixels, cropping applied.
    pub width: u32,
    /// Displayed height in pixels, cropping applied.
    pub height: u32,
    /// Frames per second as numerator and denominator, where the configuration tells.
    pub frame_rate: Option<(u32, u32)>,
    /// The codec's own profile number (H.264: `profile_idc`).
    pub profile: u8,
    /// The codec's constraint flags byte (H.264: `constraint_set*_flag`s).
    pub constraints: u8,
    /// The codec's own level number (H.264: `level_idc`).
    pub level: u8,
}

/// What an audio decoder configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Samples per second of the decoded sound (after SBR, where it is signalled).
    pub sample_rate: u32,
    /// Number of channels of the decoded sound.
    pub channels: u8,
    /// The codec's own profile number (AAC: audio object type).
    pub profile: u8,
    /// Samples per channel in one coded frame at `sample_rate`.
    pub samples_per_frame: u32,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const AVCC: &[u8] =
        b"\x01\x64\x00\x1e\xff\xe1\x00\x1a\x67\x64\x00\x1e\xac\xd9\x40\xa0\x2f\xf9\x70\x11\x00\x00\x03\x00\
        \x01\x00\x00\x03\x00\x3c\x0f\x16\x2d\x96\x01\x00\x07\x68\xeb\xe3\xcb\x30\x02\xc0\xfd\xf8\xf8\x00";

    #[test]
    fn a_video_track_is_described_by_its_record() {
        let track = Track::from_config(TrackId(0), Codec::H264, Bytes::from_static(AVCC)).unwrap();
        assert_eq!(
            (track.kind(), track.rfc6381().as_str()),
            (MediaKind::Video, "avc1.64001e")
        );
        let Format::Video(video) = track.format else {
            panic!("{track:?}")
        };
        assert_eq!((video.width, video.height, video.frame_rate), (640, 360, Some((30, 1))));
    }

    #[test]
    fn an_audio_track_is_described_by_its_record() {
        let name = |config| {
            let track = Track::from_config(TrackId(1), Codec::Aac, Bytes::from_static(config)).unwrap();
            assert_eq!((track.kind(), track.id), (MediaKind::Audio, TrackId(1)));
            track.rfc6381()
        };
        assert_eq!(name(b"\x12\x10"), "mp4a.40.2");
        assert_eq!(name(b"\x2b\x11\x88\x00"), "mp4a.40.5");
        assert_eq!(name(b"\xeb\x09\x88\x00"), "mp4a.40.29");
    }

    #[test]
    fn mp3_needs_its_first_frame() {
        let track = Track::mp3(TrackId(0), &[0xff, 0xfb, 0x90, 0x64, 0, 0]).unwrap();
        assert_eq!(
            (track.codec, track.rfc6381().as_str(), track.config.len()),
            (Codec::Mp3, "mp4a.40.34", 0)
        );
        assert_eq!(
            Track::from_config(TrackId(0), Codec::Mp3, Bytes::new()),
            Err(ConfigError::NoRecord(Codec::Mp3))
        );
    }

    #[test]
    fn a_record_without_sps_makes_no_track() {
        let empty = Bytes::from_static(b"\x01\x64\x00\x1e\xff\xe0\x00");
        assert_eq!(
            Track::from_config(TrackId(0), Codec::H264, empty),
            Err(ConfigError::NoSps)
        );
    }
}
