//! What a server's end tells its caller.

use bytes::Bytes;

use crate::{Capabilities, MediaType, MessageStreamId, RtmpTime};

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client wants in; answer with [`accept_connect`](super::ServerSession::accept_connect) or
    /// [`reject_connect`](super::ServerSession::reject_connect).
    Connect(ConnectRequest),
    /// It wants to publish; accept or reject.
    Publish(PublishRequest),
    /// It wants to play; accept or reject.
    Play(PlayRequest),
    /// Media on a stream that publishes.
    Media {
        /// The stream.
        stream: MessageStreamId,
        /// What it carries.
        kind: MediaType,
        /// Its time.
        timestamp: RtmpTime,
        /// An FLV tag body, or AMF0 data.
        payload: Bytes,
    },
    /// A stream stopped publishing, or no longer wants to.
    PublishEnd {
        /// The stream.
        stream: MessageStreamId,
    },
    /// A stream stopped playing, or no longer wants to.
    PlayEnd {
        /// The stream.
        stream: MessageStreamId,
    },
    /// The player paused or went on.
    Pause {
        /// The stream.
        stream: MessageStreamId,
        /// Paused.
        paused: bool,
    },
    /// The player wants sound, or does not.
    ReceiveAudio {
        /// The stream.
        stream: MessageStreamId,
        /// Wanted.
        on: bool,
    },
    /// The player wants pictures, or does not.
    ReceiveVideo {
        /// The stream.
        stream: MessageStreamId,
        /// Wanted.
        on: bool,
    },
    /// A ping was answered.
    PingResponse {
        /// What the ping carried.
        timestamp: u32,
    },
    /// How much the player buffers.
    BufferLength {
        /// The stream.
        stream: MessageStreamId,
        /// Milliseconds.
        millis: u32,
    },
}

/// `connect` (RTMP 1.0 §7.2.1.1).
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    /// The application, without query.
    pub app: String,
    /// What stood behind the `?` of the application.
    pub args: Option<String>,
    /// URL the client was given.
    pub tc_url: Option<String>,
    /// What the client calls itself.
    pub flash_ver: Option<String>,
    /// The page that embeds it.
    pub page_url: Option<String>,
    /// The program that plays.
    pub swf_url: Option<String>,
    /// 0 for AMF0, 3 for AMF3.
    pub object_encoding: f64,
    /// What it can do beyond RTMP 1.0.
    pub capabilities: Capabilities,
}

/// Tells the requests of a connection apart, so that an answer which comes late is not taken for one to the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    pub(super) stream: MessageStreamId,
    pub(super) number: u64,
}

impl RequestId {
    /// The message stream it is asked on.
    pub fn stream(self) -> MessageStreamId {
        self.stream
    }
}

/// `publish` (§7.2.2.6).
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// Its number.
    pub id: RequestId,
    /// The stream it is asked on.
    pub stream: MessageStreamId,
    /// The name, without query.
    pub name: String,
    /// What stood behind the `?`. Often a secret.
    pub args: Option<String>,
    /// `live`, `record` or `append`.
    pub kind: String,
}

/// `play` (§7.2.2.1).
#[derive(Clone, Debug)]
pub struct PlayRequest {
    /// Its number.
    pub id: RequestId,
    /// The stream it is asked on.
    pub stream: MessageStreamId,
    /// The name, without query.
    pub name: String,
    /// What stood behind the `?`. Often a secret.
    pub args: Option<String>,
    /// Seconds; −2 for live or recorded, −1 for live.
    pub start: f64,
    /// Seconds; −1 for all.
    pub duration: f64,
    /// Whether what played before is replaced.
    pub reset: bool,
}
