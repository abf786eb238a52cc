//! SIGTERM ends the server in order: exit code zero, within the deadline, and nobody left holding a dead connection.

use std::{io::Write as _, net::TcpStream};

use tokio::net::TcpSocket;

use crate::harness::{Process, Publish, Server, poll_until, probe, program, seconds};

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Server::start("[apps.live]\n");
    server.signal("TERM");
    assert!(server.wait(seconds(3)).success(), "the exit code is not zero");
}

#[test]
fn a_busy_server_lets_go_of_everyone() {
    let mut server = Server::start("[apps.live]\npipelines = [\"hls\"]\n");
    let url = server.rtmp("live/test");
    let mut publisher = Publish::new().to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });

    let file = server.folder().join("played.flv");
    let mut command = program("ffmpeg -hide_banner -nostats -loglevel error -y -i");
    command
        .arg(server.http("live/test.flv"))
        .args(["-c", "copy"])
        .arg(&file);
    let mut player = Process::start("the playing ffmpeg", command);
    poll_until(seconds(20), "the player to receive", || {
        std::fs::metadata(&file).ok().filter(|file| file.len() > 20_000)
    });

    server.signal("TERM");
    assert!(server.wait(seconds(12)).success(), "the exit code is not zero");
    player.wait(seconds(10));
    publisher.wait(seconds(10));
}

#[test]
fn a_second_signal_stops_it_now() {
    let mut server = Server::start("[apps.live]\n[shutdown]\ndeadline = \"60s\"\n");
    let url = server.rtmp("live/test");
    let _publisher = Publish::new().bit_rate("8M").to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    // A viewer who takes nothing: the server waits for it, within the deadline, to take what is left.
    let viewer = viewer_that_takes_nothing(server.http_address());
    probe(&url, 6).expect("the stream goes on while the viewer's buffers fill");

    server.signal("TERM");
    poll_until(seconds(5), "the pipelines to have stopped", || {
        server.log().contains("stage=\"pipelines\"").then_some(())
    });
    assert!(
        server.is_running(),
        "nothing held the server back, so the second signal shows nothing"
    );
    server.signal("TERM");
    server.wait(seconds(2));
    drop(viewer);
}

/// A connection that asks for the stream and reads none of it; its receive buffer is small, so that it is soon full.
fn viewer_that_takes_nothing(address: &str) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let socket = runtime.block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a buffer size can be set");
        let address = address.parse().expect("an address");
        socket.connect(address).await.expect("the server takes connections")
    });
    let mut viewer = socket.into_std().expect("a socket of the standard library");
    viewer.set_nonblocking(false).expect("a socket can block");
    let request = "GET /live/test.flv HTTP/1.1\r\nHost: localhost\r\n\r\n";
    viewer.write_all(request.as_bytes()).expect("a request can be sent");
    viewer
}
