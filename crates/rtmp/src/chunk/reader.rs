//! Puts messages together from chunks, within bounds.

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, RawMessage};
use crate::{ChunkStreamId, Limits, MessageStreamId, RtmpTime};

/// Memory taken for a message at its first chunk; the rest is taken as it arrives.
const FIRST_RESERVE: usize = 64 * 1024;

/// Reads chunks.
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    input: BytesMut,
    streams: HashMap<u32, Stream>,
    in_flight: usize,
    /// Bytes taken since the start, for error messages.
    position: u64,
}

/// What is remembered of a chunk stream: headers of later chunks refer to earlier ones.
#[derive(Debug, Default)]
struct Stream {
    timestamp: u32,
    delta: u32,
    length: usize,
    type_id: u8,
    message_stream: u32,
    /// The value of the last extended timestamp field, while the header that is continued has one.
    extended: Option<u32>,
    has_header: bool,
    payload: BytesMut,
    is_open: bool,
}

impl ChunkReader {
    /// A reader with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            input: BytesMut::new(),
            streams: HashMap::new(),
            in_flight: 0,
            position: 0,
        }
    }

    /// Takes bytes in any cut.
    pub fn push(&mut self, input: &[u8]) {
        self.input.put_slice(input);
    }

    /// The peer sends chunks of this size from now on (§5.4.1).
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), ChunkError> {
        match size as usize {
            size @ 1.. if size <= self.limits.max_chunk_size => {
                self.chunk_size = size;
                Ok(())
            }
            _ => Err(self.error(Reason::ChunkSize { size })),
        }
    }

    /// The peer gives up a message (§5.4.2).
    pub fn abort(&mut self, chunk_stream: u32) {
        if let Some(stream) = self.streams.get_mut(&chunk_stream) {
            self.in_flight -= stream.payload.len();
            stream.payload = BytesMut::new();
            stream.is_open = false;
        }
    }

    /// The next whole message, if the bytes so far hold one.
    pub fn poll(&mut self) -> Result<Option<RawMessage>, ChunkError> {
        loop {
            match self.chunk()? {
                Step::Starved => return Ok(None),
                Step::Chunk => {}
                Step::Message(message) => return Ok(Some(message)),
            }
        }
    }

    fn chunk(&mut self) -> Result<Step, ChunkError> {
        let Some(header) = Header::peek(&self.input) else {
            return Ok(Step::Starved);
        };
        if !self.streams.contains_key(&header.chunk_stream) && self.streams.len() >= self.limits.max_chunk_streams {
            return Err(self.error(Reason::ChunkStreams {
                limit: self.limits.max_chunk_streams,
            }));
        }
        let position = self.position;
        let error = |reason| ChunkError {
            position,
            chunk_stream: header.chunk_stream,
            reason,
        };
        let stream = self.streams.entry(header.chunk_stream).or_default();
        if header.format != 0 && !stream.has_header {
            return Err(error(Reason::NoHeader { format: header.format }));
        }

        let mut size = header.size;
        let mut extended = None;
        if header.format != 3 && header.time == EXTENDED {
            let Some(field) = self.input[size..].first_chunk() else {
                return Ok(Step::Starved);
            };
            extended = Some(u32::from_be_bytes(*field));
            size += 4;
        }
        if let (3, Some(expected)) = (header.format, stream.extended) {
            // Some senders repeat the field in type 3 chunks, some do not. A payload that begins with just this value is
            // less likely than a sender that repeats it.
            let expected = expected.to_be_bytes();
            let rest = &self.input[size..];
            if rest.starts_with(&expected) {
                extended = stream.extended;
                size += 4;
            } else if expected.starts_with(rest) {
                return Ok(Step::Starved);
            }
        }
        if header.format != 3 && stream.is_open {
            // A new header on a chunk stream whose message is unfinished: the message is given up.
            self.in_flight -= stream.payload.len();
            stream.payload = BytesMut::new();
            stream.is_open = false;
        }
        let length = if header.format <= 1 {
            header.length
        } else {
            stream.length
        };
        if length > self.limits.max_message {
            return Err(error(Reason::MessageTooLarge {
                length,
                limit: self.limits.max_message,
            }));
        }
        let already = if stream.is_open { stream.payload.len() } else { 0 };
        let part = (length - already).min(self.chunk_size);
        if self.in_flight + part > self.limits.max_in_flight {
            return Err(error(Reason::InFlight {
                limit: self.limits.max_in_flight,
            }));
        }
        if self.input.len() < size + part {
            return Ok(Step::Starved);
        }

        if !stream.is_open {
            stream.begin(&header, extended);
            stream.payload.reserve(length.min(FIRST_RESERVE));
        }
        self.input.advance(size);
        stream.payload.put_slice(&self.input[..part]);
        self.input.advance(part);
        self.position += (size + part) as u64;
        self.in_flight += part;
        if stream.payload.len() < length {
            return Ok(Step::Chunk);
        }
        stream.is_open = false;
        self.in_flight -= length;
        let payload: Bytes = std::mem::take(&mut stream.payload).freeze();
        Ok(Step::Message(RawMessage {
            chunk_stream: ChunkStreamId(header.chunk_stream),
            timestamp: RtmpTime(stream.timestamp),
            type_id: stream.type_id,
            stream: MessageStreamId(stream.message_stream),
            payload,
        }))
    }

    fn error(&self, reason: Reason) -> ChunkError {
        ChunkError {
            position: self.position,
            chunk_stream: 2,
            reason,
        }
    }
}

