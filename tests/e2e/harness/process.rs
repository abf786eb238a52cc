//! A child process that is watched, whose output is kept, and that does not outlive its test.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::poll_until;

/// Lines of a log that are shown when a test fails.
const LOG_TAIL: usize = 60;

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `command`; `name` stands for it in messages.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().expect("piped"), &log);
        collect(child.stderr.take().expect("piped"), &log);
        let name = name.to_owned();
        Self { name, child, log }
    }

    /// What it has printed so far, on both channels.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Sends a signal, as `kill -NAME` does.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("sh runs");
        assert!(status.success(), "{} cannot be signalled", self.name);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        poll_until(deadline, &what, || self.child.try_wait().expect("a child can be asked"))
    }

    /// Asks it to end with SIGTERM, and waits.
    pub(crate) fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        if self.is_running() {
            self.signal("TERM");
        }
        self.wait(deadline)
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
    fn drop(&mut self) {
        // Either may fail only because the child has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            eprintln!("--- {}: the last lines of its log", self.name);
            for line in &log[log.len().saturating_sub(LOG_TAIL)..] {
                eprintln!("{line}");
            }
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

/// `command line` in words, split at spaces; no quoting.
pub(crate) fn program(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program's name"));
    command.args(words);
    command
}

/// Runs `command` to its end and returns all it said; one that takes longer than `deadline` is killed and panics.
pub(crate) fn output_of(mut command: Command, deadline: Duration) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let what = format!("{command:?}");
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));
    let end = Instant::now() + deadline;
    let status = loop {
        match child.try_wait().expect("a child can be asked") {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => thread::sleep(Duration::from_millis(25)),
        }
    };
    // Fails only where the child has ended already.
    let _ = child.kill();
    let _ = child.wait();
    let text = |reader: thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader does not panic");
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) => Output { status, stdout, stderr },
        None => panic!(
            "{what} took longer than {deadline:?}: {}",
            String::from_utf8_lossy(&stderr)
        ),
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        // A pipe that breaks ends the output, like its end does.
        let _ = pipe.read_to_end(&mut all);
        all
    })
}
