//! See `streammill_media::fuzz::codec_config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streammill_media::fuzz::codec_config(data));
