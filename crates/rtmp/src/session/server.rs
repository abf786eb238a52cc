//! The server's end of a connection.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::{
    Rejection, SessionError,
    link::{Incoming, Link},
    split_args, status,
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

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client wants in; answer with [`ServerSession::accept_connect`] or [`ServerSession::reject_connect`].
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
    /// A stream stopped publishing.
    PublishEnd {
        /// The stream.
        stream: MessageStreamId,
    },
    /// A stream stopped playing.
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
}

/// `publish` (§7.2.2.6).
#[derive(Clone, Debug)]
pub struct PublishRequest {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    PublishAsked,
    Publishing,
    PlayAsked { reset: bool },
    Playing,
}

/// A server's end of a connection.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    link: Link,
    events: VecDeque<ServerEvent>,
    connect_transaction: f64,
    object_encoding: f64,
    streams: HashMap<MessageStreamId, State>,
    last_stream: u32,
}

impl ServerSession {
    /// A session for a connection that was just accepted. `entropy` is random.
    pub fn new(config: ServerConfig, entropy: [u8; 32]) -> Self {
        Self {
            link: Link::new(Role::Server, config.limits, entropy),
            config,
            events: VecDeque::new(),
            connect_transaction: 1.0,
            object_encoding: 0.0,
            streams: HashMap::new(),
            last_stream: 0,
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
                Some(State::PublishAsked | State::Idle) => {}
                // Players send data messages now and then.
                _ if kind == MediaType::Data => {}
                _ => return Err(SessionError::MediaBeforePublish { stream: stream.0 }),
            },
            Incoming::Command { stream, values } => self.command(stream, &values)?,
            Incoming::Pong { timestamp } => self.events.push_back(ServerEvent::PingResponse { timestamp }),
            Incoming::BufferLength { stream, millis } => {
                self.events.push_back(ServerEvent::BufferLength { stream, millis });
            }
            Incoming::StreamEof => {}
        }
        Ok(())
    }

    fn command(&mut self, stream: MessageStreamId, values: &[Value]) -> Result<(), SessionError> {
        let Some(name) = values.first().and_then(Value::as_str) else {
            return Ok(());
        };
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let text = |index: usize| values.get(index).and_then(Value::as_str).unwrap_or_default();
        let number = |index: usize, default| values.get(index).and_then(Value::as_number).unwrap_or(default);
        let flag = |index: usize| matches!(values.get(index), Some(Value::Boolean(true)));
        match name {
            "connect" => self.connect(transaction, values.get(2)),
            "createStream" => {
                let limit = self.config.limits.max_message_streams;
                if self.streams.len() >= limit {
                    return Err(SessionError::TooManyStreams { limit });
                }
                self.last_stream += 1;
                self.streams.insert(MessageStreamId(self.last_stream), State::Idle);
                self.result(transaction, Value::Number(self.last_stream.into()));
            }
            "publish" if !text(3).is_empty() => {
                self.stop(stream);
                self.set(stream, State::PublishAsked)?;
                let (name, args) = split_args(text(3));
                let kind = text(4).to_owned();
                self.events.push_back(ServerEvent::Publish(PublishRequest {
                    stream,
                    name,
                    args,
                    kind,
                }));
            }
            "play" if !text(3).is_empty() => {
                self.stop(stream);
                // Reset is a boolean, or a number in old clients; the default is to replace.
                let reset = !matches!(values.get(6), Some(Value::Boolean(false)));
                self.set(stream, State::PlayAsked { reset })?;
                let (name, args) = split_args(text(3));
                let (start, duration) = (number(4, -2.0), number(5, -1.0));
                self.events.push_back(ServerEvent::Play(PlayRequest {
                    stream,
                    name,
                    args,
                    start,
                    duration,
                    reset,
                }));
            }
            "deleteStream" => {
                let stream = MessageStreamId(number(3, 0.0) as u32);
                self.stop(stream);
                self.streams.remove(&stream);
            }
            "closeStream" => self.stop(stream),
            "FCUnpublish" => self.link.command(
                MessageStreamId(0),
                &[
                    Value::string("onFCUnpublish"),
                    Value::Number(0.0),
                    Value::Null,
                    status("status", "NetStream.Unpublish.Success", "Unpublished."),
                ],
            ),
            "FCPublish" => self.link.command(
                MessageStreamId(0),
                &[
                    Value::string("onFCPublish"),
                    Value::Number(0.0),
                    Value::Null,
                    status("status", "NetStream.Publish.Start", "Ready to publish."),
                ],
            ),
            "pause" | "pauseRaw" => {
                let paused = flag(3);
                self.events.push_back(ServerEvent::Pause { stream, paused });
                let code = if paused {
                    "NetStream.Pause.Notify"
                } else {
                    "NetStream.Unpause.Notify"
                };
                self.on_status(stream, "status", code, "");
            }
            "receiveAudio" => self.events.push_back(ServerEvent::ReceiveAudio { stream, on: flag(3) }),
            "receiveVideo" => self.events.push_back(ServerEvent::ReceiveVideo { stream, on: flag(3) }),
            "seek" => self.on_status(
                stream,
                "error",
                "NetStream.Seek.Failed",
                "A live stream cannot be sought in.",
            ),
            "getStreamLength" => self.result(transaction, Value::Number(0.0)),
            // releaseStream, _checkbw and others: who waits for an answer gets an empty one.
            _ if transaction > 0.0 && !name.starts_with('_') => self.result(transaction, Value::Undefined),
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, transaction: f64, command_object: Option<&Value>) {
        let property = |name: &str| command_object.and_then(|object| object.property(name));
        let text = |name: &str| property(name).and_then(Value::as_str).map(str::to_owned);
        let (app, args) = split_args(&text("app").unwrap_or_default());
        self.connect_transaction = transaction;
        self.object_encoding = property("objectEncoding").and_then(Value::as_number).unwrap_or(0.0);
        self.events.push_back(ServerEvent::Connect(ConnectRequest {
            app,
            args,
            tc_url: text("tcUrl"),
            flash_ver: text("flashVer"),
            page_url: text("pageUrl"),
            swf_url: text("swfUrl"),
            object_encoding: self.object_encoding,
        }));
    }

    /// Lets the client in.
    pub fn accept_connect(&mut self) {
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
        let Value::Object(mut information) = status("status", "NetConnection.Connect.Success", "Connection succeeded.")
        else {
            return;
        };
        information.push(("objectEncoding".to_owned(), Value::Number(self.object_encoding)));
        self.link.command(
            MessageStreamId(0),
            &[
                Value::string("_result"),
                Value::Number(self.connect_transaction),
                server,
                Value::Object(information),
            ],
        );
    }

    /// Turns the client away.
    pub fn reject_connect(&mut self, rejection: &Rejection) {
        self.link.command(
            MessageStreamId(0),
            &[
                Value::string("_error"),
                Value::Number(self.connect_transaction),
                Value::Null,
                status("error", rejection.code, &rejection.description),
            ],
        );
    }

    /// Lets a stream publish.
    pub fn accept_publish(&mut self, stream: MessageStreamId) {
        if self.streams.get(&stream) == Some(&State::PublishAsked) {
            self.streams.insert(stream, State::Publishing);
            self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
            self.on_status(stream, "status", "NetStream.Publish.Start", "Publishing.");
        }
    }

    /// Refuses to let a stream publish.
    pub fn reject_publish(&mut self, stream: MessageStreamId, rejection: &Rejection) {
        self.refuse(stream, rejection);
    }

    /// Lets a stream play.
    pub fn accept_play(&mut self, stream: MessageStreamId) {
        if let Some(&State::PlayAsked { reset }) = self.streams.get(&stream) {
            self.streams.insert(stream, State::Playing);
            self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
            if reset {
                self.on_status(stream, "status", "NetStream.Play.Reset", "Playing and resetting.");
            }
            self.on_status(stream, "status", "NetStream.Play.Start", "Playing.");
            let access = [
                Value::string("|RtmpSampleAccess"),
                Value::Boolean(true),
                Value::Boolean(true),
            ];
            self.link
                .media(stream, MediaType::Data, RtmpTime(0), &amf::encode(&access));
        }
    }

    /// Refuses to let a stream play.
    pub fn reject_play(&mut self, stream: MessageStreamId, rejection: &Rejection) {
        self.refuse(stream, rejection);
    }

    fn refuse(&mut self, stream: MessageStreamId, rejection: &Rejection) {
        self.streams.insert(stream, State::Idle);
        self.on_status(stream, "error", rejection.code, &rejection.description);
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
        self.on_status(stream, "status", "NetStream.Play.UnpublishNotify", &text);
    }

    /// Tells a player that a publisher came.
    pub fn notify_publish(&mut self, stream: MessageStreamId, name: &str) {
        self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
        let text = format!("{name} is published.");
        self.on_status(stream, "status", "NetStream.Play.PublishNotify", &text);
    }

    /// Ends a player's playing in the words of a play command, until [`restart_play`](Self::restart_play).
    pub fn pause_play(&mut self, stream: MessageStreamId, reason: &str) {
        self.link.event(user_event::STREAM_EOF, &[stream.0]);
        self.on_status(stream, "status", "NetStream.Play.Stop", reason);
    }

    /// Begins it anew.
    pub fn restart_play(&mut self, stream: MessageStreamId) {
        self.link.event(user_event::STREAM_BEGIN, &[stream.0]);
        self.on_status(stream, "status", "NetStream.Play.Start", "Playing.");
    }

    /// Ends a play.
    pub fn stop_play(&mut self, stream: MessageStreamId, reason: &str) {
        self.streams.insert(stream, State::Idle);
        self.link.event(user_event::STREAM_EOF, &[stream.0]);
        self.on_status(stream, "status", "NetStream.Play.Stop", reason);
    }

    /// Ends a publication from this end.
    pub fn end_publish(&mut self, stream: MessageStreamId, reason: &str) {
        self.streams.insert(stream, State::Idle);
        self.on_status(stream, "error", "NetStream.Publish.Failed", reason);
    }

    /// Asks whether the peer is there.
    pub fn ping(&mut self, timestamp_millis: u32) {
        self.link.event(user_event::PING_REQUEST, &[timestamp_millis]);
    }

    fn set(&mut self, stream: MessageStreamId, state: State) -> Result<(), SessionError> {
        let limit = self.config.limits.max_message_streams;
        if !self.streams.contains_key(&stream) && self.streams.len() >= limit {
            return Err(SessionError::TooManyStreams { limit });
        }
        self.streams.insert(stream, state);
        Ok(())
    }

    fn stop(&mut self, stream: MessageStreamId) {
        match self.streams.get(&stream) {
            Some(State::Publishing | State::PublishAsked) => {
                self.events.push_back(ServerEvent::PublishEnd { stream });
                self.on_status(stream, "status", "NetStream.Unpublish.Success", "Unpublished.");
            }
            Some(State::Playing | State::PlayAsked { .. }) => self.events.push_back(ServerEvent::PlayEnd { stream }),
            Some(State::Idle) | None => return,
        }
        self.streams.insert(stream, State::Idle);
    }

    fn result(&mut self, transaction: f64, value: Value) {
        let answer = [Value::string("_result"), Value::Number(transaction), Value::Null, value];
        self.link.command(MessageStreamId(0), &answer);
    }

    fn on_status(&mut self, stream: MessageStreamId, level: &str, code: &str, description: &str) {
        let information = status(level, code, description);
        self.link.command(
            stream,
            &[Value::string("onStatus"), Value::Number(0.0), Value::Null, information],
        );
    }
}
