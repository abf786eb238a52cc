//! The server: puts the parts together in order, and takes them apart in order.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use streammill_media::MediaTime;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};
use tracing::{info, warn};

use crate::{
    config::{App, Config},
    http,
    hub::{self, Hub},
    output::hls,
    pipeline::{self, conductor},
    rtmp,
    shutdown::Stages,
};

/// Serves until a signal comes. True if everything stopped within the deadline.
///
/// SIGTERM or SIGINT drains; a second one exits at once.
pub async fn run(config: Config) -> anyhow::Result<bool> {
    // Before anything listens: a signal during start must not be lost.
    let mut signals = Signals::new()?;
    let deadline = config.shutdown.deadline.0;
    let server = Server::start(config).await?;
    server.announce();
    signals.first().await;
    info!(seconds = deadline.as_secs(), "stopping; a second signal exits at once");
    Ok(tokio::select! {
        stopped = server.stages.stop(deadline) => stopped,
        () = signals.first() => {
            warn!("second signal: exiting at once");
            false
        }
    })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
        })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A running server.
struct Server {
    stages: Stages,
    rtmp: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
}
