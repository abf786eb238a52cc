//! Several pieces of shared memory that are written as one.
//!
//! What viewers are sent consists of tags that all viewers of a stream share. Joined for a write they would have to be
//! copied once a viewer; as slices they go to the socket in one vectored write from where they are.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};

/// Bytes in pieces, read from the front.
#[derive(Clone, Debug, Default)]
pub struct Slices {
    pieces: VecDeque<Bytes>,
    remaining: usize,
}

impl Slices {
    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.remaining += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl From<Bytes> for Slices {
    fn from(piece: Bytes) -> Self {
        let mut slices = Self::default();
        slices.push(piece);
        slices
    }
}

impl Buf for Slices {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let filled = out.len().min(self.pieces.len());
        for (slot, piece) in out.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(piece);
        }
        filled
    }

    /// # Panics
    /// When `count` is more than what remains, as [`Buf`] has it.
    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "{count} of {} bytes", self.remaining);
        self.remaining -= count;
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
    }

    /// What lies in one piece is not copied.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        assert!(count <= self.remaining, "{count} of {} bytes", self.remaining);
        if let Some(piece) = self.pieces.front_mut()
            && piece.len() >= count
        {
            let taken = piece.split_to(count);
            self.remaining -= count;
            self.pieces.retain(|piece| !piece.is_empty());
            return taken;
        }
        let mut copy = Vec::with_capacity(count);
        while copy.len() < count {
            let step = self.chunk().len().min(count - copy.len());
            copy.extend_from_slice(&self.chunk()[..step]);
            self.advance(step);
        }
        copy.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(pieces: &[&'static str]) -> Slices {
        let mut slices = Slices::default();
        for piece in pieces {
            slices.push(Bytes::from_static(piece.as_bytes()));
        }
        slices
    }

    #[test]
    fn pieces_are_read_as_one_in_whatever_steps() {
        for step in 1..=6 {
            let mut pieces = slices(&["ab", "", "c", "def"]);
            let mut read = Vec::new();
            while pieces.has_remaining() {
                let count = step.min(pieces.chunk().len());
                read.extend_from_slice(&pieces.chunk()[..count]);
                pieces.advance(count);
            }
            assert_eq!(read, b"abcdef", "in steps of {step}");
        }
        let mut pieces = slices(&["ab", "cd", "ef"]);
        pieces.advance(5);
        assert_eq!((pieces.chunk(), pieces.remaining()), (&b"f"[..], 1));
    }

    #[test]
    fn a_vectored_write_sees_every_piece() {
        let pieces = slices(&["ab", "c", "def"]);
        let mut out = [IoSlice::new(&[]); 8];
        assert_eq!(pieces.chunks_vectored(&mut out), 3);
        assert_eq!(&*out[2], b"def");
        assert_eq!(pieces.chunks_vectored(&mut out[..2]), 2);
        assert_eq!(pieces.chunks_vectored(&mut []), 0);
    }

    #[test]
    fn one_piece_is_taken_out_without_a_copy() {
        let mut pieces = slices(&["abc", "de"]);
        let at = pieces.chunk().as_ptr();
        let taken = pieces.copy_to_bytes(3);
        assert_eq!((taken.as_ptr(), &taken[..], pieces.remaining()), (at, &b"abc"[..], 2));
        assert_eq!(slices(&["abc", "de", "f"]).copy_to_bytes(4), "abcd");
    }
}
