//! Supervisors: each owns one pipeline's life.
//!
//! A supervisor waits until it is known what the stream is made of, builds the pipeline for that, here or in a worker, feeds
//! it, and brings it to a proper end when the publisher leaves or the server stops. What fails is built again, after ever
//! longer waits; what fails too often is left alone.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use streammill_media::{MediaTime, Track};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant as Clock, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    blueprint::{Blueprint, Recipe, is_installed},
    bridge::{Bridge, Outcome},
    control::{Answer, Control},
    encoder::{Chosen, EncoderBench, leases::Leases},
    equip::equip,
    instance::{BuildError, Failure, Instance, Report},
    job::{Command, Destination, Input, Job, Request, State, Status},
    memory::{Kits, MemoryPlan},
    params::{self, Mask},
    policy::Backoff,
    product::{Emit, What},
    publisher::Publisher,
    recording::NewFile,
    running::{Remote, Running},
    segments,
    taps::Taps,
    template::{Fitted, Isolation, OnEnd, output_name},
    worker::{Limits, Workers},
};
use crate::{
    hub::{Hub, Interest, Origin, Protocol, StreamKey},
    output::{
        hls,
        pictures::{PictureWriter, Pictures},
    },
};

/// How long a pipeline has to work off what it was fed.
const DRAIN: Duration = Duration::from_secs(8);
/// Room before the first frame of a source, for encoders that reorder.
const HEADROOM: MediaTime = MediaTime::from_millis(250);
/// A source that plays no longer than this is not begun again at once.
const SHORTEST_TURN: Duration = Duration::from_secs(1);
/// How often it is written down how a pipeline is.
const NOTE: Duration = Duration::from_millis(500);

/// What pipelines work with.
#[derive(Clone, Debug)]
pub struct Services {
    /// Where streams come from and go to.
    pub hub: Hub,
    /// Where segments go.
    pub segments: hls::Store,
    /// Where pictures go.
    pub pictures: Pictures,
    /// How segments are kept.
    pub hls: hls::Settings,
    /// Where isolated pipelines run. Without it all run in this process.
    pub workers: Option<Workers>,
    /// What of the machine a worker may have.
    pub limits: Limits,
    /// Where encoders come from.
    pub encoders: EncoderBench,
    /// What can be done in devices' memory.
    pub kits: Kits,
}

/// Runs a pipeline until its input ends, or it is told to stop.
pub async fn supervise(
    job: Job,
    services: Services,
    status: watch::Sender<Status>,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
) {
    let mut supervisor = Supervisor {
        job,
        services,
        status,
        commands,
        stop,
        taps: Taps::default(),
        blueprint: None,
        leases: Leases::default(),
        steps: 0,
        failed_here: BTreeSet::new(),
        kits_aside: BTreeSet::new(),
        has_output: Arc::default(),
        pictures: None,
    };
    supervisor.run().await;
    supervisor.enter(State::Ended);
}

struct Supervisor {
    job: Job,
    services: Services,
    status: watch::Sender<Status>,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
    taps: Taps,
    /// What the pipeline that runs was built from.
    blueprint: Option<Blueprint>,
    /// The encoders it uses.
    leases: Leases,
    /// Steps that were made to do with fewer of them.
    steps: usize,
    /// Encoders that have failed in this pipeline.
    failed_here: BTreeSet<String>,
    /// Kits that have failed in this pipeline. It does without them from then on.
    kits_aside: BTreeSet<String>,
    /// Something has come out of the pipeline that runs.
    has_output: Arc<AtomicBool>,
    /// Where its pictures are put, from the first instance to the last.
    pictures: Option<Arc<PictureWriter>>,
}

