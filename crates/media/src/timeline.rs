//! One timeline per stream, from the sender's 32-bit millisecond stamps.
//!
//! RTMP timestamps wrap every 49.7 days, start where the sender likes, step back a little when tracks are interleaved
//! carelessly, and jump when an encoder restarts, its machine sleeps, or a relay switches sources. Every consumer behind
//! the hub (muxers above all) wants one thing: decoding times that never fall and keep sound and picture together. This
//! type decides that once, from the stamps alone; it reads no clock, so it cannot tell a stalled network from a pause.
//! `docs/time.md` gives the reasons.

use crate::{FrameRole, MediaKind, MediaTime, TrackId};

/// What stands for a track's frame duration until two frames tell it.
const DEFAULT_STEP_MS: i64 = 20;
/// A longer distance between two frames of a track is a pause, not a frame duration.
const MAX_STEP_MS: i64 = 1_000;

/// Turns RTMP timestamps into times of one stream. See the [module](self) and `docs/time.md`.
///
/// All sums are made modulo 2³², in which a wrap is no event: the time nearest to the newest frame is taken.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// No frame is placed before this, in milliseconds.
    start: i64,
    /// The newest time given out.
    frontier: i64,
    /// Added to the stamps of a track that appears; `None` until the first frame.
    shift: Option<u32>,
    /// This timeline continues an earlier one: the first frame of each track is a discontinuity.
    continued: bool,
    /// The newest time given to a data message.
    last_data: i64,
    tracks: Vec<TrackClock>,
}

/// Where a frame came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Decoding time; never less than the track's previous one.
    pub dts: MediaTime,
    /// The track's time base changed here: its sender's clock jumped, or another sender took over.
    pub discontinuity: bool,
    /// How far `dts` was moved forward to keep it from falling. Zero nearly always.
    pub held_back: MediaTime,
}

impl Placed {
    /// Presentation time of a frame with this composition offset.
    ///
    /// What was added to keep decoding times from falling is taken from the offset first: pictures keep their true
    /// places as long as those are not before their decoding.
    pub fn pts(&self, composition_offset: MediaTime) -> MediaTime {
        let true_pts = self.dts - self.held_back + composition_offset;
        if composition_offset < MediaTime::ZERO {
            self.dts + composition_offset
        } else {
            true_pts.max(self.dts)
        }
    }
}

#[derive(Clone, Debug)]
struct TrackClock {
    kind: MediaKind,
    id: TrackId,
    /// Added to this track's stamps.
    shift: u32,
    last: i64,
    /// The last plausible frame duration.
    step: i64,
    follow: Option<Follow>,
}

/// Another track's re-base that this one may still take part in.
#[derive(Clone, Copy, Debug)]
struct Follow {
    /// Added to `shift` when it does.
    delta: u32,
    /// When it has not until then, its base stays apart.
    until: i64,
}

impl Timeline {
    /// A later stamp than this, seen from the newest frame of any track, is a new time base and no gap.
    pub const FORWARD_LIMIT: MediaTime = MediaTime::from_millis(10_000);
    /// An earlier stamp than this, seen from the track's own last frame, is a new time base and no jitter. Short,
    /// because time stands still for as long as a step back is absorbed.
    pub const BACKWARD_LIMIT: MediaTime = MediaTime::from_millis(500);
    /// Room kept before the first frame for a second track that starts a little earlier.
    pub const HEADROOM: MediaTime = MediaTime::from_millis(250);

    /// A timeline that starts near zero.
    pub fn new() -> Self {
        Self::starting_at(0, false)
    }

    /// A timeline for a publisher who takes up a stream that had come to `last`.
    pub fn continue_after(last: MediaTime) -> Self {
        Self::starting_at(last.as_millis() + 2 * DEFAULT_STEP_MS, true)
    }

    fn starting_at(start: i64, continued: bool) -> Self {
        Self {
            start,
            frontier: start,
            shift: None,
            continued,
            last_data: start,
            tracks: Vec::new(),
        }
    }

    /// The same stream goes on with a new sender, whose stamps have nothing to do with those before.
    pub fn resume(&mut self) {
        *self = Self::continue_after(self.frontier());
    }

    /// The newest time given out.
    pub fn frontier(&self) -> MediaTime {
        MediaTime::from_millis(self.frontier)
    }

    /// Places a frame.
    ///
    /// Only coded audio and video move the timeline. Configurations and data messages are often stamped 0 whatever the
    /// time; they are put where they make sense and are not believed.
    pub fn place(&mut self, kind: MediaKind, track: TrackId, role: FrameRole, rtmp_ms: u32) -> Placed {
        if kind == MediaKind::Data || role != FrameRole::Coded {
            return self.place_aside(kind, track, rtmp_ms);
        }
        let Some(index) = self.tracks.iter().position(|t| t.kind == kind && t.id == track) else {
            return self.start_track(kind, track, rtmp_ms);
        };
        let own = &self.tracks[index];
        let plausible = own.last - Self::BACKWARD_LIMIT.as_millis()..=self.frontier + Self::FORWARD_LIMIT.as_millis();
        let stay = nearest(self.frontier, rtmp_ms, own.shift);
        let follow = own
            .follow
            .map(|f| nearest(self.frontier, rtmp_ms, own.shift.wrapping_add(f.delta)));
        let last = own.last;
        let followed = follow
            .filter(|at| plausible.contains(at))
            .filter(|at| !plausible.contains(&stay) || at.abs_diff(last) < stay.abs_diff(last));
        if let Some(at) = followed {
            self.follow(index);
            return self.settle(index, at, true);
        }
        if plausible.contains(&stay) {
            return self.settle(index, stay, false);
        }
        let at = self.rebase(index, stay);
        self.settle(index, at, true)
    }

