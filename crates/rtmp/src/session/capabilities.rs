//! What the ends of a connection can do beyond RTMP 1.0 ("Enhanced RTMP" v2, "Enhancing NetConnection connect Command").
//!
//! A client says in `connect` which codings it reads or writes and which extensions it follows; a server answers in kind.

use crate::amf::Value;

/// A four character codec name.
pub type FourCc = [u8; 4];

/// What a client announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    is_announced: bool,
    /// `fourCcList`, which does not tell sound from pictures.
    listed: Names,
    video: Names,
    audio: Names,
    extensions: Extensions,
}

/// Codings by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    /// `*`
    any: bool,
    names: Vec<FourCc>,
}

/// `capsEx`: what a client follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions(u32);

impl Extensions {
    const RECONNECT: u32 = 1;
    const MULTITRACK: u32 = 2;
    const MOD_EX: u32 = 4;
    const TIMESTAMP_NANO_OFFSET: u32 = 8;

    /// All that this crate's ends know of.
    pub const ALL: Self = Self(Self::RECONNECT | Self::MULTITRACK | Self::MOD_EX | Self::TIMESTAMP_NANO_OFFSET);

    /// It connects anew when it is asked to.
    pub fn reconnect(self) -> bool {
        self.0 & Self::RECONNECT != 0
    }

    /// It takes messages of further tracks.
    pub fn multitrack(self) -> bool {
        self.0 & Self::MULTITRACK != 0
    }

    /// It reads messages with times finer than a millisecond.
    pub fn nano_offset(self) -> bool {
        let both = Self::MOD_EX | Self::TIMESTAMP_NANO_OFFSET;
        self.0 & both == both
    }
}

/// Most names that are remembered; there are a dozen codings.
const MAX_NAMES: usize = 32;
/// `FourCcInfoMask`.
const CAN_DECODE: u32 = 1;
const CAN_FORWARD: u32 = 4;

/// The codings that this crate's ends announce.
const VIDEO: [&str; 5] = ["avc1", "hvc1", "av01", "vp08", "vp09"];
const AUDIO: [&str; 6] = ["mp4a", ".mp3", "Opus", "fLaC", "ac-3", "ec-3"];

impl Capabilities {
    /// From the command object of `connect`.
    pub(super) fn of_connect(object: Option<&Value>) -> Self {
        let property = |name: &str| object.and_then(|object| object.property(name));
        let list = property("fourCcList");
        let (video, audio) = (property("videoFourCcInfoMap"), property("audioFourCcInfoMap"));
        let extensions = property("capsEx").and_then(Value::as_number);
        Self {
            is_announced: list.or(video).or(audio).is_some() || extensions.is_some(),
            listed: list.map(Names::of_list).unwrap_or_default(),
            video: video.map(Names::of_map).unwrap_or_default(),
            audio: audio.map(Names::of_map).unwrap_or_default(),
            // Whatever number it is, `as` holds it within range.
            extensions: Extensions(extensions.map_or(0, |number| number as u32)),
        }
    }

    /// It announced something. Who announces nothing may be of before Enhanced RTMP, or just not say.
    pub fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// It reads, or passes on, pictures of this coding.
    pub fn takes_video(&self, codec: FourCc) -> bool {
        self.video.has(codec) || self.listed.has(codec)
    }

    /// It reads, or passes on, sound of this coding.
    pub fn takes_audio(&self, codec: FourCc) -> bool {
        self.audio.has(codec) || self.listed.has(codec)
    }

    /// What it follows.
    pub fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// The properties with which one of our ends announces all it can do.
    pub(super) fn announcement() -> Vec<(String, Value)> {
        let list = VIDEO.iter().chain(&AUDIO).map(|name| Value::string(*name)).collect();
        let map = |names: &[&str]| {
            let flags = Value::Number(f64::from(CAN_DECODE | CAN_FORWARD));
            Value::Object(names.iter().map(|name| ((*name).to_owned(), flags.clone())).collect())
        };
        vec![
            ("fourCcList".to_owned(), Value::StrictArray(list)),
            ("videoFourCcInfoMap".to_owned(), map(&VIDEO)),
            ("audioFourCcInfoMap".to_owned(), map(&AUDIO)),
            ("capsEx".to_owned(), Value::Number(Extensions::ALL.0.into())),
        ]
    }
}

