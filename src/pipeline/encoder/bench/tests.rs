#![allow(clippy::unwrap_used)]

//! The bench without a single element: encoders are names, drivers fail when the test says so, and time is a number.

use std::time::Duration;

use super::{super::map::Map, *};

/// A bench with these encoders, under a configuration.
fn bench(config: &str, installed: &[&str]) -> EncoderBench {
    let map = Map::built_in();
    let policy = Policy::new(&toml::from_str(config).unwrap(), &map, 4).unwrap();
    let mut rows: Vec<_> = installed.iter().map(|name| map.find(name).unwrap()).collect();
    rows.sort_by_key(|row| {
        map.iter()
            .position(|known| known.codec == row.codec && known.class == row.class)
    });
    EncoderBench::new(policy, rows, map.iter().cloned())
}

fn h264() -> Need {
    Need {
        size: (1280, 720),
        ..Need::of(EncoderCodec::H264)
    }
}

fn element(lease: &Lease) -> &str {
    &lease.encoder().element
}

fn why(refused: &Refused, element: &str) -> String {
    let found = refused.passed_over.iter().find(|passed| passed.element == element);
    found
        .unwrap_or_else(|| panic!("{element} is not in {refused}"))
        .why
        .to_string()
}

#[test]
fn hardware_is_taken_before_software_and_given_back_when_dropped() {
    let (bench, now) = (bench("", &["x264enc", "vah264enc"]), Instant::now());
    let lease = bench.acquire(&h264(), now).unwrap();
    assert_eq!(element(&lease), "vah264enc");
    assert_eq!(bench.snapshot(now).encoders[0].sessions, 1);
    drop(lease);
    assert_eq!(bench.snapshot(now).encoders[0].sessions, 0);
}

#[test]
fn what_is_forbidden_is_never_taken() {
    let now = Instant::now();
    let bench = bench("forbid = ['va', 'x264enc']", &["vah264enc", "x264enc", "openh264enc"]);
    let lease = bench.acquire(&h264(), now).unwrap();
    assert_eq!(element(&lease), "openh264enc");
    let mut need = h264();
    need.exclude.insert("openh264enc".to_owned());
    let refused = bench.acquire(&need, now).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no h264 encoder is free: vah264enc: the configuration forbids va; x264enc: the configuration forbids x264enc; \
         openh264enc: it has failed here"
    );
}

#[test]
fn without_any_encoder_the_refusal_names_what_would_do() {
    let refused = bench("", &["x264enc"])
        .acquire(&Need::of(EncoderCodec::Opus), Instant::now())
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no opus encoder is installed; one of opusenc, avenc_opus is needed; on Debian and Ubuntu: apt install \
         gstreamer1.0-plugins-base"
    );
}

#[test]
fn limits_hold_for_elements_classes_and_codecs() {
    let now = Instant::now();
    let installed = ["nvh264enc", "nvh265enc", "vah264enc", "x264enc"];
    let bench = bench("limits = { nvh264enc = 2, nvidia = 3, h264 = 4 }", &installed);
    let take = |codec| bench.acquire(&Need { codec, ..h264() }, now);
    let (one, two) = (take(EncoderCodec::H264).unwrap(), take(EncoderCodec::H264).unwrap());
    assert_eq!((element(&one), element(&two)), ("nvh264enc", "nvh264enc"));
    let third = take(EncoderCodec::H264).unwrap();
    assert_eq!(element(&third), "vah264enc");
    assert_eq!(
        third.passed_over()[0].why.to_string(),
        "2 of 2 sessions of nvh264enc are in use"
    );
    let hevc = take(EncoderCodec::Hevc).unwrap();
    let refused = take(EncoderCodec::Hevc).unwrap_err();
    assert_eq!(why(&refused, "nvh265enc"), "3 of 3 sessions of nvidia are in use");
    let fourth = take(EncoderCodec::H264).unwrap();
    let refused = take(EncoderCodec::H264).unwrap_err();
    assert_eq!(why(&refused, "x264enc"), "4 of 4 sessions of h264 are in use");
    drop((one, hevc));
    assert_eq!(element(&take(EncoderCodec::H264).unwrap()), "nvh264enc");
    drop((two, fourth));
}

#[test]
fn a_limit_of_a_device_holds_for_it_alone() {
    let now = Instant::now();
    let bench = bench("limits = { 'nvidia/1' = 1 }", &["nvh264device1enc", "nvh264device2enc"]);
    let leases = [
        bench.acquire(&h264(), now).unwrap(),
        bench.acquire(&h264(), now).unwrap(),
    ];
    assert_eq!(element(&leases[0]), "nvh264device1enc");
    assert_eq!(element(&leases[1]), "nvh264device2enc");
}

