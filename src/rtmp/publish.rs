//! Publishing: from a session's publish request to frames in the hub.

use std::net::SocketAddr;

use streammill_rtmp::{MessageStreamId, PublishRequest, Rejection};
use tracing::{Span, field::display, info};

use super::Context;
use crate::{
    config::Metadata,
    hub::{Door, Origin, StreamKey},
};

/// One message stream that publishes.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) stream: MessageStreamId,
    pub(super) door: Door,
    pub(super) metadata: Metadata,
}

impl Publish {
    /// Claims the name that is asked for, or says why not.
    pub(super) fn admit(
        context: &Context,
        app: &str,
        request: &PublishRequest,
        peer: Option<SocketAddr>,
        software: &str,
    ) -> Result<Self, Rejection> {
        let refuse = |error: &dyn std::fmt::Display| Rejection::new("NetStream.Publish.BadName", &error.to_string());
        let key = StreamKey::new(app, &request.name).map_err(|error| refuse(&error))?;
        let settings = context.apps.get(app).cloned().unwrap_or_default();
        let origin = Origin::Rtmp {
            peer,
            software: software.to_owned(),
        };
        let publication = context.hub.claim(key, origin).map_err(|error| refuse(&error))?;
        Span::current().record("stream", display(publication.key()));
        info!(software, "publishing");
        Ok(Self {
            stream: request.stream,
            door: Door::new(publication),
            metadata: settings.metadata.unwrap_or_default(),
        })
    }
}
