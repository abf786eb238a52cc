//! Tracks: what elementary streams a publication is made of.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use crate::codec::{
    ConfigError,
    aac::AudioSpecificConfig,
    ac3,
    av1::{self, Av1Config, SequenceHeader},
    flac::StreamInfo,
    h264::{AvcConfig, Sps},
    hevc::HvcConfig,
    mp3,
    opus::OpusHead,
    vpx::{self, VpConfig},
};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackId(pub u8);

/// Which track of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrackKey {
    /// What it carries.
    pub kind: MediaKind,
    /// Its number within its kind.
    pub id: TrackId,
}

impl TrackKey {
    /// The first track of a kind.
    pub fn first(kind: MediaKind) -> Self {
        Self { kind, id: TrackId(0) }
    }
}

/// As pads are named: `video`, `audio`, and further ones with their number, `audio_1`.
impl fmt::Display for TrackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Data => "data",
        })?;
        match self.id {
            TrackId(0) => Ok(()),
            TrackId(number) => write!(f, "_{number}"),
        }
    }
}

/// The reverse of its display.
impl FromStr for TrackKey {
    type Err = NoTrackKey;

    fn from_str(text: &str) -> Result<Self, NoTrackKey> {
        let (kind, number) = match text.split_once('_') {
            Some((kind, number)) => (kind, number.parse().map_err(|_| NoTrackKey)?),
            None => (text, 0),
        };
        let kind = match kind {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            _ => return Err(NoTrackKey),
        };
        Ok(Self {
            kind,
            id: TrackId(number),
        })
    }
}

/// A text that names no track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a track is called audio or video, and from the second on audio_1 or video_1")]
pub struct NoTrackKey;

/// The coding of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Codec {
    /// H.264 / AVC, length-prefixed NAL units, `avcC` configuration.
    H264,
    /// AAC, raw frames, AudioSpecificConfig.
    Aac,
    /// MPEG-1/2 layer 3 audio; it has no configuration record.
    Mp3,
    /// H.265 / HEVC, length-prefixed NAL units, `hvcC` configuration.
    Hevc,
    /// AV1, temporal units of OBUs with sizes, `av1C` configuration.
    Av1,
    /// VP8, `vpcC` configuration.
    Vp8,
    /// VP9, `vpcC` configuration.
    Vp9,
    /// Opus packets, `OpusHead` configuration.
    Opus,
    /// FLAC frames, `fLaC` and STREAMINFO configuration.
    Flac,
    /// AC-3 frames; they describe themselves.
    Ac3,
    /// E-AC-3 frames; they describe themselves.
    Eac3,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::H264,
        Self::Aac,
        Self::Mp3,
        Self::Hevc,
        Self::Av1,
        Self::Vp8,
        Self::Vp9,
        Self::Opus,
        Self::Flac,
        Self::Ac3,
        Self::Eac3,
    ];

    /// What a track of this coding carries.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::H264 | Self::Hevc | Self::Av1 | Self::Vp8 | Self::Vp9 => MediaKind::Video,
            Self::Aac | Self::Mp3 | Self::Opus | Self::Flac | Self::Ac3 | Self::Eac3 => MediaKind::Audio,
        }
    }
}

