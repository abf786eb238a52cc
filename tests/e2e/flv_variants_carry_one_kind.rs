//! `?only=audio` and `?only=video` leave the other tracks out, and the header announces what comes.

use std::io::Read;

use crate::harness::{Process, Publish, Server, poll_until, probe, program, seconds};

/// The flags of the FLV header at `url`: 4 is sound, 1 a picture (E.2).
fn flags(server: &Server, url: &str) -> u8 {
    let file = server.folder().join("header.flv");
    let mut command = program("curl --silent --no-buffer --max-time 20 --output");
    command.arg(&file).arg(url);
    let _curl = Process::start("curl", command);
    poll_until(seconds(20), "an FLV header", || {
        let mut header = [0; 5];
        std::fs::File::open(&file).ok()?.read_exact(&mut header).ok()?;
        assert_eq!(&header[..4], b"FLV\x01");
        Some(header[4])
    })
}

fn assert_carries(publish: Publish, variants: &[(&str, &[&str], u8)]) {
    let server = Server::start("[apps.live]\n");
    let _publisher = publish.to(&server.rtmp("live/test"));
    for (query, tracks, announced) in variants {
        let url = server.http(&format!("live/test.flv{query}"));
        let seen = poll_until(seconds(30), &url, || {
            probe(&url, 3).ok().filter(|seen| !seen.tracks.is_empty())
        });
        assert_eq!(seen.tracks, *tracks, "{query}");
        seen.assert_rises_for(1.5);
        assert_eq!(flags(&server, &url), *announced, "{query}");
        std::fs::remove_file(server.folder().join("header.flv")).expect("a file to remove");
    }
}

#[test]
fn of_a_stream_with_both() {
    assert_carries(
        Publish::new(),
        &[
            ("", &["aac 44100", "h264 640x360"], 5),
            ("?only=audio", &["aac 44100"], 4),
            ("?only=video", &["h264 640x360"], 1),
        ],
    );
}

#[test]
fn of_a_stream_that_has_sound_alone() {
    assert_carries(
        Publish::new().without_video(),
        &[("", &["aac 44100"], 4), ("?only=audio", &["aac 44100"], 4)],
    );
}

#[test]
fn of_a_stream_that_has_pictures_alone() {
    assert_carries(Publish::new().without_audio(), &[("", &["h264 640x360"], 1)]);
}
