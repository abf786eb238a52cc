//! Callbacks: HTTP services of the operator's that decide about clients.
//!
//! They are asked in the form that nginx-rtmp-module uses, and their status codes mean what they mean there, so that a
//! service which was written for it goes on working. Beyond that an answer may carry JSON; see [`Reply`].

mod form;
mod reply;

use std::{sync::Arc, time::Duration};

use reqwest::{Client, header, redirect};
use tracing::{debug, warn};

pub use form::{Caller, PublishCall};
pub use reply::Reply;

use crate::config::{CallbackUrl, Callbacks as Settings, Unreachable};

/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;
/// What a client is told that was refused. Why is the service's affair and in the log.
const REFUSED: &str = "Publishing is not allowed.";
const UNREACHABLE: &str = "Publishing cannot be allowed at the moment; try again later.";

/// Asks services. Cheap to clone; all clones share connections.
#[derive(Clone, Debug)]
pub struct Callbacks {
    client: Client,
    unreachable: Unreachable,
}

/// Why a client is refused, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub String);

/// Callbacks cannot be made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no HTTP client for callbacks: {0}")]
pub struct CallbackError(Arc<reqwest::Error>);

impl Callbacks {
    /// With these times and rules.
    pub fn new(settings: &Settings) -> Result<Self, CallbackError> {
        // A second one would be refused, and the first is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(settings.timeout.0)
            .connect_timeout(settings.timeout.0.min(Duration::from_secs(5)))
            // A redirection is an answer.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("streammill/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            client: client.map_err(|error| CallbackError(Arc::new(error)))?,
            unreachable: settings.unreachable,
        })
    }

    /// Asks whether, and under which name, a client may publish.
    pub async fn on_publish(&self, service: &CallbackUrl, call: &PublishCall) -> Result<Reply, Denied> {
        match self.ask(service, call.form()).await {
            Ok(Answer { status, .. }) if status >= 500 => {
                warn!(status, "on_publish: the service has failed");
                self.unreachable()
            }
            Ok(answer) => reply::read(&answer).map_err(|reason| {
                debug!(reason, "on_publish: refused");
                Denied(REFUSED.to_owned())
            }),
            Err(error) => {
                // The URL may hold a secret of the operator's.
                let error = error.without_url();
                warn!(error = error_chain(&error), "on_publish: the service cannot be asked");
                self.unreachable()
            }
        }
    }

    fn unreachable(&self) -> Result<Reply, Denied> {
        match self.unreachable {
            Unreachable::Allow => Ok(Reply::default()),
            Unreachable::Deny => Err(Denied(UNREACHABLE.to_owned())),
        }
    }

    async fn ask(&self, service: &CallbackUrl, form: String) -> Result<Answer, reqwest::Error> {
        let request = self
            .client
            .post(service.as_url().clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let mut response = request.send().await?;
        let header = |name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let (status, location) = (response.status().as_u16(), header(header::LOCATION));
        let media_type = header(header::CONTENT_TYPE);
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            let room = MAX_ANSWER.saturating_sub(body.len());
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if room == 0 {
                break;
            }
        }
        Ok(Answer {
            status,
            location,
            media_type,
            body,
        })
    }
}

/// What a service answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answer {
    status: u16,
    location: Option<String>,
    media_type: Option<String>,
    body: Vec<u8>,
}

/// An error with what caused it, which is where the reason is.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}
