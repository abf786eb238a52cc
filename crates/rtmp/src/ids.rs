//! Numbers that must not be mixed up.

/// Names a stream of messages within a connection (RTMP 1.0 §6.1). 0 is the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageStreamId(pub u32);

/// Names a stream of chunks within a connection (RTMP 1.0 §5.3.1.1): 2 to 65599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkStreamId(pub u32);

/// A timestamp in milliseconds that wraps at 2^32 (RTMP 1.0 §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RtmpTime(pub u32);
