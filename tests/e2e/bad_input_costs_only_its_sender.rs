//! Whatever a client sends, it loses its own connection and nothing else happens: a stream beside it goes on, no file
//! appears, and what it said in confidence is not in the log.

use std::{fs, path::Path, thread};

use crate::harness::{
    Publish, Server, poll_until, probe, seconds,
    wire::{Amf, COMMAND, VIDEO, Wire},
};

const CONFIG: &str = r#"
rtmp.max_message = "1MiB"
rtmp.timeout = "2s"
[apps.live]
pipelines = ["hls"]
record = { path = "{dir}/recordings", format = "flv" }
"#;

const SECRET: &str = "correct-horse-battery";

/// Throws `attack` at a server that carries a healthy stream, and makes sure that the stream does not notice.
fn beside_a_healthy_stream(attack: impl FnOnce(&Server)) {
    let mut server = Server::start(CONFIG);
    let url = server.rtmp("live/healthy");
    let _publisher = Publish::new().to(&url);
    poll_until(seconds(30), "the healthy stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    let seen = thread::scope(|scope| {
        let player = scope.spawn(|| probe(&url, 8).expect("the healthy stream goes on"));
        attack(&server);
        player.join().expect("the player ends well")
    });
    seen.assert_rises_for(6.0);
    probe(&url, 1).expect("the healthy stream plays after the attack");
    assert!(server.is_running());
    let log = server.log();
    assert!(!log.contains(SECRET), "an argument is in the log");
    assert!(!log.contains("panicked"), "a panic is in the log");
    assert!(
        !log.lines().any(|line| line.starts_with("INFO a forged line")),
        "a client wrote a line of the log"
    );
}

#[test]
fn bytes_that_are_no_rtmp() {
    beside_a_healthy_stream(|server| {
        let address = server.rtmp_address();
        let mut wire = Wire::dial(address);
        wire.send(&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100));
        wire.is_hung_up_on(seconds(5), "HTTP");

        let mut wire = Wire::greet(address);
        wire.send(&[0xff; 8192]);
        wire.is_hung_up_on(seconds(5), "noise after the handshake");

        let mut wire = Wire::dial(address);
        wire.is_hung_up_on(seconds(8), "silence");

        // A chunk that continues a message which never began.
        let mut wire = Wire::greet(address);
        wire.send(&[0xc5, 1, 2, 3, 4]);
        wire.is_hung_up_on(seconds(5), "a continuation of nothing");
    });
}

#[test]
fn messages_that_break_the_rules() {
    beside_a_healthy_stream(|server| {
        let address = server.rtmp_address();

        let mut wire = Wire::connect(address, "live");
        wire.message(VIDEO, 1, 0, &vec![0x17; 2 << 20]);
        wire.is_hung_up_on(seconds(5), "a message over the limit");

        for size in [0_u32, 0x8000_0000] {
            let mut wire = Wire::greet(address);
            wire.message(1, 0, 0, &size.to_be_bytes());
            wire.is_hung_up_on(seconds(5), "a chunk size that cannot be");
        }

        let mut wire = Wire::greet(address);
        wire.message(COMMAND, 0, 0, b"\x02\x00\x07connect\x00\x3f\xf0\x00");
        wire.is_hung_up_on(seconds(5), "a number cut short");

        let mut wire = Wire::greet(address);
        wire.message(COMMAND, 0, 0, b"\x02\xff\xffconnect");
        wire.is_hung_up_on(seconds(5), "a string longer than its message");

        let mut wire = Wire::greet(address);
        let mut deep = b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00".to_vec();
        deep.extend(b"\x03\x00\x01a".repeat(200_000));
        wire.message(COMMAND, 0, 0, &deep);
        wire.is_hung_up_on(seconds(5), "an object in an object in an object");

        let mut wire = Wire::greet(address);
        wire.command(
            0,
            "publish",
            &[Amf::Number(1.0), Amf::Null, Amf::Text("early"), Amf::Text("live")],
        );
        wire.is_hung_up_on(seconds(5), "a publisher that never connected");

        let mut wire = Wire::connect(address, "live");
        wire.hears(seconds(5), &["NetConnection.Connect.Success"]);
        wire.message(VIDEO, 1, 0, b"\x17\x01\x00\x00\x00early");
        wire.is_hung_up_on(seconds(5), "media before publish");
    });
}

#[test]
fn an_app_that_is_not_configured() {
    beside_a_healthy_stream(|server| {
        for app in [
            "other",
            "../live",
            "live/../other",
            "",
            "x\r\nINFO a forged line",
            &format!("other?token={SECRET}"),
        ] {
            let mut wire = Wire::connect(server.rtmp_address(), app);
            wire.publish("test");
            wire.is_hung_up_on(seconds(5), app);
        }
    });
}

#[test]
fn names_that_mean_something_elsewhere() {
    let clip = crate::harness::clip("320x240", 2);
    beside_a_healthy_stream(|server| {
        let mark = format!("pwned-{}", std::process::id());
        let above = server.folder().parent().expect("a parent").to_owned();
        let launch = format!("x ! filesink location={}/{mark}", server.folder().display());
        let long = format!("{mark}{}", "n".repeat(5000));
        for name in [
            format!("../{mark}"),
            format!("../../{mark}"),
            format!("{}/{mark}", server.folder().display()),
            format!("..%2f{mark}"),
            format!("{mark}\0.flv"),
            format!("{mark}%n%s%n"),
            format!("{mark}\r\nINFO a forged line"),
            launch,
            long,
            String::new(),
            "..".to_owned(),
        ] {
            let mut wire = Wire::connect(server.rtmp_address(), "live");
            wire.publish(&format!("{name}?key={SECRET}"));
            // A name may be refused or be taken as the mere name that it is; either way it is only a name.
            let said = wire.hears(
                seconds(5),
                &["NetStream.Publish.Start", "NetStream.Publish.", "NetStream.Failed"],
            );
            if said == "NetStream.Publish.Start" {
                wire.play_flv(&clip, 0, false);
            }
        }
        // What these streams could have written lies in the folder of the recordings, and nowhere else.
        poll_until(seconds(15), "the streams to leave", || {
            let listed = crate::harness::get(&server.http("api/v1/streams"))?.1;
            (!listed.contains(&mark)).then_some(())
        });
        for folder in [server.folder(), &above, Path::new("/")] {
            let strays: Vec<_> = fs::read_dir(folder)
                .expect("a folder")
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|name| name.contains(&mark) || (folder == server.folder() && !expected(name)))
                .collect();
            assert!(strays.is_empty(), "{strays:?} in {}", folder.display());
        }
    });
}

fn expected(name: &str) -> bool {
    matches!(name, "streammill.toml" | "recordings")
}
