//! With a location, `millsrc` and `millsink` are RTMP clients: held against a server of two dozen lines on loopback.

#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Once, mpsc},
    thread,
    time::{Duration, Instant},
};

use gst::prelude::*;
use streammill_media::{
    MediaKind,
    flv::{Reader, Tag},
};
use streammill_rtmp::{MediaType, Rejection, RtmpTime, ServerConfig, ServerEvent, ServerSession, status};

const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(20);
const CLIP: &[u8] = include_bytes!("../../src/pipeline/canned.flv");

fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gststreammill::plugin_register_static().unwrap();
    });
}

/// Serves one client; `act` answers what it asks for and says whether to go on.
fn serve(act: impl FnMut(&mut ServerSession, ServerEvent) -> bool + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut act = act;
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut session = ServerSession::new(ServerConfig::default(), [7; 32]);
        let (mut input, mut goes_on) = (vec![0; 65536], true);
        while goes_on {
            let length = socket.read(&mut input).unwrap_or(0);
            if length == 0 || session.handle_input(&input[..length]).is_err() {
                return;
            }
            while let Some(event) = session.poll_event() {
                goes_on &= act(&mut session, event);
            }
            while let Some(bytes) = session.poll_output() {
                if socket.write_all(&bytes).is_err() {
                    return;
                }
            }
        }
    });
    address
}

fn tags() -> Vec<Tag> {
    let mut reader = Reader::new(1 << 20);
    reader.push(CLIP);
    std::iter::from_fn(|| reader.next_tag().unwrap()).collect()
}

/// Runs a pipeline to its end. An error is answered as its text.
fn run(launch: &str) -> Result<(), String> {
    let pipeline = gst::parse::launch(launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let bus = pipeline.bus().unwrap();
    // A start that fails has posted why.
    let _ = pipeline.set_state(gst::State::Playing);
    let message = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    let result = match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => Err(format!("{} {:?}", error.error(), error.debug())),
        _ => Err(format!("neither end nor error within {PATIENCE}")),
    };
    pipeline.set_state(gst::State::Null).unwrap();
    result
}

#[test]
fn millsrc_plays_a_stream_to_its_end() {
    start();
    let address = serve(|session, event| {
        match event {
            ServerEvent::Connect(_) => session.accept_connect().unwrap(),
            ServerEvent::Play(request) => {
                assert_eq!(request.name, "x");
                session.accept_play(request.id);
                for tag in tags() {
                    let kind = match tag.kind {
                        MediaKind::Video => MediaType::Video,
                        MediaKind::Audio => MediaType::Audio,
                        MediaKind::Data => MediaType::Data,
                    };
                    session.send_frame(request.stream, kind, RtmpTime(tag.timestamp_ms), &tag.body);
                }
                session.notify_unpublish(request.stream, "x");
                session.stream_eof(request.stream);
            }
            _ => {}
        }
        true
    });
    let (sent, counted) = mpsc::channel();
    let launch = format!(
        "millsrc name=in location=rtmp://{address}/live/x in.video ! h264parse ! fakesink name=v signal-handoffs=true \
         sync=false in.audio ! aacparse ! fakesink name=a signal-handoffs=true sync=false"
    );
    let pipeline = gst::parse::launch(&launch)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    for name in ["v", "a"] {
        let sent = sent.clone();
        let sink = pipeline.by_name(name).unwrap();
        sink.connect("handoff", false, move |_| {
            sent.send(name).unwrap();
            None
        });
    }
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(matches!(message.unwrap().view(), gst::MessageView::Eos(_)));
    let names: Vec<_> = counted.try_iter().collect();
    let count = |wanted| names.iter().filter(|name| **name == wanted).count();
    assert_eq!(count("v"), 45);
    assert!(count("a") > 120, "{} audio frames", count("a"));
}

#[test]
fn millsink_publishes_everything_up_to_the_end() {
    start();
    let (heard, events) = mpsc::channel();
    let address = serve(move |session, event| {
        match event {
            ServerEvent::Connect(request) => {
                heard.send(request.app.clone()).unwrap();
                session.accept_connect().unwrap();
            }
            ServerEvent::Publish(request) => {
                heard.send(request.name.clone()).unwrap();
                session.accept_publish(request.id);
            }
            ServerEvent::Media { kind, payload, .. } => {
                let is_config = payload.get(1) == Some(&0);
                heard
                    .send(format!("{kind:?}{}", if is_config { " config" } else { "" }))
                    .unwrap();
            }
            ServerEvent::PublishEnd { .. } => {
                heard.send("end".to_owned()).unwrap();
                return false;
            }
            _ => {}
        }
        true
    });
    let result = run(&format!(
        "millsink name=out location=rtmp://{address}/live/a/b \
         videotestsrc num-buffers=60 ! video/x-raw,format=I420,width=160,height=90,framerate=30/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast ! out.video \
         audiotestsrc num-buffers=80 ! audio/x-raw,rate=44100,channels=1 ! voaacenc ! aacparse ! out.audio"
    ));
    assert_eq!(result, Ok(()));
    let heard: Vec<_> = std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(5)).ok())
        .take_while(|event| event != "end")
        .collect();
    assert_eq!(heard[..2], ["live", "a/b"]);
    let count = |wanted: &str| heard.iter().filter(|event| *event == wanted).count();
    assert_eq!((count("Video config"), count("Video")), (1, 60));
    assert_eq!(count("Audio config"), 1);
    assert!(count("Audio") >= 79, "{} audio frames", count("Audio"));
}

#[test]
fn a_refusal_is_an_error_with_the_servers_words() {
    start();
    let address = serve(|session, event| {
        match event {
            ServerEvent::Connect(_) => session.accept_connect().unwrap(),
            ServerEvent::Publish(request) => session.reject_publish(
                request.id,
                &Rejection {
                    code: status::PUBLISH_BAD_NAME,
                    description: "someone was faster".to_owned(),
                },
            ),
            _ => {}
        }
        true
    });
    let error = run(&format!(
        "videotestsrc is-live=true ! x264enc tune=zerolatency ! out.video millsink name=out location=rtmp://{address}/live/x"
    ))
    .unwrap_err();
    assert!(error.contains("someone was faster"), "{error}");
}

#[test]
fn a_wrong_location_and_an_absent_server_are_errors_that_say_so() {
    start();
    let error = run("millsrc name=in location=http://x/y in.video ! fakesink").unwrap_err();
    assert!(error.contains("location must begin with rtmp://"), "{error}");
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = run(&format!(
        "millsrc name=in location=rtmp://{address}/live/x in.video ! fakesink"
    ))
    .unwrap_err();
    assert!(error.contains("cannot connect"), "{error}");
}

#[test]
fn a_connection_that_says_nothing_does_not_keep_the_pipeline_from_stopping() {
    start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let launch = format!(
        "millsrc name=in location=rtmp://{address}/live/x in.video ! fakesink \
         videotestsrc is-live=true ! x264enc tune=zerolatency ! out.video millsink name=out location=rtmp://{address}/live/y"
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let clients: Vec<_> = (0..2).map(|_| silent.accept().unwrap()).collect();
    let asked = Instant::now();
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    drop(clients);
}

#[test]
fn without_a_location_or_a_host_millsink_says_what_it_needs() {
    start();
    let error = run("videotestsrc num-buffers=5 ! x264enc tune=zerolatency ! out.video millsink name=out").unwrap_err();
    assert!(
        error.contains("set stream or location, or have a host take what arrives"),
        "{error}"
    );
}
