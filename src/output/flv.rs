//! FLV for one viewer: what a hub subscriber receives, in the form a player of `.flv` URLs reads.
//!
//! A viewer costs a cursor in the hub and slices of what all viewers share: the tag of a frame is put together once, by
//! whoever needs it first. Times are those of the stream, so that every viewer of a stream can share them; players take
//! the first tag's as their start. Only who has seen a publisher leave and return gets times of its own, because for
//! it they must go on where they were.

use std::{str::FromStr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use streammill_media::{Frame, MediaKind, MediaTime, TrackId, flv};
use tokio::time::{Instant, timeout_at};

use super::Slices;
use crate::hub::{Event, Form, Packet, Subscriber, Tracks};

/// How long the header waits for the tracks to be known. It only announces; players take what comes.
const SETTLE: Duration = Duration::from_secs(2);

/// Packets taken from the hub at a time: about a second of a usual stream.
const BATCH: usize = 64;

/// A batch is given out in pieces of about this size, so that little is held for a viewer who has stopped reading.
const MAX_BYTES: usize = 256 << 10;

/// Milliseconds between the last tag of one publication and the first of the next.
const STEP: i64 = 40;

/// Which tracks a viewer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// All there are.
    #[default]
    Whole,
    /// Sound, without pictures.
    Audio,
    /// Pictures, without sound.
    Video,
}

impl Variant {
    /// The publisher's metadata speaks of tracks that a variant leaves out, and some players wait for them.
    fn takes(self, frame: &Frame) -> bool {
        match (self, frame.kind) {
            (Self::Whole, _) => true,
            (_, MediaKind::Data) => !flv::script::is_meta(&frame.tag),
            (Self::Audio, kind) => kind == MediaKind::Audio,
            (Self::Video, kind) => kind == MediaKind::Video,
        }
    }

    /// The header (E.2) for a stream that has these kinds. It says both if they are not known: a player that waits in vain
    /// for a track plays in the end, one that is told of none may never look for it.
    fn header(self, has: impl Fn(MediaKind) -> bool) -> Bytes {
        let (audio, video) = match self {
            Self::Whole => (has(MediaKind::Audio), has(MediaKind::Video)),
            Self::Audio => (true, false),
            Self::Video => (false, true),
        };
        let is_unknown = !audio && !video;
        Bytes::copy_from_slice(&flv::file_header(audio || is_unknown, video || is_unknown))
    }
}

/// `audio` or `video`, as a URL has it.
impl FromStr for Variant {
    type Err = UnknownVariant;

    fn from_str(text: &str) -> Result<Self, UnknownVariant> {
        match text {
            "audio" => Ok(Self::Audio),
            "video" => Ok(Self::Video),
            _ => Err(UnknownVariant),
        }
    }
}

/// Something else than a kind of track was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream can be had whole, or with only=audio or only=video")]
pub struct UnknownVariant;

/// A stream of FLV for one viewer.
#[derive(Debug)]
pub struct Feed {
    subscriber: Subscriber,
    variant: Variant,
    every_track: bool,
    patience: Duration,
    phase: Phase,
    /// The header has been given.
    is_announced: bool,
    batch: Vec<Arc<Packet>>,
    /// Which packet of the batch comes next.
    next: usize,
    times: Times,
}

#[derive(Debug)]
enum Phase {
    /// Nobody publishes. `None` waits for ever.
    Waiting(Option<Instant>),
    /// Somebody does, and the header waits to know the tracks.
    Settling(Instant),
    Playing,
}

impl Feed {
    /// A feed that waits for a publisher, and for one who left to return, no longer than `patience` each time.
    pub fn new(subscriber: Subscriber, variant: Variant, patience: Duration) -> Self {
        Self {
            subscriber,
            variant,
            every_track: false,
            patience,
            phase: Phase::Waiting(Instant::now().checked_add(patience)),
            is_announced: false,
            batch: Vec::new(),
            next: 0,
            times: Times::default(),
        }
    }

    /// Gives all tracks of a kind, and not the first alone, which is all that most players of FLV can tell apart.
    pub fn with_every_track(self, wanted: bool) -> Self {
        Self {
            every_track: wanted,
            ..self
        }
    }

