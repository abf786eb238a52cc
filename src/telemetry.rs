//! Logging: where the log goes and how much of it.
//!
//! A line is one event with fields; spans carry who it is about (`rtmp{peer=…}`, `pipeline{stream=…}`), so no message
//! repeats it. What a client sends after the `?` of a name is a secret and is never logged.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, util::TryInitError};

/// Environment variable that selects what is logged, in `tracing`'s syntax (`info`, `streammill::rtmp=debug`).
pub const FILTER_VARIABLE: &str = "STREAMMILL_LOG";

/// Starts logging to standard error. Standard output is for what the user asked for.
pub fn start() -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .finish()
        .try_init()
}

/// Starts logging of a worker, whose lines become lines in its server's log.
pub fn start_worker() -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .finish()
        .try_init()
}
