//! Probes: which encoders work, found out by using them, each in a process of its own.
//!
//! The process is this program again, with a command that users do not see. It takes a [`sample`], says in a
//! line what came of it, and is killed if it does not in time. One runs at a time: two that open a device at once would
//! find out about each other.

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

use super::{
    bench::EncoderBench,
    map::{Encoder, Map},
    sample,
    standing::Health,
};

/// The command of this program that takes a sample.
pub const COMMAND: &str = "probe-encoder";

/// What the line begins with that tells what came of it. Drivers print things too.
const MARK: &str = "streammill-probe: ";
/// Most that is kept of what a process prints.
const MOST_KEPT: usize = 64 << 10;

/// Finds out which encoders work.
#[derive(Clone, Debug)]
pub struct Prober {
    program: PathBuf,
    patience: Duration,
}

/// What a probe found out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It encodes.
    Works {
        /// On what it runs.
        device: Option<String>,
    },
    /// It does not, and why.
    Broken(String),
}

impl Prober {
    /// One that waits so long for each encoder. `program` is the one with the command.
    pub fn new(program: PathBuf, patience: Duration) -> Self {
        Self { program, patience }
    }

    /// One that runs the program which it is in, even if its file has been replaced.
    pub fn own(patience: Duration) -> Self {
        Self::new(PathBuf::from("/proc/self/exe"), patience)
    }

    /// Probes encoders one after the other, those on hardware first, and tells the bench.
    pub async fn probe_all(&self, bench: &EncoderBench, encoders: Vec<Encoder>) {
        bench.await_probes(&encoders);
        let mut encoders = encoders;
        // What most pipelines wait for comes first.
        encoders.sort_by_key(|encoder| (encoder.is_software(), encoder.codec));
        for encoder in encoders {
            match self.probe(&encoder).await {
                Finding::Works { device } => {
                    tracing::debug!(element = encoder.element, device, "encoder works");
                    bench.probed(&encoder.element, Health::Works, device.as_deref());
                }
                Finding::Broken(reason) => {
                    tracing::warn!(element = encoder.element, reason, "encoder does not work");
                    bench.probed(&encoder.element, Health::Broken(reason), None);
                }
            }
        }
    }

    /// Probes one encoder.
    pub async fn probe(&self, encoder: &Encoder) -> Finding {
        match self.ask(encoder).await {
            Ok(finding) => finding,
            Err(reason) => Finding::Broken(reason),
        }
    }

    async fn ask(&self, encoder: &Encoder) -> Result<Finding, String> {
        let row = serde_json::to_string(encoder).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.program);
        command
            .args([COMMAND, "--row", &row, "--", &encoder.element])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what a driver starts goes with it.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| format!("its probe cannot be started: {error}"))?;
        let group = Group(child.id());
        let Ok(watched) = timeout(self.patience, watch(&mut child)).await else {
            drop(group);
            // Dead or dying; waited for, it does not stay as a zombie.
            let _ = child.wait().await;
            return Err(format!("it did not answer within {:?} and was killed", self.patience));
        };
        let (status, out, errors) = watched.map_err(|error| format!("its probe cannot be watched: {error}"))?;
        group.forget();
        let line = out.lines().rev().find_map(|line| line.strip_prefix(MARK));
        match line.and_then(|line| serde_json::from_str(line).ok()) {
            Some(finding) => Ok(finding),
            None => Err(format!("its probe {}{}", end_of(status), last_words(&errors))),
        }
    }
}

/// Waits for the end of a process and reads what it prints.
async fn watch(child: &mut Child) -> std::io::Result<(ExitStatus, String, String)> {
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let (status, out, errors) = tokio::join!(child.wait(), tail(out), tail(errors));
    Ok((status?, out, errors))
}

/// Reads to the end and keeps the end.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let (mut kept, mut piece) = (Vec::new(), vec![0; 4096]);
    if let Some(mut pipe) = pipe {
        // A pipe that breaks ends the output, like its end does.
        while let Ok(length @ 1..) = pipe.read(&mut piece).await {
            kept.extend_from_slice(&piece[..length]);
            let surplus = kept.len().saturating_sub(MOST_KEPT);
            kept.drain(..surplus);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// How a process ended that should have said something.
fn end_of(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = match signal {
                libc::SIGABRT => " (abort)",
                libc::SIGSEGV => " (segmentation fault)",
                libc::SIGBUS => " (bus error)",
                libc::SIGILL => " (illegal instruction)",
                libc::SIGFPE => " (arithmetic error)",
                libc::SIGKILL => " (killed)",
                _ => "",
            };
            format!("was ended by signal {signal}{name}")
        }
        (None, Some(code)) => format!("ended with code {code} and said nothing"),
        (None, None) => "ended and said nothing".to_owned(),
    }
}

