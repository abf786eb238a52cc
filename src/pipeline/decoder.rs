//! Which elements read a coding: `parser` and `decoder` in a launch text.
//!
//! A template is written for pictures or sound, not for one coding of it. These two words stand for the elements that the
//! track at hand needs. As with encoders the table is plain data, and whether an element is installed is asked through a
//! closure.

use streammill_media::{Codec, Format, Track};

/// An element, and whether it takes a number of threads.
type Element = (&'static str, Threads);

/// The elements for one coding.
struct Entry {
    codec: Codec,
    /// Brings frames into the form that muxers want. Some codings need nothing.
    parser: &'static str,
    /// In order of preference.
    decoders: &'static [Element],
}

/// What of the number of threads a decoder is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    /// Nothing.
    Own,
    /// libav's `max-threads`. It hands out each picture a thread later, so as few as will do.
    Libav,
}

use Threads::{Libav, Own};

/// Pixels a second that one thread decodes in half of its time: 1080p at 60 pictures.
const ONE_THREAD: f64 = 1920.0 * 1080.0 * 60.0;
/// More would be of no use.
const MOST_THREADS: f64 = 4.0;
/// Pictures a second where the track does not tell.
const USUAL_RATE: (u32, u32) = (30, 1);

const ENTRIES: &[Entry] = &[
    Entry {
        codec: Codec::H264,
        parser: "h264parse",
        decoders: &[("avdec_h264", Libav), ("openh264dec", Own)],
    },
    Entry {
        codec: Codec::Hevc,
        parser: "h265parse",
        decoders: &[("avdec_h265", Libav), ("libde265dec", Own)],
    },
    Entry {
        codec: Codec::Av1,
        parser: "av1parse",
        decoders: &[("dav1ddec", Own), ("av1dec", Own)],
    },
    Entry {
        codec: Codec::Vp8,
        parser: "identity",
        decoders: &[("vp8dec", Own)],
    },
    Entry {
        codec: Codec::Vp9,
        parser: "vp9parse",
        decoders: &[("vp9dec", Own)],
    },
    Entry {
        codec: Codec::Aac,
        parser: "aacparse",
        decoders: &[("avdec_aac", Own), ("fdkaacdec", Own), ("faad", Own)],
    },
    Entry {
        codec: Codec::Mp3,
        parser: "mpegaudioparse",
        decoders: &[("mpg123audiodec", Own), ("avdec_mp3", Own)],
    },
    Entry {
        codec: Codec::Opus,
        parser: "opusparse",
        decoders: &[("opusdec", Own), ("avdec_opus", Own)],
    },
    Entry {
        codec: Codec::Flac,
        parser: "flacparse",
        decoders: &[("flacdec", Own), ("avdec_flac", Own)],
    },
    Entry {
        codec: Codec::Ac3,
        parser: "ac3parse",
        decoders: &[("avdec_ac3", Own), ("a52dec", Own)],
    },
    Entry {
        codec: Codec::Eac3,
        parser: "ac3parse",
        decoders: &[("avdec_eac3", Own)],
    },
];

/// The element that `parser` stands for.
pub fn parser(codec: Codec) -> &'static str {
    entry(codec).map_or("identity", |entry| entry.parser)
}

/// The element that `decoder` stands for in a track's text, with its properties: the first one that is there, or else the
/// preferred one, so that the error says what to install.
pub fn decoder(track: &Track, is_present: impl Fn(&str) -> bool) -> String {
    let decoders = entry(track.codec).map_or(&[][..], |entry| entry.decoders);
    let chosen = decoders
        .iter()
        .find(|(element, _)| is_present(element))
        .or(decoders.first());
    match chosen {
        Some((element, Own)) => (*element).to_owned(),
        Some((element, Libav)) => format!("{element} max-threads={}", threads(track)),
        None => "decodebin".to_owned(),
    }
}

/// The threads that decode a track in time.
fn threads(track: &Track) -> u32 {
    let Format::Video(video) = track.format else { return 1 };
    let (numerator, denominator) = video.frame_rate.filter(|(_, d)| *d > 0).unwrap_or(USUAL_RATE);
    let rate = f64::from(numerator) / f64::from(denominator);
    let pixels = f64::from(video.width) * f64::from(video.height) * rate;
    // In bounds before it is converted.
    (pixels / ONE_THREAD).ceil().clamp(1.0, MOST_THREADS) as u32
}

fn entry(codec: Codec) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.codec == codec)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use streammill_media::MediaKind;

    use super::{super::clip::Clip, *};

    #[test]
    fn every_coding_has_its_elements() {
        for codec in Codec::ALL {
            let entry = entry(codec);
            assert!(entry.is_some_and(|entry| !entry.decoders.is_empty()), "{codec:?}");
        }
    }

    fn track(codec: Codec, height: u32, rate: Option<(u32, u32)>) -> Track {
        let mut tracks = Clip::canned().unwrap().tracks.into_iter();
        let mut track = tracks.find(|track| track.kind() == MediaKind::Video).unwrap();
        track.codec = codec;
        if let Format::Video(video) = &mut track.format {
            (video.width, video.height, video.frame_rate) = (height * 16 / 9, height, rate);
        }
        track
    }

    #[test]
    fn the_first_decoder_that_is_there_is_taken() {
        let of = |codec| track(codec, 360, None);
        assert_eq!(decoder(&of(Codec::H264), |_| true), "avdec_h264 max-threads=1");
        assert_eq!(
            decoder(&of(Codec::H264), |element| element == "openh264dec"),
            "openh264dec"
        );
        assert_eq!(
            decoder(&of(Codec::Av1), |_| false),
            "dav1ddec",
            "to be named as missing"
        );
    }

    #[test]
    fn large_pictures_have_more_threads_and_small_ones_no_delay() {
        let of = |height, rate| threads(&track(Codec::H264, height, rate));
        assert_eq!(of(1080, Some((60, 1))), 1);
        assert_eq!(of(2160, Some((30, 1))), 2);
        assert_eq!((of(2160, Some((60, 1))), of(4320, Some((60, 1)))), (4, 4));
        assert_eq!((of(2160, None), of(2160, Some((1, 0)))), (2, 2));
    }
}
