//! What clients may say, in which order, and what they are answered.

#![allow(clippy::unwrap_used)]

mod pair;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use streammill_rtmp::{
    ChunkStreamId, ClientConfig, ClientEvent, Limits, MediaType, MessageStreamId, Rejection, RtmpTime, ServerConfig,
    ServerEvent, ServerSession, SessionError,
    amf::{self, Value},
    chunk::{ChunkWriter, RawMessage},
    status,
};

use pair::Pair;

fn command(name: &str, arguments: &[Value]) -> Vec<Value> {
    let mut values = vec![Value::string(name), Value::Number(9.0), Value::Null];
    values.extend_from_slice(arguments);
    values
}

fn connected() -> Pair {
    let mut pair = Pair::new(11);
    pair.connect();
    pair
}

#[test]
fn nothing_but_connect_makes_sense_at_first() {
    for name in ["createStream", "publish", "play", "deleteStream"] {
        let mut server = ServerSession::new(ServerConfig::default(), [2; 32]);
        // C0, C1 of the plain handshake, and any C2.
        server
            .handle_input(&[&[3][..], &[0; 1536], &[0; 1536]].concat())
            .unwrap();
        let mut writer = ChunkWriter::default();
        let mut message = BytesMut::new();
        writer.write_whole(
            &RawMessage {
                chunk_stream: ChunkStreamId(3),
                timestamp: RtmpTime(0),
                type_id: 20,
                stream: MessageStreamId(0),
                payload: amf::encode(&command(name, &[Value::string("cam")])),
            },
            &mut message,
        );
        let error = server.handle_input(&message).unwrap_err().to_string();
        assert_eq!(error, format!("'{}' before 'connect'", name.to_ascii_lowercase()));
    }
}

#[test]
fn a_refused_client_is_not_listened_to() {
    let mut pair = Pair::new(3);
    pair.run().unwrap();
    pair.server
        .reject_connect(&Rejection::new(status::CONNECT_REJECTED, "No."));
    pair.say(1, &command("publish", &[Value::string("cam")])).unwrap();
    pair.say_raw(9, 1, Bytes::from_static(b"x")).unwrap();
    assert!(pair.asked().is_none());
}

#[test]
fn what_is_said_before_the_answer_to_connect_is_kept_for_it() {
    let mut pair = Pair::new(5);
    pair.run().unwrap();
    pair.say(0, &command("createStream", &[])).unwrap();
    pair.say(1, &command("publish", &[Value::string("cam")])).unwrap();
    assert!(pair.asked().is_none(), "nobody is in yet");
    pair.server.accept_connect().unwrap();
    pair.run().unwrap();
    let id = pair.asked().unwrap();
    assert!(pair.server.accept_publish(id));
}

#[test]
fn too_much_before_the_answer_to_connect_costs_the_connection() {
    let mut pair = Pair::new(5);
    pair.run().unwrap();
    let error = (0..100).find_map(|_| pair.say(0, &command("createStream", &[])).err());
    assert!(matches!(error, Some(SessionError::TooEarly { limit: 64 })), "{error:?}");
    let mut pair = Pair::new(5);
    pair.run().unwrap();
    let error = (0..4).find_map(|_| pair.say_raw(9, 1, Bytes::from(vec![0; 100_000])).err());
    assert!(matches!(error, Some(SessionError::TooEarly { .. })), "{error:?}");
}

#[test]
fn a_second_connect_is_refused() {
    let mut pair = connected();
    let object = Value::Object(vec![("app".to_owned(), Value::string("other"))]);
    pair.say(0, &[Value::string("connect"), Value::Number(1.0), object])
        .unwrap();
    assert_eq!(pair.codes(), ["NetConnection.Connect.Failed"]);
}

#[test]
fn an_answer_to_an_earlier_request_has_no_effect() {
    let mut pair = connected();
    pair.say(1, &command("publish", &[Value::string("one")])).unwrap();
    let first = pair.asked().unwrap();
    pair.say(1, &command("publish", &[Value::string("two")])).unwrap();
    let second = pair.asked().unwrap();
    assert!(!pair.server.accept_publish(first), "it is not asked for any more");
    pair.server
        .reject_publish(first, &Rejection::new(status::FAILED, "No."));
    assert!(pair.server.accept_publish(second));
    pair.run().unwrap();
    let codes = pair.codes();
    assert_eq!(codes.last().unwrap(), "NetStream.Publish.Start");
    assert!(!codes.contains(&"NetStream.Failed".to_owned()), "{codes:?}");
    // Nor does one to a request of the other kind.
    pair.say(2, &command("play", &[Value::string("one")])).unwrap();
    let play = pair.asked().unwrap();
    assert!(!pair.server.accept_publish(play));
    pair.say(2, &command("closeStream", &[])).unwrap();
    assert!(!pair.server.accept_play(play), "it was closed in the meantime");
}