#[test]
fn software_is_limited_by_number_whatever_element_it_is() {
    let now = Instant::now();
    let bench = bench(
        "software = 2\nsoftware_cores = 100",
        &["x264enc", "x265enc", "avenc_aac"],
    );
    let leases = [EncoderCodec::H264, EncoderCodec::Hevc].map(|codec| bench.acquire(&Need::of(codec), now).unwrap());
    let refused = bench.acquire(&h264(), now).unwrap_err();
    assert_eq!(why(&refused, "x264enc"), "2 of 2 sessions of software are in use");
    // Sound is no burden, and has nothing else.
    bench.acquire(&Need::of(EncoderCodec::Aac), now).unwrap();
    drop(leases);
    bench.acquire(&h264(), now).unwrap();
}

#[test]
fn software_can_be_forbidden_and_sound_goes_on() {
    let (bench, now) = (bench("software = 'forbid'", &["x264enc", "avenc_aac"]), Instant::now());
    let refused = bench.acquire(&h264(), now).unwrap_err();
    assert_eq!(why(&refused, "x264enc"), "the configuration forbids software");
    bench.acquire(&Need::of(EncoderCodec::Aac), now).unwrap();
}

#[test]
fn one_more_transcode_does_not_take_the_cores_of_the_others() {
    let now = Instant::now();
    let bench = bench("software_cores = 1.0", &["x264enc", "openh264enc", "vah264enc"]);
    let mut need = Need::of(EncoderCodec::H264);
    need.exclude.insert("vah264enc".to_owned());
    let first = bench.acquire(&need, now).unwrap();
    let second = bench.acquire(&need, now).unwrap();
    // The cheaper one still fits in.
    assert_eq!((element(&first), element(&second)), ("x264enc", "openh264enc"));
    let refused = bench.acquire(&need, now).unwrap_err();
    assert_eq!(
        why(&refused, "openh264enc"),
        "it needs 0.3 cores, and 0.9 of 1.0 are in use"
    );
    need.exclude.clear();
    assert_eq!(element(&bench.acquire(&need, now).unwrap()), "vah264enc");
    drop((first, second));
    assert_eq!(bench.snapshot(now).cores, 0.0);
}

#[test]
fn a_session_that_fails_while_others_run_teaches_the_limit() {
    let (bench, now) = (bench("", &["nvh264enc", "x264enc"]), Instant::now());
    let running = [
        bench.acquire(&h264(), now).unwrap(),
        bench.acquire(&h264(), now).unwrap(),
    ];
    let third = bench.acquire(&h264(), now).unwrap();
    third.failed("out of memory", false, now);
    let standing = &bench.snapshot(now).encoders[0];
    assert_eq!(
        (standing.sessions, standing.learned, standing.allowed),
        (2, Some(2), Some(2))
    );
    // It holds when the element is no longer set aside,
    let later = now + Duration::from_secs(60);
    assert_eq!(element(&bench.acquire(&h264(), later).unwrap()), "x264enc");
    let [one, _two] = running;
    drop(one);
    assert_eq!(element(&bench.acquire(&h264(), later).unwrap()), "nvh264enc");
    // and is forgotten in the end: the missing sessions may have been another program's.
    let _again = bench.acquire(&h264(), later).unwrap();
    let much_later = now + Duration::from_secs(601);
    assert_eq!(element(&bench.acquire(&h264(), much_later).unwrap()), "nvh264enc");
    assert_eq!(bench.snapshot(much_later).encoders[0].learned, None);
}

#[test]
fn failures_after_output_or_of_software_or_alone_teach_no_limit() {
    let now = Instant::now();
    let bench = bench("", &["nvh264enc", "x264enc"]);
    bench.acquire(&h264(), now).unwrap().failed("alone", false, now);
    assert_eq!(bench.snapshot(now).encoders[0].learned, None);
    let now = now + Duration::from_secs(3600);
    let _running = bench.acquire(&h264(), now).unwrap();
    bench.acquire(&h264(), now).unwrap().failed("in mid-stream", true, now);
    let _software = bench.acquire(&h264(), now).unwrap();
    bench.acquire(&h264(), now).unwrap().failed("odd pictures", false, now);
    let learned: Vec<_> = bench.snapshot(now).encoders.iter().map(|one| one.learned).collect();
    assert_eq!(learned, [None, None]);
}

#[test]
fn hardware_that_failed_is_passed_over_ever_longer_until_it_works() {
    let (bench, mut now) = (bench("", &["nvh264enc"]), Instant::now());
    let aside = |now| bench.snapshot(now).encoders[0].aside.map(|left| left.as_secs());
    for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
        bench.acquire(&h264(), now).unwrap().failed("no such device", true, now);
        assert_eq!(aside(now), Some(seconds));
        let refused = bench
            .acquire(&h264(), now + Duration::from_secs(seconds - 1))
            .unwrap_err();
        assert_eq!(
            why(&refused, "nvh264enc"),
            "it has failed and is tried again in 1 s: no such device"
        );
        now += Duration::from_secs(seconds);
    }
    bench.acquire(&h264(), now).unwrap().works();
    bench.acquire(&h264(), now).unwrap().failed("once more", true, now);
    assert_eq!(aside(now), Some(10));
}

