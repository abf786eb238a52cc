//! The server: puts the parts together in order, and takes them apart in order.

#![allow(clippy::print_stdout, reason = "the addresses are what the user asked for")]

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use streammill_media::MediaTime;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};
use tracing::{debug, info, warn};

use crate::{
    callback::{CallbackError, Callbacks},
    config::{self, App, Config, ConfigError},
    http,
    hub::{self, Hub},
    output::{hls, pictures::Pictures},
    pipeline::{
        self,
        conductor::conduct,
        encoder::{Equipment, probe::Prober, status::EncodersStatus, survey},
        library::Library,
        plan::Plan,
        reload::Reload,
        roster::Roster,
        supervisor::Services,
        worker::{Limits, Workers},
    },
    rtmp,
    shutdown::Stages,
};

/// Serves until a signal comes. True if everything stopped within the deadline.
///
/// SIGTERM or SIGINT drains; a second one exits at once.
pub async fn run(config: Config) -> Result<bool, ServerError> {
    // Before anything listens: a signal during start must not be lost.
    let mut signals = Signals::new()?;
    let deadline = config.shutdown.deadline.0;
    let server = Server::start(config).await?;
    server.announce();
    signals.next().await;
    info!(seconds = deadline.as_secs(), "stopping; a second signal exits at once");
    Ok(tokio::select! {
        stopped = server.stages.stop(deadline) => stopped,
        () = signals.next() => {
            warn!("second signal: exiting at once");
            false
        }
    })
}

