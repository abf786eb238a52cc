#![allow(clippy::unwrap_used)]

//! Over real connections, as a browser would: by HTTP/1.1's upgrade and by HTTP/2's extended CONNECT.

use std::time::Duration;

use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, TrackId};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::*;
use crate::{
    http::{Site, Stop, serve},
    hub::{Hub, Limits, Origin, Protocol, Publication, StreamKey},
    output::hls::Store,
};

/// The handshake of RFC 6455 §1.3.
const HANDSHAKE: &str = "GET /live/x.flv HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

struct Running {
    hub: Hub,
    address: std::net::SocketAddr,
    stop: Stop,
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Hub::new(Limits::default());
        let stop = Stop::default();
        let site = Arc::new(Site::new(hub.clone(), Store::new(1 << 20)));
        tokio::spawn(serve(vec![listener], site, stop.clone()));
        Self { hub, address, stop }
    }

    fn publish(&self) -> Publication {
        let origin = Origin::Pipeline {
            template: "test".to_owned(),
            ancestors: Vec::new(),
        };
        let publication = self.hub.claim(key(), origin).unwrap();
        publication.push(picture(0, 30));
        publication
    }

    /// A socket with the handshake behind it.
    async fn connect(&self) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let head = head(&mut socket).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{head}"
        );
        socket
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.accepting.cancel();
        self.stop.connections.cancel();
    }
}

fn key() -> StreamKey {
    StreamKey::new("live", "x").unwrap()
}

fn picture(millis: i64, length: usize) -> Frame {
    let mut tag = vec![0x17, 1, 0, 0, 0];
    tag.resize(length, b'p');
    Frame {
        kind: MediaKind::Video,
        track: TrackId(0),
        role: FrameRole::Coded,
        key: true,
        dts: MediaTime::from_millis(millis),
        pts: MediaTime::from_millis(millis),
        tag: tag.into(),
        header_len: 5,
    }
}

async fn head(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A server's frame: its first byte and its payload.
async fn receive(socket: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let receive = async {
        let first = socket.read_u8().await.unwrap();
        let length = match socket.read_u8().await.unwrap() {
            126 => u64::from(socket.read_u16().await.unwrap()),
            127 => socket.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.unwrap();
        (first, payload)
    };
    timeout(Duration::from_secs(10), receive).await.unwrap()
}

#[tokio::test]
async fn a_viewer_gets_flv_in_binary_messages_and_answers_to_what_it_says() {
    let server = Running::start().await;
    let publication = server.publish();
    let mut socket = server.connect().await;
    let (first, header) = receive(&mut socket).await;
    assert_eq!((first, &header[..4]), (BINARY, &b"FLV\x01"[..]));
    let (first, tag) = receive(&mut socket).await;
    assert_eq!((first, tag[0], tag.len()), (BINARY, 9, 11 + 30 + 4));
    let stream = server.hub.stream(&key()).unwrap();
    assert_eq!(stream.subscribers[0].interest.protocol, Protocol::WsFlv);

    // "hi" under the mask 0, then goodbye with 1000.
    socket.write_all(b"\x89\x82\0\0\0\0hi").await.unwrap();
    assert_eq!(receive(&mut socket).await, (PONG, b"hi".to_vec()));
    publication.push(picture(40, 70_000));
    assert_eq!(receive(&mut socket).await.1.len(), 11 + 70_000 + 4);
    socket.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
    assert_eq!(receive(&mut socket).await, (CLOSE, vec![0x03, 0xe8]));
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0, "the connection is closed");
}

#[tokio::test]
async fn a_viewer_is_told_why_it_ends() {
    let server = Running::start().await;
    let _publication = server.publish();
    let mut broken = server.connect().await;
    receive(&mut broken).await;
    receive(&mut broken).await;
    broken.write_all(b"\x89\x02hi").await.unwrap();
    assert_eq!(
        receive(&mut broken).await,
        (CLOSE, status::BROKEN.to_be_bytes().to_vec())
    );

    let mut watching = server.connect().await;
    receive(&mut watching).await;
    receive(&mut watching).await;
    server.stop.accepting.cancel();
    server.stop.connections.cancel();
    assert_eq!(
        receive(&mut watching).await,
        (CLOSE, status::GOING_AWAY.to_be_bytes().to_vec())
    );
    drop((broken, watching));
    server.stop.tasks.close();
    let stopped = timeout(Duration::from_secs(10), server.stop.tasks.wait()).await;
    assert!(stopped.is_ok(), "{} tasks hang", server.stop.tasks.len());
}

#[tokio::test]
async fn a_handshake_that_cannot_be_is_answered_in_words() {
    let server = Running::start().await;
    for (wrong, by, status, words) in [
        ("Version: 13", "Version: 8", "426", "version 13"),
        ("Sec-WebSocket-Key", "X-Key", "400", "Sec-WebSocket-Key"),
        ("keep-alive, Upgrade", "keep-alive", "400", ""),
        ("x.flv", "x.flv?only=x", "400", "only=audio"),
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let handshake = HANDSHAKE.replace(wrong, by).replace("\r\n\r\n", "\r\nX: y\r\n\r\n");
        socket.write_all(handshake.as_bytes()).await.unwrap();
        let head = head(&mut socket).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{wrong}: {head}");
        let length = head
            .split("content-length: ")
            .nth(1)
            .unwrap()
            .split('\r')
            .next()
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        socket.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(words), "{wrong}: {body}");
    }
    assert!(server.hub.streams().is_empty(), "nobody was let in");
}

