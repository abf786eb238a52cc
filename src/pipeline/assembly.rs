//! Assembly: the launch text of a pipeline, from a template's texts and our own constants.
//!
//! What goes in is the template author's text, the names of our elements, the numbers of tracks, and the names of elements
//! from our own tables. Nothing else ever does: no parameter, no stream name, no path. The template has been
//! [fitted](super::template::Fitted), so there are neither cases nor rungs here.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use streammill_media::{MediaKind, Track, TrackId, TrackKey};

use super::{
    decoder::{decoder, parser},
    encoder::Chosen,
    memory::{Kits, MemoryPlan, Surroundings, plan},
    syntax::{map_words, names, words},
    template::{Launch, TrackChoice},
};

/// What arrives where: the names of the `millsink`s, and their pads.
pub type Outgoing = BTreeMap<String, Vec<TrackKey>>;

/// The tracks that a launch works on, of those a stream has.
pub fn used<'a>(launch: &'a Launch, tracks: &'a [Track]) -> impl Iterator<Item = &'a Track> {
    let mut seen = BTreeSet::new();
    tracks.iter().filter(move |track| {
        let is_first = seen.insert(track.kind());
        launch.track(track.kind()).is_some() && (is_first || launch.tracks == TrackChoice::All)
    })
}

/// What a launch text is put together from, besides the template's texts.
pub struct Stock<'a, P> {
    /// The encoders of the roles.
    pub chosen: &'a Chosen,
    /// Elements that can take the places of those in the texts.
    pub kits: &'a Kits,
    /// The elements that parameters set something on.
    pub set: &'a BTreeSet<&'a str>,
    /// Whether an element is installed.
    pub is_present: P,
}

/// The launch text for a stream with these tracks, and where its pictures are; `None` if the template does nothing with any of
/// the tracks.
pub fn launch_text(
    launch: &Launch,
    tracks: &[Track],
    stock: &Stock<'_, impl Fn(&str) -> bool>,
) -> Option<(String, MemoryPlan)> {
    let (chosen, is_present) = (stock.chosen, &stock.is_present);
    let mut parts: Vec<String> = Vec::new();
    let mut memory = MemoryPlan::default();
    if let Some(source) = &launch.source {
        parts.push(with_elements(source, chosen, &Coding::None));
    } else {
        for (track, key) in used(launch, tracks).zip(pads(launch, tracks)) {
            let Some(text) = launch.track(key.kind) else { continue };
            let coding = Coding::Of {
                parser: parser(track.codec),
                decoder: decoder(track, is_present),
            };
            let mut text = Cow::Borrowed(text);
            if key.kind == MediaKind::Video {
                let around = Surroundings {
                    kits: stock.kits,
                    chosen,
                    set: stock.set,
                    is_present,
                };
                let (planned, why) = plan(&text, track.codec, &around);
                memory.add(why, |name| numbered_name(name, key.id));
                text = planned.map_or(text, Cow::Owned);
            }
            // Elements first: a copy's name is that of no role.
            parts.push(numbered(&with_elements(&text, chosen, &coding), key));
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
    for sink in outgoing(launch, tracks).keys().rev() {
        parts.insert(0, format!("millsink name={sink}"));
    }
    Some((parts.join("  "), memory))
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

/// The tracks that will arrive at `out`, and at `out_NAME` and its kin, in an instance for these tracks.
pub fn outgoing(launch: &Launch, tracks: &[Track]) -> Outgoing {
    let mut found: BTreeMap<String, BTreeSet<TrackKey>> = BTreeMap::new();
    let mut look = |text: &str, id: TrackId| {
        for (sink, kind) in words(text).filter_map(|word| exit(word.text)) {
            let pads = found.entry(sink.to_owned()).or_default();
            pads.insert(TrackKey { kind, id });
        }
    };
    for text in launch.shared.iter().chain(&launch.source) {
        look(text, TrackId(0));
    }
    for pad in pads(launch, tracks) {
        if let Some(text) = launch.track(pad.kind) {
            look(text, pad.id);
        }
    }
    let sorted = found.into_iter();
    sorted.map(|(sink, pads)| (sink, pads.into_iter().collect())).collect()
}

/// The `millsink` that a word leads to, and what of it takes.
fn exit(word: &str) -> Option<(&str, MediaKind)> {
    let (sink, pad) = word.split_once('.').filter(|(sink, _)| is_sink(sink))?;
    match pad {
        "audio" => Some((sink, MediaKind::Audio)),
        "video" => Some((sink, MediaKind::Video)),
        _ => None,
    }
}

fn is_sink(name: &str) -> bool {
    name == "out" || name.starts_with("out_")
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
    let own = names(text);
    map_words(text, |word, _| {
        if let Some(name) = word.strip_prefix("name=") {
            return Some(format!("name={}", numbered_name(name, id)));
        }
        let (element, pad) = word.split_once('.')?;
        let element_there = match own.contains(element) {
            true => numbered_name(element, id),
            false => element.to_owned(),
        };
        let is_end = element == "in" || is_sink(element);
        let pad_there = match (is_end, pad) {
            (true, "audio" | "video") => numbered_name(pad, id),
            _ => match pad.strip_suffix("_0") {
                Some(stem) => numbered_name(stem, id),
                None => pad.to_owned(),
            },
        };
        // Only what links: a word with a dot may be anything else.
        let is_link = own.contains(element) || is_end || pad.ends_with("_0");
        is_link.then(|| format!("{element_there}.{pad_there}"))
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
    map_words(text, |word, next| match (word, coding) {
        ("encoder", _) => {
            let role = next?.strip_prefix("name=")?;
            Some(chosen.get(role)?.element.clone())
        }
        ("parser", Coding::Of { parser, .. }) => Some((*parser).to_owned()),
        ("decoder", Coding::Of { decoder, .. }) => Some(decoder.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
