//! The RTMP front end: sockets and tasks around [`streammill_rtmp`]'s sessions.
//!
//! A [`listener`] accepts; an [`arrival`] settles whose connection it is and what protects it; each [`connection`] is one task that owns its socket and its session and moves bytes between
//! them; [`publish`] and [`play`] connect the session's streams with the hub. Players are written to by the tasks of the
//! [`fan`]-out, past their connections. What the protocol means is decided in the session, who may do what in the hub:
//! this layer only carries.

mod arrival;
mod asking;
mod bind;
mod certificates;
mod connection;
mod cores;
mod fan;
mod feed;
mod limits;
mod line;
mod listener;
mod local;
mod metadata;
mod outbox;
mod patience;
mod play;
mod proxy_protocol;
mod publish;
mod reads;
mod socket;
mod stream;
mod tls;
mod vhost;

use std::time::Duration;

use ipnet::IpNet;

use crate::{
    callback::{Callbacks, Reply},
    config::{self, App},
    hub::{Hub, StreamKey},
};

pub use bind::BindError;
pub use certificates::{CertificateError, Certificates};
pub use cores::Cores;
pub use fan::FanOut;
pub use limits::Clients;
pub use listener::Listener;
pub use local::bind_local;

/// What every connection is given.
#[derive(Debug)]
pub struct Context {
    /// Where streams meet.
    pub hub: Hub,
    /// The applications by name, each with the defaults filled in.
    pub apps: std::collections::BTreeMap<String, App>,
    /// Which of them a client means.
    pub vhosts: config::Vhosts,
    /// The connections there are.
    pub clients: Clients,
    /// Limits and times.
    pub settings: Settings,
    /// Where connections run.
    pub cores: std::sync::Arc<Cores>,
    /// Who writes to the players.
    pub fan: FanOut,
    /// Who is asked about publishers.
    pub callbacks: Callbacks,
    /// Who does what those who were asked want done.
    pub wishes: Wishes,
    /// How many have connected so far.
    pub connections: std::sync::atomic::AtomicU64,
}

/// Does what a service wants done with a stream that it lets in.
pub struct Wishes(pub Box<Grant>);

/// Does what a reply wants done with this stream.
pub type Grant = dyn Fn(&StreamKey, &Reply) + Send + Sync;

impl std::fmt::Debug for Wishes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wishes")
    }
}

/// Limits and times of the front end.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Chunk size of what is sent, bytes.
    pub chunk_size: u32,
    /// Largest message accepted, bytes.
    pub max_message: usize,
    /// Acknowledgement window asked of peers, bytes.
    pub ack_window: u32,
    /// Time for handshake and connect, and longest time without progress of a write.
    pub timeout: Duration,
    /// Silence after which a peer is pinged.
    pub ping: Duration,
    /// Time that a pinged peer has to send anything.
    pub ping_timeout: Duration,
    /// Most connections of one client at a time.
    pub max_connections_per_address: usize,
    /// Networks whose connections begin with a PROXY header.
    pub proxy_protocol_from: Vec<IpNet>,
}

impl From<&config::Rtmp> for Settings {
    /// Sizes that the protocol cannot express are held at its bounds; the configuration refuses them before.
    fn from(config: &config::Rtmp) -> Self {
        let u32_of = |size: config::Size| u32::try_from(size.0).unwrap_or(u32::MAX);
        Self {
            chunk_size: u32_of(config.chunk_size),
            max_message: usize::try_from(config.max_message.0).unwrap_or(usize::MAX),
            ack_window: u32_of(config.ack_window),
            timeout: config.timeout.0,
            ping: config.ping.0,
            ping_timeout: config.ping_timeout.0,
            max_connections_per_address: match config.max_connections_per_address {
                0 => usize::MAX,
                limit => limit,
            },
            proxy_protocol_from: config.proxy_protocol_from.clone(),
        }
    }
}
