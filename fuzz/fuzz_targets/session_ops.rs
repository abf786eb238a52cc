//! See `streammill_rtmp::fuzz::session_ops`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::session_ops(data));
