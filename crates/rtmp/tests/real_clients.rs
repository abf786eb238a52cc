//! What real clients said, byte for byte, and what a server makes of it. `captures/README.md` tells how it was recorded.

#![allow(clippy::unwrap_used)]

use streammill_rtmp::{ConnectRequest, MediaType, ServerConfig, ServerEvent, ServerSession};

macro_rules! capture {
    ($name:literal) => {
        include_bytes!(concat!("captures/", $name, ".bin"))
    };
}

/// What a server that lets everybody in was told.
#[derive(Default)]
struct Heard {
    connect: Option<ConnectRequest>,
    /// In order, without media.
    events: Vec<String>,
    audio: Vec<Vec<u8>>,
    video: Vec<Vec<u8>>,
    /// Names of data messages.
    data: Vec<String>,
}

/// Gives a server the bytes in pieces of this length. Answers take no time, as if the server were on the same machine.
fn replay(capture: &[u8], piece: usize) -> Heard {
    let mut server = ServerSession::new(ServerConfig::default(), [7; 32]);
    let mut heard = Heard::default();
    for piece in capture.chunks(piece) {
        server.handle_input(piece).expect("a real client breaks no rule");
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Connect(request) => {
                    heard.connect = Some(request);
                    server.accept_connect().expect("nothing too much came early");
                }
                ServerEvent::Publish(request) => {
                    server.accept_publish(request.id);
                    let (stream, args) = (request.stream.0, request.args.unwrap_or_default());
                    let text = format!("{stream}: publish {} [{args}] {}", request.name, request.kind);
                    heard.events.push(text);
                }
                ServerEvent::Play(request) => {
                    server.accept_play(request.id);
                    let (stream, args) = (request.stream.0, request.args.unwrap_or_default());
                    heard.events.push(format!("{stream}: play {} [{args}]", request.name));
                }
                ServerEvent::Media { kind, payload, .. } => match kind {
                    MediaType::Audio => heard.audio.push(payload.to_vec()),
                    MediaType::Video => heard.video.push(payload.to_vec()),
                    MediaType::Data => {
                        let values = streammill_rtmp::amf::decode(&payload).unwrap();
                        heard.data.push(values[0].as_str().unwrap().to_owned());
                    }
                },
                ServerEvent::PublishEnd { stream } => heard.events.push(format!("{}: publish ends", stream.0)),
                ServerEvent::PlayEnd { stream } => heard.events.push(format!("{}: play ends", stream.0)),
                ServerEvent::BufferLength { stream, millis } => {
                    heard.events.push(format!("{}: buffer {millis}", stream.0));
                }
                other => panic!("{other:?}"),
            }
        }
        while server.poll_output().is_some() {}
    }
    heard
}

/// A publisher's capture with what it has to come to: events, pictures, pieces of sound, data messages.
fn publishes(capture: &[u8], events: &[&str], counts: [usize; 3]) -> Heard {
    let heard = replay(capture, 1);
    assert_eq!(heard.events, events);
    assert_eq!([heard.video.len(), heard.audio.len(), heard.data.len()], counts);
    assert!(heard.data.iter().all(|name| name == "onMetaData"), "{:?}", heard.data);
    heard
}

fn plays(capture: &[u8], events: &[&str]) -> ConnectRequest {
    let heard = replay(capture, 1);
    assert_eq!(heard.events, events);
    assert!(heard.video.is_empty() && heard.audio.is_empty() && heard.data.is_empty());
    heard.connect.unwrap()
}

#[test]
fn ffmpeg_publishes() {
    let events = ["1: publish cam [key=k] live", "1: publish ends"];
    let heard = publishes(capture!("ffmpeg-publish"), &events, [10, 35, 1]);
    let connect = heard.connect.unwrap();
    assert_eq!(connect.app, "live");
    assert_eq!(connect.tc_url.unwrap(), "rtmp://127.0.0.1:19350/live");
    assert_eq!(connect.flash_ver.unwrap(), "FMLE/3.0 (compatible; Lavf59.27.100)");
    assert!(!connect.capabilities.is_announced());
    // The configurations of H.264 and AAC come first.
    assert_eq!(heard.video[0][..2], [0x17, 0]);
    assert_eq!(heard.audio[0][1], 0);
}

#[test]
fn ffmpeg_publishes_hevc_and_opus_and_says_so() {
    let events = ["1: publish cam [] live", "1: publish ends"];
    let heard = publishes(capture!("ffmpeg-enhanced-publish"), &events, [6, 43, 1]);
    let capabilities = heard.connect.unwrap().capabilities;
    assert!(capabilities.is_announced());
    assert!(capabilities.takes_video(*b"hvc1") && capabilities.takes_video(*b"av01"));
    assert!(capabilities.takes_audio(*b"Opus"));
    assert!(!capabilities.takes_video(*b"vp09") && !capabilities.extensions().reconnect());
    // Extended headers, which name the coding.
    assert_eq!((heard.video[0][0] & 0x80, &heard.video[0][1..5]), (0x80, &b"hvc1"[..]));
    assert_eq!((heard.audio[0][0] >> 4, &heard.audio[0][1..5]), (9, &b"Opus"[..]));
}

#[test]
fn gstreamer_publishes_and_leaves_without_a_word() {
    let events = ["1: publish cam [] live"];
    let heard = publishes(capture!("gstreamer-publish"), &events, [8, 22, 7]);
    assert_eq!(heard.connect.unwrap().flash_ver.unwrap(), "LNX 10,0,32,18");
    assert_eq!(heard.video[0][..2], [0x17, 0]);
}

#[test]
fn librtmp_publishes_without_saying_what_it_is() {
    let events = ["1: publish cam [] live", "1: publish ends"];
    let heard = publishes(capture!("librtmp-publish"), &events, [8, 22, 7]);
    assert_eq!(heard.connect.unwrap().flash_ver, None);
    assert_eq!(heard.video[0][..2], [0x17, 0]);
}

#[test]
fn ffmpeg_plays() {
    let events = ["1: play cam [token=t]", "1: buffer 3000", "1: play ends"];
    let connect = plays(capture!("ffmpeg-play"), &events);
    assert_eq!(connect.flash_ver.unwrap(), "LNX 9,0,124,2");
}

#[test]
fn rtmpdump_plays() {
    let events = ["0: buffer 300", "1: play cam []", "1: buffer 36000000", "1: play ends"];
    plays(capture!("rtmpdump-play"), &events);
}

#[test]
fn gstreamer_plays_and_leaves_without_a_word() {
    let events = ["0: buffer 300", "1: play cam []", "1: buffer 30000"];
    plays(capture!("gstreamer-play"), &events);
}

#[test]
fn real_clients_do_no_harm_however_their_words_are_cut() {
    for capture in [
        &capture!("ffmpeg-publish")[..],
        capture!("ffmpeg-enhanced-publish"),
        capture!("gstreamer-publish"),
        capture!("librtmp-publish"),
        capture!("ffmpeg-play"),
        capture!("rtmpdump-play"),
        capture!("gstreamer-play"),
    ] {
        for piece in [2, 7, 100, 1537, 3073, capture.len()] {
            let heard = replay(capture, piece);
            // Whatever was asked in one piece with what came behind it, the request itself is heard.
            let asked = heard
                .events
                .iter()
                .filter(|it| it.contains(": p") && !it.ends_with("ends"));
            assert_eq!(asked.count(), 1, "{:?}", heard.events);
        }
    }
}
