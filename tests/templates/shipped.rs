//! What a publisher sends comes out as segments, renditions and files.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use streammill::{hub::StreamKey, output::hls, pipeline::job::State};
use streammill_media::{Format, MediaKind, Track};

use crate::mill::{Clip, Mill, PATIENCE, Played, ended, until};

/// The playlist of a track once it says what is waited for.
async fn media_playlist(mill: &Mill, key: &StreamKey, kind: MediaKind, is_good: impl Fn(&str) -> bool) -> String {
    let multivariant = mill
        .services
        .segments
        .multivariant(key, "a", &[], true, PATIENCE)
        .await
        .unwrap();
    let presentation = multivariant
        .split('.')
        .find_map(|part| u64::from_str_radix(part, 16).ok())
        .unwrap();
    let track = hls::TrackName::new(kind, 0).unwrap();
    until("such a playlist", || {
        let playlist = mill.services.segments.media(key, presentation, track).ok()?;
        is_good(&playlist).then_some(playlist)
    })
    .await
}

/// The files in a directory once all pipelines are over.
async fn files_when_over(mill: &Mill, dir: &Path) -> Vec<PathBuf> {
    let over = || {
        let pipelines = mill.roster.list();
        pipelines
            .iter()
            .all(|pipeline| pipeline.status.state == State::Ended)
            .then_some(())
    };
    until("end of the pipelines", over).await;
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// What ffprobe says about a file: its duration in seconds, and codecs.
fn probe(file: &Path) -> (f64, Vec<String>) {
    let ask = |entries: &str| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", entries, "-of", "csv=p=0"])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let mut codecs: Vec<_> = ask("stream=codec_name").lines().map(str::to_owned).collect();
    codecs.sort();
    (ask("format=duration").trim().parse().unwrap(), codecs)
}

/// How many pictures each listed video segment holds, by decoding it behind its own header.
fn pictures_of_segments(mill: &Mill, key: &StreamKey, playlist: &str, dir: &Path) -> Vec<usize> {
    let track = hls::TrackName::new(MediaKind::Video, 0).unwrap();
    let number = |name: &str, at: usize, radix| u64::from_str_radix(name.split('.').nth(at).unwrap(), radix).unwrap();
    let (mut init, mut counts) = (Bytes::new(), Vec::new());
    for line in playlist.lines() {
        if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
            let segments = &mill.services.segments;
            init = segments
                .init(key, number(map, 1, 16), track, number(map, 3, 10))
                .unwrap();
        } else if line.ends_with(".m4s") {
            let segments = &mill.services.segments;
            let segment = segments
                .segment(key, number(line, 1, 16), track, number(line, 2, 10))
                .unwrap();
            let parts = segment.parts.iter().map(|part| &part.data);
            let whole: Vec<u8> = std::iter::once(&init).chain(parts).flatten().copied().collect();
            let file = dir.join("segment.tmp");
            std::fs::write(&file, whole).unwrap();
            let output = Command::new("ffprobe")
                .args([
                    "-v",
                    "error",
                    "-count_frames",
                    "-show_entries",
                    "stream=nb_read_frames",
                    "-of",
                    "csv=p=0",
                ])
                .arg(&file)
                .output()
                .unwrap();
            std::fs::remove_file(&file).unwrap();
            counts.push(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap());
        }
    }
    counts
}

