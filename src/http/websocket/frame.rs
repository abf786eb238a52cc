//! WebSocket frames (RFC 6455 §5): written as a server writes them, read as far as a viewer's matter.
//!
//! A viewer has nothing to say but ping, pong and goodbye. What else it sends is skipped as it comes and never kept, so
//! there is no length that a frame of data could be too long for.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Frame types (§5.2).
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// The frame is the whole message.
const FINAL: u8 = 0x80;
/// Bits that only extensions set, of which there are none here.
const RESERVED: u8 = 0x70;
/// The payload is masked, as a client's is and a server's never.
const MASKED: u8 = 0x80;
/// Longest payload of a control frame (§5.5).
const MAX_CONTROL: usize = 125;

/// Why a connection ends (§7.4.1).
pub(super) mod status {
    /// What was asked for has been sent.
    pub(in super::super) const DONE: u16 = 1000;
    /// The server stops.
    pub(in super::super) const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub(in super::super) const BROKEN: u16 = 1002;
}

/// The head of a binary message of `length` bytes.
pub(super) fn binary(length: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(10);
    head.put_u8(FINAL | BINARY);
    match length {
        0..=125 => head.put_u8(length as u8),
        126..=0xffff => {
            head.put_u8(126);
            head.put_u16(length as u16);
        }
        _ => {
            head.put_u8(127);
            head.put_u64(length as u64);
        }
    }
    head.freeze()
}

/// The answer to a ping.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    control(PONG, payload)
}

/// Goodbye, with a reason or without.
pub(super) fn close(status: Option<u16>) -> Bytes {
    match status {
        Some(status) => control(CLOSE, &status.to_be_bytes()),
        None => control(CLOSE, &[]),
    }
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL)];
    let mut frame = BytesMut::with_capacity(2 + payload.len());
    frame.put_u8(FINAL | opcode);
    frame.put_u8(payload.len() as u8);
    frame.put_slice(payload);
    frame.freeze()
}

/// What a viewer says that wants an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ping(Bytes),
    /// Goodbye, with its reason.
    Close(Option<u16>),
}

/// A frame that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("reserved bits are set")]
    Reserved,
    #[error("frame type {0} is unknown")]
    Unknown(u8),
    #[error("a client's frame is not masked")]
    Unmasked,
    #[error("a control frame is in parts, or too long")]
    Control,
    #[error("a length has more than 63 bits")]
    Length,
}

/// Reads a viewer's frames.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Bytes still to come of a frame of data.
    skip: u64,
}

impl Reader {
    /// Takes what is whole from the front of `input`. `None` wants more bytes; no more than a control frame's are left.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Said>, FrameError> {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(input.len());
            input.advance(skipped);
            self.skip -= skipped as u64;
            let &[first, second, ..] = &input[..] else {
                return Ok(None);
            };
            if first & RESERVED != 0 {
                return Err(FrameError::Reserved);
            }
            if second & MASKED == 0 {
                return Err(FrameError::Unmasked);
            }
            let opcode = first & 0x0f;
            let short = second & 0x7f;
            let is_control = match opcode {
                CONTINUATION | TEXT | BINARY => false,
                CLOSE | PING | PONG => true,
                _ => return Err(FrameError::Unknown(opcode)),
            };
            if is_control && (first & FINAL == 0 || usize::from(short) > MAX_CONTROL) {
                return Err(FrameError::Control);
            }
            let mut rest = &input[2..];
            let length = match short {
                126 => rest.try_get_u16().map(u64::from),
                127 => rest.try_get_u64(),
                short => Ok(u64::from(short)),
            };
            let (Ok(length), &[a, b, c, d, ..]) = (length, rest) else {
                return Ok(None);
            };
            if length >> 63 != 0 {
                return Err(FrameError::Length);
            }
            let head = input.len() - rest.len() + 4;
            if !is_control {
                input.advance(head);
                self.skip = length;
                continue;
            }
            let whole = head + usize::from(short);
            if input.len() < whole {
                return Ok(None);
            }
            let mut payload = input.split_to(whole).split_off(head);
            for (byte, mask) in payload.iter_mut().zip([a, b, c, d].into_iter().cycle()) {
                *byte ^= mask;
            }
            match opcode {
                CLOSE => return Ok(Some(Said::Close(payload.try_get_u16().ok()))),
                PING => return Ok(Some(Said::Ping(payload.freeze()))),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame, masked.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 0xff];
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(MASKED | length as u8),
            length => {
                frame.push(MASKED | 126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn read(bytes: &[u8]) -> Result<Option<Said>, FrameError> {
        Reader::default().next(&mut BytesMut::from(bytes))
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(binary(125)[..], [0x82, 125]);
        assert_eq!(binary(126)[..], [0x82, 126, 0, 126]);
        assert_eq!(binary(0xffff)[..], [0x82, 126, 0xff, 0xff]);
        assert_eq!(binary(0x1_0000)[..], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn control_frames_are_read_between_data_in_whatever_cuts() {
        let mut bytes = masked(FINAL | TEXT, &[7; 300]);
        bytes.extend(masked(FINAL | PING, b"are you there"));
        bytes.extend(masked(BINARY, b"a part"));
        bytes.extend(masked(FINAL | PONG, b""));
        bytes.extend(masked(FINAL | CONTINUATION, b""));
        bytes.extend(masked(FINAL | CLOSE, &[0x03, 0xe9, b'b', b'y', b'e']));
        for step in [1, 2, 3, 7, 100, bytes.len()] {
            let (mut reader, mut input, mut said) = (Reader::default(), BytesMut::new(), Vec::new());
            for piece in bytes.chunks(step) {
                input.extend_from_slice(piece);
                while let Ok(Some(what)) = reader.next(&mut input) {
                    said.push(what);
                }
            }
            let wanted = [
                Said::Ping(Bytes::from_static(b"are you there")),
                Said::Close(Some(status::GOING_AWAY)),
            ];
            assert_eq!(said, wanted, "in steps of {step}");
            assert!(input.is_empty());
        }
    }

    #[test]
    fn data_is_never_kept_however_long_it_says_it_is() {
        let mut reader = Reader::default();
        let mut input = BytesMut::from(&[FINAL | BINARY, MASKED | 127, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4][..]);
        for _ in 0..10 {
            input.extend_from_slice(&[0; 1000]);
            assert_eq!(reader.next(&mut input), Ok(None));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn frames_that_cannot_be_are_refused() {
        assert_eq!(read(&[FINAL | PING, 0]), Err(FrameError::Unmasked));
        assert_eq!(read(&[FINAL | 0x40 | TEXT, MASKED]), Err(FrameError::Reserved));
        assert_eq!(read(&[FINAL | 0x3, MASKED]), Err(FrameError::Unknown(3)));
        assert_eq!(read(&[PING, MASKED]), Err(FrameError::Control));
        assert_eq!(read(&[FINAL | PING, MASKED | 126]), Err(FrameError::Control));
        let endless = [FINAL | BINARY, MASKED | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(read(&endless), Err(FrameError::Length));
        assert_eq!(read(&masked(FINAL | CLOSE, b"")), Ok(Some(Said::Close(None))));
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        for seed in 0..=255_u8 {
            let bytes: Vec<u8> = (0..200_u8)
                .map(|at| at.wrapping_mul(seed) ^ seed.rotate_left(3))
                .collect();
            let (mut reader, mut input) = (Reader::default(), BytesMut::new());
            for piece in bytes.chunks(5) {
                input.extend_from_slice(piece);
                while let Ok(Some(_)) = reader.next(&mut input) {}
            }
        }
    }
}
