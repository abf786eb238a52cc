//! What every end-to-end test needs: the real server as a process, real encoders and players, and patience with a limit.
//!
//! The server is the binary that ships, started with a configuration of the test's own on free ports, so a test here
//! can see no more than an operator can. Nothing waits for a fixed time: [`poll_until`] asks until the answer is there
//! or a deadline has passed, and says what it waited for.

mod authority;
mod browser;
pub(crate) mod current_ffmpeg;
pub(crate) mod fake_hardware;
mod faulty;
mod gst_launch;
mod probe;
mod process;
mod publish;
mod relay;
mod server;
mod service;
mod vlc;
pub(crate) mod wire;

pub(crate) use authority::Certificate;
pub(crate) use browser::Browser;
pub(crate) use faulty::faulty_server;
pub(crate) use gst_launch::{bare_gst_launch, gst_launch};
pub(crate) use probe::{Packet, Probe, assert_decodes, probe};
pub(crate) use process::{Process, output_of, program};
pub(crate) use publish::{Publish, clip};
pub(crate) use relay::{relay_to, relay_to_file};
pub(crate) use server::{Server, get, http_client, media_playlists, streammill};
pub(crate) use service::Service;
pub(crate) use vlc::cvlc;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks `question` until it has an answer. Panics when `deadline` passes, with what was waited for.
pub(crate) fn poll_until<T>(deadline: Duration, what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain for {what}");
        thread::sleep(Duration::from_millis(25));
    }
}

/// A number of seconds.
pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
