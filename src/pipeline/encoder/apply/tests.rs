#![allow(clippy::unwrap_used)]

//! The map held against the elements that are installed: every property it names is there and takes what it is given.

use std::time::Duration;

use super::{
    super::{codec::EncoderCodec, map::Map, survey::installed},
    *,
};

/// An element with something behind it.
struct Made {
    _bin: gst::Bin,
    element: gst::Element,
}

impl std::ops::Deref for Made {
    type Target = gst::Element;

    fn deref(&self) -> &gst::Element {
        &self.element
    }
}

fn made(element: &str) -> Made {
    crate::pipeline::start().unwrap();
    let bin = gst::parse::bin_from_description(&format!("{element} name=v ! fakesink"), false).unwrap();
    let element = bin.by_name("v").unwrap();
    Made { _bin: bin, element }
}

fn row(element: &str) -> Encoder {
    Map::built_in().find(element).unwrap()
}

fn full(tune: Tune, rate_control: RateControl) -> Demand {
    Demand {
        max_fps: None,
        bitrate: Some(96_000),
        max_bitrate: Some(128_000),
        keyframe_interval: Some(Duration::from_secs(2)),
        tune,
        profile: Vec::new(),
        b_frames: Some(1),
        rate_control,
    }
}

const TUNES: [Tune; 2] = [Tune::LowLatency, Tune::Quality];
const RATE_CONTROLS: [RateControl; 2] = [RateControl::Cbr, RateControl::Vbr];

#[test]
fn every_installed_encoder_takes_what_the_map_says() {
    crate::pipeline::start().unwrap();
    let installed = installed(&Map::built_in());
    for encoder in &installed {
        for (tune, rate_control) in TUNES
            .into_iter()
            .flat_map(|tune| RATE_CONTROLS.map(|control| (tune, control)))
        {
            let element = made(&encoder.element);
            let applied = apply(&element, encoder, &full(tune, rate_control), at(25));
            assert!(
                applied.is_ok(),
                "{}: {tune:?}, {rate_control:?}: {applied:?}",
                encoder.element
            );
        }
    }
    let names: Vec<_> = installed.iter().map(|encoder| encoder.element.as_str()).collect();
    for expected in ["x264enc", "openh264enc", "avenc_aac", "voaacenc", "opusenc", "vp9enc"] {
        assert!(names.contains(&expected), "{expected} is not installed: {names:?}");
    }
}

#[test]
fn every_alternative_for_an_installed_encoder_is_one_that_it_takes() {
    crate::pipeline::start().unwrap();
    // Where there is one version, there is no need for an alternative; one that is never taken would be a slip of the pen.
    for encoder in installed(&Map::built_in())
        .iter()
        .filter(|encoder| encoder.is_software())
    {
        let element = made(&encoder.element);
        for (tune, rate_control) in TUNES
            .into_iter()
            .flat_map(|tune| RATE_CONTROLS.map(|control| (tune, control)))
        {
            for one in encoder
                .settings(tune, rate_control)
                .flat_map(|setting| &setting.alternatives)
            {
                set_text(&element, &one.place, &one.value).unwrap();
            }
        }
    }
}

#[test]
fn rates_and_distances_arrive_in_the_units_of_the_element() {
    let demand = Demand {
        bitrate: Some(2_500_000),
        keyframe_interval: Some(Duration::from_secs(2)),
        ..Demand::default()
    };
    let x264 = made("x264enc");
    apply(&x264, &row("x264enc"), &demand, at(25)).unwrap();
    assert_eq!(
        (x264.property::<u32>("bitrate"), x264.property::<u32>("key-int-max")),
        (2500, 50)
    );
    assert_eq!(x264.property::<u32>("bframes"), 0);
    assert_eq!(x264.property::<String>("option-string"), "scenecut=0");
    assert!(!x264.property::<bool>("sliced-threads"));
    let openh264 = made("openh264enc");
    apply(&openh264, &row("openh264enc"), &demand, at(50)).unwrap();
    assert_eq!(openh264.property::<u32>("bitrate"), 2_500_000);
    assert_eq!(
        (
            openh264.property::<u32>("max-bitrate"),
            openh264.property::<u32>("gop-size")
        ),
        (2_500_000, 100)
    );
}

