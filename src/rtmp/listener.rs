//! Listening: accepts connections, bounds their number, gives each a task on a core.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, field, info_span, warn};

use super::{
    Context,
    arrival::{Arrival, Place},
    bind::{BindError, Bound},
    certificates::{CertificateError, Certificates},
};
use crate::config::ListenAddress;

/// Pause after a failed accept. Failures come from a lack of file descriptors or memory, which time may heal.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket that is not accepting yet.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    address: ListenAddress,
    tls: Option<Arc<ServerConfig>>,
}

impl Listener {
    /// Binds an address for RTMP; port 0 takes a free one.
    pub fn bind(address: &ListenAddress) -> Result<Self, BindError> {
        let (socket, address) = Bound::new(address)?;
        Ok(Self {
            socket,
            address,
            tls: None,
        })
    }

    /// Binds the local socket.
    pub(super) fn bind_local(path: &Path) -> Result<Self, BindError> {
        let (socket, address) = Bound::local(path)?;
        Ok(Self {
            socket,
            address,
            tls: None,
        })
    }

    /// Takes only clients that speak TLS, which makes it RTMPS.
    pub fn with_tls(self, certificates: &Certificates) -> Result<Self, CertificateError> {
        let tls = Some(Arc::new(certificates.server_config()?));
        Ok(Self { tls, ..self })
    }

    /// The address it is bound to.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rtmps" } else { "rtmp" };
        match &self.address {
            ListenAddress::Tcp(address) => format!("{scheme}://{address}"),
            ListenAddress::Unix(path) => format!("{scheme}+unix:{}", path.display()),
        }
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
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let place = match slots.clone().try_acquire_owned() {
                Ok(slot) => Some(Place::counted(slot)),
                Err(_) => context.clients.refuse("The server has no room for another connection."),
            };
            let Some(place) = place else { continue };
            let core = context.cores.next().handle();
            let stream = match stream.move_to(core) {
                Ok(stream) => stream,
                Err(error) => {
                    warn!(%error, "cannot serve a connection");
                    continue;
                }
            };
            let arrival = Arrival {
                stream,
                from,
                place,
                tls: self.tls.clone(),
                context: context.clone(),
            };
            let span = info_span!("rtmp", peer = field::Empty, stream = field::Empty);
            let task = arrival.run(connections.clone());
            tasks.spawn_on(task.instrument(span), core);
        }
    }
}
