//! What sessions promise each other and their callers, whatever the wire does to the bytes.

#![allow(clippy::unwrap_used)]

mod pair;

use bytes::Bytes;
use streammill_rtmp::{
    ClientConfig, ClientEvent, Limits, MediaType, MessageStreamId, Rejection, RtmpTime, ServerEvent, SessionError,
    chunk, status,
};

use pair::Pair;

/// Enough different cuts to hit every boundary of a short conversation.
const SEEDS: std::ops::Range<u64> = 1..40;

fn media(events: &[ServerEvent]) -> Vec<(MediaType, u32, usize)> {
    let media = events.iter().filter_map(|event| match event {
        ServerEvent::Media {
            kind,
            timestamp,
            payload,
            ..
        } => Some((*kind, timestamp.0, payload.len())),
        _ => None,
    });
    media.collect()
}

#[test]
fn what_is_published_arrives_whole_however_the_bytes_are_cut() {
    for seed in SEEDS {
        let mut pair = Pair::new(seed);
        pair.connect();
        let stream = pair.ask_to_publish("cam?secret=1");
        assert!(pair.server.accept_publish(stream));
        pair.run().unwrap();
        assert!(
            pair.client_events
                .iter()
                .any(|event| matches!(event, ClientEvent::PublishStarted))
        );

        let times = [0, 40, 0xff_fffe, 0xff_ffff, 0x0100_0000, u32::MAX, 5];
        for (index, time) in times.into_iter().enumerate() {
            let payload = Bytes::from(vec![index as u8; 1 + index * 5000]);
            pair.client.send_frame(MediaType::Video, RtmpTime(time), &payload);
        }
        pair.run().unwrap();
        let expected: Vec<_> = times
            .into_iter()
            .enumerate()
            .map(|(index, time)| (MediaType::Video, time, 1 + index * 5000))
            .collect();
        assert_eq!(media(&pair.server_events), expected, "seed {seed}");
    }
}

#[test]
fn a_name_is_separated_from_the_secret_behind_it() {
    let mut pair = Pair::new(1);
    pair.connect();
    pair.client.publish("cam?secret=1&x=?");
    pair.run().unwrap();
    let Some(ServerEvent::Publish(request)) = pair.server_events.pop() else {
        panic!("no request")
    };
    assert_eq!(
        (request.name.as_str(), request.args.as_deref()),
        ("cam", Some("secret=1&x=?"))
    );
    assert_eq!(request.kind, "live");
}

#[test]
fn a_refused_publisher_sees_why() {
    let mut pair = Pair::new(2);
    pair.connect();
    let stream = pair.ask_to_publish("cam");
    pair.server.reject_publish(
        stream,
        &Rejection::new(status::PUBLISH_BAD_NAME, "Somebody else publishes it."),
    );
    pair.run().unwrap();
    let seen = pair.client_events.iter().any(|event| {
        matches!(event, ClientEvent::Rejected { code, description }
            if code == "NetStream.Publish.BadName" && description == "Somebody else publishes it.")
    });
    assert!(seen, "{:?}", pair.client_events);
}

#[test]
fn a_refused_client_sees_why() {
    let mut pair = Pair::new(2);
    pair.run().unwrap();
    pair.server.reject_connect(&Rejection::new(
        status::CONNECT_INVALID_APP,
        "There is no application 'live'.",
    ));
    pair.run().unwrap();
    assert!(matches!(&pair.client_events[..], [ClientEvent::Rejected { code, .. }] if code.ends_with("InvalidApp")));
}

#[test]
fn a_player_gets_the_sessions_messages_and_the_shared_ones_in_any_order() {
    for seed in SEEDS {
        let mut pair = Pair::new(seed);
        pair.connect();
        let stream = pair.ask_to_play("cam");
        assert!(pair.server.accept_play(stream));
        pair.run().unwrap();
        pair.client_events.clear();

        for round in 0..6u32 {
            let time = RtmpTime(0xff_fffd + round);
            let payload = Bytes::from(vec![7; 9000]);
            if round % 2 == 0 {
                pair.server
                    .send_frame(stream.stream(), MediaType::Video, time, &payload);
                pair.run().unwrap();
            } else {
                pair.give_client(&chunk::shared_form(
                    MediaType::Video,
                    MessageStreamId(1),
                    time,
                    &payload,
                    4096,
                ));
                pair.run().unwrap();
            }
        }
        let times: Vec<_> = pair
            .client_events
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Media { timestamp, payload, .. } if payload.len() == 9000 => Some(timestamp.0),
                _ => None,
            })
            .collect();
        assert_eq!(
            times,
            (0..6).map(|round| 0xff_fffd + round).collect::<Vec<_>>(),
            "seed {seed}"
        );
    }
}