#[tokio::test]
async fn over_http_2_it_is_a_stream_among_others() {
    let server = Running::start().await;
    let _publication = server.publish();
    let socket = TcpStream::connect(server.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(socket))
        .await
        .unwrap();
    tokio::spawn(connection);
    let ask = |method: Method, path: &str| {
        let uri = format!("http://localhost{path}");
        let request = warp::http::Request::builder().method(method).uri(uri);
        request
            .header("sec-websocket-version", "13")
            .body(String::new())
            .unwrap()
    };
    // The server says with its first settings that it takes an extended CONNECT; an answer comes behind them.
    let health = client.send_request(ask(Method::GET, "/healthz")).await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);

    let mut connect = ask(Method::CONNECT, "/live/x.flv");
    connect
        .extensions_mut()
        .insert(hyper::ext::Protocol::from_static("websocket"));
    let mut response = client.send_request(connect).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
    let mut socket = TokioIo::new(upgraded);
    assert_eq!(&receive(&mut socket).await.1[..3], b"FLV");
    assert_eq!(receive(&mut socket).await.0, BINARY);
    socket.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    assert_eq!(receive(&mut socket).await, (CLOSE, Vec::new()));

    let mut elsewhere = ask(Method::CONNECT, "/healthz");
    elsewhere
        .extensions_mut()
        .insert(hyper::ext::Protocol::from_static("websocket"));
    let refused = client.send_request(elsewhere).await.unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_stops_reading_is_given_up() {
    let hub = Hub::new(Limits::default());
    let origin = Origin::Pipeline {
        template: "test".to_owned(),
        ancestors: Vec::new(),
    };
    let publication = hub.claim(key(), origin).unwrap();
    publication.push(picture(0, 100_000));
    let interest = crate::hub::Interest {
        protocol: Protocol::WsFlv,
        peer: None,
        software: String::new(),
        from_cache: true,
        wait_for_key_frame: true,
    };
    let feed = Feed::new(hub.subscribe(&key(), interest), Default::default(), Duration::ZERO);
    let (server, client) = tokio::io::duplex(1000);
    let ended = converse(Impatient::new(server), feed, &CancellationToken::new()).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(hub.stream(&key()).unwrap().subscribers.is_empty());
    drop(client);
}

#[tokio::test]
async fn a_viewer_that_leaves_is_missed_at_once() {
    let server = Running::start().await;
    let _publication = server.publish();
    let mut socket = server.connect().await;
    receive(&mut socket).await;
    let watched = || server.hub.stream(&key()).map_or(0, |stream| stream.subscribers.len());
    assert_eq!(watched(), 1);
    drop(socket);
    // Nothing is published, so only the closed connection can tell.
    while watched() > 0 {
        tokio::task::yield_now().await;
    }
}
