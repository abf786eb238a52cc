//! Which elements read a coding: `parser` and `decoder` in a launch text.
//!
//! A template is written for pictures or sound, not for one coding of it. These two words stand for the elements that the
//! track at hand needs. As with encoders the table is plain data, and whether an element is installed is asked through a
//! closure.

use streammill_media::Codec;

/// An element and the properties it always gets, as launch text.
type Element = (&'static str, &'static str);

/// The elements for one coding.
struct Entry {
    codec: Codec,
    /// Brings frames into the form that muxers want. Some codings need nothing.
    parser: &'static str,
    /// In order of preference.
    decoders: &'static [Element],
}

/// More threads would only add latency: libav hands out a frame a thread later.
const LIBAV_VIDEO: &str = "max-threads=2";

const ENTRIES: &[Entry] = &[
    Entry {
        codec: Codec::H264,
        parser: "h264parse",
        decoders: &[("avdec_h264", LIBAV_VIDEO), ("openh264dec", "")],
    },
    Entry {
        codec: Codec::Hevc,
        parser: "h265parse",
        decoders: &[("avdec_h265", LIBAV_VIDEO), ("libde265dec", "")],
    },
    Entry {
        codec: Codec::Av1,
        parser: "av1parse",
        decoders: &[("dav1ddec", ""), ("av1dec", "")],
    },
    Entry {
        codec: Codec::Vp8,
        parser: "identity",
        decoders: &[("vp8dec", "")],
    },
    Entry {
        codec: Codec::Vp9,
        parser: "vp9parse",
        decoders: &[("vp9dec", "")],
    },
    Entry {
        codec: Codec::Aac,
        parser: "aacparse",
        decoders: &[("avdec_aac", ""), ("fdkaacdec", ""), ("faad", "")],
    },
    Entry {
        codec: Codec::Mp3,
        parser: "mpegaudioparse",
        decoders: &[("mpg123audiodec", ""), ("avdec_mp3", "")],
    },
    Entry {
        codec: Codec::Opus,
        parser: "opusparse",
        decoders: &[("opusdec", ""), ("avdec_opus", "")],
    },
    Entry {
        codec: Codec::Flac,
        parser: "flacparse",
        decoders: &[("flacdec", ""), ("avdec_flac", "")],
    },
    Entry {
        codec: Codec::Ac3,
        parser: "ac3parse",
        decoders: &[("avdec_ac3", ""), ("a52dec", "")],
    },
    Entry {
        codec: Codec::Eac3,
        parser: "ac3parse",
        decoders: &[("avdec_eac3", "")],
    },
];

/// The element that `parser` stands for.
pub fn parser(codec: Codec) -> &'static str {
    entry(codec).map_or("identity", |entry| entry.parser)
}

/// The element that `decoder` stands for, with its properties: the first one that is there, or else the preferred one, so
/// that the error says what to install.
pub fn decoder(codec: Codec, is_present: impl Fn(&str) -> bool) -> String {
    let decoders = entry(codec).map_or(&[][..], |entry| entry.decoders);
    let chosen = decoders
        .iter()
        .find(|(element, _)| is_present(element))
        .or(decoders.first());
    match chosen {
        Some((element, "")) => (*element).to_owned(),
        Some((element, properties)) => format!("{element} {properties}"),
        None => "decodebin".to_owned(),
    }
}

fn entry(codec: Codec) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.codec == codec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_has_its_elements() {
        for codec in Codec::ALL {
            let entry = entry(codec);
            assert!(entry.is_some_and(|entry| !entry.decoders.is_empty()), "{codec:?}");
        }
    }

    #[test]
    fn the_first_decoder_that_is_there_is_taken() {
        assert_eq!(decoder(Codec::H264, |_| true), "avdec_h264 max-threads=2");
        assert_eq!(decoder(Codec::H264, |element| element == "openh264dec"), "openh264dec");
        assert_eq!(decoder(Codec::Av1, |_| false), "dav1ddec", "to be named as missing");
    }
}
