//! The files of a presentation by name: `video.18f3a2b.media.m3u8`, `video.18f3a2b.init.1.mp4`, `video.18f3a2b.12.m4s`.
//!
//! The middle part names the presentation. A name therefore never means other bytes later, even when a stream of the
//! same key starts over at segment 0: caches may keep a segment for good, and a player that is still at an earlier
//! presentation is not given the playlist of another.

use std::{fmt, str::FromStr};

use streammill_media::MediaKind;

/// A file below `/APP/NAME/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The playlist of one track.
    Playlist {
        /// The track.
        track: TrackName,
        /// The presentation's number.
        presentation: u64,
    },
    /// An initialisation segment.
    Init {
        /// The track.
        track: TrackName,
        /// The presentation's number.
        presentation: u64,
        /// Its number within the track.
        number: u64,
    },
    /// A media segment.
    Segment {
        /// The track.
        track: TrackName,
        /// The presentation's number.
        presentation: u64,
        /// Its media sequence number.
        sequence: u64,
    },
}

/// A track of a presentation: `video`, `audio`, `video2`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackName {
    /// What it carries. Never [`MediaKind::Data`].
    kind: MediaKind,
    /// Which of its kind, from 0.
    index: u8,
}

impl TrackName {
    /// The name of the track number `index` of its kind; `None` for a kind that HLS does not carry as a track.
    pub fn new(kind: MediaKind, index: u8) -> Option<Self> {
        matches!(kind, MediaKind::Audio | MediaKind::Video).then_some(Self { kind, index })
    }

    /// What the track carries.
    pub fn kind(self) -> MediaKind {
        self.kind
    }
}

impl fmt::Display for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            MediaKind::Video => "video",
            MediaKind::Audio | MediaKind::Data => "audio",
        })?;
        match self.index {
            0 => Ok(()),
            index => write!(f, "{}", u16::from(index) + 1),
        }
    }
}

impl FromStr for TrackName {
    type Err = NotAResource;

    fn from_str(text: &str) -> Result<Self, NotAResource> {
        let (kind, number) = match (text.strip_prefix("video"), text.strip_prefix("audio")) {
            (Some(number), _) => (MediaKind::Video, number),
            (_, Some(number)) => (MediaKind::Audio, number),
            _ => return Err(NotAResource),
        };
        let index = match number {
            "" => 0,
            _ => number.parse::<u8>().map_err(|_| NotAResource)?.saturating_sub(1),
        };
        let name = Self { kind, index };
        // One name for one track: "video1", "video02" and "video+2" are none.
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(NotAResource)
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Playlist { track, presentation } => write!(f, "{track}.{presentation:x}.media.m3u8"),
            Self::Init {
                track,
                presentation,
                number,
            } => write!(f, "{track}.{presentation:x}.init.{number}.mp4"),
            Self::Segment {
                track,
                presentation,
                sequence,
            } => write!(f, "{track}.{presentation:x}.{sequence}.m4s"),
        }
    }
}

impl FromStr for Resource {
    type Err = NotAResource;

    fn from_str(text: &str) -> Result<Self, NotAResource> {
        // Nothing we name is longer, and six parts are one more than the longest name has.
        let parts: Vec<&str> = text.splitn(6, '.').collect();
        let decimal = |text: &str| text.parse().map_err(|_| NotAResource);
        let hexadecimal = |text: &str| u64::from_str_radix(text, 16).map_err(|_| NotAResource);
        let resource = match *parts.as_slice() {
            [track, presentation, "media", "m3u8"] => Self::Playlist {
                track: track.parse()?,
                presentation: hexadecimal(presentation)?,
            },
            [track, presentation, "init", number, "mp4"] => Self::Init {
                track: track.parse()?,
                presentation: hexadecimal(presentation)?,
                number: decimal(number)?,
            },
            [track, presentation, sequence, "m4s"] => Self::Segment {
                track: track.parse()?,
                presentation: hexadecimal(presentation)?,
                sequence: decimal(sequence)?,
            },
            _ => return Err(NotAResource),
        };
        if resource.to_string() == text {
            Ok(resource)
        } else {
            Err(NotAResource)
        }
    }
}

/// A text that names nothing in a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no file of an HLS presentation has this name")]
pub struct NotAResource;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_name_is_read_back_as_what_was_named() {
        let video = TrackName::new(MediaKind::Video, 0).unwrap();
        let second_audio = TrackName::new(MediaKind::Audio, 1).unwrap();
        for (resource, name) in [
            (
                Resource::Playlist {
                    track: video,
                    presentation: 0x18f,
                },
                "video.18f.media.m3u8",
            ),
            (
                Resource::Init {
                    track: second_audio,
                    presentation: 0x18f,
                    number: 2,
                },
                "audio2.18f.init.2.mp4",
            ),
            (
                Resource::Segment {
                    track: video,
                    presentation: 0xabc,
                    sequence: 12,
                },
                "video.abc.12.m4s",
            ),
        ] {
            assert_eq!(resource.to_string(), name);
            assert_eq!(name.parse(), Ok(resource));
        }
    }

    #[test]
    fn nothing_else_is_a_name() {
        for name in [
            "",
            "video.m3u8",
            "video1.a1.media.m3u8",
            "video02.a1.media.m3u8",
            "video300.a1.media.m3u8",
            "video.media.m3u8",
            "video.a1.media.m3u8.",
            "data.a1.media.m3u8",
            "video.ABC.12.m4s",
            "video.abc.+12.m4s",
            "video.abc.012.m4s",
            "video.abc.99999999999999999999999.m4s",
            "video.abc.init.1.mp4.mp4",
            "../video.a1.media.m3u8",
        ] {
            assert_eq!(name.parse::<Resource>(), Err(NotAResource), "{name:?}");
        }
    }
}
