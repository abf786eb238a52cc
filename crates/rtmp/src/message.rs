//! Message types, user control events, aggregates (RTMP 1.0 §5.4, §6.2, §7.1).

use bytes::{Buf, Bytes};

use crate::{ChunkStreamId, RtmpTime};

/// Message type ids.
pub(crate) mod type_id {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    pub(crate) const ACKNOWLEDGEMENT: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    pub(crate) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(crate) const AUDIO: u8 = 8;
    pub(crate) const VIDEO: u8 = 9;
    pub(crate) const DATA_AMF3: u8 = 15;
    pub(crate) const COMMAND_AMF3: u8 = 17;
    pub(crate) const DATA: u8 = 18;
    pub(crate) const COMMAND: u8 = 20;
    pub(crate) const AGGREGATE: u8 = 22;
}

/// User control event types (§7.1.7).
pub(crate) mod user_event {
    pub(crate) const STREAM_BEGIN: u16 = 0;
    pub(crate) const STREAM_EOF: u16 = 1;
    pub(crate) const SET_BUFFER_LENGTH: u16 = 3;
    pub(crate) const PING_REQUEST: u16 = 6;
    pub(crate) const PING_RESPONSE: u16 = 7;
}

/// Payloads of control messages.
pub(crate) mod control {
    pub(crate) fn u32(value: u32) -> [u8; 4] {
        value.to_be_bytes()
    }

    pub(crate) fn event(event: u16, values: &[u32]) -> Vec<u8> {
        let mut payload = event.to_be_bytes().to_vec();
        payload.extend(values.iter().flat_map(|value| value.to_be_bytes()));
        payload
    }
}

/// What a media message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
    /// Message type 18, AMF0.
    Data,
}

impl MediaType {
    pub(crate) fn type_id(self) -> u8 {
        match self {
            Self::Audio => type_id::AUDIO,
            Self::Video => type_id::VIDEO,
            Self::Data => type_id::DATA,
        }
    }

    pub(crate) fn chunk_stream(self) -> ChunkStreamId {
        ChunkStreamId(match self {
            Self::Audio => 4,
            Self::Video => 6,
            Self::Data => 5,
        })
    }
}

/// The messages inside an aggregate message (§7.1.6), with their times moved to the aggregate's.
pub(crate) struct Aggregate {
    base: RtmpTime,
    first: Option<u32>,
    rest: Bytes,
}

impl Aggregate {
    pub(crate) fn new(base: RtmpTime, payload: Bytes) -> Self {
        Self {
            base,
            first: None,
            rest: payload,
        }
    }
}

impl Iterator for Aggregate {
    type Item = (MediaType, RtmpTime, Bytes);

    /// A part that is cut short ends the aggregate.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let &[kind, s1, s2, s3, t1, t2, t3, t0, ..] = self.rest.first_chunk::<11>()?;
            let size = u32::from_be_bytes([0, s1, s2, s3]) as usize;
            let time = u32::from_be_bytes([t0, t1, t2, t3]);
            if self.rest.len() < 11 + size {
                return None;
            }
            self.rest.advance(11);
            let payload = self.rest.split_to(size);
            // The size field behind each part may be missing behind the last.
            self.rest.advance(self.rest.len().min(4));
            let first = *self.first.get_or_insert(time);
            let timestamp = RtmpTime(self.base.0.wrapping_add(time.wrapping_sub(first)));
            let kind = match kind {
                type_id::AUDIO => MediaType::Audio,
                type_id::VIDEO => MediaType::Video,
                type_id::DATA => MediaType::Data,
                _ => continue,
            };
            return Some((kind, timestamp, payload));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: u8, time: u32, text: &str) -> Vec<u8> {
        let [t0, t1, t2, t3] = time.to_be_bytes();
        let mut bytes = vec![kind, 0, 0, text.len() as u8, t1, t2, t3, t0, 0, 0, 0];
        bytes.extend(text.as_bytes());
        bytes.extend((11 + text.len() as u32).to_be_bytes());
        bytes
    }

    fn split(payload: Vec<u8>) -> Vec<(MediaType, u32, Bytes)> {
        let parts = Aggregate::new(RtmpTime(1000), payload.into());
        parts.map(|(kind, time, payload)| (kind, time.0, payload)).collect()
    }

    #[test]
    fn an_aggregate_is_split_and_its_times_are_moved_to_its_own() {
        let payload = [
            part(9, 500, "video"),
            part(8, 520, "audio"),
            part(99, 530, "?"),
            part(18, 540, "data"),
        ]
        .concat();
        let expected = [
            (MediaType::Video, 1000, Bytes::from("video")),
            (MediaType::Audio, 1020, Bytes::from("audio")),
            (MediaType::Data, 1040, Bytes::from("data")),
        ];
        assert_eq!(split(payload), expected);
    }

    #[test]
    fn a_part_that_is_cut_short_ends_the_aggregate() {
        let mut payload = [part(9, 0, "whole"), part(8, 0, "cut")].concat();
        payload.truncate(payload.len() - 6);
        assert_eq!(split(payload).len(), 1);
        assert_eq!(split(vec![9, 0xff, 0xff, 0xff]).len(), 0);
    }
}
