//! Each limit of connections is kept, told to whoever meets it, and free again when someone leaves.

use crate::harness::{Server, poll_until, seconds, wire::Wire};

const WELCOME: &str = "NetConnection.Connect.Success";
const REFUSAL: &str = "NetConnection.Connect.Rejected";

fn answer(server: &Server, app: &str) -> (Wire, &'static str) {
    let mut wire = Wire::connect(server.rtmp_address(), app);
    let answer = wire.hears(seconds(10), &[WELCOME, REFUSAL]);
    (wire, answer)
}

#[track_caller]
fn assert_limited_to_two(config: &str, reason: &str) {
    let server = Server::start(config);
    let (first, said) = answer(&server, "live");
    assert_eq!(said, WELCOME);
    let (_second, said) = answer(&server, "live");
    assert_eq!(said, WELCOME);
    let (mut third, said) = answer(&server, "live");
    assert_eq!(said, REFUSAL);
    third.hears(seconds(5), &[reason]);
    third.is_hung_up_on(seconds(10), "a client that is one too many");

    drop(first);
    let _third = poll_until(seconds(10), "the place of who left", || {
        let (wire, said) = answer(&server, "live");
        (said == WELCOME).then_some(wire)
    });
}

#[test]
fn of_the_server() {
    assert_limited_to_two("rtmp.max_connections = 2\n[apps.live]\n", "The server has no room");
}

#[test]
fn of_an_address() {
    assert_limited_to_two(
        "rtmp.max_connections_per_address = 2\n[apps.live]\n",
        "Your address has too many connections",
    );
}

#[test]
fn of_an_application_which_leaves_the_others_alone() {
    let config = "[apps.live]\nmax_connections = 2\n[apps.other]\n";
    assert_limited_to_two(config, "The application 'live' has no room");
    let server = Server::start(config);
    let _full = [answer(&server, "live"), answer(&server, "live")];
    assert_eq!(answer(&server, "other").1, WELCOME);
}
