//! A client's socket, plain or encrypted, in two ends: one reads and waits, the other is written to by whoever has
//! something to say.
//!
//! Writing never waits. The connection's task and the fan-out both write, and a player that takes no more must not hold
//! up the next one.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use rustls::ServerConfig;

use super::{patience::ENOUGH_BYTES, stream::Stream, tls::Tls};

/// A connected stream, with TLS or without.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    tls: Option<Box<Mutex<Tls>>>,
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
        let tls = Tls::accept(&stream, config).await?;
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

    fn plain_tcp(&self) -> Option<&Stream> {
        match (&self.stream, &self.tls) {
            (stream @ Stream::Tcp(_), None) => Some(stream),
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
            Some(stream) => stream.read_now(into),
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
            self.is_patient = stream.set_low_watermark(bytes).is_ok() && wanted;
        }
        self.is_patient
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
            lock(tls).close(&self.0.stream);
        }
        let _ = self.0.stream.shutdown_write();
    }
}

/// The lock is held for calls that do not wait; a poisoned one is still whole.
fn lock(tls: &Mutex<Tls>) -> MutexGuard<'_, Tls> {
    tls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        future::poll_fn,
        io::{Read, Write},
        net::Shutdown,
        os::unix::net::UnixStream as Client,
        thread,
    };

    use bytes::Bytes;
    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
        version::{TLS12, TLS13},
    };
    use tokio::net::UnixStream;

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
