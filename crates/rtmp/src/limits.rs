//! Bounds on what a peer may make this end hold.

/// Bounds of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message, bytes.
    pub max_message: usize,
    /// Most bytes of unfinished messages, over all chunk streams.
    pub max_in_flight: usize,
    /// Largest chunk size a peer may set, bytes.
    pub max_chunk_size: usize,
    /// Most chunk streams.
    pub max_chunk_streams: usize,
    /// Most message streams.
    pub max_message_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 16 << 20,
            max_in_flight: 64 << 20,
            max_chunk_size: 16 << 20,
            max_chunk_streams: 1024,
            max_message_streams: 64,
        }
    }
}
