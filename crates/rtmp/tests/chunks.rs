//! What the chunk reader makes of the ways that senders cut messages (RTMP 1.0 §5.3).

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use streammill_rtmp::{
    ChunkStreamId, Limits, MessageStreamId, RtmpTime,
    chunk::{ChunkReader, ChunkWriter, RawMessage},
};

fn reader() -> ChunkReader {
    ChunkReader::new(Limits::default())
}

/// All messages in `bytes`, as (time, type, stream, payload).
fn read(reader: &mut ChunkReader, bytes: &[u8]) -> Vec<(u32, u8, u32, Bytes)> {
    let mut rest = bytes;
    let messages = std::iter::from_fn(|| reader.read(&mut rest).unwrap());
    messages
        .map(|message| (message.timestamp.0, message.type_id, message.stream.0, message.payload))
        .collect()
}

fn times(messages: &[(u32, u8, u32, Bytes)]) -> Vec<u32> {
    messages.iter().map(|message| message.0).collect()
}

#[test]
fn each_shorter_header_takes_the_rest_from_the_one_before() {
    let mut bytes = vec![0x06, 0, 0, 100, 0, 0, 2, 9, 1, 0, 0, 0, b'a', b'b'];
    bytes.extend([0x46, 0, 0, 40, 0, 0, 3, 8, b'c', b'd', b'e']);
    bytes.extend([0x86, 0, 0, 20, b'f', b'g', b'h']);
    bytes.extend([0xc6, b'i', b'j', b'k']);
    let messages = read(&mut reader(), &bytes);
    let expected = [
        (100, 9, 1, "ab"),
        (140, 8, 1, "cde"),
        (160, 8, 1, "fgh"),
        (180, 8, 1, "ijk"),
    ];
    assert_eq!(
        messages,
        expected.map(|(time, kind, stream, text)| (time, kind, stream, Bytes::from(text)))
    );
}

#[test]
fn chunk_stream_ids_of_two_and_three_bytes_are_read() {
    for basic in [
        &[0x00, 0x00][..],
        &[0x00, 0xff],
        &[0x01, 0x00, 0x01],
        &[0x01, 0xff, 0xff],
    ] {
        let mut bytes = basic.to_vec();
        bytes.extend([0, 0, 1, 0, 0, 1, 9, 1, 0, 0, 0, b'x']);
        assert_eq!(times(&read(&mut reader(), &bytes)), [1], "{basic:?}");
    }
}

/// A message of 300 bytes at 0x01000000 in chunks of 128, with or without the time in each of them.
fn extended(repeats: bool) -> Vec<u8> {
    let time = 0x0100_0000u32.to_be_bytes();
    let mut bytes = vec![0x06, 0xff, 0xff, 0xff, 0, 1, 0x2c, 9, 1, 0, 0, 0];
    bytes.extend(time);
    for (index, part) in vec![0xeeu8; 300].chunks(128).enumerate() {
        if index > 0 {
            bytes.push(0xc6);
            bytes.extend(time.iter().filter(|_| repeats));
        }
        bytes.extend(part);
    }
    bytes
}

#[test]
fn senders_that_repeat_the_extended_timestamp_and_senders_that_do_not_are_both_understood() {
    for repeats in [true, false] {
        // Twice, so that a byte too many or too few in the first message breaks the second.
        let bytes = [extended(repeats), extended(repeats)].concat();
        let messages = read(&mut reader(), &bytes);
        assert_eq!(times(&messages), [0x0100_0000; 2], "repeats: {repeats}");
        assert!(
            messages.iter().all(|message| message.3 == vec![0xee; 300]),
            "repeats: {repeats}"
        );
    }
}

