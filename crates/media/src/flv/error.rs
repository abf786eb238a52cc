//! Why a tag body could not be taken.

use super::FourCc;

/// Why a tag body could not be taken.
///
/// [`Empty`](Self::Empty), [`Command`](Self::Command) and [`Reserved`](Self::Reserved) are no fault of the stream: real encoders send them. Callers
/// skip them (see [`is_ignorable`](Self::is_ignorable)); every other variant is worth telling the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// No body at all, or a codec header with nothing behind it. ffmpeg and OBS send such messages at start and end.
    #[error("empty tag body")]
    Empty,
    /// A seek command in place of a picture (video frame type 5). It means nothing outside Flash Player.
    #[error("video command frame {0}")]
    Command(u8),
    /// The body ends inside its codec header.
    #[error("tag body of {have} bytes ends inside its {need} byte {what}")]
    Truncated {
        /// The header that was cut.
        what: &'static str,
        /// Its length.
        need: usize,
        /// Bytes present.
        have: usize,
    },
    /// A legacy video codec that is not carried (E.4.3.1 `CodecID`).
    #[error("video codec {} ({id}) is not supported", video_codec_name(*.id))]
    VideoCodec {
        /// `CodecID`, 4 bits.
        id: u8,
    },
    /// A legacy audio codec that is not carried (E.4.2.1 `SoundFormat`).
    #[error("audio codec {} ({id}) is not supported", sound_format_name(*.id))]
    AudioCodec {
        /// `SoundFormat`, 4 bits.
        id: u8,
    },
    /// An Enhanced RTMP video message.
    #[error("Enhanced RTMP video codec {fourcc} is not supported")]
    EnhancedVideo {
        /// The codec it names.
        fourcc: FourCc,
    },
    /// An Enhanced RTMP audio message.
    #[error("Enhanced RTMP audio codec {fourcc} is not supported")]
    EnhancedAudio {
        /// The codec it names.
        fourcc: FourCc,
    },
    /// A message of several tracks, or with modifiers, that was not unpacked.
    #[error("several tracks or modifiers in one Enhanced RTMP message")]
    Packed,
    /// A packet type, or kind of multitrack message, that Enhanced RTMP keeps for later. Receivers have to pass over it.
    #[error("Enhanced RTMP packet type {0:#04x} is reserved")]
    Reserved(u8),
    /// A frame type outside 1–5 (E.4.3.1 `FrameType`).
    #[error("video frame type {0} is undefined")]
    FrameType(u8),
    /// A packet type outside the codec's (E.4.3.1 `AVCPacketType`, E.4.2.1 `AACPacketType`).
    #[error("{codec} packet type {value} is undefined")]
    PacketType {
        /// The codec.
        codec: &'static str,
        /// The byte read.
        value: u8,
    },
}

impl TagError {
    /// Nothing is wrong; there is only nothing to carry.
    pub fn is_ignorable(&self) -> bool {
        matches!(self, Self::Empty | Self::Command(_) | Self::Reserved(_))
    }
}

fn video_codec_name(id: u8) -> &'static str {
    match id {
        1 => "JPEG",
        2 => "Sorenson H.263",
        3 => "Screen video",
        4 => "On2 VP6",
        5 => "On2 VP6 with alpha",
        6 => "Screen video 2",
        7 => "AVC",
        8 => "H.263 (unofficial id)",
        9 => "MPEG-4 part 2 (unofficial id)",
        12 => "HEVC (unofficial id)",
        13 => "AV1 (unofficial id)",
        _ => "unknown",
    }
}

fn sound_format_name(id: u8) -> &'static str {
    match id {
        0 => "PCM, platform endian",
        1 => "ADPCM",
        2 => "MP3",
        3 => "PCM, little endian",
        4 => "Nellymoser 16 kHz",
        5 => "Nellymoser 8 kHz",
        6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        10 => "AAC",
        11 => "Speex",
        13 => "Opus (unofficial id)",
        14 => "MP3 8 kHz",
        15 => "device-specific",
        _ => "unknown",
    }
}