/// How often it is looked for publishers who do not come back: their grace is kept to this.
const ABSENCE_TICK: Duration = Duration::from_millis(250);

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServerError> {
        let wait_for = |kind| signal(kind).map_err(ServerError::Signals);
        Ok(Self {
            terminate: wait_for(SignalKind::terminate())?,
            interrupt: wait_for(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A running server.
struct Server {
    stages: Stages,
    /// URLs.
    rtmp: Vec<String>,
    local: Option<String>,
    http: Vec<SocketAddr>,
}

impl Server {
    /// Starts the parts: what the others build on first, what lets clients in last.
    async fn start(config: Config) -> Result<Self, ServerError> {
        let config = Arc::new(config);
        raise_file_limit();
        let stages = Stages::default();
        let apps: BTreeMap<String, App> = config
            .apps
            .iter()
            .map(|(name, app)| (name.clone(), app.or(&config.defaults)))
            .collect();

        let (plan, equipment) = prepare(&config).await?;
        let hub = Hub::new(hub::Limits {
            max_bytes: config.rtmp.max_buffer.0 as usize,
            max_lag: MediaTime::from_nanos(config.rtmp.max_lag.0.as_nanos() as i64),
        });
        let store = hls::Store::new(config.hls.max_total_bytes.0 as usize);

        let (absent, stop_waiting) = (hub.clone(), stages.connections.stop.clone());
        stages.connections.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(ABSENCE_TICK);
            while stop_waiting.run_until_cancelled(ticks.tick()).await.is_some() {
                absent.end_absent();
            }
        });

        let clean = store.clone();
        let stop_cleaning = stages.connections.stop.clone();
        stages
            .connections
            .tasks
            .spawn(async move { clean.keep_clean(stop_cleaning).await });

        // All addresses are bound before any is served, so that a server which cannot listen does nothing at all.
        let mut rtmp_listeners = Vec::new();
        for address in &config.rtmp.listen {
            rtmp_listeners.push(rtmp::Listener::bind(address)?);
        }
        if !config.rtmp.tls_listen.is_empty() {
            let certificates = rtmp::Certificates::load(&config.tls.certificates)?;
            for address in &config.rtmp.tls_listen {
                rtmp_listeners.push(rtmp::Listener::bind(address)?.with_tls(&certificates)?);
            }
            let hangup = hangup()?;
            let keep_fresh = certificates.keep_fresh(hangup, stages.connections.stop.clone());
            stages.connections.tasks.spawn(keep_fresh);
        }
        let mut http_listeners = Vec::new();
        let mut http_addresses = Vec::new();
        for &address in &config.http.listen {
            let failed = |source| ServerError::Http { address, source };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            http_addresses.push(listener.local_addr().map_err(failed)?);
            http_listeners.push(listener);
        }
        let rtmp_urls = rtmp_listeners.iter().map(rtmp::Listener::url).collect();
        // Behind the others: what follows counts on their order.
        let local = rtmp::bind_local(&config.rtmp.local_socket)?;
        let local_url = local.as_ref().map(rtmp::Listener::url);
        rtmp_listeners.extend(local);

        let pictures = Pictures::default();
        let mut site = http::Site::new(hub.clone(), store.clone());
        site.pictures = pictures.clone();
        // The plain listeners come first, and the page writes rtmp://.
        let plain = rtmp_listeners.iter().take(config.rtmp.listen.len());
        let mut plain = plain.filter_map(|listener| listener.address().tcp());
        site.rtmp_port = plain.next().map(|address| address.port());
        let viewing: BTreeMap<_, _> = apps.iter().map(|(name, app)| (name.clone(), viewing(app))).collect();
        site.apps = Box::new(move |app| viewing.get(app).copied());
        let vhosts = config::Vhosts::new(&config);
        site.vhosts = vhosts.clone();
        let (bench, prober) = (equipment.bench.clone(), Prober::own(config.encoders.probe_timeout.0));
        bench.await_probes(&equipment.to_probe);
        let (stop_probing, to_probe) = (stages.pipelines.stop.clone(), equipment.to_probe);
        stages.pipelines.tasks.spawn(async move {
            let probing = prober.probe_all(&bench, to_probe);
            stop_probing.run_until_cancelled(probing).await;
        });
        let bench = equipment.bench.clone();
        let kits = equipment.kits.clone();
        site.encoders = Box::new(move || {
            let snapshot = bench.snapshot(Instant::now());
            EncodersStatus::new(snapshot, &kits, survey::is_present)
        });
        let roster = Roster::default();
        let asked = roster.clone();
        site.pipelines = Box::new(move || asked.list());
        site.roster = roster.clone();
        let wishes = wishes(hub.clone(), roster.clone());
        let services = Services {
            hub: hub.clone(),
            segments: store,
            pictures,
            hls: hls_settings(&config.hls),
            workers: workers(&config.workers)?,
            limits: Limits {
                nice: config.workers.nice,
                cores: config.workers.cores,
                memory: Some(config.workers.memory.0).filter(|bytes| *bytes > 0),
            },
            encoders: equipment.bench.clone(),
            kits: equipment.kits.clone(),
        };
        let reload = Reload {
            library: plan.library().clone(),
            config: config.clone(),
            roster: roster.clone(),
            workers: services.workers.clone(),
        };
        stages
            .pipelines
            .tasks
            .spawn(reload.run(hangup()?, stages.pipelines.stop.clone()));
        stages
            .pipelines
            .tasks
            .spawn(conduct(plan, services, roster, stages.pipelines.stop.clone()));

        let stop = http::Stop {
            accepting: stages.accepting.stop.clone(),
            connections: stages.connections.stop.clone(),
            tasks: stages.connections.tasks.clone(),
        };
        stages
            .connections
            .tasks
            .spawn(http::serve(http_listeners, Arc::new(site), stop));

        let slots = Arc::new(Semaphore::new(config.rtmp.max_connections.min(Semaphore::MAX_PERMITS)));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = Arc::new(rtmp::Cores::start(cores).map_err(ServerError::Threads)?);
        let context = Arc::new(rtmp::Context {
            hub,
            apps,
            vhosts,
            clients: rtmp::Clients::default(),
            settings: rtmp::Settings::from(&config.rtmp),
            cores: cores.clone(),
            fan: rtmp::FanOut::new(
                cores.clone(),
                stages.connections.tasks.clone(),
                stages.connections.stop.clone(),
            ),
            callbacks: Callbacks::new(&config.callbacks)?,
            wishes,
            connections: Default::default(),
        });
        for listener in rtmp_listeners {
            let (accepting, connections) = (stages.accepting.stop.clone(), stages.connections.stop.clone());
            let tasks = stages.connections.tasks.clone();
            let run = listener.run(context.clone(), slots.clone(), accepting, connections, tasks);
            stages.accepting.tasks.spawn(run);
        }
        Ok(Self {
            stages,
            rtmp: rtmp_urls,
            local: local_url,
            http: http_addresses,
        })
    }

    /// One line a listener, for people and for programs that start the server on free ports.
    fn announce(&self) {
        for url in &self.rtmp {
            println!("rtmp listening on {url}");
        }
        if let Some(url) = &self.local {
            println!("programs of this user find it at {url}");
        }
        for address in &self.http {
            println!("http listening on http://{address}");
        }
        if let Some(address) = self.http.first() {
            println!("the page with all streams: http://{address}/");
        }
    }
}

/// Starts GStreamer and finds the templates and encoders that the configuration asks for. This loads plugins from disk.
async fn prepare(config: &Config) -> Result<(Plan, Equipment), ServerError> {
    let config = config.clone();
    let prepared = tokio::task::spawn_blocking(move || {
        pipeline::start()?;
        let (library, problems) = Library::load(&config.templates.paths);
        for problem in problems {
            warn!("template left out: {problem}");
        }
        let plan = Plan::new(&config, &library).map_err(|problems| config.invalid(problems))?;
        let equipment = Equipment::new(&config.encoders).map_err(|problems| config.invalid(problems))?;
        Ok((plan, equipment))
    });
    // The task is neither cancelled nor panics; if it does, that is worth a panic here too.
    prepared
        .await
        .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// SIGHUP: look at files again.
fn hangup() -> Result<Signal, ServerError> {
    signal(SignalKind::hangup()).map_err(ServerError::Signals)
}

/// Does what a callback's reply wants done with a stream. What cannot be done does not cost the stream.
fn wishes(hub: Hub, roster: Roster) -> rtmp::Wishes {
    rtmp::Wishes(Box::new(move |key, reply| {
        for used in &reply.pipelines {
            if let Err(error) = roster.order(&hub, key, used) {
                warn!(template = used.template, %error, "a pipeline of the callback's reply does not run");
            }
        }
        if let Some(on) = reply.record
            && let Err(error) = roster.record(&hub, key, on)
        {
            warn!(%error, "the recording that the callback's reply asks for is not made");
        }
    }))
}

/// Where isolated pipelines run: processes of this same program.
fn workers(config: &config::Workers) -> Result<Option<Workers>, ServerError> {
    if config.isolation == config::Isolation::Never {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(ServerError::Program)?;
    let workers = Workers::new(program);
    if config.spare {
        workers.prepare();
    }
    Ok(Some(workers))
}

fn hls_settings(config: &config::Hls) -> hls::Settings {
    hls::Settings {
        playlist_segments: config.playlist_segments,
        max_bytes: usize::try_from(config.max_stream_bytes.0).unwrap_or(usize::MAX),
        linger: config.linger.0,
        ..hls::Settings::default()
    }
}

fn viewing(app: &App) -> http::App {
    http::App {
        idle_streams: app.allows_idle_streams(),
        idle_timeout: app.idle_timeout(),
        gop_cache: app.gop_cache(),
    }
}

/// A connection is a file descriptor, and the usual limit of 1024 is for programs that have few.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => debug!(limit, "limit of open files raised"),
        Err(error) => warn!(%error, "cannot raise the limit of open files"),
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The system does not let the server wait for signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// It is not known which program this is, to start it again as a worker.
    #[error("cannot find out which program this is")]
    Program(#[source] io::Error),
    /// The system does not give the threads that connections are served on.
    #[error("cannot start the threads that serve RTMP")]
    Threads(#[source] io::Error),
    /// An RTMP address cannot be listened on.
    #[error(transparent)]
    Rtmp(#[from] rtmp::BindError),
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] rtmp::CertificateError),
    /// Callbacks cannot be made.
    #[error(transparent)]
    Callbacks(#[from] CallbackError),
    /// An HTTP address cannot be listened on.
    #[error("cannot listen on {address}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// GStreamer does not start.
    #[error(transparent)]
    Gstreamer(#[from] pipeline::StartError),
    /// The configuration asks for what cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
