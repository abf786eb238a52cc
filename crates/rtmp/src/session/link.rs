//! What both ends have in common: handshake, chunks, control messages, acknowledgements.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::SessionError;
use crate::{
    ChunkStreamId, Limits, MediaType, MessageStreamId, RtmpTime,
    amf::{self, Value},
    chunk::{ChunkReader, ChunkWriter, RawMessage},
    handshake::{Handshake, Role},
    message::{Aggregate, control, type_id, user_event},
};

/// Chunk streams of what this end says.
pub(super) const CONTROL: ChunkStreamId = ChunkStreamId(2);
pub(super) const COMMAND: ChunkStreamId = ChunkStreamId(3);
pub(super) const STATUS: ChunkStreamId = ChunkStreamId(5);

/// One end of a connection below commands.
#[derive(Debug)]
pub(super) struct Link {
    handshake: Handshake,
    reader: ChunkReader,
    writer: ChunkWriter,
    role: Role,
    output: VecDeque<Bytes>,
    received: u64,
    acknowledged: u64,
    /// The peer wants an acknowledgement each time it has sent this many bytes (§5.4.4).
    peer_window: u64,
}

/// What came in that the session has to deal with.
#[derive(Debug)]
pub(super) enum Incoming {
    Media {
        stream: MessageStreamId,
        kind: MediaType,
        timestamp: RtmpTime,
        payload: Bytes,
    },
    Command {
        stream: MessageStreamId,
        values: Vec<Value>,
    },
    StreamEof,
    Pong {
        timestamp: u32,
    },
    BufferLength {
        stream: MessageStreamId,
        millis: u32,
    },
}

