#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const AUDIO: MediaKind = MediaKind::Audio;
const VIDEO: MediaKind = MediaKind::Video;
/// 1024 samples at 44.1 kHz, in microseconds.
const AUDIO_STEP_US: i64 = 23_220;
const VIDEO_STEP_US: i64 = 33_333;

fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn coded(timeline: &mut Timeline, kind: MediaKind, stamp: u32) -> Placed {
    timeline.place(kind, TrackId(0), FrameRole::Coded, stamp)
}

/// A sender that interleaves sound and pictures by time, as encoders do. Its clock is what the test says.
struct Sender {
    next_audio_us: i64,
    next_video_us: i64,
    /// What each kind's stamps have over the true time.
    audio_base: i64,
    video_base: i64,
}

/// A placed frame beside the moment it was captured.
#[derive(Clone, Copy, Debug)]
struct Sent {
    kind: MediaKind,
    true_ms: i64,
    placed: Placed,
}

impl Sent {
    /// Media time less capture time: equal for sound and picture when they are together.
    fn lag(&self) -> i64 {
        self.placed.dts.as_millis() - self.true_ms
    }
}

impl Sender {
    fn new(base: i64) -> Self {
        Self {
            next_audio_us: 0,
            next_video_us: 0,
            audio_base: base,
            video_base: base,
        }
    }

    fn jump(&mut self, by: i64) {
        self.audio_base += by;
        self.video_base += by;
    }

    fn next(&mut self) -> (MediaKind, i64, u32) {
        let (kind, next, base) = if self.next_video_us <= self.next_audio_us {
            (VIDEO, &mut self.next_video_us, self.video_base)
        } else {
            (AUDIO, &mut self.next_audio_us, self.audio_base)
        };
        let true_ms = *next / 1000;
        *next += if kind == VIDEO { VIDEO_STEP_US } else { AUDIO_STEP_US };
        (kind, true_ms, (true_ms + base) as u32)
    }

    fn send(&mut self, timeline: &mut Timeline, for_ms: i64) -> Vec<Sent> {
        let end_us = self.next_audio_us.min(self.next_video_us) + for_ms * 1000;
        let mut sent = Vec::new();
        while self.next_audio_us.min(self.next_video_us) < end_us {
            let (kind, true_ms, stamp) = self.next();
            sent.push(Sent {
                kind,
                true_ms,
                placed: coded(timeline, kind, stamp),
            });
        }
        sent
    }
}

fn discontinuities(sent: &[Sent]) -> usize {
    sent.iter().filter(|s| s.placed.discontinuity).count()
}

/// The last lag of each kind: how far apart sound and picture ended up.
fn desync(sent: &[Sent]) -> i64 {
    let lag = |kind| sent.iter().rev().find(|s| s.kind == kind).unwrap().lag();
    (lag(VIDEO) - lag(AUDIO)).abs()
}

fn assert_rises(sent: &[Sent]) {
    for kind in [AUDIO, VIDEO] {
        let times: Vec<_> = sent.iter().filter(|s| s.kind == kind).map(|s| s.placed.dts).collect();
        assert!(times.is_sorted(), "{kind:?} falls");
    }
}

#[test]
fn a_sender_that_counts_from_zero_keeps_its_stamps() {
    let mut timeline = Timeline::new();
    for sent in Sender::new(0).send(&mut timeline, 20_000) {
        assert_eq!(sent.lag(), 0);
        assert!(!sent.placed.discontinuity);
    }
}

#[test]
fn a_sender_that_starts_anywhere_starts_near_zero() {
    for base in [251, 1_000, 3_600_000, i64::from(u32::MAX) - 7] {
        let mut timeline = Timeline::new();
        let sent = Sender::new(base).send(&mut timeline, 1_000);
        assert!(
            sent.iter().all(|s| s.lag() == Timeline::HEADROOM.as_millis()),
            "base {base}"
        );
        assert_eq!(discontinuities(&sent), 0);
    }
}

#[test]
fn a_second_track_that_starts_a_little_earlier_keeps_its_offset() {
    let mut timeline = Timeline::new();
    assert_eq!(coded(&mut timeline, VIDEO, 90_000).dts, ms(250));
    assert_eq!(coded(&mut timeline, AUDIO, 89_800).dts, ms(50));
}

#[test]
fn a_second_track_never_starts_before_zero() {
    let mut timeline = Timeline::new();
    coded(&mut timeline, VIDEO, 90_000);
    let first = coded(&mut timeline, AUDIO, 89_000);
    assert_eq!((first.dts, first.held_back), (ms(0), ms(750)));
    assert_eq!(
        coded(&mut timeline, AUDIO, 90_010).dts,
        ms(260),
        "in step as soon as it has caught up"
    );
}

