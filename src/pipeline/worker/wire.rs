//! The wire between the server and a worker.
//!
//! A message is a head, in postcard's format, and the media it is about, as it is: `u32 head length, u32 media length, head,
//! media`, in the machine's own byte order, because both ends are the same program. Media is never copied into a head, and
//! what is read is a slice of what was received.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use streammill_media::{Frame, FrameRole, MediaTime, Track, TrackKey};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    output::hls::Chunk,
    pipeline::{
        control::Answer,
        instance::Report,
        product::{Product, What},
        vitals::Pulse,
    },
};

/// What the server tells a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Build what the media says, a blueprint as JSON, and start it.
    Build,
    /// Running time zero lies here on the stream's timeline. Comes before the first frame.
    Origin(MediaTime),
    /// What follows of this track is configured so.
    Track(Track),
    /// The media is a frame of this track.
    Frame {
        /// Which track.
        track: TrackKey,
        /// A decoder can start here.
        key: bool,
        /// Decoding time, from zero.
        dts: MediaTime,
        /// Presentation time, from zero.
        pts: MediaTime,
    },
    /// Nothing more follows: bring what is inside to its end.
    Finish,
    /// Change something while it runs: what the media says, a control as JSON. The answer will have this number.
    Control(u32),
}

/// What a worker tells the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Word {
    /// GStreamer is started; a blueprint may come.
    Ready,
    /// The blueprint was built and runs, or why not.
    Built(Result<(), String>),
    /// The media came out. Whether it is any is said by the kind.
    Made {
        /// At which output.
        output: usize,
        /// At which of its pads.
        pad: TrackKey,
        /// What it is.
        kind: MadeKind,
    },
    /// The pipeline reports.
    Report(Report),
    /// It lives, and how well.
    Pulse(Pulse),
    /// What came of a change.
    Answer(u32, Result<Answer, String>),
}

/// A product without its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MadeKind {
    /// See [`What::Track`].
    Track(Track),
    /// See [`What::Frame`]; the media is the tag.
    Frame {
        /// See [`Frame::role`].
        role: FrameRole,
        /// See [`Frame::key`].
        key: bool,
        /// See [`Frame::dts`].
        dts: MediaTime,
        /// See [`Frame::pts`].
        pts: MediaTime,
        /// See [`Frame::header_len`].
        header_len: usize,
    },
    /// See [`What::Header`].
    Header,
    /// See [`What::Chunk`].
    Chunk {
        /// See [`Chunk::start`].
        start: MediaTime,
        /// See [`Chunk::duration`].
        duration: MediaTime,
        /// See [`Chunk::independent`].
        independent: bool,
        /// See [`Chunk::starts_segment`].
        starts_segment: bool,
    },
    /// See [`What::Picture`].
    Picture,
    /// See [`What::End`].
    End,
}

/// A product as head and media.
pub fn of_product(product: Product) -> (Word, Bytes) {
    let Product { output, pad, what } = product;
    let (kind, media) = match what {
        What::Track(track) => (MadeKind::Track(track), Bytes::new()),
        What::Frame(frame) => (
            MadeKind::Frame {
                role: frame.role,
                key: frame.key,
                dts: frame.dts,
                pts: frame.pts,
                header_len: frame.header_len,
            },
            frame.tag,
        ),
        What::Header(header) => (MadeKind::Header, header),
        What::Chunk(chunk) => (
            MadeKind::Chunk {
                start: chunk.start,
                duration: chunk.duration,
                independent: chunk.independent,
                starts_segment: chunk.starts_segment,
            },
            chunk.data,
        ),
        What::Picture(picture) => (MadeKind::Picture, picture),
        What::End => (MadeKind::End, Bytes::new()),
    };
    (Word::Made { output, pad, kind }, media)
}

/// The product that a head and its media are.
pub fn product(output: usize, pad: TrackKey, kind: MadeKind, media: Bytes) -> Product {
    let what = match kind {
        MadeKind::Track(track) => What::Track(track),
        MadeKind::Frame {
            role,
            key,
            dts,
            pts,
            header_len,
        } => What::Frame(Frame {
            kind: pad.kind,
            track: pad.id,
            role,
            key,
            dts,
            pts,
            // A frame's header is part of its tag, whatever a worker says.
            header_len: header_len.min(media.len()),
            tag: media,
        }),
        MadeKind::Header => What::Header(media),
        MadeKind::Chunk {
            start,
            duration,
            independent,
            starts_segment,
        } => What::Chunk(Chunk {
            data: media,
            start,
            duration,
            independent,
            starts_segment,
        }),
        MadeKind::Picture => What::Picture(media),
        MadeKind::End => What::End,
    };
    Product { output, pad, what }
}

