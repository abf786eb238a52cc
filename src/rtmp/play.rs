//! Playing: the wishes and the waiting of one message stream that plays. What it is sent is a [`Feed`]'s affair.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::select_all;
use streammill_rtmp::{Capabilities, MessageStreamId, PlayRequest, Rejection, ServerSession, status};
use tokio::sync::watch;
use tracing::{Span, field::display, info};

use super::{
    Context,
    feed::{Feed, Shape},
    reads::Reads,
};
use crate::hub::{Interest, Protocol, StreamKey, Subscriber, Tracks};

/// One message stream that plays.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) stream: MessageStreamId,
    pub(super) key: StreamKey,
    pub(super) longest_hold: Duration,
    place: Place,
    shape: Shape,
    /// Of the publication that is played, until it is known whether there is anything in it to read.
    unsettled: Option<watch::Receiver<Arc<Tracks>>>,
    is_told: bool,
    is_restarted: bool,
    /// A publication has been played to its end, so the next one is announced.
    was_live: bool,
    idle_since: Option<Instant>,
    idle_timeout: Duration,
}

/// Where the subscriber is.
#[derive(Debug)]
enum Place {
    /// Here, until a publication begins.
    Waiting(Subscriber),
    /// Here, until the player goes on.
    Paused(Subscriber),
    /// In a [`Feed`].
    Fed,
}

impl Play {
    /// Subscribes to the name that is asked for, or says why not.
    pub(super) fn admit(
        context: &Context,
        app: &str,
        request: &PlayRequest,
        peer: Option<SocketAddr>,
        software: &str,
        capabilities: &Capabilities,
    ) -> Result<Self, Rejection> {
        let refuse = |reason: &str| Rejection::new(status::PLAY_STREAM_NOT_FOUND, reason);
        let settings = context.apps.get(app).cloned().unwrap_or_default();
        let key = StreamKey::new(app, &request.name).map_err(|error| refuse(&error.to_string()))?;
        if !settings.allows_idle_streams() && !context.hub.is_live(&key) {
            return Err(refuse(&format!("stream {key} is not live")));
        }
        let interest = Interest {
            protocol: Protocol::Rtmp,
            peer,
            software: software.to_owned(),
            from_cache: settings.gop_cache(),
            wait_for_key_frame: settings.wait_for_key_frame.unwrap_or(true),
        };
        Span::current().record("stream", display(&key));
        info!(software, "playing");
        Ok(Self {
            stream: request.stream,
            place: Place::Waiting(context.hub.subscribe(&key, interest)),
            key,
            longest_hold: settings.merge_writes(),
            unsettled: None,
            shape: Shape {
                reads: Reads::new(
                    capabilities,
                    request.args.as_deref(),
                    settings.unannounced_codecs.unwrap_or_default(),
                ),
                wants_audio: true,
                wants_video: true,
                is_interleaved: settings.interleave.unwrap_or(false),
                waits_for_video: settings.wait_for_video.unwrap_or(false),
            },
            is_told: settings.publish_notice.unwrap_or(true),
            is_restarted: settings.play_restart.unwrap_or(false),
            was_live: false,
            idle_since: Some(Instant::now()),
            idle_timeout: settings.idle_timeout(),
        })
    }

    /// Waits until a publication begins for one of a connection's plays. Cancelling loses nothing.
    pub(super) async fn next_start(plays: &mut [Self]) -> usize {
        match plays {
            [] => std::future::pending().await,
            [only] => {
                only.start().await;
                0
            }
            several => {
                select_all(several.iter_mut().map(|play| Box::pin(play.start())))
                    .await
                    .1
            }
        }
    }

    async fn start(&mut self) {
        match &mut self.place {
            Place::Waiting(subscriber) => subscriber.started().await,
            Place::Paused(_) | Place::Fed => std::future::pending().await,
        }
    }

    /// The feed for the publication that has begun, and whether the player is to be told of it.
    pub(super) fn feed(&mut self) -> Option<(Feed, bool)> {
        match std::mem::replace(&mut self.place, Place::Fed) {
            Place::Waiting(subscriber) => {
                self.idle_since = None;
                self.unsettled = subscriber.tracks();
                let feed = Feed {
                    stream: self.stream,
                    subscriber,
                    shape: self.shape,
                    has_ended: false,
                };
                Some((feed, std::mem::replace(&mut self.was_live, true)))
            }
            other => {
                self.place = other;
                None
            }
        }
    }

    /// Tells the player that the publisher is back.
    pub(super) fn tell_return(&self, session: &mut ServerSession) {
        if self.is_restarted {
            session.restart_play(self.stream);
        } else if self.is_told {
            session.notify_publish(self.stream, self.key.name());
        }
    }

    /// Tells the player that the publisher left.
    pub(super) fn tell_end(&self, session: &mut ServerSession) {
        if self.is_restarted {
            session.pause_play(self.stream, &format!("{} is no longer published.", self.key.name()));
        } else {
            if self.is_told {
                session.notify_unpublish(self.stream, self.key.name());
            }
            session.stream_eof(self.stream);
        }
    }

    /// Nobody publishes, and it has waited for less than half of what it may.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.place, Place::Waiting(_))
            && self
                .idle_since
                .is_some_and(|since| since.elapsed() < self.idle_timeout / 2)
    }

    /// Waits again, after a feed has ended.
    pub(super) fn wait(&mut self, subscriber: Subscriber) {
        self.idle_since = Some(Instant::now());
        self.place = Place::Waiting(subscriber);
    }

    /// Why the player should be sent away, once it has waited too long for a publisher.
    pub(super) fn expired(&self) -> Option<String> {
        let waited = self.idle_since?.elapsed();
        (waited >= self.idle_timeout).then(|| format!("stream {} is not live", self.key))
    }

    /// Why the player should be told that it asked in vain: the stream has nothing that it can read.
    pub(super) fn objection(&mut self) -> Option<Rejection> {
        let tracks = self.unsettled.as_ref()?.borrow().clone();
        if tracks.settled {
            self.unsettled = None;
        }
        let reason = self.shape.reads.objection(&tracks)?;
        Some(Rejection::new(status::PLAY_NO_SUPPORTED_TRACK, &reason))
    }

    pub(super) fn receive_audio(&mut self, on: bool) {
        self.shape.wants_audio = on;
    }

    pub(super) fn receive_video(&mut self, on: bool) {
        self.shape.wants_video = on;
    }

    /// Stops the feed, if there is one, which the caller has taken from the line.
    pub(super) fn pause(&mut self, fed: Option<Subscriber>) {
        let place = match (fed, std::mem::replace(&mut self.place, Place::Fed)) {
            (Some(mut subscriber), _) | (None, Place::Waiting(mut subscriber)) => {
                subscriber.detach();
                Place::Paused(subscriber)
            }
            (None, other) => other,
        };
        self.place = place;
    }

    /// Goes on at the live edge.
    pub(super) fn unpause(&mut self) {
        self.place = match std::mem::replace(&mut self.place, Place::Fed) {
            Place::Paused(subscriber) => {
                self.was_live = false;
                Place::Waiting(subscriber)
            }
            other => other,
        };
    }
}
