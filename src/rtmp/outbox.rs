//! The outbox: pieces of bytes on their way to one socket, written together.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf, time::timeout};

/// Most pieces in one write; Linux takes 1024.
const MAX_SLICES: usize = 256;

/// Bytes to be sent. It is emptied before more is put in, so its size is that of one batch.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
}

impl Outbox {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Writes everything. Fails when the peer takes nothing for `patience`.
    ///
    /// Cancelling loses nothing: a piece leaves the box when the socket has it.
    pub(super) async fn flush(&mut self, socket: &mut OwnedWriteHalf, patience: Duration) -> io::Result<()> {
        while !self.pieces.is_empty() {
            let slices: Vec<_> = self
                .pieces
                .iter()
                .take(MAX_SLICES)
                .map(|piece| IoSlice::new(piece))
                .collect();
            let written = timeout(patience, socket.write_vectored(&slices))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the peer takes no data"))??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.take(written);
        }
        Ok(())
    }

    fn take(&mut self, mut written: usize) {
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
        assert_eq!(outbox.pieces, ["fg"]);
        outbox.take(2);
        assert!(outbox.is_empty());
    }
}
