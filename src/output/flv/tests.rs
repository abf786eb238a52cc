#![allow(clippy::unwrap_used)]

use streammill_media::{FrameRole, MediaTime, TrackId};

use super::*;
use crate::hub::{Hub, Interest, Limits, Origin, Protocol, Publication, StreamKey};

/// An AVC configuration of 640x360, and an AAC one of 44100 Hz.
const AVC: &[u8] = b"\x17\0\0\0\0\
    \x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x70\x11\x00\
    \x00\x03\x00\x01\x00\x00\x03\x00\x3c\x0f\x16\x2e\x48\x01\x00\x05\x68\xcb\x83\xcb\x20";
const AAC: &[u8] = b"\xaf\0\x12\x10";
const META: &[u8] = b"\x02\0\x0aonMetaData\x05";
const NEVER: Duration = Duration::ZERO;
const MINUTE: Duration = Duration::from_secs(60);

struct Stream {
    hub: Hub,
    key: StreamKey,
}

impl Stream {
    fn new() -> Self {
        Self {
            hub: Hub::new(Limits::default()),
            key: StreamKey::new("live", "x").unwrap(),
        }
    }

    fn publish(&self) -> Publication {
        let origin = Origin::Pipeline {
            template: "test".to_owned(),
            ancestors: Vec::new(),
        };
        self.hub.claim(self.key.clone(), origin).unwrap()
    }

    fn feed(&self, variant: Variant, patience: Duration) -> Feed {
        let interest = Interest {
            protocol: Protocol::HttpFlv,
            peer: None,
            software: String::new(),
            from_cache: true,
            wait_for_key_frame: true,
        };
        Feed::new(self.hub.subscribe(&self.key, interest), variant, patience)
    }
}

fn frame(kind: MediaKind, role: FrameRole, key: bool, millis: i64, tag: &'static [u8]) -> Frame {
    Frame {
        kind,
        track: TrackId(0),
        role,
        key,
        dts: MediaTime::from_millis(millis),
        pts: MediaTime::from_millis(millis),
        tag: Bytes::from_static(tag),
        header_len: match kind {
            MediaKind::Video => 5,
            MediaKind::Audio => 2,
            MediaKind::Data => 0,
        },
    }
}

fn video(key: bool, millis: i64) -> Frame {
    let tag: &[u8] = if key {
        b"\x17\x01\0\0\0KEY"
    } else {
        b"\x27\x01\0\0\0delta"
    };
    frame(MediaKind::Video, FrameRole::Coded, key, millis, tag)
}

fn audio(millis: i64) -> Frame {
    frame(MediaKind::Audio, FrameRole::Coded, true, millis, b"\xaf\x01sound")
}

fn config(kind: MediaKind) -> Frame {
    let tag = if kind == MediaKind::Video { AVC } else { AAC };
    frame(kind, FrameRole::Config, true, 0, tag)
}

/// Both tracks, a picture each 40 ms.
fn play(publication: &Publication, from: i64, pictures: i64) {
    publication.push(frame(MediaKind::Data, FrameRole::Coded, true, 0, META));
    publication.push(config(MediaKind::Video));
    publication.push(config(MediaKind::Audio));
    for picture in 0..pictures {
        publication.push(video(picture == 0, from + 40 * picture));
        publication.push(audio(from + 40 * picture + 5));
    }
}

/// What is given at a time, joined.
async fn next(feed: &mut Feed) -> Option<Bytes> {
    let mut slices = feed.next().await?;
    Some(slices.copy_to_bytes(slices.remaining()))
}

/// Tags as `kind@time`, configurations with a `c` before them; the size field behind each is checked.
fn tags(mut bytes: &[u8]) -> Vec<String> {
    let mut tags = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(bytes[1]) << 16 | usize::from(bytes[2]) << 8 | usize::from(bytes[3]);
        let time = u32::from_be_bytes([bytes[7], bytes[4], bytes[5], bytes[6]]);
        let body = &bytes[11..11 + length];
        let kind = match bytes[0] {
            8 if body == AAC => "ca",
            8 => "a",
            9 if body == AVC => "cv",
            9 => "v",
            _ => "meta",
        };
        tags.push(format!("{kind}@{time}"));
        bytes = &bytes[11 + length..];
        assert_eq!(bytes[..4], (11 + length as u32).to_be_bytes());
        bytes = &bytes[4..];
    }
    tags
}

