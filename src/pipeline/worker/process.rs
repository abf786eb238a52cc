//! Processes: a worker as the system sees it, from its start to its very end.

use std::{
    collections::VecDeque,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
    time::timeout,
};
use tracing::{Instrument, info};

use super::{
    super::params::Mask,
    wire::{Reader, Word},
};

/// How long GStreamer may take to start. Without its cache it looks at every plugin there is.
const START: Duration = Duration::from_secs(30);
/// How long a process that was told to end may take, and how long after each more urgent word.
pub(super) const GRACE: Duration = Duration::from_millis(700);
/// The same for one that hangs.
pub(super) const SHORT_GRACE: Duration = Duration::from_millis(100);

/// A worker's process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) read: Reader<OwnedReadHalf>,
    pub(super) write: OwnedWriteHalf,
    child: Child,
    said: LastWords,
}

impl Process {
    /// Starts one and waits until it is ready for a blueprint.
    pub(super) async fn start(program: &Path) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(ours)?.into_split();
        let mut command = Command::new(program);
        command
            .arg("worker")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own: signals from the terminal are for the server, and what a worker starts ends with it.
            .process_group(0)
            .kill_on_drop(true)
            // The server has just looked whether there are new plugins.
            .env("GST_REGISTRY_UPDATE", "no");
        let mut child = command.spawn()?;
        // Our copy of the worker's end: with it open, its death would not be noticed.
        drop(command);
        let said = LastWords::default();
        if let Some(stderr) = child.stderr.take() {
            let span = tracing::info_span!("worker", pid = child.id());
            tokio::spawn(listen(stderr, said.clone()).instrument(span));
        }
        let mut process = Self {
            read: Reader::new(read),
            write,
            child,
            said,
        };
        match timeout(START, process.read.next::<Word>()).await {
            Ok(Ok(Some((Word::Ready, _)))) => Ok(process),
            Ok(Ok(_)) => Err(io::Error::other(process.end(GRACE).await)),
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(_) => Err(io::Error::other(format!("it was not ready within {START:?}"))),
        }
    }

    /// Sees to it that what it says from now on holds none of these. To be called before it is told them.
    pub(super) fn conceal(&self, mask: Mask) {
        // A process works on one pipeline only.
        let _ = self.said.mask.set(mask);
    }

    /// Its number, while it lives.
    pub(super) fn id(&self) -> Option<Pid> {
        self.child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
    }

    /// Ends it, by ever more urgent words with so much time between them, and answers how it ended.
    pub(super) async fn end(self, grace: Duration) -> String {
        let Self {
            read,
            write,
            mut child,
            said,
        } = self;
        // Its socket is closed: that alone tells a sound worker to go.
        drop((read, write));
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let mut ended = timeout(grace, child.wait()).await.ok();
        for signal in [Signal::TERM, Signal::KILL] {
            if ended.is_some() {
                break;
            }
            if let Some(group) = group {
                // It fails if the group has just ended.
                let _ = kill_process_group(group, signal);
            }
            ended = timeout(grace, child.wait()).await.ok();
        }
        if let Some(group) = group {
            // What it may have started itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        match ended {
            Some(Ok(status)) => format!("{}{}", how(status), said.quoted()),
            Some(Err(error)) => format!("its end is not known: {error}"),
            None => "it cannot be killed: it hangs in the kernel".to_owned(),
        }
    }
}

/// How a process ended, for people.
fn how(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return match status.code() {
            Some(0) => "its process ended".to_owned(),
            code => format!("its process ended with code {}", code.unwrap_or_default()),
        };
    };
    let name = match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        31 => " (SIGSYS)",
        _ => "",
    };
    format!("its process was ended by signal {signal}{name}")
}

/// What a worker wrote last.
#[derive(Clone, Debug, Default)]
struct LastWords {
    lines: Arc<Mutex<VecDeque<String>>>,
    mask: Arc<OnceLock<Mask>>,
}

impl LastWords {
    const MAX: usize = 3;

    /// A line as it may be seen.
    fn masked(&self, line: &str) -> String {
        self.mask.get().map_or_else(|| line.to_owned(), |mask| mask.apply(line))
    }

    fn add(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == Self::MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    fn quoted(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.is_empty() {
            true => String::new(),
            false => format!("; it said: {}", Vec::from(lines.clone()).join(" / ")),
        }
    }
}

/// Puts what a worker writes into the log: whole lines of a bounded length, and no more of them than anyone reads. What it
/// writes is always taken, so that a full pipe never stops it.
async fn listen(mut from: impl AsyncRead + Unpin, said: LastWords) {
    /// Of one line.
    const MAX_LINE: usize = 400;
    /// In one second.
    const MAX_LINES: u32 = 10;
    let mut line = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    let mut window = tokio::time::Instant::now();
    let (mut lines, mut left_out) = (0, 0_u64);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut pieces = buffer[..count].split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = MAX_LINE.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_none() {
                // Its end is still to come.
                break;
            }
            if window.elapsed() >= Duration::from_secs(1) {
                if left_out > 0 {
                    info!("{left_out} more lines");
                }
                (window, lines, left_out) = (tokio::time::Instant::now(), 0, 0);
            }
            if lines < MAX_LINES {
                let text = said.masked(String::from_utf8_lossy(&line).trim_end());
                if !text.is_empty() {
                    info!("{text}");
                    said.add(&text);
                }
            } else {
                left_out += 1;
            }
            lines += 1;
            line.clear();
        }
    }
    if left_out > 0 {
        info!("{left_out} more lines");
    }
}

/// Bytes that stand for no media.
pub(super) const NO_MEDIA: Bytes = Bytes::new();
