//! What one stream's presentation is: its tracks, its segments, and the rules for what is listed and what is kept.
//!
//! Pure: the time is handed in, waiting and locking are the store's. The rules:
//!
//! * A playlist lists the newest segments, as many as asked for but at least three target durations (RFC 8216 §6.2.2),
//!   and what left it stays fetchable for as long again.
//! * Discontinuities are counted for the whole presentation, in *epochs*. A track whose configuration changes begins one,
//!   and the others join it with their next segment, so that players which match the renditions by discontinuity
//!   sequence number find the same numbers in all of them.
//! * A presentation that ended may be opened again: sequence numbers go on, in a new epoch. Only after a moment of grace
//!   does it say `EXT-X-ENDLIST`, which players take for final; a pipeline that is restarted gets by without it.
//! * Opened again with other kinds of tracks it starts over under another number: players cannot follow a presentation
//!   that loses its sound, or gains some, but they can load another.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use streammill_media::{MediaKind, MediaTime};

use super::{
    Chunk, Resource, Segment, TrackName,
    playlist::{Listed, Media, Multivariant, Variant},
    segment::OpenSegment,
};

/// How a presentation is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Segments a playlist lists.
    pub playlist_segments: usize,
    /// Most bytes of segments it keeps.
    pub max_bytes: usize,
    /// How long after its end the playlists say so. A pipeline that returns within this time is the same to players.
    pub end_grace: Duration,
    /// How long after its end it can still be fetched.
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            playlist_segments: 6,
            max_bytes: 256 << 20,
            end_grace: Duration::from_secs(4),
            linger: Duration::from_secs(60),
        }
    }
}

/// What a multivariant playlist says about a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// What it carries.
    pub kind: MediaKind,
    /// RFC 6381 name of its coding: `avc1.64001f`, `mp4a.40.2`.
    pub codecs: String,
    /// Width of the pictures.
    pub width: Option<u32>,
    /// Height of the pictures.
    pub height: Option<u32>,
    /// Pictures a second as a fraction.
    pub frame_rate: Option<(u32, u32)>,
    /// Channels of the sound.
    pub channels: Option<u8>,
    /// Samples a second of the sound.
    pub sample_rate: Option<u32>,
}

/// The state of one presentation.
#[derive(Debug)]
pub(super) struct State {
    id: u64,
    settings: Settings,
    /// Which opening this is; writers of an earlier one are out of date.
    opening: u64,
    tracks: BTreeMap<TrackName, Track>,
    expected: Option<Vec<MediaKind>>,
    /// What was expected of the opening before.
    expected_before: Option<Vec<MediaKind>>,
    epoch: u64,
    /// Where on the timeline the epoch begins, for tracks other than the one that began it.
    epoch_start: MediaTime,
    /// The last epoch before this opening.
    opening_epoch: u64,
    /// Wall-clock time at [`MediaTime::ZERO`] of this opening's timeline, set by its first chunk.
    anchor: Option<Anchor>,
    /// Whole seconds of the longest segment so far. It only grows.
    target_duration: u64,
    ended: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall: SystemTime,
    media: MediaTime,
}

#[derive(Debug)]
struct Track {
    info: TrackInfo,
    opening: u64,
    inits: VecDeque<(u64, Bytes)>,
    next_init: u64,
    /// The next segment begins a discontinuity.
    breaks: bool,
    epoch: u64,
    segments: VecDeque<Arc<Segment>>,
    open: Option<OpenSegment>,
    next_sequence: u64,
}

impl State {
    pub(super) fn new(id: u64, settings: Settings) -> Self {
        Self {
            id,
            settings,
            opening: 0,
            tracks: BTreeMap::new(),
            expected: None,
            expected_before: None,
            epoch: 0,
            epoch_start: MediaTime::ZERO,
            opening_epoch: 0,
            anchor: None,
            target_duration: 1,
            ended: None,
        }
    }

    /// Opens it, anew if it was opened before. Returns the number that writers of this opening show.
    pub(super) fn open(&mut self, settings: Settings) -> u64 {
        self.settings = settings;
        self.close_segments();
        self.opening += 1;
        self.opening_epoch = self.epoch;
        self.expected_before = self.expected.take().or(self.expected_before.take());
        self.anchor = None;
        self.ended = None;
        self.opening
    }

