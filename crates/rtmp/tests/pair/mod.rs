//! Two sessions back to back: what one says is cut anywhere and given to the other. No socket, no clock.

use bytes::{Bytes, BytesMut};
use streammill_rtmp::{
    ChunkStreamId, ClientConfig, ClientEvent, ClientSession, Limits, MessageStreamId, RequestId, RtmpTime,
    ServerConfig, ServerEvent, ServerSession, SessionError,
    amf::{self, Value},
    chunk::{ChunkWriter, RawMessage},
};

/// A client and a server, and the wire between them.
pub(crate) struct Pair {
    pub(crate) client: ClientSession,
    pub(crate) server: ServerSession,
    pub(crate) client_events: Vec<ClientEvent>,
    pub(crate) server_events: Vec<ServerEvent>,
    cuts: Cuts,
}

/// Where the wire cuts: lengths from a small generator, the same for the same seed.
struct Cuts(u64);

impl Cuts {
    fn next(&mut self) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        // Single bytes often, large pieces sometimes: both find mistakes.
        match random % 4 {
            0 => 1,
            1 => 1 + (random >> 8) as usize % 16,
            _ => 1 + (random >> 8) as usize % 3000,
        }
    }
}

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, ClientConfig::default(), Limits::default())
    }

    pub(crate) fn with(seed: u64, client: ClientConfig, limits: Limits) -> Self {
        let config = ServerConfig {
            limits,
            ..ServerConfig::default()
        };
        Self {
            client: ClientSession::new(client, [1; 32]),
            server: ServerSession::new(config, [2; 32]),
            client_events: Vec::new(),
            server_events: Vec::new(),
            cuts: Cuts(seed.max(1)),
        }
    }

    /// Carries bytes both ways until nobody has anything to say.
    pub(crate) fn run(&mut self) -> Result<(), SessionError> {
        loop {
            let mut is_quiet = true;
            while let Some(bytes) = self.client.poll_output() {
                is_quiet = false;
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, behind) = rest.split_at(self.cuts.next().min(rest.len()));
                    self.server.handle_input(piece)?;
                    rest = behind;
                }
            }
            while let Some(bytes) = self.server.poll_output() {
                is_quiet = false;
                self.give_client(&bytes);
            }
            self.client_events
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            self.server_events
                .extend(std::iter::from_fn(|| self.server.poll_event()));
            if is_quiet {
                return Ok(());
            }
        }
    }

    /// Gives the client bytes that did not come from the session, cut anywhere.
    pub(crate) fn give_client(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.cuts.next().min(rest.len()));
            self.client
                .handle_input(piece)
                .expect("a server of ours breaks no rule");
            rest = behind;
        }
    }

    /// Says a command in the client's place.
    #[allow(dead_code, reason = "not every test has to")]
    pub(crate) fn say(&mut self, stream: u32, values: &[Value]) -> Result<(), SessionError> {
        self.say_raw(20, stream, amf::encode(values))
    }

    /// Says a message of any type.
    #[allow(dead_code, reason = "not every test has to")]
    pub(crate) fn say_raw(&mut self, type_id: u8, stream: u32, payload: Bytes) -> Result<(), SessionError> {
        let message = RawMessage {
            chunk_stream: ChunkStreamId(40),
            timestamp: RtmpTime(0),
            type_id,
            stream: MessageStreamId(stream),
            payload,
        };
        let mut writer = ChunkWriter::default();
        writer.set_chunk_size(4096);
        let mut out = BytesMut::new();
        writer.write_whole(&message, &mut out);
        let result = self.server.handle_input(&out);
        self.run()?;
        result
    }

    /// What the server asked for last.
    #[allow(dead_code, reason = "not every test has to")]
    pub(crate) fn asked(&mut self) -> Option<RequestId> {
        let mut events = std::mem::take(&mut self.server_events).into_iter().rev();
        events.find_map(|event| match event {
            ServerEvent::Publish(request) => Some(request.id),
            ServerEvent::Play(request) => Some(request.id),
            _ => None,
        })
    }

    /// Codes of statuses and refusals that the client has seen.
    #[allow(dead_code, reason = "not every test has to")]
    pub(crate) fn codes(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.client_events).into_iter();
        let code = |event| match event {
            ClientEvent::Status { code, .. } | ClientEvent::Rejected { code, .. } => Some(code),
            ClientEvent::PublishStarted => Some("NetStream.Publish.Start".to_owned()),
            ClientEvent::PlayStarted => Some("NetStream.Play.Start".to_owned()),
            _ => None,
        };
        events.filter_map(code).collect()
    }

    /// Connects and lets the client in.
    pub(crate) fn connect(&mut self) {
        self.run().expect("the handshake and connect are legal");
        self.server.accept_connect().expect("nothing came early");
        self.run().expect("the answer is legal");
        assert!(matches!(self.client_events.pop(), Some(ClientEvent::Connected)));
    }

    #[allow(dead_code, reason = "not every test has to")]
    /// Asks to publish and gives the server's view of it.
    pub(crate) fn ask_to_publish(&mut self, name: &str) -> RequestId {
        self.client.publish(name);
        self.run().expect("the request is legal");
        let asked = self.server_events.iter().rev().find_map(|event| match event {
            ServerEvent::Publish(request) => Some(request.id),
            _ => None,
        });
        asked.expect("a publish request")
    }

    #[allow(dead_code, reason = "not every test has to")]
    /// Asks to play and gives the server's view of it.
    pub(crate) fn ask_to_play(&mut self, name: &str) -> RequestId {
        self.client.play(name);
        self.run().expect("the request is legal");
        let asked = self.server_events.iter().rev().find_map(|event| match event {
            ServerEvent::Play(request) => Some(request.id),
            _ => None,
        });
        asked.expect("a play request")
    }
}
