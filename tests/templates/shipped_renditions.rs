//! The shipped templates that make one stream of another: each is run on real media, and what comes out is what it says.

use std::collections::BTreeMap;

use streammill::hub::StreamKey;
use streammill_media::{Codec, Format, MediaKind, Track};

use crate::mill::{Clip, Mill, Played, ended, until};

/// What a template makes of five seconds of H.264 and AAC.
async fn made(template: &str, params: &str) -> Played {
    let apps = format!(
        "[apps.live]\npipelines = [{{ template = '{template}', params = {{ {params} }}, publish_to = 'new/{{name}}' }}]\n[apps.new]"
    );
    played_from(&apps).await
}

/// What is played as `new/a` of five seconds of H.264 and AAC that are published as `live/a`.
async fn played_from(apps: &str) -> Played {
    let mill = Mill::start(apps);
    let player = mill.play("new/a");
    let mut door = mill.publish("live/a");
    Clip::seconds(5, "320x180").send(&mut door, 0);
    drop(door);
    let played = ended(player).await;
    mill.stop().await;
    played
}

fn codecs(played: &Played) -> Vec<Codec> {
    let codecs: BTreeMap<_, _> = played.tracks.iter().map(|track| (track.kind(), track.codec)).collect();
    // Pictures first.
    codecs.into_values().rev().collect()
}

fn count(played: &Played, kind: MediaKind) -> usize {
    played.frames.iter().filter(|frame| frame.0 == kind).count()
}

fn size(played: &Played) -> Option<(u32, u32)> {
    played.tracks.iter().find_map(|track: &Track| match track.format {
        Format::Video(video) => Some((video.width, video.height)),
        Format::Audio(_) => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_becomes_hevc_and_aac() {
    let played = made("hevc", "height = 90").await;
    assert_eq!(codecs(&played), [Codec::Hevc, Codec::Aac]);
    assert_eq!(size(&played), Some((160, 90)));
    assert!(
        count(&played, MediaKind::Video) >= 120,
        "{}",
        count(&played, MediaKind::Video)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_becomes_av1_and_opus() {
    let played = made("av1", "height = 90").await;
    assert_eq!(codecs(&played), [Codec::Av1, Codec::Opus]);
    assert_eq!(size(&played), Some((160, 90)));
    assert!(
        count(&played, MediaKind::Video) >= 120,
        "{}",
        count(&played, MediaKind::Video)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sound_of_a_stream_is_a_stream_of_its_own() {
    for (format, codec) in [("copy", Codec::Aac), ("aac", Codec::Aac), ("opus", Codec::Opus)] {
        let mill = Mill::start(&format!(
            "[apps.live]\npipelines = [{{ template = 'audio', params = {{ format = '{format}' }}, publish_to = 'new/{{name}}' }}]\n\
             [apps.new]"
        ));
        let mut door = mill.publish("live/a");
        Clip::seconds(5, "320x180").send(&mut door, 0);
        let key = StreamKey::parse("new/a").unwrap();
        // It is there sooner than a player could be.
        let live = until("all of the sound", || {
            let live = mill.services.hub.stream(&key)?.live?;
            (live.audio_frames >= 200).then_some(live)
        })
        .await;
        let codecs: Vec<_> = live.tracks.tracks.iter().map(|track| track.codec).collect();
        assert_eq!((codecs, live.video_frames), (vec![codec], 0), "{format}");
        drop(door);
        mill.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_becomes_opus_and_aac_again_and_the_pictures_stay() {
    let played = made("sound", "format = 'opus'").await;
    assert_eq!(codecs(&played), [Codec::H264, Codec::Opus]);
    assert_eq!(
        (size(&played), count(&played, MediaKind::Video)),
        (Some((320, 180)), 125)
    );
    let there_and_back = "[apps.live]\npipelines = [{ template = 'sound', params = { format = 'opus' }, publish_to = 'opus/{name}' }]\n\
                          [apps.opus]\npipelines = [{ template = 'sound', publish_to = 'new/{name}' }]\n[apps.new]";
    let played = played_from(there_and_back).await;
    assert_eq!(codecs(&played), [Codec::H264, Codec::Aac]);
    assert!(
        count(&played, MediaKind::Audio) >= 200,
        "{}",
        count(&played, MediaKind::Audio)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_published_again_frame_by_frame() {
    let played = made("remux", "").await;
    assert_eq!(codecs(&played), [Codec::H264, Codec::Aac]);
    assert_eq!(count(&played, MediaKind::Video), 125);
    let keys: Vec<_> = played
        .frames
        .iter()
        .filter(|frame| frame.0 == MediaKind::Video && frame.2)
        .collect();
    assert_eq!(keys.len(), 5);
}
