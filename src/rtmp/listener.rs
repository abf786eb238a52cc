//! Listening: accepts connections, bounds their number, gives each a task and a span.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, debug, field, info_span, warn};

use super::{Context, connection::Connection, socket::split};

/// Pause after a failed accept. Failures come from a lack of file descriptors or memory, which time may heal.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket that is not accepting yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind.await.map_err(|source| BindError { address, source })
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `accepting` is cancelled. Connections go on until `connections` is.
    pub async fn run(
        self,
        context: Arc<Context>,
        slots: Arc<Semaphore>,
        accepting: CancellationToken,
        connections: CancellationToken,
        tasks: TaskTracker,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = accepting.cancelled() => return,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                warn!(%peer, limit = context.settings.max_connections, "connection refused: rtmp.max_connections is reached");
                continue;
            };
            let span = info_span!("rtmp", %peer, stream = field::Empty);
            let core = context.cores.next().handle();
            let socket = match move_to(socket, core) {
                Ok(socket) => socket,
                Err(error) => {
                    warn!(%peer, %error, "cannot serve a connection");
                    continue;
                }
            };
            set_no_delay(&socket);
            let (reader, writer) = split(socket);
            let connection = Connection::new(reader, writer, peer, context.clone());
            let stop = connections.clone();
            let task = async move {
                connection.run(stop).await;
                drop(slot);
            };
            tasks.spawn_on(task.instrument(span), core);
        }
    }
}

/// Moves a socket to the event loop of the core that will serve it.
fn move_to(socket: TcpStream, core: &Handle) -> io::Result<TcpStream> {
    let socket = socket.into_std()?;
    let _context = core.enter();
    TcpStream::from_std(socket)
}

/// Small writes go out at once: what is worth merging has been merged before it comes to the socket.
fn set_no_delay(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}
