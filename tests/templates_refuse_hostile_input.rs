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
    "-99999",
    "99999999999999999999",
    "NULL",
    "",
    "%n%s",
];

/// Where a free text may go: to properties that show it, or that name something which cannot do harm.
const TEXTS: [(&str, &str); 3] = [
    ("overlay", "caption:text"),
    ("overlay", "clock:time-format"),
    // A source's, so that only the configuration sets it.
    ("screen", "screen:display-name"),
];

/// No address of any scheme, or of one that leads to a file.
const ADDRESSES: [&str; 9] = [
    "file:///etc/passwd",
    "rtmp:",
    "//a.example/live",
    "javascript:alert(1)",
    "data:text/plain,x",
    "fd://0",
    "rtmp://a.example/x y",
    "rtmp://a.example/x\" ! filesink location=/tmp/x",
    "rtmp://a.example/{name}{password}",
];

fn given(name: &str, value: impl Into<toml::Value>) -> BTreeMap<String, toml::Value> {
    BTreeMap::from([(name.to_owned(), value.into())])
}

#[test]
fn no_parameter_of_a_shipped_template_takes_a_hostile_value() {
    let (library, problems) = Library::load(&[]);
    assert!(problems.is_empty(), "{problems:?}");
    let mut tried = 0;
    for entry in library.iter() {
        let (template, params) = (&entry.template.name, &entry.template.params);
        for (name, param) in params {
            // The others need something to be given, which is no matter here.
            let alone = BTreeMap::from([(name.clone(), param.clone())]);
            let tries: Vec<&str> = match param.kind {
                Kind::String => {
                    for target in param.targets() {
                        let target = target.to_string();
                        let is_known = TEXTS.contains(&(template.as_str(), target.as_str()));
                        assert!(is_known, "{template}: a free text goes to {target}");
                    }
                    Vec::new()
                }
                // Whoever is not the operator names no file at all.
                Kind::File => {
                    for path in ["", "/etc/passwd", "../x", "x.png"] {
                        let error = params::check_source(params, &given(name, path)).unwrap_err();
                        assert!(error.to_string().contains("only the configuration"), "{error}");
                        tried += 1;
                    }
                    Vec::new()
                }
                Kind::Url => HOSTILE.into_iter().chain(ADDRESSES).collect(),
                _ => HOSTILE.to_vec(),
            };
            for hostile in tries {
                let result = params::resolve(&alone, &given(name, hostile));
                assert!(result.is_err(), "{template}: {name} took {hostile:?}");
                tried += 1;
            }
            for number in [-99_999, i64::MIN, i64::MAX, 99_999_999_999] {
                let result = params::resolve(&alone, &given(name, number));
                assert!(result.is_err(), "{template}: {name} took {number}");
            }
        }
    }
    assert!(tried > 500, "only {tried} values were tried");
}

#[test]
fn what_is_missing_is_asked_for_by_name() {
    let (library, _) = Library::load(&[]);
    let relay = &library.find("relay-rtmp").unwrap().template;
    let error = params::resolve(&relay.params, &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("parameter 'url' is needed: Where to: rtmp://"),
        "{error}"
    );
}

async fn complaint_about(text: &str) -> String {
    pipeline::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(&file, text).unwrap();
    let (library, problems) = Library::load(&[dir.path().to_owned()]);
    assert!(problems.is_empty(), "{problems:?}");
    let problem = library.find("mine").unwrap().check(None).await;
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
