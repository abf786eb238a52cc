//! Arriving: what is settled between accepting a connection and speaking RTMP on it.
//!
//! Whose connection it is (a load balancer says it with a PROXY header), whether that client may have another one, and
//! the TLS handshake, in this order and within the time that a client has for its handshake. It happens in the
//! connection's own task, so a client that dawdles here holds up nobody.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustls::ServerConfig;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{error::Elapsed, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Span, info};

use super::{
    Context,
    connection::Connection,
    limits::{Slot, client_of},
    proxy_protocol::{self, Client, Header},
    socket::Socket,
    stream::Stream,
};

/// Bytes of a PROXY header read at a time.
const PIECE: usize = 256;

/// A connection that was accepted.
pub(super) struct Arrival {
    pub(super) stream: Stream,
    /// The address it comes from, which may be a load balancer's; none for a socket file.
    pub(super) from: Option<SocketAddr>,
    pub(super) place: Place,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) context: Arc<Context>,
}

/// A connection's place among all, held as long as the connection lasts.
#[derive(Debug)]
pub(super) struct Place {
    /// Why the client is to be told to go.
    pub(super) refusal: Option<&'static str>,
    _slot: OwnedSemaphorePermit,
    client: Option<Slot<Option<IpAddr>>>,
}

impl Place {
    pub(super) fn counted(slot: OwnedSemaphorePermit) -> Self {
        Self {
            refusal: None,
            _slot: slot,
            client: None,
        }
    }

    /// For a client that only stays to be told why it cannot.
    pub(super) fn refused(slot: OwnedSemaphorePermit, reason: &'static str) -> Self {
        Self {
            refusal: Some(reason),
            _slot: slot,
            client: None,
        }
    }
}

/// What is served.
struct Settled {
    socket: Socket,
    peer: Option<SocketAddr>,
    place: Place,
}

impl Arrival {
    /// Settles everything and serves the connection to its end.
    pub(super) async fn run(self, stop: CancellationToken) {
        self.stream.set_no_delay();
        let (from, context) = (self.from, self.context.clone());
        let settled = timeout(context.settings.timeout, self.settle());
        let ended = match stop.run_until_cancelled(settled).await {
            Some(Ok(Ok(Some(Settled { socket, peer, place })))) => {
                let (reader, writer) = socket.split();
                let connection = Connection::new(reader, writer, peer, place.refusal, context);
                connection.run(stop).await;
                return;
            }
            None | Some(Ok(Ok(None))) => return,
            Some(Ok(Err(error))) => error,
            Some(Err(Elapsed { .. })) => io::ErrorKind::TimedOut.into(),
        };
        info!(from = name_of(from), error = %ended, "connection closed before RTMP");
    }

    /// The socket to speak RTMP on, and whose it is. None for a client that is not even told.
    async fn settle(mut self) -> io::Result<Option<Settled>> {
        let settings = &self.context.settings;
        let is_proxy = |from: &SocketAddr| {
            let address = from.ip().to_canonical();
            let mut proxies = settings.proxy_protocol_from.iter();
            proxies.any(|network| network.contains(&address))
        };
        let peer = match self.from.filter(is_proxy) {
            Some(proxy) => match read_proxy_header(&self.stream).await? {
                Client::Address(address) => Some(address),
                Client::Proxy => Some(proxy),
            },
            None => self.from,
        };
        Span::current().record("peer", name_of(peer));
        if self.place.refusal.is_none() {
            let client = peer.map(|peer| client_of(peer.ip()));
            let clients = &self.context.clients;
            match clients.addresses.take(client, settings.max_connections_per_address) {
                Some(slot) => self.place.client = Some(slot),
                None => match clients.refuse("Your address has too many connections to this server.") {
                    Some(place) => self.place = place,
                    None => return Ok(None),
                },
            }
        }
        let socket = match self.tls {
            Some(config) => Socket::accept_tls(self.stream, config).await?,
            None => Socket::plain(self.stream),
        };
        Ok(Some(Settled {
            socket,
            peer,
            place: self.place,
        }))
    }
}

async fn read_proxy_header(stream: &Stream) -> io::Result<Client> {
    let mut header = Vec::new();
    loop {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let more = match proxy_protocol::parse(&header).map_err(invalid)? {
            Header::Complete(client) => return Ok(client),
            Header::Incomplete(more) => more,
        };
        let mut piece = [0; PIECE];
        match stream.try_read(&mut piece[..more.min(PIECE)]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => header.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            Err(error) => return Err(error),
        }
    }
}

/// For the log.
fn name_of(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "unix".to_owned(), |address| address.to_string())
}