#[test]
fn software_that_failed_gives_way_to_another_but_is_better_than_nothing() {
    let (bench, now) = (bench("", &["x264enc", "openh264enc"]), Instant::now());
    bench.acquire(&h264(), now).unwrap().failed("odd pictures", false, now);
    let other = bench.acquire(&h264(), now).unwrap();
    assert_eq!(element(&other), "openh264enc");
    other.failed("odd pictures", false, now);
    assert_eq!(element(&bench.acquire(&h264(), now).unwrap()), "x264enc");
    // Where it failed it is not taken again.
    let mut need = h264();
    need.exclude.extend(["x264enc".to_owned(), "openh264enc".to_owned()]);
    bench.acquire(&need, now).unwrap_err();
}

#[test]
fn what_a_probe_found_broken_is_not_taken_and_the_reason_is_told() {
    let (bench, now) = (
        bench("software = 'forbid'", &["nvh264enc", "vah264enc", "x264enc"]),
        Instant::now(),
    );
    bench.probed("nvh264enc", Health::Broken("no device".to_owned()), None);
    bench.probed("vah264enc", Health::Works, Some("/dev/dri/renderD128"));
    assert_eq!(element(&bench.acquire(&h264(), now).unwrap()), "vah264enc");
    bench.probed("vah264enc", Health::Broken("it hangs".to_owned()), None);
    let refused = bench.acquire(&h264(), now).unwrap_err();
    assert_eq!(why(&refused, "nvh264enc"), "it does not work: no device");
    let snapshot = bench.snapshot(now);
    let shown: Vec<_> = snapshot
        .encoders
        .iter()
        .map(|one| (one.state().as_str(), one.device.as_deref()))
        .collect();
    assert_eq!(shown[1], ("broken", Some("renderD128")));
}

#[test]
fn copies_for_further_tracks_count_as_sessions() {
    let (bench, now) = (
        bench("limits = { nvidia = 3 }", &["nvh264enc", "x264enc"]),
        Instant::now(),
    );
    let two = Need { sessions: 2, ..h264() };
    let lease = bench.acquire(&two, now).unwrap();
    assert_eq!(element(&bench.acquire(&two, now).unwrap()), "x264enc");
    drop(lease);
    assert_eq!(element(&bench.acquire(&two, now).unwrap()), "nvh264enc");
}

#[tokio::test]
async fn whoever_waits_for_probes_waits_for_hardware_of_his_codec_only() {
    let bench = bench("", &["nvh264enc", "x264enc", "x265enc"]);
    bench.settled(EncoderCodec::H264).await;
    let all: Vec<_> = bench
        .snapshot(Instant::now())
        .encoders
        .into_iter()
        .map(|one| one.encoder)
        .collect();
    bench.await_probes(&all);
    bench.settled(EncoderCodec::Hevc).await;
    let waiting = tokio::spawn({
        let bench = bench.clone();
        async move { bench.settled(EncoderCodec::H264).await }
    });
    bench.probed("x265enc", Health::Works, None);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    bench.probed("nvh264enc", Health::Broken("no".to_owned()), None);
    waiting.await.unwrap();
}

proptest::proptest! {
    #[test]
    fn whatever_is_taken_and_given_back_nothing_stays_in_use_and_no_limit_is_passed(
        steps in proptest::collection::vec((0_u8..4, 0_usize..8, 1_u32..3), 1..200),
    ) {
        let bench = bench("limits = { nvidia = 4, h264 = 7 }\nsoftware = 3", &["nvh264enc", "vah264enc", "x264enc", "openh264enc"]);
        let mut now = Instant::now();
        let mut held = Vec::new();
        for (step, which, sessions) in steps {
            match step {
                0 | 1 => held.extend(bench.acquire(&Need { sessions, ..h264() }, now).ok()),
                2 if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                3 if !held.is_empty() => {
                    let lease: Lease = held.swap_remove(which % held.len());
                    lease.failed("it failed", which % 2 == 0, now);
                }
                _ => now += Duration::from_secs(30),
            }
            let snapshot = bench.snapshot(now);
            let of = |class: &str| -> u32 {
                let of_class = snapshot.encoders.iter().filter(|one| one.encoder.class.as_str() == class);
                of_class.map(|one| one.sessions).sum()
            };
            let all: u32 = snapshot.encoders.iter().map(|one| one.sessions).sum();
            proptest::prop_assert!(of("nvidia") <= 4 && of("software") <= 3 && all <= 7);
            proptest::prop_assert_eq!(of("software"), snapshot.software);
            let taken: u32 = held.iter().map(|lease| lease.sessions).sum();
            proptest::prop_assert_eq!(taken, all);
        }
        drop(held);
        let snapshot = bench.snapshot(now);
        proptest::prop_assert!(snapshot.encoders.iter().all(|one| one.sessions == 0));
        proptest::prop_assert_eq!((snapshot.software, snapshot.cores), (0, 0.0));
    }
}