#[test]
fn names_of_commands_may_be_in_any_case() {
    let mut pair = connected();
    pair.say(1, &command("PUBLISH", &[Value::string("cam")])).unwrap();
    assert!(pair.asked().is_some());
    pair.say(1, &command("Play", &[Value::string("cam")])).unwrap();
    assert!(pair.asked().is_some());
}

#[test]
fn a_stream_without_a_name_is_refused_with_advice() {
    for (name, expected) in [
        ("publish", "NetStream.Publish.BadName"),
        ("play", "NetStream.Play.StreamNotFound"),
    ] {
        for stream in ["", "?key=secret"] {
            let mut pair = connected();
            pair.say(1, &command(name, &[Value::string(stream)])).unwrap();
            let advice = pair.client_events.iter().find_map(|event| match event {
                ClientEvent::Rejected { code, description } if code == expected => Some(description.clone()),
                _ => None,
            });
            assert!(
                advice.is_some_and(|text| text.contains("rtmp://host/app/name")),
                "{name} {stream:?}"
            );
            assert!(pair.asked().is_none());
        }
    }
}

#[test]
fn play2_changes_over_to_another_stream() {
    let mut pair = connected();
    pair.say(1, &command("play", &[Value::string("one")])).unwrap();
    let one = pair.asked().unwrap();
    assert!(pair.server.accept_play(one));
    let parameters = Value::Object(vec![
        ("oldStreamName".to_owned(), Value::string("one")),
        ("streamName".to_owned(), Value::string("two?token=1")),
        ("transition".to_owned(), Value::string("switch")),
    ]);
    pair.say(1, &command("play2", &[parameters])).unwrap();
    let mut events = pair.server_events.iter();
    assert!(events.any(|event| matches!(event, ServerEvent::PlayEnd { .. })));
    assert!(events.any(|event| matches!(event, ServerEvent::Play(request) if request.name == "two")));
}

#[test]
fn a_player_may_pause_and_choose_but_not_seek() {
    let mut pair = connected();
    for (name, argument) in [("pause", true), ("receiveAudio", false)] {
        pair.say(1, &command(name, &[Value::Boolean(argument)])).unwrap();
    }
    assert!(
        pair.server_events
            .iter()
            .all(|event| matches!(event, ServerEvent::Connect(_))),
        "nothing plays yet"
    );
    pair.say(1, &command("play", &[Value::string("cam")])).unwrap();
    let id = pair.asked().unwrap();
    assert!(pair.server.accept_play(id));
    pair.run().unwrap();
    pair.client_events.clear();
    pair.say(1, &command("pause", &[Value::Boolean(true), Value::Number(0.0)]))
        .unwrap();
    pair.say(1, &command("pauseRaw", &[Value::Boolean(false), Value::Number(0.0)]))
        .unwrap();
    pair.say(1, &command("receiveVideo", &[Value::Boolean(false)])).unwrap();
    pair.say(1, &command("seek", &[Value::Number(5.0)])).unwrap();
    let seen: Vec<_> = pair.server_events.iter().map(|event| format!("{event:?}")).collect();
    assert!(
        seen[0].contains("paused: true") && seen[1].contains("paused: false"),
        "{seen:?}"
    );
    assert!(
        seen[2].contains("ReceiveVideo") && seen[2].contains("on: false"),
        "{seen:?}"
    );
    assert_eq!(
        pair.codes(),
        [
            "NetStream.Pause.Notify",
            "NetStream.Unpause.Notify",
            "NetStream.Seek.Failed"
        ]
    );
}

