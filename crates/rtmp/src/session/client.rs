//! The client's end of a connection: publishes or plays one stream.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Capabilities, SessionError,
    link::{Incoming, Link},
};
use crate::{Limits, MediaType, MessageStreamId, RtmpTime, amf::Value, handshake::Role, message::user_event};

/// Settings of a client's end.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The application.
    pub app: String,
    /// URL of the application.
    pub tc_url: String,
    /// What the client calls itself.
    pub flash_ver: String,
    /// Chunk size of what is sent.
    pub chunk_size: u32,
    /// Announce what Enhanced RTMP adds.
    pub is_enhanced: bool,
    /// Milliseconds a player says it buffers.
    pub buffer_millis: u32,
    /// Bounds.
    pub limits: Limits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            app: "live".to_owned(),
            tc_url: "rtmp://127.0.0.1/live".to_owned(),
            flash_ver: "FMLE/3.0 (compatible; streammill)".to_owned(),
            chunk_size: 4096,
            is_enhanced: true,
            buffer_millis: 1000,
            limits: Limits::default(),
        }
    }
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server let the client in.
    Connected,
    /// The stream publishes.
    PublishStarted,
    /// The stream plays.
    PlayStarted,
    /// Media of the stream that plays.
    Media {
        /// What it carries.
        kind: MediaType,
        /// Its time.
        timestamp: RtmpTime,
        /// An FLV tag body, or AMF0 data.
        payload: Bytes,
    },
    /// Something the server says that is neither a start nor a refusal.
    Status {
        /// Such as `NetStream.Play.UnpublishNotify`.
        code: String,
        /// For a person to read.
        description: String,
    },
    /// The server refused what was asked last.
    Rejected {
        /// Such as `NetStream.Publish.BadName`.
        code: String,
        /// For a person to read.
        description: String,
    },
    /// The server asks to connect anew, and to end this connection then.
    Reconnect {
        /// Where, if that is elsewhere.
        tc_url: Option<String>,
        /// For a person to read.
        description: String,
    },
    /// There is no more for now.
    StreamEof,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Publish(String),
    Play(String),
}

/// Transaction numbers of the three calls that are answered.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;

/// A client's end of a connection.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    link: Link,
    events: VecDeque<ClientEvent>,
    has_asked: bool,
    wish: Option<Wish>,
    stream: Option<MessageStreamId>,
}

impl ClientSession {
    /// A session for a connection that was just made. `entropy` is random.
    pub fn new(config: ClientConfig, entropy: [u8; 32]) -> Self {
        Self {
            link: Link::new(Role::Client, config.limits, entropy),
            config,
            events: VecDeque::new(),
            has_asked: false,
            wish: None,
            stream: None,
        }
    }