    fn start_track(&mut self, kind: MediaKind, id: TrackId, rtmp_ms: u32) -> Placed {
        let shift = *self.shift.get_or_insert_with(|| {
            // A sender that counts from zero keeps its numbers; for another, zero is just before its first stamp.
            let lead = rtmp_ms.min(Self::HEADROOM.as_millis() as u32);
            (self.start as u32).wrapping_sub(rtmp_ms - lead)
        });
        let at = nearest(self.frontier, rtmp_ms, shift);
        let (shift, at) = if at.abs_diff(self.frontier) <= Self::FORWARD_LIMIT.as_millis() as u64 {
            (shift, at)
        } else {
            // This track counts from elsewhere. Arrival is all that relates it to the others.
            ((self.frontier as u32).wrapping_sub(rtmp_ms), self.frontier)
        };
        self.tracks.push(TrackClock {
            kind,
            id,
            shift,
            last: self.start,
            step: DEFAULT_STEP_MS,
            follow: None,
        });
        let continued = self.continued;
        self.settle(self.tracks.len() - 1, at, continued)
    }

    /// Changes the base of a track that jumped and offers the others the same change. Answers the frame's time.
    fn rebase(&mut self, index: usize, jumped_to: i64) -> i64 {
        let at = self.frontier + self.tracks[index].step;
        // Of the frontier's neighbourhood modulo 2^32, so the truncation loses nothing.
        let delta = (at - jumped_to) as u32;
        let until = at + Self::FORWARD_LIMIT.as_millis();
        for (other, clock) in self.tracks.iter_mut().enumerate() {
            if other == index {
                clock.shift = clock.shift.wrapping_add(delta);
                clock.follow = None;
            } else {
                let pending = clock.follow.map_or(0, |f| f.delta);
                clock.follow = Some(Follow {
                    delta: pending.wrapping_add(delta),
                    until,
                });
            }
        }
        self.shift = Some(self.tracks[index].shift);
        at
    }

    fn follow(&mut self, index: usize) {
        let clock = &mut self.tracks[index];
        if let Some(follow) = clock.follow.take() {
            clock.shift = clock.shift.wrapping_add(follow.delta);
        }
    }

    /// Gives the track this time, or its last if that is later.
    fn settle(&mut self, index: usize, at: i64, discontinuity: bool) -> Placed {
        let clock = &mut self.tracks[index];
        let dts = at.max(clock.last);
        let step = dts - clock.last;
        if !discontinuity && (1..=MAX_STEP_MS).contains(&step) {
            clock.step = step;
        }
        clock.last = dts;
        clock.follow = clock.follow.filter(|f| dts <= f.until);
        self.frontier = self.frontier.max(dts);
        Placed {
            dts: MediaTime::from_millis(dts),
            discontinuity,
            held_back: MediaTime::from_millis(dts - at),
        }
    }

    /// Times what must not move the timeline: never after its newest frame, and where the stamp makes no sense beside
    /// the track's last frame (a configuration) or the newest of all (a data message).
    fn place_aside(&mut self, kind: MediaKind, id: TrackId, rtmp_ms: u32) -> Placed {
        let newest = self.frontier;
        let believed = |shift: u32| {
            let at = nearest(newest, rtmp_ms, shift);
            (at.abs_diff(newest) <= Self::FORWARD_LIMIT.as_millis().unsigned_abs()).then_some(at)
        };
        let own = self.tracks.iter_mut().find(|t| t.kind == kind && t.id == id);
        let at = match (own, self.shift) {
            (Some(clock), _) => {
                clock.last = believed(clock.shift).unwrap_or(clock.last).clamp(clock.last, newest);
                clock.last
            }
            (None, Some(shift)) if kind == MediaKind::Data => {
                self.last_data = believed(shift).unwrap_or(newest).clamp(self.last_data, newest);
                self.last_data
            }
            _ => self.start,
        };
        Placed {
            dts: MediaTime::from_millis(at),
            discontinuity: false,
            held_back: MediaTime::ZERO,
        }
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

/// Of all times that a shifted stamp can mean, the one nearest to `reference`.
fn nearest(reference: i64, rtmp_ms: u32, shift: u32) -> i64 {
    let distance = rtmp_ms.wrapping_add(shift).wrapping_sub(reference as u32) as i32;
    reference + i64::from(distance)
}
