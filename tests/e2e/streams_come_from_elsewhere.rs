//! Sources bring streams from files, cameras, screens and other servers, start with the server, and come back when what they
//! depend on does.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::streams_leave_for_other_servers::free_port;
use crate::harness::{Certificate, Process, Publish, Server, clip, cvlc, get, poll_until, probe, program, seconds};

/// A server with a source `live/in`.
fn with_source(template: &str, params: &str) -> Server {
    Server::start(&format!(
        "[apps.live]\n[sources.in]\ntemplate = \"{template}\"\nparams = {{ {params} }}\npublish_to = \"live/in\"\n"
    ))
}

/// A clip of some seconds in a file; its suffix says the container.
fn file(folder: &tempfile::TempDir, name: &str, length: u32) -> PathBuf {
    let (flv, path) = (folder.path().join("clip.flv"), folder.path().join(name));
    fs::write(&flv, clip("320x180", length)).expect("the clip is written");
    let mut copy = program("ffmpeg -v error -nostdin -y -i");
    copy.arg(&flv).args(["-c", "copy"]).arg(&path);
    assert!(Process::start("copy", copy).wait(seconds(30)).success());
    path
}

fn assert_plays(server: &Server, tracks: &[&str]) {
    let seen = poll_until(seconds(60), "the source's stream", || {
        let seen = probe(&server.rtmp("live/in"), 4).ok()?;
        (!seen.video().is_empty() && seen.has_no_hole_for(2.0)).then_some(seen)
    });
    assert_eq!(seen.tracks, tracks);
    seen.assert_rises_for(2.0);
}

/// What the server says of the source's pipeline.
fn pipeline(server: &Server) -> Value {
    let (_, text) = get(&server.http("api/v1/pipelines")).expect("an answer");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all["pipelines"][0].clone()
}

#[test]
fn a_file_plays_in_a_loop_on_one_timeline() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, coding) in [("clip.mp4", "copy"), ("clip.ts", "copy"), ("clip.mkv", "anew")] {
        let path = file(&folder, name, 4);
        let server = with_source("file", &format!("file = {path:?}, coding = \"{coding}\""));
        // Longer than the file is.
        let seen = poll_until(seconds(40), "the file's stream", || {
            probe(&server.rtmp("live/in"), 10)
                .ok()
                .filter(|seen| !seen.video().is_empty())
        });
        assert!(
            seen.tracks.contains(&"h264 320x180".to_owned()),
            "{name}: {:?}",
            seen.tracks
        );
        assert!(
            seen.tracks.iter().any(|track| track.starts_with("aac")),
            "{name}: {:?}",
            seen.tracks
        );
        seen.assert_rises_for(9.0);
        let pipeline = pipeline(&server);
        assert_eq!(pipeline["restarts"], 0, "{name}: {pipeline}");
        // In real time: a file that is read as fast as it can be would be over at once.
        let pictures = seen.video().len();
        assert!(
            (200..300).contains(&pictures),
            "{name}: {pictures} pictures in ten seconds"
        );
    }
}

#[test]
fn a_file_without_sound_plays_in_a_loop_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = file(&folder, "whole.mp4", 3);
    let path = folder.path().join("silent.mp4");
    let mut copy = program("ffmpeg -v error -nostdin -y -i");
    copy.arg(&whole).args(["-an", "-c", "copy"]).arg(&path);
    assert!(Process::start("copy", copy).wait(seconds(30)).success());
    let server = with_source("file", &format!("file = {path:?}"));
    let seen = poll_until(seconds(60), "more of it than the file has", || {
        let seen = probe(&server.rtmp("live/in"), 8).ok()?;
        seen.has_no_hole_for(7.0).then_some(seen)
    });
    assert_eq!(seen.tracks, ["h264 320x180"]);
    seen.assert_rises_for(7.0);
}

#[test]
fn a_file_that_is_not_there_is_named_and_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("late.mp4");
    let server = with_source("file", &format!("file = {path:?}"));
    poll_until(seconds(30), "a complaint that names the file", || {
        pipeline(&server)["message"]
            .as_str()
            .filter(|text| text.contains("late.mp4"))
            .map(str::to_owned)
    });
    file(&folder, "late.mp4", 4);
    assert_plays(&server, &["aac 44100", "h264 320x180"]);
}

