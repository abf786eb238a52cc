//! The promises of the server as a whole, kept by the binary that ships: one file a promise.
//!
//! They make one test program instead of one each, because on a small machine linking twenty programs takes longer
//! than running them; nextest still runs each test in a process of its own.

mod harness;