    /// Says which kinds of tracks will come, before they do. Where they are others than before, it starts over under the
    /// number `fresh_id`.
    pub(super) fn expect(&mut self, opening: u64, kinds: &[MediaKind], fresh_id: u64) {
        if opening != self.opening {
            return;
        }
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        if self.expected_before.as_ref().is_some_and(|before| *before != kinds) {
            *self = Self {
                opening,
                ..Self::new(fresh_id, self.settings.clone())
            };
        }
        self.expected = Some(kinds);
    }

    /// Adds a track to an opening; `None` if the opening is over, or the kind is none that HLS carries.
    pub(super) fn add_track(&mut self, opening: u64, info: TrackInfo) -> Option<TrackName> {
        if opening != self.opening || self.ended.is_some() {
            return None;
        }
        let taken = |name: &TrackName| self.tracks.get(name).is_some_and(|track| track.opening == opening);
        let name = (0..=u8::MAX)
            .map_while(|index| TrackName::new(info.kind, index))
            .find(|name| !taken(name))?;
        match self.tracks.get_mut(&name) {
            Some(track) => {
                track.info = info;
                track.opening = opening;
                track.breaks = true;
            }
            None => {
                let is_earlier = |track: &Track| track.opening < opening && track.next_sequence > 0;
                let breaks = self.tracks.values().any(is_earlier);
                self.tracks
                    .insert(name, Track::new(info, opening, self.opening_epoch, breaks));
            }
        }
        Some(name)
    }

    /// Gives a track a new initialisation segment, for the chunks that follow.
    pub(super) fn init(&mut self, opening: u64, name: TrackName, data: Bytes) {
        self.end_track(opening, name);
        let Some(track) = self.track_of(opening, name) else {
            return;
        };
        if track.inits.back().is_some_and(|(_, known)| *known == data) {
            return;
        }
        // Two configurations with nothing between them: the first is not needed.
        let last_used = track.segments.back().map(|segment| segment.init);
        if track.inits.back().is_some_and(|(number, _)| Some(*number) != last_used) {
            track.inits.pop_back();
        }
        track.breaks |= track.next_sequence > 0;
        track.inits.push_back((track.next_init, data));
        track.next_init += 1;
    }

    /// Adds a chunk to a track. Chunks before the first initialisation segment are dropped: nothing could play them.
    /// True if a segment was finished.
    pub(super) fn chunk(&mut self, opening: u64, name: TrackName, chunk: Chunk, now: SystemTime) -> bool {
        if opening != self.opening {
            return false;
        }
        let anchor = *self.anchor.get_or_insert(Anchor {
            wall: now,
            media: chunk.start + chunk.duration.max(MediaTime::ZERO),
        });
        let longest = self.settings.max_bytes / 4;
        let half_target = MediaTime::from_millis(500 * i64::try_from(self.target_duration).unwrap_or(i64::MAX));
        let Some(track) = self.tracks.get_mut(&name).filter(|track| track.opening == opening) else {
            return false;
        };
        let Some(&(init, _)) = track.inits.back() else {
            return false;
        };
        let mut closed = false;
        match &mut track.open {
            // A segment that would not fit is cut where it stands, at the price of its independence.
            Some(open) if !chunk.starts_segment && open.bytes + chunk.data.len() <= longest => {
                open.push(chunk);
                return false;
            }
            Some(_) => closed = track.close(Some(chunk.start)),
            None if chunk.starts_segment => {}
            None => return false,
        }
        if track.breaks {
            track.breaks = false;
            if track.epoch == self.epoch {
                self.epoch += 1;
                self.epoch_start = chunk.start;
            }
            track.epoch = self.epoch;
        } else if track.epoch < self.epoch && chunk.start + half_target >= self.epoch_start {
            track.epoch = self.epoch;
        }
        let date_time = anchor.at(chunk.start);
        track.open = Some(OpenSegment::new(init, track.epoch, date_time, chunk));
        self.settle();
        closed
    }

    /// A writer of a track has nothing more. True if a segment was finished.
    pub(super) fn end_track(&mut self, opening: u64, name: TrackName) -> bool {
        let closed = self.track_of(opening, name).is_some_and(|track| track.close(None));
        self.settle();
        closed
    }

    /// All writers of an opening are gone.
    pub(super) fn end(&mut self, opening: u64, now: SystemTime) {
        if opening == self.opening {
            self.close_segments();
            self.ended = Some(now);
        }
    }

