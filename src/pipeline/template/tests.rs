#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use streammill_media::{Codec, Track, TrackId};

use super::*;
use crate::pipeline::{
    assembly::outgoing,
    params::{self, Place, Rung},
};

fn parse(text: &str) -> Result<Template, String> {
    Template::parse(Path::new("t/mine.toml"), text).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
        lines.join("\n")
    })
}

fn video(height: u16) -> Track {
    let [low, high] = height.to_le_bytes();
    let frame = [0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, low, high];
    Track::from_frame(TrackId(0), Codec::Vp8, Bytes::new(), &frame).unwrap()
}

fn audio() -> Track {
    Track::from_config(TrackId(0), Codec::Aac, Bytes::from_static(b"\x12\x10")).unwrap()
}

const GOOD: &str = r#"
summary = "One rendition"
output = "stream"

[params]
height = { type = "int", default = 360, min = 64, max = 4320, sets = "size.caps:height" }
video_bitrate = { type = "bitrate", default = "800k" }

[encoders.v]
codec = "h264"
bitrate = { param = "video_bitrate" }
keyframe_interval = "2s"

[launch]
video = "in.video ! decodebin ! capsfilter name=size ! encoder name=v ! h264parse ! out.video"
audio = "in.audio ! out.audio"
"#;

#[test]
fn a_template_is_named_after_its_file() {
    let template = parse(GOOD).unwrap();
    assert_eq!(template.name, "mine");
    assert_eq!(
        (template.output, template.on_change, template.version),
        (Output::Stream, OnChange::Rotate, 1)
    );
    assert!(!template.is_source());
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_the_nearest_key() {
    let error = parse(&GOOD.replace("default = 360", "defualt = 360")).unwrap_err();
    assert!(error.starts_with("t/mine.toml:6: params.height"), "{error}");
    assert!(error.ends_with("did you mean `default`?"), "{error}");
}

#[test]
fn a_newer_version_is_refused_whatever_else_stands_there() {
    assert!(parse(&format!("version = 1\n{GOOD}")).is_ok());
    assert_eq!(
        parse("new_key = true\nversion = 2\n").unwrap_err(),
        "t/mine.toml:2: version: version 2 needs a newer streammill; this one knows 1"
    );
}

#[test]
fn contradictions_are_named_with_file_and_line() {
    for (from, to, expected) in [
        (
            "max = 4320",
            "max = 100",
            "t/mine.toml:6: params.height: default: 360 is above 100",
        ),
        (
            "param = \"video_bitrate\"",
            "param = \"video_bitrat\"",
            "t/mine.toml:11: encoders.v.bitrate: there is no parameter 'video_bitrat'; did you mean 'video_bitrate'?",
        ),
        (
            "{ param = \"video_bitrate\" }",
            "{ rung = \"bitrate\" }",
            "t/mine.toml:9: encoders.v: only an encoder in a `rung` text can be told what the rung says",
        ),
        (
            "encoder name=v",
            "encoder name=w",
            "t/mine.toml:9: encoders.v: no launch text has `encoder name=v`",
        ),
        (
            "encoder name=v",
            "encoder name=w",
            "t/mine.toml:15: launch.video: there is no [encoders.w]",
        ),
        (
            "audio = ",
            "source = ",
            "t/mine.toml:14: launch: `source` works on no stream; `video` and `audio` do",
        ),
        (
            "[launch]",
            "[variants.mp4]",
            "launch: either `launch` or `cases` is needed, or `variant` with `variants`",
        ),
        (
            "name=size",
            "name=out_size",
            "t/mine.toml:15: launch.video: the name 'out_size' is taken",
        ),
        (
            "! out.audio",
            "! out_big.audio",
            "t/mine.toml:16: launch.audio: 'big' is not one of `outputs`",
        ),
        (
            "[params]",
            "outputs = [\"big\"]\n[params]",
            "t/mine.toml:5: outputs: no launch text leads to `out_big`",
        ),
        (
            "[params]",
            "outputs = [\"Big\", \"out\"]\n[params]",
            "outputs: \"Big\" is not made of a-z, 0-9 and _",
        ),
        (
            "! decodebin",
            "! @decode",
            "t/mine.toml:15: launch.video: there is no fragment '@decode'",
        ),
    ] {
        let error = parse(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
}

#[test]
fn a_variant_is_chosen_by_an_enum_that_it_covers() {
    let text = r#"
summary = "s"
output = "file"
variant = "format"
[params]
format = { type = "enum", values = ["mp4", "flv"], default = "mp4" }
[variants.mp4]
video = "in.video ! h264parse ! mux.video_0"
"#;
    let error = parse(text).unwrap_err();
    assert_eq!(error, "t/mine.toml:4: variant: there is no variants.flv");
    let template = parse(&format!("{text}[variants.flv]\naudio = \"in.audio ! x\"\n")).unwrap();
    let values = Values::from([("format".to_owned(), Value::Choice("flv".to_owned()))]);
    let fitted = template.fit(&values, &[video(90)]);
    assert!(fitted.launch().video.is_none() && fitted.launch().audio.is_some());
    assert_eq!(
        fitted.template.fit(&values, &[video(90)]),
        fitted,
        "it changes when it is fitted again"
    );
}

#[test]
fn what_decodes_or_encodes_has_a_process_of_its_own_unless_it_says_otherwise() {
    let of = |text: &str| {
        parse(&format!("summary = 's'\noutput = 'none'\n{text}"))
            .unwrap()
            .isolation()
    };
    assert_eq!(of("[launch]\nvideo = 'in.video ! fakesink'"), Isolation::Inline);
    assert_eq!(
        of("[launch]\nvideo = 'in.video ! decoder !fakesink'"),
        Isolation::Process
    );
    assert_eq!(
        of("isolation = 'inline'\n[launch]\nvideo = 'in.video ! decoder ! fakesink'"),
        Isolation::Inline
    );
    assert_eq!(
        of("isolation = 'process'\n[launch]\nvideo = 'in.video ! fakesink'"),
        Isolation::Process
    );
    assert_eq!(parse(GOOD).unwrap().isolation(), Isolation::Process);
}

#[test]
fn the_first_case_that_fits_a_stream_is_used_and_else_the_launch() {
    let template = parse(
        r#"
summary = "s"
output = "none"
[[cases]]
when = { video = ["vp8"], min_height = 720 }
video = "in.video ! a"
tracks = "all"
[[cases]]
when = { video = "any", audio = "none" }
video = "in.video ! b"
[launch]
audio = "in.audio ! c"
"#,
    )
    .unwrap();
    let values = Values::new();
    let of = |tracks: &[Track]| {
        let fitted = template.fit(&values, tracks);
        let texts: Vec<_> = fitted.launch().texts().map(str::to_owned).collect();
        texts.join(" / ")
    };
    assert_eq!(of(&[video(1080)]), "in.video ! a");
    assert_eq!(of(&[video(480)]), "in.video ! b");
    assert_eq!(of(&[video(480), audio()]), "in.audio ! c");
    assert_eq!(of(&[]), "in.audio ! c");
    assert_eq!(template.track_choice(&values), TrackChoice::All);
}

#[test]
fn a_case_without_a_launch_leaves_other_streams_alone() {
    let text = "summary = 's'\noutput = 'none'\n[[cases]]\nwhen = { video = 'vp9' }\nvideo = 'in.video ! x'\n";
    let template = parse(text).unwrap();
    assert_eq!(template.fit(&Values::new(), &[video(90)]).launch(), &Launch::default());
    let error = parse(&text.replace("'vp9'", "'vp99'")).unwrap_err();
    assert!(error.starts_with("t/mine.toml:4: "), "{error}");
    let error = parse(&text.replace("'vp9'", "'none', max_height = 3")).unwrap_err();
    assert!(
        error.starts_with("t/mine.toml:4: cases.0.when: a stream without pictures has no height"),
        "{error}"
    );
    let error = parse(&text.replace("video = 'in", "vidio = 'in")).unwrap_err();
    assert!(
        error.contains("vidio") && error.contains("did you mean `video`?"),
        "{error}"
    );
}

#[test]
fn fragments_of_a_template_go_before_those_it_shares() {
    let shared = "[fragments]\nsize = 'shared'\nrest = 'queue'\n";
    let (shared, _) = Fragments::read(&[("f/x.toml".into(), shared.to_owned())]);
    let text = "summary = 's'\noutput = 'none'\n[fragments]\nsize = 'own ! @rest'\n[launch]\nvideo = 'in.video ! @size ! @rest'";
    let template = Template::parse_with(Path::new("t/mine.toml"), text, &shared).unwrap();
    assert_eq!(
        template.launch.unwrap().video.unwrap(),
        "in.video ! own ! queue ! queue"
    );
    let error =
        Template::parse_with(Path::new("t/mine.toml"), &text.replace("own ! @rest", "@size"), &shared).unwrap_err();
    assert_eq!(
        error[0].to_string(),
        "t/mine.toml:4: fragments.size: fragments that hold each other have no end: @size → @size"
    );
}

#[test]
fn a_text_that_becomes_a_pattern_holds_no_percent() {
    let text = "summary = 's'\noutput = 'none'\n[params]\n\
                dir = { type = 'string', default = '/x', sets = 'parts:location' }\n\
                free = { type = 'string', default = '', sets = ['x:text', 'plain:location'] }\n\
                [launch]\nvideo = 'in.video ! splitmuxsink name=parts  t name=x  filesink name=plain'";
    let template = parse(text).unwrap();
    let given = |name: &str| params::Given::from([(name.to_owned(), toml::Value::String("/a/%n%s".to_owned()))]);
    let error = params::resolve(&template.params, &given("dir"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "parameter 'dir': \"/a/%n%s\" holds a '%', which the element would read as a place for a number"
    );
    assert!(params::resolve(&template.params, &given("free")).is_ok());
}

const LADDER: &str = r#"
summary = "s"
output = "stream"
[params]
level = { type = "int", default = 1, sets = ["v:level", "d:level"] }
[params.ladder]
type = "ladder"
default = [{ height = 720, bitrate = "2.5M" }, { height = 480, bitrate = "1M", fps = "15" }]
height_sets = "size.caps:height"
keep_every_sets = "rate:keep-every"
[encoders.v]
codec = "h264"
bitrate = { rung = "bitrate" }
[encoders.a]
codec = "aac"
[launch]
video = "in.video ! decoder name=d ! tee name=top"
rung = "above. ! rate name=rate ! size name=size ! tee name=this  this. ! encoder name=v ! out.video"
audio = "in.audio ! encoder name=a ! outs.audio"
"#;

#[test]
fn a_ladder_is_written_out_for_the_rungs_that_the_picture_allows() {
    let template = parse(LADDER).unwrap();
    let values = params::resolve(&template.params, &params::Given::new()).unwrap();
    let tracks = [video(1080), audio()];
    let fitted = template.fit(&values, &tracks);
    assert_eq!(
        fitted.launch().video.as_deref().unwrap(),
        "in.video ! decoder name=d ! tee name=top  \
         top. ! rate name=rate_720 ! size name=size_720 ! tee name=this_720  this_720. ! encoder name=v_720 ! out_720.video  \
         this_720. ! rate name=rate_480 ! size name=size_480 ! tee name=this_480  this_480. ! encoder name=v_480 ! out_480.video"
    );
    assert_eq!(
        fitted.launch().audio.as_deref().unwrap(),
        "in.audio ! encoder name=a ! tee name=outs_audio  outs_audio. ! queue ! out_480.audio  outs_audio. ! queue ! out_720.audio"
    );
    let bitrates: Vec<_> = fitted
        .template
        .encoders
        .iter()
        .map(|(name, role)| (name.as_str(), role.demand(&fitted.values).bitrate))
        .collect();
    assert_eq!(
        bitrates,
        [("a", None), ("v_480", Some(1_000_000)), ("v_720", Some(2_500_000))]
    );
    let keep_every: Vec<_> = fitted.template.keep_every.values().collect();
    assert_eq!(keep_every, [&2, &1], "the lower one has half of 30 pictures a second");
    let mut set = Vec::new();
    for (name, param) in &fitted.template.params {
        set.extend(
            param
                .sets
                .0
                .iter()
                .map(|target| format!("{target} = {}", fitted.values[name])),
        );
    }
    assert_eq!(
        set,
        [
            "size_480.caps:height = 480",
            "rate_480:keep-every = 2",
            "size_720.caps:height = 720",
            "rate_720:keep-every = 1",
            "d:level = 1",
            "v_720:level = 1",
            "v_480:level = 1"
        ]
    );
    assert_eq!(
        outgoing(fitted.launch(), &tracks).keys().collect::<Vec<_>>(),
        ["out_480", "out_720"]
    );
    assert_eq!(
        fitted.template.fit(&fitted.values, &tracks),
        fitted,
        "it changes when it is fitted again"
    );
}

#[test]
fn a_small_picture_gets_one_rung_under_its_name() {
    let template = parse(LADDER).unwrap();
    let values = params::resolve(&template.params, &params::Given::new()).unwrap();
    let fitted = template.fit(&values, &[video(361)]);
    assert_eq!(fitted.values["ladder.480.height"], Value::Int(360));
    assert_eq!(
        outgoing(fitted.launch(), &[video(361)]).keys().collect::<Vec<_>>(),
        ["out_480"]
    );
}

#[test]
fn sound_alone_has_an_output_of_its_own() {
    let template = parse(LADDER).unwrap();
    let values = params::resolve(&template.params, &params::Given::new()).unwrap();
    let fitted = template.fit(&values, &[audio()]);
    assert_eq!(
        fitted.launch().audio.as_deref().unwrap(),
        "in.audio ! encoder name=a ! out_audio.audio"
    );
    assert_eq!(
        outgoing(fitted.launch(), &[audio()]).keys().collect::<Vec<_>>(),
        ["out_audio"]
    );
    let names: Vec<_> = template.output_names(&values).into_iter().collect();
    assert_eq!(names, ["480", "720", "audio"]);
}

#[test]
fn the_rungs_given_are_those_that_are_used() {
    let template = parse(LADDER).unwrap();
    let rung = Rung {
        height: 240,
        bitrate: 300_000,
        fps: None,
    };
    let values = Values::from([
        ("ladder".to_owned(), Value::Ladder(vec![rung])),
        ("level".to_owned(), Value::Int(1)),
    ]);
    let fitted = template.fit(&values, &[video(480)]);
    let targets = |name: &str| fitted.template.params[name].sets.0.clone();
    assert_eq!(targets("ladder.240.height")[0].element, "size_240");
    assert_eq!(
        targets("ladder.240.height")[0].place,
        Place::CapsField("height".to_owned())
    );
    assert_eq!(fitted.values["ladder.240.keep_every"], Value::Int(1));
}

#[test]
fn several_outputs_are_found_where_they_are_led_to() {
    let text = "summary = 's'\noutput = 'stream'\noutputs = ['small']\n[launch]\n\
                video = 'in.video ! tee name=t  t. ! out.video  t. ! out_small.video'\naudio = 'in.audio ! outs.audio'";
    let template = parse(text).unwrap();
    let names = |template: &Template| template.output_names(&Values::new()).into_iter().collect::<Vec<_>>();
    assert_eq!(names(&template), ["audio", "out", "small"]);
    let fitted = template.fit(&Values::new(), &[video(90), audio()]);
    let text = fitted.launch().audio.as_deref().unwrap();
    assert!(
        text.contains("queue ! out.audio") && text.contains("queue ! out_small.audio"),
        "{text}"
    );
    assert_eq!(names(&parse(GOOD).unwrap()), ["out"]);
}

#[test]
fn a_ladder_that_does_not_hang_together_is_refused() {
    for (from, to, expected) in [
        (
            "tee name=top",
            "fakesink",
            "t/mine.toml:18: launch.rung: the `video` text needs an element `name=top`",
        ),
        ("above. !", "top. !", "it has to begin at `above.`"),
        ("tee name=this  this. ! ", "", "it needs an element `name=this`"),
        (
            "name=size ",
            "name=sice ",
            "t/mine.toml:6: params.ladder: there is no element named 'size' in `rung`",
        ),
        (
            "name=d ",
            "name=d_1 ",
            "'d_1' could be the name of an element in a rung",
        ),
        (
            "output = \"stream\"",
            "output = \"none\"",
            "only `output = \"stream\"` has several outputs",
        ),
        (
            "[launch]\n",
            "[launch]\ntracks = 'all'\n",
            "a ladder is for the first track",
        ),
        (
            "rung = \"bitrate\"",
            "rung = \"speed\"",
            "encoders.v.bitrate: a value of type table is not a bit rate",
        ),
    ] {
        let error = parse(&LADDER.replace(from, to)).unwrap_err();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
    let no_ladder = LADDER.replace("type = \"ladder\"", "type = \"int\"");
    assert!(
        parse(&no_ladder)
            .unwrap_err()
            .contains("a rung needs a parameter of type ladder")
    );
}
