//! The synthetic stream: a valid H.264/AAC beginning, then frames of a fixed size that carry the time they were sent.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

/// Pictures per second.
pub(crate) const FRAME_RATE: u64 = 25;

/// Pictures from key frame to key frame.
pub(crate) const GROUP: u64 = 50;

/// A baseline 640x360 `avcC` with its SPS and PPS, behind the FLV header of a sequence header.
pub(crate) const VIDEO_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 25, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0, 0xa0, 0x2f, 0xf9, 0x70,
    0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x32, 0x0f, 0x16, 0x2e, 0x48, 1, 0, 5, 0x68, 0xcb, 0x83, 0xcb, 0x20,
];

/// AAC-LC, 48 kHz, stereo, behind the FLV header of a sequence header.
pub(crate) const AUDIO_CONFIG: &[u8] = &[0xaf, 0, 0x11, 0x90];

/// Marks the payload of a picture of ours; the sending time follows.
const MARK: &[u8; 8] = b"mill-ts:";

/// Bytes of FLV header, NAL unit length and NAL unit type before the mark.
const BEFORE_MARK: usize = 10;

/// One picture of a stream of `bitrate` bits per second, sent at `now` of the load program's clock.
pub(crate) fn picture(is_key: bool, bitrate: u64, now: Duration) -> Bytes {
    let size = (bitrate / 8 / FRAME_RATE).max(64) as usize;
    let mut body = BytesMut::with_capacity(size);
    body.put_slice(&[if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
    body.put_u32((size - 9) as u32);
    body.put_u8(if is_key { 0x65 } else { 0x41 });
    body.put_slice(MARK);
    body.put_u64(now.as_nanos() as u64);
    // Bytes that cannot be taken for start codes.
    body.resize(size, 0xa5);
    body.freeze()
}

/// When a received picture was sent, if it is one of ours.
pub(crate) fn sent_at(payload: &[u8]) -> Option<Duration> {
    let rest = payload.get(BEFORE_MARK..)?.strip_prefix(MARK)?;
    let nanos = rest.first_chunk::<8>()?;
    Some(Duration::from_nanos(u64::from_be_bytes(*nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_tells_when_it_was_sent_and_has_its_share_of_the_bitrate() {
        let body = picture(false, 1_000_000, Duration::from_millis(1234));
        assert_eq!(body.len(), 5000);
        assert_eq!(sent_at(&body), Some(Duration::from_millis(1234)));
        assert_eq!(sent_at(VIDEO_CONFIG), None);
    }
}
