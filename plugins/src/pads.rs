//! Pads: what the pads of both elements are called, and which track each is for.
//!
//! A link that names no pad asks for one of the first template, `src_%u` or `sink_%u`, which is for whatever the other side
//! has or takes. The others are named after tracks: the first of a kind, and further ones with their number.

use std::collections::BTreeSet;

use streammill_media::{MediaKind, TrackId, TrackKey};

/// The templates named after tracks.
const TRACKS: [(&str, MediaKind); 4] = [
    ("video", MediaKind::Video),
    ("audio", MediaKind::Audio),
    ("video_%u", MediaKind::Video),
    ("audio_%u", MediaKind::Audio),
];

/// An element's templates: pads of this direction that carry these caps.
pub(crate) fn templates(direction: gst::PadDirection, caps: impl Fn(MediaKind) -> gst::Caps) -> Vec<gst::PadTemplate> {
    let mut any = caps(MediaKind::Video);
    any.merge(caps(MediaKind::Audio));
    let unnamed = match direction {
        gst::PadDirection::Sink => "sink_%u",
        _ => "src_%u",
    };
    let of_tracks = TRACKS.map(|(name, kind)| (name, caps(kind)));
    let all = [(unnamed, any)].into_iter().chain(of_tracks);
    // Only a name that GStreamer cannot read makes this fail, and these are constants.
    all.filter_map(|(name, caps)| gst::PadTemplate::new(name, direction, gst::PadPresence::Request, &caps).ok())
        .collect()
}

/// The name of a pad that is asked for, and the track that it is named after; none if that pad is there already, or never
/// can be.
pub(crate) fn name(
    template: &str,
    asked: Option<&str>,
    taken: &BTreeSet<String>,
) -> Option<(String, Option<TrackKey>)> {
    let is_whole = |name: &&str| !name.contains('%');
    let free = |name: &String| !taken.contains(name);
    let named = asked.filter(is_whole).or(Some(template).filter(is_whole));
    let name = match (named, template.strip_suffix("%u")) {
        (Some(name), _) => name
            .parse()
            .map_or_else(|_| name.to_owned(), |track: TrackKey| track.to_string()),
        // Number 0 of a kind has its template without a number.
        (None, Some(stem @ ("video_" | "audio_"))) => (1..=u8::MAX).map(|n| format!("{stem}{n}")).find(free)?,
        (None, Some(stem)) => (0..=u8::MAX).map(|n| format!("{stem}{n}")).find(free)?,
        (None, None) => return None,
    };
    let is_of_a_track = TRACKS.iter().any(|(known, _)| *known == template);
    let track = name.parse().ok();
    (free(&name) && track.is_some() == is_of_a_track).then_some((name, track))
}

/// The lowest number of a kind that no track in use has.
pub(crate) fn next_of(kind: MediaKind, used: impl Iterator<Item = TrackKey>) -> Option<TrackKey> {
    let used: BTreeSet<_> = used.collect();
    let mut keys = (0..=u8::MAX).map(|number| TrackKey {
        kind,
        id: TrackId(number),
    });
    keys.find(|key| !used.contains(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn named(template: &str, asked: Option<&str>, taken: &[&str]) -> Option<String> {
        let taken = taken.iter().map(|name| (*name).to_owned()).collect();
        let (name, track) = name(template, asked, &taken)?;
        assert_eq!(track.map(|track| track.to_string()), track.map(|_| name.clone()));
        Some(name)
    }

    #[test]
    fn a_pad_has_the_name_that_is_asked_for_or_the_next_free_one() {
        for (template, asked, taken, expected) in [
            ("video", None, &[][..], Some("video")),
            ("video", Some("video"), &["video"], None),
            ("video_%u", Some("video_3"), &["video"], Some("video_3")),
            ("video_%u", Some("video_%u"), &["video_1"], Some("video_2")),
            ("audio_%u", None, &[], Some("audio_1")),
            ("audio_%u", Some("audio_0"), &[], Some("audio")),
            ("audio_%u", Some("audio_0"), &["audio"], None),
            ("audio_%u", Some("audio_256"), &[], None),
            ("src_%u", Some("src_%u"), &[], Some("src_0")),
            ("src_%u", None, &["src_0", "src_2"], Some("src_1")),
            ("sink_%u", Some("sink_7"), &[], Some("sink_7")),
        ] {
            let name = named(template, asked, taken);
            assert_eq!(name.as_deref(), expected, "{template} {asked:?}");
        }
    }

    #[test]
    fn further_tracks_get_the_next_number_of_their_kind() {
        let video = TrackKey::first(MediaKind::Video);
        assert_eq!(
            next_of(MediaKind::Audio, [video].into_iter()).unwrap().to_string(),
            "audio"
        );
        assert_eq!(
            next_of(MediaKind::Video, [video].into_iter()).unwrap().to_string(),
            "video_1"
        );
    }
}
