//! A recording is a finished file: with its duration, with an index, whether the publisher left or the server was told to.

use std::path::{Path, PathBuf};

use crate::harness::{Probe, Publish, Server, assert_decodes, current_ffmpeg, poll_until, probe, seconds};

fn config(format: &str) -> String {
    format!("[apps.rec]\nrecord = {{ path = \"{{dir}}/recordings\", format = \"{format}\" }}\n")
}

fn finished(file: &Path) -> Option<Probe> {
    probe(file.to_str().expect("a path in UTF-8"), 60).ok()
}

fn assert_is_a_recording(file: &Path, format: &str, duration: std::ops::Range<f64>) {
    assert_eq!(
        file.extension().and_then(|suffix| suffix.to_str()),
        Some(format),
        "{}",
        file.display()
    );
    let name = file.to_str().expect("a path in UTF-8");
    let seen = finished(file).expect("a recording that ffprobe reads");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    let said = seen.duration.expect("a duration in the header");
    assert!(duration.contains(&said), "{said} s is not in {duration:?}");
    let held = seen.video().last().expect("video").pts - seen.video()[0].pts;
    assert!(
        (said - held).abs() < 0.5,
        "the header says {said} s, the frames last {held} s"
    );
    assert!(seen.video()[0].key, "the first frame is not a key frame");
    assert_decodes(name, 0, 60);
    assert_decodes(name, 3, 1);
    if format == "flv" {
        let start = std::fs::read(file).expect("a file");
        let has = |word: &[u8]| start.windows(word.len()).take(1 << 16).any(|window| window == word);
        assert!(
            has(b"keyframes") && has(b"filepositions"),
            "the FLV has no index of its key frames"
        );
    }
    let mut command =
        crate::harness::program("ffprobe -v error -of csv=p=0 -show_entries packet=pts_time -select_streams v");
    command.args(["-read_intervals", "3%+#1", name]);
    let output = crate::harness::output_of(command, seconds(20));
    let first = String::from_utf8_lossy(&output.stdout);
    let first: f64 = first.trim().trim_end_matches(',').parse().expect("a time");
    assert!((1.5..3.5).contains(&first), "a seek to 3 s lands at {first} s");
}

fn recordings(server: &Server, format: &str) -> Vec<PathBuf> {
    let mut files = server.files("recordings");
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == format));
    files
}

fn after_the_publisher_left(format: &str) {
    let server = Server::start(&config(format));
    let mut publisher = Publish::new().seconds(6).to(&server.rtmp("rec/test"));
    assert!(publisher.wait(seconds(30)).success(), "publishing failed");
    let file = poll_until(seconds(15), "the finished recording", || {
        let files = recordings(&server, format);
        let whole = finished(files.first()?)?.duration? > 5.0;
        whole.then(|| files[0].clone())
    });
    assert_eq!(server.files("recordings").len(), 1, "{:?}", server.files("recordings"));
    assert_is_a_recording(&file, format, 5.5..6.6);
}

fn after_sigterm_in_mid_stream(format: &str) {
    let mut server = Server::start(&config(format));
    let url = server.rtmp("rec/test");
    let _publisher = Publish::new().to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    let seen = probe(&url, 5).expect("the stream goes on");
    seen.assert_rises_for(3.5);
    server.signal("TERM");
    assert!(server.wait(seconds(15)).success(), "the server did not stop well");

    let files = server.files("recordings");
    assert_eq!(files.len(), 1, "{files:?}");
    assert_is_a_recording(&files[0], format, 4.0..60.0);
}

#[test]
fn mp4_after_the_publisher_left() {
    after_the_publisher_left("mp4");
}

#[test]
fn flv_after_the_publisher_left() {
    after_the_publisher_left("flv");
}

#[test]
fn mp4_after_sigterm_in_mid_stream() {
    after_sigterm_in_mid_stream("mp4");
}

#[test]
fn flv_after_sigterm_in_mid_stream() {
    after_sigterm_in_mid_stream("flv");
}

#[test]
fn mp4_of_enhanced_codecs_with_every_track() {
    let server = Server::start(&config("mp4"));
    let encoders = "-map 0 -map 1 -map 2 -t 5 -c:v libx265 -preset ultrafast -pix_fmt yuv420p \
                    -x265-params log-level=error:keyint=25 -c:a:0 libopus -c:a:1 aac";
    let mut publisher = current_ffmpeg::publish(encoders, &server.rtmp("rec/test"));
    assert!(publisher.wait(seconds(40)).success(), "publishing failed");
    let file = poll_until(seconds(20), "the finished recording", || {
        let file = recordings(&server, "mp4").pop()?;
        finished(&file)?.duration.filter(|duration| *duration > 4.0)?;
        Some(file)
    });
    let tracks = current_ffmpeg::decode(file.to_str().expect("a path in UTF-8"));
    assert_eq!(
        tracks.as_deref(),
        Ok(&["audio aac".to_owned(), "audio opus".to_owned(), "video hevc".to_owned()][..]),
        "{}",
        server.log()
    );
}
