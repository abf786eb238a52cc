#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use streammill_media::Codec;

use super::{super::encoder::Map, *};

fn launch(text: &str) -> Launch {
    toml::from_str(text).unwrap()
}

fn chosen() -> Chosen {
    Chosen::from([("v".to_owned(), Map::built_in().find("openh264enc").unwrap())])
}

fn video(id: u8) -> Track {
    let frame = b"\x10\x02\0\x9d\x01\x2a\x80\x02\xe0\x01";
    Track::from_frame(TrackId(id), Codec::Vp8, Bytes::new(), frame).unwrap()
}

fn audio(id: u8) -> Track {
    Track::from_config(TrackId(id), Codec::Aac, Bytes::from_static(b"\x12\x10")).unwrap()
}

fn text(launch: &Launch, tracks: &[Track]) -> Option<String> {
    let stock = Stock {
        chosen: &chosen(),
        kits: &Kits::none(),
        set: &BTreeSet::new(),
        is_present: |_: &str| true,
    };
    launch_text(launch, tracks, &stock).map(|(text, _)| text)
}

const TRANSCODE: &str = "video = 'in.video ! x ! encoder name=v ! out.video'\naudio = 'in.audio ! out.audio'";

#[test]
fn only_the_fragments_of_tracks_that_are_there_are_used() {
    let transcode = launch(TRANSCODE);
    assert_eq!(
        text(&transcode, &[video(0)]).unwrap(),
        "millsink name=out  millsrc name=in  in.video ! x ! openh264enc name=v ! out.video"
    );
    assert!(!text(&transcode, &[audio(0)]).unwrap().contains("video"));
    assert_eq!(text(&launch("video = 'in.video ! fakesink'"), &[audio(0)]), None);
    assert_eq!(text(&transcode, &[]), None);
}

#[test]
fn what_will_arrive_is_known_before_it_does() {
    let transcode = launch(TRANSCODE);
    let first = TrackKey::first;
    let out = |pads: &[TrackKey]| Outgoing::from([("out".to_owned(), pads.to_vec())]);
    assert_eq!(outgoing(&transcode, &[audio(0)]), out(&[first(MediaKind::Audio)]));
    assert_eq!(
        outgoing(&launch("video = 'in.video ! fakesink'"), &[video(0)]),
        Outgoing::new()
    );
    let source = launch("source = 'x ! out.video  y ! out.audio'");
    assert_eq!(
        outgoing(&source, &[]),
        out(&[first(MediaKind::Audio), first(MediaKind::Video)])
    );
    let picture_of_sound = launch("audio = 'in.audio ! wavescope ! out.video'");
    assert_eq!(
        outgoing(&picture_of_sound, &[audio(0)]),
        out(&[first(MediaKind::Video)])
    );
}

#[test]
fn what_both_tracks_lead_to_comes_before_them() {
    let launch = launch("shared = 'mux name=m ! filesink'\nvideo = 'in.video ! m.'");
    assert_eq!(
        text(&launch, &[video(0), audio(0)]).unwrap(),
        "mux name=m ! filesink  millsrc name=in  in.video ! m."
    );
}

#[test]
fn parser_and_decoder_stand_for_what_the_coding_needs() {
    let launch =
        launch("video = 'in.video ! parser ! decoder ! fakesink'\naudio = 'in.audio ! parser ! decoder ! fakesink'");
    assert_eq!(
        text(&launch, &[audio(0), video(0)]).unwrap(),
        "millsrc name=in  in.audio ! aacparse ! avdec_aac ! fakesink  in.video ! identity ! vp8dec ! fakesink"
    );
}

#[test]
fn further_tracks_get_copies_with_their_number_where_a_template_wants_them() {
    let all = launch(
        "tracks = 'all'\nshared = 'mux name=m ! filesink'\naudio = 'in.audio ! tee name=t t. ! m.audio_0 t. ! queue name=q x=1.5 ! out.audio'",
    );
    assert_eq!(
        text(&all, &[audio(0), audio(3)]).unwrap(),
        "millsink name=out  mux name=m ! filesink  millsrc name=in  \
         in.audio ! tee name=t t. ! m.audio_0 t. ! queue name=q x=1.5 ! out.audio  \
         in.audio_1 ! tee name=t_1 t_1. ! m.audio_1 t_1. ! queue name=q_1 x=1.5 ! out.audio_1"
    );
    let keys = |id| TrackKey {
        kind: MediaKind::Audio,
        id: TrackId(id),
    };
    let out = Outgoing::from([("out".to_owned(), vec![keys(0), keys(1)])]);
    assert_eq!(outgoing(&all, &[audio(0), audio(3)]), out);
    assert_eq!(pads(&all, &[audio(0), audio(3)]), [keys(0), keys(1)]);
    let first = launch("audio = 'in.audio ! fakesink'");
    assert_eq!(pads(&first, &[audio(1), audio(3)]), [keys(0)]);
}

#[test]
fn only_the_word_that_stands_for_an_encoder_is_replaced() {
    let with = |text: &str| with_elements(text, &chosen(), &Coding::None);
    for text in [
        "my-encoder name=v",
        "encoder name=w",
        "encodername=v",
        "x \"a ! encoder name=v\"",
        "x t='encoder name=v '",
        "parser ! decoder",
    ] {
        assert_eq!(with(text), text);
    }
    assert_eq!(with("a !encoder  name=v b=1"), "a !openh264enc  name=v b=1");
}

#[test]
fn every_output_has_its_own_sink() {
    let both = launch(
        "tracks = 'all'\nvideo = 'in.video ! tee name=t t. ! out.video t. ! x ! out_small.video'\naudio = 'in.audio ! out_small.audio'",
    );
    let pads = |keys: &[(MediaKind, u8)]| {
        let key = |(kind, id): &(MediaKind, u8)| TrackKey {
            kind: *kind,
            id: TrackId(*id),
        };
        keys.iter().map(key).collect::<Vec<_>>()
    };
    assert_eq!(
        outgoing(&both, &[video(0), audio(0), audio(1)]),
        Outgoing::from([
            ("out".to_owned(), pads(&[(MediaKind::Video, 0)])),
            (
                "out_small".to_owned(),
                pads(&[(MediaKind::Audio, 0), (MediaKind::Audio, 1), (MediaKind::Video, 0)])
            ),
        ])
    );
    assert_eq!(
        text(&both, &[audio(0), audio(1)]).unwrap(),
        "millsink name=out_small  millsrc name=in  in.audio ! out_small.audio  in.audio_1 ! out_small.audio_1"
    );
}

#[test]
fn the_copies_of_a_fragment_have_encoders_too() {
    let all = launch("tracks = 'all'\nvideo = 'in.video ! encoder name=v ! out.video'");
    let text = text(&all, &[video(0), video(1)]).unwrap();
    assert!(text.contains("in.video ! openh264enc name=v ! out.video"), "{text}");
    assert!(
        text.contains("in.video_1 ! openh264enc name=v_1 ! out.video_1"),
        "{text}"
    );
}
