#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use streammill_media::Codec;

use super::{
    super::{
        encoder::{Chosen, Encoder, Map},
        ladder::{Step, unroll},
        params::Rung,
    },
    graph::{Graph, Kind},
    kits::Pattern,
    *,
};

const TRANSCODE: &str = "in.video ! parser ! decoder ! videorate name=rate drop-only=true ! videoconvert ! millscale ! \
    capsfilter name=size caps=\"video/x-raw,format=(string){I420,NV12}\" ! encoder name=v ! h264parse ! out.video";

fn chosen(encoders: &[(&str, &str)]) -> Chosen {
    let map = Map::built_in();
    let one = |(role, element): &(&str, &str)| ((*role).to_owned(), map.find(element).unwrap());
    encoders.iter().map(one).collect()
}

fn plan_without(text: &str, codec: Codec, encoders: &[(&str, &str)], missing: &[&str]) -> (Option<String>, MemoryPlan) {
    let around = Surroundings {
        kits: &Kits::built_in(),
        chosen: &chosen(encoders),
        set: &BTreeSet::from(["rate", "size", "set"]),
        is_present: |element: &str| !missing.contains(&element),
    };
    plan(text, codec, &around)
}

fn planned(text: &str, encoders: &[(&str, &str)]) -> String {
    plan_without(text, Codec::H264, encoders, &[]).0.unwrap()
}

#[test]
fn pictures_stay_on_the_device_from_the_decoder_to_the_encoder() {
    let (text, plan) = plan_without(TRANSCODE, Codec::H264, &[("v", "nvh264enc")], &[]);
    assert_eq!(
        text.unwrap(),
        "in.video ! parser ! nvh264dec name=nvh264dec-1 ! videorate name=rate drop-only=true ! \
         cudaconvertscale name=cudaconvertscale-3 ! \
         capsfilter name=size caps=\"video/x-raw(memory:CUDAMemory),format=(string){I420,NV12}\" ! encoder name=v ! h264parse ! \
         out.video"
    );
    assert_eq!((plan.kit.as_deref(), plan.why), (Some("cuda"), BTreeMap::new()));
    assert_eq!(plan.elements["nvh264dec-1"].len(), 1, "what is set on it");
}

#[test]
fn each_device_has_elements_of_its_own() {
    let second = planned(TRANSCODE, &[("v", "varenderD129h264enc")]);
    assert!(
        second.contains("! varenderD129h264dec name=") && second.contains("! varenderD129postproc name="),
        "{second}"
    );
    let first = planned(TRANSCODE, &[("v", "vah264enc")]);
    assert!(
        first.contains("! vah264dec name=") && first.contains("! vapostproc name="),
        "{first}"
    );
    let board = planned(TRANSCODE, &[("v", "v4l2h264enc")]);
    assert!(
        board.contains("! v4l2convert name=") && !board.contains("memory:"),
        "{board}"
    );
}

#[test]
fn encoders_in_software_change_nothing() {
    let (text, plan) = plan_without(TRANSCODE, Codec::H264, &[("v", "x264enc")], &[]);
    assert_eq!((text, plan), (None, MemoryPlan::default()));
}

#[test]
fn without_a_scaler_pictures_come_back_behind_the_decoder() {
    let (text, plan) = plan_without(TRANSCODE, Codec::H264, &[("v", "nvh264enc")], &["cudaconvertscale"]);
    let text = text.unwrap();
    assert!(
        text.contains("drop-only=true ! cudadownload name=cudadownload-3 ! videoconvert ! millscale ! capsfilter"),
        "{text}"
    );
    assert!(text.contains("caps=\"video/x-raw,format"), "{text}");
    assert_eq!(
        plan.why["v"],
        "no cudaconvertscale is installed, or its device is not there; on Debian and Ubuntu: apt install gstreamer1.0-plugins-bad"
    );
}

#[test]
fn without_a_decoder_they_are_brought_to_the_scaler() {
    for (codec, missing) in [(Codec::H264, &["nvh264dec", "nvh264sldec"][..]), (Codec::Mp3, &[])] {
        let (text, plan) = plan_without(TRANSCODE, codec, &[("v", "nvh264enc")], missing);
        let text = text.unwrap();
        assert!(
            text.contains(
                "decoder ! videorate name=rate drop-only=true ! cudaupload name=cudaupload-3 ! cudaconvertscale"
            ),
            "{text}"
        );
        let why = &plan.why[plan::DECODE];
        assert!(
            why.contains("no nvh264dec or nvh264sldec is installed") || why.contains("has no decoder"),
            "{why}"
        );
    }
    let (text, plan) = plan_without(
        TRANSCODE,
        Codec::H264,
        &[("v", "nvh264enc")],
        &["nvh264dec", "nvh264sldec", "cudaupload"],
    );
    assert_eq!(text, None);
    assert!(plan.why["v"].contains("no cudaupload is installed"), "{plan:?}");
}