#[tokio::test(start_paused = true)]
async fn a_viewer_gets_the_header_then_all_that_waits_at_once_and_shares_it() {
    let stream = Stream::new();
    let publication = stream.publish();
    play(&publication, 0x0123_4567, 2);
    let (mut one, mut two) = (stream.feed(Variant::Whole, NEVER), stream.feed(Variant::Whole, NEVER));
    for feed in [&mut one, &mut two] {
        assert_eq!(next(feed).await.unwrap(), flv::file_header(true, true)[..]);
    }
    let (mut slices, same) = (one.next().await.unwrap(), two.next().await.unwrap());
    let last = |slices: &Slices| {
        let mut out = [std::io::IoSlice::new(&[]); 16];
        let filled = slices.chunks_vectored(&mut out);
        out[filled - 1].as_ptr()
    };
    assert_eq!(last(&slices), last(&same), "each viewer has a copy");
    let bytes = slices.copy_to_bytes(slices.remaining());
    let at = 0x0123_4567;
    let wanted = [
        "meta@0".to_owned(),
        format!("cv@{at}"),
        format!("ca@{at}"),
        format!("v@{at}"),
        format!("a@{}", at + 5),
        format!("v@{}", at + 40),
        format!("a@{}", at + 45),
    ];
    assert_eq!(tags(&bytes), wanted);
    let sent: Vec<u64> = stream.hub.streams()[0]
        .subscribers
        .iter()
        .map(|it| it.bytes_out)
        .collect();
    assert_eq!(sent, [13 + bytes.len() as u64; 2]);

    drop(publication);
    assert_eq!(next(&mut one).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_variant_carries_one_kind_and_says_so() {
    for (variant, flags, wanted) in [
        (Variant::Audio, 4, ["ca@0", "a@5", "a@45"]),
        (Variant::Video, 1, ["cv@0", "v@0", "v@40"]),
    ] {
        let stream = Stream::new();
        let publication = stream.publish();
        play(&publication, 0, 2);
        let mut feed = stream.feed(variant, NEVER);
        assert_eq!(next(&mut feed).await.unwrap()[4], flags);
        assert_eq!(tags(&next(&mut feed).await.unwrap()), wanted, "{variant:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_header_says_what_the_stream_has_once_that_is_known() {
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let stream = Stream::new();
        let publication = stream.publish();
        let mut feed = stream.feed(Variant::Whole, NEVER);
        let push = async {
            publication.push(config(kind));
            for millis in (0..4000).step_by(100) {
                match kind {
                    MediaKind::Audio => publication.push(audio(millis)),
                    _ => publication.push(video(millis == 0, millis)),
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        };
        let (header, ()) = tokio::join!(next(&mut feed), push);
        let wanted = flv::file_header(kind == MediaKind::Audio, kind == MediaKind::Video);
        assert_eq!(header.unwrap(), wanted[..]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_track_whose_configuration_nobody_here_understands_is_announced_all_the_same() {
    let stream = Stream::new();
    let publication = stream.publish();
    publication.push(config(MediaKind::Audio));
    publication.push(frame(MediaKind::Video, FrameRole::Config, true, 0, b"\x17\0\0\0\0?"));
    for millis in 0..100 {
        publication.push(video(millis == 0, 40 * millis));
        publication.push(audio(40 * millis));
    }
    let mut feed = stream.feed(Variant::Whole, NEVER);
    assert_eq!(next(&mut feed).await.unwrap(), flv::file_header(true, true)[..]);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_leaves_before_it_sent_anything_does_not_count() {
    let stream = Stream::new();
    let mut feed = stream.feed(Variant::Whole, MINUTE);
    drop(stream.publish());
    let publish = async {
        let silent = stream.publish();
        tokio::time::sleep(SETTLE / 2).await;
        drop(silent);
        tokio::time::sleep(SETTLE).await;
        let publication = stream.publish();
        play(&publication, 500, 1);
        publication
    };
    let (header, _publication) = tokio::join!(next(&mut feed), publish);
    assert_eq!(header.unwrap(), flv::file_header(true, true)[..]);
    assert_eq!(tags(&next(&mut feed).await.unwrap())[0], "meta@0");
}

#[tokio::test(start_paused = true)]
async fn a_header_that_cannot_wait_any_longer_announces_both() {
    let stream = Stream::new();
    let publication = stream.publish();
    publication.push(config(MediaKind::Video));
    let mut feed = stream.feed(Variant::Whole, NEVER);
    let began = Instant::now();
    assert_eq!(next(&mut feed).await.unwrap(), flv::file_header(true, true)[..]);
    assert_eq!(began.elapsed(), SETTLE);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_waits_for_a_publisher_as_long_as_it_may() {
    let stream = Stream::new();
    let began = Instant::now();
    assert_eq!(next(&mut stream.feed(Variant::Whole, NEVER)).await, None);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(next(&mut stream.feed(Variant::Whole, MINUTE)).await, None);
    assert_eq!(began.elapsed(), MINUTE);

    let mut feed = stream.feed(Variant::Whole, MINUTE);
    let publish = async {
        tokio::time::sleep(MINUTE / 2).await;
        let publication = stream.publish();
        play(&publication, 0, 1);
        publication
    };
    let (header, _publication) = tokio::join!(next(&mut feed), publish);
    assert_eq!(&header.unwrap()[..3], b"FLV");
    assert_eq!(tags(&next(&mut feed).await.unwrap()).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_goes_on_where_it_was_when_the_publisher_returns() {
    let stream = Stream::new();
    let publication = stream.publish();
    play(&publication, 1000, 2);
    let mut feed = stream.feed(Variant::Whole, MINUTE);
    next(&mut feed).await.unwrap();
    let before = tags(&next(&mut feed).await.unwrap());
    assert_eq!(before.last().unwrap(), "a@1045");
    drop(publication);

    let returns = async {
        tokio::time::sleep(MINUTE / 2).await;
        let publication = stream.publish();
        play(&publication, 7, 2);
        publication
    };
    let (after, publication) = tokio::join!(next(&mut feed), returns);
    let wanted = [
        "meta@1045",
        "cv@1085",
        "ca@1085",
        "v@1085",
        "a@1090",
        "v@1125",
        "a@1130",
    ];
    assert_eq!(
        tags(&after.unwrap()),
        wanted,
        "no second header, the configurations again"
    );

    drop(publication);
    let began = Instant::now();
    assert_eq!(next(&mut feed).await, None);
    assert_eq!(began.elapsed(), MINUTE, "each wait is as long as the first");
}

#[tokio::test(start_paused = true)]
async fn cancelling_loses_nothing() {
    let stream = Stream::new();
    let publication = stream.publish();
    let mut feed = stream.feed(Variant::Whole, NEVER);
    let mut seen = Vec::new();
    let mut patiently = async |feed: &mut Feed| {
        while let Ok(Some(bytes)) = tokio::time::timeout(Duration::from_millis(1), next(feed)).await {
            seen.extend_from_slice(&bytes);
        }
    };
    patiently(&mut feed).await;
    publication.push(config(MediaKind::Video));
    patiently(&mut feed).await;
    publication.push(config(MediaKind::Audio));
    for millis in 0..5 {
        publication.push(video(millis == 0, millis));
        publication.push(audio(millis));
        patiently(&mut feed).await;
    }
    assert_eq!(seen[..13], flv::file_header(true, true));
    let tags = tags(&seen[13..]);
    assert_eq!(tags.len(), 12, "{tags:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_given_in_bounded_pieces() {
    let stream = Stream::new();
    let publication = stream.publish();
    play(&publication, 0, 1);
    let mut feed = stream.feed(Variant::Whole, NEVER);
    next(&mut feed).await.unwrap();
    next(&mut feed).await.unwrap();
    const LENGTH: usize = 100_000;
    for millis in 0..10 {
        let tag = vec![0x27; LENGTH].into();
        publication.push(Frame {
            tag,
            ..video(false, millis)
        });
    }
    let mut pieces = Vec::new();
    while pieces.iter().sum::<usize>() < 10 * LENGTH {
        pieces.push(next(&mut feed).await.unwrap().len());
    }
    let longest = pieces.iter().max().unwrap();
    assert!(
        (2..=5).contains(&pieces.len()) && *longest < MAX_BYTES + LENGTH + 100,
        "{pieces:?}"
    );
}
