//! The server's end of a connection.

mod command;
mod event;

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use self::command::Command;
pub use self::event::{ConnectRequest, PlayRequest, PublishRequest, RequestId, ServerEvent};
use super::{
    Capabilities, Rejection, SessionError,
    link::{Incoming, Link},
    status,
};
use crate::{
    Limits, MediaType, MessageStreamId, RtmpTime,
    amf::{self, Value},
    handshake::Role,
    message::{control, type_id, user_event},
};

/// Settings of a server's end.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Chunk size of what is sent.
    pub chunk_size: u32,
    /// Window that the peer is asked to acknowledge.
    pub ack_window: u32,
    /// Bounds.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            chunk_size: 4096,
            ack_window: 5_000_000,
            limits: Limits::default(),
        }
    }
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Nothing but `connect` makes sense.
    New,
    /// It was sent, and is not answered yet.
    Asked { transaction: f64 },
    /// The client is in.
    In,
    /// It is not.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Created, and nothing was asked of it yet.
    Idle,
    PublishAsked {
        id: RequestId,
    },
    Publishing,
    PlayAsked {
        id: RequestId,
        reset: bool,
    },
    Playing,
    /// It did something before, or wanted to. What is still under way is passed over.
    Closed,
    /// As closed, for good.
    Deleted,
}

/// Commands and media that may come before `connect` is answered. Some clients send all they have to say at once.
const MAX_EARLY: usize = 64;
const MAX_EARLY_BYTES: usize = 256 * 1024;

/// A server's end of a connection.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    link: Link,
    events: VecDeque<ServerEvent>,
    phase: Phase,
    /// What came while `connect` was not answered.
    early: Vec<Incoming>,
    early_bytes: usize,
    capabilities: Capabilities,
    object_encoding: f64,
    streams: HashMap<MessageStreamId, State>,
    last_stream: u32,
    last_request: u64,
}

impl ServerSession {
    /// A session for a connection that was just accepted. `entropy` is random.
    pub fn new(config: ServerConfig, entropy: [u8; 32]) -> Self {
        Self {
            link: Link::new(Role::Server, config.limits, entropy),
            config,
            events: VecDeque::new(),
            phase: Phase::New,
            early: Vec::new(),
            early_bytes: 0,
            capabilities: Capabilities::default(),
            object_encoding: 0.0,
            streams: HashMap::new(),
            last_stream: 0,
            last_request: 0,
        }
    }

