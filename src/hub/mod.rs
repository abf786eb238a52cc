//! The live streams: who publishes what, and who gets it.
//!
//! A [`Hub`] maps stream keys to places. A place holds at most one [`Publication`] at a time, claimed atomically, and any
//! number of [`Subscriber`]s, which may wait there before the publisher comes and after it left. Frames go from the
//! publisher into one shared, bounded [`ring`]; each subscriber is a cursor into it. So a frame is stored once however
//! many watch, pushing costs the publisher the same whether one or a thousand watch, and a slow subscriber can hold
//! back nobody: it falls behind, is moved to a newer key frame, and its losses are counted.
//!
//! The hub knows frames and keys. It knows no protocol, no GStreamer and no configuration file.

mod door;
mod key;
mod live;
mod ownership;
mod packet;
mod registry;
mod ring;
mod snapshot;
mod subscriber;
mod tracks;

pub use door::{Door, DoorError};
pub use key::{KeyError, StreamKey};
pub use live::{Limits, Origin, Publication, PublicationId};
pub use ownership::Terms;
pub use packet::{Form, Packet};
pub use registry::{ClaimError, Hub};
pub use snapshot::{LiveSnapshot, StreamSnapshot, SubscriberSnapshot};
pub use subscriber::{Common, Event, Interest, Now, Protocol, Subscriber, SubscriberId};
pub use tracks::Tracks;

#[cfg(test)]
mod tests;
