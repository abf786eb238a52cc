//! Bodies: what is at hand, and what goes on for as long as somebody publishes.
//!
//! warp's own body knows one piece of memory a frame. A live one is made of many that viewers share, so that it is
//! carried past warp: beside the response on the way through the filters, and in its place behind them.

use std::{
    fmt,
    io::IoSlice,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use warp::{http, reply::Response};

use super::connection::Slot;
use crate::output::Slices;

/// A body as it goes to the connection; `B` is warp's own, which has no name outside.
pub(super) struct Body<B> {
    kind: Kind<B>,
    /// Tells the connection that it is in use.
    _slot: Arc<Slot>,
}

enum Kind<B> {
    AtHand(B),
    Live(Live),
}

type Live = Pin<Box<dyn Stream<Item = Slices> + Send>>;

/// A live body beside its response. Extensions must be `Clone`; of all clones one gets the body.
#[derive(Clone)]
struct Beside(Arc<Mutex<Option<Live>>>);

/// A response whose body is this stream.
pub(super) fn live(stream: impl Stream<Item = Slices> + Send + 'static) -> Response {
    let mut response = Response::new(Bytes::new().into());
    let beside = Beside(Arc::new(Mutex::new(Some(stream.boxed()))));
    response.extensions_mut().insert(beside);
    response
}

/// The response with the body that it is sent with.
pub(super) fn unite(
    mut response: Response,
    slot: Arc<Slot>,
) -> http::Response<Body<impl HttpBody<Data = Bytes, Error = warp::Error> + Unpin + use<>>> {
    let beside = response.extensions_mut().remove::<Beside>();
    let live = beside.and_then(|Beside(live)| live.lock().unwrap_or_else(PoisonError::into_inner).take());
    response.map(|body| Body {
        kind: match live {
            Some(live) => Kind::Live(live),
            None => Kind::AtHand(body),
        },
        _slot: slot,
    })
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Body<B> {
    type Data = Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Data>, B::Error>>> {
        match &mut self.kind {
            Kind::AtHand(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(Data::One))))
            }
            Kind::Live(stream) => {
                let slices = stream.poll_next_unpin(cx);
                slices.map(|slices| slices.map(|slices| Ok(Frame::data(Data::Many(slices)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::AtHand(body) => body.is_end_stream(),
            Kind::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::AtHand(body) => body.size_hint(),
            Kind::Live(_) => SizeHint::default(),
        }
    }
}

impl<B> fmt::Debug for Body<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// What a body gives at a time.
pub(super) enum Data {
    One(Bytes),
    Many(Slices),
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.remaining(),
            Self::Many(slices) => slices.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::One(bytes) => bytes.chunk(),
            Self::Many(slices) => slices.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::One(bytes) => bytes.chunks_vectored(out),
            Self::Many(slices) => slices.chunks_vectored(out),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::One(bytes) => bytes.advance(count),
            Self::Many(slices) => slices.advance(count),
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self {
            Self::One(bytes) => bytes.copy_to_bytes(count),
            Self::Many(slices) => slices.copy_to_bytes(count),
        }
    }
}