#[test]
fn over_http() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    file(&folder, "clip.mp4", 5);
    let port = free_port().to_string();
    let mut web = program("python3 -m http.server --bind 127.0.0.1");
    web.arg(&port).current_dir(folder.path());
    let _web = Process::start("web server", web);
    for coding in ["copy", "anew"] {
        let server = with_source(
            "pull-http",
            &format!("url = \"http://127.0.0.1:{port}/clip.mp4\", coding = \"{coding}\""),
        );
        let rate = if coding == "copy" { "aac 44100" } else { "aac 48000" };
        assert_plays(&server, &[rate, "h264 320x180"]);
    }
}

#[test]
fn over_rtmp_and_rtmps() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = Certificate::issue(folder.path(), "own", &["localhost"]);
    let there = Server::start(&format!(
        "rtmp.tls_listen = [\"127.0.0.1:0\"]\ntls.certificates = [{}]\n[apps.far]\n",
        certificate.in_configuration()
    ));
    let mut publisher = Publish::new().to(&there.rtmp("far/a"));
    let plain = with_source("pull-rtmp", &format!("url = \"{}\"", there.rtmp("far/a")));
    assert_plays(&plain, &["aac 44100", "h264 640x360"]);
    let secure = format!("{}/far/a", there.rtmp_listeners()[1]);
    let safe = with_source("pull-rtmps", &format!("url = \"{secure}\", certificate = \"any\""));
    assert_plays(&safe, &["aac 44100", "h264 640x360"]);
    // The far publisher leaves and returns.
    publisher.terminate(seconds(10));
    let _publisher = Publish::new().to(&there.rtmp("far/a"));
    assert_plays(&plain, &["aac 44100", "h264 640x360"]);
}

#[test]
fn over_srt_from_whoever_sends() {
    let port = free_port();
    let server = with_source("pull-srt", &format!("url = \"srt://127.0.0.1:{port}?mode=listener\""));
    for _ in 0..2 {
        let mut sender =
            program("ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine");
        sender.args("-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -t 25 -f mpegts".split(' '));
        sender.arg(format!("srt://127.0.0.1:{port}"));
        let mut sender = Process::start("srt sender", sender);
        assert_plays(&server, &["aac 44100", "h264 320x180"]);
        sender.terminate(seconds(10));
    }
}

#[test]
fn over_rtsp_from_a_camera() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = file(&folder, "clip.ts", 20);
    let port = free_port();
    let mut camera = cvlc("--no-video-title-show --loop", folder.path());
    camera
        .arg(&path)
        .arg(format!("--sout=#rtp{{sdp=rtsp://127.0.0.1:{port}/cam}}"));
    let _camera = Process::start("camera", camera);
    for coding in ["copy", "anew"] {
        // VLC knows no other way.
        let params = format!("url = \"rtsp://127.0.0.1:{port}/cam\", transport = \"udp\", coding = \"{coding}\"");
        assert_plays(&with_source("pull-rtsp", &params), &["aac 48000", "h264 320x180"]);
    }
}

#[test]
fn a_screen_is_seen() {
    let display = format!(":{}", 200 + std::process::id() % 700);
    let mut screen = program("Xvfb");
    screen.args([&display, "-screen", "0", "640x360x24", "-nolisten", "tcp"]);
    let _screen = Process::start("Xvfb", screen);
    let server = with_source("screen", &format!("display = \"{display}\", height = 180"));
    assert_plays(&server, &["h264 320x180"]);
}

#[test]
fn a_camera_that_is_not_there_is_named_and_waited_for() {
    let server = with_source("camera", "device = \"/dev/video-of-nobody\"");
    let pipeline = poll_until(seconds(60), "more attempts than any other pipeline has", || {
        let pipeline = pipeline(&server);
        (pipeline["restarts"].as_u64()? >= 2).then_some(pipeline)
    });
    assert!(
        pipeline["message"]
            .as_str()
            .is_some_and(|text| text.contains("/dev/video-of-nobody")),
        "{pipeline}"
    );
}
