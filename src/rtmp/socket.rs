//! A client's socket, plain or encrypted, in two ends: one reads and waits, the other is written to by whoever has
//! something to say.
//!
//! Writing never waits. The connection's task and the fan-out both write, and a player that takes no more must not hold
//! up the next one. What TLS has encrypted but the system does not take is at most one record: the plain text counts as
//! written when its record is out, so whoever writes sees a full socket as such, with or without TLS.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
    runtime::Handle,
};
use tracing::debug;

use super::patience::ENOUGH_BYTES;

/// Plain text of one TLS record (RFC 8446 §5.1), and all that waits encrypted for a socket.
const RECORD_BYTES: usize = 16 * 1024;

/// What the system gives: bytes in order.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connected stream, with TLS or without.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    tls: Option<Box<Mutex<Tls>>>,
}

/// The state of an encrypted connection.
#[derive(Debug)]
struct Tls {
    connection: ServerConnection,
    /// Plain text whose record is not wholly out. The writer still has it, and comes with it again.
    owed: usize,
}

/// Reads from the client.
#[derive(Debug)]
pub(super) struct Reader {
    socket: Arc<Socket>,
    is_patient: bool,
}

/// Writes to the client. Dropping it ends what the client hears.
#[derive(Debug)]
pub(super) struct Writer(Arc<Socket>);

impl Socket {
    pub(super) fn plain(stream: Stream) -> Self {
        Self { stream, tls: None }
    }

    /// Shakes hands with a client that speaks TLS.
    pub(super) async fn accept_tls(stream: Stream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(RECORD_BYTES));
        let mut tls = Tls { connection, owed: 0 };
        loop {
            while !tls.flush(&stream)? {
                stream.writable().await?;
            }
            if !tls.connection.is_handshaking() {
                break;
            }
            match tls.take_in(&stream) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
                Err(error) => return Err(error),
            }
        }
        let tls = Some(Box::new(Mutex::new(tls)));
        Ok(Self { stream, tls })
    }

    /// Both ends.
    pub(super) fn split(self) -> (Reader, Writer) {
        let socket = Arc::new(self);
        let reader = Reader {
            socket: socket.clone(),
            is_patient: false,
        };
        (reader, Writer(socket))
    }

    fn plain_tcp(&self) -> Option<&TcpStream> {
        match (&self.stream, &self.tls) {
            (Stream::Tcp(stream), None) => Some(stream),
            _ => None,
        }
    }
}

impl Reader {
    /// Reads what is there; 0 bytes at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Socket { stream, tls } = &*self.socket;
        loop {
            let read = match tls {
                None => stream.try_read(into),
                Some(tls) => lock(tls).read(stream, into),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_read_ready(cx))?,
                read => return Poll::Ready(read),
            }
        }
    }

    /// Reads what is there, however little, while patient; `WouldBlock` when that is nothing.
    pub(super) fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.socket.plain_tcp() {
            Some(stream) => (&*SockRef::from(stream)).read(into),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// While patient, [`poll_read`](Self::poll_read) is woken only when there is much to read. Answers whether it is,
    /// which only plain TCP can be: what TLS has to say to itself must not wait.
    pub(super) fn set_patient(&mut self, wanted: bool) -> bool {
        if wanted != self.is_patient
            && let Some(stream) = self.socket.plain_tcp()
        {
            let bytes = if wanted { ENOUGH_BYTES } else { 1 };
            self.is_patient = set_low_watermark(stream, bytes).is_ok() && wanted;
        }
        self.is_patient
    }
}

/// Bytes that must have come before the system calls a socket readable (`SO_RCVLOWAT`, socket(7)).
fn set_low_watermark(socket: &TcpStream, bytes: usize) -> io::Result<()> {
    let bytes = bytes as libc::c_int;
    let size = size_of_val(&bytes) as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed, and the option is an int that lives through the call.
    #[allow(unsafe_code, reason = "no crate in use offers this option")]
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Writer {
    /// Takes what the socket has room for; `WouldBlock` when that is nothing. Then the same bytes must come again.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Socket { stream, tls } = &*self.0;
        match tls {
            None => stream.try_write_vectored(slices),
            Some(tls) => lock(tls).write(stream, slices),
        }
    }

    /// Waits until there is room.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.0.stream.writable().await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The client may have gone before; then there is nobody to tell.
        if let Some(tls) = &self.0.tls {
            let mut tls = lock(tls);
            tls.connection.send_close_notify();
            let _ = tls.flush(&self.0.stream);
        }
        let _ = self.0.stream.shutdown_write();
    }
}

