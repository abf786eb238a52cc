//! The canned clip: three seconds of H.264 and AAC that every template has to get through.

use streammill_media::{
    Codec, Frame, FrameRole, MediaKind, MediaTime, Timeline, Track, TrackId,
    flv::{self, ReadError, Reader, TagError},
};

/// 160x90, 15 pictures a second with one reordered, a key frame a second; mono sound at 44.1 kHz.
const CLIP: &[u8] = include_bytes!("canned.flv");

/// A short piece of media.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Its tracks.
    pub tracks: Vec<Track>,
    /// Its coded frames, in decoding order.
    pub frames: Vec<Frame>,
}

impl Clip {
    /// The one that is built in.
    pub fn canned() -> Result<Self, ClipError> {
        Self::read(CLIP)
    }

    /// Only its tracks of these kinds.
    pub fn only(&self, kinds: &[MediaKind]) -> Self {
        Self {
            tracks: self
                .tracks
                .iter()
                .filter(|track| kinds.contains(&track.kind()))
                .cloned()
                .collect(),
            frames: self
                .frames
                .iter()
                .filter(|frame| kinds.contains(&frame.kind))
                .cloned()
                .collect(),
        }
    }

    fn read(flv: &[u8]) -> Result<Self, ClipError> {
        let mut reader = Reader::new(flv.len());
        let mut timeline = Timeline::new();
        let mut clip = Self {
            tracks: Vec::new(),
            frames: Vec::new(),
        };
        reader.push(flv);
        while let Some(tag) = reader.next_tag()? {
            let (codec, role, key, offset, header_len) = match tag.kind {
                MediaKind::Video => {
                    let video = flv::parse_video(&tag.body)?;
                    (
                        video.codec,
                        video.role,
                        video.key,
                        video.composition_offset,
                        video.header_len,
                    )
                }
                MediaKind::Audio => {
                    let audio = flv::parse_audio(&tag.body)?;
                    (audio.codec, audio.role, true, MediaTime::ZERO, audio.header_len)
                }
                MediaKind::Data => continue,
            };
            let dts = timeline.place(tag.kind, TrackId(0), role, tag.timestamp_ms).dts;
            let frame = Frame {
                kind: tag.kind,
                track: TrackId(0),
                role,
                key,
                dts,
                pts: dts + offset,
                tag: tag.body,
                header_len,
            };
            match role {
                FrameRole::Config => clip.tracks.push(track_of(codec, &frame)?),
                FrameRole::Coded => clip.frames.push(frame),
                FrameRole::End | FrameRole::Properties => {}
            }
        }
        Ok(clip)
    }
}

fn track_of(codec: Codec, frame: &Frame) -> Result<Track, ClipError> {
    Ok(Track::from_config(frame.track, codec, frame.data())?)
}

/// Why a clip cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// The file.
    #[error(transparent)]
    File(#[from] ReadError),
    /// A tag in it.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// A decoder configuration in it.
    #[error(transparent)]
    Config(#[from] streammill_media::codec::ConfigError),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_clip_has_both_tracks_and_begins_with_a_key_frame() {
        let clip = Clip::canned().unwrap();
        assert_eq!(clip.tracks.len(), 2);
        let video: Vec<_> = clip
            .frames
            .iter()
            .filter(|frame| frame.kind == MediaKind::Video)
            .collect();
        assert_eq!((video.len(), video[0].key), (45, true));
        assert!(
            video.iter().any(|frame| frame.pts > frame.dts),
            "nothing in it is reordered"
        );
        assert!(CLIP.len() <= 60 << 10);
    }
}
