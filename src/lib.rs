//! streammill, a media server. The modules in the order the data flows:
//!
//! * [`config`]: what the operator wants.
//! * [`rtmp`]: encoders and players over RTMP.
//! * [`hub`]: the live streams, their publishers and subscribers.
//! * [`pipeline`]: what is done with streams, by templates.
//! * [`output`]: what viewers get: FLV over HTTP, HLS.
//! * [`http`]: the page, players' requests, the JSON interface, statistics.
//! * [`report`]: what the command line prints of configuration, templates and encoders.
//! * [`server`]: puts the parts together, and takes them apart in order.

#![deny(missing_docs)]

pub mod callback;
pub mod config;
pub mod http;
pub mod hub;
pub mod output;
pub mod pipeline;
pub mod report;
pub mod rtmp;
pub mod server;
pub mod shutdown;
pub mod telemetry;
