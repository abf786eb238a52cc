//! The local socket is its user's, and of the user's servers the first one's for as long as that lives.

use std::os::unix::{fs::PermissionsExt, net::UnixStream};

use crate::harness::{Server, output_of, poll_until, seconds, streammill};

const CONFIG: &str = "[apps.live]\n";

#[test]
fn a_second_server_goes_on_without_one_and_leaves_the_first_ones_alone() {
    let user = tempfile::tempdir().expect("a temporary folder");
    let socket = user.path().join("streammill.sock");
    let mut first = Server::of_user_with(user.path(), CONFIG);
    let mode = std::fs::metadata(&socket)
        .expect("the socket is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut second = Server::of_user_with(user.path(), CONFIG);
    poll_until(seconds(10), "a warning", || {
        second.log().contains("no local socket").then_some(())
    });
    second.signal("TERM");
    assert!(second.wait(seconds(20)).success());
    UnixStream::connect(&socket).expect("the first server still listens");

    first.signal("TERM");
    assert!(first.wait(seconds(20)).success());
    assert!(!socket.exists(), "the socket was left behind");
}

#[test]
fn the_socket_of_a_server_that_was_killed_is_replaced() {
    let user = tempfile::tempdir().expect("a temporary folder");
    let socket = user.path().join("streammill.sock");
    let mut killed = Server::of_user_with(user.path(), CONFIG);
    killed.signal("KILL");
    killed.wait(seconds(10));
    UnixStream::connect(&socket).expect_err("nobody listens");
    let _next = Server::of_user_with(user.path(), CONFIG);
    UnixStream::connect(&socket).expect("the next server listens");
}

#[test]
fn it_can_be_switched_off_or_put_elsewhere_where_it_has_to_be_had() {
    let off = Server::start("rtmp.local_socket = \"off\"\n[apps.live]\n");
    assert!(!off.runtime_dir().join("streammill.sock").exists());

    let elsewhere = Server::start("rtmp.local_socket = \"{dir}/mill.sock\"\n[apps.live]\n");
    let place = elsewhere.folder().join("mill.sock");
    UnixStream::connect(&place).expect("the server listens there");
    assert!(!elsewhere.runtime_dir().join("streammill.sock").exists());

    let mut command = streammill(&["serve"]);
    command
        .env("STREAMMILL__RTMP__LISTEN", "127.0.0.1:0")
        .env("STREAMMILL__HTTP__LISTEN", "127.0.0.1:0")
        .env("STREAMMILL__RTMP__LOCAL_SOCKET", &place);
    let output = output_of(command, seconds(20));
    assert!(!output.status.success(), "a second server took a place that is taken");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("mill.sock") && said.contains("another program listens there"),
        "{said}"
    );
}
