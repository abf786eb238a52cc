//! Assembly: the launch text of a pipeline, from a template's fragments and our own constants.
//!
//! What goes in is the template author's text, the names of our elements, the numbers of tracks, and the names of elements
//! from our own tables. Nothing else ever does: no parameter, no stream name, no path.

use std::collections::{BTreeMap, BTreeSet};

use streammill_media::{MediaKind, Track, TrackId, TrackKey};

use super::{
    decoder::{decoder, parser},
    encoder::Chosen,
    template::{Launch, TrackChoice},
};

/// The tracks that a launch works on, of those a stream has.
pub fn used<'a>(launch: &'a Launch, tracks: &'a [Track]) -> impl Iterator<Item = &'a Track> {
    let mut seen = BTreeSet::new();
    tracks.iter().filter(move |track| {
        let is_first = seen.insert(track.kind());
        launch.track(track.kind()).is_some() && (is_first || launch.tracks == TrackChoice::All)
    })
}

/// The launch text for a stream with these tracks; `None` if the template does nothing with any of them. `is_present` tells
/// whether an element is installed.
pub fn launch_text(
    launch: &Launch,
    tracks: &[Track],
    chosen: &Chosen,
    is_present: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if let Some(source) = &launch.source {
        parts.push(with_elements(source, chosen, &Coding::None));
    } else {
        for (track, key) in used(launch, tracks).zip(pads(launch, tracks)) {
            let Some(text) = launch.track(key.kind) else { continue };
            let coding = Coding::Of {
                parser: parser(track.codec),
                decoder: decoder(track.codec, &is_present),
            };
            // Elements first: a copy's name is that of no role.
            parts.push(numbered(&with_elements(text, chosen, &coding), key));
        }
        if parts.is_empty() {
            return None;
        }
        parts.insert(0, "millsrc name=in".to_owned());
    }
    if let Some(shared) = &launch.shared {
        // First, so that the fragments find by name what they lead to.
        parts.insert(0, with_elements(shared, chosen, &Coding::None));
    }
    if !outgoing(launch, tracks).is_empty() {
        parts.insert(0, "millsink name=out".to_owned());
    }
    Some(parts.join("  "))
}

/// The pads of `in` that the tracks in use are fed to, in their order. A stream whose first track has another number than 0
/// has it at the first pad all the same.
pub fn pads(launch: &Launch, tracks: &[Track]) -> Vec<TrackKey> {
    let mut count: BTreeMap<MediaKind, u8> = BTreeMap::new();
    let key = |track: &Track| {
        let next = count.entry(track.kind()).or_default();
        let id = TrackId(*next);
        // There are no more tracks than numbers.
        *next = next.saturating_add(1);
        TrackKey { kind: track.kind(), id }
    };
    used(launch, tracks).map(key).collect()
}

/// The tracks that will arrive at `out` in an instance for these tracks.
pub fn outgoing(launch: &Launch, tracks: &[Track]) -> Vec<TrackKey> {
    let has_pad = |text: &str, pad: &str| text.split_whitespace().any(|word| word == pad);
    let fixed: Vec<_> = launch.shared.iter().chain(&launch.source).collect();
    let mut found = BTreeSet::new();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let key = TrackKey::first(kind);
        if fixed.iter().any(|text| has_pad(text, &format!("out.{key}"))) {
            found.insert(key);
        }
    }
    for pad in pads(launch, tracks) {
        let Some(text) = launch.track(pad.kind) else { continue };
        for kind in [MediaKind::Audio, MediaKind::Video] {
            if has_pad(text, &format!("out.{}", TrackKey::first(kind))) {
                found.insert(TrackKey { kind, id: pad.id });
            }
        }
    }
    found.into_iter().collect()
}

/// The name that an element of a fragment has in the copy for a further track.
pub fn numbered_name(name: &str, id: TrackId) -> String {
    match id {
        TrackId(0) => name.to_owned(),
        TrackId(number) => format!("{name}_{number}"),
    }
}

/// A copy of a fragment for a further track: its elements' names, the pads of `in` and `out`, and pads that end in `_0`, get
/// the track's number.
fn numbered(text: &str, key: TrackKey) -> String {
    let TrackKey { id, .. } = key;
    if id == TrackId(0) {
        return text.to_owned();
    }
    let own: BTreeSet<_> = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("name="))
        .collect();
    map_words(text, |word, _| {
        if let Some(name) = word.strip_prefix("name=") {
            return Some((format!("name={}", numbered_name(name, id)), word.len()));
        }
        let (element, pad) = word.split_once('.')?;
        let element_there = match own.contains(element) {
            true => numbered_name(element, id),
            false => element.to_owned(),
        };
        let pad_there = match (element, pad) {
            ("in" | "out", "audio" | "video") => numbered_name(pad, id),
            _ => match pad.strip_suffix("_0") {
                Some(stem) => numbered_name(stem, id),
                None => pad.to_owned(),
            },
        };
        // Only what links: a word with a dot may be anything else.
        let is_link = own.contains(element) || matches!(element, "in" | "out") || pad.ends_with("_0");
        is_link.then(|| (format!("{element_there}.{pad_there}"), word.len()))
    })
}

/// What `parser` and `decoder` stand for in a fragment.
enum Coding {
    /// In texts that belong to no track.
    None,
    Of {
        parser: &'static str,
        decoder: String,
    },
}

/// Puts elements' names where `encoder name=ROLE`, `parser` and `decoder` stand.
fn with_elements(text: &str, chosen: &Chosen, coding: &Coding) -> String {
    map_words(text, |word, rest| match (word, coding) {
        ("encoder", _) => Some((encoder(rest, chosen)?.to_owned(), word.len())),
        ("parser", Coding::Of { parser, .. }) => Some(((*parser).to_owned(), word.len())),
        ("decoder", Coding::Of { decoder, .. }) => Some((decoder.clone(), word.len())),
        _ => None,
    })
}

/// The element for an `encoder name=ROLE`, from what stands behind the word `encoder`.
fn encoder<'a>(rest: &str, chosen: &'a Chosen) -> Option<&'a str> {
    let role = rest.trim_start().strip_prefix("name=")?;
    let role = role.split_whitespace().next()?;
    Some(&chosen.get(role)?.element)
}

/// Replaces words. `replace` is given a word and the text behind it, and answers with another text for so many bytes. Quoted
/// text is left alone.
fn map_words(text: &str, replace: impl Fn(&str, &str) -> Option<(String, usize)>) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let before = out.chars().next_back();
        let at_word = quote.is_none() && before.is_none_or(|last| last.is_whitespace() || last == '!');
        if at_word {
            let end = rest.find(|c: char| c.is_whitespace() || c == '!').unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if let Some((replaced, length)) = replace(word, behind) {
                out.push_str(&replaced);
                rest = &rest[length..];
                continue;
            }
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

#[cfg(test)]
mod tests;
