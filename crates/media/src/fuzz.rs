//! Fuzz bodies. They live beside the code they break with; `fuzz/` holds one call each.

use bytes::Bytes;

use crate::{
    Codec, Format, FrameRole, MediaKind, MediaTime, SampleClock, Timeline, Track, TrackId,
    codec::{
        aac::AudioSpecificConfig,
        av1::{Av1Config, record_of_key_frame},
        h264::Sps,
        mp3, opus,
    },
    flv::{self, script},
};

/// Any bytes as a tag body, and as an FLV stream cut into pieces whose tags go the way a publisher's do.
///
/// # Panics
/// When a promise of the readers does not hold.
pub fn flv_tag(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    tag_body(&body);
    for kind in [MediaKind::Audio, MediaKind::Video] {
        if let Ok(unpacked) = flv::unpack(kind, body.clone()) {
            let parts = std::iter::once(&unpacked.first).chain(&unpacked.rest);
            assert!(parts.clone().map(Bytes::len).sum::<usize>() <= 2 * body.len() + 16);
            for part in parts {
                let again = flv::unpack(kind, part.clone());
                assert!(again.is_ok_and(|again| again.first == *part && again.rest.is_empty()));
                tag_body(part);
            }
        }
    }
    let _ = script::parse_meta(data);

    let mut reader = flv::Reader::new(1 << 16);
    let mut timeline = Timeline::new();
    let mut last = MediaTime::ZERO;
    reader.push(&flv::file_header(true, true));
    for piece in data.chunks(1 + data.len() / 3) {
        reader.push(piece);
        while let Ok(Some(tag)) = reader.next_tag() {
            tag_body(&tag.body);
            let placed = timeline.place(tag.kind, TrackId(0), FrameRole::Coded, tag.timestamp_ms);
            assert!(timeline.frontier() >= last, "the timeline runs back");
            assert!(placed.dts <= timeline.frontier());
            last = timeline.frontier();
        }
    }
    let mut whole = flv::Reader::new(1 << 16);
    whole.push(data);
    while let Ok(Some(_)) = whole.next_tag() {}
}

fn tag_body(body: &Bytes) {
    if let Ok(tag) = flv::parse_video(body) {
        assert!(tag.header_len <= body.len());
        assert!(tag.role == FrameRole::End || tag.header_len < body.len());
        let data = &body[tag.header_len..];
        let again = flv::parse_video(&flv::video_body(
            tag.codec,
            tag.track,
            tag.role,
            tag.key,
            tag.composition_offset,
            data,
        ));
        // The header may be shorter: a composition offset of zero can be left out.
        assert!(again.is_ok_and(|again| flv::VideoTag {
            header_len: tag.header_len,
            ..again
        } == tag));
    }
    if let Ok(tag) = flv::parse_audio(body) {
        assert!(tag.header_len <= body.len());
        assert!(tag.role == FrameRole::End || tag.header_len < body.len());
    }
}

/// Any bytes as every kind of decoder configuration.
///
/// # Panics
/// When a promise of the parsers does not hold.
pub fn codec_config(data: &[u8]) {
    let record = Bytes::copy_from_slice(data);
    for codec in Codec::ALL {
        if let Ok(track) = Track::from_config(TrackId(0), codec, record.clone()) {
            check_track(&track);
        }
        for config in [Bytes::new(), record.clone()] {
            if let Ok(track) = Track::from_frame(TrackId(0), codec, config, data) {
                check_track(&track);
            }
        }
    }
    let _ = (
        Sps::parse(data),
        AudioSpecificConfig::parse(data),
        mp3::parse_header(data),
        opus::packet_samples(data),
        Av1Config::parse(data),
    );
    if let Ok(Some(made)) = record_of_key_frame(data) {
        assert!(Av1Config::parse(&made).is_ok_and(|config| config.sequence.is_some()));
    }
}

fn check_track(track: &Track) {
    assert!(track.rfc6381().is_ascii());
    assert!(script::parse_meta(&script::on_meta_data(std::slice::from_ref(track))) != script::Meta::default());
    match track.format {
        Format::Video(video) => {
            assert!(video.width > 0 && video.height > 0);
            assert!(
                video
                    .frame_rate
                    .is_none_or(|(frames, seconds)| frames > 0 && seconds > 0)
            );
        }
        Format::Audio(audio) => {
            assert!(audio.sample_rate > 0 && audio.channels > 0 && audio.samples_per_frame > 0);
            let mut clock = SampleClock::new(&audio);
            let mut last = MediaTime::ZERO;
            for stamp in [0, 20, 40, 4, 90, 86_400_000, 0] {
                let retimed = clock.retime(MediaTime::from_millis(stamp));
                assert!(retimed.time >= last);
                last = retimed.time;
            }
        }
    }
}