/// The lock is held for calls that do not wait; a poisoned one is still whole.
fn lock(tls: &Mutex<Tls>) -> MutexGuard<'_, Tls> {
    tls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tls {
    /// Plain text that is there; 0 bytes at the end. That end need not be announced: many clients just hang up.
    fn read(&mut self, stream: &Stream, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.take_in(stream)?;
            // Answers of TLS itself, such as to a key update; what finds no room goes with the next write.
            self.flush(stream)?;
        }
    }

    /// Takes in records from the stream. Returns how many bytes they were.
    fn take_in(&mut self, mut stream: &Stream) -> io::Result<usize> {
        let read = self.connection.read_tls(&mut stream)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The alert says why, if there is room for it.
            let _ = self.flush(stream);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(read)
    }

    fn write(&mut self, stream: &Stream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush(stream)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.owed == 0 {
            self.owed = self.connection.writer().write_vectored(slices)?;
            if !self.flush(stream)? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(std::mem::take(&mut self.owed))
    }

    /// Sends what is encrypted. False while some is left.
    fn flush(&mut self, mut stream: &Stream) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Stream {
    /// Moves it to the event loop of the core that will serve it.
    pub(super) fn move_to(self, core: &Handle) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => {
                let stream = stream.into_std()?;
                let _context = core.enter();
                TcpStream::from_std(stream).map(Self::Tcp)
            }
            Self::Unix(stream) => {
                let stream = stream.into_std()?;
                let _context = core.enter();
                UnixStream::from_std(stream).map(Self::Unix)
            }
        }
    }

    /// Small writes go out at once: what is worth merging has been merged before it comes to the socket.
    pub(super) fn set_no_delay(&self) {
        if let Self::Tcp(stream) = self
            && let Err(error) = stream.set_nodelay(true)
        {
            debug!(%error, "cannot set TCP_NODELAY");
        }
    }

    /// Reads what is there; `WouldBlock` when that is nothing.
    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let raw = self.raw();
        let mut last = None;
        // Less than there is room for is all there was: the event loop is told at once, which spares the call that would
        // only find nothing. It knows of what came after the event that led here.
        let read = || match (&*raw).read(into) {
            Ok(read) if (1..into.len()).contains(&read) => {
                last = Some(read);
                Err(io::ErrorKind::WouldBlock.into())
            }
            read => read,
        };
        let read = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, read),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, read),
        };
        last.map_or(read, Ok)
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// For one task at a time.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let raw = self.raw();
        // Both are calls for sockets; writev, which tokio would make, comes to the same by way of the file system.
        let send = || match slices {
            [one] => raw.send(one),
            several => raw.send_vectored(several),
        };
        match send() {
            // Only now the event loop has to know, for it to tell when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self {
                Self::Tcp(stream) => stream.try_io(Interest::WRITABLE, send),
                Self::Unix(stream) => stream.try_io(Interest::WRITABLE, send),
            },
            sent => sent,
        }
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.raw().shutdown(Shutdown::Write)
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

/// For rustls, which reads and writes by the traits. Neither waits.
impl Read for &Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.try_read(into)
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{future::poll_fn, os::unix::net::UnixStream as Client, thread};

    use bytes::Bytes;
    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
        version::{TLS12, TLS13},
    };

    use super::*;
    use crate::rtmp::outbox::{Outbox, Sent};

    /// A server's socket and a client that speaks TLS to it.
    async fn connected(
        version: &'static SupportedProtocolVersion,
    ) -> (Socket, rustls::StreamOwned<ClientConnection, Client>) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issued.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();

        let (near, far) = Client::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let stream = Stream::Unix(UnixStream::from_std(near).unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(client), name).unwrap();
        let client = thread::spawn(move || {
            let mut client = rustls::StreamOwned::new(client, far);
            client.flush().unwrap();
            client
        });
        let socket = Socket::accept_tls(stream, Arc::new(server)).await.unwrap();
        (socket, client.join().unwrap())
    }

    /// Bytes that differ from place to place.
    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 31 % 251) as u8).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_stops_reading_fills_the_socket_and_misses_nothing() {
        for version in [&TLS12, &TLS13] {
            let (socket, mut client) = connected(version).await;
            let (_reader, writer) = socket.split();
            let sent = pattern(5_000_000);
            let mut outbox = Outbox::default();
            for piece in sent.chunks(7_001) {
                outbox.push(Bytes::copy_from_slice(piece));
            }
            assert_eq!(outbox.flush(&writer).unwrap(), Sent::Some);
            assert!(outbox.bytes() > 4_000_000, "written into memory: {}", outbox.bytes());
            assert_eq!(outbox.flush(&writer).unwrap(), Sent::Nothing);

            let reading = thread::spawn(move || {
                let mut heard = Vec::new();
                client.read_to_end(&mut heard).unwrap();
                heard
            });
            while outbox.flush(&writer).unwrap() != Sent::All {
                writer.writable().await.unwrap();
            }
            drop(writer);
            // The end was announced, or reading to it would have failed.
            assert!(reading.join().unwrap() == sent, "the bytes are not the same");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_client_says_arrives_whole_and_then_its_end() {
        for version in [&TLS12, &TLS13] {
            let (socket, mut client) = connected(version).await;
            let (mut reader, _writer) = socket.split();
            let said = pattern(1_000_000);
            let expected = said.clone();
            // It ends without a close_notify, as most clients do.
            let saying = thread::spawn(move || {
                client.write_all(&said).unwrap();
                client.sock.shutdown(Shutdown::Write).unwrap();
                client
            });
            let (mut heard, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
            loop {
                match poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap() {
                    0 => break,
                    read => heard.extend_from_slice(&buffer[..read]),
                }
            }
            drop(saying.join().unwrap());
            assert!(heard == expected, "the bytes are not the same");
        }
    }
}
