//! Files that ffmpeg 5.1 wrote, read tag by tag, and written again.
//!
//! `h264_aac.flv` is two seconds of x264 (160x90, 25 pictures a second, B-frames, a key frame a second) with mono AAC;
//! `flv1_mp3.flv` half a second of Sorenson H.263, which is not carried, with MP3, which is.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use bytes::Bytes;
use streammill_media::{
    Codec, Format, Frame, FrameRole, MediaKind, MediaTime, SampleClock, Timeline, Track, TrackId,
    flv::{self, FileWriter, Reader, Tag, TagError, script},
};

const H264_AAC: &[u8] = include_bytes!("data/h264_aac.flv");
const FLV1_MP3: &[u8] = include_bytes!("data/flv1_mp3.flv");

fn tags(file: &[u8]) -> Vec<Tag> {
    let mut reader = Reader::new(1 << 20);
    let mut tags = Vec::new();
    for piece in file.chunks(1_000) {
        reader.push(piece);
        while let Some(tag) = reader.next_tag().unwrap() {
            tags.push(tag);
        }
    }
    assert_eq!(reader.buffered(), 0);
    tags
}

/// The way of a publisher's messages: parsed, placed on a timeline.
fn frames(file: &[u8]) -> Vec<Frame> {
    let mut timeline = Timeline::new();
    let mut frames = Vec::new();
    for Tag {
        kind,
        timestamp_ms,
        body,
        ..
    } in tags(file)
    {
        let (role, key, offset, header_len) = match kind {
            MediaKind::Video => match flv::parse_video(&body) {
                Ok(tag) => (tag.role, tag.key, tag.composition_offset, tag.header_len),
                Err(error) => panic!("{error}"),
            },
            MediaKind::Audio => {
                let tag = flv::parse_audio(&body).unwrap();
                (tag.role, true, MediaTime::ZERO, tag.header_len)
            }
            MediaKind::Data => (FrameRole::Coded, true, MediaTime::ZERO, 0),
        };
        let placed = timeline.place(kind, TrackId(0), role, timestamp_ms);
        let pts = placed.pts(offset);
        frames.push(Frame {
            kind,
            track: TrackId(0),
            role,
            key,
            dts: placed.dts,
            pts,
            tag: body,
            header_len,
        });
    }
    frames
}

fn tracks(frames: &[Frame]) -> Vec<Track> {
    let configs = frames.iter().filter(|frame| frame.role == FrameRole::Config);
    configs
        .map(|frame| {
            let codec = if frame.kind == MediaKind::Video {
                Codec::H264
            } else {
                Codec::Aac
            };
            Track::from_config(frame.track, codec, frame.data()).unwrap()
        })
        .collect()
}

fn coded(frames: &[Frame], kind: MediaKind) -> Vec<&Frame> {
    frames
        .iter()
        .filter(|frame| frame.kind == kind && frame.role == FrameRole::Coded)
        .collect()
}

#[test]
fn tracks_are_those_that_ffprobe_sees() {
    let tracks = tracks(&frames(H264_AAC));
    assert_eq!(tracks.len(), 2);
    let Format::Video(video) = tracks[0].format else {
        panic!()
    };
    assert_eq!((video.width, video.height, video.frame_rate), (160, 90, Some((25, 1))));
    assert_eq!(tracks[0].rfc6381(), "avc1.64000b");
    let Format::Audio(audio) = tracks[1].format else {
        panic!()
    };
    assert_eq!(
        (audio.sample_rate, audio.channels, audio.samples_per_frame),
        (44_100, 1, 1024)
    );
}

#[test]
fn times_are_those_that_ffprobe_sees() {
    let frames = frames(H264_AAC);
    let video = coded(&frames, MediaKind::Video);
    assert_eq!((video.len(), video.iter().filter(|frame| frame.key).count()), (50, 2));
    let first: Vec<_> = video[..4]
        .iter()
        .map(|frame| (frame.dts.as_millis(), frame.pts.as_millis()))
        .collect();
    assert_eq!(first, [(0, 80), (40, 200), (80, 120), (120, 160)]);
    let mut shown: Vec<_> = video.iter().map(|frame| frame.pts.as_millis()).collect();
    shown.sort_unstable();
    assert!(
        shown.windows(2).all(|pair| pair[1] - pair[0] == 40),
        "pictures are shown evenly"
    );
    assert_eq!(coded(&frames, MediaKind::Audio)[0].dts, MediaTime::from_millis(57));
    assert_eq!(frames.iter().filter(|frame| frame.role == FrameRole::End).count(), 1);
}

#[test]
fn the_sample_clock_never_resyncs_on_a_clean_file() {
    let frames = frames(H264_AAC);
    let Format::Audio(format) = tracks(&frames)[1].format else {
        panic!()
    };
    let mut clock = SampleClock::new(&format);
    let retimed: Vec<_> = coded(&frames, MediaKind::Audio)
        .iter()
        .map(|frame| clock.retime(frame.dts))
        .collect();
    assert!(retimed.len() > 80 && retimed[1..].iter().all(|frame| !frame.resynced));
}

