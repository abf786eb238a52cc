//! Sessions: what the messages of a connection mean, for either end.
//!
//! Both are state machines without I/O: `handle_input` takes what the socket gave, `poll_event` says what happened,
//! `poll_output` gives what the socket must send. Drain both after every call that takes `&mut self`.

mod capabilities;
mod client;
mod link;
mod server;
pub mod status;

pub use capabilities::{Capabilities, Extensions, FourCc};
pub use client::{ClientConfig, ClientEvent, ClientSession};
pub use server::{ConnectRequest, PlayRequest, PublishRequest, RequestId, ServerConfig, ServerEvent, ServerSession};

use crate::{amf::AmfError, chunk::ChunkError, handshake::HandshakeError};

/// Why a request is refused, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code of the status object.
    pub code: status::Code,
    /// For a person to read.
    pub description: String,
}

impl Rejection {
    /// With this code and this text.
    pub fn new(code: status::Code, description: &str) -> Self {
        Self {
            code,
            description: description.to_owned(),
        }
    }
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Not RTMP.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The chunks do not fit together, or are more than is allowed.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A command or data message that is not AMF0.
    #[error(transparent)]
    Amf(#[from] AmfError),
    /// A control message that ends early.
    #[error("message of type {type_id} ends early")]
    Truncated {
        /// Its type.
        type_id: u8,
    },
    /// Audio or video on a stream that nobody was allowed to publish.
    #[error("media on message stream {stream}, which does not publish")]
    MediaBeforePublish {
        /// The message stream.
        stream: u32,
    },
    /// A command that makes no sense before `connect`.
    #[error("'{command}' before 'connect'")]
    NotConnected {
        /// The command.
        command: String,
    },
    /// A client that does not wait for the answer to its `connect`, and says too much before it.
    #[error("more than {limit} messages before 'connect' was answered")]
    TooEarly {
        /// How many are kept.
        limit: usize,
    },
    /// More streams or requests than a client can need.
    #[error("more than {limit} message streams")]
    TooManyStreams {
        /// How many are allowed.
        limit: usize,
    },
}

/// `name?args` as publish and play send it.
fn split_args(name: &str) -> (String, Option<String>) {
    match name.split_once('?') {
        Some((name, args)) => (name.to_owned(), Some(args.to_owned())),
        None => (name.to_owned(), None),
    }
}
