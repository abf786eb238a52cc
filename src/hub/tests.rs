//! What the hub promises its publishers and subscribers.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, TrackId};
use tokio::time::timeout;

use super::{ClaimError, Event, Hub, Interest, Limits, Origin, Packet, Protocol, StreamKey, Subscriber, Terms};

fn key(name: &str) -> StreamKey {
    StreamKey::new("live", name).unwrap()
}

fn publisher() -> Origin {
    Origin::Rtmp {
        peer: Some(([127, 0, 0, 1], 1).into()),
        software: "test".to_owned(),
    }
}

fn viewer() -> Interest {
    Interest {
        protocol: Protocol::Rtmp,
        peer: None,
        software: "test".to_owned(),
        from_cache: true,
        wait_for_key_frame: true,
    }
}

fn key_frame(millis: i64) -> Frame {
    let dts = MediaTime::from_millis(millis);
    Frame {
        kind: MediaKind::Video,
        track: TrackId(0),
        role: FrameRole::Coded,
        key: true,
        dts,
        pts: dts,
        tag: Bytes::from_static(b"K"),
        header_len: 0,
    }
}

async fn next(subscriber: &mut Subscriber) -> (Event, Vec<i64>) {
    let mut batch: Vec<Arc<Packet>> = Vec::new();
    let event = timeout(Duration::from_secs(5), subscriber.next(16, &mut batch))
        .await
        .unwrap();
    (event, batch.iter().map(|packet| packet.frame.dts.as_millis()).collect())
}

#[tokio::test]
async fn a_name_is_published_by_one_at_a_time() {
    let hub = Hub::new(Limits::default());
    let first = hub.claim(key("x"), publisher()).unwrap();
    assert_eq!(
        hub.claim(key("x"), publisher()).unwrap_err(),
        ClaimError::Taken { key: key("x") }
    );
    drop(first);
    hub.claim(key("x"), publisher()).unwrap();
}

#[tokio::test]
async fn a_pipeline_cannot_publish_what_it_is_made_from() {
    let hub = Hub::new(Limits::default());
    let origin = Origin::Pipeline {
        template: "transcode".to_owned(),
        ancestors: vec![key("small"), key("x")],
    };
    assert_eq!(
        hub.claim(key("x"), origin).unwrap_err(),
        ClaimError::Loop { key: key("x") }
    );
}

#[tokio::test]
async fn a_subscriber_waits_reads_is_told_of_the_end_and_sees_the_publisher_return() {
    let hub = Hub::new(Limits::default());
    let mut subscriber = hub.subscribe(&key("x"), viewer());
    for round in 0..2 {
        let publication = hub.claim(key("x"), publisher()).unwrap();
        assert_eq!(next(&mut subscriber).await, (Event::Started, vec![]));
        publication.push(key_frame(round));
        publication.push(key_frame(round + 40));
        drop(publication);
        assert_eq!(
            next(&mut subscriber).await,
            (Event::Packets, vec![round, round + 40]),
            "the tail is not lost"
        );
        assert_eq!(next(&mut subscriber).await, (Event::Ended, vec![]));
    }
}

#[tokio::test]
async fn everyone_gets_the_same_bytes() {
    let hub = Hub::new(Limits::default());
    let publication = hub.claim(key("x"), publisher()).unwrap();
    let mut viewers: Vec<_> = (0..3).map(|_| hub.subscribe(&key("x"), viewer())).collect();
    publication.push(key_frame(0));
    let mut seen = Vec::new();
    for viewer in &mut viewers {
        let mut batch = Vec::new();
        assert_eq!(viewer.next(16, &mut batch).await, Event::Started);
        assert_eq!(viewer.next(16, &mut batch).await, Event::Packets);
        seen.push(batch[0].clone());
    }
    assert!(seen.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])));
}