#[test]
fn a_wrap_of_the_32_bits_is_no_event() {
    let mut timeline = Timeline::new();
    let sent = Sender::new(i64::from(u32::MAX) - 2_000).send(&mut timeline, 5_000);
    assert!(sent.iter().all(|s| s.lag() == 250 && !s.placed.discontinuity));
}

#[test]
fn half_a_year_passes_without_loss() {
    let mut timeline = Timeline::new();
    for step in 0..4_000_000_i64 {
        let placed = coded(&mut timeline, VIDEO, (step * 4_000) as u32);
        assert_eq!(placed.dts, ms(step * 4_000));
    }
}

#[test]
fn a_small_step_back_is_held_at_the_last_time() {
    let mut timeline = Timeline::new();
    coded(&mut timeline, VIDEO, 100);
    let placed = coded(&mut timeline, VIDEO, 60);
    assert_eq!(
        placed,
        Placed {
            dts: ms(100),
            discontinuity: false,
            held_back: ms(40)
        }
    );
    assert_eq!(coded(&mut timeline, VIDEO, 133).dts, ms(133));
}

#[test]
fn a_picture_held_back_is_still_shown_when_it_should_be() {
    let mut timeline = Timeline::new();
    coded(&mut timeline, VIDEO, 100);
    let placed = coded(&mut timeline, VIDEO, 60);
    assert_eq!(placed.pts(ms(80)), ms(140));
    assert_eq!(placed.pts(ms(10)), ms(100), "not before it is decoded");
    assert_eq!(placed.pts(ms(-5)), ms(95), "unless its sender says so");
}

#[test]
fn each_track_is_held_by_its_own_last_frame_only() {
    let mut timeline = Timeline::new();
    coded(&mut timeline, VIDEO, 5_000);
    coded(&mut timeline, VIDEO, 7_000);
    assert_eq!(coded(&mut timeline, AUDIO, 5_000).dts, ms(250));
    assert_eq!(coded(&mut timeline, AUDIO, 5_023).dts, ms(273));
}

#[test]
fn a_jump_of_the_sender_continues_by_a_frame_and_keeps_sound_with_picture() {
    for jump in [10_500, 60_000, 3_600_000, 0x7fff_0000, -1_000, -20_000, -3_600_000] {
        let mut timeline = Timeline::new();
        let mut sender = Sender::new(4_000_000);
        let mut sent = sender.send(&mut timeline, 5_000);
        let before = timeline.frontier();
        sender.jump(jump);
        sent.extend(sender.send(&mut timeline, 30_000));
        assert_eq!(discontinuities(&sent), 2, "once for each track, jump {jump}");
        assert_eq!(desync(&sent), 0, "jump {jump}");
        let first = sent.iter().find(|s| s.placed.discontinuity).unwrap();
        assert!((first.placed.dts - before).as_millis() <= 34, "jump {jump}");
        assert_rises(&sent);
    }
}

#[test]
fn a_jump_that_only_one_track_finds_too_far_takes_the_other_along() {
    // The first frame after the jump is just over the limit for one kind, just under it for the other.
    for jump in 9_900..10_100 {
        let mut timeline = Timeline::new();
        let mut sender = Sender::new(0);
        let mut sent = sender.send(&mut timeline, 2_000);
        sender.jump(jump);
        sent.extend(sender.send(&mut timeline, 20_000));
        assert_eq!(desync(&sent), 0, "jump {jump}");
        assert_rises(&sent);
    }
}

#[test]
fn a_jump_back_that_only_one_track_finds_too_far_takes_the_other_along() {
    for jump in 440..560 {
        let mut timeline = Timeline::new();
        let mut sender = Sender::new(50_000);
        let mut sent = sender.send(&mut timeline, 2_000);
        sender.jump(-jump);
        sent.extend(sender.send(&mut timeline, 20_000));
        assert_eq!(desync(&sent), 0, "jump {jump}");
        assert_rises(&sent);
    }
}

#[test]
fn frames_of_the_old_base_still_find_their_place_after_the_jump() {
    let mut timeline = Timeline::new();
    let mut sender = Sender::new(0);
    sender.send(&mut timeline, 5_000);
    let last = timeline.frontier();
    assert!(coded(&mut timeline, VIDEO, 900_000).discontinuity);
    // The interleaver still held sound from before the jump.
    let late = coded(&mut timeline, AUDIO, 5_010);
    assert_eq!((late.dts, late.discontinuity), (ms(5_010), false));
    let followed = coded(&mut timeline, AUDIO, 900_010);
    assert!(followed.discontinuity);
    assert!((followed.dts - last).as_millis() < 60);
}

