//! Nothing that is given to a template can become part of it, and a template that cannot work says so when it is loaded.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use streammill::pipeline::{
    self,
    library::Library,
    params::{self, Kind},
};

const HOSTILE: [&str; 7] = [
    "x\" ! filesink location=/tmp/x",
    "x ! filesink location=/tmp/x",
    "-5",
    "99999999999999999999",
    "NULL",
    "",
    "%n%s",
];

#[test]
fn no_parameter_of_a_shipped_template_takes_a_hostile_value() {
    let (library, problems) = Library::load(&[]);
    assert!(problems.is_empty(), "{problems:?}");
    let mut tried = 0;
    for entry in library.iter() {
        for (name, param) in &entry.template.params {
            assert_ne!(
                param.kind,
                Kind::String,
                "free text in a shipped template needs a test of its own"
            );
            for hostile in HOSTILE {
                let given = BTreeMap::from([(name.clone(), toml::Value::String(hostile.to_owned()))]);
                let result = params::resolve(&entry.template.params, &given);
                assert!(result.is_err(), "{}: {name} took {hostile:?}", entry.template.name);
                tried += 1;
            }
            for number in [-5, i64::MIN, i64::MAX, 99_999_999_999] {
                let given = BTreeMap::from([(name.clone(), toml::Value::Integer(number))]);
                let result = params::resolve(&entry.template.params, &given);
                assert!(result.is_err(), "{}: {name} took {number}", entry.template.name);
            }
        }
    }
    assert!(tried > 50, "only {tried} values were tried");
}

async fn complaint_about(text: &str) -> String {
    pipeline::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(&file, text).unwrap();
    let (library, problems) = Library::load(&[dir.path().to_owned()]);
    assert!(problems.is_empty(), "{problems:?}");
    let problem = library.find("mine").unwrap().check().await;
    let shown = problem.map_or_else(String::new, |problem| problem.to_string());
    shown.replace(&file.display().to_string(), "mine.toml")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_cannot_work_is_refused_with_the_reason() {
    for (text, expected) in [
        (
            "summary = 's'\noutput = 'none'\n[launch]\nvideo = 'in.video ! nvh264dek ! fakesink'",
            "mine.toml:4: launch.video: element nvh264dek is not installed",
        ),
        (
            "summary = 's'\noutput = 'none'\n[launch]\nvideo = 'in.video ! nvh264enc ! fakesink'",
            "element nvh264enc is not installed; on Debian and Ubuntu: apt install gstreamer1.0-plugins-bad",
        ),
        (
            "summary = 's'\noutput = 'none'\n[params]\nn = { type = 'int', default = 1, sets = 'sink:numbuffers' }\n\
             [launch]\nvideo = 'in.video ! fakesink name=sink'",
            "sink:numbuffers: fakesink has no property 'numbuffers'",
        ),
        (
            "summary = 's'\noutput = 'none'\n[params]\nn = { type = 'int', default = -9, sets = 'sink:num-buffers' }\n\
             [launch]\nvideo = 'in.video ! fakesink name=sink'",
            "-9 is not between -1 and 2147483647",
        ),
        (
            "summary = 's'\noutput = 'none'\n[params]\nn = { type = 'int', default = 1, sets = 'snik:num-buffers' }\n\
             [launch]\nvideo = 'in.video ! fakesink name=sink'",
            "params.n: there is no element named 'snik'",
        ),
        (
            "summary = 's'\noutput = 'none'\n[launch]\nvideo = '''\nin.video ! queue\n  max-size-buffers=-5 ! fakesink'''",
            "mine.toml:6: launch.video: queue max-size-buffers: -5 is not between 0 and 4294967295",
        ),
        (
            "summary = 's'\noutput = 'none'\n[fragments]\nend = 'fakesink asinc=false'\n[launch]\nvideo = 'in.video ! @end'",
            "mine.toml:4: launch.video: fakesink has no property 'asinc'; did you mean 'async'?",
        ),
        (
            "summary = 's'\noutput = 'none'\n[[cases]]\nwhen = { video = 'hevc' }\nvideo = 'in.video ! nvh265dek ! fakesink'",
            "mine.toml:5: cases.0.video: element nvh265dek is not installed",
        ),
        // The clip is not HEVC, so this case is built and not run.
        (
            "summary = 's'\noutput = 'none'\n[[cases]]\nwhen = { video = 'hevc' }\nvideo = 'in.video ! h264parse ! h265parse ! fakesink'",
            "mine.toml:3: case 1: launch: could not link",
        ),
        (
            "summary = 's'\noutput = 'stream'\n[launch]\nvideo = 'in.video ! fakesink'",
            "with video and audio: no video arrived at `out`",
        ),
        (
            "summary = 's'\noutput = 'file'\n[launch]\nvideo = 'in.video ! filesink location=/tmp/x'",
            "output = \"file\" needs an element named 'file'",
        ),
        // It parses and links; only running it shows that the muxer has to know the picture size.
        (
            "summary = 's'\noutput = 'none'\n[launch]\nvideo = 'in.video ! video/x-h264,width=12 ! fakesink'",
            "with video and audio: ",
        ),
    ] {
        let complaint = complaint_about(text).await;
        assert!(complaint.contains(expected), "{expected:?} is not in {complaint:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_only_wants_one_kind_of_track_is_accepted() {
    let text = "summary = 's'\noutput = 'none'\n[launch]\naudio = 'in.audio ! fakesink async=false sync=false'";
    assert_eq!(complaint_about(text).await, "");
}
