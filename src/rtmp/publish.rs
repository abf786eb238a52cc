//! Publishing: from a session's publish request to frames in the hub.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use streammill_rtmp::{MessageStreamId, PublishRequest, Rejection, status};
use tracing::{Span, field::display, info};

use super::Context;
use crate::{
    callback::Reply,
    config::{Metadata, PublishPolicy, Seconds},
    hub::{Door, Origin, StreamKey, Terms},
};

/// One message stream that publishes.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) stream: MessageStreamId,
    pub(super) door: Door,
    pub(super) metadata: Metadata,
    /// Audio and video messages so far.
    pub(super) messages: u64,
    /// How many there were when they were last found to have moved, and when that was.
    moved: (u64, Instant),
    longest_silence: Option<Duration>,
    begun: Instant,
    /// How long it may last.
    longest: Option<Duration>,
}

impl Publish {
    /// Claims the name that is asked for, or says why not.
    pub(super) fn admit(
        context: &Context,
        app: &str,
        request: &PublishRequest,
        reply: &Reply,
        peer: Option<SocketAddr>,
        software: &str,
    ) -> Result<Self, Rejection> {
        let refuse = |error: &dyn std::fmt::Display| Rejection::new(status::PUBLISH_BAD_NAME, &error.to_string());
        let key = StreamKey::new(app, reply.name.as_ref().unwrap_or(&request.name)).map_err(|error| refuse(&error))?;
        let settings = context.apps.get(app).cloned().unwrap_or_default();
        let terms = Terms {
            takes_over: settings.publish_policy == Some(PublishPolicy::Takeover),
            grace: settings.publisher_grace.map_or(Duration::ZERO, |grace| grace.0),
        };
        let origin = Origin::Rtmp {
            peer,
            software: software.to_owned(),
        };
        let publication = context
            .hub
            .claim_on(key, origin, terms)
            .map_err(|error| refuse(&error))?;
        Span::current().record("stream", display(publication.key()));
        info!(software, "publishing");
        Ok(Self {
            stream: request.stream,
            door: Door::new(publication),
            metadata: settings.metadata.unwrap_or_default(),
            messages: 0,
            moved: (0, Instant::now()),
            longest: reply.max_duration.map(|longest| longest.0),
            begun: Instant::now(),
            longest_silence: settings.drop_idle_publisher.map(|longest| longest.0),
        })
    }

    /// Why the publisher has to go, if he has to.
    pub(super) fn objection(&mut self, now: Instant) -> Option<String> {
        let publication = self.door.publication();
        if publication.is_replaced() {
            return Some(format!("Another publisher has taken over {}.", publication.key()));
        }
        if self.messages != self.moved.0 {
            self.moved = (self.messages, now);
        }
        if let Some(longest) = self.longest
            && now.saturating_duration_since(self.begun) >= longest
        {
            return Some(format!("The time for this stream, {}, is over.", Seconds(longest)));
        }
        let silence = now.saturating_duration_since(self.moved.1);
        let longest = self.longest_silence.filter(|longest| silence >= *longest)?;
        Some(format!("No audio and no video for {} seconds.", longest.as_secs_f64()))
    }
}
