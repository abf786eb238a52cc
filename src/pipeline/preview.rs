//! Preview: a stream of a running server in a window on this machine, as it is or as a template makes it.
//!
//! It is a client like any other: an [`intake`] plays the stream over the local socket into a hub of its own, a template
//! [works](work) on it there as it would in the server, a [`supply`] brings the result to a [`screen`]. Nothing of it is
//! published.

mod intake;
mod screen;
mod sight;
mod supply;
mod work;

use std::{
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::{intake::Intake, screen::Screen, supply::Supply, work::Work};
use super::template::Template;
use crate::hub::{Hub, KeyError, Limits, StreamKey};

/// How long there may be nothing to show.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct Request {
    /// `app/name`, with arguments where the server wants some.
    pub stream: String,
    /// What is done with it first.
    pub template: Option<Arc<Template>>,
    /// The element that shows the pictures, if it is to be another than the one that GStreamer chooses.
    pub sink: Option<String>,
    /// The server's local socket, if it is not where it is looked for.
    pub socket: Option<PathBuf>,
    /// How long to show it, from the first picture on.
    pub length: Option<Duration>,
}

/// Shows a stream until it ends, its window is closed, the length is over, or `stop` says so. `tell` gets lines for the user.
///
/// [`start`](super::start) has to have been called.
pub async fn preview(
    request: &Request,
    stop: impl Future<Output = ()>,
    tell: impl Fn(&str),
) -> Result<(), PreviewError> {
    let began = Instant::now();
    let of_template = |reason: String| PreviewError::Template {
        name: request
            .template
            .as_ref()
            .map_or_else(String::new, |template| template.name.clone()),
        reason,
    };
    // Before anybody is bothered.
    if let Some(template) = &request.template {
        work::check(template).map_err(of_template)?;
    }
    screen::check(request.sink.as_deref()).map_err(PreviewError::Screen)?;
    let key = StreamKey::parse(request.stream.split('?').next().unwrap_or_default())?;
    let hub = Hub::new(Limits::default());
    let mut intake = Intake::open(request, &hub, &key).map_err(PreviewError::Stream)?;
    let mut work = match &request.template {
        Some(template) => Some(Work::start(template, &hub, &key, intake.publication()).map_err(of_template)?),
        None => None,
    };
    let shown = work.as_ref().map_or(&key, Work::result);
    let supply = Supply::open(&hub, shown);
    let halt = CancellationToken::new();
    let (mut stop, mut show) = (pin!(stop), pin!(show(request, supply, began, &halt, &tell)));
    loop {
        tokio::select! {
            shown = &mut show => return shown,
            () = &mut stop, if !halt.is_cancelled() => halt.cancel(),
            // What came before the end is still shown.
            end = intake.end() => end.map_err(PreviewError::Stream)?,
            reason = Work::failure(&mut work) => return Err(of_template(reason)),
        }
    }
}

async fn show(
    request: &Request,
    mut supply: Supply,
    began: Instant,
    halt: &CancellationToken,
    tell: &impl Fn(&str),
) -> Result<(), PreviewError> {
    let patience = || sleep_until((Instant::now() + PATIENCE).into());
    let tracks = tokio::select! {
        tracks = supply.tracks() => tracks,
        () = halt.cancelled() => return Ok(()),
        () = patience() => return Err(PreviewError::Nothing),
    };
    let mut screen = Screen::start(tracks, request.sink.clone(), tell)
        .await
        .map_err(PreviewError::Screen)?;
    let sight = screen.sight();
    let feeds = screen.feeds();
    let shown = {
        let mut supplied = pin!(supply.fill(feeds));
        let first = async {
            tokio::select! {
                first = sight.first() => Ok(first),
                () = patience() => Err(PreviewError::Nothing),
            }
        };
        let whole = async {
            let first = first.await?;
            tell(&format!(
                "first {}: {}, {:.2} s after the start",
                first.kind,
                first.what,
                (first.at - began).as_secs_f32()
            ));
            match request.length {
                Some(length) => tokio::time::sleep(length).await,
                None => std::future::pending().await,
            }
            Ok(())
        };
        tokio::select! {
            () = halt.cancelled() => Ok(()),
            over = whole => over,
            closed = screen.closed() => closed.map_err(PreviewError::Screen),
            Err(error) = &mut supplied => Err(PreviewError::Stream(error)),
        }
    };
    screen.switch_off().await;
    shown?;
    tell(&sight.count());
    Ok(())
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// What is asked for names no stream.
    #[error(transparent)]
    Name(#[from] KeyError),
    /// The server cannot be reached, refuses, or has no such stream.
    #[error("{0}")]
    Stream(String),
    /// The template does not suit, or fails.
    #[error("template '{name}': {reason}")]
    Template {
        /// The template.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// There is nothing to show it on.
    #[error("{0}")]
    Screen(String),
    /// It is silent.
    #[error("there was nothing to show for {} s", PATIENCE.as_secs())]
    Nothing,
}
