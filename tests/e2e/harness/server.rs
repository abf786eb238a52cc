//! The server under test, and a plain HTTP client for it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use tempfile::TempDir;

use super::{Process, fake_hardware, poll_until, seconds};

/// A running `streammill serve` with a folder of its own.
pub(crate) struct Server {
    process: Process,
    rtmp: Vec<String>,
    http: String,
    folder: TempDir,
    /// Of its user, for the local socket.
    runtime_dir: TempDir,
}

impl Server {
    /// Starts with the applications that `config` describes; `{dir}` in it is the server's own folder.
    pub(crate) fn start(config: &str) -> Self {
        Self::listening(&["127.0.0.1:0"], config)
    }

    /// The same with more in its environment.
    pub(crate) fn with_environment(config: &str, environment: &[(&str, OsString)]) -> Self {
        Self::spawn(&["127.0.0.1:0"], config, environment)
    }

    /// The same, listening for RTMP at `addresses`.
    pub(crate) fn listening(addresses: &[&str], config: &str) -> Self {
        Self::spawn(addresses, config, &[])
    }

    /// The same as [`start`](Self::start), of a user whose local socket is in `runtime_dir`.
    pub(crate) fn of_user_with(runtime_dir: &Path, config: &str) -> Self {
        Self::with_environment(config, &[("XDG_RUNTIME_DIR", runtime_dir.as_os_str().to_owned())])
    }

    /// Starts on a machine that has encoders which fail on command.
    pub(crate) fn with_fake_hardware(config: &str) -> Self {
        Self::spawn(&["127.0.0.1:0"], config, &fake_hardware::environment())
    }

    fn spawn(addresses: &[&str], config: &str, environment: &[(&str, OsString)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("streammill.toml");
        // Keys with dots, so that `config` can add others of the same tables on its first lines.
        let listen = format!("rtmp.listen = {addresses:?}\nhttp.listen = [\"127.0.0.1:0\"]");
        let text = format!("{listen}\n{config}\n");
        let text = text.replace("{dir}", folder.path().to_str().expect("a path in UTF-8"));
        fs::write(&file, text).expect("the configuration is written");

        let mut command = streammill(&["serve", "-c"]);
        command.arg(&file).current_dir(folder.path());
        // Each has a local socket of its own, where programs with the same setting find it.
        command.env("XDG_RUNTIME_DIR", own.path());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start("streammill", command);
        let (rtmp, http) = poll_until(seconds(30), "the server's addresses on its standard output", || {
            let log = process.log();
            let after = |mark: &str| -> Vec<String> {
                let lines = log.iter().filter_map(|line| line.strip_prefix(mark));
                lines.map(str::to_owned).collect()
            };
            // Those for HTTP are said behind all of RTMP.
            let (rtmp, mut http) = (after("rtmp listening on "), after("http listening on "));
            assert!(
                !http.is_empty() || process.is_running(),
                "the server ended at once: {log:#?}"
            );
            Some((rtmp, http.pop()?))
        });
        Self {
            process,
            rtmp,
            http,
            folder,
            runtime_dir: own,
        }
    }

    /// `rtmp://…/app/name`.
    pub(crate) fn rtmp(&self, stream: &str) -> String {
        format!("{}/{stream}", self.rtmp[0])
    }

    /// `rtmp://…`, `rtmps://…` or `rtmp+unix:…` of every RTMP listener, in the order of the configuration.
    pub(crate) fn rtmp_listeners(&self) -> &[String] {
        &self.rtmp
    }

    /// `127.0.0.1:port` of the RTMP listener.
    pub(crate) fn rtmp_address(&self) -> &str {
        self.rtmp[0].trim_start_matches("rtmp://")
    }

    /// `127.0.0.1:port` of the HTTP listener.
    pub(crate) fn http_address(&self) -> &str {
        self.http.trim_start_matches("http://")
    }

    /// `http://…/path`.
    pub(crate) fn http(&self, path: &str) -> String {
        format!("{}/{path}", self.http)
    }

    /// The folder it runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where programs of its user look for its local socket.
    pub(crate) fn runtime_dir(&self) -> &Path {
        self.runtime_dir.path()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.log().join("\n")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(crate) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        self.process.wait(deadline)
    }

    /// Files below `folder` of the server's own, sorted by name.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder().join(folder)).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        files
    }
}

/// The binary under test with `arguments`, untouched by settings of the machine it runs on.
pub(crate) fn streammill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streammill"));
    command
        .args(arguments)
        .env("RUST_LOG", "streammill=debug")
        .env("NO_COLOR", "1");
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("STREAMMILL__") || name == "STREAMMILL_SOCKET")
        {
            command.env_remove(name);
        }
    }
    command
}

/// A client for the server's HTTP side.
pub(crate) fn http_client() -> reqwest::Client {
    // The second one in a process is refused, and the first is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(seconds(10)).build();
    client.expect("an HTTP client")
}

/// Status and body of an HTTP resource, `None` where the server does not answer.
pub(crate) fn get(url: &str) -> Option<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = http_client();
        let response = client.get(url).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    })
}

/// The media playlists that the multivariant playlist at `path` lists, as URLs; none where there is no such playlist.
pub(crate) fn media_playlists(server: &Server, path: &str) -> Vec<String> {
    let Some((200, text)) = get(&server.http(path)) else {
        return Vec::new();
    };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let uris = text.lines().filter_map(|line| match line.split_once("URI=\"") {
        Some((_, rest)) => rest.split('"').next(),
        None => (!line.starts_with('#') && !line.is_empty()).then_some(line),
    });
    uris.map(|uri| match uri.strip_prefix('/') {
        Some(path) => server.http(path),
        None => server.http(&format!("{folder}/{uri}")),
    })
    .collect()
}
