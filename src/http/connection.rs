//! Connections: accepting them, bounding what one may cost, and closing them in order.
//!
//! warp turns requests into replies; its own server would take any number of connections, wait for a request for ever,
//! and for a viewer that has stopped reading as well. So the loop around it is ours.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    Request,
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, debug, debug_span, warn};
use warp::{Filter, reply::Response};

use super::body;

/// How long a client may take for the head of a request, and keep an idle connection open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take nothing of what it asked for before it is given up.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Most bytes that wait in front of a socket whose client is slow to read. The rest waits in the hub, which knows what
/// can be left out.
const MAX_BUFFER: usize = 64 << 10;

/// Most requests at a time on one HTTP/2 connection. A page asks for a handful.
const MAX_REQUESTS: u32 = 32;

/// When and how to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No further connection is taken once this is cancelled.
    pub accepting: CancellationToken,
    /// Replies are brought to their end, and connections closed behind them, once this is cancelled.
    pub connections: CancellationToken,
    /// Knows the connections' tasks.
    pub tasks: TaskTracker,
}

/// A place among the connections. It is free again when all who hold it have let go: the connection, each of its
/// requests until the end of the body, and whatever the connection was upgraded to.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    /// Something was asked for, or was being answered, when this was last looked at or since.
    asked: AtomicBool,
}

impl Slot {
    /// A connection at rest holds it twice: for itself, and for what answers its requests.
    const AT_REST: usize = 2;

    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self {
            _permit: permit,
            asked: AtomicBool::new(false),
        }
    }

    /// Waits until nothing has been asked for, and nothing was being answered, for [`HEAD_TIMEOUT`] and up to twice that.
    async fn is_idle(self: &Arc<Self>) {
        loop {
            sleep(HEAD_TIMEOUT).await;
            let is_busy = Arc::strong_count(self) > Self::AT_REST;
            if !self.asked.swap(is_busy, Ordering::Relaxed) && !is_busy {
                return;
            }
        }
    }
}

/// Takes connections until it is stopped, as many at a time as `slots` has. `answers` makes what answers one client.
pub(super) async fn accept<F>(
    listener: TcpListener,
    answers: impl Fn(SocketAddr) -> F,
    slots: Arc<Semaphore>,
    stop: Stop,
) where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
{
    loop {
        let taken = async {
            // Full, the server takes no further connection: clients wait in the kernel's bounded queue.
            let permit = slots.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let Some((permit, accepted)) = stop.accepting.run_until_cancelled(taken).await else {
            return;
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // A client that left is its own affair; want of descriptors passes when others leave.
                warn!(%error, "cannot take an HTTP connection");
                stop.accepting
                    .run_until_cancelled(sleep(Duration::from_millis(100)))
                    .await;
                continue;
            }
        };
        let span = debug_span!("http", %peer);
        // Playlists and the start of a stream are small and wanted now. A socket that refuses works without.
        let _ = socket.set_nodelay(true);
        // The semaphore is never closed, so the only error there could be does not occur.
        let Ok(permit) = permit else { return };
        let serve = serve(socket, answers(peer), Slot::new(permit), stop.connections.clone());
        stop.tasks.spawn(serve.instrument(span));
    }
}

async fn serve<S, F>(socket: S, answers: F, slot: Slot, close: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
{
    let slot = Arc::new(slot);
    let service = service_fn({
        let filters = TowerToHyperService::new(warp::service(answers));
        let slot = slot.clone();
        move |mut request: Request<Incoming>| {
            let slot = slot.clone();
            slot.asked.store(true, Ordering::Relaxed);
            let version = request.version();
            request.extensions_mut().insert(version);
            request.extensions_mut().insert(slot.clone());
            let answer = filters.call(request);
            async move { answer.await.map(|response| body::unite(response, slot)) }
        }
    });
    let builder = builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(Impatient::new(socket)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = slot.is_idle() => {
            connection.as_mut().graceful_shutdown();
            // Over HTTP/2 the client has a word in it.
            timeout(STALL_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(error = &*error, "connection ended early");
    }
}

/// HTTP/1.1, and HTTP/2 for clients that begin with it (RFC 9113 §3.3). hyper has no upgrade from one to the other, which
/// RFC 9113 has abolished.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(STALL_TIMEOUT)
        .max_concurrent_streams(MAX_REQUESTS)
        .max_send_buf_size(MAX_BUFFER)
        // WebSocket over HTTP/2 (RFC 8441).
        .enable_connect_protocol();
    builder
}

/// A socket that is given up when its peer takes nothing for [`STALL_TIMEOUT`].
pub(super) struct Impatient<S> {
    socket: S,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, stalled: None }
    }

    /// Passes on a write's outcome, and counts the time that writes have been stuck.
    fn judge<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.judge(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.judge(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        net::TcpStream,
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let (server, mut client) = duplex(16);
        let mut server = Impatient::new(server);
        server.write_all(&[0; 16]).await.unwrap();
        let began = Instant::now();
        let reads = async {
            for _ in 0..3 {
                sleep(STALL_TIMEOUT / 2).await;
                client.read_exact(&mut [0; 4]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(server.write_all(&[0; 12]), reads);
        written.unwrap();
        assert_eq!(began.elapsed(), STALL_TIMEOUT * 3 / 2);

        let gave_up = server.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!(gave_up.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), STALL_TIMEOUT * 5 / 2);
    }

    /// A connection to a server with one slot, whose answers take as many seconds as the path says.
    fn one_slot() -> (DuplexStream, Arc<Semaphore>) {
        let (server, client) = duplex(1 << 16);
        let slots = Arc::new(Semaphore::new(1));
        let answers = warp::path::param().then(async |seconds| {
            sleep(Duration::from_secs(seconds)).await;
            Response::new(bytes::Bytes::new().into())
        });
        let answers = answers
            .or(warp::any().map(|| Response::new(bytes::Bytes::new().into())))
            .unify();
        let slot = Slot::new(slots.clone().try_acquire_owned().unwrap());
        tokio::spawn(serve(server, answers, slot, CancellationToken::new()));
        (client, slots)
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_like_http_2_and_says_no_more_is_hung_up_on() {
        let (mut client, slots) = one_slot();
        client.write_all(b"PRI * HTT").await.unwrap();
        let began = Instant::now();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        assert!(
            (HEAD_TIMEOUT..HEAD_TIMEOUT * 3).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        drop(slots.acquire().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_connection_lasts_while_something_is_answered_and_not_much_longer() {
        let (client, slots) = one_slot();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client));
        let (mut client, connection) = handshake.await.unwrap();
        let connection = tokio::spawn(connection);
        let began = Instant::now();
        let request = Request::get("http://localhost/300").body(String::new()).unwrap();
        client.send_request(request).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(300));
        assert_eq!(slots.available_permits(), 0);
        connection.await.unwrap().unwrap();
        let rest = began.elapsed() - Duration::from_secs(300);
        assert!((HEAD_TIMEOUT..HEAD_TIMEOUT * 3).contains(&rest), "{rest:?}");
        drop(slots.acquire().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_for_nothing_is_hung_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stop = Stop::default();
        let answers = |_| warp::any().map(|| Response::new(bytes::Bytes::new().into()));
        let accept = accept(listener, answers, Arc::new(Semaphore::new(1)), stop.clone());
        stop.tasks.spawn(accept);
        client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let began = Instant::now();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(
            began.elapsed() >= HEAD_TIMEOUT,
            "hung up on after {:?}",
            began.elapsed()
        );
    }
}
