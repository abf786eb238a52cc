//! Supervisors: each owns one pipeline's life.
//!
//! A supervisor waits until it is known what the stream is made of, builds the instance for that, feeds it, and brings it
//! to a proper end when the publisher leaves or the server stops. What fails is built again, after ever longer waits.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use gststreammill::Outlet;
use streammill_media::{MediaTime, Track};
use tokio::{
    sync::watch,
    time::{Instant as Clock, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    assembly::{outgoing, pads, used},
    bridge::{Bridge, Outcome},
    instance::{BuildError, Instance, Recipe, Report},
    params::Values,
    policy::Backoff,
    publisher::Publisher,
    recording::recording_path,
    segments,
    template::{Template, output_name},
};
use crate::{
    config::RecordFormat,
    hub::{Hub, Interest, Origin, Protocol, PublicationId, StreamKey},
    output::hls,
};

/// How long a pipeline has to work off what it was fed.
const DRAIN: Duration = Duration::from_secs(8);
/// Room before the first frame of a source, for encoders that reorder.
const HEADROOM: MediaTime = MediaTime::from_millis(250);

/// What pipelines work with.
#[derive(Clone, Debug)]
pub struct Services {
    /// Where streams come from and go to.
    pub hub: Hub,
    /// Where segments go.
    pub segments: hls::Store,
    /// How they are kept there.
    pub hls: hls::Settings,
}

/// A pipeline that is to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The template.
    pub template: Arc<Template>,
    /// Its parameters.
    pub values: Values,
    /// The publication it works on; none for a source.
    pub input: Option<Input>,
    /// Where the result goes.
    pub destination: Destination,
}

/// The publication a pipeline works on.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its key.
    pub key: StreamKey,
    /// Which publication of that key.
    pub id: PublicationId,
    /// What it was made from itself, nearest first.
    pub ancestors: Vec<StreamKey>,
}

/// Where a pipeline's result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A stream.
    Stream(StreamKey),
    /// Several streams, by the outputs of the template.
    Streams(BTreeMap<String, StreamKey>),
    /// The packager, as this stream's presentation.
    Segments(StreamKey),
    /// A file in a directory, named after the stream.
    Recording {
        /// The directory.
        dir: PathBuf,
        /// The container.
        format: RecordFormat,
    },
    /// What the template's own elements make of it.
    None,
}

/// How a pipeline is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// How often it was built again after a failure.
    pub restarts: u32,
    /// What failed last.
    pub last_error: Option<String>,
    /// When its current instance began.
    pub started: Option<SystemTime>,
    /// The file it writes, or wrote last.
    pub file: Option<PathBuf>,
    /// Frames it was too slow for.
    pub dropped: u64,
}

/// What a pipeline is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It is not known yet what the stream is made of.
    #[default]
    Waiting,
    /// The stream has no track that the template works on.
    Idle,
    /// It runs.
    Running,
    /// It failed, and will be built again.
    Restarting,
    /// It works off what it was fed.
    Finishing,
    /// It is over.
    Ended,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: State::Waiting,
            restarts: 0,
            last_error: None,
            started: None,
            file: None,
            dropped: 0,
        }
    }
}

/// Runs a pipeline until its input ends, or it is told to stop.
pub async fn supervise(job: Job, services: Services, status: watch::Sender<Status>, stop: CancellationToken) {
    let mut supervisor = Supervisor {
        job,
        services,
        status,
        stop,
        publishers: BTreeMap::new(),
    };
    supervisor.run().await;
    supervisor.enter(State::Ended);
}

struct Supervisor {
    job: Job,
    services: Services,
    status: watch::Sender<Status>,
    stop: CancellationToken,
    publishers: BTreeMap<StreamKey, Arc<Publisher>>,
}

/// A run that has to be tried again.
struct Failure(String);

