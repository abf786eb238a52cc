//! A feed: one message stream of a player while it is given a publication.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use streammill_media::{Frame, FrameRole, MediaKind, flv};
use streammill_rtmp::{MediaType, MessageStreamId, RtmpTime, chunk};

use super::{outbox::Outbox, reads::Reads};
use crate::hub::{Common, Form, Packet, Subscriber};

/// The message stream id that players in practice have, and that shared chunks carry.
const USUAL_STREAM: MessageStreamId = MessageStreamId(1);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) stream: MessageStreamId,
    pub(super) subscriber: Subscriber,
    pub(super) shape: Shape,
    /// The publisher left, and everything of it has been written.
    pub(super) has_ended: bool,
}

/// How a player wants its media.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) reads: Reads,
    pub(super) wants_audio: bool,
    pub(super) wants_video: bool,
    /// Sound goes on the chunk stream of the pictures.
    pub(super) is_interleaved: bool,
    /// No sound before the first picture, if there are pictures. Unset by the first one.
    pub(super) waits_for_video: bool,
}

/// What many players of a stream are sent alike: the chunks of several packets in one piece, which is one system call for
/// each player, and hardly anything else.
#[derive(Debug)]
pub(super) struct Batch {
    common: Common,
    pub(super) chunks: Bytes,
    /// Who has been sent it is to be served the rest.
    pub(super) has_more: bool,
    tag_bytes: u64,
    /// Some of it is not for every player.
    is_enhanced: bool,
}

/// The batches of one round through a stream's players.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) batch: Option<Batch>,
    made: u8,
}

/// Places that batches are made for in a round. Players who are scattered over more are sent slices, without copying.
const MAX_BATCHES: u8 = 4;

impl Round {
    /// What `feed` is sent: the batch that is there, or else one that is made for it. `None` if neither can be.
    pub(super) fn batch_for(&mut self, feed: &mut Feed, max: usize, chunk_size: u32) -> Option<&Batch> {
        let follows = self.batch.as_ref().is_some_and(|batch| feed.follow(batch));
        if !follows {
            if self.made >= MAX_BATCHES {
                return None;
            }
            self.made += 1;
            self.batch = Some(Batch::of(feed, max, chunk_size).filter(|made| feed.follow(made))?);
        }
        self.batch.as_ref()
    }
}

impl Batch {
    /// From what comes next for a feed; `None` if others cannot be given the same.
    pub(super) fn of(feed: &Feed, max: usize, chunk_size: u32) -> Option<Self> {
        let common = feed.subscriber.common(max)?;
        let forms = || {
            let packets = common.packets().iter();
            packets.map(|packet| packet.form(Form::RtmpChunks, |frame| chunks(frame, USUAL_STREAM, false, chunk_size)))
        };
        let chunks = match common.packets() {
            [_] => forms().next()?.clone(),
            _ => {
                let mut chunks = BytesMut::with_capacity(forms().map(Bytes::len).sum());
                forms().for_each(|form| chunks.extend_from_slice(form));
                chunks.freeze()
            }
        };
        Some(Self {
            chunks,
            has_more: common.has_more(),
            tag_bytes: common
                .packets()
                .iter()
                .map(|packet| packet.frame.tag.len() as u64)
                .sum(),
            is_enhanced: common.packets().iter().any(|packet| packet.frame.is_enhanced()),
            common,
        })
    }
}

impl Feed {
    /// Takes a batch as written, if it is what comes next for this player.
    pub(super) fn follow(&mut self, batch: &Batch) -> bool {
        let shape = &self.shape;
        let is_plain = self.stream == USUAL_STREAM
            && shape.wants_audio
            && shape.wants_video
            && !shape.is_interleaved
            && !shape.waits_for_video;
        let reads = || {
            let mut packets = batch.common.packets().iter();
            !shape.reads.nanos && packets.all(|packet| shape.reads.takes(&packet.frame))
        };
        let follows = is_plain && (!batch.is_enhanced || reads()) && self.subscriber.follow(&batch.common);
        if follows {
            self.subscriber.sent(batch.tag_bytes);
        }
        follows
    }

    /// Puts packets into the outbox as chunks.
    pub(super) fn write(&mut self, packets: &[Arc<Packet>], chunk_size: u32, outbox: &mut Outbox) {
        let mut bytes = 0;
        for packet in packets {
            let frame = &packet.frame;
            if !self.wants(frame) {
                continue;
            }
            bytes += frame.tag.len() as u64;
            let is_interleaved = self.shape.is_interleaved && frame.kind == MediaKind::Audio;
            let nanos = self.shape.reads.nanos && frame.is_enhanced();
            outbox.push(match self.stream {
                USUAL_STREAM if !is_interleaved && !nanos => packet
                    .form(Form::RtmpChunks, |frame| chunks(frame, USUAL_STREAM, false, chunk_size))
                    .clone(),
                USUAL_STREAM if !is_interleaved => packet
                    .form(Form::FineRtmpChunks, |frame| {
                        chunks(&fine(frame), USUAL_STREAM, false, chunk_size)
                    })
                    .clone(),
                stream if nanos => chunks(&fine(frame), stream, is_interleaved, chunk_size),
                stream => chunks(frame, stream, is_interleaved, chunk_size),
            });
        }
        self.subscriber.sent(bytes);
    }

    fn wants(&mut self, frame: &Frame) -> bool {
        let shape = &mut self.shape;
        if !shape.reads.takes(frame) {
            return false;
        }
        match frame.kind {
            MediaKind::Audio if shape.waits_for_video && shape.wants_video && frame.role == FrameRole::Coded => {
                // Sound without pictures has nothing to wait for.
                let tracks = self.subscriber.tracks();
                let has_video = tracks.is_some_and(|tracks| tracks.borrow().of(MediaKind::Video).is_some());
                shape.wants_audio && !has_video
            }
            MediaKind::Audio => shape.wants_audio,
            MediaKind::Video => {
                shape.waits_for_video &= frame.role != FrameRole::Coded;
                shape.wants_video
            }
            MediaKind::Data => true,
        }
    }
}

/// With what lies between two milliseconds beside it, where there is something.
fn fine(frame: &Frame) -> Frame {
    let nanos = frame.dts.as_nanos().rem_euclid(1_000_000);
    // Less than a million.
    let tag = flv::with_nanos(frame.kind, &frame.tag, nanos as u32);
    Frame {
        tag: tag.unwrap_or_else(|| frame.tag.clone()),
        ..frame.clone()
    }
}

fn chunks(frame: &Frame, stream: MessageStreamId, is_interleaved: bool, chunk_size: u32) -> Bytes {
    let kind = match frame.kind {
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Video => MediaType::Video,
        MediaKind::Data => MediaType::Data,
    };
    // RTMP carries the low 32 bits of the milliseconds (RTMP 1.0 §5.3.1).
    let timestamp = RtmpTime(frame.dts.as_millis() as u32);
    match is_interleaved {
        true => chunk::interleaved_form(kind, stream, timestamp, &frame.tag, chunk_size),
        false => chunk::shared_form(kind, stream, timestamp, &frame.tag, chunk_size),
    }
}
