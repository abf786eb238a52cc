//! Chunks: reading and writing messages of a picture's size, and the form that players share.

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box, counter::BytesCount};
use streammill_rtmp::{
    ChunkStreamId, Limits, MediaType, MessageStreamId, RtmpTime,
    chunk::{ChunkReader, ChunkWriter, RawMessage, shared_form},
};

/// A small audio frame, a usual picture, a key frame.
const SIZES: [usize; 3] = [300, 5_000, 60_000];

const CHUNK_SIZE: u32 = 4096;

fn main() {
    divan::main();
}

fn message(size: usize) -> RawMessage {
    RawMessage {
        chunk_stream: ChunkStreamId(6),
        timestamp: RtmpTime(1234),
        type_id: 9,
        stream: MessageStreamId(1),
        payload: Bytes::from(vec![0xa5; size]),
    }
}

fn writer() -> ChunkWriter {
    let mut writer = ChunkWriter::default();
    writer.set_chunk_size(CHUNK_SIZE);
    writer
}

#[divan::bench(args = SIZES)]
fn read(bencher: Bencher<'_, '_>, size: usize) {
    let mut bytes = BytesMut::new();
    writer().write(&message(size), &mut bytes);
    let mut reader = ChunkReader::new(Limits::default());
    reader.set_chunk_size(CHUNK_SIZE).expect("a legal size");
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut rest = black_box(&bytes[..]);
        reader.read(&mut rest).expect("legal chunks").expect("a whole message")
    });
}

#[divan::bench(args = SIZES)]
fn write(bencher: Bencher<'_, '_>, size: usize) {
    let (mut writer, message) = (writer(), message(size));
    let mut out = BytesMut::new();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        out.clear();
        writer.write(black_box(&message), &mut out);
    });
}

#[divan::bench(args = SIZES)]
fn share(bencher: Bencher<'_, '_>, size: usize) {
    let payload = vec![0xa5; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        shared_form(
            MediaType::Video,
            MessageStreamId(1),
            RtmpTime(1234),
            black_box(&payload),
            CHUNK_SIZE,
        )
    });
}