impl Supervisor {
    async fn run(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let began = Clock::now();
            let result = match self.job.input.clone() {
                Some(input) => self.work_on(&input).await,
                None => self.run_source().await,
            };
            let Err(Failure(reason)) = result else { return };
            let wait = backoff.after(began.elapsed(), rand::random());
            warn!(%reason, seconds = wait.as_secs_f32(), "pipeline failed; it will be built again");
            self.status.send_modify(|status| {
                status.state = State::Restarting;
                status.restarts += 1;
                status.last_error = Some(reason);
            });
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// One subscription, and the instances it needs.
    async fn work_on(&mut self, input: &Input) -> Result<(), Failure> {
        let hub = self.services.hub.clone();
        let interest = Interest {
            protocol: Protocol::Pipeline,
            peer: None,
            software: self.job.template.name.clone(),
            from_cache: true,
            wait_for_key_frame: true,
        };
        let subscriber = hub.subscribe(&input.key, interest);
        let tracks = self.job.template.track_choice(&self.job.values);
        let Some(mut bridge) = Bridge::open(&hub, subscriber, input.id, tracks, &self.stop).await else {
            return Ok(());
        };
        loop {
            let origin = Arc::new(OnceLock::new());
            let outcome = match self.build(bridge.tracks(), origin.clone()).await {
                Err(Unbuilt::NothingToDo) => {
                    self.enter(State::Idle);
                    bridge.pass(&self.stop).await
                }
                Err(Unbuilt::Failed(reason)) => return Err(Failure(reason)),
                Ok(mut instance) => {
                    let on_change = self.job.template.on_change;
                    let outcome = bridge.feed(&mut instance, &origin, on_change, &self.stop).await;
                    let dropped = bridge.dropped();
                    self.status.send_modify(|status| status.dropped = dropped);
                    match outcome {
                        Outcome::Failed(reason) => {
                            instance.stop().await;
                            return Err(Failure(reason));
                        }
                        Outcome::Finished => {
                            instance.stop().await;
                            return Err(Failure("it came to its end before its input did".to_owned()));
                        }
                        outcome => {
                            self.finish(instance).await;
                            outcome
                        }
                    }
                }
            };
            if outcome != Outcome::Changed {
                return Ok(());
            }
            info!("the stream's tracks have changed; the pipeline is built anew");
        }
    }

    async fn run_source(&mut self) -> Result<(), Failure> {
        // After a restart the stream goes on where it was.
        let frontier = self
            .publishers
            .values()
            .filter_map(|publisher| publisher.frontier())
            .max();
        let origin = Arc::new(OnceLock::from(frontier.unwrap_or_default() + HEADROOM));
        let mut instance = match self.build(&[], origin).await {
            Ok(instance) => instance,
            Err(Unbuilt::NothingToDo) => return Err(Failure(BuildError::NothingToDo.to_string())),
            Err(Unbuilt::Failed(reason)) => return Err(Failure(reason)),
        };
        let report = tokio::select! {
            () = self.stop.cancelled() => None,
            report = instance.report() => Some(report),
        };
        match report {
            None => {
                self.finish(instance).await;
                Ok(())
            }
            Some(report) => {
                instance.stop().await;
                match report {
                    Report::Failure(reason) => Err(Failure(reason)),
                    Report::End => Err(Failure("it came to its end".to_owned())),
                }
            }
        }
    }

    /// Makes an instance for these tracks and starts it.
    async fn build(&mut self, tracks: &[Track], origin: Arc<OnceLock<MediaTime>>) -> Result<Instance, Unbuilt> {
        let outlets = self.outlets(tracks, origin).map_err(Unbuilt::Failed)?;
        let started = SystemTime::now();
        let (job, tracks) = (self.job.clone(), tracks.to_vec());
        let file = self.file(started);
        let made = tokio::task::spawn_blocking(move || {
            let file = file.map(|file| file.create()).transpose().map_err(Unbuilt::Failed)?;
            let recipe = Recipe {
                template: &job.template,
                values: &job.values,
                tracks: &tracks,
                file: file.as_deref(),
                outlets,
            };
            let mut instance = Instance::build(&recipe).map_err(|error| match error {
                BuildError::NothingToDo => Unbuilt::NothingToDo,
                error => Unbuilt::Failed(error.to_string()),
            })?;
            instance.start().map_err(Unbuilt::Failed)?;
            Ok((instance, file))
        });
        let (instance, file) = made.await.map_err(|error| Unbuilt::Failed(error.to_string()))??;
        self.status.send_modify(|status| {
            status.state = State::Running;
            status.started = Some(started);
            status.file = file.or(status.file.take());
        });
        Ok(instance)
    }

    /// Who takes what the instance makes.
    fn outlets(
        &mut self,
        tracks: &[Track],
        origin: Arc<OnceLock<MediaTime>>,
    ) -> Result<BTreeMap<String, Outlet>, String> {
        let fitted = self.job.template.fit(&self.job.values, tracks);
        let launch = fitted.launch();
        let destination = self.job.destination.clone();
        let key_of = |sink: &str| match &destination {
            Destination::Stream(key) => Some(key.clone()),
            Destination::Streams(keys) => keys.get(output_name(sink)?).cloned(),
            _ => None,
        };
        let mut outlets = BTreeMap::new();
        match &destination {
            Destination::Stream(_) | Destination::Streams(_) => {
                let outgoing = outgoing(launch, tracks);
                let wanted: Vec<_> = outgoing.keys().filter_map(|sink| key_of(sink)).collect();
                self.publishers.retain(|key, _| wanted.contains(key));
                for (sink, expected) in outgoing {
                    let Some(key) = key_of(&sink) else { continue };
                    let publisher = match self.publishers.get(&key) {
                        Some(publisher) => publisher.clone(),
                        None => self.claim(key)?,
                    };
                    outlets.insert(sink, publisher.outlet(expected, origin.clone()));
                }
            }
            Destination::Segments(key) => {
                let tracks: Vec<_> = pads(launch, tracks).into_iter().zip(used(launch, tracks)).collect();
                if !tracks.is_empty() {
                    let presentation = self.services.segments.open(key, self.services.hls.clone());
                    let outlet = segments::outlet(&presentation, &tracks, origin);
                    outlets.insert("out".to_owned(), outlet.map_err(|error| error.to_string())?);
                }
            }
            Destination::Recording { .. } | Destination::None => {}
        }
        Ok(outlets)
    }

    fn claim(&mut self, key: StreamKey) -> Result<Arc<Publisher>, String> {
        let ancestors = self
            .job
            .input
            .iter()
            .flat_map(|input| [input.key.clone()].into_iter().chain(input.ancestors.clone()));
        let origin = Origin::Pipeline {
            template: self.job.template.name.clone(),
            ancestors: ancestors.collect(),
        };
        let publication = self
            .services
            .hub
            .claim(key.clone(), origin)
            .map_err(|error| error.to_string())?;
        let publisher = Arc::new(Publisher::new(publication));
        self.publishers.insert(key, publisher.clone());
        Ok(publisher)
    }

    fn file(&self, started: SystemTime) -> Option<NewFile> {
        match (&self.job.destination, &self.job.input) {
            (Destination::Recording { dir, format }, Some(input)) => Some(NewFile {
                wanted: recording_path(dir, &input.key, started, *format),
            }),
            _ => None,
        }
    }

    async fn finish(&mut self, instance: Instance) {
        self.enter(State::Finishing);
        if let Err(reason) = instance.finish(DRAIN).await {
            warn!(%reason, "pipeline did not finish properly");
            self.status.send_modify(|status| status.last_error = Some(reason));
        }
    }

    fn enter(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }
}

enum Unbuilt {
    NothingToDo,
    Failed(String),
}

/// A file to be made.
struct NewFile {
    wanted: PathBuf,
}

impl NewFile {
    /// Makes the directory, and the file under the first name that is free.
    fn create(self) -> Result<PathBuf, String> {
        /// Recordings that begin in one millisecond under one name.
        const TRIES: u32 = 100;
        let fail = |error: std::io::Error| format!("cannot record to {}: {error}", self.wanted.display());
        if let Some(dir) = self.wanted.parent() {
            std::fs::create_dir_all(dir).map_err(fail)?;
        }
        let stem = self
            .wanted
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let suffix = self
            .wanted
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for n in 1..=TRIES {
            let path = match n {
                1 => self.wanted.clone(),
                n => self.wanted.with_file_name(format!("{stem}-{n}.{suffix}")),
            };
            match std::fs::File::create_new(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Err(format!(
            "cannot record to {}: every name is taken",
            self.wanted.display()
        ))
    }
}
