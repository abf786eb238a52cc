//! Cuts messages into chunks.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, RawMessage};
use crate::{ChunkStreamId, MediaType, MessageStreamId, RtmpTime};

/// Writes chunks.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
    /// What the last message of each chunk stream said, for the headers that refer to it.
    last: HashMap<ChunkStreamId, Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    /// The delta its header gave; `None` behind a whole header, where senders and readers disagree what it would be.
    delta: Option<u32>,
    length: usize,
    type_id: u8,
    stream: MessageStreamId,
}

/// How much of a message header is written (RTMP 1.0 §5.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Whole,
    /// The message stream is that of the message before.
    SameStream {
        delta: u32,
    },
    /// Length and type are, too.
    SameShape {
        delta: u32,
    },
    /// And the delta.
    Same,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            last: HashMap::new(),
        }
    }
}

impl ChunkWriter {
    /// Chunks of this size from now on; the peer must have been told.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.max(1) as usize;
    }

    /// Appends a message with the shortest header that the messages before allow.
    ///
    /// Everything on this chunk stream has to go through this writer: see [`write_whole`](Self::write_whole).
    pub fn write(&mut self, message: &RawMessage, out: &mut BytesMut) {
        let header = self.header(message);
        let delta = match header {
            Header::Whole => None,
            Header::SameStream { delta } | Header::SameShape { delta } => Some(delta),
            Header::Same => self.last.get(&message.chunk_stream).and_then(|last| last.delta),
        };
        let last = Last {
            timestamp: message.timestamp.0,
            delta,
            length: message.payload.len(),
            type_id: message.type_id,
            stream: message.stream,
        };
        self.last.insert(message.chunk_stream, last);
        write(message, &message.payload, header, self.chunk_size, out);
    }

    /// Appends a message with a whole header, which depends on nothing that was written before: for chunk streams on
    /// which [`shared_form`]s go, too.
    pub fn write_whole(&mut self, message: &RawMessage, out: &mut BytesMut) {
        self.last.remove(&message.chunk_stream);
        write(message, &message.payload, Header::Whole, self.chunk_size, out);
    }

    fn header(&self, message: &RawMessage) -> Header {
        let Some(last) = self
            .last
            .get(&message.chunk_stream)
            .filter(|last| last.stream == message.stream)
        else {
            return Header::Whole;
        };
        // A step back is no delta, and a large one would need the extended field, which is worth no saving.
        let delta = message.timestamp.0.wrapping_sub(last.timestamp);
        if delta >= EXTENDED {
            return Header::Whole;
        }
        match (last.length, last.type_id) == (message.payload.len(), message.type_id) {
            true if last.delta == Some(delta) => Header::Same,
            true => Header::SameShape { delta },
            false => Header::SameStream { delta },
        }
    }
}

/// A media message in chunks as every player on message stream `stream` can be sent it, whatever it was sent before.
pub fn shared_form(
    kind: MediaType,
    stream: MessageStreamId,
    timestamp: RtmpTime,
    payload: &[u8],
    chunk_size: u32,
) -> Bytes {
    form(kind.chunk_stream(), kind, stream, timestamp, payload, chunk_size)
}

/// As [`shared_form`], on the chunk stream of the pictures, whatever it carries.
pub fn interleaved_form(
    kind: MediaType,
    stream: MessageStreamId,
    timestamp: RtmpTime,
    payload: &[u8],
    chunk_size: u32,
) -> Bytes {
    form(
        MediaType::Video.chunk_stream(),
        kind,
        stream,
        timestamp,
        payload,
        chunk_size,
    )
}

fn form(
    chunk_stream: ChunkStreamId,
    kind: MediaType,
    stream: MessageStreamId,
    timestamp: RtmpTime,
    payload: &[u8],
    chunk_size: u32,
) -> Bytes {
    let chunk_size = chunk_size.max(1) as usize;
    let chunks = payload.len() / chunk_size + 1;
    let mut out = BytesMut::with_capacity(payload.len() + 16 + chunks * 5);
    let message = RawMessage {
        chunk_stream,
        timestamp,
        type_id: kind.type_id(),
        stream,
        payload: Bytes::new(),
    };
    write(&message, payload, Header::Whole, chunk_size, &mut out);
    out.freeze()
}

/// Writes a message whose payload is given beside it, so that a borrowed one needs no copy first.
fn write(message: &RawMessage, payload: &[u8], header: Header, chunk_size: usize, out: &mut BytesMut) {
    let time = message.timestamp.0;
    let shape = |out: &mut BytesMut| {
        out.put_uint(payload.len() as u64, 3);
        out.put_u8(message.type_id);
    };
    match header {
        Header::Whole => {
            basic_header(0, message.chunk_stream, out);
            out.put_uint(time.min(EXTENDED).into(), 3);
            shape(out);
            // The one little-endian field of the protocol.
            out.put_u32_le(message.stream.0);
        }
        Header::SameStream { delta } => {
            basic_header(1, message.chunk_stream, out);
            out.put_uint(delta.into(), 3);
            shape(out);
        }
        Header::SameShape { delta } => {
            basic_header(2, message.chunk_stream, out);
            out.put_uint(delta.into(), 3);
        }
        Header::Same => basic_header(3, message.chunk_stream, out),
    }
    let is_extended = header == Header::Whole && time >= EXTENDED;
    let mut parts = payload.chunks(chunk_size);
    let mut part = parts.next().unwrap_or_default();
    loop {
        if is_extended {
            out.put_u32(time);
        }
        out.put_slice(part);
        part = match parts.next() {
            Some(part) => part,
            None => return,
        };
        basic_header(3, message.chunk_stream, out);
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