    /// Whether it can be forgotten.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        let empty = self.tracks.values().all(|track| track.segments.is_empty());
        self.ended
            .is_some_and(|ended| empty || elapsed(ended, now) >= self.settings.linger)
    }

    /// When it ended, if it did.
    pub(super) fn ended(&self) -> Option<SystemTime> {
        self.ended
    }

    /// Bytes of all segments held.
    pub(super) fn bytes(&self) -> usize {
        self.tracks.values().map(Track::bytes).sum()
    }

    /// Every track that is expected has a segment. Until then a player would see a stream without sound, or picture.
    pub(super) fn is_ready(&self) -> bool {
        let Some(expected) = &self.expected else {
            return false;
        };
        let count = |kind: MediaKind| {
            let of_kind = self.tracks.iter().filter(|(name, _)| name.kind() == kind);
            of_kind
                .filter(|(_, track)| track.opening == self.opening && !track.segments.is_empty())
                .count()
        };
        let wanted = |kind: MediaKind| expected.iter().filter(|known| **known == kind).count();
        !expected.is_empty() && expected.iter().all(|kind| count(*kind) >= wanted(*kind))
    }

    /// The multivariant playlist of the tracks that have a segment; `None` while none has.
    pub(super) fn multivariant(&self) -> Option<Multivariant> {
        let current: Vec<_> = self
            .tracks
            .iter()
            .filter(|(_, track)| track.opening == self.opening && !track.segments.is_empty())
            .collect();
        let of_kind = |kind: MediaKind| {
            let tracks = current.iter().filter(|(name, _)| name.kind() == kind);
            tracks
                .map(|(name, track)| track.variant(**name, self.id, self.target_duration))
                .collect()
        };
        let is_independent = |track: &Track| track.segments.iter().all(|segment| segment.is_independent());
        (!current.is_empty()).then(|| Multivariant {
            videos: of_kind(MediaKind::Video),
            audios: of_kind(MediaKind::Audio),
            renditions: Vec::new(),
            independent: current.iter().all(|(_, track)| is_independent(track)),
        })
    }

    /// Whether `id` names this presentation, and not one that was here before.
    pub(super) fn is(&self, id: u64) -> bool {
        id == self.id
    }

    /// The playlist of a track; `None` while it has no segment.
    pub(super) fn media(&self, name: TrackName, now: SystemTime) -> Option<Media> {
        let track = self.tracks.get(&name).filter(|track| !track.segments.is_empty())?;
        let from = track.segments.len() - self.listed(track);
        let segments: Vec<Listed> = track
            .segments
            .iter()
            .skip(from)
            .map(|segment| Listed {
                sequence: segment.sequence,
                file: Resource::Segment {
                    track: name,
                    presentation: self.id,
                    sequence: segment.sequence,
                },
                init: Resource::Init {
                    track: name,
                    presentation: self.id,
                    number: segment.init,
                },
                duration: segment.duration,
                date_time: segment.date_time,
                epoch: segment.epoch,
                independent: segment.is_independent(),
            })
            .collect();
        let ended = self.ended.is_some_and(|at| elapsed(at, now) >= self.settings.end_grace);
        Some(Media {
            target_duration: self.target_duration,
            discontinuity_sequence: segments.first().map_or(0, |segment| segment.epoch),
            segments,
            ended,
        })
    }

    /// A segment, if it is still held.
    pub(super) fn segment(&self, id: u64, name: TrackName, sequence: u64) -> Option<Arc<Segment>> {
        let track = self.tracks.get(&name).filter(|_| id == self.id)?;
        let index = sequence.checked_sub(track.segments.front()?.sequence)?;
        track.segments.get(usize::try_from(index).ok()?).cloned()
    }

    /// An initialisation segment, if it is still held.
    pub(super) fn init_segment(&self, id: u64, name: TrackName, number: u64) -> Option<Bytes> {
        let track = self.tracks.get(&name).filter(|_| id == self.id)?;
        let (_, data) = track.inits.iter().find(|(known, _)| *known == number)?;
        Some(data.clone())
    }

    /// Drops the oldest segment of all, to make room. False when there is none left.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let oldest = self
            .tracks
            .values_mut()
            .filter(|track| !track.segments.is_empty())
            .min_by_key(|track| track.segments.front().map(|segment| segment.date_time));
        match oldest {
            Some(track) => {
                track.drop_oldest();
                true
            }
            None => false,
        }
    }

    fn track_of(&mut self, opening: u64, name: TrackName) -> Option<&mut Track> {
        let is_current = opening == self.opening;
        self.tracks
            .get_mut(&name)
            .filter(|track| is_current && track.opening == opening)
    }

    fn close_segments(&mut self) {
        for track in self.tracks.values_mut() {
            track.close(None);
        }
        self.settle();
    }

    /// Restores what must hold after segments were closed: a target duration that is true, and the bounds.
    fn settle(&mut self) {
        let newest = self.tracks.values().filter_map(|track| track.segments.back());
        let longest = newest.map(|segment| rounded_seconds(segment.duration)).max();
        self.target_duration = self.target_duration.max(longest.unwrap_or(1));

        let keeps: Vec<(TrackName, usize)> = self
            .tracks
            .iter()
            .map(|(name, track)| (*name, 2 * self.listed(track) + 1))
            .collect();
        for (name, keep) in keeps {
            if let Some(track) = self.tracks.get_mut(&name) {
                while track.segments.len() > keep {
                    track.drop_oldest();
                }
            }
        }
        while self.bytes() > self.settings.max_bytes && self.drop_oldest() {}
    }

    /// How many of a track's segments its playlist lists.
    fn listed(&self, track: &Track) -> usize {
        let enough = MediaTime::from_millis(3000 * i64::try_from(self.target_duration).unwrap_or(i64::MAX / 3000));
        let mut lasts = MediaTime::ZERO;
        let mut count = 0;
        for segment in track.segments.iter().rev() {
            if count >= self.settings.playlist_segments.max(1) && lasts >= enough {
                break;
            }
            lasts += segment.duration;
            count += 1;
        }
        count
    }
}

