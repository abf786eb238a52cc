//! Chunks: messages cut into pieces and interleaved (RTMP 1.0 §5.3).

mod reader;
mod writer;

pub use reader::{ChunkError, ChunkReader};
pub use writer::{ChunkWriter, interleaved_form, shared_form};

use bytes::Bytes;

use crate::{ChunkStreamId, MessageStreamId, RtmpTime};

/// Chunk size of both directions until one end sets another (§5.4.1).
pub const DEFAULT_CHUNK_SIZE: usize = 128;

/// Timestamps from here on stand in the extended field (§5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;

/// A message as it travels: its payload is not understood yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// The chunk stream it came on, or is to go on.
    pub chunk_stream: ChunkStreamId,
    /// Its time.
    pub timestamp: RtmpTime,
    /// Message type id.
    pub type_id: u8,
    /// The message stream it belongs to.
    pub stream: MessageStreamId,
    /// Its payload.
    pub payload: Bytes,
}