/// Decodes a file from a place in its middle on, and answers with what the decoder complains about.
fn decode_from(file: &Path, seconds: &str) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-ss", seconds, "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_becomes_segments_of_sound_and_picture() {
    let mill = Mill::start("[apps.live]\npipelines = ['hls']");
    let mut door = mill.publish("live/a");
    Clip::seconds(7, "320x180").send(&mut door, 3_600_000);
    let key = StreamKey::parse("live/a").unwrap();
    let multivariant = mill
        .services
        .segments
        .multivariant(&key, "a", &[], true, PATIENCE)
        .await
        .unwrap();
    assert!(multivariant.contains("RESOLUTION=320x180"), "{multivariant}");
    assert!(multivariant.contains("mp4a.40.2"), "{multivariant}");
    drop(door);
    for kind in [MediaKind::Video, MediaKind::Audio] {
        let total = |playlist: &str| -> f64 {
            let durations = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
            durations
                .map(|text| text.trim_end_matches(',').parse::<f64>().unwrap())
                .sum()
        };
        let playlist = media_playlist(&mill, &key, kind, |playlist| total(playlist) >= 6.5).await;
        assert!(total(&playlist) < 7.5, "{playlist}");
    }
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_has_the_height_asked_for_and_its_sources_timeline() {
    let mill = Mill::start(
        "[apps.live]\npipelines = [{ template = 'transcode', params = { height = 90 }, publish_to = 'small/{name}' }]\n[apps.small]",
    );
    let player = mill.play("small/a ! b");
    let mut door = mill.publish("live/a ! b");
    Clip::seconds(5, "320x180").send(&mut door, 0);
    drop(door);
    let Played { frames, tracks } = ended(player).await;
    let video = tracks.iter().find(|track| track.kind() == MediaKind::Video).unwrap();
    let Format::Video(format) = video.format else {
        panic!("{video:?}")
    };
    assert_eq!((format.width, format.height), (160, 90));
    for (kind, least) in [(MediaKind::Video, 120), (MediaKind::Audio, 200)] {
        let times: Vec<_> = frames
            .iter()
            .filter(|frame| frame.0 == kind)
            .map(|frame| frame.1)
            .collect();
        assert!(times.len() >= least, "{kind:?}: {} frames", times.len());
        assert!(times.is_sorted(), "{kind:?}: {times:?}");
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!(
            first < 600 && (4_500..6_000).contains(&last),
            "{kind:?} from {first} to {last}"
        );
    }
    let keys: Vec<_> = frames
        .iter()
        .filter(|frame| frame.0 == MediaKind::Video && frame.2)
        .map(|frame| frame.1)
        .collect();
    assert!(
        keys.windows(2).all(|pair| pair[1] - pair[0] == 2_000),
        "key frames at {keys:?}"
    );
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_whole_and_seekable_after_the_publisher_left() {
    for format in ["mp4", "flv"] {
        let dir = tempfile::tempdir().unwrap();
        let config = format!("[apps.tv]\nrecord = {{ path = {:?}, format = '{format}' }}", dir.path());
        let mill = Mill::start(&config);
        let mut door = mill.publish("tv/x\" ! filesink location=/tmp/x");
        Clip::seconds(6, "320x180").send(&mut door, 90_000);
        drop(door);
        let files = files_when_over(&mill, dir.path()).await;
        assert_eq!(files.len(), 1, "{files:?}");
        let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name.starts_with("x%22%20%21%20filesink%20location%3D%2Ftmp%2Fx-"),
            "{name}"
        );
        let (duration, codecs) = probe(&files[0]);
        assert!((5.8..6.3).contains(&duration), "{format}: {duration} s");
        assert_eq!(codecs, ["aac", "h264"]);
        assert_eq!(decode_from(&files[0], "4"), "", "{format}");
        mill.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_mid_stream_finishes_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let mill = Mill::start(&format!("[apps.tv]\nrecord = {{ path = {:?} }}", dir.path()));
    let mut door = mill.publish("tv/a");
    Clip::seconds(4, "320x180").send(&mut door, 0);
    let file = until("recording", || {
        let entry = std::fs::read_dir(dir.path()).unwrap().next()?.unwrap();
        (entry.metadata().unwrap().len() > 20_000).then(|| entry.path())
    })
    .await;
    mill.stop().await;
    let (duration, codecs) = probe(&file);
    assert!((1.0..4.3).contains(&duration), "{duration} s");
    assert_eq!(codecs, ["aac", "h264"]);
    assert_eq!(decode_from(&file, "0.5"), "");
    drop(door);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_sound_or_pictures_go_through_every_template() {
    for (kind, codec) in [(MediaKind::Video, "h264"), (MediaKind::Audio, "aac")] {
        let dir = tempfile::tempdir().unwrap();
        let mill = Mill::start(&format!(
            "[apps.live]\npipelines = ['hls', {{ template = 'transcode', publish_to = 'small/{{name}}' }}]\n\
             record = {{ path = {:?} }}\n[apps.small]",
            dir.path()
        ));
        let player = mill.play("small/a");
        let mut door = mill.publish("live/a");
        Clip::seconds(6, "320x180").only(kind).send(&mut door, 0);
        let key = StreamKey::parse("live/a").unwrap();
        let playlist = mill
            .services
            .segments
            .multivariant(&key, "a", &[], true, PATIENCE)
            .await;
        assert!(playlist.is_ok(), "{kind:?}: {playlist:?}");
        drop(door);
        let Played { frames, tracks } = ended(player).await;
        assert_eq!(tracks.iter().map(Track::kind).collect::<Vec<_>>(), [kind]);
        assert!(frames.len() > 100, "{kind:?}: {} frames", frames.len());
        let files = files_when_over(&mill, dir.path()).await;
        assert_eq!(probe(&files[0]).1, [codec]);
        mill.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_codec_configuration_is_followed_by_every_template() {
    let dir = tempfile::tempdir().unwrap();
    let mill = Mill::start(&format!(
        "[apps.live]\npipelines = ['hls', {{ template = 'transcode', params = {{ height = 90 }}, publish_to = 'small/{{name}}' }}]\n\
         record = {{ path = {:?} }}\n[apps.small]",
        dir.path()
    ));
    let player = mill.play("small/a");
    let mut door = mill.publish("live/a");
    Clip::seconds(4, "320x180").send(&mut door, 0);
    Clip::seconds(4, "640x360").send(&mut door, 4_000);
    let key = StreamKey::parse("live/a").unwrap();
    let has_seam = |playlist: &str| playlist.contains("#EXT-X-DISCONTINUITY\n");
    let playlist = media_playlist(&mill, &key, MediaKind::Video, has_seam).await;
    assert_eq!(playlist.matches("#EXT-X-MAP").count(), 2, "{playlist}");
    // The pictures before and after the seam are all there: two seconds at 25 a second in each segment.
    let pictures = pictures_of_segments(&mill, &key, &playlist, dir.path());
    assert_eq!(pictures, [50, 50, 50], "{playlist}");
    drop(door);
    let Played { frames, tracks } = ended(player).await;
    let pictures = frames.iter().filter(|frame| frame.0 == MediaKind::Video).count();
    assert!(pictures >= 190, "{pictures} pictures of 200");
    assert!(
        tracks
            .iter()
            .any(|track| matches!(track.format, Format::Video(video) if video.height == 90))
    );
    let files = files_when_over(&mill, dir.path()).await;
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        let (duration, _) = probe(file);
        assert!((3.7..4.4).contains(&duration), "{file:?}: {duration} s");
    }
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_fails_is_built_again_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = "summary = 'fails'\noutput = 'none'\n[launch]\n\
                  video = 'in.video ! identity error-after=20 ! fakesink async=false sync=false'";
    std::fs::write(dir.path().join("faulty.toml"), faulty).unwrap();
    let mill = Mill::start(&format!(
        "[templates]\npaths = [{:?}]\n[apps.live]\npipelines = ['faulty', 'hls']",
        dir.path()
    ));
    let mut door = mill.publish("live/a");
    Clip::seconds(6, "320x180").send(&mut door, 0);
    let faulty = until("second failure", || {
        let pipelines = mill.roster.list();
        let faulty = pipelines.into_iter().find(|pipeline| pipeline.template == "faulty")?;
        (faulty.status.restarts >= 2).then_some(faulty.status)
    })
    .await;
    assert!(faulty.last_error.unwrap().contains("identity"));
    let hls = mill
        .roster
        .list()
        .into_iter()
        .find(|pipeline| pipeline.template == "hls")
        .unwrap();
    assert_eq!((hls.status.state, hls.status.restarts), (State::Running, 0));
    drop(door);
    let over = || mill.roster.list().is_empty().then_some(());
    until("end of both pipelines", over).await;
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_publishes_a_picture_with_sound() {
    let mill = Mill::start("[apps.live]\n[sources.demo]\ntemplate = 'demo'\npublish_to = 'live/demo'");
    let key = StreamKey::parse("live/demo").unwrap();
    let stream = until("frames of the demo", || {
        let live = mill.services.hub.stream(&key)?.live?;
        (live.video_frames > 20 && live.audio_frames > 20).then_some(live)
    })
    .await;
    assert_eq!(stream.tracks.tracks.len(), 2);
    assert!(stream.tracks.settled);
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_width_that_would_be_odd_becomes_even() {
    let mill = Mill::start(
        "[apps.live]\npipelines = [{ template = 'transcode', params = { height = 90 }, publish_to = 'small/{name}' }]\n[apps.small]",
    );
    let player = mill.play("small/a");
    let mut door = mill.publish("live/a");
    // Of 106x60, 159x90 has the same shape.
    Clip::seconds(2, "106x60").send(&mut door, 0);
    drop(door);
    let played = ended(player).await;
    let sizes: Vec<_> = played
        .tracks
        .iter()
        .filter_map(|track| match track.format {
            Format::Video(video) => Some((video.width % 2, video.height)),
            Format::Audio(_) => None,
        })
        .collect();
    assert_eq!(sizes, [(0, 90)]);
    mill.stop().await;
}