#[test]
fn what_could_not_be_got_back_does_not_go_there() {
    let (text, plan) = plan_without(TRANSCODE, Codec::H264, &[("v", "nvh264enc")], &["cudadownload"]);
    assert_eq!((text, plan.kit), (None, None));
    assert!(plan.why["v"].contains("no cudadownload is installed"));
}

fn ladder() -> String {
    let rung = "above. ! queue ! videoconvert ! millscale ! capsfilter name=size caps=\"video/x-raw\" ! tee name=this  \
                this. ! queue ! milldrop name=rate ! encoder name=v ! h264parse ! out.video";
    let step = |height| Step {
        rung: Rung {
            height,
            bitrate: 1,
            fps: None,
        },
        height,
        keep_every: 1,
    };
    let rungs = unroll(rung, &[step(720), step(480), step(240)]);
    format!("in.video ! parser ! decoder ! tee name=top  {rungs}")
}

#[test]
fn a_ladder_is_decoded_once_and_only_the_rung_in_software_is_copied() {
    let (text, plan) = plan_without(
        &ladder(),
        Codec::Hevc,
        &[("v_720", "nvh264enc"), ("v_480", "x264enc"), ("v_240", "nvh264enc")],
        &[],
    );
    let text = text.unwrap();
    assert_eq!(text.matches("nvh265dec name=").count(), 1, "{text}");
    assert_eq!(text.matches("cudaconvertscale name=").count(), 3, "{text}");
    assert_eq!(text.matches("memory:CUDAMemory").count(), 3, "{text}");
    assert_eq!(
        (text.matches("cudadownload").count(), text.matches("cudaupload").count()),
        (2, 0),
        "{text}"
    );
    let download = text.find("cudadownload").unwrap();
    let encoder = text.find("encoder name=v_480").unwrap();
    assert!(
        download < encoder && text[download..encoder].matches('!').count() == 1,
        "{text}"
    );
    assert_eq!(
        plan.why,
        BTreeMap::from([(
            "v_480".to_owned(),
            "x264enc takes pictures from system memory".to_owned()
        )])
    );
}

#[test]
fn the_device_that_most_encoders_share_is_taken() {
    let encoders = [
        ("v_720", "vah264enc"),
        ("v_480", "nvh264device1enc"),
        ("v_240", "nvh264device1enc"),
    ];
    let (text, plan) = plan_without(&ladder(), Codec::H264, &encoders, &[]);
    assert!(text.unwrap().contains("nvh264device1dec"));
    assert_eq!(plan.why["v_720"], "vah264enc takes no pictures from CUDAMemory");
    let encoders = [
        ("v_720", "nvh264enc"),
        ("v_480", "nvh264device1enc"),
        ("v_240", "nvh264device1enc"),
    ];
    let (_, plan) = plan_without(&ladder(), Codec::H264, &encoders, &[]);
    assert_eq!(plan.why["v_720"], "nvh264enc is on another device than the others");
}

#[test]
fn what_no_device_does_is_done_in_system_memory_and_named() {
    let effect = "in.video ! parser ! decoder ! videoconvert ! videobalance saturation=0 ! videoconvert ! encoder name=v ! out.video";
    let (text, plan) = plan_without(effect, Codec::H264, &[("v", "nvh264enc")], &[]);
    let text = text.unwrap();
    assert!(
        text.contains("cudadownload name=cudadownload-2 ! videoconvert ! videobalance saturation=0 ! cudaupload"),
        "{text}"
    );
    assert_eq!(plan.why, BTreeMap::new());
    let direct = "in.video ! parser ! decoder ! videobalance ! encoder name=v ! out.video";
    let (_, plan) = plan_without(direct, Codec::H264, &[("v", "nvh264enc")], &[]);
    assert_eq!(plan.why["v"], "videobalance works in system memory");
}