    /// Takes what the socket gave. After an error the connection is of no more use.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(), SessionError> {
        let mut rest = input;
        while !rest.is_empty() {
            for incoming in self.link.handle_input(&mut rest)?.into_iter().flatten() {
                self.take(incoming);
            }
            if self.link.is_open() && !self.has_asked {
                self.has_asked = true;
                self.connect();
            }
        }
        Ok(())
    }

    /// What to send.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Asks to publish; wait for [`ClientEvent::Connected`] first and for [`ClientEvent::PublishStarted`] then.
    pub fn publish(&mut self, name: &str) {
        // What FMLE sends before, and servers of its time wait for.
        for (transaction, command) in [(2.0, "releaseStream"), (3.0, "FCPublish")] {
            let name = Value::string(name);
            self.call(MessageStreamId(0), command, transaction, &[name]);
        }
        self.create_stream(Wish::Publish(name.to_owned()));
    }

    /// Asks to play; wait for [`ClientEvent::Connected`] first and for [`ClientEvent::PlayStarted`] then.
    pub fn play(&mut self, name: &str) {
        self.create_stream(Wish::Play(name.to_owned()));
    }

    /// Sends media on the stream that publishes. Before there is one nothing is sent.
    pub fn send_frame(&mut self, kind: MediaType, timestamp: RtmpTime, payload: &Bytes) {
        if let Some(stream) = self.stream {
            self.link.media(stream, kind, timestamp, payload);
        }
    }

    /// Ends the stream as publishers do.
    pub fn close_stream(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        if let Some(Wish::Publish(name)) = self.wish.take() {
            self.call(MessageStreamId(0), "FCUnpublish", 5.0, &[Value::String(name)]);
        }
        self.call(
            MessageStreamId(0),
            "deleteStream",
            0.0,
            &[Value::Number(stream.0.into())],
        );
    }

    fn connect(&mut self) {
        self.link.set_chunk_size(self.config.chunk_size);
        let text = |key: &str, value: &str| (key.to_owned(), Value::string(value));
        let mut properties = vec![
            text("app", &self.config.app),
            text("type", "nonprivate"),
            text("flashVer", &self.config.flash_ver),
            text("tcUrl", &self.config.tc_url),
        ];
        if self.config.is_enhanced {
            properties.extend(Capabilities::announcement());
        }
        let object = Value::Object(properties);
        self.link.command(
            MessageStreamId(0),
            &[Value::string("connect"), Value::Number(CONNECT), object],
        );
    }

    fn create_stream(&mut self, wish: Wish) {
        self.wish = Some(wish);
        self.call(MessageStreamId(0), "createStream", CREATE_STREAM, &[]);
    }

    fn call(&mut self, stream: MessageStreamId, command: &str, transaction: f64, arguments: &[Value]) {
        let mut values = vec![Value::string(command), Value::Number(transaction), Value::Null];
        values.extend_from_slice(arguments);
        self.link.command(stream, &values);
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Media {
                kind,
                timestamp,
                payload,
                ..
            } => {
                self.events.push_back(ClientEvent::Media {
                    kind,
                    timestamp,
                    payload,
                });
            }
            Incoming::Command { values, .. } => self.command(&values),
            Incoming::StreamEof => self.events.push_back(ClientEvent::StreamEof),
            Incoming::Pong { .. } | Incoming::BufferLength { .. } => {}
        }
    }

    fn command(&mut self, values: &[Value]) {
        let name = values.first().and_then(Value::as_str).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let information = values.get(3);
        let text = |key: &str| {
            let value = information
                .and_then(|information| information.property(key))
                .and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        match name {
            "_result" if transaction == CONNECT => self.events.push_back(ClientEvent::Connected),
            "_result" if transaction == CREATE_STREAM => {
                let number = information.and_then(Value::as_number).unwrap_or(1.0);
                self.start(MessageStreamId(number as u32));
            }
            "_error" if transaction == CONNECT || transaction == CREATE_STREAM => {
                self.events.push_back(ClientEvent::Rejected {
                    code: text("code"),
                    description: text("description"),
                });
            }
            "onStatus" => {
                let (code, description) = (text("code"), text("description"));
                self.events.push_back(match code.as_str() {
                    "NetConnection.Connect.ReconnectRequest" => ClientEvent::Reconnect {
                        tc_url: Some(text("tcUrl")).filter(|url| !url.is_empty()),
                        description,
                    },
                    "NetStream.Publish.Start" => ClientEvent::PublishStarted,
                    "NetStream.Play.Start" => ClientEvent::PlayStarted,
                    _ if text("level") == "error" => ClientEvent::Rejected { code, description },
                    _ => ClientEvent::Status { code, description },
                });
            }
            _ => {}
        }
    }

    fn start(&mut self, stream: MessageStreamId) {
        self.stream = Some(stream);
        match self.wish.clone() {
            Some(Wish::Publish(name)) => {
                self.call(stream, "publish", 0.0, &[Value::String(name), Value::string("live")]);
            }
            Some(Wish::Play(name)) => {
                self.call(stream, "play", 0.0, &[Value::String(name), Value::Number(-2000.0)]);
                self.link
                    .event(user_event::SET_BUFFER_LENGTH, &[stream.0, self.config.buffer_millis]);
            }
            None => {}
        }
    }
}