/// The last line that says something, as a clause.
fn last_words(errors: &str) -> String {
    let last = errors.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map_or_else(String::new, |line| format!("; its last words: {line}"))
}

/// A process group that dies with this.
struct Group(Option<u32>);

impl Group {
    /// It has ended.
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take().and_then(|id| libc::pid_t::try_from(id).ok()) {
            // SAFETY: it is a system call that reads no memory. The leader has not been waited for, so the number is still its.
            unsafe { libc::kill(-leader, libc::SIGKILL) };
        }
    }
}

/// The command: probes one encoder and prints what came of it. `row` is the encoder as [`Prober`] hands it over; without it
/// the built-in map tells.
pub fn command(element: &str, row: Option<&str>) -> Result<String, String> {
    // A crash is expected here, and needs no file of the size of a driver.
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
    if row.is_some() {
        // Who asked is dead when it cannot kill this any more.
        // SAFETY: it is a system call that reads no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    }
    super::super::start().map_err(|error| error.to_string())?;
    let encoder: Encoder = match row {
        Some(row) => serde_json::from_str(row).map_err(|error| error.to_string())?,
        None => Map::built_in()
            .find(element)
            .ok_or_else(|| format!("'{element}' is no encoder that is known"))?,
    };
    let finding = match sample::encode(&encoder) {
        Ok(sample) => Finding::Works { device: sample.device },
        Err(reason) => Finding::Broken(reason),
    };
    let line = serde_json::to_string(&finding).map_err(|error| error.to_string())?;
    Ok(format!("\n{MARK}{line}\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A program that does what a script says, whatever it is asked.
    async fn finding_of(script: &str, patience: Duration) -> Finding {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("probe");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let encoder = Map::built_in().find("x264enc").unwrap();
        Prober::new(program, patience).probe(&encoder).await
    }

    const LONG: Duration = Duration::from_secs(60);

    fn broken(finding: &Finding) -> &str {
        match finding {
            Finding::Broken(reason) => reason,
            Finding::Works { .. } => panic!("it works"),
        }
    }

    #[tokio::test]
    async fn what_a_probe_says_is_found_among_what_drivers_print() {
        let says = |json: &str| format!("echo driver v1; echo 'streammill-probe: {json}'; echo bye");
        let works = finding_of(&says(r#"{"works":{"device":"/dev/dri/renderD128"}}"#), LONG).await;
        let device = Some("/dev/dri/renderD128".to_owned());
        assert_eq!(works, Finding::Works { device });
        let broken = finding_of(&says(r#"{"broken":"no device"}"#), LONG).await;
        assert_eq!(broken, Finding::Broken("no device".to_owned()));
    }

    #[tokio::test]
    async fn a_probe_that_crashes_is_told_with_its_last_words() {
        let finding = finding_of("echo 'driver: out of luck' >&2; kill -SEGV $$", LONG).await;
        assert_eq!(
            broken(&finding),
            "its probe was ended by signal 11 (segmentation fault); its last words: driver: out of luck"
        );
        let finding = finding_of("exit 3", LONG).await;
        assert_eq!(broken(&finding), "its probe ended with code 3 and said nothing");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("child");
        let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let patience = Duration::from_millis(500);
        let finding = finding_of(&script, patience).await;
        assert!(broken(&finding).contains("did not answer within 500ms"), "{finding:?}");
        let child = std::fs::read_to_string(&file).unwrap();
        let stat = std::path::PathBuf::from(format!("/proc/{}/stat", child.trim()));
        // An orphan that was killed is gone as soon as its new parent has noticed.
        let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        let end = std::time::Instant::now() + LONG;
        while !is_gone() {
            assert!(std::time::Instant::now() < end, "process {child} lives on");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_a_reason_too() {
        let encoder = Map::built_in().find("x264enc").unwrap();
        let prober = Prober::new(PathBuf::from("/nonexistent/streammill"), LONG);
        assert!(broken(&prober.probe(&encoder).await).contains("cannot be started"));
    }
}
