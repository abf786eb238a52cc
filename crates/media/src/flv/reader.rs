//! Takes an FLV byte stream apart into tags. No I/O: bytes are pushed, tags are pulled.
//!
//! Bodies are not looked into, so codecs this crate does not know pass. There is no resynchronisation: an FLV stream
//! has no start codes, and a guess would hand rubbish to decoders. Errors say at which byte the trouble starts.

use bytes::{Buf, Bytes, BytesMut};

use super::tag::{PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TYPE_AUDIO, TYPE_SCRIPT, TYPE_VIDEO};
use crate::MediaKind;

/// A tag as it stood in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// `TagType`.
    pub kind: MediaKind,
    /// All 32 bits of `Timestamp` and `TimestampExtended`.
    pub timestamp_ms: u32,
    /// The body, cut out of the pushed bytes without another copy.
    pub body: Bytes,
    /// Where the tag header starts in the stream.
    pub offset: u64,
}

/// Why the stream cannot be read on. The same error comes again at every later call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream does not start with `FLV`.
    #[error("not FLV: starts with {}", .0.escape_ascii())]
    Signature([u8; 3]),
    /// A version other than 1.
    #[error("FLV version {0} is unknown")]
    Version(u8),
    /// `DataOffset` points into the header or out of all proportion.
    #[error("the FLV header claims to be {0} bytes long")]
    DataOffset(u32),
    /// A tag type other than audio, video, script. Mostly: the reader is not at a tag.
    #[error("tag type {value} at byte {offset}")]
    TagType {
        /// The type byte.
        value: u8,
        /// Where the tag starts.
        offset: u64,
    },
    /// `Filter` is set: the body is encrypted.
    #[error("encrypted tag at byte {offset}")]
    Encrypted {
        /// Where the tag starts.
        offset: u64,
    },
    /// The body is longer than the reader was told to accept.
    #[error("tag of {len} bytes at byte {offset} is over the limit of {limit}")]
    TooLong {
        /// `DataSize`.
        len: usize,
        /// The reader's limit.
        limit: usize,
        /// Where the tag starts.
        offset: u64,
    },
}

/// Reads an FLV stream piece by piece.
///
/// Call [`next_tag`](Self::next_tag) until it answers `None` after every [`push`](Self::push); then no more is ever held
/// than one tag and the last push.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    /// Stream position of the first byte in `buffer`.
    offset: u64,
    expects: Expects,
    max_body: usize,
}

#[derive(Clone, Copy, Debug)]
enum Expects {
    FileHeader,
    /// This many more bytes of a longer header, then `PreviousTagSize0`.
    HeaderRest(usize),
    Tag,
    /// Its value is not checked: many writers leave it zero or off by the header, and nothing depends on it.
    PreviousTagSize,
}

const FILE_HEADER_LEN: usize = 9;
const FILTER_BIT: u8 = 0x20;
/// A header longer than this is a corrupt one; only version 1 with 9 bytes was ever written.
const MAX_DATA_OFFSET: u32 = 4_096;

impl Reader {
    /// A reader that refuses bodies over `max_body` bytes before they are buffered.
    pub fn new(max_body: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            offset: 0,
            expects: Expects::FileHeader,
            max_body,
        }
    }

    /// Adds the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole tag, or `None` until more bytes are pushed.
    pub fn next_tag(&mut self) -> Result<Option<Tag>, ReadError> {
        loop {
            match self.expects {
                Expects::FileHeader => {
                    let Some(header) = self.buffer.first_chunk::<FILE_HEADER_LEN>() else {
                        return Ok(None);
                    };
                    let rest = check_file_header(header)?;
                    self.consume(FILE_HEADER_LEN);
                    self.expects = Expects::HeaderRest(rest);
                }
                Expects::HeaderRest(len) => {
                    if self.buffer.len() < len {
                        return Ok(None);
                    }
                    self.consume(len);
                    self.expects = Expects::PreviousTagSize;
                }
                Expects::PreviousTagSize => {
                    if self.buffer.len() < PREVIOUS_TAG_SIZE_LEN {
                        return Ok(None);
                    }
                    self.consume(PREVIOUS_TAG_SIZE_LEN);
                    self.expects = Expects::Tag;
                }
                Expects::Tag => return self.take_tag(),
            }
        }
    }

    /// Bytes waiting for the rest of a tag. Not zero at the end of a stream that was cut inside one.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn take_tag(&mut self) -> Result<Option<Tag>, ReadError> {
        let Some(&header) = self.buffer.first_chunk::<TAG_HEADER_LEN>() else {
            return Ok(None);
        };
        let offset = self.offset;
        let [first, s2, s1, s0, t2, t1, t0, extended, _stream_id @ ..] = header;
        let kind = match first & !FILTER_BIT {
            TYPE_AUDIO => MediaKind::Audio,
            TYPE_VIDEO => MediaKind::Video,
            TYPE_SCRIPT => MediaKind::Data,
            _ => return Err(ReadError::TagType { value: first, offset }),
        };
        if first & FILTER_BIT != 0 {
            return Err(ReadError::Encrypted { offset });
        }
        let len = u32::from_be_bytes([0, s2, s1, s0]) as usize;
        if len > self.max_body {
            return Err(ReadError::TooLong {
                len,
                limit: self.max_body,
                offset,
            });
        }
        if self.buffer.len() < TAG_HEADER_LEN + len {
            return Ok(None);
        }
        self.consume(TAG_HEADER_LEN);
        self.offset += len as u64;
        let body = self.buffer.split_to(len).freeze();
        self.expects = Expects::PreviousTagSize;
        Ok(Some(Tag {
            kind,
            timestamp_ms: u32::from_be_bytes([extended, t2, t1, t0]),
            body,
            offset,
        }))
    }

    fn consume(&mut self, len: usize) {
        self.buffer.advance(len);
        self.offset += len as u64;
    }
}

/// E.2. Answers how many bytes of a longer header follow.
fn check_file_header(header: &[u8; FILE_HEADER_LEN]) -> Result<usize, ReadError> {
    let [s0, s1, s2, version, _flags, o3, o2, o1, o0] = *header;
    if [s0, s1, s2] != *b"FLV" {
        return Err(ReadError::Signature([s0, s1, s2]));
    }
    if version != 1 {
        return Err(ReadError::Version(version));
    }
    let data_offset = u32::from_be_bytes([o3, o2, o1, o0]);
    match data_offset.checked_sub(FILE_HEADER_LEN as u32) {
        Some(rest) if data_offset <= MAX_DATA_OFFSET => Ok(rest as usize),
        _ => Err(ReadError::DataOffset(data_offset)),
    }
}