#[test]
fn several_streams_of_a_connection_are_kept_apart() {
    let mut pair = connected();
    pair.say(0, &command("createStream", &[])).unwrap();
    pair.say(0, &command("createStream", &[])).unwrap();
    for (stream, name) in [(1, "a"), (2, "b")] {
        pair.say(stream, &command("publish", &[Value::string(name)])).unwrap();
        let id = pair.asked().unwrap();
        assert!(pair.server.accept_publish(id));
    }
    pair.say_raw(9, 2, Bytes::from_static(b"b")).unwrap();
    pair.say_raw(9, 1, Bytes::from_static(b"a")).unwrap();
    pair.say(0, &command("deleteStream", &[Value::Number(1.0)])).unwrap();
    pair.say_raw(9, 1, Bytes::from_static(b"still under way")).unwrap();
    pair.say_raw(9, 2, Bytes::from_static(b"b")).unwrap();
    let media: Vec<_> = pair
        .server_events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Media { stream, payload, .. } => Some((stream.0, payload.clone())),
            ServerEvent::PublishEnd { stream } => Some((stream.0, Bytes::from_static(b"end"))),
            _ => None,
        })
        .collect();
    let media: Vec<_> = media.iter().map(|(stream, payload)| (*stream, &payload[..])).collect();
    assert_eq!(media, [(2, &b"b"[..]), (1, b"a"), (1, b"end"), (2, b"b")]);
}

#[test]
fn media_on_a_stream_of_which_nothing_was_asked_costs_the_connection() {
    for stream in [1, 7] {
        let mut pair = connected();
        pair.say(0, &command("createStream", &[])).unwrap();
        let error = pair.say_raw(8, stream, Bytes::from_static(b"x")).unwrap_err();
        assert!(matches!(error, SessionError::MediaBeforePublish { stream: it } if it == stream));
    }
}

#[test]
fn streams_may_be_made_and_deleted_for_ever_but_not_kept() {
    let limits = Limits {
        max_message_streams: 4,
        ..Limits::default()
    };
    let mut pair = Pair::with(6, ClientConfig::default(), limits);
    pair.connect();
    for stream in 1..100 {
        pair.say(0, &command("createStream", &[])).unwrap();
        pair.say(0, &command("deleteStream", &[Value::Number(stream.into())]))
            .unwrap();
    }
    let error = (0..5).find_map(|_| pair.say(0, &command("createStream", &[])).err());
    assert!(
        matches!(error, Some(SessionError::TooManyStreams { limit: 4 })),
        "{error:?}"
    );
}

#[test]
fn data_messages_lose_their_wrapping_and_clearing_is_none() {
    let mut pair = connected();
    pair.say(1, &command("publish", &[Value::string("cam")])).unwrap();
    let id = pair.asked().unwrap();
    assert!(pair.server.accept_publish(id));
    let meta = [Value::string("onMetaData"), Value::EcmaArray(vec![])];
    let wrapped = [&[Value::string("@setDataFrame")], &meta[..]].concat();
    pair.say_raw(18, 1, amf::encode(&wrapped)).unwrap();
    pair.say_raw(
        18,
        1,
        amf::encode(&[Value::string("@clearDataFrame"), Value::string("onMetaData")]),
    )
    .unwrap();
    // As AMF3: a format byte, and the array behind a switch.
    let mut three = vec![0];
    three.extend(amf::encode(&[Value::string("onCuePoint")]));
    three.extend([0x11, 10, 0x0b, 0x01, 0x07, b'k', b'e', b'y', 6, 0x03, b'v', 0x01]);
    pair.say_raw(15, 1, three.into()).unwrap();
    let data: Vec<_> = pair
        .server_events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Media {
                kind: MediaType::Data,
                payload,
                ..
            } => Some(amf::decode(payload).unwrap()),
            _ => None,
        })
        .collect();
    let cue = Value::Object(vec![("key".to_owned(), Value::string("v"))]);
    assert_eq!(data, [meta.to_vec(), vec![Value::string("onCuePoint"), cue]]);
}

#[test]
fn what_a_client_can_do_is_told_and_answered_in_kind() {
    for is_enhanced in [true, false] {
        let config = ClientConfig {
            is_enhanced,
            ..ClientConfig::default()
        };
        let mut pair = Pair::with(9, config, Limits::default());
        pair.run().unwrap();
        let Some(ServerEvent::Connect(request)) = pair.server_events.pop() else {
            panic!("no request")
        };
        let capabilities = &request.capabilities;
        assert_eq!(capabilities.is_announced(), is_enhanced);
        assert_eq!(capabilities.takes_video(*b"hvc1"), is_enhanced);
        assert_eq!(capabilities.extensions().multitrack(), is_enhanced);
        pair.server.accept_connect().unwrap();
        let said: Vec<u8> = std::iter::from_fn(|| pair.server.poll_output()).flatten().collect();
        let tells = |text: &[u8]| said.windows(text.len()).any(|window| window == text);
        assert_eq!(
            (tells(b"videoFourCcInfoMap"), tells(b"capsEx")),
            (is_enhanced, is_enhanced)
        );
    }
}

