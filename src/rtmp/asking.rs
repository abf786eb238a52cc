//! Asking: publish requests that wait for the answer of the operator's service.
//!
//! The connection goes on reading and answering meanwhile; what it reads of a stream that is not let in yet is dropped, as a
//! client has to wait for the answer.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use streammill_rtmp::PublishRequest;

use crate::{
    callback::{Callbacks, Denied, PublishCall, Reply},
    config::CallbackUrl,
};

/// The requests of a connection that wait.
#[derive(Default)]
pub(super) struct Asking {
    waiting: Vec<Pin<Box<dyn Future<Output = Answered> + Send>>>,
}

/// A request that has been answered.
pub(super) struct Answered {
    pub(super) request: PublishRequest,
    pub(super) verdict: Result<Reply, Denied>,
}

impl Asking {
    /// Asks a service about a request.
    pub(super) fn ask(
        &mut self,
        callbacks: Callbacks,
        service: CallbackUrl,
        call: PublishCall,
        request: PublishRequest,
    ) {
        self.waiting.push(Box::pin(async move {
            let verdict = callbacks.on_publish(&service, &call).await;
            Answered { request, verdict }
        }));
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for the next answer; for ever if nothing was asked. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Answered {
        poll_fn(|cx| {
            for (index, waiting) in self.waiting.iter_mut().enumerate() {
                if let Poll::Ready(answered) = waiting.as_mut().poll(cx) {
                    drop(self.waiting.swap_remove(index));
                    return Poll::Ready(answered);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("waiting", &self.waiting.len()).finish()
    }
}
