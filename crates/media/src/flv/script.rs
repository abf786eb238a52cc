//! Script data: `onMetaData` (E.5), the one message that FLV readers look into.
//!
//! Metadata is a claim of the sender, often stale and sometimes false, so reading never fails: what can be read is a
//! hint about tracks to come, and decoder configurations overrule it.

use bytes::Bytes;

use super::amf::{ScriptBody, Value, Walker};
use crate::{Codec, Format, Track};

const ON_META_DATA: &[u8] = b"onMetaData";
/// RTMP publishers put this name in front; the session strips it, files written by simple recorders keep it.
const SET_DATA_FRAME: &[u8] = b"@setDataFrame";
/// Larger numbers in metadata are no picture size.
const MAX_DIMENSION: f64 = 65_535.0;
const MAX_FRAME_RATE: f64 = 1_000.0;

/// What an `onMetaData` message claims.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Meta {
    /// There will be sound.
    pub audio: bool,
    /// There will be pictures.
    pub video: bool,
    /// Width of the pictures.
    pub width: Option<u32>,
    /// Height of the pictures.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<f64>,
}

/// The `onMetaData` body that describes these tracks: for streams whose sender gives none.
pub fn on_meta_data(tracks: &[Track]) -> Bytes {
    let mut body = ScriptBody::new("onMetaData");
    describe(tracks, &mut body);
    body.finish().freeze()
}

/// Whether this script body is an `onMetaData` message.
pub fn is_meta(body: &[u8]) -> bool {
    read_name(&mut Walker::new(body)) == Some(ON_META_DATA)
}

/// Reads what it can of an `onMetaData` body; of any other body, nothing.
pub fn parse_meta(body: &[u8]) -> Meta {
    let mut meta = Meta::default();
    let mut walker = Walker::new(body);
    if read_name(&mut walker) == Some(ON_META_DATA) {
        // Where the properties end early, those before stand.
        let _ = walker.properties(|key, value| meta.take(key, value));
    }
    meta
}

fn read_name<'a>(walker: &mut Walker<'a>) -> Option<&'a [u8]> {
    match walker.string()? {
        SET_DATA_FRAME => walker.string(),
        name => Some(name),
    }
}

impl Meta {
    fn take(&mut self, key: &[u8], value: Value<'_>) {
        match key {
            b"audiocodecid" => self.audio |= declares(value),
            b"videocodecid" => self.video |= declares(value),
            b"hasAudio" => self.audio |= value == Value::Boolean(true),
            b"hasVideo" => self.video |= value == Value::Boolean(true),
            b"width" => self.width = dimension(value),
            b"height" => self.height = dimension(value),
            b"framerate" | b"fps" => match value {
                Value::Number(rate) if rate > 0.0 && rate <= MAX_FRAME_RATE => self.frame_rate = Some(rate),
                _ => {}
            },
            _ => {}
        }
    }
}

/// A codec id is a number, or a FourCC as text. Some senders write 0 for a track they do not have.
fn declares(value: Value<'_>) -> bool {
    match value {
        Value::Number(id) => id > 0.0,
        Value::String(name) => !name.is_empty(),
        Value::Boolean(_) | Value::Other => false,
    }
}

fn dimension(value: Value<'_>) -> Option<u32> {
    match value {
        Value::Number(size) if (1.0..=MAX_DIMENSION).contains(&size) => Some(size as u32),
        _ => None,
    }
}

/// Adds the properties of the first video and the first audio track.
pub(super) fn describe(tracks: &[Track], body: &mut ScriptBody) {
    let first = |wanted: fn(&Format) -> bool| tracks.iter().find(|track| wanted(&track.format));
    if let Some(Track {
        codec,
        format: Format::Video(video),
        ..
    }) = first(|f| matches!(f, Format::Video(_)))
    {
        body.number("width", video.width.into());
        body.number("height", video.height.into());
        if let Some((frames, seconds)) = video.frame_rate.filter(|(_, seconds)| *seconds > 0) {
            body.number("framerate", f64::from(frames) / f64::from(seconds));
        }
        body.number("videocodecid", codec_id(*codec));
    }
    if let Some(Track {
        codec,
        format: Format::Audio(audio),
        ..
    }) = first(|f| matches!(f, Format::Audio(_)))
    {
        body.number("audiosamplerate", audio.sample_rate.into());
        body.number("audiosamplesize", 16.0);
        body.boolean("stereo", audio.channels > 1);
        body.number("audiochannels", audio.channels.into());
        body.number("audiocodecid", codec_id(*codec));
    }
}

/// E.4.3.1 `CodecID` and E.4.2.1 `SoundFormat`.
fn codec_id(codec: Codec) -> f64 {
    match codec {
        Codec::H264 => 7.0,
        Codec::Aac => 10.0,
        Codec::Mp3 => 2.0,
    }
}