impl Link {
    pub(super) fn new(role: Role, limits: Limits, entropy: [u8; 32]) -> Self {
        Self {
            handshake: Handshake::new(role, entropy),
            reader: ChunkReader::new(limits),
            writer: ChunkWriter::default(),
            role,
            output: VecDeque::new(),
            received: 0,
            acknowledged: 0,
            peer_window: u64::MAX,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.handshake.is_done()
    }

    pub(super) fn poll_output(&mut self) -> Option<Bytes> {
        self.handshake.take_output().or_else(|| self.output.pop_front())
    }

    /// Takes bytes until a message is whole. What was taken is removed from `input`: call again until it is empty.
    pub(super) fn handle_input(&mut self, input: &mut &[u8]) -> Result<Option<Vec<Incoming>>, SessionError> {
        let before = input.len();
        if !self.handshake.is_done() {
            let taken = self.handshake.handle(input)?;
            *input = &input[taken..];
        }
        let message = match self.handshake.is_done() {
            true => self.reader.read(input)?,
            false => None,
        };
        self.received += (before - input.len()) as u64;
        if self.received - self.acknowledged >= self.peer_window {
            self.acknowledged = self.received;
            // The sequence number wraps at 32 bits (§5.4.3).
            self.control(type_id::ACKNOWLEDGEMENT, &control::u32(self.received as u32));
        }
        message.map(|message| self.take(message)).transpose()
    }

    fn take(&mut self, message: RawMessage) -> Result<Vec<Incoming>, SessionError> {
        let RawMessage {
            timestamp,
            type_id,
            stream,
            mut payload,
            ..
        } = message;
        let truncated = || SessionError::Truncated { type_id };
        let number = |payload: &Bytes, at: usize| {
            let bytes = payload.get(at..at + 4).ok_or_else(truncated)?;
            Ok::<_, SessionError>(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let one = match type_id {
            type_id::SET_CHUNK_SIZE => {
                self.reader.set_chunk_size(number(&payload, 0)? & 0x7fff_ffff)?;
                None
            }
            type_id::ABORT => {
                self.reader.abort(number(&payload, 0)?);
                None
            }
            type_id::WINDOW_ACKNOWLEDGEMENT_SIZE => {
                self.peer_window = u64::from(number(&payload, 0)?.max(1));
                None
            }
            type_id::USER_CONTROL => self.take_user_control(&payload, number)?,
            type_id::AUDIO => Some(Incoming::Media {
                stream,
                kind: MediaType::Audio,
                timestamp,
                payload,
            }),
            type_id::VIDEO => Some(Incoming::Media {
                stream,
                kind: MediaType::Video,
                timestamp,
                payload,
            }),
            type_id::DATA | type_id::DATA_AMF3 => {
                if type_id == type_id::DATA_AMF3 {
                    // A format byte, then AMF0 with values of AMF3 in it, which players need not read.
                    if payload.first() == Some(&0) {
                        payload.advance(1);
                    }
                    payload = amf::encode(&amf::decode(&payload)?);
                }
                const CLEAR_DATA_FRAME: &[u8] = b"\x02\x00\x0f@clearDataFrame";
                if payload.starts_with(CLEAR_DATA_FRAME) {
                    return Ok(Vec::new());
                }
                // Publishers wrap what is to be stored; players get what is inside.
                const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";
                if payload.starts_with(SET_DATA_FRAME) {
                    payload.advance(SET_DATA_FRAME.len());
                }
                (!payload.is_empty()).then_some(Incoming::Media {
                    stream,
                    kind: MediaType::Data,
                    timestamp,
                    payload,
                })
            }
            type_id::COMMAND | type_id::COMMAND_AMF3 => {
                // Type 17 begins with a format byte; what follows is AMF0, which may switch to AMF3 for a value.
                if type_id == type_id::COMMAND_AMF3 && payload.first() == Some(&0) {
                    payload.advance(1);
                }
                Some(Incoming::Command {
                    stream,
                    values: amf::decode(&payload)?,
                })
            }
            type_id::AGGREGATE => {
                let parts = Aggregate::new(timestamp, payload);
                return Ok(parts
                    .map(|(kind, timestamp, payload)| Incoming::Media {
                        stream,
                        kind,
                        timestamp,
                        payload,
                    })
                    .collect());
            }
            _ => None,
        };
        Ok(one.into_iter().collect())
    }

    fn take_user_control(
        &mut self,
        payload: &Bytes,
        number: impl Fn(&Bytes, usize) -> Result<u32, SessionError>,
    ) -> Result<Option<Incoming>, SessionError> {
        let Some(event) = payload.first_chunk::<2>() else {
            return Err(SessionError::Truncated {
                type_id: type_id::USER_CONTROL,
            });
        };
        Ok(match u16::from_be_bytes(*event) {
            user_event::PING_REQUEST => {
                let echo = number(payload, 2)?;
                self.control(
                    type_id::USER_CONTROL,
                    &control::event(user_event::PING_RESPONSE, &[echo]),
                );
                None
            }
            user_event::PING_RESPONSE => Some(Incoming::Pong {
                timestamp: number(payload, 2)?,
            }),
            user_event::STREAM_EOF => Some(Incoming::StreamEof),
            user_event::SET_BUFFER_LENGTH => Some(Incoming::BufferLength {
                stream: MessageStreamId(number(payload, 2)?),
                millis: number(payload, 6)?,
            }),
            _ => None,
        })
    }

    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.control(type_id::SET_CHUNK_SIZE, &control::u32(size));
        self.writer.set_chunk_size(size);
    }

    pub(super) fn control(&mut self, type_id: u8, payload: &[u8]) {
        self.write(
            CONTROL,
            RtmpTime(0),
            type_id,
            MessageStreamId(0),
            Bytes::copy_from_slice(payload),
        );
    }

    pub(super) fn event(&mut self, event: u16, values: &[u32]) {
        self.control(type_id::USER_CONTROL, &control::event(event, values));
    }

    pub(super) fn command(&mut self, stream: MessageStreamId, values: &[Value]) {
        let chunk_stream = if stream.0 == 0 { COMMAND } else { STATUS };
        self.write(chunk_stream, RtmpTime(0), type_id::COMMAND, stream, amf::encode(values));
    }

    pub(super) fn media(&mut self, stream: MessageStreamId, kind: MediaType, timestamp: RtmpTime, payload: &Bytes) {
        self.write(kind.chunk_stream(), timestamp, kind.type_id(), stream, payload.clone());
    }

    fn write(
        &mut self,
        chunk_stream: ChunkStreamId,
        timestamp: RtmpTime,
        type_id: u8,
        stream: MessageStreamId,
        payload: Bytes,
    ) {
        let mut out = BytesMut::with_capacity(payload.len() + 64);
        let message = RawMessage {
            chunk_stream,
            timestamp,
            type_id,
            stream,
            payload,
        };
        // On a server's media chunk streams shared forms go between, and a header must not refer to what was before.
        let is_media = matches!(type_id, type_id::AUDIO | type_id::VIDEO | type_id::DATA);
        match self.role {
            Role::Server if is_media => self.writer.write_whole(&message, &mut out),
            Role::Server | Role::Client => self.writer.write(&message, &mut out),
        }
        self.output.push_back(out.freeze());
    }
}
