//! Workers: pipelines in processes of their own.
//!
//! A codec or a driver that crashes takes a worker along and not the server; one that hangs is noticed and its process
//! killed. The worker is the same program ([`child`]). It gets a blueprint and coded frames over a socket pair, and sends back
//! what comes out ([`wire`]). The server's side is a [`Worker`], which its supervisor holds, and a task that keeps the process.

pub mod child;
mod keeper;
mod limits;
mod process;
mod usage;
pub mod wire;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use gststreammill::Level;
use streammill_media::{MediaTime, Track, TrackKey};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::{Instrument, debug};

use self::{
    keeper::{Kept, Shared, keep},
    process::{NO_MEDIA, Process},
    wire::Order,
};
pub use self::{limits::Limits, usage::Usage};
use super::{
    blueprint::Blueprint,
    control::{Answer, Control},
    instance::{Failure, Report},
    params::Mask,
    policy::Gate,
    product::Emit,
    stages::Stages,
    template::Output,
    vitals::Duty,
};

/// Orders that wait to be sent.
const MAX_ORDERS: usize = 1024;
/// Room that is kept for what must not be left out, such as another decoder configuration.
const RESERVE: usize = 32;
/// How long elements may take to start: drivers are slow at times.
const START: Duration = Duration::from_secs(30);
/// How long it may be before something comes out of them.
const FIRST_OUTPUT: Duration = Duration::from_secs(10);
/// How long a change to a running pipeline may take.
const CHANGE: Duration = Duration::from_secs(5);

/// Where workers come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workers {
    program: Arc<PathBuf>,
    /// One that is ready before it is asked for, because starting GStreamer takes a while.
    spare: Arc<tokio::sync::Mutex<Option<Process>>>,
    tasks: TaskTracker,
    closed: CancellationToken,
}

impl Workers {
    /// From this program, which has to be streammill.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program: Arc::new(program),
            spare: Arc::default(),
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Gets one ready for the next pipeline, so that it begins at once.
    pub fn prepare(&self) {
        if self.closed.is_cancelled() {
            return;
        }
        let workers = self.clone();
        self.tasks.spawn(async move {
            let mut spare = workers.spare.lock().await;
            if spare.is_some() || workers.closed.is_cancelled() {
                return;
            }
            match Process::start(&workers.program).await {
                Ok(process) => *spare = Some(process),
                // The pipeline that needs one will say so.
                Err(error) => debug!(%error, "no spare worker"),
            }
        });
    }

    /// Starts a pipeline in a worker. What comes out goes to `emit`.
    pub async fn start(&self, blueprint: Blueprint, emit: Emit) -> Result<Worker, Failure> {
        let spare = self.spare.lock().await.take();
        let process = match spare {
            Some(process) => process,
            None => Process::start(&self.program)
                .await
                .map_err(|error| format!("no worker can be started: {error}"))?,
        };
        process.conceal(Mask::of(blueprint.settings.iter().map(|setting| &setting.value)));
        let (orders, waiting) = mpsc::channel(MAX_ORDERS);
        let (reports, received) = mpsc::channel(8);
        let (built, answer) = oneshot::channel();
        let shared = Arc::new(Shared::new(process.id()));
        let kept = Kept {
            orders: waiting,
            reports,
            built: Some(built),
            emit,
            shared: shared.clone(),
            stop: CancellationToken::new(),
            memory: blueprint.limits.memory,
            duty: Duty {
                patience: blueprint.patience,
                start: match blueprint.outside {
                    true => Duration::MAX,
                    false => FIRST_OUTPUT,
                },
                makes: matches!(blueprint.output, Output::Stream | Output::Segments) && !blueprint.outlets.is_empty(),
                is_source: blueprint.lanes.is_empty(),
            },
        };
        let stop = kept.stop.clone().drop_guard();
        let mut worker = Worker {
            lanes: blueprint.lanes.iter().map(|lane| lane.track.key()).collect(),
            orders,
            reports: received,
            shared,
            _stop: stop,
        };
        let drawn = serde_json::to_vec(&blueprint).map_err(|error| error.to_string())?;
        worker.order(Order::Build, drawn.into())?;
        self.tasks.spawn(keep(process, kept).in_current_span());
        let built = timeout(START, answer).await;
        // The next one is got ready when this one has what it needs of the machine.
        self.prepare();
        match built {
            Ok(Ok(Ok(()))) => Ok(worker),
            Ok(Ok(Err(reason))) => Err(reason.into()),
            Ok(Err(_)) => match worker.report().await {
                Report::Failure(failure) => Err(failure),
                Report::End => Err("it came to its end at once".to_owned().into()),
            },
            Err(_) => Err(format!("its elements did not start within {START:?}").into()),
        }
    }