#[test]
fn options_in_a_string_are_put_in_and_replaced() {
    assert_eq!(with_option("", "bframes", "2"), "bframes=2");
    assert_eq!(
        with_option("scenecut=0:bframes=1", "bframes", "2"),
        "scenecut=0:bframes=2"
    );
    assert_eq!(
        with_option("bframes=1:open-gop", "open-gop", "0"),
        "bframes=1:open-gop=0"
    );
    let mut x264 = row("x264enc");
    x264.max_bitrate = serde_json::from_str(r#"{ "to": "option-string:vbv-maxrate", "unit": "kbit/s" }"#).unwrap();
    let demand = Demand {
        rate_control: RateControl::Vbr,
        bitrate: Some(1_000_000),
        ..Demand::default()
    };
    let element = made("x264enc");
    apply(&element, &x264, &demand, Pictures::default()).unwrap();
    assert_eq!(
        element.property::<String>("option-string"),
        "scenecut=0:vbv-maxrate=1500"
    );
    set_bitrate(&element, &x264, &demand, 500_000).unwrap();
    assert_eq!(
        element.property::<String>("option-string"),
        "scenecut=0:vbv-maxrate=750"
    );
}

#[test]
fn the_first_alternative_that_is_taken_counts() {
    let element = made("x264enc");
    let setting = |json: &str| serde_json::from_str::<Setting>(json).unwrap();
    set_first(
        &element,
        &setting(r#"["presett=p4", "speed-preset=p4", "speed-preset=fast", "speed-preset=slow"]"#),
    )
    .unwrap();
    assert_eq!(
        element
            .property_value("speed-preset")
            .transform::<i32>()
            .unwrap()
            .get::<i32>()
            .unwrap(),
        5
    );
    set_first(&element, &setting(r#"["presett=p4", ""]"#)).unwrap();
    let error = set_first(&element, &setting(r#"["presett=p4", "bframes=99"]"#)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("v:presett: x264enc has no property 'presett'"),
        "{message}"
    );
    let error = set_first(&element, &setting(r#""bframes=99""#)).unwrap_err();
    assert_eq!(error.to_string(), "v:bframes: 99 is not between 0 and 16");
}

#[test]
fn more_b_frames_than_an_element_can_make_are_as_many_as_it_can() {
    let element = made("x264enc");
    set_at_most(&element, &row("x264enc").b_frames, 99).unwrap();
    assert_eq!(element.property::<u32>("bframes"), 16);
    let quality = Demand {
        tune: Tune::Quality,
        ..Demand::default()
    };
    apply(&element, &row("x264enc"), &quality, Pictures::default()).unwrap();
    assert_eq!(element.property::<u32>("bframes"), QUALITY_B_FRAMES);
    // One without the property is none the worse.
    apply(&made("openh264enc"), &row("openh264enc"), &quality, Pictures::default()).unwrap();
}

#[test]
fn a_profile_is_asked_for_by_caps_behind_the_element() {
    let profile = |names: &[&str]| Demand {
        profile: names.iter().map(ToString::to_string).collect(),
        ..Demand::default()
    };
    let element = made("x264enc");
    apply(
        &element,
        &row("x264enc"),
        &profile(&["constrained-baseline", "baseline"]),
        Pictures::default(),
    )
    .unwrap();
    let behind = element
        .static_pad("src")
        .unwrap()
        .peer()
        .unwrap()
        .parent_element()
        .unwrap();
    let caps = behind.property::<gst::Caps>("caps");
    assert!(
        caps.to_string().contains("{ constrained-baseline, baseline }"),
        "{caps}"
    );
    let further = behind
        .static_pad("src")
        .unwrap()
        .peer()
        .unwrap()
        .parent_element()
        .unwrap();
    assert_eq!(further.factory().unwrap().name(), "fakesink");
    let error = apply(
        &made("openh264enc"),
        &row("openh264enc"),
        &profile(&["high-10"]),
        Pictures::default(),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "v:profile: openh264enc makes no high-10");
}

#[test]
fn an_encoder_makes_the_profile_that_is_asked_for() {
    crate::pipeline::start().unwrap();
    for (asked, made) in [
        ("constrained-baseline", "constrained-baseline"),
        ("main", "main"),
        ("high", "high"),
    ] {
        let text = "videotestsrc num-buffers=2 ! video/x-raw,format=I420 ! x264enc name=v ! fakesink name=sink";
        let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let demand = Demand {
            profile: vec![asked.to_owned()],
            ..Demand::default()
        };
        apply(
            &pipeline.by_name("v").unwrap(),
            &row("x264enc"),
            &demand,
            Pictures::default(),
        )
        .unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        let message = pipeline
            .bus()
            .unwrap()
            .timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends);
        assert_eq!(message.unwrap().type_(), gst::MessageType::Eos, "{asked}");
        let caps = pipeline
            .by_name("sink")
            .unwrap()
            .static_pad("sink")
            .unwrap()
            .current_caps()
            .unwrap();
        assert_eq!(caps.structure(0).unwrap().get::<&str>("profile"), Ok(made));
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_structure_gets_its_fields_one_by_one() {
    // Any element with such a property does; the ones it is meant for need a device.
    crate::pipeline::start().unwrap();
    let element = gst::ElementFactory::make("rtpbin").build().unwrap();
    let place = |field: &str| Place::Field("sdes".to_owned(), field.to_owned());
    set_text(&element, &place("video_bitrate"), "1000").unwrap();
    set_text(&element, &place("mode"), "cbr").unwrap();
    let structure = element.property::<gst::Structure>("sdes");
    assert_eq!(structure.get::<i32>("video_bitrate"), Ok(1000));
    assert_eq!(structure.get::<&str>("mode"), Ok("cbr"));
    let error = set_text(&element, &Place::Field("latency".to_owned(), "x".to_owned()), "1").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}:latency: it holds no structure", element.name())
    );
}

#[test]
fn installed_encoders_hold_the_rate_they_are_given() {
    crate::pipeline::start().unwrap();
    let mut tried = Vec::new();
    for encoder in installed(&Map::built_in()) {
        if encoder.codec == EncoderCodec::Opus || !encoder.codec.is_video() || !encoder.is_software() {
            continue;
        }
        let bits = encoded_bits(&encoder, 150_000);
        let twice = encoded_bits(&encoder, 600_000);
        assert!(twice > bits * 4 / 3, "{}: {bits} and {twice} bits", encoder.element);
        tried.push(encoder.element);
    }
    assert!(tried.len() >= 3, "{tried:?}");
}

/// Three seconds of small detailed pictures at a rate.
fn encoded_bits(encoder: &Encoder, bitrate: u64) -> u64 {
    let text = format!(
        "videotestsrc num-buffers=45 pattern=zone-plate kx2=20 ky2=20 kt=1 ! video/x-raw,format=I420,width=320,height=180,framerate=15/1 ! {} name=v \
         ! fakesink name=sink sync=false",
        encoder.element
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let demand = Demand {
        bitrate: Some(bitrate),
        keyframe_interval: Some(Duration::from_secs(1)),
        ..Demand::default()
    };
    apply(&pipeline.by_name("v").unwrap(), encoder, &demand, at(15)).unwrap();
    let bytes = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = bytes.clone();
    let pad = pipeline.by_name("sink").unwrap().static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            counter.fetch_add(buffer.size() as u64, std::sync::atomic::Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends).unwrap();
    assert_eq!(
        message.type_(),
        gst::MessageType::Eos,
        "{}: {message:?}",
        encoder.element
    );
    pipeline.set_state(gst::State::Null).unwrap();
    bytes.load(std::sync::atomic::Ordering::Relaxed) * 8
}

fn at(rate: u32) -> Pictures {
    Pictures {
        rate: Some((rate, 1)),
        ..Pictures::default()
    }
}
