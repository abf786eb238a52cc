//! FLV as a body: what a hub subscriber receives, in the form a player of `.flv` URLs reads.
//!
//! A viewer costs a cursor in the hub and slices of what all viewers share: the tag of a frame is put together once, by
//! whoever needs it first. Times stay those of the stream, so that every viewer of a stream can share them; players take
//! the first tag's as their start.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use streammill_media::{Frame, MediaKind, flv};
use tokio::time::timeout;

use crate::hub::{Event, Form, Packet, Subscriber};

/// How long a publication may keep us waiting between being found live and being joined. It ended in between if it does.
const START: Duration = Duration::from_secs(5);

/// How long the header waits for the tracks to be known. It only announces; players take what comes.
const SETTLE: Duration = Duration::from_secs(2);

/// Packets taken from the hub at a time.
const BATCH: usize = 64;

/// The body for one viewer. It ends when the publisher leaves.
pub fn body(subscriber: Subscriber) -> impl Stream<Item = Bytes> + Send + Sync + 'static {
    let viewer = Viewer {
        subscriber,
        batch: Vec::with_capacity(BATCH),
        next: 0,
    };
    stream::unfold(viewer, async |mut viewer| {
        let bytes = viewer.next().await?;
        viewer.subscriber.sent(bytes.len() as u64);
        Some((bytes, viewer))
    })
}

struct Viewer {
    subscriber: Subscriber,
    batch: Vec<Arc<Packet>>,
    /// Which packet of the batch comes next.
    next: usize,
}

impl Viewer {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(packet) = self.batch.get(self.next) {
                self.next += 1;
                return Some(packet.form(Form::FlvTag, tag).clone());
            }
            self.batch.clear();
            self.next = 0;
            let is_joined = self.subscriber.tracks().is_some();
            let event = self.subscriber.next(BATCH, &mut self.batch);
            let event = if is_joined {
                event.await
            } else {
                timeout(START, event).await.ok()?
            };
            match event {
                Event::Started => return Some(self.header().await),
                Event::Packets => {}
                Event::Ended => return None,
            }
        }
    }

    async fn header(&self) -> Bytes {
        let mut has = (true, true);
        if let Some(mut tracks) = self.subscriber.tracks() {
            // Without an answer in time, what is known must do.
            let _ = timeout(SETTLE, tracks.wait_for(|tracks| tracks.settled)).await;
            let tracks = tracks.borrow();
            let of_kind = |kind| tracks.tracks.iter().any(|track| track.kind() == kind);
            if !tracks.tracks.is_empty() {
                has = (of_kind(MediaKind::Audio), of_kind(MediaKind::Video));
            }
        }
        Bytes::copy_from_slice(&flv::file_header(has.0, has.1))
    }
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::StreamExt;
    use streammill_media::{FrameRole, MediaTime, TrackId};

    use super::*;
    use crate::hub::{Hub, Interest, Limits, Origin, Protocol, StreamKey};

    fn frame(kind: MediaKind, role: FrameRole, key: bool, millis: i64, tag: &'static [u8]) -> Frame {
        Frame {
            kind,
            track: TrackId(0),
            role,
            key,
            dts: MediaTime::from_millis(millis),
            pts: MediaTime::from_millis(millis),
            tag: Bytes::from_static(tag),
            header_len: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_gets_a_header_then_tags_that_are_shared_then_the_end() {
        let hub = Hub::new(Limits::default());
        let key = StreamKey::new("live", "x").unwrap();
        let origin = Origin::Pipeline {
            template: "test".to_owned(),
            ancestors: Vec::new(),
        };
        let publication = hub.claim(key.clone(), origin).unwrap();
        publication.push(frame(
            MediaKind::Video,
            FrameRole::Coded,
            true,
            0x0123_4567,
            b"\x17\x01picture",
        ));
        let viewer = || {
            let interest = Interest {
                protocol: Protocol::HttpFlv,
                peer: None,
                software: String::new(),
                from_cache: true,
            };
            Box::pin(body(hub.subscribe(&key, interest)))
        };
        let (mut one, mut two) = (viewer(), viewer());
        for viewer in [&mut one, &mut two] {
            let header = viewer.next().await.unwrap();
            assert_eq!((&header[..4], header.len()), (&b"FLV\x01"[..], flv::FILE_HEADER_LEN));
        }
        let (tag, same) = (one.next().await.unwrap(), two.next().await.unwrap());
        assert_eq!(&tag[..11], b"\x09\0\0\x09\x23\x45\x67\x01\0\0\0");
        assert_eq!(tag.as_ptr(), same.as_ptr(), "each viewer has a copy");
        let sent: Vec<u64> = hub.streams()[0].subscribers.iter().map(|it| it.bytes_out).collect();
        assert_eq!(sent, [13 + 24, 13 + 24]);

        drop(publication);
        assert_eq!(one.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_left_before_the_viewer_joined_keeps_nobody_waiting() {
        let hub = Hub::new(Limits::default());
        let key = StreamKey::new("live", "gone").unwrap();
        let interest = Interest {
            protocol: Protocol::HttpFlv,
            peer: None,
            software: String::new(),
            from_cache: true,
        };
        let mut viewer = Box::pin(body(hub.subscribe(&key, interest)));
        assert_eq!(viewer.next().await, None);
    }
}