impl Supervisor {
    async fn run(&mut self) {
        let mut backoff = match self.job.template.outside {
            true => Backoff::endless(),
            false => Backoff::default(),
        };
        loop {
            let began = Clock::now();
            let result = match self.job.input.clone() {
                Some(input) => self.work_on(&input).await,
                None => self.run_source().await,
            };
            let memory = self.blueprint.take().map(|blueprint| blueprint.memory);
            let Err(mut failure) = result else { return };
            failure.reason = self.mask().apply(&failure.reason);
            let fell_over = self.blame(&failure, &memory.unwrap_or_default());
            self.leases = Leases::default();
            let reason = failure.reason;
            let wait = match fell_over {
                // Another encoder goes on at once.
                true => Some(Duration::ZERO),
                false => backoff.after(began.elapsed(), rand::random()),
            };
            self.status.send_modify(|status| {
                status.restarts += 1;
                status.last_error = Some(reason.clone());
                status.usage = None;
            });
            match wait {
                Some(wait) => {
                    warn!(%reason, seconds = wait.as_secs_f32(), "pipeline failed; it will be built again");
                    self.enter(State::Restarting);
                    self.refuse_for(Some(wait)).await;
                }
                None => {
                    error!(%reason, "pipeline has failed too often; it is left alone until it is started anew");
                    self.enter(State::Quarantined);
                    self.refuse_for(None).await;
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// What nobody is to see of what elements say.
    fn mask(&self) -> Mask {
        Mask::of(self.job.values.values())
    }

    /// Finds out whether an encoder or a kit is to blame for a failure, and if so has the next encoder take its place, or the
    /// pictures stay in system memory. True if that may help.
    fn blame(&mut self, failure: &Failure, memory: &MemoryPlan) -> bool {
        let had_output = self.has_output.load(Ordering::Relaxed);
        let role = self.leases.blamed(&failure.elements);
        // Where nothing is named an encoder is only suspected, and it has shown in its probe that it works.
        let is_encoder = role.is_some() && !failure.elements.is_empty();
        if let Some(kit) = memory.blamed(&failure.elements, is_encoder, had_output) {
            let warning = format!("the kit {kit} has failed: {}", failure.reason);
            self.status.send_modify(|status| status.warning = Some(warning));
            return self.kits_aside.insert(kit.to_owned());
        }
        let Some(role) = role else { return false };
        let now = Clock::now().into_std();
        let Some(element) = self.leases.failed(&role, &failure.reason, had_output, now) else {
            return false;
        };
        let warning = format!("encoder {element} has failed: {}", failure.reason);
        self.status.send_modify(|status| status.warning = Some(warning));
        self.failed_here.insert(element)
    }

    /// Takes the encoders for an instance, which are held until it is over. What is left of the template where there are not
    /// enough.
    async fn equip(&mut self, tracks: &[Track]) -> Result<Fitted, String> {
        let (bench, template) = (self.services.encoders.clone(), self.job.template.clone());
        self.leases = Leases::default();
        self.stop.run_until_cancelled(Leases::settled(&bench, &template)).await;
        let now = Clock::now().into_std();
        let equipped = equip(&bench, &template, &self.job.values, tracks, &mut self.failed_here, now);
        let equipped = equipped.map_err(|refused| refused.to_string())?;
        (self.leases, self.steps) = (equipped.leases, equipped.steps);
        for (role, lease) in self.leases.iter() {
            for passed in lease.passed_over() {
                info!(role, element = passed.element, why = %passed.why, "encoder passed over");
            }
        }
        if let Some(without) = &equipped.without {
            warn!(%without, "there are not enough encoders; the pipeline does less");
        }
        self.status.send_modify(|status| status.shortage = equipped.without);
        Ok(equipped.fitted)
    }

    /// Does nothing for a while, or until it is told to stop, and says so to whoever asks.
    async fn refuse_for(&mut self, wait: Option<Duration>) {
        let waited = async {
            match wait {
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(waited);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = &mut waited => return,
                Some(command) = self.commands.recv() => {
                    let _ = command.answer.send(Err("the pipeline is not running".to_owned()));
                }
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
        let (stop, on_change) = (self.stop.clone(), self.job.template.on_change);
        loop {
            let outcome = match self.build(bridge.tracks()).await {
                Err(Unbuilt::NothingToDo) => {
                    self.enter(State::Idle);
                    bridge.pass(&stop).await
                }
                Err(Unbuilt::Failed(failure)) => return Err(failure),
                Ok(mut running) => {
                    let remote = running.remote();
                    let outcome = tokio::select! {
                        outcome = bridge.feed(&mut running, on_change, &stop) => outcome,
                        never = self.attend(&remote) => match never {},
                    };
                    let dropped = bridge.dropped();
                    self.status.send_modify(|status| status.dropped = dropped);
                    match outcome {
                        Outcome::Failed(failure) => {
                            running.stop().await;
                            return Err(failure);
                        }
                        Outcome::Finished => {
                            running.stop().await;
                            return Err("it came to its end before its input did".to_owned().into());
                        }
                        outcome => {
                            self.finish(running).await;
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
        while self.play_source().await? == Turn::Next {}
        Ok(())
    }

    /// One turn of a source, from its begin to its end.
    async fn play_source(&mut self) -> Result<Turn, Failure> {
        let mut running = match self.build(&[]).await {
            Ok(running) => running,
            Err(Unbuilt::NothingToDo) => return Err(BuildError::NothingToDo.to_string().into()),
            Err(Unbuilt::Failed(failure)) => return Err(failure),
        };
        let (stop, remote, began) = (self.stop.clone(), running.remote(), Clock::now());
        let report = tokio::select! {
            () = stop.cancelled() => None,
            report = running.report() => Some(report),
            never = self.attend(&remote) => match never {},
        };
        // What ends as soon as it has begun has failed, whatever it says.
        let was_worth_it = began.elapsed() >= SHORTEST_TURN && self.has_output.load(Ordering::Relaxed);
        let again = self.job.template.on_end == OnEnd::Again && was_worth_it;
        match report {
            None => {
                self.finish(running).await;
                Ok(Turn::Last)
            }
            Some(report) => {
                running.stop().await;
                match report {
                    Report::Failure(failure) => Err(failure),
                    Report::End if again => Ok(Turn::Next),
                    Report::End => Err("it came to its end".to_owned().into()),
                }
            }
        }
    }

    /// Notes how the pipeline is, and does what is asked of it, for as long as it runs.
    async fn attend(&mut self, remote: &Remote) -> std::convert::Infallible {
        let mut note = interval(NOTE);
        let (taps, mut asked) = (self.taps.clone(), None::<Clock>);
        loop {
            tokio::select! {
                _ = note.tick() => {}
                () = taps.starved() => {
                    if asked.is_none_or(|asked| asked.elapsed() >= NOTE) {
                        asked = Some(Clock::now());
                        // Where there is no encoder, the source's next key frame has to do.
                        let _ = remote.control(Control::KeyFrame).await;
                    }
                    continue;
                }
                Some(command) = self.commands.recv() => {
                    let answer = self.obey(command.request, remote).await;
                    // Whoever asked may have given up.
                    let _ = command.answer.send(answer);
                }
            }
            if self.has_output.load(Ordering::Relaxed) {
                self.leases.work();
            }
            let publishes = self.taps.keys();
            self.status.send_modify(|status| {
                status.levels = remote.levels();
                status.stages = remote.stages();
                status.usage = remote.usage();
                status.values.clone_from(&self.job.values);
                status.publishes = publishes;
            });
        }
    }

    async fn obey(&mut self, request: Request, remote: &Remote) -> Result<Answer, String> {
        match request {
            Request::KeyFrame => remote.control(Control::KeyFrame).await,
            Request::Graph => {
                let answer = remote.control(Control::Graph).await?;
                Ok(match answer {
                    Answer::Graph(graph) => Answer::Graph(self.mask().apply(&graph)),
                    Answer::Done => Answer::Done,
                })
            }
            Request::Set(given) => {
                let template = self.job.template.clone();
                let values = params::change(&template.params, &self.job.values, &given);
                let mut values = values.map_err(|error| error.to_string())?;
                if let Some(Input { key, .. }) = &self.job.input {
                    values = params::of_stream(&values, key.app(), key.name());
                }
                let Some(blueprint) = &self.blueprint else {
                    return Err("the pipeline is not running".to_owned());
                };
                let tracks: Vec<_> = blueprint.lanes.iter().map(|lane| lane.track.clone()).collect();
                let fitted = template.fit(&template.reduced(&values, &tracks, self.steps), &tracks);
                let other = self
                    .draw(&fitted, &self.leases.chosen(), &tracks, None)
                    .map_err(|error| error.to_string())?;
                let settings = blueprint.changes(&other)?;
                let answer = remote.control(Control::Set(settings)).await?;
                self.job.values = values;
                self.blueprint = Some(other);
                Ok(answer)
            }
            Request::Publish { output, key } => {
                let output = self.outlet(output.as_deref())?;
                self.claim(&output, key)?;
                Ok(Answer::Done)
            }
            Request::Unpublish(key) => match self.taps.remove(&key) {
                true => Ok(Answer::Done),
                false => Err(format!("it does not publish {key}")),
            },
        }
    }

    /// The element at which an output arrives; the only one, if none is named.
    fn outlet(&self, output: Option<&str>) -> Result<String, String> {
        let is_stream = matches!(self.job.destination, Destination::Streams(_));
        let blueprint = self
            .blueprint
            .as_ref()
            .filter(|_| is_stream)
            .ok_or("it makes no stream")?;
        let elements = blueprint.outlets.iter().map(|exit| exit.element.as_str());
        let known: Vec<_> = elements
            .filter_map(|element| Some((output_name(element)?, element)))
            .collect();
        let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        match (output, &known[..]) {
            (_, []) => Err("it makes no stream".to_owned()),
            (None, [(_, only)]) => Ok((*only).to_owned()),
            (None, _) => Err(format!(
                "it makes several streams ({}); say which, as {{\"output\": …, \"publish_to\": …}}",
                names()
            )),
            (Some(output), known) => match known.iter().find(|(name, _)| *name == output) {
                Some((_, element)) => Ok((*element).to_owned()),
                None => Err(format!("it has no output '{output}', but {}", names())),
            },
        }
    }

    /// Makes a pipeline for these tracks and starts it.
    async fn build(&mut self, tracks: &[Track]) -> Result<Running, Unbuilt> {
        let started = SystemTime::now();
        let fitted = self.equip(tracks).await?;
        let isolation = fitted.template.isolation();
        let encoders = self.leases.chosen();
        let file = self.file(started).map(NewFile::create).transpose()?;
        let drawn = self.draw(&fitted, &encoders, tracks, file.as_deref());
        let mut blueprint = drawn.map_err(|error| match error {
            BuildError::NothingToDo => Unbuilt::NothingToDo,
            error => Unbuilt::from(error.to_string()),
        })?;
        if tracks.is_empty() {
            // After a restart a source's stream goes on where it was.
            blueprint.origin = Some(self.taps.frontier().unwrap_or_default() + HEADROOM);
        }
        blueprint.limits = self.services.limits.clone();
        let taken = self.emit(&blueprint)?;
        let has_output = Arc::new(AtomicBool::new(false));
        self.has_output = has_output.clone();
        let emit: Emit = Arc::new(move |product| {
            has_output.store(true, Ordering::Relaxed);
            taken(product)
        });
        // What does not even start is blamed by what it was to be.
        self.blueprint = Some(blueprint.clone());
        let origin = Arc::new(blueprint.origin.map_or_else(OnceLock::new, OnceLock::from));
        let running = match (&self.services.workers, isolation) {
            (Some(workers), Isolation::Process) => {
                let worker = workers.start(blueprint.clone(), emit).await?;
                Running::in_worker(worker, origin)
            }
            _ => {
                let (blueprint, at) = (blueprint.clone(), origin.clone());
                let made = tokio::task::spawn_blocking(move || {
                    let mut instance = Instance::build(&blueprint, &at, &emit).map_err(|error| error.to_string())?;
                    instance.start()?;
                    Ok::<_, Unbuilt>(instance)
                });
                let instance = made.await.map_err(|error| error.to_string())??;
                Running::here(instance, origin)
            }
        };
        let publishes = self.taps.keys();
        self.status.send_modify(|status| {
            status.state = State::Running;
            status.started = Some(started);
            status.file = file.or(status.file.take());
            status.values.clone_from(&self.job.values);
            let coders = blueprint.encoders.iter();
            status.encoders = coders
                .map(|coder| (coder.role.clone(), coder.encoder.element.clone()))
                .collect();
            status.kit.clone_from(&blueprint.memory.kit);
            status.publishes = publishes;
        });
        Ok(running)
    }

    /// What the template means here.
    fn draw(
        &self,
        fitted: &Fitted,
        encoders: &Chosen,
        tracks: &[Track],
        file: Option<&Path>,
    ) -> Result<Blueprint, BuildError> {
        let recipe = Recipe {
            fitted,
            encoders,
            kits: &self.services.kits.without(&self.kits_aside),
            tracks,
            file,
        };
        Blueprint::draw(&recipe, is_installed)
    }

    /// Who takes what the pipeline makes.
    fn emit(&mut self, blueprint: &Blueprint) -> Result<Emit, String> {
        match self.job.destination.clone() {
            Destination::Streams(streams) => {
                let elements: Vec<_> = blueprint.outlets.iter().map(|exit| exit.element.as_str()).collect();
                // A smaller picture has fewer rungs.
                self.taps.keep(&elements);
                for element in elements {
                    let key = output_name(element).and_then(|output| streams.get(output));
                    if let Some(key) = key.filter(|key| !self.taps.has(element, key)) {
                        self.claim(element, key.clone())?;
                    }
                }
                let exits = blueprint.outlets.iter();
                Ok(self
                    .taps
                    .taker(exits.map(|exit| (exit.element.clone(), exit.pads.clone())).collect()))
            }
            Destination::Segments(key) => {
                let tracks: Vec<_> = blueprint.lanes.iter().map(|lane| (lane.pad, &lane.track)).collect();
                let presentation = self.services.segments.open(&key, self.services.hls.clone());
                segments::writer(&presentation, &tracks).map_err(|error| error.to_string())
            }
            Destination::Pictures(key) => {
                let place = || Arc::new(self.services.pictures.place(&key));
                let writer = self.pictures.get_or_insert_with(place).clone();
                Ok(Arc::new(move |product| match product.what {
                    What::Picture(picture) => writer.put(picture).map_err(|error| error.to_string()),
                    _ => Ok(()),
                }))
            }
            Destination::Recording { .. } | Destination::None => Ok(Arc::new(|_| Ok(()))),
        }
    }

    /// Publishes an output under a key.
    fn claim(&mut self, output: &str, key: StreamKey) -> Result<(), String> {
        let inputs = self.job.input.iter();
        let ancestors: Vec<_> = inputs
            .flat_map(|input| [input.key.clone()].into_iter().chain(input.ancestors.clone()))
            .collect();
        if ancestors.contains(&key) {
            return Err(format!("{key} is what this is made from; it would feed itself"));
        }
        let origin = Origin::Pipeline {
            template: self.job.template.name.clone(),
            ancestors,
        };
        let claimed = self.services.hub.claim(key.clone(), origin);
        let publication = claimed.map_err(|error| error.to_string())?;
        self.taps.add(output, key, Publisher::new(publication));
        Ok(())
    }

    fn file(&self, started: SystemTime) -> Option<NewFile> {
        match (&self.job.destination, &self.job.input) {
            (Destination::Recording { dir, format }, Some(input)) => {
                Some(NewFile::of(dir, &input.key, started, *format))
            }
            _ => None,
        }
    }

    async fn finish(&mut self, running: Running) {
        self.enter(State::Finishing);
        if let Err(Failure { reason, .. }) = running.finish(DRAIN).await {
            let reason = self.mask().apply(&reason);
            warn!(%reason, "pipeline did not finish properly");
            self.status.send_modify(|status| status.last_error = Some(reason));
        }
    }

    fn enter(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }
}

/// What follows a turn of a source.
#[derive(PartialEq, Eq)]
enum Turn {
    /// The same again.
    Next,
    /// Nothing: it was told to stop.
    Last,
}

enum Unbuilt {
    NothingToDo,
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for Unbuilt {
    fn from(failure: T) -> Self {
        Self::Failed(failure.into())
    }
}
