//! What becomes of a publisher's `onMetaData` before players see it.
//!
//! Some players size their windows by it, some encoders put things into it that are nobody's business. So an operator
//! chooses: pass it on, pass on what describes the media, or nothing.

use bytes::Bytes;
use streammill_rtmp::amf::{self, Value};

use crate::config::Metadata;

/// What describes the media, by the names that encoders use.
const DESCRIPTIVE: &[&str] = &[
    "width",
    "height",
    "displayWidth",
    "displayHeight",
    "duration",
    "framerate",
    "fps",
    "videodatarate",
    "videocodecid",
    "audiodatarate",
    "audiocodecid",
    "audiosamplerate",
    "audiosamplesize",
    "audiochannels",
    "stereo",
    "profile",
    "level",
];

/// What describes tracks from the second on ("Enhanced RTMP" v2, "Enhancing onMetaData").
const TRACKS: &[&str] = &["audioTrackIdInfoMap", "videoTrackIdInfoMap"];

/// The data message as players are to get it. Other messages than `onMetaData` are passed on as they are.
pub(super) fn apply(policy: Metadata, message: Bytes) -> Option<Bytes> {
    // AMF0 string marker, length 10, then the name (AMF0 §2.4).
    if !message.starts_with(b"\x02\x00\x0aonMetaData") {
        return Some(message);
    }
    match policy {
        Metadata::Copy => Some(message),
        Metadata::Off => None,
        // What is not understood cannot be told from what should be left out.
        Metadata::Rebuild => amf::decode(&message).ok().map(|values| rebuild(&values)),
    }
}

fn rebuild(values: &[Value]) -> Bytes {
    let server = concat!("streammill/", env!("CARGO_PKG_VERSION"));
    let mut properties = vec![("Server".to_owned(), Value::string(server))];
    if let Some(Value::Object(said) | Value::EcmaArray(said)) = values.get(1) {
        let descriptive = said.iter().filter(|(name, value)| match value {
            Value::Number(_) | Value::Boolean(_) | Value::String(_) => DESCRIPTIVE.contains(&name.as_str()),
            Value::Object(_) | Value::EcmaArray(_) => TRACKS.contains(&name.as_str()),
            _ => false,
        });
        properties.extend(descriptive.cloned());
    }
    amf::encode(&[Value::string("onMetaData"), Value::EcmaArray(properties)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn said() -> Bytes {
        let properties = [("width", Value::Number(640.0)), ("secret", Value::string("x"))];
        let properties = properties.map(|(name, value)| (name.to_owned(), value)).to_vec();
        amf::encode(&[Value::string("onMetaData"), Value::EcmaArray(properties)])
    }

    #[test]
    fn it_is_passed_on_told_anew_or_left_out() {
        assert_eq!(apply(Metadata::Copy, said()), Some(said()));
        assert_eq!(apply(Metadata::Off, said()), None);
        let rebuilt = amf::decode(&apply(Metadata::Rebuild, said()).unwrap()).unwrap();
        assert_eq!(rebuilt[1].property("width"), Some(&Value::Number(640.0)));
        assert!(rebuilt[1].property("Server").is_some());
        assert_eq!(rebuilt[1].property("secret"), None);
    }

    #[test]
    fn other_data_is_passed_on_whatever_the_choice() {
        let text = amf::encode(&[Value::string("onTextData"), Value::string("x")]);
        for policy in [Metadata::Copy, Metadata::Rebuild, Metadata::Off] {
            assert_eq!(apply(policy, text.clone()), Some(text.clone()));
        }
    }
}
