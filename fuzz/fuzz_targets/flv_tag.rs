//! See `streammill_media::fuzz::flv_tag`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_media::fuzz::flv_tag(data));
