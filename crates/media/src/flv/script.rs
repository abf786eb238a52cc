//! Script data: `onMetaData` (E.5), the one message that FLV readers look into.
//!
//! Metadata is a claim of the sender, often stale and sometimes false, so reading never fails: what can be read is a
//! hint about tracks to come, and decoder configurations overrule it.

use bytes::Bytes;

use super::{
    FourCc,
    amf::{ScriptBody, Value, Walker},
};
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

/// E.4.3.1 `CodecID` and E.4.2.1 `SoundFormat`, or the FourCC as a number ("Enhanced RTMP" v2, "Enhancing onMetaData").
fn codec_id(codec: Codec) -> f64 {
    match codec {
        Codec::H264 => 7.0,
        Codec::Aac => 10.0,
        Codec::Mp3 => 2.0,
        other => FourCc::of(other).number().into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::TrackId;

    fn tracks() -> [Track; 2] {
        let avcc =
            b"\x01\x4d\x40\x1e\xff\xe1\x00\x18\x67\x4d\x40\x1e\xf4\x05\xa1\x26\xc1\x04\x00\x00\x03\x00\x04\x00\x00\
            \x03\x00\xc8\x7c\x50\xaa\x80\x01\x00\x04\x68\xde\x0f\xc8";
        [
            Track::from_config(TrackId(0), Codec::H264, Bytes::from_static(avcc)).unwrap(),
            Track::from_config(TrackId(0), Codec::Aac, Bytes::from_static(b"\x12\x10")).unwrap(),
        ]
    }

    #[test]
    fn built_metadata_says_what_the_tracks_are() {
        let [video, audio] = tracks();
        let both = parse_meta(&on_meta_data(&[audio.clone(), video.clone()]));
        let expected = Meta {
            audio: true,
            video: true,
            width: Some(720),
            height: Some(576),
            frame_rate: Some(25.0),
        };
        assert_eq!(both, expected);
        assert_eq!(
            parse_meta(&on_meta_data(&[audio])),
            Meta {
                audio: true,
                ..Meta::default()
            }
        );
        assert_eq!(
            parse_meta(&on_meta_data(&[video])),
            Meta {
                audio: false,
                ..expected
            }
        );
    }

    /// An ECMA array with these properties, values in AMF0 already.
    fn meta_of(properties: &[(&str, &[u8])]) -> Meta {
        let mut body = b"\x02\0\x0aonMetaData\x08\0\0\0\0".to_vec();
        for (key, value) in properties {
            body.extend_from_slice(&(key.len() as u16).to_be_bytes());
            body.extend_from_slice(key.as_bytes());
            body.extend_from_slice(value);
        }
        body.extend_from_slice(b"\0\0\x09");
        parse_meta(&body)
    }

    const ONE: &[u8] = b"\0\x3f\xf0\0\0\0\0\0\0";
    const ZERO: &[u8] = b"\0\0\0\0\0\0\0\0\0";

    #[test]
    fn a_codec_may_be_a_number_or_a_name() {
        assert!(meta_of(&[("videocodecid", ONE)]).video);
        assert!(meta_of(&[("audiocodecid", b"\x02\0\x04mp4a")]).audio);
        assert!(!meta_of(&[("audiocodecid", b"\x02\0\0")]).audio);
        assert!(meta_of(&[("hasVideo", b"\x01\x01")]).video);
    }

    #[test]
    fn a_codec_id_of_zero_declares_nothing() {
        let meta = meta_of(&[("audiocodecid", ZERO), ("videocodecid", ONE)]);
        assert_eq!((meta.audio, meta.video), (false, true));
    }

    #[test]
    fn absurd_sizes_are_not_believed() {
        let nan = b"\0\x7f\xf8\0\0\0\0\0\0";
        let minus_one = b"\0\xbf\xf0\0\0\0\0\0\0";
        let meta = meta_of(&[("width", nan), ("height", minus_one), ("framerate", nan), ("fps", ZERO)]);
        assert_eq!(meta, Meta::default());
    }

    #[test]
    fn every_kind_of_value_is_walked_past() {
        let values: [&[u8]; 9] = [
            b"\x03\0\x01a\x05\0\0\x09",
            b"\x08\0\0\0\x01\0\x01a\x06\0\0\x09",
            b"\x0a\0\0\0\x02\x05\x01\x00",
            b"\x0b\0\0\0\0\0\0\0\0\0\0",
            b"\x0c\0\0\0\x03abc",
            b"\x07\0\x01",
            b"\x05",
            b"\x06",
            b"\x02\0\x01x",
        ];
        for value in values {
            assert!(meta_of(&[("other", value), ("videocodecid", ONE)]).video, "{value:?}");
        }
    }

    #[test]
    fn what_stands_before_the_damage_is_kept() {
        let body = on_meta_data(&tracks());
        let cut = parse_meta(&body[..body.len() - 5]);
        assert_eq!((cut.width, cut.video), (Some(720), true));
        let odd = meta_of(&[("videocodecid", ONE), ("x", b"\xff"), ("audiocodecid", ONE)]);
        assert_eq!((odd.audio, odd.video), (false, true));
    }

    #[test]
    fn depth_and_counts_are_bounded() {
        let deep = b"\x03\0\x01a".repeat(50_000);
        assert_eq!(meta_of(&[("deep", &deep)]), Meta::default());
        assert_eq!(meta_of(&[("many", b"\x0a\xff\xff\xff\xff\x05")]), Meta::default());
    }

    #[test]
    fn only_on_meta_data_is_metadata() {
        assert!(is_meta(b"\x02\0\x0aonMetaData"));
        assert!(is_meta(b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData"));
        for body in [&b"\x02\0\x0aonTextData"[..], b"\x02\0\x0aonMeta", b"", b"\0\0"] {
            assert!(!is_meta(body));
        }
        let text = [
            &b"\x02\0\x0aonTextData\x08\0\0\0\0\0\x0cvideocodecid"[..],
            ONE,
            b"\0\0\x09",
        ]
        .concat();
        assert_eq!(parse_meta(&text), Meta::default());
    }
}
