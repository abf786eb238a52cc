//! Beside a running server, `millsrc stream=app/name` and `millsink stream=app/name` work in a plain gst-launch, and what is
//! wrong is said.

use std::{path::Path, process::Command};

use crate::harness::{Process, Publish, Server, bare_gst_launch, gst_launch, output_of, poll_until, probe, seconds};

/// Runs a pipeline to its end. `Err` with what it said, if it fails.
fn run(command: Command) -> Result<(), String> {
    let output = output_of(command, seconds(40));
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    match output.status.success() && !said.contains("ERROR") {
        true => Ok(()),
        false => Err(said),
    }
}

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

#[test]
fn a_stream_plays_without_a_word_about_pads() {
    let (server, _publisher) = server_with(Publish::new());
    for pipeline in [
        "millsrc stream=live/cam ! decodebin3 ! video/x-raw,width=640 ! fakesink num-buffers=30",
        "millsrc stream=live/cam ! aacparse ! avdec_aac ! audio/x-raw,rate=44100 ! fakesink num-buffers=30",
        "millsrc stream=live/cam name=s  s. ! h264parse ! fakesink num-buffers=10  s. ! aacparse ! fakesink num-buffers=10",
    ] {
        assert_eq!(run(gst_launch(server.runtime_dir(), pipeline)), Ok(()), "{pipeline}");
    }
}

#[test]
fn a_stream_of_sound_alone_plays_without_a_word_about_pads() {
    let (server, _publisher) = server_with(Publish::new().without_video());
    let pipeline = "millsrc stream=live/cam ! decodebin3 ! audio/x-raw ! fakesink num-buffers=30";
    assert_eq!(run(gst_launch(server.runtime_dir(), pipeline)), Ok(()));
}

#[test]
fn what_gst_launch_publishes_is_read_back() {
    let server = Server::start("[apps.live]\n");
    let read_back = |name: &str, tracks: &[&str]| {
        let seen = poll_until(seconds(30), name, || {
            probe(&server.rtmp(name), 3)
                .ok()
                .filter(|seen| seen.tracks.len() == tracks.len())
        });
        assert_eq!(seen.tracks, tracks);
        seen.assert_rises_for(1.0);
    };
    let both = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
                ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! s.video \
                audiotestsrc is-live=true ! audio/x-raw,rate=44100,channels=2 ! voaacenc ! aacparse ! s.audio \
                millsink name=s stream=live/both";
    let _both = Process::start("the publishing gst-launch", gst_launch(server.runtime_dir(), both));
    read_back("live/both", &["aac 44100", "h264 320x240"]);
    let plain = "videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120 \
                 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! millsink stream=live/plain";
    let _plain = Process::start("the second gst-launch", gst_launch(server.runtime_dir(), plain));
    read_back("live/plain", &["h264 160x120"]);
    // Behind a queue nothing says at first what will come.
    let sound = "audiotestsrc is-live=true ! voaacenc ! aacparse ! queue ! millsink stream=live/sound";
    let _sound = Process::start("the third gst-launch", gst_launch(server.runtime_dir(), sound));
    read_back("live/sound", &["aac 44100"]);
}

#[test]
fn a_player_with_named_pads_records_both_tracks_until_the_publisher_leaves() {
    let (server, mut publisher) = server_with(Publish::new());
    let file = server.folder().join("played.flv");
    let pipeline = format!(
        "millsrc stream=live/cam name=s  s.video ! h264parse ! mux.  s.audio ! aacparse ! mux. \
         flvmux name=mux ! filesink location={}",
        file.display()
    );
    let mut player = Process::start("the playing gst-launch", gst_launch(server.runtime_dir(), &pipeline));
    poll_until(seconds(20), "the player to receive", || {
        std::fs::metadata(&file).ok().filter(|file| file.len() > 300_000)
    });
    publisher.terminate(seconds(10));
    assert!(player.wait(seconds(20)).success());
    let seen = probe(file.to_str().expect("a path in UTF-8"), 30).expect("the file can be read");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(2.0);
}

#[test]
fn what_is_wrong_is_said() {
    let (server, _publisher) = server_with(Publish::new());
    let here = server.runtime_dir();
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let nobody = elsewhere.path().join("streammill.sock");
    let said = |runtime_dir: &Path, pipeline: &str| run(gst_launch(runtime_dir, pipeline)).expect_err(pipeline);
    let socket = format!("millsrc socket={} stream=live/cam ! fakesink", nobody.display());
    for (runtime_dir, pipeline, words) in [
        (
            here,
            &*socket,
            &[nobody.to_str().expect("UTF-8"), "streammill serve"][..],
        ),
        (
            here,
            "millsrc stream=live/none wait=1 ! fakesink",
            &["live/none is not live"],
        ),
        (here, "millsrc stream=shop/cam ! fakesink", &["no application 'shop'"]),
        (here, "millsrc stream=live ! fakesink", &["stream must be APP/NAME"]),
        (
            here,
            "millsrc stream=live/cam location=rtmp://x/live/cam ! fakesink",
            &["set one of them"],
        ),
        (
            here,
            "videotestsrc is-live=true ! x264enc tune=zerolatency ! millsink stream=live/cam",
            &["live/cam is already being published"],
        ),
        (
            here,
            "millsrc stream=live/cam ! video/x-vp8 ! fakesink",
            &["it has audio (aac), video (h264)"],
        ),
    ] {
        let said = said(runtime_dir, pipeline);
        for word in words {
            assert!(said.contains(word), "{pipeline}: {word:?} is not in: {said}");
        }
    }
}

#[test]
fn hostile_streams_are_names_and_nothing_else() {
    let server = Server::start("[apps.live]\n");
    let evil = server.folder().join("evil");
    let hostile = [
        "../x".to_owned(),
        "live/../x".to_owned(),
        "live/..".to_owned(),
        "/etc/passwd".to_owned(),
        "live/x\ny".to_owned(),
        format!("live/x ! filesink location={}", evil.display()),
        format!("live/x\" ! filesink location=\"{}", evil.display()),
        "live/%s%n".to_owned(),
        "live/".to_owned() + &"x".repeat(5_000),
    ];
    for stream in hostile {
        for direction in [
            &["millsrc", "wait=1", "STREAM", "!", "fakesink"][..],
            &[
                "videotestsrc",
                "num-buffers=2",
                "!",
                "x264enc",
                "!",
                "millsink",
                "STREAM",
            ],
        ] {
            let mut command = bare_gst_launch(server.runtime_dir());
            command.args(direction.iter().map(|word| match *word {
                "STREAM" => format!("stream={stream}"),
                word => word.to_owned(),
            }));
            let result = run(command);
            assert!(direction[0] != "millsrc" || result.is_err(), "{stream:?} was played");
            assert!(!evil.exists(), "{stream:?} wrote a file");
        }
    }
    assert_eq!(
        run(gst_launch(
            server.runtime_dir(),
            "videotestsrc num-buffers=2 ! x264enc ! millsink stream=live/x"
        )),
        Ok(())
    );
}
