//! The outbox: pieces of bytes on their way to one socket, written together.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf, Bytes};

use super::socket::Writer;

/// Most pieces in one write.
const MAX_SLICES: usize = 64;

/// Pieces of nearly every write.
const FEW_SLICES: usize = 4;

/// Room that an empty outbox keeps, pieces. Most players need no more between two batches.
const KEPT_ROOM: usize = 8;

/// Bytes to be sent, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

/// How much of an outbox went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    Some,
    Nothing,
}

impl Outbox {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes until everything is out or the socket is full.
    pub(super) fn flush(&mut self, writer: &Writer) -> io::Result<Sent> {
        let mut sent = Sent::Nothing;
        while !self.pieces.is_empty() {
            let written = match self.pieces.len() {
                0..FEW_SLICES => self.write::<FEW_SLICES>(writer),
                _ => self.write::<MAX_SLICES>(writer),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.take(written);
                    sent = Sent::Some;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pieces.shrink_to(KEPT_ROOM);
        Ok(Sent::All)
    }

    fn write<const SLICES: usize>(&self, writer: &Writer) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        writer.try_write_vectored(&slices[..count])
    }

    fn take(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_write_leaves_the_rest() {
        let mut outbox = Outbox::default();
        for piece in ["abc", "", "defg"] {
            outbox.push(Bytes::from_static(piece.as_bytes()));
        }
        outbox.take(3);
        outbox.take(2);
        assert_eq!(
            (&outbox.pieces, outbox.bytes()),
            (&["fg"].into_iter().map(Bytes::from).collect(), 2)
        );
        outbox.take(2);
        assert!(outbox.is_empty());
    }
}
