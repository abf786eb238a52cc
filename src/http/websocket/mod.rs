//! FLV over WebSocket (RFC 6455, over HTTP/2 RFC 8441): the same bytes as over HTTP, a binary message a batch.
//!
//! Written by hand, because what a server sends needs no more than a head in front of each message: behind it the shared
//! tags go out as they are, where a library would copy them once a viewer.

mod frame;

use std::{io, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use headers::{HeaderMapExt, SecWebsocketAccept, SecWebsocketKey, SecWebsocketVersion};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{
    Request,
    connection::{Impatient, STALL_TIMEOUT, Slot},
    reply,
};
use crate::output::flv::Feed;
use frame::{Said, status};

/// True when a request is for a WebSocket and not for a document.
pub(super) fn is_wanted(request: &Request) -> bool {
    match request.method {
        Method::CONNECT => request.protocol.as_ref().is_some_and(|it| it.as_str() == "websocket"),
        Method::GET => names(&request.headers, header::UPGRADE, "websocket"),
        _ => false,
    }
}

/// Answers the handshake (RFC 6455 §4.2.2, RFC 8441 §5).
pub(super) fn accept(request: &Request) -> Result<(Response, OnUpgrade), HandshakeError> {
    let headers = &request.headers;
    if headers.typed_get::<SecWebsocketVersion>() != Some(SecWebsocketVersion::V13) {
        return Err(HandshakeError::Version);
    }
    let upgrade = request.upgrade.clone().ok_or(HandshakeError::Connection)?;
    let mut response = Response::new(Bytes::new().into());
    if request.method == Method::CONNECT {
        return Ok((response, upgrade));
    }
    let key = headers.typed_get::<SecWebsocketKey>();
    let key = key.filter(|_| names(headers, header::CONNECTION, "upgrade"));
    let key = key.ok_or(HandshakeError::Headers)?;
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.typed_insert(SecWebsocketAccept::from(key));
    Ok((response, upgrade))
}

/// Why a connection does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("this server speaks version 13 of WebSocket")]
    Version,
    #[error("a WebSocket needs 'Connection: Upgrade' and a Sec-WebSocket-Key; a proxy may have lost them")]
    Headers,
    #[error("this connection cannot become a WebSocket; it takes HTTP/1.1 or HTTP/2")]
    Connection,
}

impl HandshakeError {
    /// The answer that says so.
    pub(super) fn response(self) -> Response {
        let status = match self {
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Headers | Self::Connection => StatusCode::BAD_REQUEST,
        };
        let mut response = reply::failure(status, &self.to_string());
        if self == Self::Version {
            response.headers_mut().typed_insert(SecWebsocketVersion::V13);
        }
        response
    }
}

/// Sends a feed until it ends, the viewer leaves or breaks the protocol, or the server stops.
pub(super) async fn send(upgrade: OnUpgrade, feed: Feed, slot: Arc<Slot>, stop: CancellationToken) {
    let sent = match upgrade.await {
        Ok(upgraded) => converse(Impatient::new(TokioIo::new(upgraded)), feed, &stop).await,
        Err(error) => Err(io::Error::other(error)),
    };
    match sent {
        Ok(()) => debug!("WebSocket closed"),
        Err(error) => debug!(%error, "WebSocket ended early"),
    }
    drop(slot);
}

async fn converse(socket: impl AsyncRead + AsyncWrite, mut feed: Feed, stop: &CancellationToken) -> io::Result<()> {
    let (mut reader, mut writer) = split(socket);
    let mut input = BytesMut::new();
    let mut frames = frame::Reader::default();
    let reason = loop {
        match frames.next(&mut input) {
            Ok(None) => {}
            Ok(Some(Said::Ping(payload))) => {
                writer.write_all(&frame::pong(&payload)).await?;
                writer.flush().await?;
                continue;
            }
            Ok(Some(Said::Close(reason))) => {
                writer.write_all(&frame::close(reason)).await?;
                return writer.shutdown().await;
            }
            Err(error) => {
                debug!(%error, "the viewer's WebSocket frames cannot be read");
                break status::BROKEN;
            }
        }
        tokio::select! {
            () = stop.cancelled() => break status::GOING_AWAY,
            read = reader.read_buf(&mut input) => if read? == 0 {
                return Ok(());
            },
            tags = feed.next() => {
                let Some(tags) = tags else { break status::DONE };
                let mut message = frame::binary(tags.remaining()).chain(tags);
                let write = async {
                    writer.write_all_buf(&mut message).await?;
                    writer.flush().await
                };
                match stop.run_until_cancelled(write).await {
                    Some(written) => written?,
                    // In the middle of a message there is no place for a goodbye.
                    None => return Ok(()),
                }
            }
        }
    };
    writer.write_all(&frame::close(Some(reason))).await?;
    writer.shutdown().await?;
    // A socket that is closed with unread input resets the connection, and the goodbye may not arrive.
    let mut unread = [0; 1024];
    let leave = async {
        while reader.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    timeout(STALL_TIMEOUT, leave).await.unwrap_or(Ok(()))
}

/// A header with a list of words has this one (RFC 9110 §5.6.1).
fn names(headers: &HeaderMap, header: header::HeaderName, word: &str) -> bool {
    headers
        .get_all(header)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