#[test]
fn a_scaler_that_is_told_more_than_the_kits_takes_stays() {
    for (scaler, why) in [
        (
            "videoscale method=lanczos",
            "videoscale method=lanczos has no counterpart",
        ),
        ("videoscale name=set", "a parameter sets videoscale set"),
    ] {
        let text = format!("in.video ! parser ! decoder ! {scaler} ! encoder name=v ! out.video");
        let (text, plan) = plan_without(&text, Codec::H264, &[("v", "nvh264enc")], &[]);
        assert!(text.unwrap().contains(scaler));
        assert!(plan.why["v"].contains(why), "{plan:?}");
    }
    let kept = planned(
        "in.video ! decoder name=d ! videoscale name=s add-borders=true ! encoder name=v ! out.video",
        &[("v", "nvh264enc")],
    );
    assert_eq!(
        kept,
        "in.video ! nvh264dec name=d ! cudaconvertscale name=s add-borders=true ! encoder name=v ! out.video"
    );
}

#[test]
fn texts_that_are_not_understood_stay_as_they_are() {
    for text in [
        "in.video ! ( decoder ! videoscale ) ! encoder name=v ! out.video",
        "in.video ! decoder ! mix.sink_0  in.video ! encoder name=v ! out.video",
        "in.video ! out.video",
    ] {
        assert_eq!(
            plan_without(text, Codec::H264, &[("v", "nvh264enc")], &[]).0,
            None,
            "{text}"
        );
    }
    let shared = "in.video ! decoder ! tee name=t  t. ! mix.sink_0  t. ! queue ! encoder name=v ! out.video";
    let (text, plan) = plan_without(shared, Codec::H264, &[("v", "nvh264enc")], &[]);
    assert_eq!(text, None);
    assert!(plan.why["v"].contains("all tracks share"), "{plan:?}");
}

#[test]
fn a_failure_is_the_kits_if_its_element_says_so_or_nothing_has_come_out_yet() {
    let (_, plan) = plan_without(TRANSCODE, Codec::H264, &[("v", "nvh264enc")], &[]);
    let of = |names: &[&str], is_encoder, had_output| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        plan.blamed(&names, is_encoder, had_output).is_some()
    };
    assert!(of(&["nvh264dec-1", "pipeline0"], false, true));
    assert!(of(&["video"], false, false));
    assert!(!of(&["v"], true, false) && of(&[], false, false) && !of(&[], false, true));
    assert!(!of(&["video"], false, true));
    assert!(MemoryPlan::default().blamed(&[], false, false).is_none());
}

#[test]
fn the_graph_of_a_text_follows_names() {
    let graph = Graph::read(
        "a ! decoder ! tee name=t  t. ! encoder name=v ! x.  b name=x ! t2.",
        &Kits::built_in(),
    )
    .unwrap();
    let kinds: Vec<_> = graph.nodes.iter().map(|node| node.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            Kind::Other,
            Kind::Decoder,
            Kind::Passing,
            Kind::Encoder("v".to_owned()),
            Kind::Other
        ]
    );
    let inputs: Vec<_> = graph.nodes.iter().map(|node| node.inputs.clone()).collect();
    assert_eq!(inputs, [vec![], vec![0], vec![1], vec![2], vec![3]]);
    assert_eq!(graph.decoded(), BTreeSet::from([1, 2, 3]));
    assert!(graph.nodes[4].leads_out);
}

#[test]
fn the_built_in_kits_fit_the_encoders_that_are_known() {
    let (kits, map) = (Kits::new(&BTreeMap::new()).unwrap(), Map::built_in());
    let mut names: Vec<_> = kits.iter().map(|kit| &kit.name).collect();
    names.dedup();
    assert_eq!(names.len(), kits.iter().count());
    for kit in kits.iter() {
        let fed: Vec<&Encoder> = map.iter().filter(|encoder| kit.feeds(encoder)).collect();
        assert!(!fed.is_empty() && !kit.scalers.is_empty(), "{}", kit.name);
        assert!(
            !kit.decoders(Codec::H264).is_empty() && !kit.decoders(Codec::Hevc).is_empty(),
            "{}",
            kit.name
        );
        assert!(
            kit.in_caps != kit.download.is_empty(),
            "{}: what caps name has to be got back",
            kit.name
        );
        let all = [
            &kit.scalers,
            &kit.upload,
            &kit.download,
            &kit.decoders.h264,
            &kit.decoders.hevc,
        ];
        let others = [&kit.decoders.av1, &kit.decoders.vp8, &kit.decoders.vp9];
        let all: Vec<_> = all.into_iter().chain(others).flatten().collect();
        for pattern in kit.sets.keys() {
            assert!(all.contains(&pattern), "{}: {pattern:?} is no element of it", kit.name);
        }
    }
}

