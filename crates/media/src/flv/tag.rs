//! The framing around tag bodies: file header, tag header, `PreviousTagSize` (E.2, E.3, E.4.1).

use bytes::{BufMut, BytesMut};

use crate::MediaKind;

/// Bytes of [`file_header`]'s answer: the 9-byte header and `PreviousTagSize0`.
pub const FILE_HEADER_LEN: usize = 13;
/// Bytes of a tag header.
pub const TAG_HEADER_LEN: usize = 11;
/// Bytes of the size that follows every tag.
pub const PREVIOUS_TAG_SIZE_LEN: usize = 4;
/// The longest body: `DataSize` has 24 bits, as has an RTMP message's length.
pub const MAX_BODY: usize = 0xff_ffff;

/// E.4.1 `TagType`.
pub(super) const TYPE_AUDIO: u8 = 8;
pub(super) const TYPE_VIDEO: u8 = 9;
pub(super) const TYPE_SCRIPT: u8 = 18;

/// The FLV header (E.2) and `PreviousTagSize0`. The flags only announce: readers take what comes.
pub fn file_header(audio: bool, video: bool) -> [u8; FILE_HEADER_LEN] {
    let flags = u8::from(audio) << 2 | u8::from(video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// The header of a tag (E.4.1). `timestamp_ms` is its 24 low bits plus the extension byte.
///
/// # Panics
/// When `body_len` is over [`MAX_BODY`]. What came by RTMP or through [`Reader`](super::Reader) always fits.
pub fn tag_header(kind: MediaKind, timestamp_ms: u32, body_len: usize) -> [u8; TAG_HEADER_LEN] {
    assert!(
        body_len <= MAX_BODY,
        "an FLV tag body holds at most {MAX_BODY} bytes, not {body_len}"
    );
    let tag_type = match kind {
        MediaKind::Audio => TYPE_AUDIO,
        MediaKind::Video => TYPE_VIDEO,
        MediaKind::Data => TYPE_SCRIPT,
    };
    let [_, s2, s1, s0] = (body_len as u32).to_be_bytes();
    let [extended, t2, t1, t0] = timestamp_ms.to_be_bytes();
    [tag_type, s2, s1, s0, t2, t1, t0, extended, 0, 0, 0]
}

/// The `PreviousTagSize` that follows a tag with a body of `body_len` bytes.
pub fn previous_tag_size(body_len: usize) -> [u8; PREVIOUS_TAG_SIZE_LEN] {
    ((TAG_HEADER_LEN + body_len) as u32).to_be_bytes()
}

/// Appends a whole tag: header, body, `PreviousTagSize`.
///
/// # Panics
/// As [`tag_header`].
pub fn write_tag(out: &mut BytesMut, kind: MediaKind, timestamp_ms: u32, body: &[u8]) {
    out.reserve(TAG_HEADER_LEN + body.len() + PREVIOUS_TAG_SIZE_LEN);
    out.put_slice(&tag_header(kind, timestamp_ms, body.len()));
    out.put_slice(body);
    out.put_slice(&previous_tag_size(body.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_header_announces_its_tracks() {
        assert_eq!(file_header(true, true), *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        assert_eq!(file_header(false, true)[4], 1);
        assert_eq!(file_header(true, false)[4], 4);
    }

    #[test]
    fn a_timestamp_keeps_all_32_bits() {
        let header = tag_header(MediaKind::Video, 0x1234_5678, 0x0a_0b0c);
        assert_eq!(header, [9, 0x0a, 0x0b, 0x0c, 0x34, 0x56, 0x78, 0x12, 0, 0, 0]);
    }

    #[test]
    fn a_tag_is_header_body_and_size() {
        let mut out = BytesMut::new();
        write_tag(&mut out, MediaKind::Audio, 7, b"ab");
        assert_eq!(&out[..], b"\x08\0\0\x02\0\0\x07\0\0\0\0ab\0\0\0\x0d");
    }
}
