//! A player that does not announce Enhanced RTMP gets what it can read, or is told why it gets nothing, where the operator
//! wants that.

use crate::harness::{Server, current_ffmpeg, output_of, poll_until, probe, program, seconds};

const STRICT: &str = "[apps.live]\nunannounced_codecs = \"leave-out\"\n";
const HEVC: &str = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=error:keyint=25";

#[test]
fn the_sound_without_the_pictures() {
    let server = Server::start(STRICT);
    let url = server.rtmp("live/test");
    let _publisher = current_ffmpeg::publish(&format!("-map 0 -map 1 {HEVC} -c:a aac"), &url);
    let seen = poll_until(seconds(30), &url, || {
        probe(&url, 2).ok().filter(|seen| !seen.tracks.is_empty())
    });
    assert_eq!(seen.tracks, ["aac 48000"], "{}", server.log());
}

#[test]
fn a_refusal_that_names_the_codecs() {
    let server = Server::start(STRICT);
    let url = server.rtmp("live/test");
    let _publisher = current_ffmpeg::publish(&format!("-map 0 -map 1 {HEVC} -c:a libopus"), &url);
    poll_until(seconds(30), "the refusal", || {
        let output = output_of(program(&format!("ffprobe -v error {url}")), seconds(30));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.contains("The stream has Opus and Hevc, which this player did not announce")
            .then_some(())
    });
}