#[test]
fn elements_that_are_installed_exist_and_take_what_is_set() {
    crate::pipeline::start().unwrap();
    for kit in Kits::built_in().iter() {
        for (pattern, settings) in &kit.sets {
            let Ok(element) = gst::ElementFactory::make(&pattern.on(None)).build() else {
                continue;
            };
            super::super::encoder::apply::set_if_taken(&element, settings);
        }
    }
    for passing in ["queue", "tee", "identity", "valve", "videorate", "milldrop"] {
        assert!(Kits::built_in().passes(passing));
        let factory = gst::ElementFactory::find(passing).unwrap();
        let device: gst::Caps = "video/x-raw(memory:CUDAMemory),format=NV12".parse().unwrap();
        assert!(
            factory.can_sink_any_caps(&device) && factory.can_src_any_caps(&device),
            "{passing}"
        );
    }
}

#[test]
fn what_of_a_kit_is_missing_is_told_for_each_device() {
    let map = Map::built_in();
    let encoders = ["vah264enc", "varenderD129h264enc", "x264enc"].map(|element| map.find(element).unwrap());
    let present = |element: &str| !element.starts_with("varenderD129") && element != "vaav1dec";
    let found = status::statuses(&Kits::built_in(), encoders.iter(), present);
    let [first, second] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((first.kit.as_str(), first.encoders[0].as_str()), ("va", "vah264enc"));
    assert_eq!(
        (&first.decodes.join(" "), first.scaler.as_deref()),
        (&"h264 hevc vp8 vp9".to_owned(), Some("vapostproc"))
    );
    assert_eq!(first.missing, ["vaav1dec"]);
    assert_eq!(
        (second.device.as_deref(), second.scaler.as_deref(), second.decodes.len()),
        (Some("renderD129"), None, 0)
    );
    assert!(
        second.missing.contains(&"varenderD129postproc".to_owned()),
        "{second:?}"
    );
}

#[test]
fn the_documentation_names_every_kit_and_key() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/device-memory.md");
    let text = std::fs::read_to_string(page).unwrap();
    for kit in Kits::built_in().iter() {
        assert!(
            text.contains(&format!("| `{}` | `{}` |", kit.name, kit.memory)),
            "{}",
            kit.name
        );
        let first = [kit.decoders(Codec::H264), &kit.scalers, &kit.upload, &kit.download];
        for element in first.iter().filter_map(|patterns| Some(patterns.first()?.on(None))) {
            assert!(text.contains(&element), "{element}");
        }
        let toml::Value::Table(row) = toml::Value::try_from(kit).unwrap() else {
            panic!()
        };
        for key in row.keys().filter(|key| *key != "name") {
            assert!(text.contains(&format!("`{key}`")), "{key}");
        }
    }
}

#[test]
fn a_kit_without_classes_is_off() {
    let kits = Kits::new(&toml::from_str("[cuda]\nclasses = []").unwrap()).unwrap();
    let around = Surroundings {
        kits: &kits,
        chosen: &chosen(&[("v", "nvh264enc")]),
        set: &BTreeSet::new(),
        is_present: |_: &str| true,
    };
    assert_eq!(plan(TRANSCODE, Codec::H264, &around), (None, MemoryPlan::default()));
}

#[test]
fn a_configuration_changes_single_keys_of_a_kit_and_adds_kits() {
    let read = |text: &str| Kits::new(&toml::from_str(text).unwrap());
    let kits = read("[cuda]\nscalers = ['cudascale']\n[mine]\nmemory = 'MyMemory'\nclasses = ['nvidia']").unwrap();
    let cuda = kits.iter().next().unwrap();
    assert_eq!(
        (cuda.name.as_str(), cuda.scalers[0].on(None).as_str()),
        ("cuda", "cudascale")
    );
    assert_eq!(cuda.upload[0].on(None), "cudaupload");
    assert_eq!(kits.iter().last().unwrap().name, "mine");
    assert_eq!(
        kits.without(&BTreeSet::from(["cuda".to_owned()]))
            .iter()
            .next()
            .unwrap()
            .name,
        "va"
    );
    for (text, wrong) in [
        ("[mine]\nmemory = 'M'", "encoders.kits.mine: missing field `classes`"),
        ("[cuda]\nscaler = 'x'", "encoders.kits.cuda: unknown field `scaler`"),
        ("[cuda]\nscalers = ['a b']", "'a b' is no element's name"),
        ("[cuda]\nscalers = ['a[b]c']", "is no element's name"),
    ] {
        let problems = read(text).unwrap_err();
        assert!(problems[0].to_string().contains(wrong), "{text}: {problems:?}");
    }
    let pattern = Pattern::try_from("nvh264[device*]dec".to_owned()).unwrap();
    assert_eq!(
        (pattern.on(None), pattern.on(Some("1"))),
        ("nvh264dec".to_owned(), "nvh264device1dec".to_owned())
    );
}