    /// Takes what the socket gave. After an error the connection is to be closed once the output is sent.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(), SessionError> {
        let mut rest = input;
        while !rest.is_empty() {
            for incoming in self.link.handle_input(&mut rest)?.into_iter().flatten() {
                self.take(incoming)?;
            }
        }
        Ok(())
    }

    /// What to send.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), SessionError> {
        match self.phase {
            Phase::Asked { .. } => return self.put_off(incoming),
            Phase::Refused => return Ok(()),
            Phase::New | Phase::In => {}
        }
        match incoming {
            Incoming::Media {
                stream,
                kind,
                timestamp,
                payload,
            } => match self.streams.get(&stream) {
                Some(State::Publishing) => {
                    self.events.push_back(ServerEvent::Media {
                        stream,
                        kind,
                        timestamp,
                        payload,
                    });
                }
                // The answer is on its way, or the stream was just closed.
                Some(State::PublishAsked { .. } | State::Closed | State::Deleted) => {}
                // Players send data messages now and then.
                _ if kind == MediaType::Data => {}
                _ => return Err(SessionError::MediaBeforePublish { stream: stream.0 }),
            },
            Incoming::Command { stream, values } => {
                if let Some(command) = Command::new(&values) {
                    self.command(stream, &command)?;
                }
            }
            Incoming::Pong { timestamp } => self.events.push_back(ServerEvent::PingResponse { timestamp }),
            Incoming::BufferLength { stream, millis } => {
                self.events.push_back(ServerEvent::BufferLength { stream, millis });
            }
            Incoming::StreamEof => {}
        }
        Ok(())
    }

    /// Keeps what comes before `connect` is answered.
    fn put_off(&mut self, incoming: Incoming) -> Result<(), SessionError> {
        if let Incoming::Media { payload, .. } = &incoming {
            self.early_bytes += payload.len();
        }
        if self.early.len() >= MAX_EARLY || self.early_bytes > MAX_EARLY_BYTES {
            return Err(SessionError::TooEarly { limit: MAX_EARLY });
        }
        self.early.push(incoming);
        Ok(())
    }

    /// Lets the client in. What it sent in the meantime is taken now, which may be too much.
    pub fn accept_connect(&mut self) -> Result<(), SessionError> {
        let Phase::Asked { transaction } = self.phase else {
            return Ok(());
        };
        self.phase = Phase::In;
        self.link.control(
            type_id::WINDOW_ACKNOWLEDGEMENT_SIZE,
            &control::u32(self.config.ack_window),
        );
        // Limit type 2: dynamic (§5.4.5).
        let mut bandwidth = self.config.ack_window.to_be_bytes().to_vec();
        bandwidth.push(2);
        self.link.control(type_id::SET_PEER_BANDWIDTH, &bandwidth);
        self.link.set_chunk_size(self.config.chunk_size);
        let server = Value::Object(vec![
            ("fmsVer".to_owned(), Value::string("FMS/3,0,1,123")),
            ("capabilities".to_owned(), Value::Number(31.0)),
        ]);
        let mut information = status::CONNECT_SUCCESS.object("Connection succeeded.");
        if let Value::Object(properties) = &mut information {
            properties.push(("objectEncoding".to_owned(), Value::Number(self.object_encoding)));
            // A client of before Enhanced RTMP gets the answer it has always got.
            if self.capabilities.is_announced() {
                properties.extend(Capabilities::announcement());
            }
        }
        self.link.command(
            MessageStreamId(0),
            &[
                Value::string("_result"),
                Value::Number(transaction),
                server,
                information,
            ],
        );
        self.early_bytes = 0;
        for incoming in std::mem::take(&mut self.early) {
            self.take(incoming)?;
        }
        Ok(())
    }

    /// Turns the client away. It is not listened to any more.
    pub fn reject_connect(&mut self, rejection: &Rejection) {
        if let Phase::Asked { transaction } = self.phase {
            self.phase = Phase::Refused;
            self.early.clear();
            self.error(transaction, rejection.code, &rejection.description);
        }
    }

    /// Asks the client to connect anew, at `tc_url` if that is elsewhere. False if it does not know how to: then only
    /// closing the connection remains.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) -> bool {
        if self.phase != Phase::In || !self.capabilities.extensions().reconnect() {
            return false;
        }
        let mut information = status::CONNECT_RECONNECT.object(description);
        if let (Value::Object(properties), Some(url)) = (&mut information, tc_url) {
            properties.push(("tcUrl".to_owned(), Value::string(url)));
        }
        self.status_message(MessageStreamId(0), information);
        true
    }

    /// Lets a stream publish. False if it no longer wants to.
    pub fn accept_publish(&mut self, id: RequestId) -> bool {
        let stream = id.stream;
        if self.streams.get(&stream) != Some(&State::PublishAsked { id }) {
            return false;
        }
        self.streams.insert(stream, State::Publishing);
        self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
        self.on_status(stream, status::PUBLISH_START, "Publishing.");
        true
    }

    /// Refuses to let a stream publish.
    pub fn reject_publish(&mut self, id: RequestId, rejection: &Rejection) {
        let stream = id.stream;
        if self.streams.get(&stream) == Some(&State::PublishAsked { id }) {
            self.refuse(stream, rejection);
        }
    }

    /// Lets a stream play. False if it no longer wants to.
    pub fn accept_play(&mut self, id: RequestId) -> bool {
        let stream = id.stream;
        let Some(&State::PlayAsked { id: asked, reset }) = self.streams.get(&stream) else {
            return false;
        };
        if asked != id {
            return false;
        }
        self.streams.insert(stream, State::Playing);
        self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
        if reset {
            self.on_status(stream, status::PLAY_RESET, "Playing and resetting.");
        }
        self.on_status(stream, status::PLAY_START, "Playing.");
        let access = [
            Value::string("|RtmpSampleAccess"),
            Value::Boolean(true),
            Value::Boolean(true),
        ];
        self.link
            .media(stream, MediaType::Data, RtmpTime(0), &amf::encode(&access));
        true
    }

    /// Refuses to let a stream play.
    pub fn reject_play(&mut self, id: RequestId, rejection: &Rejection) {
        let stream = id.stream;
        let asked = self.streams.get(&stream);
        if matches!(asked, Some(State::PlayAsked { id: asked, .. }) if *asked == id) {
            self.refuse(stream, rejection);
        }
    }

    /// Ends a play with an error.
    pub fn fail_play(&mut self, stream: MessageStreamId, rejection: &Rejection) {
        self.refuse(stream, rejection);
    }

    fn refuse(&mut self, stream: MessageStreamId, rejection: &Rejection) {
        self.streams.insert(stream, State::Closed);
        self.on_status(stream, rejection.code, &rejection.description);
    }

    /// Sends media to a stream that plays.
    pub fn send_frame(&mut self, stream: MessageStreamId, kind: MediaType, timestamp: RtmpTime, payload: &Bytes) {
        self.link.media(stream, kind, timestamp, payload);
    }

    /// Tells a player that there is no more for now.
    pub fn stream_eof(&mut self, stream: MessageStreamId) {
        self.link.event(user_event::STREAM_EOF, &[stream.0]);
    }

    /// Tells a player that the publisher left.
    pub fn notify_unpublish(&mut self, stream: MessageStreamId, name: &str) {
        let text = format!("{name} is no longer published.");
        self.on_status(stream, status::PLAY_UNPUBLISH_NOTIFY, &text);
    }

    /// Tells a player that a publisher came.
    pub fn notify_publish(&mut self, stream: MessageStreamId, name: &str) {
        self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
        let text = format!("{name} is published.");
        self.on_status(stream, status::PLAY_PUBLISH_NOTIFY, &text);
    }

    /// Ends a player's playing in the words of a play command, until [`restart_play`](Self::restart_play).
    pub fn pause_play(&mut self, stream: MessageStreamId, reason: &str) {
        self.link.event(user_event::STREAM_EOF, &[stream.0]);
        self.on_status(stream, status::PLAY_STOP, reason);
    }

    /// Begins it anew.
    pub fn restart_play(&mut self, stream: MessageStreamId) {
        self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
        self.on_status(stream, status::PLAY_START, "Playing.");
    }

    /// Ends a play.
    pub fn stop_play(&mut self, stream: MessageStreamId, reason: &str) {
        self.streams.insert(stream, State::Closed);
        self.link.event(user_event::STREAM_EOF, &[stream.0]);
        self.on_status(stream, status::PLAY_STOP, reason);
    }

    /// Ends a publication from this end.
    pub fn end_publish(&mut self, stream: MessageStreamId, reason: &str) {
        self.streams.insert(stream, State::Closed);
        self.on_status(stream, status::PUBLISH_FAILED, reason);
    }

    /// Asks whether the peer is there.
    pub fn ping(&mut self, timestamp_millis: u32) {
        self.link.event(user_event::PING_REQUEST, &[timestamp_millis]);
    }

    fn set(&mut self, stream: MessageStreamId, state: State) -> Result<(), SessionError> {
        let limit = self.config.limits.max_message_streams;
        let active = || self.streams.values().filter(|state| **state != State::Deleted).count();
        if !self.streams.contains_key(&stream) && active() >= limit {
            return Err(SessionError::TooManyStreams { limit });
        }
        // What was deleted long ago is known to nobody.
        if self.streams.len() > 2 * limit {
            self.streams.retain(|_, state| *state != State::Deleted);
        }
        self.streams.insert(stream, state);
        Ok(())
    }

    fn stop(&mut self, stream: MessageStreamId) {
        match self.streams.get(&stream) {
            Some(State::Publishing | State::PublishAsked { .. }) => {
                self.events.push_back(ServerEvent::PublishEnd { stream });
                self.on_status(stream, status::UNPUBLISH_SUCCESS, "Unpublished.");
            }
            Some(State::Playing | State::PlayAsked { .. }) => self.events.push_back(ServerEvent::PlayEnd { stream }),
            Some(State::Idle | State::Closed | State::Deleted) | None => return,
        }
        self.streams.insert(stream, State::Closed);
    }

    fn result(&mut self, transaction: f64, value: Value) {
        let answer = [Value::string("_result"), Value::Number(transaction), Value::Null, value];
        self.link.command(MessageStreamId(0), &answer);
    }

    fn error(&mut self, transaction: f64, code: status::Code, description: &str) {
        let answer = [
            Value::string("_error"),
            Value::Number(transaction),
            Value::Null,
            code.object(description),
        ];
        self.link.command(MessageStreamId(0), &answer);
    }

    fn on_status(&mut self, stream: MessageStreamId, code: status::Code, description: &str) {
        self.status_message(stream, code.object(description));
    }

    fn status_message(&mut self, stream: MessageStreamId, information: Value) {
        let message = [Value::string("onStatus"), Value::Number(0.0), Value::Null, information];
        self.link.command(stream, &message);
    }
}
