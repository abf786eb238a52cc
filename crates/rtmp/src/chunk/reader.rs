//! Puts messages together from chunks, within bounds.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, RawMessage};
use crate::{ChunkStreamId, Limits, MessageStreamId, RtmpTime};

/// Memory taken for a message at its first chunk; the rest is taken as it arrives.
const FIRST_RESERVE: usize = 64 * 1024;

/// The longest header: basic 3, message 11, extended timestamp 4.
const MAX_HEADER: usize = 18;

/// Reads chunks.
///
/// Payload goes from the caller's buffer straight to the message it belongs to; only a header that is cut in two is kept
/// here. So a connection that is between messages holds next to nothing.
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    /// The beginning of a header whose rest has not come.
    held: [u8; MAX_HEADER],
    held_len: usize,
    streams: BTreeMap<u32, Stream>,
    /// The chunk whose payload comes next.
    chunk: Option<Chunk>,
    in_flight: usize,
    /// Bytes taken since the start, for error messages.
    position: u64,
}

/// A chunk whose header has been read.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    stream: u32,
    /// Payload bytes that have not come.
    left: usize,
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
    payload: Vec<u8>,
    is_open: bool,
}

impl ChunkReader {
    /// A reader with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            held: [0; MAX_HEADER],
            held_len: 0,
            streams: BTreeMap::new(),
            chunk: None,
            in_flight: 0,
            position: 0,
        }
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
            self.in_flight -= stream.give_up();
        }
    }

    /// The next whole message, if `input`, in whatever cut it comes, holds the rest of one. What was taken is removed
    /// from `input`; without a message that is all of it.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<RawMessage>, ChunkError> {
        while !input.is_empty() || self.held_len > 0 {
            let (consumed, message) = match self.held_len {
                0 => self.step(input)?,
                held => {
                    let mut joined = [0; 2 * MAX_HEADER];
                    let more = input.len().min(MAX_HEADER);
                    joined[..held].copy_from_slice(&self.held[..held]);
                    joined[held..held + more].copy_from_slice(&input[..more]);
                    self.step(&joined[..held + more])?
                }
            };
            if consumed == 0 {
                // A header is shorter than what is held at most, so a starved one fits.
                let more = input.len().min(MAX_HEADER - self.held_len);
                self.held[self.held_len..self.held_len + more].copy_from_slice(&input[..more]);
                self.held_len += more;
                *input = &[];
                return Ok(None);
            }
            self.position += consumed as u64;
            let of_held = consumed.min(self.held_len);
            self.held.copy_within(of_held..self.held_len, 0);
            self.held_len -= of_held;
            *input = &input[consumed - of_held..];
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Takes one header, or payload of the chunk that is open. Answers how much it took: nothing when a header is cut.
    fn step(&mut self, input: &[u8]) -> Result<(usize, Option<RawMessage>), ChunkError> {
        let (consumed, chunk) = match self.chunk {
            None => match self.header(input)? {
                Some(begun) => begun,
                None => return Ok((0, None)),
            },
            Some(chunk) => {
                let part = chunk.left.min(input.len());
                if let Some(stream) = self.streams.get_mut(&chunk.stream) {
                    stream.take(&input[..part]);
                }
                self.in_flight += part;
                let left = chunk.left - part;
                (part, Chunk { left, ..chunk })
            }
        };
        self.chunk = (chunk.left > 0).then_some(chunk);
        if chunk.left > 0 {
            return Ok((consumed, None));
        }
        let Some(stream) = self.streams.get_mut(&chunk.stream).filter(|stream| stream.is_whole()) else {
            return Ok((consumed, None));
        };
        stream.is_open = false;
        self.in_flight -= stream.payload.len();
        let message = RawMessage {
            chunk_stream: ChunkStreamId(chunk.stream),
            timestamp: RtmpTime(stream.timestamp),
            type_id: stream.type_id,
            stream: MessageStreamId(stream.message_stream),
            payload: Bytes::from(std::mem::take(&mut stream.payload)),
        };
        Ok((consumed, Some(message)))
    }

    /// Reads a header, if it is there to its end.
    fn header(&mut self, input: &[u8]) -> Result<Option<(usize, Chunk)>, ChunkError> {
        let Some(header) = Header::peek(input) else {
            return Ok(None);
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
            let Some(field) = input[size..].first_chunk() else {
                return Ok(None);
            };
            extended = Some(u32::from_be_bytes(*field));
            size += 4;
        }
        if let (3, Some(expected)) = (header.format, stream.extended) {
            // Some senders repeat the field in type 3 chunks, some do not. A payload that begins with just this value is
            // less likely than a sender that repeats it.
            let expected = expected.to_be_bytes();
            let rest = &input[size..];
            if rest.starts_with(&expected) {
                extended = stream.extended;
                size += 4;
            } else if expected.starts_with(rest) {
                return Ok(None);
            }
        }
        if header.format != 3 && stream.is_open {
            // A new header on a chunk stream whose message is unfinished: the message is given up.
            self.in_flight -= stream.give_up();
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
        let left = (length - already).min(self.chunk_size);
        if self.in_flight + left > self.limits.max_in_flight {
            return Err(error(Reason::InFlight {
                limit: self.limits.max_in_flight,
            }));
        }
        if !stream.is_open {
            stream.begin(&header, extended);
        }
        let chunk = Chunk {
            stream: header.chunk_stream,
            left,
        };
        Ok(Some((size, chunk)))
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
    fn is_whole(&self) -> bool {
        self.is_open && self.payload.len() == self.length
    }

    /// Memory grows with what has come, and never beyond what the message needs.
    fn take(&mut self, part: &[u8]) {
        let has = self.payload.len();
        if self.payload.capacity() - has < part.len() {
            let wanted = part.len().max(has).max(FIRST_RESERVE).min(self.length - has);
            self.payload.reserve_exact(wanted);
        }
        self.payload.extend_from_slice(part);
    }

    /// Forgets an unfinished message. Answers how many bytes of it had come.
    fn give_up(&mut self) -> usize {
        self.is_open = false;
        std::mem::take(&mut self.payload).len()
    }

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
