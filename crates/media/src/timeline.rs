//! One timeline per stream, from the sender's 32-bit millisecond stamps. `docs/time.md` gives the reasons.

use crate::{FrameRole, MediaKind, MediaTime, TrackId};

/// What stands for a track's frame duration until two frames tell it.
const DEFAULT_STEP_MS: i64 = 20;
/// A longer distance between two frames of a track is a pause, not a frame duration.
const MAX_STEP_MS: i64 = 1_000;

/// Turns RTMP timestamps into times of one stream.
///
/// RTMP timestamps wrap every 49.7 days, start where the sender likes, step back a little when tracks are interleaved
/// carelessly, and jump when an encoder restarts, its machine sleeps, or a relay switches sources. Every consumer behind
/// the hub (muxers above all) wants one thing: decoding times that never fall and keep sound and picture together. This
/// type decides that once, from the stamps alone; it reads no clock, so it cannot tell a stalled network from a pause.
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
        true_pts.max(self.dts + composition_offset.min(MediaTime::ZERO))
    }

    fn unmoved(dts: i64) -> Self {
        Self {
            dts: MediaTime::from_millis(dts),
            discontinuity: false,
            held_back: MediaTime::ZERO,
        }
    }
}

#[derive(Clone, Debug)]
struct TrackClock {
    kind: MediaKind,
    id: TrackId,
    /// Added to this track's stamps; `None` until its first coded frame.
    shift: Option<u32>,
    last: i64,
    /// The last plausible frame duration.
    step: i64,
    other_base: Option<OtherBase>,
}

/// A time base that the track's next frames may turn out to be on: the one another track has just jumped to, or the one
/// this track has just left.
#[derive(Clone, Copy, Debug)]
struct OtherBase {
    /// Its distance from `shift`.
    delta: u32,
    /// Not considered after this time: whoever has not followed by then is on a base of its own.
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
        if kind == MediaKind::Data {
            return self.place_data(rtmp_ms);
        }
        let index = self
            .tracks
            .iter()
            .position(|t| t.kind == kind && t.id == track)
            .unwrap_or_else(|| {
                self.tracks.push(TrackClock::new(kind, track, self.start));
                self.tracks.len() - 1
            });
        match (role, self.tracks[index].shift) {
            (FrameRole::Coded, None) => self.start_track(index, rtmp_ms),
            (FrameRole::Coded, Some(shift)) => self.place_coded(index, shift, rtmp_ms),
            (FrameRole::Config | FrameRole::End | FrameRole::Properties, own) => {
                self.place_mark(index, own.or(self.shift), rtmp_ms)
            }
        }
    }

    /// The first coded frame of a track.
    fn start_track(&mut self, index: usize, rtmp_ms: u32) -> Placed {
        let shared = *self.shift.get_or_insert_with(|| {
            // A sender that counts from zero keeps its numbers; for another, zero is just before its first stamp.
            let lead = rtmp_ms.min(Self::HEADROOM.as_millis() as u32);
            (self.start as u32).wrapping_sub(rtmp_ms - lead)
        });
        let (shift, at) = match self.believe(shared, rtmp_ms) {
            Some(at) => (shared, at),
            // This track counts from elsewhere. Arrival is all that relates it to the others.
            None => ((self.frontier as u32).wrapping_sub(rtmp_ms), self.frontier),
        };
        self.tracks[index].shift = Some(shift);
        self.settle(index, at, self.continued)
    }

    fn place_coded(&mut self, index: usize, shift: u32, rtmp_ms: u32) -> Placed {
        let TrackClock { last, other_base, .. } = self.tracks[index];
        // A track that paused may come back anywhere between its own last frame and the newest of the stream.
        let plausible = last - Self::BACKWARD_LIMIT.as_millis()..=self.frontier + Self::FORWARD_LIMIT.as_millis();
        let stay = nearest(self.frontier, rtmp_ms, shift);
        let change = other_base.map(|other| (other, nearest(self.frontier, rtmp_ms, shift.wrapping_add(other.delta))));
        match change {
            Some((other, at))
                if plausible.contains(&at)
                    && (!plausible.contains(&stay) || at.abs_diff(last) < stay.abs_diff(last)) =>
            {
                self.change_base(index, shift, other);
                self.settle(index, at, true)
            }
            _ if plausible.contains(&stay) => self.settle(index, stay, false),
            _ => {
                let at = self.frontier + self.tracks[index].step;
                // The sum only has to be right modulo 2^32.
                let delta = (at - stay) as u32;
                let until = at + Self::FORWARD_LIMIT.as_millis();
                for clock in &mut self.tracks {
                    let pending = clock.other_base.map_or(0, |other| other.delta);
                    clock.other_base = Some(OtherBase {
                        delta: pending.wrapping_add(delta),
                        until,
                    });
                }
                self.change_base(index, shift, OtherBase { delta, until });
                self.settle(index, at, true)
            }
        }
    }

    /// Moves a track to another base. The one it leaves stays in sight: a single wild stamp is followed by a return.
    fn change_base(&mut self, index: usize, shift: u32, other: OtherBase) {
        let clock = &mut self.tracks[index];
        let changed = shift.wrapping_add(other.delta);
        clock.shift = Some(changed);
        clock.other_base = Some(OtherBase {
            delta: other.delta.wrapping_neg(),
            until: other.until,
        });
        self.shift = Some(changed);
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
        clock.other_base = clock.other_base.filter(|other| dts <= other.until);
        self.frontier = self.frontier.max(dts);
        Placed {
            dts: MediaTime::from_millis(dts),
            discontinuity,
            held_back: MediaTime::from_millis(dts - at),
        }
    }

    /// A configuration or an end: between the track's last frame and the stream's newest.
    fn place_mark(&mut self, index: usize, shift: Option<u32>, rtmp_ms: u32) -> Placed {
        let believed = shift.and_then(|shift| self.believe(shift, rtmp_ms));
        let clock = &mut self.tracks[index];
        // A track that starts late has no last frame; its first ones may be a little older than the newest.
        let fallback = if clock.shift.is_some() {
            clock.last
        } else {
            self.frontier - Self::BACKWARD_LIMIT.as_millis()
        };
        clock.last = believed.unwrap_or(fallback).clamp(clock.last, self.frontier);
        Placed::unmoved(clock.last)
    }

    /// A data message: where its stamp says if that is sensible, else beside the newest frame.
    fn place_data(&mut self, rtmp_ms: u32) -> Placed {
        let believed = self.shift.and_then(|shift| self.believe(shift, rtmp_ms));
        self.last_data = believed.unwrap_or(self.frontier).clamp(self.last_data, self.frontier);
        Placed::unmoved(self.last_data)
    }

    /// A stamp's time on a base, if that is near enough to the newest frame.
    fn believe(&self, shift: u32, rtmp_ms: u32) -> Option<i64> {
        let at = nearest(self.frontier, rtmp_ms, shift);
        let limit = Self::FORWARD_LIMIT.as_millis();
        (-limit..=limit).contains(&(at - self.frontier)).then_some(at)
    }
}

impl TrackClock {
    fn new(kind: MediaKind, id: TrackId, start: i64) -> Self {
        Self {
            kind,
            id,
            shift: None,
            last: start,
            step: DEFAULT_STEP_MS,
            other_base: None,
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

#[cfg(test)]
mod tests;
