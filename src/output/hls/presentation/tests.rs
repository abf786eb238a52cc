#![allow(clippy::unwrap_used)]

use std::time::UNIX_EPOCH;

use super::*;

const START: Duration = Duration::from_secs(1_795_435_200);

/// A presentation whose clock is the media's own, in milliseconds.
struct Simulation {
    state: State,
    opening: u64,
    now: SystemTime,
}

impl Simulation {
    fn new(settings: Settings) -> Self {
        let mut state = State::new(7, settings.clone());
        let opening = state.open(settings);
        let now = UNIX_EPOCH + START;
        Self { state, opening, now }
    }

    fn video(&mut self) -> TrackName {
        self.track(MediaKind::Video, b"video init")
    }

    fn audio(&mut self) -> TrackName {
        self.track(MediaKind::Audio, b"audio init")
    }

    fn track(&mut self, kind: MediaKind, init: &'static [u8]) -> TrackName {
        let info = TrackInfo {
            kind,
            codecs: "codec".to_owned(),
            width: Some(640),
            height: Some(360),
            frame_rate: None,
            channels: None,
            sample_rate: None,
        };
        let name = self.state.add_track(self.opening, info).unwrap();
        self.state.init(self.opening, name, Bytes::from_static(init));
        name
    }

    fn segment(&mut self, track: TrackName, from: i64, to: i64) {
        self.chunk(track, from, to, true);
    }

    fn chunk(&mut self, track: TrackName, from: i64, to: i64, starts_segment: bool) {
        let chunk = Chunk {
            data: Bytes::from_static(&[0; 1000]),
            start: MediaTime::from_millis(from),
            duration: MediaTime::from_millis(to - from),
            independent: starts_segment,
            starts_segment,
        };
        self.state.chunk(self.opening, track, chunk, self.now);
    }

    fn segments(&mut self, track: TrackName, seconds: std::ops::Range<i64>) {
        for second in seconds {
            self.segment(track, 1000 * second, 1000 * (second + 1));
        }
    }

    fn expect(&mut self, kinds: &[MediaKind]) {
        self.state.expect(self.opening, kinds, 8);
    }

    fn end(&mut self) {
        self.state.end(self.opening, self.now);
    }

    fn reopen(&mut self) {
        self.opening = self.state.open(Settings::default());
    }

    fn playlist(&self, track: TrackName) -> Media {
        self.state.media(track, self.now).unwrap()
    }

    fn epochs(&self, track: TrackName) -> Vec<u64> {
        self.playlist(track)
            .segments
            .iter()
            .map(|segment| segment.epoch)
            .collect()
    }

    fn sequences(&self, track: TrackName) -> Vec<u64> {
        let playlist = self.playlist(track);
        playlist.segments.iter().map(|segment| segment.sequence).collect()
    }
}

fn six() -> Settings {
    Settings::default()
}

#[test]
fn the_playlist_is_a_window_and_what_left_it_stays_fetchable_for_as_long() {
    let mut it = Simulation::new(six());
    let video = it.video();
    it.segments(video, 0..31);
    assert_eq!(it.sequences(video), [24, 25, 26, 27, 28, 29]);
    assert!(it.state.segment(7, video, 17).is_some());
    assert!(it.state.segment(7, video, 16).is_none());
    assert!(
        it.state.segment(7, video, 30).is_none(),
        "an unfinished segment was given out"
    );
}

#[test]
fn a_playlist_is_never_shorter_than_three_target_durations() {
    let mut it = Simulation::new(Settings {
        playlist_segments: 2,
        ..six()
    });
    let video = it.video();
    it.segment(video, 0, 6000);
    it.segments(video, 6..40);
    let lasts: f64 = it
        .playlist(video)
        .segments
        .iter()
        .map(|segment| segment.duration.as_secs_f64())
        .sum();
    assert!(lasts >= 18.0, "{lasts} s at a target duration of 6 s");
}

#[test]
fn the_target_duration_is_the_longest_there_ever_was_and_the_same_for_all_tracks() {
    let mut it = Simulation::new(six());
    let (video, audio) = (it.video(), it.audio());
    it.segments(audio, 0..3);
    assert_eq!(it.playlist(audio).target_duration, 1);
    it.segment(video, 0, 4600);
    it.segments(video, 5..50);
    let playlist = it.playlist(video);
    assert_eq!(playlist.target_duration, 5);
    assert!(
        playlist
            .segments
            .iter()
            .all(|segment| segment.duration.as_millis() <= 1500)
    );
    assert_eq!(it.playlist(audio).target_duration, 5);
}

