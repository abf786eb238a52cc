//! Behind a load balancer the server knows whose connection it is, and it believes nobody else.

use crate::harness::{Publish, Server, get, poll_until, relay_to, seconds, wire::Wire};

const BELIEVED: &str = "rtmp.proxy_protocol_from = [\"10.0.0.0/8\", \"127.0.0.0/8\"]\n[apps.live]\n";

/// 203.0.113.9:4660 to 198.51.100.1:1935, and an extension of type 4 (§2.2).
const VERSION_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x09\xc6\x33\x64\x01\x12\x34\x07\x8f\x04\0\x02\0\0";

#[track_caller]
fn assert_published_from(header: &[u8], address: &str) {
    let server = Server::start(BELIEVED);
    let balancer = relay_to(server.rtmp_address(), header);
    let _publisher = Publish::new().to(&format!("rtmp://{balancer}/live/test"));
    let api = server.http("api/v1/streams/live/test");
    poll_until(seconds(30), address, || {
        let (_, json) = get(&api)?;
        let json: serde_json::Value = serde_json::from_str(&json).ok()?;
        let publisher = json.get("publisher")?;
        assert!(publisher.is_null() || publisher["address"] == address, "{publisher}");
        (!publisher.is_null()).then_some(())
    });
}

#[test]
fn version_1() {
    assert_published_from(
        b"PROXY TCP6 2001:db8::9 2001:db8::1 4660 1935\r\n",
        "[2001:db8::9]:4660",
    );
}

#[test]
fn version_2() {
    assert_published_from(VERSION_2, "203.0.113.9:4660");
}

#[test]
fn a_balancer_must_say_it_and_nobody_else_may() {
    let server = Server::start(BELIEVED);
    let mut direct = Wire::dial(server.rtmp_address());
    direct.send(&[3; 1537]);
    direct.is_hung_up_on(seconds(10), "a balancer that does not say whose connection it is");

    let server = Server::start("[apps.live]\n");
    let mut liar = Wire::dial(server.rtmp_address());
    liar.send(VERSION_2);
    liar.send(&[0; 1537]);
    liar.is_hung_up_on(seconds(10), "a client that claims to be a balancer");
}
