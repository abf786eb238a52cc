//! The codecs that there are encoders for, and what templates and GStreamer call their parts.

use serde::{Deserialize, Serialize};

/// A codec there are encoders for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderCodec {
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    Hevc,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
    /// AAC.
    Aac,
    /// Opus.
    Opus,
}

/// Names of profiles in templates, and in GStreamer's caps.
pub(super) type Profiles = &'static [(&'static str, &'static [&'static str])];

impl EncoderCodec {
    /// Every codec.
    pub const ALL: [Self; 6] = [Self::H264, Self::Hevc, Self::Av1, Self::Vp9, Self::Aac, Self::Opus];

    /// As templates and configurations write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
            Self::Aac => "aac",
            Self::Opus => "opus",
        }
    }

    /// Whether it codes pictures.
    pub fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::Hevc | Self::Av1 | Self::Vp9)
    }

    /// The media type in caps.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::H264 => "video/x-h264",
            Self::Hevc => "video/x-h265",
            Self::Av1 => "video/x-av1",
            Self::Vp9 => "video/x-vp9",
            Self::Aac => "audio/mpeg",
            Self::Opus => "audio/x-opus",
        }
    }

    /// The profiles that a role can ask for.
    pub(super) fn profiles(self) -> Profiles {
        match self {
            // What is called baseline nearly always lacks what only baseline has, and is then the constrained one.
            Self::H264 => &[
                ("baseline", &["constrained-baseline", "baseline"]),
                ("main", &["main"]),
                ("high", &["high"]),
                ("high10", &["high-10"]),
                ("high422", &["high-4:2:2"]),
                ("high444", &["high-4:4:4"]),
            ],
            Self::Hevc => &[
                ("main", &["main"]),
                ("main10", &["main-10"]),
                ("main422-10", &["main-422-10"]),
                ("main444", &["main-444"]),
            ],
            Self::Av1 => &[
                ("main", &["main"]),
                ("high", &["high"]),
                ("professional", &["professional"]),
            ],
            Self::Vp9 => &[("0", &["0"]), ("1", &["1"]), ("2", &["2"]), ("3", &["3"])],
            Self::Aac | Self::Opus => &[],
        }
    }
}
