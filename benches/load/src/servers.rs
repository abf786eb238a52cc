//! The servers: each started fresh for a round, on free ports, with a configuration that does nothing but RTMP.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::net::TcpStream;

/// A server this program knows how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// This project's.
    Streammill,
    /// nginx with its RTMP module (Debian: nginx, libnginx-mod-rtmp).
    Nginx,
    /// SRS as it comes: what it sends is merged for 350 ms.
    Srs,
    /// SRS with the settings that its documentation has for low latency.
    SrsLowLatency,
}

/// Where the servers are that are not on the path.
pub(crate) struct Binaries {
    pub(crate) streammill: PathBuf,
    pub(crate) srs: PathBuf,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Streammill => "streammill",
            Self::Nginx => "nginx-rtmp",
            Self::Srs => "SRS",
            Self::SrsLowLatency => "SRS, low latency",
        }
    }
}

/// A started server. Dropping it stops it.
pub(crate) struct Running {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Running {
    /// Starts a server and waits until it takes connections.
    pub(crate) async fn start(kind: Kind, binaries: &Binaries) -> anyhow::Result<Self> {
        // Bound and let go: the server takes it a moment later.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("streammill-bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = match kind {
            Kind::Streammill => {
                let config = folder.join("streammill.toml");
                let text = format!(
                    "[rtmp]\nlisten = [\"127.0.0.1:{port}\"]\n[http]\nlisten = []\n[apps.live]\npipelines = []\n"
                );
                fs::write(&config, text)?;
                let mut command = Command::new(&binaries.streammill);
                command.arg("serve").arg("-c").arg(config);
                command
            }
            Kind::Nginx => {
                let config = folder.join("nginx.conf");
                fs::write(&config, nginx_configuration(port, &folder))?;
                let mut command = Command::new("nginx");
                command.arg("-c").arg(config).arg("-p").arg(&folder);
                command
            }
            Kind::Srs | Kind::SrsLowLatency => {
                let config = folder.join("srs.conf");
                fs::write(&config, srs_configuration(port, &folder, kind == Kind::SrsLowLatency))?;
                let mut command = Command::new(&binaries.srs);
                command.arg("-c").arg(config);
                command
            }
        };
        let child = command
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let server = Self {
            child,
            url: format!("rtmp://127.0.0.1:{port}/live"),
            folder,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} does not listen:\n{}",
                kind.name(),
                server.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // TERM first: nginx's master must take its worker with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn nginx_configuration(port: u16, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process on;\nworker_processes 1;\nworker_rlimit_nofile 65536;\n\
         error_log {folder}/error.log warn;\npid {folder}/pid;\n\
         load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         events {{ worker_connections 20000; }}\n\
         rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}\n"
    )
}

fn srs_configuration(port: u16, folder: &Path, has_low_latency: bool) -> String {
    let folder = folder.display();
    let latency = match has_low_latency {
        true => {
            "min_latency on; tcp_nodelay on; play { gop_cache off; queue_length 10; mw_latency 100; } publish { mr off; }"
        }
        false => "",
    };
    format!(
        "listen {port};\nmax_connections 10000;\ndaemon off;\nsrs_log_tank console;\nsrs_log_level warn;\n\
         pid {folder}/pid;\nvhost __defaultVhost__ {{ {latency} }}\n"
    )
}