#[test]
fn who_can_is_asked_to_connect_anew() {
    let mut pair = connected();
    assert!(pair.server.request_reconnect(Some("rtmp://other/live"), "Updates."));
    pair.run().unwrap();
    assert!(
        pair.client_events.iter().any(
            |event| matches!(event, ClientEvent::Reconnect { tc_url: Some(url), description }
            if url == "rtmp://other/live" && description == "Updates.")
        ),
        "{:?}",
        pair.client_events
    );
    let config = ClientConfig {
        is_enhanced: false,
        ..ClientConfig::default()
    };
    let mut old = Pair::with(9, config, Limits::default());
    old.connect();
    assert!(
        !old.server.request_reconnect(None, ""),
        "an old client would not understand"
    );
}

/// Something a client may say.
#[derive(Clone, Debug)]
enum Saying {
    Command(u32, Vec<Value>),
    Media(u8, u32, usize),
}

fn saying() -> impl Strategy<Value = Saying> {
    let names = [
        "connect",
        "createStream",
        "publish",
        "play",
        "play2",
        "closeStream",
        "deleteStream",
        "pause",
        "receiveAudio",
        "seek",
        "FCUnpublish",
        "_result",
        "nonsense",
    ];
    let argument = prop_oneof![
        Just(Value::string("a")),
        Just(Value::string("")),
        Just(Value::Null),
        (0..4_u8).prop_map(|number| Value::Number(number.into())),
        any::<bool>().prop_map(Value::Boolean),
    ];
    prop_oneof![
        4 => (0..4_u32, prop::sample::select(names.to_vec()), prop::collection::vec(argument, 0..4))
            .prop_map(|(stream, name, arguments)| Saying::Command(stream, command(name, &arguments))),
        1 => (prop::sample::select(vec![8_u8, 9, 18, 22, 4]), 0..4_u32, 0..40_usize)
            .prop_map(|(type_id, stream, length)| Saying::Media(type_id, stream, length)),
    ]
}

proptest! {
    /// Whatever is said in whatever order, and answered or not: no panic, no media without leave, and every begin has at
    /// most one end, which comes after it.
    #[test]
    fn whatever_is_said_in_whatever_order(
        sayings in prop::collection::vec(saying(), 1..60),
        answers in prop::collection::vec(0..4_u8, 60),
        seed in 1..1000_u64,
    ) {
        let mut pair = Pair::new(seed);
        pair.connect();
        let mut publishes: Vec<u32> = Vec::new();
        let mut wishes: Vec<(u32, bool)> = Vec::new();
        for (saying, answer) in sayings.into_iter().zip(answers) {
            let result = match saying {
                Saying::Command(stream, values) => pair.say(stream, &values),
                Saying::Media(type_id, stream, length) => pair.say_raw(type_id, stream, vec![1; length].into()),
            };
            for event in std::mem::take(&mut pair.server_events) {
                match event {
                    ServerEvent::Publish(request) => {
                        wishes.push((request.stream.0, true));
                        if answer > 0 && pair.server.accept_publish(request.id) {
                            publishes.push(request.stream.0);
                        } else if answer == 0 {
                            pair.server.reject_publish(request.id, &Rejection::new(status::FAILED, "No."));
                            wishes.retain(|wish| *wish != (request.stream.0, true));
                        }
                    }
                    ServerEvent::Play(request) => {
                        wishes.push((request.stream.0, false));
                        if answer > 1 {
                            pair.server.accept_play(request.id);
                        } else if answer == 0 {
                            pair.server.reject_play(request.id, &Rejection::new(status::FAILED, "No."));
                            wishes.retain(|wish| *wish != (request.stream.0, false));
                        }
                    }
                    ServerEvent::PublishEnd { stream } => {
                        let at = wishes.iter().position(|wish| *wish == (stream.0, true));
                        prop_assert!(at.is_some(), "an end without a begin");
                        wishes.remove(at.unwrap());
                        publishes.retain(|known| *known != stream.0);
                    }
                    ServerEvent::PlayEnd { stream } => {
                        let at = wishes.iter().position(|wish| *wish == (stream.0, false));
                        prop_assert!(at.is_some(), "an end without a begin");
                        wishes.remove(at.unwrap());
                    }
                    ServerEvent::Media { stream, .. } => prop_assert!(publishes.contains(&stream.0), "media without leave"),
                    _ => {}
                }
            }
            if result.is_err() {
                break;
            }
        }
    }
}
