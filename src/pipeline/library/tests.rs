#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn the_shipped_templates_are_there() {
    let (library, problems) = Library::load(&[]);
    assert_eq!(problems, []);
    let names: Vec<_> = library.iter().map(|entry| entry.template.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "audio",
            "av1",
            "camera",
            "demo",
            "file",
            "hevc",
            "hls",
            "ladder",
            "overlay",
            "pull-http",
            "pull-rtmp",
            "pull-rtmps",
            "pull-rtsp",
            "pull-srt",
            "record",
            "relay-rtmp",
            "relay-rtmps",
            "relay-srt",
            "remux",
            "screen",
            "sound",
            "thumbnail",
            "transcode"
        ]
    );
    let error = library.find("recrod").unwrap_err().to_string();
    assert_eq!(error, "there is no template 'recrod'; did you mean 'record'?");
}

#[test]
fn an_operators_template_replaces_a_shipped_one_and_a_broken_one_spoils_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let text = "summary = 'mine'\noutput = 'none'\n[launch]\nvideo = 'in.video ! fakesink'\n";
    std::fs::write(dir.path().join("hls.toml"), text).unwrap();
    std::fs::write(dir.path().join("broken.toml"), "sumary = 1").unwrap();
    let (library, problems) = Library::load(&[dir.path().to_owned()]);
    assert_eq!(library.find("hls").unwrap().template.summary, "mine");
    assert!(library.find("record").is_ok());
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].to_string().contains("broken.toml:1: sumary: unknown field"),
        "{}",
        problems[0]
    );
}

#[test]
fn a_directory_that_is_not_there_is_a_problem() {
    let (_, problems) = Library::load(&[PathBuf::from("/nonexistent/templates")]);
    assert!(
        problems[0].to_string().contains("cannot read the directory"),
        "{}",
        problems[0]
    );
}

#[test]
fn fragments_beside_templates_are_for_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("fragments")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("fragments/mine.toml", "[fragments]\nsink = 'fakesink'\n");
    let text = "summary = 'mine'\noutput = 'none'\n[launch]\nvideo = 'in.video ! @picture ! @sink'\n";
    write("mine.toml", text);
    let (library, problems) = Library::load(&[dir.path().to_owned()]);
    assert_eq!(problems, []);
    let launch = library.find("mine").unwrap().template.launch.clone().unwrap();
    let video = launch.video.unwrap();
    assert!(video.contains("millscale") && video.ends_with("! fakesink"), "{video}");
    write("fragments/mine.toml", "[fragments]\nsinc = 'fakesink'\n");
    let (_, problems) = Library::load(&[dir.path().to_owned()]);
    let problem = problems[0].to_string();
    assert!(
        problem.ends_with("mine.toml:4: launch.video: there is no fragment '@sink'; did you mean '@sinc'?"),
        "{problem}"
    );
}