#[test]
fn messages_of_several_chunk_streams_may_interleave() {
    let video = [0x06, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    let audio = [0x04, 0, 0, 5, 0, 0, 3, 8, 1, 0, 0, 0, 1, 2, 3];
    let bytes = [&video[..], &[7; 128], &audio, &[0xc6], &[7; 72]].concat();
    assert_eq!(times(&read(&mut reader(), &bytes)), [5, 0]);
}

#[test]
fn an_aborted_message_is_forgotten_and_the_next_one_is_whole() {
    let header = [0x06, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    let mut reader = reader();
    assert!(read(&mut reader, &[&header[..], &[1; 128]].concat()).is_empty());
    reader.abort(6);
    let messages = read(&mut reader, &[&header[..], &[2; 128], &[0xc6], &[2; 72]].concat());
    assert_eq!(messages[0].3, vec![2; 200]);
}

#[test]
fn a_changed_chunk_size_holds_from_the_next_chunk_on() {
    let mut reader = reader();
    reader.set_chunk_size(1).unwrap();
    let bytes = [0x06, 0, 0, 0, 0, 0, 3, 9, 1, 0, 0, 0, b'a', 0xc6, b'b', 0xc6, b'c'];
    assert_eq!(read(&mut reader, &bytes)[0].3, "abc");
    assert!(reader.set_chunk_size(0).is_err());
    assert!(reader.set_chunk_size(16 << 20).is_ok());
    assert!(reader.set_chunk_size((16 << 20) + 1).is_err());
}

#[test]
fn a_header_that_refers_to_nothing_is_an_error() {
    for first in [0x46, 0x86, 0xc6] {
        let mut reader = reader();
        let mut bytes: &[u8] = &[first, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0];
        assert!(reader.read(&mut bytes).is_err(), "{first:#x}");
    }
}

#[test]
fn unfinished_messages_are_bounded_in_number_and_in_bytes() {
    let limits = Limits {
        max_chunk_streams: 4,
        max_in_flight: 1000,
        ..Limits::default()
    };
    let start = |id: u8| [&[id, 0, 0, 0, 0, 1, 0x2c, 9, 1, 0, 0, 0][..], &[0; 128]].concat();
    let mut many = ChunkReader::new(Limits {
        max_in_flight: 1 << 20,
        ..limits
    });
    let bytes: Vec<_> = (3..8).flat_map(start).collect();
    assert!(
        many.read(&mut &bytes[..])
            .unwrap_err()
            .to_string()
            .contains("more than 4 chunk streams")
    );
    let mut large = ChunkReader::new(Limits {
        max_chunk_streams: 100,
        ..limits
    });
    let bytes: Vec<_> = (3..20).flat_map(start).collect();
    let error = large.read(&mut &bytes[..]).unwrap_err();
    assert!(error.to_string().contains("more than 1000 bytes"));
}

#[test]
fn the_writer_says_no_more_than_it_must() {
    let message = |time, length: usize, type_id, stream| RawMessage {
        chunk_stream: ChunkStreamId(6),
        timestamp: RtmpTime(time),
        type_id,
        stream: MessageStreamId(stream),
        payload: vec![7; length].into(),
    };
    let mut writer = ChunkWriter::default();
    let mut first_bytes = Vec::new();
    for (time, length, type_id, stream) in [
        (1000, 10, 9, 1),
        (1040, 20, 9, 1),
        (1080, 20, 9, 1),
        (1120, 20, 9, 1),
        (1160, 20, 9, 2),
        (1100, 20, 9, 2),
        (0x0200_0000, 20, 9, 2),
    ] {
        let mut out = BytesMut::new();
        writer.write(&message(time, length, type_id, stream), &mut out);
        first_bytes.push(out[0] >> 6);
    }
    // Whole, other length, nothing new but the delta seen once, the same, other stream, back in time, far ahead.
    assert_eq!(first_bytes, [0, 1, 3, 3, 0, 0, 0]);
}

fn message() -> impl Strategy<Value = RawMessage> {
    let id = prop_oneof![2u32..4, 64u32..66, 320u32..322];
    let payload = proptest::collection::vec(any::<u8>(), 0..1000);
    (
        id,
        prop_oneof![any::<u32>(), (0u32..5).prop_map(|n| n * 40)],
        8u8..10,
        0u32..2,
        payload,
    )
        .prop_map(|(id, time, type_id, stream, payload)| RawMessage {
            chunk_stream: ChunkStreamId(id),
            timestamp: RtmpTime(time),
            type_id,
            stream: MessageStreamId(stream),
            payload: payload.into(),
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(messages in proptest::collection::vec(message(), 1..8), size in 1u32..600, cut in 1usize..50) {
        let mut writer = ChunkWriter::default();
        writer.set_chunk_size(size);
        let mut out = BytesMut::new();
        for message in &messages {
            writer.write(message, &mut out);
        }
        let mut reader = reader();
        reader.set_chunk_size(size).unwrap();
        let mut got = Vec::new();
        for mut piece in out.chunks(cut) {
            while let Some(message) = reader.read(&mut piece).unwrap() {
                got.push(message);
            }
        }
        prop_assert_eq!(got, messages);
    }
}
