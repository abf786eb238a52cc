//! A feed: one message stream of a player while it is given a publication.

use std::sync::Arc;

use streammill_media::{Frame, MediaKind};
use streammill_rtmp::{MediaType, MessageStreamId, RtmpTime, chunk};

use super::outbox::Outbox;
use crate::hub::{Form, Packet, Subscriber};

/// The message stream id that players in practice have, and that shared chunks carry.
const USUAL_STREAM: MessageStreamId = MessageStreamId(1);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) stream: MessageStreamId,
    pub(super) subscriber: Subscriber,
    pub(super) wants_audio: bool,
    pub(super) wants_video: bool,
    /// The publisher left, and everything of it has been written.
    pub(super) has_ended: bool,
}

impl Feed {
    /// Puts packets into the outbox as chunks.
    pub(super) fn write(&self, packets: &[Arc<Packet>], chunk_size: u32, outbox: &mut Outbox) {
        let mut bytes = 0;
        for packet in packets {
            let frame = &packet.frame;
            let is_wanted = match frame.kind {
                MediaKind::Audio => self.wants_audio,
                MediaKind::Video => self.wants_video,
                MediaKind::Data => true,
            };
            if !is_wanted {
                continue;
            }
            bytes += frame.tag.len() as u64;
            outbox.push(match self.stream {
                USUAL_STREAM => packet
                    .form(Form::RtmpChunks, |frame| chunks(frame, USUAL_STREAM, chunk_size))
                    .clone(),
                stream => chunks(frame, stream, chunk_size),
            });
        }
        self.subscriber.sent(bytes);
    }
}

fn chunks(frame: &Frame, stream: MessageStreamId, chunk_size: u32) -> bytes::Bytes {
    let kind = match frame.kind {
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Video => MediaType::Video,
        MediaKind::Data => MediaType::Data,
    };
    // RTMP carries the low 32 bits of the milliseconds (RTMP 1.0 §5.3.1).
    let timestamp = RtmpTime(frame.dts.as_millis() as u32);
    chunk::shared_form(kind, stream, timestamp, &frame.tag, chunk_size)
}
