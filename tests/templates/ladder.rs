//! A ladder's renditions: those that the source allows, of the heights asked for, with key frames at the same times.

use streammill::hub::StreamKey;
use streammill_media::{Format, MediaKind};

use crate::mill::{Clip, Mill, Played, ended, until};

const CONFIG: &str = "[apps.live]\n\
    pipelines = [{ template = 'ladder', publish_to = 'abr/{name}_{output}' }]\n\
    [apps.live.templates.ladder]\n\
    keyframe_interval = '1s'\n\
    ladder = [{ height = 360, bitrate = '800k' }, { height = 240, bitrate = '400k' },\n\
              { height = 120, bitrate = '150k', fps = '15' }, { height = 90, bitrate = '100k' }]\n\
    [apps.abr]";

fn height(played: &Played) -> u32 {
    let video = played.tracks.iter().find_map(|track| match track.format {
        Format::Video(video) => Some(video.height),
        Format::Audio(_) => None,
    });
    video.unwrap()
}

fn times(played: &Played, kind: MediaKind, only_keys: bool) -> Vec<i64> {
    let wanted = |frame: &&(MediaKind, i64, bool)| frame.0 == kind && (frame.2 || !only_keys);
    played.frames.iter().filter(wanted).map(|frame| frame.1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_have_key_frames_at_equal_times_and_the_same_sound() {
    let mill = Mill::start(CONFIG);
    let players = [240, 120, 90].map(|height| mill.play(&format!("abr/a_{height}")));
    let mut door = mill.publish("live/a");
    // Scaled to 120 and 90 lines an odd number of columns would be nearest.
    Clip::made(
        "-f lavfi -i testsrc2=size=426x240:rate=30 -f lavfi -i sine=frequency=440:sample_rate=44100 -t 6 \
         -c:v libx264 -preset ultrafast -bf 2 -g 45 -pix_fmt yuv420p -c:a aac -b:a 64k",
    )
    .send(&mut door, 90_000);
    drop(door);
    let mut played = Vec::new();
    for player in players {
        played.push(ended(player).await);
    }
    assert_eq!(played.iter().map(height).collect::<Vec<_>>(), [240, 120, 90]);
    let keys = times(&played[0], MediaKind::Video, true);
    assert!(keys.len() >= 5, "{keys:?}");
    assert!(keys.windows(2).all(|pair| pair[1] - pair[0] == 1000), "{keys:?}");
    assert_eq!(times(&played[2], MediaKind::Video, true), keys);
    let pictures = |one: &Played| times(one, MediaKind::Video, false).len();
    assert!(pictures(&played[0]) >= 175 && pictures(&played[2]) == pictures(&played[0]));
    let half = pictures(&played[1]) * 2;
    assert!(
        half.abs_diff(pictures(&played[0])) <= 4,
        "{half} of {}",
        pictures(&played[0])
    );
    for one in &played[1..] {
        assert_eq!(
            times(one, MediaKind::Audio, false),
            times(&played[0], MediaKind::Audio, false)
        );
    }
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_shrinks_loses_the_rungs_above_it_and_keeps_the_others() {
    let mill = Mill::start(CONFIG);
    let (high, low) = (mill.play("abr/a_240"), mill.play("abr/a_90"));
    let mut door = mill.publish("live/a");
    Clip::seconds(4, "426x240").send(&mut door, 0);
    let live = |key: &str| mill.services.hub.stream(&StreamKey::parse(key).unwrap())?.live;
    until("the highest rendition", || live("abr/a_240")).await;
    Clip::seconds(4, "160x90").send(&mut door, 4_000);
    // The stream that nothing feeds any more ends while its source goes on.
    let high = ended(high).await;
    assert!(times(&high, MediaKind::Video, false).last().unwrap() < &4_500);
    drop(door);
    let low = ended(low).await;
    let pictures = times(&low, MediaKind::Video, false);
    assert!(
        pictures.is_sorted() && pictures.len() >= 190,
        "{} pictures",
        pictures.len()
    );
    assert!(pictures.last().unwrap() > &7_000, "{pictures:?}");
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_is_published_as_one_stream() {
    let mill = Mill::start(CONFIG);
    let player = mill.play("abr/a_audio");
    let mut door = mill.publish("live/a");
    Clip::seconds(3, "160x90").only(MediaKind::Audio).send(&mut door, 0);
    drop(door);
    let played = ended(player).await;
    assert!(times(&played, MediaKind::Audio, false).len() > 100);
    mill.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_can_be_passed_as_it_is() {
    let mill = Mill::start(&CONFIG.replace("keyframe_interval = '1s'", "audio = 'copy'"));
    let player = mill.play("abr/a_90");
    let mut door = mill.publish("live/a");
    Clip::seconds(3, "160x90").send(&mut door, 0);
    drop(door);
    let played = ended(player).await;
    let rate = played.tracks.iter().find_map(|track| match track.format {
        Format::Audio(audio) => Some(audio.sample_rate),
        Format::Video(_) => None,
    });
    assert_eq!(rate, Some(44_100), "coded anew it has 48000");
    mill.stop().await;
}

/// How much media the long test takes: a short while, or what the environment says.
fn seconds_of_media() -> u32 {
    let asked = std::env::var("STREAMMILL_LADDER_SECONDS").ok();
    asked.map_or(40, |asked| asked.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn key_frames_stay_together_for_as_long_as_the_stream_lasts() {
    let mill = Mill::start(CONFIG);
    let players = [240, 120, 90].map(|height| mill.play(&format!("abr/a_{height}")));
    let mut door = mill.publish("live/a");
    // Groups of another length than the ladder's, at a rate that no timestamp in milliseconds hits.
    let clip = Clip::made(
        "-f lavfi -i testsrc2=size=426x240:rate=30000/1001 -f lavfi -i sine=sample_rate=44100 -t 2.002 \
         -c:v libx264 -preset ultrafast -bf 2 -g 23 -pix_fmt yuv420p -c:a aac -b:a 64k",
    );
    let newest = |height: u32| {
        let key = StreamKey::parse(&format!("abr/a_{height}")).unwrap();
        Some(mill.services.hub.stream(&key)?.live?.last_dts_millis)
    };
    for round in 0..seconds_of_media().div_ceil(2) {
        clip.send(&mut door, round * 2_002);
        // As fast as it is encoded, and no faster: what waits for longer than three seconds is dropped.
        let reached = u64::from(round * 2_002 + 1_400);
        for height in [240, 120, 90] {
            until("the rendition to come along", || {
                newest(height).filter(|newest| *newest > reached)
            })
            .await;
        }
    }
    drop(door);
    let mut keys = Vec::new();
    for player in players {
        keys.push(times(&ended(player).await, MediaKind::Video, true));
    }
    let last = i64::from(seconds_of_media() - 4) * 1000;
    assert!(
        keys[0].last().is_some_and(|newest| *newest > last),
        "{:?}",
        keys[0].last()
    );
    assert_eq!(keys[2], keys[0]);
    // Half of the pictures: those that are left have the times they had.
    assert_eq!(keys[1], keys[0], "the rung with half of the pictures");
    mill.stop().await;
}
