//! Fuzz bodies. They live beside the code they break with; `fuzz/` holds one call each.

use bytes::{Bytes, BytesMut};

use crate::{
    ChunkStreamId, ClientConfig, ClientEvent, ClientSession, Limits, MediaType, MessageStreamId, Rejection, RtmpTime,
    ServerConfig, ServerEvent, ServerSession, SessionError, amf,
    chunk::{ChunkReader, ChunkWriter, RawMessage},
    status,
};

/// Small, so that the bounds are met by short inputs.
const LIMITS: Limits = Limits {
    max_message: 64 << 10,
    max_in_flight: 128 << 10,
    max_chunk_size: 64 << 10,
    max_chunk_streams: 16,
    max_message_streams: 4,
};

/// Any bytes as chunks: what comes out does not depend on how they were cut, and stays within the bounds.
///
/// # Panics
/// When that does not hold.
pub fn chunk_reader(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let (whole, failed) = read_chunks(stream, stream.len().max(1));
    let cut_up = read_chunks(stream, usize::from(*cut).max(1));
    assert_eq!((&whole, failed), (&cut_up.0, cut_up.1), "the cut made a difference");
    assert!(whole.iter().all(|message| message.payload.len() <= LIMITS.max_message));
}

fn read_chunks(stream: &[u8], cut: usize) -> (Vec<RawMessage>, bool) {
    let mut reader = ChunkReader::new(LIMITS);
    let mut messages = Vec::new();
    for mut piece in stream.chunks(cut) {
        loop {
            match reader.read(&mut piece) {
                Ok(Some(message)) => {
                    // Obeyed as a session obeys them, or chunks of other sizes would never be met.
                    let argument = message.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                    match (message.type_id, argument) {
                        (1, Some(size)) if reader.set_chunk_size(size).is_err() => return (messages, true),
                        (2, Some(chunk_stream)) => reader.abort(chunk_stream),
                        _ => {}
                    }
                    messages.push(message);
                }
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

/// Messages made of any bytes: what the writer wrote the reader reads.
///
/// # Panics
/// When that does not hold.
pub fn chunk_roundtrip(data: &[u8]) {
    let Some((head, mut rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let chunk_size = u32::from(u16::from_be_bytes(*head)).max(1);
    let (mut writer, mut reader) = (ChunkWriter::default(), ChunkReader::new(LIMITS));
    writer.set_chunk_size(chunk_size);
    reader.set_chunk_size(chunk_size).expect("within the limits");
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let length = usize::from(u16::from_be_bytes([head[6], head[7]])).min(tail.len());
        let (payload, tail) = tail.split_at(length);
        rest = tail;
        let message = RawMessage {
            chunk_stream: ChunkStreamId(2 + u32::from(head[0] % 8)),
            timestamp: RtmpTime(u32::from_be_bytes([head[1], head[2], head[3], head[4]])),
            type_id: head[5],
            stream: MessageStreamId(1),
            payload: Bytes::copy_from_slice(payload),
        };
        let mut wire = BytesMut::new();
        writer.write(&message, &mut wire);
        assert_eq!(reader.read(&mut &wire[..]).as_ref().ok(), Some(&Some(message)));
    }
}

/// Any bytes as AMF0: what is understood can be written, and is understood alike again.
///
/// # Panics
/// When that does not hold.
pub fn amf(data: &[u8]) {
    if let Ok(values) = amf::decode(data) {
        let written = amf::encode(&values);
        let again = amf::decode(&written).expect("what was written can be read");
        // Compared as bytes: a NaN is not equal to itself.
        assert_eq!(amf::encode(&again), written);
    }
}

/// Any bytes as AMF3, behind the marker with which AMF0 switches to it for each value.
///
/// # Panics
/// When what is understood cannot be passed on as AMF0.
pub fn amf3(data: &[u8]) {
    amf(&[&[0x11], data].concat());
}

/// Any bytes as what a client says after the handshake, to a server that accepts and refuses in turns.
///
/// # Panics
/// When the server does.
pub fn server_session(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else {
        return;
    };
    let mut pair = Pair::new();
    // The client's own connect is held back: the bytes take its place.
    pair.shake_hands();
    for piece in rest.chunks(usize::from(*cut).max(1)) {
        let result = pair.server.handle_input(piece);
        pair.answer_requests(|| piece[0] & 1 == 0);
        while pair.server.poll_output().is_some() {}
        if result.is_err() {
            return;
        }
    }
}

/// Any bytes as what a server says after the handshake, to a client that publishes or plays.
///
/// # Panics
/// When the client does.
pub fn client_session(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else {
        return;
    };
    let mut pair = Pair::new();
    pair.shake_hands();
    match cut & 1 {
        0 => pair.client.publish("name"),
        _ => pair.client.play("name"),
    }
    for piece in rest.chunks(usize::from(*cut).max(1)) {
        let result = pair.client.handle_input(piece);
        while pair.client.poll_event().is_some() {}
        while pair.client.poll_output().is_some() {}
        if result.is_err() {
            return;
        }
    }
}

/// Any bytes as a handshake, to either end: repeated until both of the other end's packets are full.
///
/// # Panics
/// When an end does, or goes on with less than a whole handshake.
pub fn handshake(data: &[u8]) {
    const WHOLE: usize = 1 + 2 * 1536;
    let [cut, version, noise @ ..] = data else {
        return;
    };
    if noise.is_empty() {
        return;
    }
    let noise = noise.iter().copied().cycle().take(WHOLE - 1);
    let hello: Vec<u8> = std::iter::once(*version).chain(noise).collect();
    let mut pair = Pair::new();
    while pair.client.poll_output().is_some() {}
    let cut = usize::from(*cut).max(1) * 16;
    let (mut is_served, mut is_heard) = (true, true);
    for piece in hello.chunks(cut) {
        is_served = is_served && pair.server.handle_input(piece).is_ok();
        is_heard = is_heard && pair.client.handle_input(piece).is_ok();
    }
    assert!(pair.server.poll_event().is_none(), "nobody has said anything yet");
    assert!(*version == 3 || !is_served, "another version than 3 was taken");
    while pair.server.poll_output().is_some() {}
    while pair.client.poll_output().is_some() {}
}

/// A conversation of two sessions, its steps and the cuts of the stream chosen by the bytes. Media that was sent after
/// a publish was accepted arrives, whole and in order.
///
/// # Panics
/// When that does not hold, or when one end takes what the other said for an error.
pub fn session_ops(data: &[u8]) {
    let mut pair = Pair::new();
    pair.settle(7).expect("two sessions understand each other");
    let mut is_publishing = false;
    let mut sent = Vec::new();
    for step in data.chunks(3) {
        let [operation, argument, cut] = [0, 1, 2].map(|index| step.get(index).copied().unwrap_or_default());
        match operation % 6 {
            0 if !is_publishing => {
                pair.client.publish("name?key=secret");
                pair.settle(cut).expect("two sessions understand each other");
                is_publishing = pair
                    .client_heard
                    .iter()
                    .any(|event| matches!(event, ClientEvent::PublishStarted));
            }
            1 if is_publishing => {
                let payload = Bytes::from(vec![argument; usize::from(argument) * usize::from(cut)]);
                let kind = if argument & 1 == 0 {
                    MediaType::Audio
                } else {
                    MediaType::Video
                };
                let timestamp = RtmpTime(u32::from_be_bytes([argument, cut, argument, cut]));
                pair.client.send_frame(kind, timestamp, &payload);
                sent.push((timestamp, payload));
            }
            2 => pair.server.ping(u32::from(argument)),
            3 if is_publishing => {
                pair.settle(cut).expect("two sessions understand each other");
                pair.client.close_stream();
                pair.settle(cut).expect("two sessions understand each other");
                pair.client_heard.clear();
                is_publishing = false;
            }
            _ => pair.settle(cut).expect("two sessions understand each other"),
        }
    }
    pair.settle(1).expect("two sessions understand each other");
    assert_eq!(pair.media, sent);
}

/// Both ends of a connection, and what was heard on it.
struct Pair {
    server: ServerSession,
    client: ClientSession,
    client_heard: Vec<ClientEvent>,
    media: Vec<(RtmpTime, Bytes)>,
}

impl Pair {
    fn new() -> Self {
        Self {
            server: ServerSession::new(
                ServerConfig {
                    limits: LIMITS,
                    ..ServerConfig::default()
                },
                [1; 32],
            ),
            client: ClientSession::new(
                ClientConfig {
                    limits: LIMITS,
                    ..ClientConfig::default()
                },
                [2; 32],
            ),
            client_heard: Vec::new(),
            media: Vec::new(),
        }
    }

    /// C0 to S2; C2 goes with the client's first words, which are cut off.
    fn shake_hands(&mut self) {
        const C2: usize = 1536;
        let transfer =
            |from: &mut dyn FnMut() -> Option<Bytes>| std::iter::from_fn(from).flatten().collect::<Vec<u8>>();
        let hello = transfer(&mut || self.client.poll_output());
        self.server.handle_input(&hello).expect("C0 and C1");
        let answer = transfer(&mut || self.server.poll_output());
        self.client.handle_input(&answer).expect("S0, S1 and S2");
        let rest = transfer(&mut || self.client.poll_output());
        self.server.handle_input(&rest[..C2]).expect("C2");
    }

    /// Carries bytes in pieces of `cut`, both ways, until nobody has more to say.
    fn settle(&mut self, cut: u8) -> Result<(), SessionError> {
        let cut = usize::from(cut).max(1) * 16;
        loop {
            let mut is_quiet = true;
            while let Some(bytes) = self.client.poll_output() {
                is_quiet = false;
                for piece in bytes.chunks(cut) {
                    self.server.handle_input(piece)?;
                }
            }
            self.answer_requests(|| true);
            while let Some(bytes) = self.server.poll_output() {
                is_quiet = false;
                for piece in bytes.chunks(cut) {
                    self.client.handle_input(piece)?;
                }
            }
            self.client_heard
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            if is_quiet {
                return Ok(());
            }
        }
    }

    fn answer_requests(&mut self, is_welcome: impl Fn() -> bool) {
        let rejection = Rejection::new(status::FAILED, "No.");
        while let Some(event) = self.server.poll_event() {
            match event {
                // What came too early is an error of the client's, which its next message shows again.
                ServerEvent::Connect(_) if is_welcome() => drop(self.server.accept_connect()),
                ServerEvent::Connect(_) => self.server.reject_connect(&rejection),
                ServerEvent::Publish(request) if is_welcome() => {
                    self.server.accept_publish(request.id);
                }
                ServerEvent::Publish(request) => self.server.reject_publish(request.id, &rejection),
                ServerEvent::Play(request) if is_welcome() => {
                    self.server.accept_play(request.id);
                }
                ServerEvent::Play(request) => self.server.reject_play(request.id, &rejection),
                ServerEvent::Media { timestamp, payload, .. } => self.media.push((timestamp, payload)),
                _ => {}
            }
        }
    }
}
