#![allow(clippy::unwrap_used)]

use super::*;

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
