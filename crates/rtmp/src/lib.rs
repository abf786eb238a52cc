//! RTMP without I/O: handshake, chunks, AMF0, messages, and sessions for both ends.
//!
//! Bytes go in, events and bytes come out. This crate opens no socket and reads no clock, so that the code which meets
//! hostile bytes builds, fuzzes and tests in seconds, and a whole conversation can be played in one thread, cut anywhere.
//!
//! A session is driven in a loop: give [`ServerSession::handle_input`] what the socket gave, act on every
//! [`ServerSession::poll_event`], send every [`ServerSession::poll_output`]. Requests to connect, publish and play wait
//! until the caller accepts or rejects them.
//!
//! Sources: RTMP 1.0 and AMF0 specifications by Adobe; where they are silent or clients differ from them, the code says.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod amf;
pub mod chunk;
#[doc(hidden)]
pub mod fuzz;
mod handshake;
mod ids;
mod limits;
mod message;
mod session;

pub use handshake::HandshakeError;
pub use ids::{ChunkStreamId, MessageStreamId, RtmpTime};
pub use limits::Limits;
pub use message::MediaType;
pub use session::status;
pub use session::{
    Capabilities, ClientConfig, ClientEvent, ClientSession, ConnectRequest, Extensions, FourCc, PlayRequest,
    PublishRequest, Rejection, RequestId, ServerConfig, ServerEvent, ServerSession, SessionError,
};
