//! The player behind a `millsrc` that was told its stream: RTMP in, feeds out.

use std::time::{Duration, Instant};

use gst::glib;
use streammill_rtmp::ClientEvent;

use crate::{
    intake::Intake,
    lane::Outlet,
    location::Location,
    peer::{Connection, Heard, PeerError, Stop},
};

/// Longest wait for the socket, and so about how exactly the patience for a stream is kept.
const LISTEN: Duration = Duration::from_millis(500);

/// Plays a stream until it ends. One that is not live is waited for as long as the server allows, and `patience` seconds if
/// that is given.
pub(crate) fn play(
    location: &Location,
    patience: Option<u32>,
    outlets: Vec<Outlet>,
    element: &glib::WeakRef<gst::Element>,
    stop: &Stop,
) -> Result<(), PeerError> {
    let mut connection = Connection::open(location, stop)?;
    connection.session.play(&location.name);
    let asked = Instant::now();
    let mut intake = Intake::new(outlets);
    while !stop.is_asked() {
        connection.flush()?;
        while let Some(event) = connection.session.poll_event() {
            match event {
                ClientEvent::Media {
                    kind,
                    timestamp,
                    payload,
                } => {
                    let taken = intake.take(kind, timestamp.0, payload, element, stop);
                    taken.map_err(|has| PeerError::NothingFits {
                        stream: location.to_string(),
                        has,
                    })?;
                }
                ClientEvent::Rejected { code, description } => return Err(PeerError::Refused { code, description }),
                ClientEvent::StreamEof => {
                    intake.end();
                    return Ok(());
                }
                ClientEvent::Status { code, .. } if code == "NetStream.Play.UnpublishNotify" => {
                    intake.end();
                    return Ok(());
                }
                _ => {}
            }
        }
        if let Some(seconds) = patience.filter(|seconds| asked.elapsed().as_secs() >= u64::from(*seconds))
            && !intake.has_begun()
        {
            let stream = location.to_string();
            return Err(PeerError::NotLive { stream, seconds });
        }
        if connection.hear(LISTEN)? == Heard::Closed {
            // Servers that say nothing at the end of a stream close; before its begin that is a failure.
            if !intake.has_begun() {
                return Err(PeerError::Closed);
            }
            intake.end();
            return Ok(());
        }
    }
    Ok(())
}
