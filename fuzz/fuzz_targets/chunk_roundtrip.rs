//! See `streammill_rtmp::fuzz::chunk_roundtrip`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::chunk_roundtrip(data));