impl Track {
    fn new(info: TrackInfo, opening: u64, epoch: u64, breaks: bool) -> Self {
        Self {
            info,
            opening,
            inits: VecDeque::new(),
            next_init: 0,
            breaks,
            epoch,
            segments: VecDeque::new(),
            open: None,
            next_sequence: 0,
        }
    }

    /// Closes the open segment, if there is one.
    fn close(&mut self, next: Option<MediaTime>) -> bool {
        let Some(open) = self.open.take() else {
            return false;
        };
        self.segments.push_back(Arc::new(open.close(self.next_sequence, next)));
        self.next_sequence += 1;
        true
    }

    fn drop_oldest(&mut self) {
        self.segments.pop_front();
        let oldest = self.segments.front().map(|segment| segment.init);
        let oldest = oldest.or(self.open.as_ref().map(|open| open.init));
        // The newest is kept for the segments to come.
        while self.inits.len() > 1 && self.inits.front().is_some_and(|(number, _)| Some(*number) != oldest) {
            self.inits.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        let closed: usize = self.segments.iter().map(|segment| segment.bytes).sum();
        closed + self.open.as_ref().map_or(0, |open| open.bytes)
    }

    fn variant(&self, name: TrackName, presentation: u64, target_duration: u64) -> Variant {
        // Short segments are no measure (RFC 8216 §4.1: a peak is taken over half a target duration at least).
        let least = target_duration as f64 / 2.0;
        let rate = |bytes: usize, seconds: f64| (bytes as f64 * 8.0 / seconds.max(0.001)).ceil() as u64;
        let bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        let seconds = self.segments.iter().map(|segment| segment.duration.as_secs_f64()).sum();
        let average_bandwidth = rate(bytes, seconds);
        let peaks = self
            .segments
            .iter()
            .filter(|segment| segment.duration.as_secs_f64() >= least)
            .map(|segment| rate(segment.bytes, segment.duration.as_secs_f64()));
        Variant {
            file: Resource::Playlist {
                track: name,
                presentation,
            },
            codecs: self.info.codecs.clone(),
            resolution: self.info.width.zip(self.info.height),
            frame_rate: self.info.frame_rate,
            channels: self.info.channels,
            peak_bandwidth: peaks.max().unwrap_or(0).max(average_bandwidth),
            average_bandwidth,
        }
    }
}

impl Anchor {
    fn at(self, media: MediaTime) -> SystemTime {
        let offset = (media - self.media).as_nanos();
        let distance = Duration::from_nanos(offset.unsigned_abs());
        let moved = if offset < 0 {
            self.wall.checked_sub(distance)
        } else {
            self.wall.checked_add(distance)
        };
        moved.unwrap_or(self.wall)
    }
}

/// EXTINF rounded to the nearest second, which the target duration must reach (RFC 8216 §4.3.3.1).
fn rounded_seconds(duration: MediaTime) -> u64 {
    u64::try_from((duration.as_millis() + 500) / 1000).unwrap_or(0)
}

/// Time from `then` to `now`; none if the clock was set back.
fn elapsed(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
