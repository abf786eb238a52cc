//! Playing: from the hub's packets to chunks for one player.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::select_all;
use streammill_media::{Frame, MediaKind};
use streammill_rtmp::{MediaType, MessageStreamId, PlayRequest, Rejection, RtmpTime, ServerSession, chunk};
use tracing::{Span, field::display, info};

use super::{Context, outbox::Outbox};
use crate::hub::{Event, Form, Interest, Packet, Protocol, StreamKey, Subscriber};

/// Most packets taken from the hub at a time: enough to merge a burst into one write, few enough to keep a batch small.
const MAX_BATCH: usize = 128;

/// The message stream id that players in practice have, and that shared chunks carry.
const USUAL_STREAM: MessageStreamId = MessageStreamId(1);

/// One message stream that plays.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) stream: MessageStreamId,
    subscriber: Subscriber,
    batch: Vec<Arc<Packet>>,
    wants_audio: bool,
    wants_video: bool,
    paused: bool,
    was_live: bool,
    idle_since: Option<Instant>,
    idle_timeout: Duration,
}

impl Play {
    /// Subscribes to the name that is asked for, or says why not.
    pub(super) fn admit(
        context: &Context,
        app: &str,
        request: &PlayRequest,
        peer: SocketAddr,
        software: &str,
    ) -> Result<Self, Rejection> {
        let refuse = |reason: &str| Rejection::new("NetStream.Play.StreamNotFound", reason);
        let key = StreamKey::new(app, &request.name).map_err(|error| refuse(&error.to_string()))?;
        let settings = context.apps.get(app).cloned().unwrap_or_default();
        if !settings.allows_idle_streams() && !context.hub.is_live(&key) {
            return Err(refuse(&format!("stream {key} is not live")));
        }
        let interest = Interest {
            protocol: Protocol::Rtmp,
            peer: Some(peer),
            software: software.to_owned(),
            from_cache: settings.gop_cache(),
        };
        Span::current().record("stream", display(&key));
        info!(software, "playing");
        Ok(Self {
            stream: request.stream,
            subscriber: context.hub.subscribe(&key, interest),
            batch: Vec::new(),
            wants_audio: true,
            wants_video: true,
            paused: false,
            was_live: false,
            idle_since: Some(Instant::now()),
            idle_timeout: settings.idle_timeout(),
        })
    }

    /// Waits for the next event on any of a connection's plays. Cancelling loses nothing.
    pub(super) async fn next_of(plays: &mut [Self]) -> (usize, Event) {
        match plays {
            [] => std::future::pending().await,
            [only] => (0, only.next().await),
            several => {
                let (event, index, _) = select_all(several.iter_mut().map(|play| Box::pin(play.next()))).await;
                (index, event)
            }
        }
    }

    async fn next(&mut self) -> Event {
        self.subscriber.next(MAX_BATCH, &mut self.batch).await
    }

    /// Turns an event into bytes for the player. Session messages and shared chunks keep their order.
    pub(super) fn deliver(&mut self, event: Event, chunk_size: u32, session: &mut ServerSession, outbox: &mut Outbox) {
        match event {
            Event::Started => {
                self.idle_since = None;
                if self.was_live {
                    session.notify_publish(self.stream, self.subscriber.key().name());
                }
                self.was_live = true;
            }
            Event::Ended => {
                self.idle_since = Some(Instant::now());
                session.notify_unpublish(self.stream, self.subscriber.key().name());
                session.stream_eof(self.stream);
            }
            Event::Packets => self.send_batch(chunk_size, session, outbox),
        }
    }

    fn send_batch(&mut self, chunk_size: u32, session: &mut ServerSession, outbox: &mut Outbox) {
        let mut bytes = 0;
        for packet in self.batch.drain(..) {
            let frame = &packet.frame;
            let wanted = match frame.kind {
                MediaKind::Audio => self.wants_audio,
                MediaKind::Video => self.wants_video,
                MediaKind::Data => true,
            };
            if self.paused || !wanted {
                continue;
            }
            bytes += frame.tag.len() as u64;
            if self.stream == USUAL_STREAM {
                outbox.push(
                    packet
                        .form(Form::RtmpChunks, |frame| shared_chunks(frame, chunk_size))
                        .clone(),
                );
            } else {
                session.send_frame(self.stream, media_type(frame.kind), rtmp_time(frame), &frame.tag);
                drain(session, outbox);
            }
        }
        self.subscriber.sent(bytes);
    }

    /// Why the player should be sent away, once it has waited too long for a publisher.
    pub(super) fn expired(&self) -> Option<String> {
        let waited = self.idle_since?.elapsed();
        let key = self.subscriber.key();
        (waited >= self.idle_timeout).then(|| format!("stream {key} is not live"))
    }

    pub(super) fn receive_audio(&mut self, on: bool) {
        self.wants_audio = on;
    }

    pub(super) fn receive_video(&mut self, on: bool) {
        self.wants_video = on;
    }

    /// Pauses, or goes on at the live edge.
    pub(super) fn pause(&mut self, context: &Context, paused: bool) {
        if self.paused && !paused {
            let interest = self.subscriber.interest().clone();
            self.subscriber = context.hub.subscribe(self.subscriber.key(), interest);
            self.was_live = false;
        }
        self.paused = paused;
    }
}

/// Moves what the session wants sent to the outbox.
pub(super) fn drain(session: &mut ServerSession, outbox: &mut Outbox) {
    while let Some(bytes) = session.poll_output() {
        outbox.push(bytes);
    }
}

fn shared_chunks(frame: &Frame, chunk_size: u32) -> Bytes {
    chunk::shared_form(media_type(frame.kind), rtmp_time(frame), &frame.tag, chunk_size)
}

fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Video => MediaType::Video,
        MediaKind::Data => MediaType::Data,
    }
}

/// RTMP carries the low 32 bits of the milliseconds (RTMP 1.0 §5.3.1).
fn rtmp_time(frame: &Frame) -> RtmpTime {
    RtmpTime(frame.dts.as_millis() as u32)
}
