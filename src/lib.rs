//! streammill, a media server. The modules in the order the data flows:
//!
//! * [`config`]: what the operator wants.
//! * [`hub`]: the live streams, their publishers and subscribers.
//! * [`output`]: what viewers get: FLV over HTTP, HLS.
//! * [`http`]: the page, players' requests, the JSON interface, statistics.

#![deny(missing_docs)]

pub mod config;
pub mod http;
pub mod hub;
pub mod output;
pub mod pipeline;
pub mod shutdown;
pub mod telemetry;
