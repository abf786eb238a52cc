//! The commands of clients (RTMP 1.0 §7.2, and those of Flash-era encoders beside it).

use super::{
    super::{Capabilities, SessionError, split_args, status},
    ConnectRequest, Phase, PlayRequest, PublishRequest, RequestId, ServerEvent, ServerSession, State,
};
use crate::{MessageStreamId, amf::Value};

/// A command as it came: name, transaction, and the rest by position.
pub(super) struct Command<'a> {
    /// In lower case: clients do not agree on it.
    name: String,
    transaction: f64,
    values: &'a [Value],
}

impl<'a> Command<'a> {
    pub(super) fn new(values: &'a [Value]) -> Option<Self> {
        Some(Self {
            name: values.first()?.as_str()?.to_ascii_lowercase(),
            transaction: values.get(1).and_then(Value::as_number).unwrap_or(0.0),
            values,
        })
    }

    fn text(&self, index: usize) -> &'a str {
        self.values.get(index).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, index: usize, default: f64) -> f64 {
        self.values.get(index).and_then(Value::as_number).unwrap_or(default)
    }

    fn flag(&self, index: usize) -> bool {
        matches!(self.values.get(index), Some(Value::Boolean(true)))
    }
}

impl ServerSession {
    pub(super) fn command(&mut self, stream: MessageStreamId, command: &Command<'_>) -> Result<(), SessionError> {
        if self.phase == Phase::New && command.name != "connect" {
            return Err(SessionError::NotConnected {
                command: command.name.chars().take(64).collect(),
            });
        }
        match command.name.as_str() {
            "connect" => self.connect(command),
            "createstream" => self.create_stream(command)?,
            "publish" => self.publish(stream, command)?,
            "play" => {
                // Reset is a boolean, or a number in old clients; the default is to replace.
                let reset = !matches!(command.values.get(6), Some(Value::Boolean(false)));
                let (start, duration) = (command.number(4, -2.0), command.number(5, -1.0));
                self.play(stream, command.text(3), start, duration, reset)?;
            }
            // Another stream in place of the one that plays. Of the ways to change over only the plain one makes sense live.
            "play2" => {
                let parameters = command.values.get(3);
                let name = parameters
                    .and_then(|it| it.property("streamName"))
                    .and_then(Value::as_str);
                self.play(stream, name.unwrap_or_default(), -2.0, -1.0, true)?;
            }
            "deletestream" => {
                // What is no id becomes 0, which no stream has.
                let stream = MessageStreamId(command.number(3, 0.0) as u32);
                self.stop(stream);
                if let Some(state) = self.streams.get_mut(&stream) {
                    *state = State::Deleted;
                }
            }
            "closestream" => self.stop(stream),
            "fcpublish" => self.answer_fc("onFCPublish", status::PUBLISH_START, "Ready to publish."),
            "fcunpublish" => self.answer_fc("onFCUnpublish", status::UNPUBLISH_SUCCESS, "Unpublished."),
            "fcsubscribe" => self.answer_fc("onFCSubscribe", status::PLAY_START, "Ready to play."),
            "pause" | "pauseraw" => self.pause(stream, command.flag(3)),
            "receiveaudio" => {
                let on = command.flag(3);
                self.tell_if_playing(stream, ServerEvent::ReceiveAudio { stream, on });
            }
            "receivevideo" => {
                let on = command.flag(3);
                self.tell_if_playing(stream, ServerEvent::ReceiveVideo { stream, on });
            }
            "seek" if self.plays(stream) => {
                self.on_status(stream, status::SEEK_FAILED, "A live stream cannot be sought in.");
            }
            "getstreamlength" => self.result(command.transaction, Value::Number(0.0)),
            // releaseStream, _checkbw and others: who waits for an answer gets an empty one.
            name if command.transaction > 0.0 && !matches!(name, "_result" | "_error") => {
                self.result(command.transaction, Value::Undefined);
            }
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command<'_>) {
        if self.phase != Phase::New {
            let description = "This connection has an application already; open another connection.";
            self.error(command.transaction, status::CONNECT_FAILED, description);
            return;
        }
        let object = command.values.get(2);
        let property = |name: &str| object.and_then(|object| object.property(name));
        let text = |name: &str| property(name).and_then(Value::as_str).map(str::to_owned);
        let (app, args) = split_args(&text("app").unwrap_or_default());
        self.phase = Phase::Asked {
            transaction: command.transaction,
        };
        self.object_encoding = property("objectEncoding").and_then(Value::as_number).unwrap_or(0.0);
        self.capabilities = Capabilities::of_connect(object);
        self.events.push_back(ServerEvent::Connect(ConnectRequest {
            app,
            args,
            tc_url: text("tcUrl"),
            flash_ver: text("flashVer"),
            page_url: text("pageUrl"),
            swf_url: text("swfUrl"),
            object_encoding: self.object_encoding,
            capabilities: self.capabilities.clone(),
        }));
    }

    fn create_stream(&mut self, command: &Command<'_>) -> Result<(), SessionError> {
        self.last_stream += 1;
        self.set(MessageStreamId(self.last_stream), State::Idle)?;
        self.result(command.transaction, Value::Number(self.last_stream.into()));
        Ok(())
    }

    fn publish(&mut self, stream: MessageStreamId, command: &Command<'_>) -> Result<(), SessionError> {
        let (name, args) = split_args(command.text(3));
        if name.is_empty() {
            self.stop(stream);
            self.set(stream, State::Closed)?;
            let description = "A stream needs a name: rtmp://host/app/name, where an encoder calls it the stream key.";
            self.on_status(stream, status::PUBLISH_BAD_NAME, description);
            return Ok(());
        }
        self.stop(stream);
        let id = self.next_request(stream);
        self.set(stream, State::PublishAsked { id })?;
        let kind = command.text(4).to_owned();
        self.events.push_back(ServerEvent::Publish(PublishRequest {
            id,
            stream,
            name,
            args,
            kind,
        }));
        Ok(())
    }

    fn play(
        &mut self,
        stream: MessageStreamId,
        name: &str,
        start: f64,
        duration: f64,
        reset: bool,
    ) -> Result<(), SessionError> {
        let (name, args) = split_args(name);
        self.stop(stream);
        if name.is_empty() {
            self.set(stream, State::Closed)?;
            let description = "Say which stream to play: rtmp://host/app/name.";
            self.on_status(stream, status::PLAY_STREAM_NOT_FOUND, description);
            return Ok(());
        }
        let id = self.next_request(stream);
        self.set(stream, State::PlayAsked { id, reset })?;
        self.events.push_back(ServerEvent::Play(PlayRequest {
            id,
            stream,
            name,
            args,
            start,
            duration,
            reset,
        }));
        Ok(())
    }

    fn pause(&mut self, stream: MessageStreamId, paused: bool) {
        if !self.plays(stream) {
            return;
        }
        self.events.push_back(ServerEvent::Pause { stream, paused });
        match paused {
            true => self.on_status(stream, status::PAUSE_NOTIFY, "Paused."),
            false => self.on_status(stream, status::UNPAUSE_NOTIFY, "Playing."),
        }
    }

    fn plays(&self, stream: MessageStreamId) -> bool {
        matches!(
            self.streams.get(&stream),
            Some(State::Playing | State::PlayAsked { .. })
        )
    }

    fn tell_if_playing(&mut self, stream: MessageStreamId, event: ServerEvent) {
        if self.plays(stream) {
            self.events.push_back(event);
        }
    }

    fn next_request(&mut self, stream: MessageStreamId) -> RequestId {
        self.last_request += 1;
        RequestId {
            stream,
            number: self.last_request,
        }
    }

    /// The notices that Flash Media Live Encoder's commands are answered with, and that its kin wait for.
    fn answer_fc(&mut self, name: &str, code: status::Code, description: &str) {
        let answer = [
            Value::string(name),
            Value::Number(0.0),
            Value::Null,
            code.object(description),
        ];
        self.link.command(MessageStreamId(0), &answer);
    }
}
