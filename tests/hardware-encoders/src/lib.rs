//! Encoders that behave like hardware on bad days.
//!
//! `fakehwh264enc` and its kin, `fakehw1h264enc` to `fakehw3h264enc`, call themselves hardware and wrap `x264enc`. They open
//! a session when the first caps come, as NVENC does, of which there may be a number across processes; and they fail, hang or
//! end the process when they are told to. So what a server does about drivers can be tested on a machine without any.
//!
//! | property | meaning |
//! |---|---|
//! | `bitrate`, `gop-size`, `b-frames` | as of other hardware, in kbit/s and pictures |
//! | `device-path` | on what it pretends to run |
//! | `sessions-dir`, `max-sessions` | a directory that the processes share, and how many sessions may be open at a time |
//! | `fault` | `fail`, `hang` or `abort`, at once; with `@30` after so many pictures, with `@/path` as soon as there is such a file |
//!
//! `fakehwh264dec`, `fakehwscale`, `fakehwupload` and `fakehwdownload` share a memory with them that is no device's, by what caps
//! say: `memory:FakeMemory`. The decoder and the scaler know no other, and fail with an error when `fault` says so.

#![deny(missing_docs)]

mod encoder;
mod entry;
mod fault;
mod sessions;
mod transfer;
mod unit;

pub use entry::plugin_register_static;