    /// Ends the spare one and waits until every process is gone.
    pub async fn close(&self) {
        self.closed.cancel();
        if let Some(spare) = self.spare.lock().await.take() {
            spare.end(process::GRACE).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A pipeline in a worker. Dropping it ends the worker.
#[derive(Debug)]
pub struct Worker {
    lanes: BTreeSet<TrackKey>,
    orders: mpsc::Sender<(Order, Bytes)>,
    reports: mpsc::Receiver<Report>,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl Worker {
    /// Whether it takes a track of the stream.
    pub fn takes(&self, track: TrackKey) -> bool {
        self.lanes.contains(&track)
    }

    /// Running time zero lies here on the stream's timeline.
    pub fn set_origin(&mut self, origin: MediaTime) {
        self.must(Order::Origin(origin));
    }

    /// What follows of a track is configured anew.
    pub fn configure(&mut self, track: &Track) {
        self.must(Order::Track(track.clone()));
    }

    /// What waits of a track, here, on the way and there.
    pub fn level(&self, track: TrackKey) -> Level {
        match self.orders.capacity() > RESERVE {
            true => self.shared.level(track),
            false => Level {
                time: Gate::MAX_LEVEL.time + MediaTime::from_millis(1),
                ..self.shared.level(track)
            },
        }
    }

    /// Hands over a frame, with times from zero.
    pub fn push(
        &mut self,
        track: TrackKey,
        data: Bytes,
        key: bool,
        dts: MediaTime,
        pts: MediaTime,
    ) -> Result<(), String> {
        self.shared.fed(track, data.len(), dts);
        match self.orders.try_send((Order::Frame { track, key, dts, pts }, data)) {
            Err(mpsc::error::TrySendError::Full(_)) => Err("its worker takes no more".to_owned()),
            // How the worker ended is about to be reported, and says more.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Waits for the next report. Cancelling loses nothing.
    pub async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            None => Report::Failure("its worker is gone".to_owned().into()),
        }
    }

    /// For whoever looks at it, or changes something, while another feeds it.
    pub fn remote(&self) -> WorkerRemote {
        WorkerRemote {
            lanes: self.lanes.iter().copied().collect(),
            orders: self.orders.clone(),
            shared: self.shared.clone(),
        }
    }

    /// Lets what is inside come out, for as long as `patience` lasts, then stops.
    pub async fn finish(mut self, patience: Duration) -> Result<(), Failure> {
        self.shared.finish();
        self.order(Order::Finish, NO_MEDIA)?;
        let ended = match timeout(patience, self.report()).await {
            Ok(Report::End) => Ok(()),
            Ok(Report::Failure(failure)) => Err(failure),
            Err(_) => Err(format!("it did not come to its end within {patience:?}").into()),
        };
        self.stop().await;
        ended
    }

    /// Stops at once, and comes back when the process is gone.
    pub async fn stop(self) {
        let Self { mut reports, _stop, .. } = self;
        drop(_stop);
        // The channel closes when the keeper has seen the process end.
        while reports.recv().await.is_some() {}
    }

    fn order(&mut self, order: Order, media: Bytes) -> Result<(), String> {
        self.orders.try_send((order, media)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => "its worker takes no more".to_owned(),
            mpsc::error::TrySendError::Closed(_) => "its worker has ended".to_owned(),
        })
    }

    /// For what has its room kept. A worker that has ended reports that by itself.
    fn must(&mut self, order: Order) {
        if let Err(reason) = self.order(order, NO_MEDIA) {
            debug!(reason, "an order is lost");
        }
    }
}

/// A worker, as one sees it who does not feed it.
#[derive(Clone, Debug)]
pub struct WorkerRemote {
    lanes: Vec<TrackKey>,
    orders: mpsc::Sender<(Order, Bytes)>,
    shared: Arc<Shared>,
}

impl WorkerRemote {
    /// What waits of each track, here, on the way and there.
    pub fn levels(&self) -> Vec<(TrackKey, Level)> {
        let level = |track: &TrackKey| (*track, self.shared.level(*track));
        self.lanes.iter().map(level).collect()
    }

    /// How long pictures take through it.
    pub fn stages(&self) -> Stages {
        self.shared.stages()
    }

    /// What it has taken of the machine.
    pub fn usage(&self) -> Usage {
        self.shared.usage()
    }

    /// Changes something, or answers something, while it runs.
    pub async fn control(&self, control: Control) -> Result<Answer, String> {
        let (number, answer) = self.shared.ask();
        let text = serde_json::to_vec(&control).map_err(|error| error.to_string())?;
        let order = (Order::Control(number), text.into());
        match timeout(CHANGE, self.orders.send(order)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err("its worker has ended".to_owned()),
            Err(_) => return Err(format!("it takes no orders for {CHANGE:?}")),
        }
        match timeout(CHANGE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("its worker has ended".to_owned()),
            Err(_) => Err(format!("it did not answer within {CHANGE:?}")),
        }
    }
}

/// The lock is held for arithmetic and single messages only; a poisoned one is still whole.
fn held<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