/// One elementary stream, as its decoder configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
            Codec::Hevc => {
                let hevc = HvcConfig::parse(&config)?;
                Format::Video(VideoFormat {
                    width: hevc.sps.width,
                    height: hevc.sps.height,
                    frame_rate: hevc.frame_rate(),
                    profile: hevc.profile,
                    constraints: 0,
                    level: hevc.level,
                })
            }
            Codec::Av1 => {
                let av1 = Av1Config::parse(&config)?;
                av1_format(&av1, av1.sequence.ok_or(ConfigError::NoSize)?)
            }
            Codec::Vp8 | Codec::Vp9 => {
                VpConfig::parse(&config)?;
                return Err(ConfigError::NoSize);
            }
            Codec::Aac => Format::Audio(AudioSpecificConfig::parse(&config)?.format()),
            Codec::Opus => Format::Audio(OpusHead::parse(&config)?.format()),
            Codec::Flac => Format::Audio(StreamInfo::parse(&config)?.format()),
            Codec::Mp3 | Codec::Ac3 | Codec::Eac3 => return Err(ConfigError::NoRecord(codec)),
        };
        Ok(Self {
            id,
            codec,
            config,
            format,
        })
    }

    /// From a frame a decoder can start at, for what its configuration record leaves out, or if it has none: `config` is
    /// empty then.
    pub fn from_frame(id: TrackId, codec: Codec, config: Bytes, frame: &[u8]) -> Result<Self, ConfigError> {
        let vp_format = |(width, height)| {
            let (profile, level) = VpConfig::parse(&config).map_or((0, 0), |vp| (vp.profile, vp.level));
            Format::Video(VideoFormat {
                width,
                height,
                frame_rate: None,
                profile,
                constraints: 0,
                level,
            })
        };
        let format = match codec {
            Codec::Mp3 => Format::Audio(mp3::parse_header(frame)?),
            Codec::Ac3 => Format::Audio(ac3::parse_ac3(frame)?),
            Codec::Eac3 => Format::Audio(ac3::parse_eac3(frame)?),
            Codec::Vp8 => vp_format(vpx::vp8_size(frame)?),
            Codec::Vp9 => vp_format(vpx::vp9_size(frame)?),
            Codec::Av1 => {
                let av1 = Av1Config::parse(&config)?;
                let sequence = av1::sequence_header(frame)?.or(av1.sequence);
                av1_format(&av1, sequence.ok_or(ConfigError::NoSize)?)
            }
            Codec::Opus if config.is_empty() => return Self::from_config(id, codec, OpusHead::of_packet(frame)?),
            Codec::H264 | Codec::Hevc | Codec::Aac | Codec::Opus | Codec::Flac => {
                return Self::from_config(id, codec, config);
            }
        };
        Ok(Self {
            id,
            codec,
            config,
            format,
        })
    }

    /// The name of the coding in playlists and MIME types (RFC 6381 §3.3): `avc1.64001f`, `mp4a.40.2`.
    pub fn rfc6381(&self) -> String {
        // A track is only made from a record that can be read.
        let unreadable = |entry: &str| entry.to_owned();
        match (self.codec, self.format) {
            (Codec::Hevc, _) => HvcConfig::parse(&self.config).map_or(unreadable("hvc1"), |hevc| hevc.rfc6381()),
            (Codec::Av1, _) => Av1Config::parse(&self.config).map_or(unreadable("av01"), |av1| av1.rfc6381()),
            (Codec::Vp8, _) => VpConfig::parse(&self.config).map_or(unreadable("vp08"), |vp| vp.rfc6381("vp08")),
            (Codec::Vp9, _) => VpConfig::parse(&self.config).map_or(unreadable("vp09"), |vp| vp.rfc6381("vp09")),
            (Codec::Opus, _) => "opus".to_owned(),
            (Codec::Flac, _) => "fLaC".to_owned(),
            (Codec::Ac3, _) => "ac-3".to_owned(),
            (Codec::Eac3, _) => "ec-3".to_owned(),
            (_, Format::Video(video)) => {
                format!("avc1.{:02x}{:02x}{:02x}", video.profile, video.constraints, video.level)
            }
            (_, Format::Audio(audio)) => format!("mp4a.40.{}", audio.profile),
        }
    }

    /// Which track it is.
    pub fn key(&self) -> TrackKey {
        TrackKey {
            kind: self.kind(),
            id: self.id,
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

fn av1_format(av1: &Av1Config, sequence: SequenceHeader) -> Format {
    Format::Video(VideoFormat {
        width: sequence.width,
        height: sequence.height,
        frame_rate: sequence.frame_rate,
        profile: av1.profile,
        constraints: 0,
        level: av1.level,
    })
}

/// Picture or sound properties of a [`Track`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Format {
    /// Of a video track.
    Video(VideoFormat),
    /// Of an audio track.
    Audio(AudioFormat),
}

/// What a video decoder configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    fn a_track_is_called_as_its_pad() {
        for name in ["audio", "video", "audio_1", "video_255"] {
            assert_eq!(name.parse::<TrackKey>().unwrap().to_string(), name);
        }
        for name in ["", "data", "audio_", "audio_256", "audio_x", "video1"] {
            assert_eq!(name.parse::<TrackKey>(), Err(NoTrackKey), "{name:?}");
        }
    }

    #[test]
    fn mp3_needs_its_first_frame() {
        let track = Track::from_frame(TrackId(0), Codec::Mp3, Bytes::new(), &[0xff, 0xfb, 0x90, 0x64, 0, 0]).unwrap();
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
    fn what_a_record_leaves_out_a_key_frame_tells() {
        let config = Bytes::from_static(b"\0\x1f\x82\x01\x01\x01\0\0");
        assert_eq!(
            Track::from_config(TrackId(0), Codec::Vp8, config.clone()),
            Err(ConfigError::NoSize)
        );
        let frame = b"\x10\x02\0\x9d\x01\x2a\x80\x02\xe0\x01";
        let track = Track::from_frame(TrackId(0), Codec::Vp8, config, frame).unwrap();
        let Format::Video(video) = track.format else {
            panic!("{track:?}")
        };
        assert_eq!(
            (video.width, video.height, track.rfc6381().as_str()),
            (640, 480, "vp08.00.31.08")
        );
    }

    #[test]
    fn opus_without_a_header_is_what_its_packets_say() {
        let track = Track::from_frame(TrackId(0), Codec::Opus, Bytes::new(), &[0xfc]).unwrap();
        let Format::Audio(audio) = track.format else {
            panic!("{track:?}")
        };
        assert_eq!((audio.sample_rate, audio.channels), (48_000, 2));
        assert!(track.config.starts_with(b"OpusHead"));
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
