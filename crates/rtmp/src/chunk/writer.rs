//! Cuts messages into chunks.

use bytes::{BufMut, Bytes, BytesMut};

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, RawMessage};
use crate::{ChunkStreamId, MediaType, MessageStreamId, RtmpTime};

/// Writes chunks. Every message begins with a whole header, so nothing that is written depends on what was before:
/// shared forms may go between.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
        }
    }
}

impl ChunkWriter {
    /// Chunks of this size from now on; the peer must have been told.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.max(1) as usize;
    }

    /// Appends a message.
    pub fn write(&self, message: &RawMessage, out: &mut BytesMut) {
        let RawMessage {
            chunk_stream,
            timestamp,
            type_id,
            stream,
            payload,
        } = message;
        write(
            *chunk_stream,
            *timestamp,
            *type_id,
            *stream,
            payload,
            self.chunk_size,
            out,
        );
    }
}

/// A media message in chunks as every player on message stream 1 can be sent it.
pub fn shared_form(kind: MediaType, timestamp: RtmpTime, payload: &[u8], chunk_size: u32) -> Bytes {
    let chunk_size = chunk_size.max(1) as usize;
    let chunks = payload.len() / chunk_size + 1;
    let mut out = BytesMut::with_capacity(payload.len() + 16 + chunks * 5);
    write(
        kind.chunk_stream(),
        timestamp,
        kind.type_id(),
        MessageStreamId(1),
        payload,
        chunk_size,
        &mut out,
    );
    out.freeze()
}

fn write(
    chunk_stream: ChunkStreamId,
    timestamp: RtmpTime,
    type_id: u8,
    stream: MessageStreamId,
    payload: &[u8],
    chunk_size: usize,
    out: &mut BytesMut,
) {
    let is_extended = timestamp.0 >= EXTENDED;
    basic_header(0, chunk_stream, out);
    out.put_uint(timestamp.0.min(EXTENDED).into(), 3);
    out.put_uint(payload.len() as u64, 3);
    out.put_u8(type_id);
    out.put_u32_le(stream.0);
    let mut parts = payload.chunks(chunk_size);
    let mut part = parts.next().unwrap_or_default();
    loop {
        if is_extended {
            out.put_u32(timestamp.0);
        }
        out.put_slice(part);
        part = match parts.next() {
            Some(part) => part,
            None => return,
        };
        basic_header(3, chunk_stream, out);
    }
}

fn basic_header(format: u8, chunk_stream: ChunkStreamId, out: &mut BytesMut) {
    let format = format << 6;
    match chunk_stream.0 {
        id @ 0..64 => out.put_u8(format | id as u8),
        id @ 64..320 => out.put_slice(&[format, (id - 64) as u8]),
        id => out.put_slice(&[format | 1, ((id - 64) & 0xff) as u8, ((id - 64) >> 8) as u8]),
    }
}
