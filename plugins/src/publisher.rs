//! The publisher behind a `millsink` that was told its stream: frames in, RTMP out.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use streammill_media::{Frame, MediaKind};
use streammill_rtmp::{ClientEvent, MediaType, RtmpTime};

use crate::{
    location::Location,
    peer::{Connection, Heard, PeerError, Stop},
};

/// Frames that may wait for the network. The pads wait when it is full, and with them the encoders.
const MAX_WAITING: usize = 64;
/// How often the server is listened to while there is much to send.
const LISTEN: Duration = Duration::from_millis(100);
/// How long is listened while there is nothing to send.
const IDLE: Duration = Duration::from_millis(5);

/// What the pads hand to the connection's thread.
pub(crate) enum Item {
    Frame(Frame),
    /// A pad is at its end. Answered when all that came before is sent.
    End(Sender<()>),
}

/// The way from the pads to the thread.
pub(crate) fn channel() -> (SyncSender<Item>, Receiver<Item>) {
    sync_channel(MAX_WAITING)
}

/// Publishes what comes until as many pads have ended as are `expected`.
pub(crate) fn publish(
    location: &Location,
    items: &Receiver<Item>,
    expected: &AtomicUsize,
    stop: &Stop,
) -> Result<(), PeerError> {
    let mut connection = Connection::open(location, stop)?;
    connection.session.publish(&location.name);
    connection.wait_for(stop, |event| matches!(event, ClientEvent::PublishStarted))?;
    let mut ended = 0;
    let mut listened = Instant::now();
    while !stop.is_asked() {
        let is_idle = match items.recv_timeout(IDLE) {
            Ok(Item::Frame(frame)) => {
                send(&mut connection, &frame);
                false
            }
            Ok(Item::End(done)) => {
                ended += 1;
                // A pad that is added from now on is too late.
                let is_last = ended >= expected.load(Ordering::Relaxed);
                if is_last {
                    connection.session.close_stream();
                }
                connection.flush()?;
                // A pad that no longer waits was stopped.
                let _ = done.send(());
                if is_last {
                    return Ok(());
                }
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            // The element has stopped.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        connection.flush()?;
        if is_idle || listened.elapsed() > LISTEN {
            listened = Instant::now();
            if connection.hear(Duration::from_millis(1))? == Heard::Closed {
                return Err(PeerError::Closed);
            }
            while let Some(event) = connection.session.poll_event() {
                if let ClientEvent::Rejected { code, description } = event {
                    return Err(PeerError::Refused { code, description });
                }
            }
        }
    }
    Ok(())
}

fn send(connection: &mut Connection, frame: &Frame) {
    let kind = match frame.kind {
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Data => MediaType::Data,
    };
    // RTMP's clock wraps every 49 days, and so does this.
    let timestamp = RtmpTime(frame.dts.as_millis() as u32);
    connection.session.send_frame(kind, timestamp, &frame.tag);
}
