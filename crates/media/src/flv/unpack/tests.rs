#![allow(clippy::unwrap_used)]

use super::*;

fn unpacked(kind: MediaKind, body: &[u8]) -> Result<(u32, Vec<Bytes>), TagError> {
    let unpacked = unpack(kind, Bytes::copy_from_slice(body))?;
    let bodies = std::iter::once(unpacked.first).chain(unpacked.rest).collect();
    Ok((unpacked.nanos, bodies))
}

fn video(body: &[u8]) -> Vec<Bytes> {
    unpacked(MediaKind::Video, body).unwrap().1
}

fn audio(body: &[u8]) -> Vec<Bytes> {
    unpacked(MediaKind::Audio, body).unwrap().1
}

#[test]
fn what_is_plain_is_passed_on_without_a_copy() {
    for (kind, body) in [
        (MediaKind::Video, &b"\x17\x01\0\0\0data"[..]),
        (MediaKind::Video, b"\x91av01data"),
        (MediaKind::Video, b"\xa1hvc1\0\0\x28data"),
        (MediaKind::Audio, b"\xaf\x01data"),
        (MediaKind::Audio, b"\x91Opusdata"),
    ] {
        let body = Bytes::copy_from_slice(body);
        let unpacked = unpack(kind, body.clone()).unwrap();
        assert_eq!(
            (unpacked.first.as_ptr(), unpacked.rest.len()),
            (body.as_ptr(), 0),
            "{body:?}"
        );
    }
}

#[test]
fn one_coding_has_one_form() {
    assert_eq!(video(b"\x90avc1config"), [&b"\x17\0\0\0\0config"[..]]);
    assert_eq!(video(b"\x91avc1\0\0\x28data"), [&b"\x17\x01\0\0\x28data"[..]]);
    assert_eq!(video(b"\xa3avc1data"), [&b"\x27\x01\0\0\0data"[..]]);
    assert_eq!(video(b"\x92avc1"), [&b"\x17\x02\0\0\0"[..]]);
    assert_eq!(audio(b"\x90mp4a\x12\x10"), [&b"\xaf\0\x12\x10"[..]]);
    assert_eq!(audio(b"\x91mp4adata"), [&b"\xaf\x01data"[..]]);
    assert_eq!(audio(b"\x91.mp3\xff\xf3\x80\xc4"), [&b"\x2a\xff\xf3\x80\xc4"[..]]);
}

#[test]
fn hevc_under_its_old_codec_id_gets_its_name() {
    assert_eq!(video(b"\x1c\0\0\0\0config"), [&b"\x90hvc1config"[..]]);
    assert_eq!(video(b"\x1c\x01\0\0\x28data"), [&b"\x91hvc1\0\0\x28data"[..]]);
    assert_eq!(video(b"\x2c\x01\xff\xff\xfedata"), [&b"\xa1hvc1\xff\xff\xfedata"[..]]);
    assert_eq!(video(b"\x1c\x02\0\0\0"), [&b"\x92hvc1"[..]]);
    assert!(unpacked(MediaKind::Video, b"\x1c").is_err());
    assert!(unpacked(MediaKind::Video, b"\x1c\x07\0\0\0data").is_err());
}

#[test]
fn a_lone_track_keeps_its_number_unless_that_is_none() {
    assert_eq!(video(b"\x96\x01av01\x00data"), [&b"\x91av01data"[..]]);
    assert_eq!(video(b"\x96\x01av01\x02data"), [&b"\x96\x01av01\x02data"[..]]);
    assert_eq!(video(b"\x96\x01avc1\x00\0\0\0data"), [&b"\x17\x01\0\0\0data"[..]]);
    assert_eq!(audio(b"\x95\x01Opus\x01data"), [&b"\x95\x01Opus\x01data"[..]]);
}

#[test]
fn many_tracks_of_one_codec_are_parted() {
    let body = b"\x95\x11mp4a\x00\0\0\x03one\x01\0\0\x05other";
    assert_eq!(audio(body), [&b"\xaf\x01one"[..], b"\x95\x01mp4a\x01other"]);
}