#[test]
fn media_before_publish_costs_the_connection() {
    let mut pair = Pair::new(3);
    pair.connect();
    let stream = pair.ask_to_play("cam");
    assert!(pair.server.accept_play(stream));
    pair.run().unwrap();
    pair.client
        .send_frame(MediaType::Video, RtmpTime(0), &Bytes::from_static(b"x"));
    assert!(matches!(pair.run(), Err(SessionError::MediaBeforePublish { .. })));
}

#[test]
fn media_while_the_answer_is_pending_is_passed_over() {
    let mut pair = Pair::new(3);
    pair.connect();
    let stream = pair.ask_to_publish("cam");
    pair.client
        .send_frame(MediaType::Video, RtmpTime(0), &Bytes::from_static(b"early"));
    pair.run().unwrap();
    assert!(pair.server.accept_publish(stream));
    pair.client
        .send_frame(MediaType::Video, RtmpTime(40), &Bytes::from_static(b"x"));
    pair.run().unwrap();
    assert_eq!(media(&pair.server_events), [(MediaType::Video, 40, 1)]);
}

#[test]
fn a_message_beyond_the_limit_is_refused_when_its_length_is_read() {
    let limits = Limits {
        max_message: 10_000,
        ..Limits::default()
    };
    let mut pair = Pair::with(4, ClientConfig::default(), limits);
    pair.connect();
    let stream = pair.ask_to_publish("cam");
    assert!(pair.server.accept_publish(stream));
    pair.run().unwrap();
    pair.client
        .send_frame(MediaType::Video, RtmpTime(0), &Bytes::from(vec![0; 10_001]));
    let error = pair.run().unwrap_err().to_string();
    assert!(error.contains("10001 bytes; at most 10000"), "{error}");
}

#[test]
fn a_publisher_that_closes_its_stream_may_publish_again() {
    let mut pair = Pair::new(5);
    pair.connect();
    for name in ["one", "two"] {
        let stream = pair.ask_to_publish(name);
        assert!(pair.server.accept_publish(stream));
        pair.run().unwrap();
        pair.client.close_stream();
        pair.run().unwrap();
        let ended = pair
            .server_events
            .iter()
            .any(|event| matches!(event, ServerEvent::PublishEnd { stream: s } if *s == stream.stream()));
        assert!(ended, "{name}");
        pair.server_events.clear();
    }
}

#[test]
fn a_ping_is_answered() {
    let mut pair = Pair::new(6);
    pair.connect();
    pair.server.ping(1234);
    pair.run().unwrap();
    assert!(matches!(
        pair.server_events.last(),
        Some(ServerEvent::PingResponse { timestamp: 1234 })
    ));
}

#[test]
fn players_are_told_that_the_publisher_left_and_came_back() {
    let mut pair = Pair::new(7);
    pair.connect();
    let stream = pair.ask_to_play("cam");
    assert!(pair.server.accept_play(stream));
    pair.run().unwrap();
    pair.client_events.clear();
    pair.server.notify_unpublish(stream.stream(), "cam");
    pair.server.stream_eof(stream.stream());
    pair.server.notify_publish(stream.stream(), "cam");
    pair.run().unwrap();
    let codes: Vec<_> = pair
        .client_events
        .iter()
        .map(|event| match event {
            ClientEvent::Status { code, .. } => code.as_str(),
            ClientEvent::StreamEof => "eof",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        codes,
        ["NetStream.Play.UnpublishNotify", "eof", "NetStream.Play.PublishNotify"]
    );
}

#[test]
fn a_peer_that_asks_for_acknowledgements_gets_them() {
    let mut pair = Pair::new(8);
    pair.connect();
    let stream = pair.ask_to_play("cam");
    assert!(pair.server.accept_play(stream));
    pair.run().unwrap();
    // The server asked for one after each 5,000,000 bytes when it let the client in.
    let payload = Bytes::from(vec![0; 1_000_000]);
    for _ in 0..6 {
        pair.server
            .send_frame(stream.stream(), MediaType::Video, RtmpTime(0), &payload);
        while let Some(bytes) = pair.server.poll_output() {
            pair.give_client(&bytes);
        }
    }
    let said: Vec<_> = std::iter::from_fn(|| pair.client.poll_output()).collect();
    let [acknowledgement] = &said[..] else {
        panic!("{said:?}")
    };
    // Message type 3 with a count of at least the window (§5.4.3).
    assert_eq!(acknowledgement[7], 3);
    let count = u32::from_be_bytes(*acknowledgement.last_chunk().unwrap());
    assert!((5_000_000..6_100_000).contains(&count), "{count}");
}
