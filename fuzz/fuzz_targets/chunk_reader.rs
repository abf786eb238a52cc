//! See `streammill_rtmp::fuzz::chunk_reader`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_rtmp::fuzz::chunk_reader(data));
