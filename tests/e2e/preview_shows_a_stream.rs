//! `streammill preview` decodes a stream of the running server, as it is and as a template makes it, and says what is wrong.

use std::process::Output;

use crate::harness::{Process, Publish, Server, output_of, poll_until, probe, seconds, streammill};

fn server_with(publish: Publish) -> (Server, Process) {
    let server = Server::start("[apps.live]\n");
    let publisher = publish.to(&server.rtmp("live/cam"));
    poll_until(seconds(30), "the stream", || {
        probe(&server.rtmp("live/cam"), 1)
            .ok()
            .filter(|seen| !seen.tracks.is_empty())
    });
    (server, publisher)
}

fn command(server: &Server, arguments: &str) -> std::process::Command {
    let mut command = streammill(&["preview"]);
    command
        .args(arguments.split_whitespace())
        .env("XDG_RUNTIME_DIR", server.runtime_dir());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Shows for two seconds; answers with what is said of the first frame, and how many there were.
fn show(server: &Server, arguments: &str) -> (String, u32) {
    let output = output_of(command(server, arguments), seconds(40));
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let first = said.lines().find_map(|line| line.strip_prefix("first "));
    let count = said.lines().find_map(|line| {
        line.split_once(' ').and_then(|(count, rest)| {
            (rest.ends_with("shown") || rest.ends_with("played")).then(|| count.parse().ok())?
        })
    });
    let first = first.unwrap_or_else(|| panic!("no first frame: {said}"));
    (first.to_owned(), count.unwrap_or_else(|| panic!("no count: {said}")))
}

#[test]
fn pictures_are_decoded_as_they_are_and_as_a_template_makes_them() {
    let (server, _publisher) = server_with(Publish::new().size("320x180"));
    let (first, frames) = show(&server, "live/cam --sink fakesink --seconds 2");
    assert!(first.starts_with("picture: h264 320x180, "), "{first}");
    assert!(frames > 25, "{frames} frames");
    let (first, frames) = show(&server, "live/cam --sink fakesink --seconds 2 --template transcode");
    assert!(first.starts_with("picture: h264 640x360, "), "{first}");
    assert!(frames > 15, "{frames} frames");
}

#[test]
fn sound_alone_is_decoded() {
    let (server, _publisher) = server_with(Publish::new().without_video());
    let (first, pieces) = show(&server, "live/cam --sink fakesink --seconds 1");
    assert!(first.starts_with("sound: aac 44100 Hz, channels: 2, "), "{first}");
    assert!(pieces > 10, "{pieces} pieces");
}

#[test]
fn it_ends_with_the_stream_and_on_a_signal() {
    let (server, mut publisher) = server_with(Publish::new());
    let start = || {
        let preview = Process::start("the preview", command(&server, "live/cam --sink fakesink"));
        poll_until(seconds(20), "the first picture", || {
            preview
                .log()
                .iter()
                .any(|line| line.starts_with("first picture"))
                .then_some(())
        });
        preview
    };
    let mut interrupted = start();
    interrupted.signal("INT");
    assert!(interrupted.wait(seconds(15)).success());

    let mut preview = start();
    publisher.terminate(seconds(10));
    assert!(preview.wait(seconds(20)).success());
    assert!(
        preview.log().iter().any(|line| line.ends_with("frames shown")),
        "{:?}",
        preview.log()
    );
}

#[test]
fn what_is_wrong_is_said() {
    let (server, _publisher) = server_with(Publish::new());
    for (arguments, words) in [
        (
            "live/cam --sink fakesink --template transcod",
            "did you mean 'transcode'?",
        ),
        (
            "live/cam --sink fakesink --template hls",
            "template 'hls': it makes segments",
        ),
        (
            "live/cam --sink fakesink --template demo",
            "template 'demo': it works on no stream",
        ),
        ("live/cam --sink nosuchsink", "there is no element 'nosuchsink'"),
        ("live/cam --sink videoconvert", "element 'videoconvert' is no sink"),
        ("live/cam --sink filesink", "filesink"),
        ("live/cam --sink fakesink --socket /nowhere/x.sock", "/nowhere/x.sock"),
        ("shop/cam --sink fakesink", "no application 'shop'"),
        ("live --sink fakesink", "app/name"),
        ("../x --sink fakesink", "'..'"),
        ("live/none --sink fakesink", "live/none is not live"),
        ("live/cam --seconds soon", "not a number"),
    ] {
        let output = output_of(command(&server, arguments), seconds(30));
        let said = text(&output);
        assert!(!output.status.success(), "{arguments} works");
        assert!(said.contains(words), "{arguments}: {words:?} is not in: {said}");
    }
}
