//! The hub's fan-out: one frame from the publisher to every subscriber's batch, in the form that players share.

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use futures_util::FutureExt;
use streammill::hub::{Event, Form, Hub, Interest, Limits, Origin, Packet, Protocol, StreamKey};
use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, TrackId};
use streammill_rtmp::{MediaType, MessageStreamId, RtmpTime, chunk};

fn main() {
    divan::main();
}

fn frame(number: i64) -> Frame {
    let dts = MediaTime::from_millis(number * 40);
    Frame {
        kind: MediaKind::Video,
        track: TrackId(0),
        role: FrameRole::Coded,
        key: number % 50 == 0,
        dts,
        pts: dts,
        tag: Bytes::from(vec![0xa5; 5_000]),
        header_len: 5,
    }
}

#[divan::bench(args = [1, 10, 100, 1000])]
fn push_and_read(bencher: Bencher<'_, '_>, subscribers: usize) {
    let hub = Hub::new(Limits::default());
    let key = StreamKey::new("live", "bench").expect("a legal name");
    let origin = Origin::Rtmp {
        peer: Some(([127, 0, 0, 1], 1).into()),
        software: String::new(),
    };
    let publication = hub.claim(key.clone(), origin).expect("a free name");
    let interest = Interest {
        protocol: Protocol::Rtmp,
        peer: None,
        software: String::new(),
        from_cache: true,
        wait_for_key_frame: true,
    };
    let mut subscribers: Vec<_> = (0..subscribers)
        .map(|_| hub.subscribe(&key, interest.clone()))
        .collect();
    let mut batch: Vec<Arc<Packet>> = Vec::new();
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.next(1, &mut batch).now_or_never(), Some(Event::Started));
    }
    let mut number = 0;
    bencher.counter(ItemsCount::new(subscribers.len())).bench_local(|| {
        publication.push(frame(number));
        number += 1;
        for subscriber in &mut subscribers {
            batch.clear();
            assert_eq!(subscriber.next(128, &mut batch).now_or_never(), Some(Event::Packets));
            for packet in &batch {
                let millis = packet.frame.dts.as_millis() as u32;
                let form = |frame: &Frame| {
                    chunk::shared_form(MediaType::Video, MessageStreamId(1), RtmpTime(millis), &frame.tag, 4096)
                };
                divan::black_box(packet.form(Form::RtmpChunks, form));
            }
        }
    });
}
