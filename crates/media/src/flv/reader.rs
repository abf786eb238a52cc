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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::flv::{file_header, write_tag};

    const LIMIT: usize = 1_000;

    fn read(stream: &[u8]) -> Result<Vec<Tag>, ReadError> {
        let mut reader = Reader::new(LIMIT);
        reader.push(stream);
        let mut tags = Vec::new();
        while let Some(tag) = reader.next_tag()? {
            tags.push(tag);
        }
        Ok(tags)
    }

    fn stream_with(tag: &[u8]) -> Vec<u8> {
        let mut stream = BytesMut::from(&file_header(true, true)[..]);
        write_tag(&mut stream, MediaKind::Audio, 0, b"first");
        stream.extend_from_slice(tag);
        stream.to_vec()
    }

    #[test]
    fn what_is_not_flv_is_said_to_be_something_else() {
        assert_eq!(
            read(b"RIFF....AVI ").unwrap_err().to_string(),
            "not FLV: starts with RIF"
        );
        assert_eq!(read(b"FLV\x02\x05\0\0\0\x09"), Err(ReadError::Version(2)));
        assert_eq!(read(b"FLV\x01\x05\0\0\0\x08"), Err(ReadError::DataOffset(8)));
        assert_eq!(
            read(b"FLV\x01\x05\xff\0\0\x09"),
            Err(ReadError::DataOffset(0xff00_0009))
        );
    }

    #[test]
    fn a_longer_header_is_passed_over() {
        let mut stream = BytesMut::from(&b"FLV\x01\x05\0\0\0\x0cabc\0\0\0\0"[..]);
        write_tag(&mut stream, MediaKind::Video, 5, b"x");
        let tags = read(&stream).unwrap();
        assert_eq!((tags.len(), tags[0].offset), (1, 16));
    }

    #[test]
    fn errors_say_at_which_byte_the_tag_starts() {
        let at = 13 + 11 + 5 + 4;
        assert_eq!(
            read(&stream_with(&[7; 11])),
            Err(ReadError::TagType { value: 7, offset: at })
        );
        assert_eq!(
            read(&stream_with(&[0x28; 11])),
            Err(ReadError::Encrypted { offset: at })
        );
        let too_long = [9, 0, 3, 0xe9, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            read(&stream_with(&too_long)),
            Err(ReadError::TooLong {
                len: 1_001,
                limit: LIMIT,
                offset: at
            })
        );
    }

    #[test]
    fn an_error_stays() {
        let mut reader = Reader::new(LIMIT);
        reader.push(b"what is this?");
        let error = reader.next_tag().unwrap_err();
        reader.push(&stream_with(&[]));
        assert_eq!(reader.next_tag(), Err(error));
    }

    #[test]
    fn a_wrong_previous_tag_size_is_forgiven() {
        let mut stream = stream_with(&[]);
        let len = stream.len();
        stream[len - 4..].fill(0xee);
        let mut more = BytesMut::from(&stream[..]);
        write_tag(&mut more, MediaKind::Data, 9, b"second");
        assert_eq!(read(&more).unwrap().len(), 2);
    }

    #[test]
    fn a_stream_cut_inside_a_tag_leaves_bytes_behind() {
        let stream = stream_with(&[]);
        let mut reader = Reader::new(LIMIT);
        reader.push(&stream[..stream.len() - 5]);
        assert_eq!(reader.next_tag(), Ok(None));
        assert_eq!(reader.buffered(), 15);
        reader.push(&stream[stream.len() - 5..stream.len() - 4]);
        assert!(
            reader.next_tag().unwrap().is_some(),
            "the size behind the last tag may be missing"
        );
        assert_eq!(reader.buffered(), 0);
    }

    proptest! {
        #[test]
        fn written_tags_read_back_however_the_stream_is_cut(
            tags in prop::collection::vec((0..3_usize, any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            cuts in prop::collection::vec(1..30_usize, 1..20),
        ) {
            let kinds = [MediaKind::Audio, MediaKind::Video, MediaKind::Data];
            let mut stream = BytesMut::from(&file_header(true, true)[..]);
            let mut wanted = Vec::new();
            for (kind, timestamp_ms, body) in tags {
                let offset = stream.len() as u64;
                write_tag(&mut stream, kinds[kind], timestamp_ms, &body);
                wanted.push(Tag { kind: kinds[kind], timestamp_ms, body: body.into(), offset });
            }
            let mut reader = Reader::new(LIMIT);
            let mut read = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                reader.push(piece);
                while let Some(tag) = reader.next_tag().unwrap() {
                    read.push(tag);
                }
                prop_assert!(reader.buffered() < 40 + 11 + 30);
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, wanted);
            prop_assert_eq!(reader.buffered(), 0);
        }
    }
}
