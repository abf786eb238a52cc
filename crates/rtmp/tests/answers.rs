//! What a server answers, value by value, as a client of any make reads it.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use streammill_rtmp::{
    ChunkStreamId, Limits, MessageStreamId, RtmpTime, ServerConfig, ServerSession,
    amf::{self, Value},
    chunk::{ChunkReader, ChunkWriter, RawMessage},
};

/// Bytes of S0, S1 and S2.
const SERVER_HANDSHAKE: usize = 1 + 1536 + 1536;

/// A server, and the bare chunks of somebody who talks to it.
struct Wire {
    server: ServerSession,
    reader: ChunkReader,
}

impl Wire {
    /// Past the handshake, in its plain form, and let in by `connect` with these properties.
    fn connected(properties: &[(&str, Value)]) -> (Self, Vec<Vec<Value>>) {
        let mut server = ServerSession::new(ServerConfig::default(), [2; 32]);
        let hello = [&[3][..], &[0; 1536], &[0; 1536]].concat();
        server.handle_input(&hello).unwrap();
        let handshake: usize = std::iter::from_fn(|| server.poll_output())
            .map(|bytes| bytes.len())
            .sum();
        assert_eq!(handshake, SERVER_HANDSHAKE);
        let mut wire = Self {
            server,
            reader: ChunkReader::new(Limits::default()),
        };
        let properties = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let object = Value::Object(properties.collect());
        let early = wire.say(&[Value::string("connect"), Value::Number(1.0), object]);
        assert!(early.is_empty(), "{early:?}");
        wire.server.accept_connect().unwrap();
        let answers = wire.answers();
        (wire, answers)
    }

    fn say(&mut self, values: &[Value]) -> Vec<Vec<Value>> {
        let message = RawMessage {
            chunk_stream: ChunkStreamId(3),
            timestamp: RtmpTime(0),
            type_id: 20,
            stream: MessageStreamId(0),
            payload: amf::encode(values),
        };
        // Every message by a writer of its own: the server's chunk size for what it reads stays as it began.
        let mut out = BytesMut::new();
        ChunkWriter::default().write_whole(&message, &mut out);
        self.server.handle_input(&out).unwrap();
        self.answers()
    }

    /// The commands in what the server says.
    fn answers(&mut self) -> Vec<Vec<Value>> {
        let said: Vec<Bytes> = std::iter::from_fn(|| self.server.poll_output()).collect();
        let said = said.concat();
        let mut rest = &said[..];
        let mut answers = Vec::new();
        while let Some(message) = self.reader.read(&mut rest).unwrap() {
            match message.type_id {
                1 => {
                    let size = u32::from_be_bytes(*message.payload.first_chunk().unwrap());
                    self.reader.set_chunk_size(size).unwrap();
                }
                20 => answers.push(amf::decode(&message.payload).unwrap()),
                _ => {}
            }
        }
        answers
    }
}

fn names(value: &Value) -> Vec<&str> {
    let Value::Object(properties) = value else {
        panic!("{value:?}")
    };
    properties.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn an_old_client_gets_the_answer_it_has_always_got() {
    let (_, answers) = Wire::connected(&[("app", Value::string("live"))]);
    let text = |name: &str, value: &str| (name.to_owned(), Value::string(value));
    let number = |name: &str, value: f64| (name.to_owned(), Value::Number(value));
    let expected = vec![
        Value::string("_result"),
        Value::Number(1.0),
        Value::Object(vec![text("fmsVer", "FMS/3,0,1,123"), number("capabilities", 31.0)]),
        Value::Object(vec![
            text("level", "status"),
            text("code", "NetConnection.Connect.Success"),
            text("description", "Connection succeeded."),
            number("objectEncoding", 0.0),
        ]),
    ];
    assert_eq!(answers, [expected]);
}

#[test]
fn a_client_that_announces_codecs_is_told_ours() {
    for announced in [
        ("fourCcList", Value::StrictArray(vec![Value::string("*")])),
        ("videoFourCcInfoMap", Value::Object(vec![])),
        ("audioFourCcInfoMap", Value::Object(vec![])),
        ("capsEx", Value::Number(0.0)),
    ] {
        let (_, answers) = Wire::connected(&[announced]);
        let information = &answers[0][3];
        let property = |name: &str| information.property(name).unwrap();
        assert_eq!(
            names(property("videoFourCcInfoMap")),
            ["avc1", "hvc1", "av01", "vp08", "vp09"]
        );
        assert_eq!(
            names(property("audioFourCcInfoMap")),
            ["mp4a", ".mp3", "Opus", "fLaC", "ac-3", "ec-3"]
        );
        // It decodes and forwards; of reconnecting, multitrack, ModEx and nanoseconds it knows all.
        assert_eq!(
            property("videoFourCcInfoMap").property("hvc1"),
            Some(&Value::Number(5.0))
        );
        assert_eq!(property("capsEx"), &Value::Number(15.0));
        let Value::StrictArray(list) = property("fourCcList") else {
            panic!("{information:?}")
        };
        assert_eq!(list.len(), 11);
    }
}

#[test]
fn old_encoders_get_the_notices_they_wait_for() {
    let (mut wire, _) = Wire::connected(&[]);
    for (command, notice, code) in [
        ("FCPublish", "onFCPublish", "NetStream.Publish.Start"),
        ("FCUnpublish", "onFCUnpublish", "NetStream.Unpublish.Success"),
        ("FCSubscribe", "onFCSubscribe", "NetStream.Play.Start"),
    ] {
        let answers = wire.say(&[
            Value::string(command),
            Value::Number(4.0),
            Value::Null,
            Value::string("cam"),
        ]);
        let [answer] = &answers[..] else {
            panic!("{command}: {answers:?}")
        };
        assert_eq!(answer[0], Value::string(notice));
        assert_eq!(answer[3].property("code"), Some(&Value::string(code)));
    }
}

#[test]
fn who_waits_for_an_answer_gets_one_to_its_own_question() {
    let (mut wire, _) = Wire::connected(&[]);
    for (command, expected) in [
        ("createStream", Value::Number(1.0)),
        ("createStream", Value::Number(2.0)),
        ("getStreamLength", Value::Number(0.0)),
        ("releaseStream", Value::Undefined),
        ("_checkbw", Value::Undefined),
        ("somethingElse", Value::Undefined),
    ] {
        let answers = wire.say(&[Value::string(command), Value::Number(7.0), Value::Null]);
        let expected = vec![Value::string("_result"), Value::Number(7.0), Value::Null, expected];
        assert_eq!(answers, [expected], "{command}");
    }
    // Who says 0 does not wait.
    let answers = wire.say(&[Value::string("_checkbw"), Value::Number(0.0), Value::Null]);
    assert!(answers.is_empty(), "{answers:?}");
}
