//! See `streammill_rtmp::fuzz::handshake`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::handshake(data));
