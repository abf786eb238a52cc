//! Two sessions back to back: what one says is cut anywhere and given to the other. No socket, no clock.

use streammill_rtmp::{
    ClientConfig, ClientEvent, ClientSession, Limits, MessageStreamId, ServerConfig, ServerEvent, ServerSession,
    SessionError,
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

    /// Connects and lets the client in.
    pub(crate) fn connect(&mut self) {
        self.run().expect("the handshake and connect are legal");
        self.server.accept_connect();
        self.run().expect("the answer is legal");
        assert!(matches!(self.client_events.pop(), Some(ClientEvent::Connected)));
    }

    /// Asks to publish and gives the server's view of it.
    pub(crate) fn ask_to_publish(&mut self, name: &str) -> MessageStreamId {
        self.client.publish(name);
        self.run().expect("the request is legal");
        let asked = self.server_events.iter().rev().find_map(|event| match event {
            ServerEvent::Publish(request) => Some(request.stream),
            _ => None,
        });
        asked.expect("a publish request")
    }

    /// Asks to play and gives the server's view of it.
    pub(crate) fn ask_to_play(&mut self, name: &str) -> MessageStreamId {
        self.client.play(name);
        self.run().expect("the request is legal");
        let asked = self.server_events.iter().rev().find_map(|event| match event {
            ServerEvent::Play(request) => Some(request.stream),
            _ => None,
        });
        asked.expect("a play request")
    }
}
