//! Peers: RTMP connections to a running server, each on a thread of its own.
//!
//! Inside the server the elements are fed by their host. Outside there is no async runtime, only GStreamer's threads, so a
//! connection is one plain thread with a blocking socket that its element can cut off.

use std::{
    io::{ErrorKind, Read, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gst::{glib, prelude::*};
use streammill_local_socket::NoServer;
use streammill_rtmp::{ClientConfig, ClientEvent, ClientSession, SessionError, status};

use crate::{location::Location, socket::Socket};

/// Time the server has to let the client in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection's thread, as its element sees it. Dropping it cuts the connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stop: Arc<Stop>,
}

/// What ends a thread that may be waiting for the network.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    socket: Mutex<Option<Socket>>,
}

impl Peer {
    /// Runs `work` on a new thread. What it fails with becomes an error message of `element`, unless it was told to stop.
    pub(crate) fn start(
        element: &gst::Element,
        name: &str,
        work: impl FnOnce(&Stop) -> Result<(), PeerError> + Send + 'static,
    ) -> Result<Self, gst::StateChangeError> {
        let stop = Arc::new(Stop::default());
        let (for_thread, weak) = (stop.clone(), element.downgrade());
        let run = move || {
            let result = work(&for_thread);
            if let (Err(error), false, Some(element)) = (result, for_thread.is_asked(), weak.upgrade()) {
                gst::element_error!(element, error.kind(), ("{}", error));
            }
        };
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        spawned.map(|_| Self { stop }).map_err(|error| {
            gst::element_error!(element, gst::ResourceError::Failed, ("no thread: {}", error));
            gst::StateChangeError
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.asked.store(true, Ordering::Relaxed);
        if let Some(socket) = &*self.stop.socket() {
            // Already closed by the server is closed as well.
            let _ = socket.shutdown();
        }
    }
}

impl Stop {
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The lock is held for single calls only; a poisoned one is still whole.
    fn socket(&self) -> std::sync::MutexGuard<'_, Option<Socket>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session on a socket.
pub(crate) struct Connection {
    pub(crate) session: ClientSession,
    socket: Socket,
    input: Box<[u8]>,
}

/// What reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Something,
    /// Nothing within the time.
    Nothing,
    /// The server has closed.
    Closed,
}

impl Connection {
    /// Connects, and waits until the server has let the client in.
    pub(crate) fn open(location: &Location, stop: &Stop) -> Result<Self, PeerError> {
        let socket = Socket::connect(&location.server)?;
        socket.set_write_timeout(WRITE_TIMEOUT).map_err(PeerError::Network)?;
        *stop.socket() = Some(socket.try_clone().map_err(PeerError::Network)?);
        let config = ClientConfig {
            app: location.app.clone(),
            tc_url: location.tc_url(),
            ..ClientConfig::default()
        };
        let mut connection = Self {
            session: ClientSession::new(config, entropy()),
            socket,
            input: vec![0; 64 << 10].into_boxed_slice(),
        };
        connection.wait_for(stop, |event| matches!(event, ClientEvent::Connected))?;
        Ok(connection)
    }

    /// Goes on until the event that is asked for comes.
    pub(crate) fn wait_for(&mut self, stop: &Stop, is_wanted: impl Fn(&ClientEvent) -> bool) -> Result<(), PeerError> {
        let deadline = Instant::now() + JOIN_TIMEOUT;
        loop {
            self.flush()?;
            while let Some(event) = self.session.poll_event() {
                if is_wanted(&event) {
                    return Ok(());
                }
                if let ClientEvent::Rejected { code, description } = event {
                    return Err(PeerError::Refused { code, description });
                }
            }
            if stop.is_asked() {
                return Err(PeerError::Stopped);
            }
            if Instant::now() >= deadline {
                return Err(PeerError::Silent);
            }
            if self.hear(Duration::from_millis(100))? == Heard::Closed {
                return Err(PeerError::Closed);
            }
        }
    }

    /// Sends what the session has to say.
    pub(crate) fn flush(&mut self) -> Result<(), PeerError> {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).map_err(PeerError::Network)?;
        }
        Ok(())
    }

    /// Reads once, for at most `patience`, and lets the session take it.
    pub(crate) fn hear(&mut self, patience: Duration) -> Result<Heard, PeerError> {
        self.socket.set_read_timeout(patience).map_err(PeerError::Network)?;
        match self.socket.read(&mut self.input) {
            Ok(0) => Ok(Heard::Closed),
            Ok(length) => {
                self.session.handle_input(&self.input[..length])?;
                Ok(Heard::Something)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(Heard::Nothing)
            }
            Err(error) => Err(PeerError::Network(error)),
        }
    }
}

/// RTMP fills its handshake with it; nothing secret hangs on it.
fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(4) {
        chunk.copy_from_slice(&glib::random_int().to_ne_bytes());
    }
    bytes
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error(transparent)]
    NoServer(#[from] NoServer),
    #[error("connection lost: {0}")]
    Network(std::io::Error),
    #[error("the server does not answer")]
    Silent,
    #[error("the server closed the connection")]
    Closed,
    #[error("the server refused: {description} ({code})")]
    Refused { code: String, description: String },
    #[error("what the server sends is not RTMP: {0}")]
    Session(#[from] SessionError),
    #[error("stream {stream} is not live; it was waited for {seconds} s")]
    NotLive { stream: String, seconds: u32 },
    #[error("stream {stream} has nothing that was asked for; it has {has}")]
    NothingFits { stream: String, has: String },
    #[error("stopped")]
    Stopped,
}

impl PeerError {
    /// What programs may tell apart.
    fn kind(&self) -> gst::ResourceError {
        match self {
            Self::Connect(_) | Self::NoServer(_) | Self::NotLive { .. } | Self::NothingFits { .. } => {
                gst::ResourceError::NotFound
            }
            Self::Refused { code, .. } if code == status::PUBLISH_BAD_NAME.text => gst::ResourceError::Busy,
            Self::Refused { code, .. } if code == status::PLAY_STREAM_NOT_FOUND.text => gst::ResourceError::NotFound,
            Self::Refused { .. } => gst::ResourceError::NotAuthorized,
            Self::Network(_) | Self::Silent | Self::Closed | Self::Session(_) | Self::Stopped => {
                gst::ResourceError::Failed
            }
        }
    }
}