#[test]
fn chunks_between_two_starts_are_one_segment() {
    let mut it = Simulation::new(six());
    let video = it.video();
    for second in 0..3 {
        it.chunk(video, 1000 * second, 1000 * second + 500, true);
        it.chunk(video, 1000 * second + 500, 1000 * second + 1000, false);
    }
    let segment = it.state.segment(7, video, 1).unwrap();
    assert_eq!(
        (segment.parts.len(), segment.duration.as_millis(), segment.bytes),
        (2, 1000, 2000)
    );
}

#[test]
fn tracks_share_one_wall_clock() {
    let mut it = Simulation::new(six());
    let (video, audio) = (it.video(), it.audio());
    // The first chunk arrives when its last frame has: 1 s after its first.
    it.segment(video, 5000, 6000);
    it.now += Duration::from_millis(300);
    it.segment(audio, 5020, 6020);
    it.segment(video, 6000, 7000);
    it.segment(audio, 6020, 7020);
    let began = UNIX_EPOCH + START - Duration::from_secs(1);
    assert_eq!(it.playlist(video).segments[0].date_time, began);
    assert_eq!(
        it.playlist(audio).segments[0].date_time,
        began + Duration::from_millis(20)
    );
}

#[test]
fn nothing_is_kept_of_a_track_without_its_configuration_or_before_its_first_start() {
    let mut it = Simulation::new(six());
    let info = TrackInfo {
        kind: MediaKind::Video,
        codecs: "codec".to_owned(),
        width: None,
        height: None,
        frame_rate: None,
        channels: None,
        sample_rate: None,
    };
    let video = it.state.add_track(it.opening, info).unwrap();
    it.segments(video, 0..2);
    assert_eq!(it.state.bytes(), 0);
    it.state.init(it.opening, video, Bytes::from_static(b"init"));
    it.chunk(video, 2000, 2500, false);
    assert_eq!(it.state.bytes(), 0);
    it.segments(video, 3..5);
    assert_eq!(it.sequences(video), [0]);
}

#[test]
fn a_new_configuration_is_a_discontinuity_in_every_track() {
    let mut it = Simulation::new(six());
    let (video, audio) = (it.video(), it.audio());
    it.segments(video, 0..3);
    it.segments(audio, 0..3);
    it.state.init(it.opening, video, Bytes::from_static(b"another size"));
    it.segments(video, 3..6);
    it.segments(audio, 3..6);
    assert_eq!(it.epochs(video), [0, 0, 0, 1, 1]);
    assert_eq!(it.epochs(audio), [0, 0, 0, 1, 1]);
    let inits: Vec<_> = it.playlist(video).segments.iter().map(|segment| segment.init).collect();
    assert_ne!(inits[2], inits[3]);
    let Resource::Init { number, .. } = inits[3] else {
        panic!("no initialisation segment")
    };
    assert_eq!(
        it.state.init_segment(7, video, number).unwrap(),
        Bytes::from_static(b"another size")
    );
}

#[test]
fn two_tracks_that_change_at_once_make_one_discontinuity() {
    let mut it = Simulation::new(six());
    let (video, audio) = (it.video(), it.audio());
    it.segments(video, 0..2);
    it.segments(audio, 0..2);
    it.state.init(it.opening, video, Bytes::from_static(b"another size"));
    it.state.init(it.opening, audio, Bytes::from_static(b"another rate"));
    it.segments(video, 2..4);
    it.segments(audio, 2..4);
    assert_eq!((it.epochs(video), it.epochs(audio)), (vec![0, 0, 1], vec![0, 0, 1]));
}

#[test]
fn the_same_configuration_again_is_no_discontinuity() {
    let mut it = Simulation::new(six());
    let video = it.video();
    it.segments(video, 0..2);
    it.state.init(it.opening, video, Bytes::from_static(b"video init"));
    it.segments(video, 2..4);
    assert_eq!(it.epochs(video), [0, 0, 0]);
}

#[test]
fn configurations_go_when_no_segment_needs_them() {
    let mut it = Simulation::new(six());
    let video = it.video();
    it.segments(video, 0..2);
    it.state.init(it.opening, video, Bytes::from_static(b"never used"));
    it.state.init(it.opening, video, Bytes::from_static(b"another"));
    it.segments(video, 2..20);
    assert!(it.state.init_segment(7, video, 0).is_none());
    assert_eq!(it.state.tracks[&video].inits.len(), 1);
}

#[test]
fn after_a_return_numbers_go_on_behind_a_discontinuity() {
    let mut it = Simulation::new(six());
    let (video, audio) = (it.video(), it.audio());
    it.segments(video, 0..3);
    it.segments(audio, 0..3);
    it.now += Duration::from_secs(3);
    it.end();
    it.now += Duration::from_secs(2);
    it.reopen();
    let (video, audio) = (it.video(), it.audio());
    // The new publisher's timeline begins at zero again.
    it.segments(audio, 0..2);
    it.segments(video, 0..2);
    assert_eq!(it.sequences(video), [0, 1, 2, 3]);
    assert_eq!(
        (it.epochs(video), it.epochs(audio)),
        (vec![0, 0, 0, 1], vec![0, 0, 0, 1])
    );
    let playlist = it.playlist(video);
    assert!(!playlist.ended);
    assert!(playlist.segments[3].date_time > playlist.segments[2].date_time);
}

