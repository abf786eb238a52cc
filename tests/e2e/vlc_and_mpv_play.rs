//! The players people have: VLC and mpv play RTMP, HTTP-FLV and HLS.

use std::process::Command;

use crate::harness::{Process, Publish, Server, cvlc, output_of, poll_until, program, seconds};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\n";

fn start() -> (Server, Process, [String; 3]) {
    let server = Server::start(CONFIG);
    let publisher = Publish::new().size("320x180").to(&server.rtmp("live/test"));
    let urls = [
        server.rtmp("live/test"),
        server.http("live/test.flv"),
        server.http("live/test.m3u8"),
    ];
    (server, publisher, urls)
}

#[test]
fn mpv() {
    let (server, _publisher, urls) = start();
    for url in urls {
        // It ends well after fifty pictures, and badly if there is nothing to play.
        poll_until(seconds(40), &url, || {
            let mut mpv = program("mpv --no-config --vo=null --ao=null --frames=50");
            mpv.arg(&url);
            let output = output_of(mpv, seconds(30));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.success() && said.contains("VO: [null] 320x180")).then_some(())
        });
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn vlc() {
    let (server, _publisher, urls) = start();
    for url in urls {
        poll_until(seconds(40), &url, || {
            let arguments = "-vv --no-color --vout dummy --aout dummy --run-time 4 --play-and-exit";
            let mut vlc = cvlc(arguments, server.folder());
            vlc.arg(&url);
            let said = said_by(vlc);
            let has_pictures = said.contains("Received first picture");
            let has_sound = said.contains("audio output") || said.contains("output 's16") || said.contains("aout");
            (has_pictures && has_sound).then_some(())
        });
    }
}

fn said_by(command: Command) -> String {
    let output = output_of(command, seconds(30));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