#[test]
fn tracks_with_time_bases_of_their_own_do_not_jump_at_every_frame() {
    let mut timeline = Timeline::new();
    let mut sender = Sender {
        audio_base: 0,
        video_base: 3_000_000_000,
        ..Sender::new(0)
    };
    let sent = sender.send(&mut timeline, 60_000);
    assert_eq!(discontinuities(&sent), 0);
    // What relates them is the arrival of their first frames.
    assert!(desync(&sent) <= Timeline::HEADROOM.as_millis());
    assert_rises(&sent);
}

#[test]
fn tracks_with_time_bases_of_their_own_keep_their_offset_when_both_jump() {
    let mut timeline = Timeline::new();
    let mut sender = Sender {
        audio_base: 77_000,
        video_base: 3_000_000_000,
        ..Sender::new(0)
    };
    let before = desync(&sender.send(&mut timeline, 5_000));
    sender.jump(100_000);
    let sent = sender.send(&mut timeline, 5_000);
    assert_eq!(discontinuities(&sent), 2);
    assert_eq!(desync(&sent), before);
}

#[test]
fn a_track_that_jumps_alone_leaves_the_other_where_it_is() {
    let mut timeline = Timeline::new();
    let mut sender = Sender::new(0);
    sender.send(&mut timeline, 5_000);
    sender.video_base += 50_000;
    let sent = sender.send(&mut timeline, 60_000);
    assert_eq!(discontinuities(&sent), 1);
    assert!(sent.iter().filter(|s| s.kind == AUDIO).all(|s| s.lag() == 0));
    assert!(desync(&sent) <= 34, "the picture goes on where it was, within a frame");
}

#[test]
fn a_track_that_has_not_followed_a_jump_is_not_pulled_after_it_later() {
    let mut timeline = Timeline::new();
    let mut sender = Sender::new(0);
    sender.send(&mut timeline, 5_000);
    sender.video_base += 12_000;
    sender.send(&mut timeline, 30_000);
    // 15 s of sound are lost: as long as the jump of the picture, give or take a little.
    let gap_end = sender.next_audio_us + 15_000_000;
    while sender.next_audio_us < gap_end {
        let (kind, _, stamp) = sender.next();
        if kind == VIDEO {
            coded(&mut timeline, kind, stamp);
        }
    }
    let sent = sender.send(&mut timeline, 1_000);
    assert_eq!(discontinuities(&sent), 0);
    assert!(sent.iter().filter(|s| s.kind == AUDIO).all(|s| s.lag() == 0));
    assert!(desync(&sent) <= 34);
}

#[test]
fn one_wild_stamp_costs_nothing_after_it() {
    for wild in [0_u32, 8_000_000, 0x8000_0000] {
        for kind in [AUDIO, VIDEO] {
            let mut timeline = Timeline::new();
            let mut sender = Sender::new(5_000_000);
            sender.send(&mut timeline, 5_000);
            coded(&mut timeline, kind, wild);
            let sent = sender.send(&mut timeline, 5_000);
            assert_eq!(sent.last().unwrap().lag(), 250, "{kind:?} {wild}");
            assert_eq!(desync(&sent), 0, "{kind:?} {wild}");
            assert_eq!(discontinuities(&sent), 1);
        }
    }
}

#[test]
fn two_senders_mixed_on_one_track_do_not_run_the_timeline_away() {
    let mut timeline = Timeline::new();
    for frame in 0..3_000_u32 {
        let base = if frame % 2 == 0 { 0 } else { 7_000_000 };
        coded(&mut timeline, VIDEO, base + frame * 20);
    }
    let run = timeline.frontier().as_millis();
    assert!((59_000..62_000).contains(&run), "{run}");
}

#[test]
fn a_track_that_pauses_beside_another_leaves_a_gap_and_no_discontinuity() {
    let mut timeline = Timeline::new();
    coded(&mut timeline, VIDEO, 0);
    for stamp in (0..60_000).step_by(20) {
        coded(&mut timeline, AUDIO, stamp);
    }
    let back = coded(&mut timeline, VIDEO, 59_500);
    assert_eq!((back.dts, back.discontinuity), (ms(59_500), false));
}

