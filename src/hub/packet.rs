//! Packets: a frame as the hub shares it.

use std::sync::OnceLock;

use bytes::Bytes;
use streammill_media::Frame;

/// A frame with the serialised forms its viewers share.
///
/// The first RTMP player that needs the frame's chunks builds them; the rest find them built. The hub keeps them but
/// does not know how they are made: the protocols do.
#[derive(Debug)]
pub struct Packet {
    /// The frame.
    pub frame: Frame,
    forms: [OnceLock<Bytes>; Form::COUNT],
}

/// A serialised form of a [`Packet`].
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// One RTMP message in chunks of the usual outgoing size, on the usual stream.
    RtmpChunks,
    /// The same with the time to the nanosecond, for players of Enhanced RTMP that read it.
    FineRtmpChunks,
    /// One FLV tag with its header and the size field behind it.
    FlvTag,
}

impl Form {
    const COUNT: usize = 3;
}

impl Packet {
    /// Wraps a frame.
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            forms: Default::default(),
        }
    }

    /// The shared form, built on first use.
    pub fn form(&self, form: Form, build: impl FnOnce(&Frame) -> Bytes) -> &Bytes {
        self.forms[form as usize].get_or_init(|| build(&self.frame))
    }
}
