//! GStreamer publishes, and plays until the publisher leaves: with its own elements, and with those on librtmp.

use crate::harness::{Process, Server, assert_decodes, probe, program, seconds};

const FRAMES: usize = 150;

#[test]
fn rtmp2src_receives_what_rtmp2sink_sent_and_ends_with_it() {
    plays_what_was_sent("rtmp2src", "rtmp2sink");
}

#[test]
fn rtmpsrc_receives_what_rtmpsink_sent_and_ends_with_it() {
    plays_what_was_sent("rtmpsrc", "rtmpsink");
}

fn plays_what_was_sent(source: &str, sink: &str) {
    // rtmpsrc connects again when a publisher leaves, and ends when it is told that nobody came.
    let server = Server::start("[apps.live]\nidle_timeout = \"3s\"\n");
    let file = server.folder().join("played.flv");
    let file = file.to_str().expect("a path in UTF-8");
    let url = server.rtmp("live/gst");

    let mut player = Process::start(
        "the playing gst-launch",
        program(&format!(
            "gst-launch-1.0 -e {source} location={url} ! filesink location={file}"
        )),
    );
    // Paced by identity instead of is-live=true: a muxer of live sources writes late frames with the time of their coming.
    let mut publisher = Process::start(
        "the publishing gst-launch",
        program(&format!(
            "gst-launch-1.0 flvmux name=mux streamable=true ! {sink} sync=false location={url} \
             videotestsrc num-buffers={FRAMES} ! video/x-raw,width=320,height=240,framerate=25/1 \
               ! identity sync=true ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=300 ! h264parse ! mux. \
             audiotestsrc num-buffers=260 samplesperbuffer=1024 ! audio/x-raw,rate=44100,channels=2 \
               ! identity sync=true ! voaacenc ! aacparse ! mux."
        )),
    );
    assert!(publisher.wait(seconds(40)).success(), "the publisher failed");
    assert!(player.wait(seconds(40)).success(), "the player failed");

    let seen = probe(file, 10).expect("the received FLV can be read");
    assert_eq!(seen.tracks, ["aac 44100", "h264 320x240"]);
    // Late pictures get the time of the sound that flvmux has written before them, and two may be late.
    seen.assert_runs_for(4.0);
    assert!(
        seen.video().len() > FRAMES * 3 / 4,
        "{} frames of {FRAMES}",
        seen.video().len()
    );
    assert_decodes(file, 0, 10);
}