    /// Waits for the next bytes: the header, then whole tags, as many as are there. `None` is the end.
    ///
    /// Cancelling loses nothing: nothing is taken before it is returned.
    pub async fn next(&mut self) -> Option<Slices> {
        loop {
            match self.phase {
                Phase::Waiting(until) => {
                    let event = self.subscriber.next(BATCH, &mut self.batch);
                    let event = match until {
                        Some(until) => timeout_at(until, event).await.ok()?,
                        None => event.await,
                    };
                    if event == Event::Started {
                        self.times.begin();
                        self.phase = match self.is_announced {
                            false => Phase::Settling(Instant::now() + SETTLE),
                            true => Phase::Playing,
                        };
                    }
                }
                Phase::Settling(until) => {
                    let tracks = self.subscriber.tracks();
                    let tracks = match tracks {
                        Some(mut tracks) => {
                            let settled = timeout_at(until, tracks.wait_for(|tracks| tracks.settled)).await;
                            settled.ok().and_then(|tracks| Some(tracks.ok()?.clone()))
                        }
                        None => None,
                    };
                    let event = self.subscriber.next(BATCH, &mut self.batch);
                    match timeout_at(until, event).await {
                        Ok(Event::Ended) => self.wait(),
                        Ok(Event::Started) => {}
                        Ok(Event::Packets) | Err(_) => {
                            self.phase = Phase::Playing;
                            let header = self.header(tracks.as_deref());
                            self.is_announced = true;
                            return Some(self.account(header.into()));
                        }
                    }
                }
                Phase::Playing => {
                    let tags = self.tags();
                    if tags.has_remaining() {
                        return Some(self.account(tags));
                    }
                    match self.subscriber.next(BATCH, &mut self.batch).await {
                        Event::Packets => {}
                        Event::Started => self.times.begin(),
                        Event::Ended => self.wait(),
                    }
                }
            }
        }
    }

    fn wait(&mut self) {
        self.phase = Phase::Waiting(Instant::now().checked_add(self.patience));
    }

    /// The header, from what is known of the tracks and from what has come. A codec that is relayed without being
    /// understood is not among the tracks.
    fn header(&self, tracks: Option<&Tracks>) -> Bytes {
        let has_come = |kind| self.batch.iter().any(|packet| packet.frame.kind == kind);
        self.variant
            .header(|kind| tracks.is_none_or(|tracks| tracks.of(kind).is_some()) || has_come(kind))
    }

    /// The tags of what is left of the batch, up to a bound.
    fn tags(&mut self) -> Slices {
        let mut tags = Slices::default();
        while let Some(packet) = self.batch.get(self.next)
            && tags.remaining() < MAX_BYTES
        {
            self.next += 1;
            let frame = &packet.frame;
            let tag = packet.form(Form::FlvTag, tag);
            let is_asked_for = self.variant.takes(frame) && (self.every_track || frame.track == TrackId(0));
            if tag.is_empty() || !is_asked_for {
                continue;
            }
            let stamp = frame.dts.as_millis();
            let time = match is_untimed(frame) {
                true => self.times.newest(),
                false => self.times.place(stamp),
            };
            if time == stamp {
                tags.push(tag.clone());
            } else {
                let header = flv::tag_header(frame.kind, time as u32, frame.tag.len());
                tags.push(Bytes::copy_from_slice(&header));
                tags.push(tag.slice(flv::TAG_HEADER_LEN..));
            }
        }
        if self.next == self.batch.len() {
            self.batch.clear();
            self.next = 0;
        }
        tags
    }

    fn account(&self, bytes: Slices) -> Slices {
        self.subscriber.sent(bytes.remaining() as u64);
        bytes
    }
}

/// One viewer's times across publications, in milliseconds.
#[derive(Debug, Default)]
struct Times {
    /// The newest time given.
    last: Option<i64>,
    /// The next tag is the first of a publication.
    begins: bool,
    /// Added to the stream's times.
    offset: i64,
    /// No tag of this publication is stamped before this.
    floor: Option<i64>,
}

impl Times {
    fn begin(&mut self) {
        self.begins = true;
    }

    /// For what has no time of its own.
    fn newest(&self) -> i64 {
        self.last.unwrap_or_default()
    }

    fn place(&mut self, stamp: i64) -> i64 {
        if std::mem::take(&mut self.begins)
            && let Some(last) = self.last
        {
            self.floor = Some(last + STEP);
            self.offset = last + STEP - stamp;
        }
        let time = stamp + self.offset;
        let time = self.floor.map_or(time, |floor| time.max(floor));
        self.last = self.last.max(Some(time));
        time
    }
}

/// The metadata that a viewer is given first says nothing of where the stream is.
fn is_untimed(frame: &Frame) -> bool {
    frame.kind == MediaKind::Data && frame.dts == MediaTime::ZERO
}

/// A frame as an FLV tag with the size field behind it. Times wrap at 32 bits, as RTMP's do.
fn tag(frame: &Frame) -> Bytes {
    if frame.tag.len() > flv::MAX_BODY {
        return Bytes::new();
    }
    let mut out = BytesMut::new();
    flv::write_tag(&mut out, frame.kind, frame.dts.as_millis() as u32, &frame.tag);
    out.freeze()
}

#[cfg(test)]
mod tests;