#[test]
fn a_lone_track_that_pauses_long_goes_on_a_frame_later() {
    let mut timeline = Timeline::new();
    coded(&mut timeline, VIDEO, 0);
    coded(&mut timeline, VIDEO, 40);
    let back = coded(&mut timeline, VIDEO, 60_040);
    assert_eq!((back.dts, back.discontinuity), (ms(80), true));
}

#[test]
fn configurations_and_data_stamped_zero_do_not_move_the_timeline() {
    let mut timeline = Timeline::new();
    assert_eq!(timeline.place(VIDEO, TrackId(0), FrameRole::Config, 0).dts, ms(0));
    let mut sender = Sender::new(9_000_000);
    sender.send(&mut timeline, 10_000);
    let (before, last_video) = (timeline.frontier(), timeline.tracks[0].last);
    let config = timeline.place(VIDEO, TrackId(0), FrameRole::Config, 0);
    let data = timeline.place(MediaKind::Data, TrackId(0), FrameRole::Coded, 0);
    assert_eq!((config.dts, data.dts), (ms(last_video), before));
    assert!(!config.discontinuity && !data.discontinuity);
    let sent = sender.send(&mut timeline, 1_000);
    assert_eq!((discontinuities(&sent), desync(&sent)), (0, 0));
}

#[test]
fn a_configuration_of_a_late_track_stands_near_its_first_frame() {
    let mut timeline = Timeline::new();
    for stamp in (0..3_600_000).step_by(1_000) {
        coded(&mut timeline, VIDEO, stamp);
    }
    let config = timeline.place(AUDIO, TrackId(0), FrameRole::Config, 0);
    let first = coded(&mut timeline, AUDIO, 3_598_800);
    assert!(config.dts <= first.dts && config.dts >= ms(3_598_000), "{config:?}");
    assert_eq!(first.dts, ms(3_598_800));
}

#[test]
fn the_return_of_a_publisher_continues_the_timeline() {
    let mut timeline = Timeline::new();
    let sent = Sender::new(700_000).send(&mut timeline, 5_000);
    let last = sent.iter().map(|s| s.placed.dts).max().unwrap();
    timeline.resume();
    let again = Sender::new(0).send(&mut timeline, 5_000);
    assert!(again.iter().all(|s| s.placed.dts > last));
    assert!((again[0].placed.dts - last).as_millis() <= 40);
    assert_eq!(discontinuities(&again), 2, "the first frame of each track");
    assert_eq!(desync(&again), 0);
    let fresh = Sender::new(0).send(&mut Timeline::continue_after(last), 5_000);
    assert_eq!(fresh[0].placed, again[0].placed);
}

proptest! {
    #[test]
    fn whatever_is_sent_times_neither_fall_nor_run_away(
        frames in prop::collection::vec((0..3_u8, 0..2_u8, 0..8_u8, prop_oneof![any::<u32>(), 0..30_000_u32]), 1..300),
        resume_at in 0..300_usize,
    ) {
        let mut timeline = Timeline::new();
        let mut last = std::collections::HashMap::new();
        for (n, (kind, track, role, stamp)) in frames.into_iter().enumerate() {
            if n == resume_at {
                timeline.resume();
            }
            let kind = [AUDIO, VIDEO, MediaKind::Data][usize::from(kind)];
            let role = [FrameRole::Config, FrameRole::End].get(usize::from(role)).copied().unwrap_or(FrameRole::Coded);
            let before = timeline.frontier();
            let placed = timeline.place(kind, TrackId(track), role, stamp);
            let own = last.entry(if kind == MediaKind::Data { (kind, 0) } else { (kind, track) }).or_insert(MediaTime::ZERO);
            prop_assert!(placed.dts >= *own);
            prop_assert!(placed.held_back >= MediaTime::ZERO);
            prop_assert!(placed.dts - before <= Timeline::FORWARD_LIMIT);
            *own = placed.dts;
        }
    }

    #[test]
    fn within_the_limits_stamps_are_only_shifted(
        base in any::<u32>(),
        steps in prop::collection::vec((any::<bool>(), 0..9_000_u32), 1..200),
    ) {
        let mut timeline = Timeline::new();
        let shift = i64::from(base.min(250));
        let mut now = 0_i64;
        for (is_video, step) in steps {
            let placed = coded(&mut timeline, if is_video { VIDEO } else { AUDIO }, base.wrapping_add(now as u32));
            prop_assert_eq!(placed, Placed { dts: ms(shift + now), discontinuity: false, held_back: ms(0) });
            now += i64::from(step);
        }
    }
}
