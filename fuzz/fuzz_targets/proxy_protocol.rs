//! A header of the PROXY protocol: read as the parser asks, no byte behind it is ever asked for.

#![no_main]

// The server links GStreamer, which a fuzzer has no use for; this file stands on the standard library.
#[path = "../../src/rtmp/proxy_protocol.rs"]
mod proxy_protocol;

use proxy_protocol::{Header, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut read = 0;
    while let Some(bytes) = data.get(..read) {
        match parse(bytes) {
            Ok(Header::Incomplete(more)) => {
                assert!(more > 0);
                read += more;
            }
            Ok(Header::Complete(_)) => {
                let rest = parse(&bytes[..read - 1]);
                assert_ne!(rest, parse(bytes), "the last byte is not the header's");
                return;
            }
            Err(_) => return,
        }
    }
});
