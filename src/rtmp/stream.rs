//! What the system gives for a connection: bytes in order, over TCP or by a socket file, without waiting.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::fd::AsRawFd,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
    runtime::Handle,
};
use tracing::debug;

/// A connected stream.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
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

    /// Reads what is there, even if the event loop does not know of it.
    pub(super) fn read_now(&self, into: &mut [u8]) -> io::Result<usize> {
        (&*self.raw()).read(into)
    }

    /// Bytes that must have come before the system calls a socket readable (`SO_RCVLOWAT`, socket(7)).
    pub(super) fn set_low_watermark(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as libc::c_int;
        let size = size_of_val(&bytes) as libc::socklen_t;
        // SAFETY: the descriptor is open while `self` is borrowed, and the option is an int that lives through the call.
        #[allow(unsafe_code, reason = "no crate in use offers this option")]
        let result = unsafe {
            libc::setsockopt(
                self.raw().as_raw_fd(),
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

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// Waits until there is something to read. For one task at a time.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    /// Takes what the system has room for; `WouldBlock` when that is nothing.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
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

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
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