impl Stream {
    /// Takes over what the first chunk of a message says.
    fn begin(&mut self, header: &Header, extended: Option<u32>) {
        self.is_open = true;
        self.has_header = true;
        if header.format <= 1 {
            self.length = header.length;
            self.type_id = header.type_id;
        }
        if header.format == 0 {
            self.message_stream = header.message_stream;
        }
        if header.format != 3 {
            self.extended = extended;
        }
        let time = extended.unwrap_or(header.time);
        match header.format {
            0 => {
                self.timestamp = time;
                // A type 3 chunk behind a type 0 one begins a message with that timestamp as its delta (§5.3.1.2.4);
                // encoders in practice mean "no delta".
                self.delta = 0;
            }
            1 | 2 => {
                self.delta = time;
                self.timestamp = self.timestamp.wrapping_add(time);
            }
            _ => self.timestamp = self.timestamp.wrapping_add(self.delta),
        }
    }
}

enum Step {
    Starved,
    Chunk,
    Message(RawMessage),
}

/// Basic and message header (§5.3.1.1, §5.3.1.2).
struct Header {
    format: u8,
    chunk_stream: u32,
    time: u32,
    length: usize,
    type_id: u8,
    message_stream: u32,
    size: usize,
}

impl Header {
    fn peek(input: &[u8]) -> Option<Self> {
        let first = *input.first()?;
        let (chunk_stream, basic) = match first & 0x3f {
            0 => (64 + u32::from(*input.get(1)?), 2),
            1 => (64 + u32::from(*input.get(1)?) + 256 * u32::from(*input.get(2)?), 3),
            id => (u32::from(id), 1),
        };
        let format = first >> 6;
        let message_header = [11, 7, 3, 0][usize::from(format)];
        let fields = input.get(basic..basic + message_header)?;
        let u24 = |at: usize| u32::from_be_bytes([0, fields[at], fields[at + 1], fields[at + 2]]);
        Some(Self {
            format,
            chunk_stream,
            time: if format < 3 { u24(0) } else { 0 },
            length: if format < 2 { u24(3) as usize } else { 0 },
            type_id: if format < 2 { fields[6] } else { 0 },
            // The one little-endian field of the protocol.
            message_stream: match fields {
                [.., a, b, c, d] if format == 0 => u32::from_le_bytes([*a, *b, *c, *d]),
                _ => 0,
            },
            size: basic + message_header,
        })
    }
}

/// Why chunks cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}, chunk stream {chunk_stream}: {reason}")]
pub struct ChunkError {
    position: u64,
    chunk_stream: u32,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("a chunk of type {format} before any with a whole header")]
    NoHeader { format: u8 },
    #[error("a message of {length} bytes; at most {limit} are accepted")]
    MessageTooLarge { length: usize, limit: usize },
    #[error("unfinished messages of more than {limit} bytes")]
    InFlight { limit: usize },
    #[error("more than {limit} chunk streams")]
    ChunkStreams { limit: usize },
    #[error("a chunk size of {size}")]
    ChunkSize { size: u32 },
}