#[test]
fn a_track_that_is_new_after_a_return_is_in_the_same_epoch_as_the_others() {
    let mut it = Simulation::new(six());
    let video = it.video();
    it.segments(video, 0..3);
    it.end();
    it.reopen();
    let video = it.video();
    it.segments(video, 0..2);
    let audio = it.audio();
    it.segments(audio, 0..2);
    assert_eq!((it.epochs(video), it.epochs(audio)), (vec![0, 0, 0, 1], vec![1]));
}

#[test]
fn a_return_with_other_tracks_is_another_presentation() {
    let mut it = Simulation::new(six());
    it.expect(&[MediaKind::Audio, MediaKind::Video]);
    let (video, audio) = (it.video(), it.audio());
    it.segments(video, 0..3);
    it.segments(audio, 0..3);
    it.end();
    it.reopen();
    it.expect(&[MediaKind::Video]);
    let video = it.video();
    it.segments(video, 0..2);
    assert!(it.state.is(8) && !it.state.is(7));
    assert!(it.state.segment(7, video, 0).is_none());
    assert!(it.state.media(audio, it.now).is_none());
    assert_eq!((it.sequences(video), it.epochs(video)), (vec![0], vec![0]));
}

#[test]
fn a_return_with_the_same_tracks_is_the_same_presentation_in_whatever_order_they_are_named() {
    let mut it = Simulation::new(six());
    it.expect(&[MediaKind::Audio, MediaKind::Video]);
    let video = it.video();
    it.segments(video, 0..3);
    it.end();
    // One opening that came to nothing lies between.
    it.reopen();
    it.end();
    it.reopen();
    it.expect(&[MediaKind::Video, MediaKind::Audio]);
    assert!(it.state.is(7));
}

#[test]
fn the_end_is_told_after_a_grace_and_the_rest_stays_for_a_while() {
    let mut it = Simulation::new(six());
    let video = it.video();
    it.segments(video, 0..3);
    it.end();
    assert_eq!(it.sequences(video), [0, 1, 2], "the last segment is finished");
    assert!(!it.playlist(video).ended);
    it.now += six().end_grace;
    assert!(it.playlist(video).ended);
    assert!(!it.state.is_over(it.now));
    it.now += six().linger;
    assert!(it.state.is_over(it.now));
}

#[test]
fn players_are_told_of_it_once_every_expected_track_has_a_segment() {
    let mut it = Simulation::new(six());
    let (video, audio) = (it.video(), it.audio());
    assert!(it.state.multivariant().is_none());
    it.segments(video, 0..2);
    assert!(!it.state.is_ready(), "nobody said what will come");
    it.expect(&[MediaKind::Video, MediaKind::Audio]);
    assert!(!it.state.is_ready());
    it.segments(audio, 0..2);
    assert!(it.state.is_ready());
}

#[test]
fn bandwidth_is_what_was_measured() {
    let mut it = Simulation::new(six());
    let video = it.video();
    it.segments(video, 0..2);
    it.chunk(video, 2000, 2500, true);
    it.chunk(video, 2500, 3000, false);
    it.segments(video, 3..4);
    let variant = it.state.multivariant().unwrap().videos.remove(0);
    assert_eq!(variant.peak_bandwidth, 16_000, "1000 bytes each half second");
    assert_eq!(variant.average_bandwidth, 10_667, "4000 bytes in 3 s");
}

#[test]
fn a_presentation_stays_within_its_bytes_even_when_a_segment_never_ends() {
    let mut it = Simulation::new(Settings {
        max_bytes: 20_000,
        ..six()
    });
    let video = it.video();
    it.chunk(video, 0, 100, true);
    for number in 1..1000 {
        it.chunk(video, 100 * number, 100 * (number + 1), false);
        assert!(it.state.bytes() <= 20_000);
    }
    let playlist = it.playlist(video);
    assert!(playlist.segments.len() > 1);
    assert!(!playlist.segments.last().unwrap().independent);
}

#[test]
fn hostile_times_do_no_harm() {
    let mut it = Simulation::new(six());
    let video = it.video();
    for (from, to) in [(i64::MIN / 2, i64::MAX / 2), (0, -5), (i64::MAX, i64::MAX), (5, 6)] {
        it.segment(video, from, to);
    }
    it.end();
    let text = it.playlist(video).to_string();
    assert!(text.contains("#EXTINF"));
}
