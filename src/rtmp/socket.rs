//! The two halves of a client's socket: one reads and waits, the other is written to by whoever has something to say.
//!
//! Writing never waits. The connection's task and the fan-out both write, and a player that takes no more must not hold
//! up the next one.

use std::{
    io::{self, IoSlice, Read},
    os::fd::AsRawFd,
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, Interest, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::patience::ENOUGH_BYTES;

/// Reads from the client.
#[derive(Debug)]
pub(super) struct Reader {
    half: OwnedReadHalf,
    is_patient: bool,
}

/// Writes to the client.
#[derive(Debug)]
pub(super) struct Writer(OwnedWriteHalf);

/// The halves of a connected socket.
pub(super) fn split(socket: TcpStream) -> (Reader, Writer) {
    let (reader, writer) = socket.into_split();
    let reader = Reader {
        half: reader,
        is_patient: false,
    };
    (reader, Writer(writer))
}

impl Reader {
    /// Reads what is there; 0 bytes at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let read = Pin::new(&mut self.half).poll_read(cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }

    /// Reads what is there, however little; `WouldBlock` when that is nothing.
    pub(super) fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(self.half.as_ref())).read(into)
    }

    /// While patient, [`poll_read`](Self::poll_read) is woken only when there is much to read. Answers whether it is,
    /// which it cannot be on every socket.
    pub(super) fn set_patient(&mut self, wanted: bool) -> bool {
        if wanted != self.is_patient {
            let bytes = if wanted { ENOUGH_BYTES } else { 1 };
            self.is_patient = set_low_watermark(self.half.as_ref(), bytes).is_ok() && wanted;
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
    /// Takes what the socket has room for; `WouldBlock` when that is nothing.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket: &TcpStream = self.0.as_ref();
        // Both are calls for sockets; writev, which tokio would make, comes to the same by way of the file system.
        let send = || match slices {
            [one] => SockRef::from(socket).send(one),
            several => SockRef::from(socket).send_vectored(several),
        };
        match send() {
            // Only now the event loop has to know, for it to tell when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.try_io(Interest::WRITABLE, send),
            sent => sent,
        }
    }

    /// Waits until there is room. For one task at a time.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}
