#![allow(clippy::unwrap_used)]

use super::{
    super::{
        super::params::Unit,
        setting::{Assignment, Place},
    },
    *,
};

fn with(text: &str) -> Result<Map, Vec<String>> {
    let elements: BTreeMap<String, toml::Table> = toml::from_str(text).unwrap();
    Map::new(&elements).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn the_built_in_map_has_an_encoder_for_every_codec_and_no_element_twice() {
    let map = Map::new(&BTreeMap::new()).unwrap();
    for codec in EncoderCodec::ALL {
        assert!(map.iter().any(|encoder| encoder.codec == codec), "{codec:?}");
    }
    let mut elements: Vec<_> = map.iter().map(|encoder| &encoder.element).collect();
    elements.sort_unstable();
    let all = elements.len();
    elements.dedup();
    assert_eq!(elements.len(), all);
}

#[test]
fn pictures_on_the_processor_have_a_price_and_everything_has_a_rate() {
    for encoder in Map::built_in().iter() {
        let has_price = encoder.cores.iter().all(|cores| *cores > 0.0);
        assert_eq!(
            has_price,
            encoder.is_software() && encoder.codec.is_video(),
            "{}",
            encoder.element
        );
        assert!(!encoder.bitrate.to.0.is_empty(), "{}", encoder.element);
        assert_eq!(encoder.gop.is_some(), encoder.codec.is_video(), "{}", encoder.element);
    }
}

#[test]
fn elements_for_further_devices_have_the_row_of_the_first() {
    let map = Map::built_in();
    for (element, row, device) in [
        ("nvh264device1enc", "nvh264enc", "1"),
        ("nvcudah265device2enc", "nvcudah265enc", "2"),
        ("varenderD129h264enc", "vah264enc", "renderD129"),
        ("varenderD129h264lpenc", "vah264lpenc", "renderD129"),
        ("v4l2video11h264enc", "v4l2h264enc", "video11"),
        ("qsvav1device1enc", "qsvav1enc", "1"),
    ] {
        let found = map.find(element).unwrap();
        assert_eq!(found.element, element);
        assert_eq!(found.bitrate, map.find(row).unwrap().bitrate, "{element}");
        assert_eq!(found.device_in(element), Some(device));
    }
    // The older plugin has a row of its own, although its name looks like that of a device.
    assert_eq!(map.find("vaapih264enc").unwrap().class, Class::Vaapi);
    assert!(map.find("x264encoder").is_none());
}

#[test]
fn a_configuration_changes_single_keys_of_a_row_and_adds_rows_behind_the_others() {
    let map = with(
        "[x264enc]\nalways = ['speed-preset=faster']\n\
         [myenc]\ncodec = 'h264'\nclass = 'nvidia'\nbitrate = { to = 'rate', unit = 'bit/s' }",
    )
    .unwrap();
    let x264 = map.find("x264enc").unwrap();
    let built_in = Map::built_in().find("x264enc").unwrap();
    assert_eq!(x264.always.len(), 1);
    assert_eq!(
        (&x264.bitrate, &x264.low_latency),
        (&built_in.bitrate, &built_in.low_latency)
    );
    assert_eq!(map.iter().last().unwrap().element, "myenc");
}

#[test]
fn what_is_wrong_with_a_row_is_told_with_its_key() {
    for (text, expected) in [
        (
            "[myenc]\ncodec = 'h264'",
            "encoders.elements.myenc: missing field `class`",
        ),
        (
            "[x264enc]\ngopp = 'x'",
            "encoders.elements.x264enc: unknown field `gopp`",
        ),
        (
            "[x264enc]\nalways = ['a']",
            "encoders.elements.x264enc: 'a' is not PROPERTY=VALUE",
        ),
        (
            "[x264enc]\nclass = 'gpu'",
            "encoders.elements.x264enc: unknown variant `gpu`",
        ),
        ("[x264enc]\ninstances = 'x264enc'", "is not a name with one star in it"),
    ] {
        let problems = with(text).unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn a_row_goes_to_another_process_unchanged() {
    for encoder in Map::built_in().iter() {
        let json = serde_json::to_string(encoder).unwrap();
        let back: Encoder = serde_json::from_str(&json).unwrap();
        assert_eq!(back, *encoder);
    }
}

/// An element of some version: its properties, with their kind and values.
type Documented = BTreeMap<&'static str, (&'static str, Vec<&'static str>)>;

/// Elements with their version, as `documented.txt` has them.
fn documented() -> Vec<(String, &'static str, Documented)> {
    let mut found: Vec<(String, &'static str, Documented)> = Vec::new();
    let mut current = 0..0;
    for line in include_str!("documented.txt").lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match (line.starts_with(' '), words.as_slice()) {
            (_, []) | (_, ["#", ..]) => {}
            (true, [property, kind, values @ ..]) => {
                for (.., properties) in &mut found[current.clone()] {
                    properties.insert(property, (kind, values.to_vec()));
                }
            }
            (_, words) => {
                let of = words.iter().position(|word| *word == "of").unwrap();
                let begin = found.len();
                for element in &words[..of] {
                    let versions = words[of + 1..].iter();
                    found.extend(versions.map(|version| ((*element).to_owned(), *version, Documented::new())));
                }
                current = begin..found.len();
            }
        }
    }
    found
}

/// Whether an element takes an assignment, by what is documented.
fn takes(properties: &Documented, one: &Assignment) -> bool {
    let Some((kind, values)) = properties.get(one.place.property()) else {
        return false;
    };
    match (&one.place, *kind) {
        (Place::Field(..), kind) => kind == "structure",
        (Place::Option(..), kind) => kind == "text",
        (Place::Property(_), "one-of") => values.contains(&one.value.as_str()),
        (Place::Property(_), "bool") => matches!(one.value.as_str(), "true" | "false"),
        (Place::Property(_), "number") => one.value.parse::<i64>().is_ok(),
        _ => false,
    }
}

#[test]
fn elements_that_are_not_here_take_what_the_map_says_by_their_documentation() {
    let map = Map::built_in();
    let documented = documented();
    for (element, version, properties) in &documented {
        let encoder = map.iter().find(|row| row.element == *element).unwrap();
        let name = format!("{element} of {version}");
        for tune in [Tune::LowLatency, Tune::Quality] {
            for setting in [RateControl::Cbr, RateControl::Vbr]
                .into_iter()
                .flat_map(|control| encoder.settings(tune, control))
            {
                let is_taken = setting.alternatives.iter().any(|one| takes(properties, one));
                assert!(is_taken || setting.optional, "{name} takes none of {setting:?}");
            }
        }
        let rates = [
            Some(&encoder.bitrate),
            encoder.max_bitrate.as_ref(),
            encoder.buffer.as_ref(),
        ];
        for rate in rates.into_iter().flatten() {
            let place = rate.to.0.iter().find(|place| properties.contains_key(place.property()));
            let place = place.unwrap_or_else(|| panic!("{name} has none of {:?}", rate.to));
            let unit = match rate.unit {
                Unit::KilobitPerSecond => "kbit/s",
                _ => "bit/s",
            };
            let kind = properties[place.property()].0;
            assert!(
                kind == unit || kind == "structure",
                "{name}: {place} counts {kind}, not {unit}"
            );
        }
        for place in encoder.gop.iter().flat_map(|gop| &gop.to.0).take(1) {
            let others = &encoder.gop.as_ref().unwrap().to.0;
            let is_there = others.iter().any(|place| properties.contains_key(place.property()));
            assert!(is_there, "{name} has no {place}");
        }
        for device in &encoder.device {
            assert!(properties.contains_key(device.as_str()), "{name} has no {device}");
        }
    }
}

#[test]
fn every_place_and_alternative_is_one_of_some_version() {
    let documented = documented();
    for encoder in Map::built_in().iter() {
        let versions: Vec<_> = documented
            .iter()
            .filter(|(element, ..)| *element == encoder.element)
            .collect();
        if versions.is_empty() {
            assert!(encoder.is_software(), "{} is documented nowhere", encoder.element);
            continue;
        }
        let settings = [&encoder.always, &encoder.low_latency, &encoder.quality];
        let controls = [&encoder.rate_control.cbr, &encoder.rate_control.vbr];
        for one in settings
            .into_iter()
            .chain(controls)
            .flatten()
            .flat_map(|setting| &setting.alternatives)
        {
            let is_taken = versions.iter().any(|(_, _, properties)| takes(properties, one));
            assert!(is_taken, "{}: {one} is taken by no version", encoder.element);
        }
        for place in encoder
            .b_frames
            .0
            .iter()
            .chain(&encoder.profile.0)
            .chain(&encoder.bitrate.to.0)
        {
            let is_there = versions
                .iter()
                .any(|(_, _, properties)| properties.contains_key(place.property()));
            assert!(is_there, "{}: {place} is in no version", encoder.element);
        }
    }
}

#[test]
fn the_documentation_names_every_element() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/encoders.md");
    let text = std::fs::read_to_string(page).unwrap();
    for encoder in Map::built_in().iter() {
        assert!(text.contains(&format!("`{}`", encoder.element)), "{}", encoder.element);
    }
}
