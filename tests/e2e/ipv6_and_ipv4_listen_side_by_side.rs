//! Several listeners of both families serve the same streams.

use crate::harness::{Publish, Server, poll_until, probe, seconds};

#[test]
fn a_stream_published_over_ipv6_is_played_over_ipv4() {
    let server = Server::listening(&["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"], "[apps.live]\n");
    let [_, v6, second] = server.rtmp_listeners() else {
        panic!("{:?}", server.rtmp_listeners());
    };
    assert!(v6.starts_with("rtmp://[::1]:"), "{v6}");
    let _publisher = Publish::new().to(&format!("{v6}/live/test"));
    let seen = poll_until(seconds(30), "the stream over IPv4", || {
        probe(&server.rtmp("live/test"), 1)
            .ok()
            .filter(|seen| !seen.video().is_empty())
    });
    let also = probe(&format!("{second}/live/test"), 1).expect("the third listener");
    assert_eq!(also.tracks, seen.tracks);
}
