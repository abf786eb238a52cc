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
