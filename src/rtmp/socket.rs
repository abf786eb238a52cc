//! The two halves of a client's socket: one reads and waits, the other is written to by whoever has something to say.
//!
//! Writing never waits. The connection's task and the fan-out both write, and a player that takes no more must not hold
//! up the next one.

use std::{
    io::{self, IoSlice},
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

/// Reads from the client.
#[derive(Debug)]
pub(super) struct Reader(OwnedReadHalf);

/// Writes to the client.
#[derive(Debug)]
pub(super) struct Writer(OwnedWriteHalf);

/// The halves of a connected socket.
pub(super) fn split(socket: TcpStream) -> (Reader, Writer) {
    let (reader, writer) = socket.into_split();
    (Reader(reader), Writer(writer))
}

impl Reader {
    /// Reads what is there; 0 bytes at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }
}

impl Writer {
    /// Takes what the socket has room for; `WouldBlock` when that is nothing.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket: &TcpStream = self.0.as_ref();
        // Both are calls for sockets; writev, which tokio would make, comes to the same by way of the file system.
        socket.try_io(Interest::WRITABLE, || match slices {
            [one] => SockRef::from(socket).send(one),
            several => SockRef::from(socket).send_vectored(several),
        })
    }

    /// Waits until there is room. For one task at a time.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}
