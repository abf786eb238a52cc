//! streammill, a media server. The modules in the order the data flows:
//!
//! * [`config`]: what the operator wants.
//! * [`hub`]: the live streams, their publishers and subscribers.

#![deny(missing_docs)]

pub mod config;
pub mod hub;
pub mod pipeline;
pub mod shutdown;
pub mod telemetry;
