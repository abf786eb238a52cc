//! See `streammill_rtmp::fuzz::client_session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::client_session(data));
