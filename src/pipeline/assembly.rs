//! Assembly: the launch text of a pipeline, from a template's fragments and our own constants.
//!
//! What goes in is the template author's text, the names of our elements, and the names of encoder elements from our own
//! table. Nothing else ever does: no parameter, no stream name, no path.

use std::collections::BTreeMap;

use streammill_media::MediaKind;

use super::{encoder::Encoder, template::Launch};

/// The encoders chosen for a template's roles.
pub type Chosen = BTreeMap<String, &'static Encoder>;

/// The launch text for a stream with these kinds of tracks; `None` if the template does nothing with any of them.
pub fn launch_text(launch: &Launch, kinds: &[MediaKind], chosen: &Chosen) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if let Some(source) = &launch.source {
        parts.push(with_encoders(source, chosen));
    } else {
        let fragments = kinds.iter().filter_map(|kind| launch.track(*kind));
        parts.extend(fragments.map(|text| with_encoders(text, chosen)));
        if parts.is_empty() {
            return None;
        }
        parts.insert(0, "millsrc name=in".to_owned());
    }
    if let Some(shared) = &launch.shared {
        // First, so that the fragments find by name what they lead to.
        parts.insert(0, with_encoders(shared, chosen));
    }
    if !outgoing(launch, kinds).is_empty() {
        parts.insert(0, "millsink name=out".to_owned());
    }
    Some(parts.join("  "))
}

/// The kinds that will arrive at `out` in an instance for these tracks.
pub fn outgoing(launch: &Launch, kinds: &[MediaKind]) -> Vec<MediaKind> {
    let used = kinds.iter().filter_map(|kind| launch.track(*kind));
    let texts: Vec<_> = used
        .chain(launch.shared.as_deref())
        .chain(launch.source.as_deref())
        .collect();
    let arrives = |pad: &str| texts.iter().any(|text| text.split_whitespace().any(|word| word == pad));
    let pads = [(MediaKind::Audio, "out.audio"), (MediaKind::Video, "out.video")];
    pads.into_iter()
        .filter(|(_, pad)| arrives(pad))
        .map(|(kind, _)| kind)
        .collect()
}

/// Puts the chosen element's name where `encoder name=ROLE` stands. Quoted text is left alone.
fn with_encoders(text: &str, chosen: &Chosen) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at_word = quote.is_none()
            && out
                .chars()
                .next_back()
                .is_none_or(|last| last.is_whitespace() || last == '!');
        if at_word && let Some((element, after)) = placeholder(rest, chosen) {
            out.push_str(element);
            rest = after;
            continue;
        }
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// The element for an `encoder name=ROLE` that the text begins with, and the text after the word `encoder`.
fn placeholder<'a>(text: &'a str, chosen: &Chosen) -> Option<(&'static str, &'a str)> {
    let after = text.strip_prefix("encoder")?;
    let spaced = after.trim_start();
    let role = spaced.strip_prefix("name=").filter(|_| spaced.len() < after.len())?;
    let role = role.split_whitespace().next()?;
    Some((chosen.get(role)?.element, after))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::encoder::EncoderCodec, *};

    fn launch(text: &str) -> Launch {
        toml::from_str(text).unwrap()
    }

    fn chosen() -> Chosen {
        let encoder = Encoder::choose(EncoderCodec::H264, |element| element == "openh264enc").unwrap();
        Chosen::from([("v".to_owned(), encoder)])
    }

    const TRANSCODE: &str = "video = 'in.video ! x ! encoder name=v ! out.video'\naudio = 'in.audio ! out.audio'";

    #[test]
    fn only_the_fragments_of_tracks_that_are_there_are_used() {
        let text = |kinds: &[MediaKind]| launch_text(&launch(TRANSCODE), kinds, &chosen());
        assert_eq!(
            text(&[MediaKind::Video]).unwrap(),
            "millsink name=out  millsrc name=in  in.video ! x ! openh264enc name=v ! out.video"
        );
        assert!(!text(&[MediaKind::Audio]).unwrap().contains("video"));
        assert_eq!(text(&[MediaKind::Data]), None);
        assert_eq!(text(&[]), None);
    }

    #[test]
    fn what_will_arrive_is_known_before_it_does() {
        let transcode = launch(TRANSCODE);
        assert_eq!(outgoing(&transcode, &[MediaKind::Audio]), [MediaKind::Audio]);
        assert_eq!(
            outgoing(&launch("video = 'in.video ! fakesink'"), &[MediaKind::Video]),
            []
        );
        let source = launch("source = 'x ! out.video  y ! out.audio'");
        assert_eq!(outgoing(&source, &[]), [MediaKind::Audio, MediaKind::Video]);
    }

    #[test]
    fn what_both_tracks_lead_to_comes_before_them() {
        let launch = launch("shared = 'mux name=m ! filesink'\nvideo = 'in.video ! m.'");
        let text = launch_text(&launch, &[MediaKind::Video, MediaKind::Audio], &chosen()).unwrap();
        assert_eq!(text, "mux name=m ! filesink  millsrc name=in  in.video ! m.");
    }

    #[test]
    fn only_the_word_that_stands_for_an_encoder_is_replaced() {
        for text in [
            "my-encoder name=v",
            "encoder name=w",
            "encodername=v",
            "x \"a ! encoder name=v\"",
            "x t='encoder name=v '",
        ] {
            assert_eq!(with_encoders(text, &chosen()), text);
        }
        assert_eq!(
            with_encoders("a !encoder  name=v b=1", &chosen()),
            "a !openh264enc  name=v b=1"
        );
    }
}
