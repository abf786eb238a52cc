//! TLS on a stream, driven by whoever reads and writes, so that nothing waits in it.
//!
//! What is encrypted but not yet taken by the system is at most one record. The plain text counts as written when its
//! record is out: a writer sees a full socket as such, and what it has not got rid of it still has.

use std::{
    io::{self, IoSlice, Read, Write},
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection};

use super::stream::Stream;

/// Plain text of one record (RFC 8446 §5.1), and all that waits encrypted for a socket.
const RECORD_BYTES: usize = 16 * 1024;

/// The server's side of an encrypted connection.
#[derive(Debug)]
pub(super) struct Tls {
    connection: ServerConnection,
    /// Plain text whose record is not wholly out. The writer still has it, and comes with it again.
    owed: usize,
}

impl Tls {
    /// Shakes hands with a client.
    pub(super) async fn accept(stream: &Stream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(RECORD_BYTES));
        let mut tls = Self { connection, owed: 0 };
        loop {
            while !tls.flush(stream)? {
                stream.writable().await?;
            }
            if !tls.connection.is_handshaking() {
                return Ok(tls);
            }
            match tls.take_in(stream) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Plain text that is there; 0 bytes at the end. That end need not be announced: many clients just hang up.
    pub(super) fn read(&mut self, stream: &Stream, into: &mut [u8]) -> io::Result<usize> {
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

    /// Tells the client that no more comes, if there is room to.
    pub(super) fn close(&mut self, stream: &Stream) {
        self.connection.send_close_notify();
        let _ = self.flush(stream);
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

    /// Takes what makes a record, as soon as its record is out; `WouldBlock` until then.
    pub(super) fn write(&mut self, stream: &Stream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
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