#[test]
fn metadata_announces_both_tracks() {
    let meta = script::parse_meta(&tags(H264_AAC)[0].body);
    assert_eq!((meta.audio, meta.video), (true, true));
    assert_eq!(
        (meta.width, meta.height, meta.frame_rate),
        (Some(160), Some(90), Some(25.0))
    );
}

#[test]
fn a_file_written_again_holds_the_same_frames() {
    let frames = frames(H264_AAC);
    let mut writer = FileWriter::new(Cursor::new(Vec::new()), &tracks(&frames), 100).unwrap();
    frames.iter().for_each(|frame| writer.write(frame).unwrap());
    assert_eq!(
        writer.duration(),
        MediaTime::from_millis(2_100),
        "the last sound starts at 2.077 and lasts 23 ms"
    );
    let again = self::frames(writer.finish().unwrap().get_ref());
    for kind in [MediaKind::Audio, MediaKind::Video] {
        assert_eq!(coded(&again, kind), coded(&frames, kind));
    }
}

#[test]
fn sorenson_is_refused_by_name_and_mp3_is_a_track() {
    let mut sorenson = 0;
    let mut mp3 = Vec::new();
    for tag in tags(FLV1_MP3) {
        match tag.kind {
            MediaKind::Video => {
                assert_eq!(flv::parse_video(&tag.body), Err(TagError::VideoCodec { id: 2 }));
                sorenson += 1;
            }
            MediaKind::Audio => mp3.push((flv::parse_audio(&tag.body).unwrap(), tag.body)),
            MediaKind::Data => {}
        }
    }
    assert_eq!(sorenson, 5);
    let (tag, body) = &mp3[0];
    assert_eq!(
        (tag.codec, tag.role, tag.sample_rate, tag.channels),
        (Codec::Mp3, FrameRole::Coded, 44_100, 2)
    );
    let track = Track::from_frame(TrackId(0), Codec::Mp3, Bytes::new(), &body[tag.header_len..]).unwrap();
    let Format::Audio(format) = track.format else { panic!() };
    assert_eq!(
        (format.sample_rate, format.channels, format.samples_per_frame),
        (44_100, 2, 1152)
    );
}

#[test]
fn an_enhanced_stream_is_walked_and_understood() {
    // The packets an Enhanced RTMP muxer starts with: an empty SequenceStart, the real one, colours, a frame.
    let video: [&[u8]; 4] = [
        b"\x90av01",
        b"\x90av01\x81\x24\0\0\x0a\x0e\x20\0\0\x24\xcf\xa7\x0d\xbf\xff\x34\x04\x34\0\x80",
        b"\xd4av01\x02\0\x09colorInfo",
        b"\x91av01\x12\0\x0a",
    ];
    let audio: [&[u8]; 3] = [
        b"\x90OpusOpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0",
        b"\x94Opus\x01\x01\0\0\0\x04",
        b"\x91Opus\xf8",
    ];
    let mut stream = bytes::BytesMut::from(&flv::file_header(true, true)[..]);
    video
        .iter()
        .for_each(|body| flv::write_tag(&mut stream, MediaKind::Video, 0, body));
    audio
        .iter()
        .for_each(|body| flv::write_tag(&mut stream, MediaKind::Audio, 0, body));
    let mut tracks = Vec::new();
    let mut roles = Vec::new();
    for tag in tags(&stream) {
        let unpacked = flv::unpack(tag.kind, tag.body.clone()).unwrap();
        assert_eq!(unpacked.first.as_ptr(), tag.body.as_ptr(), "it is plain already");
        let parsed = match tag.kind {
            MediaKind::Video => flv::parse_video(&tag.body).map(|tag| (tag.codec, tag.role, tag.header_len)),
            _ => flv::parse_audio(&tag.body).map(|tag| (tag.codec, tag.role, tag.header_len)),
        };
        match parsed {
            Ok((codec, FrameRole::Config, header_len)) => {
                tracks.push(Track::from_config(TrackId(0), codec, tag.body.slice(header_len..)).unwrap());
            }
            Ok((_, role, _)) => roles.push(role),
            Err(error) => assert_eq!((error, &tag.body[..]), (TagError::Empty, &b"\x90av01"[..])),
        }
    }
    let named: Vec<_> = tracks.iter().map(Track::rfc6381).collect();
    assert_eq!(named, ["av01.1.04M.08", "opus"]);
    let Format::Video(format) = tracks[0].format else {
        panic!("{:?}", tracks[0])
    };
    assert_eq!((format.width, format.height), (980, 540));
    use FrameRole::{Coded, Properties};
    assert_eq!(roles, [Properties, Coded, Properties, Coded]);
}

#[test]
fn bodies_are_slices_of_what_was_read() {
    let body = Bytes::from_static(b"\x27\x01\0\0\0picture");
    let tag = flv::parse_video(&body).unwrap();
    let time = MediaTime::ZERO;
    let frame = Frame {
        kind: MediaKind::Video,
        track: TrackId(0),
        role: tag.role,
        key: tag.key,
        dts: time,
        pts: time,
        tag: body.clone(),
        header_len: tag.header_len,
    };
    assert_eq!(frame.data().as_ptr(), body[5..].as_ptr());
}