#[test]
fn many_tracks_of_many_codecs_are_parted_and_unknown_ones_left_out() {
    let body = b"\xa6\x21hvc1\x00\0\0\x06\0\0\x28onevvc1\x01\0\0\x01?av01\x02\0\0\x03two";
    assert_eq!(video(body), [&b"\xa1hvc1\0\0\x28one"[..], b"\xa6\x01av01\x02two"]);
    assert_eq!(
        unpacked(MediaKind::Video, b"\xa6\x21vvc1\x01\0\0\x01?"),
        Err(TagError::EnhancedVideo {
            fourcc: FourCc(*b"vvc1")
        })
    );
}

#[test]
fn nanoseconds_are_taken_off_and_put_back() {
    let plain = b"\x91av01data";
    let body = b"\x97\x02\x0f\x42\x3f\x01av01data";
    assert_eq!(
        unpacked(MediaKind::Video, body).unwrap(),
        (999_999, vec![Bytes::from_static(plain)])
    );
    assert_eq!(with_nanos(MediaKind::Video, plain, 999_999).unwrap(), &body[..]);
    assert_eq!(with_nanos(MediaKind::Video, plain, 0), None);
    assert_eq!(
        with_nanos(MediaKind::Video, b"\x17\x01\0\0\0data", 5),
        None,
        "no room for it"
    );
    let sound = with_nanos(MediaKind::Audio, b"\x91Opusdata", 7).unwrap();
    assert_eq!(
        unpacked(MediaKind::Audio, &sound).unwrap(),
        (7, vec![Bytes::from_static(b"\x91Opusdata")])
    );
}

#[test]
fn modifiers_of_any_length_and_kind_are_passed_over() {
    let one = [Bytes::from_static(b"\x91av01d")];
    assert_eq!(
        video(b"\x97\x02abc\x01av01d"),
        one,
        "three bytes, and not nanoseconds to speak of"
    );
    assert_eq!(video(b"\x97\x00a\x17\x00b\x11av01d"), one, "two, of an unknown kind");
    let long = [&b"\x97\xff\x01\x00"[..], &[0; 257], b"\x11av01d"].concat();
    assert_eq!(video(&long), one, "a 16-bit length");
    let multitrack = b"\x97\x02\0\0\x05\x06\x11av01\x00\0\0\x01a\x01\0\0\x01b";
    let (nanos, bodies) = unpacked(MediaKind::Video, multitrack).unwrap();
    assert_eq!((nanos, bodies.len()), (5, 2), "before several tracks");
}

#[test]
fn commands_and_reserved_values_are_ignorable() {
    for body in [&b"\xd1\x01"[..], b"\x96\x31av01\x00d", b"\x96\x06av01\x00d"] {
        let error = unpacked(MediaKind::Video, body).unwrap_err();
        assert!(error.is_ignorable(), "{body:?}: {error}");
    }
}

#[test]
fn a_modifier_within_tracks_modifies_nothing() {
    for body in [&b"\xa6\x17vp09\0\0\0\x01\0\0\xff"[..], b"\xa6\x07hvc1\x01\0"] {
        let refused = unpacked(MediaKind::Video, body).unwrap_err();
        assert!(matches!(refused, TagError::Reserved(_)), "{refused}");
    }
}

#[test]
fn a_message_cut_anywhere_does_no_harm() {
    let bodies: [(MediaKind, &[u8]); 4] = [
        (
            MediaKind::Video,
            b"\xa6\x21hvc1\x00\0\0\x06\0\0\x28oneav01\x02\0\0\x03two",
        ),
        (MediaKind::Audio, b"\x95\x11mp4a\x00\0\0\x03one\x01\0\0\x05other"),
        (MediaKind::Video, b"\x97\x02\x0f\x42\x3f\x01av01data"),
        (MediaKind::Video, b"\x97\xff\xff\xff"),
    ];
    for (kind, body) in bodies {
        for length in 0..body.len() {
            // Whatever it is, it is no panic; and most of it is an error.
            let _ = unpacked(kind, &body[..length]);
        }
        assert!(unpacked(kind, &body[..4]).is_err());
    }
}
