//! See `streammill_rtmp::fuzz::server_session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::server_session(data));