#[tokio::test]
async fn who_follows_another_gets_the_same_and_learns_of_the_end() {
    let hub = Hub::new(Limits::default());
    let publication = hub.claim(key("x"), publisher()).unwrap();
    publication.push(key_frame(0));
    let (mut one, mut other) = (hub.subscribe(&key("x"), viewer()), hub.subscribe(&key("x"), viewer()));
    for subscriber in [&mut one, &mut other] {
        assert_eq!(next(subscriber).await.0, Event::Started);
        assert_eq!(next(subscriber).await.1, [0]);
    }
    publication.push(key_frame(40));
    let common = one.common(16).unwrap();
    assert!(!common.has_more());
    assert!(one.follow(&common) && other.follow(&common));
    assert!(!other.follow(&common), "once");
    assert!(one.common(16).is_none(), "there is nothing new");

    publication.push(key_frame(80));
    drop(publication);
    let last = one.common(16).unwrap();
    assert!(
        last.has_more(),
        "the end is behind it, and nothing else will tell of it"
    );
    assert!(one.follow(&last));
    assert_eq!(next(&mut one).await.0, Event::Ended);
    assert_eq!(next(&mut other).await.1, [80]);
}

#[tokio::test]
async fn a_name_that_nobody_publishes_or_watches_is_forgotten() {
    let hub = Hub::new(Limits::default());
    let subscriber = hub.subscribe(&key("x"), viewer());
    let publication = hub.claim(key("x"), publisher()).unwrap();
    assert_eq!(hub.streams().len(), 1);
    drop(publication);
    assert_eq!(hub.streams().len(), 1, "someone still waits there");
    drop(subscriber);
    assert!(hub.streams().is_empty());
}

#[tokio::test]
async fn each_change_is_announced() {
    let hub = Hub::new(Limits::default());
    let mut changes = hub.changes();
    let publication = hub.claim(key("x"), publisher()).unwrap();
    assert!(changes.has_changed().unwrap());
    changes.borrow_and_update();
    drop(publication);
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn who_takes_over_goes_on_where_the_other_was_and_players_stay() {
    let hub = Hub::new(Limits::default());
    let mut viewer = hub.subscribe(&key("x"), viewer());
    let first = hub.claim(key("x"), publisher()).unwrap();
    assert_eq!(next(&mut viewer).await.0, Event::Started);
    first.push(key_frame(1000));
    let takeover = Terms {
        takes_over: true,
        ..Terms::default()
    };
    let second = hub.claim_on(key("x"), publisher(), takeover).unwrap();
    assert!(first.is_replaced() && !second.is_replaced());
    assert!(second.begin() > MediaTime::from_millis(1000));
    first.push(key_frame(5000));
    let delta = Frame {
        key: false,
        ..key_frame(2000)
    };
    second.push(delta);
    second.push(key_frame(2040));
    drop(first);
    assert_eq!(
        next(&mut viewer).await,
        (Event::Packets, vec![1000, 2040]),
        "the new one is shown from a key frame on, and the old one no more"
    );
    drop(second);
    assert_eq!(next(&mut viewer).await.0, Event::Ended);
}

#[tokio::test]
async fn a_publisher_who_returns_within_his_grace_keeps_his_players() {
    let hub = Hub::new(Limits::default());
    let terms = Terms {
        grace: Duration::from_millis(1),
        ..Terms::default()
    };
    let mut viewer = hub.subscribe(&key("x"), viewer());
    drop(hub.claim_on(key("x"), publisher(), terms).unwrap());
    assert!(hub.is_live(&key("x")));
    assert!(hub.stream(&key("x")).unwrap().live.unwrap().away.is_some());
    let back = hub.claim_on(key("x"), publisher(), terms).unwrap();
    back.push(key_frame(0));
    assert_eq!(next(&mut viewer).await.0, Event::Started);
    assert_eq!(next(&mut viewer).await, (Event::Packets, vec![0]));
    drop(back);
    tokio::time::sleep(Duration::from_millis(2)).await;
    hub.end_absent();
    assert_eq!(next(&mut viewer).await.0, Event::Ended);
    assert!(!hub.is_live(&key("x")));
}
