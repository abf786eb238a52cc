//! See `streammill_rtmp::fuzz::amf3`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::amf3(data));