const LENGTHS: usize = 8;
/// More than any blueprint or graph takes.
const MAX_HEAD: usize = 4 << 20;
/// More than any fragment has.
const MAX_MEDIA: usize = 256 << 20;
/// Allocated at a time. What is read of it is handed on as it is, and held as long as the last piece of it is.
const CHUNK: usize = 64 << 10;
/// Room that makes a read worth its while.
const LEAST_ROOM: usize = 4 << 10;

/// Appends the lengths and the head of a message; its media is to follow.
pub fn put_head<T: Serialize>(head: &T, media: usize, out: &mut BytesMut) -> Result<(), WireError> {
    let head = postcard::to_stdvec(head).map_err(WireError::Head)?;
    let (Ok(head_len), Ok(media_len)) = (u32::try_from(head.len()), u32::try_from(media)) else {
        return Err(WireError::TooLong);
    };
    out.put_u32_ne(head_len);
    out.put_u32_ne(media_len);
    out.put_slice(&head);
    Ok(())
}

/// Reads messages.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// From a socket.
    pub fn new(from: R) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
        }
    }

    /// The next message; `None` when the other end is gone. Cancelling loses nothing.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, WireError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let missing = self.missing().max(LEAST_ROOM);
            if self.buffer.capacity() - self.buffer.len() < missing {
                self.buffer.reserve(missing.max(CHUNK));
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Bytes that the message which has begun lacks, as far as its lengths are known.
    fn missing(&self) -> usize {
        let lengths = self.buffer.first_chunk::<LENGTHS>().map(|lengths| lengths_of(*lengths));
        lengths.map_or(0, |(head, media)| {
            (LENGTHS + head + media).saturating_sub(self.buffer.len())
        })
    }

    fn take<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, WireError> {
        let Some(lengths) = self.buffer.first_chunk::<LENGTHS>() else {
            return Ok(None);
        };
        let (head_len, media_len) = lengths_of(*lengths);
        if head_len > MAX_HEAD || media_len > MAX_MEDIA {
            return Err(WireError::TooLong);
        }
        if self.buffer.len() < LENGTHS + head_len + media_len {
            return Ok(None);
        }
        let mut message = self.buffer.split_to(LENGTHS + head_len + media_len).freeze();
        let mut rest = message.split_off(LENGTHS);
        let media = rest.split_off(head_len);
        let head = postcard::from_bytes(&rest).map_err(WireError::Head)?;
        Ok(Some((head, media)))
    }
}

/// Lengths of a message's head and of its media.
fn lengths_of([a, b, c, d, e, f, g, h]: [u8; LENGTHS]) -> (usize, usize) {
    let length = |bytes| u32::from_ne_bytes(bytes) as usize;
    (length([a, b, c, d]), length([e, f, g, h]))
}

/// Messages that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The socket.
    #[error("the worker's socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The head of a message.
    #[error("a message that cannot be read: {0}")]
    Head(#[source] postcard::Error),
    /// A length that no message has.
    #[error("a message that is too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use streammill_media::MediaKind;

    use super::*;

    fn frame() -> Product {
        Product {
            output: 1,
            pad: TrackKey::first(MediaKind::Video),
            what: What::Frame(Frame {
                kind: MediaKind::Video,
                track: streammill_media::TrackId(0),
                role: FrameRole::Coded,
                key: true,
                dts: MediaTime::from_millis(-7),
                pts: MediaTime::from_millis(40),
                tag: Bytes::from_static(b"head and picture"),
                header_len: 5,
            }),
        }
    }

    #[tokio::test]
    async fn what_is_written_is_read_however_it_is_cut() {
        let (head, media) = of_product(frame());
        let mut wire = BytesMut::new();
        put_head(&head, media.len(), &mut wire).unwrap();
        wire.extend_from_slice(&media);
        put_head(&Word::Ready, 0, &mut wire).unwrap();
        for cut in 1..wire.len() {
            let mut reader = Reader::new((&wire[..cut]).chain(&wire[cut..]));
            let (Word::Made { output, pad, kind }, media) = reader.next().await.unwrap().unwrap() else {
                panic!("another word");
            };
            let read = product(output, pad, kind, media);
            assert_eq!(format!("{read:?}"), format!("{:?}", frame()));
            assert_eq!(reader.next::<Word>().await.unwrap().unwrap().0, Word::Ready);
            assert!(reader.next::<Word>().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn nonsense_is_an_error_and_no_memory() {
        let mut long = BytesMut::new();
        long.put_u32_ne(u32::MAX);
        long.put_u32_ne(u32::MAX);
        let error = Reader::new(&long[..]).next::<Word>().await.unwrap_err();
        assert!(matches!(error, WireError::TooLong), "{error}");
        let mut odd = BytesMut::new();
        odd.put_u32_ne(3);
        odd.put_u32_ne(0);
        odd.put_slice(&[0xff; 3]);
        let error = Reader::new(&odd[..]).next::<Word>().await.unwrap_err();
        assert!(matches!(error, WireError::Head(_)), "{error}");
    }
}