impl Names {
    /// `["av01", "*"]`; some clients send an object with numbers for keys.
    fn of_list(list: &Value) -> Self {
        let mut names = Self::default();
        match list {
            Value::StrictArray(values) => values.iter().for_each(|value| names.add(value.as_str())),
            Value::Object(properties) | Value::EcmaArray(properties) => {
                properties.iter().for_each(|(_, value)| names.add(value.as_str()));
            }
            _ => {}
        }
        names
    }

    /// `{ "vp09": 1, "*": 4 }`
    fn of_map(map: &Value) -> Self {
        let mut names = Self::default();
        if let Value::Object(properties) | Value::EcmaArray(properties) = map {
            for (name, flags) in properties {
                let flags = flags.as_number().unwrap_or(0.0) as u32;
                if flags & (CAN_DECODE | CAN_FORWARD) != 0 {
                    names.add(Some(name));
                }
            }
        }
        names
    }

    fn add(&mut self, name: Option<&str>) {
        match name.map(str::as_bytes) {
            Some(b"*") => self.any = true,
            Some(&[a, b, c, d]) if self.names.len() < MAX_NAMES => self.names.push([a, b, c, d]),
            _ => {}
        }
    }

    fn has(&self, name: FourCc) -> bool {
        self.any || self.names.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(properties: Vec<(&str, Value)>) -> Capabilities {
        let owned = properties.into_iter().map(|(name, value)| (name.to_owned(), value));
        Capabilities::of_connect(Some(&Value::Object(owned.collect())))
    }

    fn map(entries: &[(&str, f64)]) -> Value {
        let entry = |(name, flags): &(&str, f64)| ((*name).to_owned(), Value::Number(*flags));
        Value::Object(entries.iter().map(entry).collect())
    }

    #[test]
    fn a_list_names_codings_of_either_kind() {
        let list = Value::StrictArray(vec![
            Value::string("hvc1"),
            Value::string("Opus"),
            Value::string("long"),
        ]);
        let it = announced(vec![("fourCcList", list)]);
        assert!(it.is_announced() && it.takes_video(*b"hvc1") && it.takes_audio(*b"Opus"));
        assert!(!it.takes_video(*b"av01") && !it.extensions().multitrack());
    }

    #[test]
    fn maps_count_only_what_is_read_or_passed_on() {
        let it = announced(vec![
            (
                "videoFourCcInfoMap",
                map(&[("av01", 1.0), ("vp09", 2.0), ("hvc1", 4.0)]),
            ),
            ("audioFourCcInfoMap", map(&[("*", 4.0)])),
        ]);
        assert!(it.takes_video(*b"av01") && it.takes_video(*b"hvc1"));
        assert!(!it.takes_video(*b"vp09"), "it can only write that");
        assert!(it.takes_audio(*b"fLaC"), "it passes everything on");
    }

    #[test]
    fn extensions_are_bits_and_nanoseconds_need_two() {
        let extensions = |number: f64| announced(vec![("capsEx", Value::Number(number))]).extensions();
        assert!(extensions(3.0).reconnect() && extensions(3.0).multitrack());
        assert!(!extensions(8.0).nano_offset() && extensions(12.0).nano_offset());
        for odd in [f64::NAN, -1.0, f64::INFINITY, 1e300] {
            let _ = extensions(odd);
        }
    }

    #[test]
    fn who_says_nothing_announced_nothing() {
        assert!(!announced(vec![("app", Value::string("live"))]).is_announced());
        assert!(!Capabilities::of_connect(None).is_announced());
        assert!(announced(vec![("capsEx", Value::Number(0.0))]).is_announced());
    }

    #[test]
    fn our_own_announcement_is_understood_by_our_own_kind() {
        let it = Capabilities::of_connect(Some(&Value::Object(Capabilities::announcement())));
        assert!(
            VIDEO
                .iter()
                .all(|name| it.takes_video(name.as_bytes().try_into().unwrap_or_default()))
        );
        assert!(
            AUDIO
                .iter()
                .all(|name| it.takes_audio(name.as_bytes().try_into().unwrap_or_default()))
        );
        assert_eq!(it.extensions(), Extensions::ALL);
    }
}
