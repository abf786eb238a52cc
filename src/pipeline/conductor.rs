//! The conductor: keeps running what the plan asks for.
//!
//! It looks at the whole at every change instead of following single events, so a missed one is made up for by the next. A
//! pipeline is started when its stream is live and no sooner than the plan says; it ends by itself when its stream does,
//! because only it knows when the last frame has been worked off.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

use super::{
    job::{Command, Destination, Job, Status},
    plan::{LiveStream, PipelineId, Plan},
    supervisor::{Services, supervise},
};
use crate::hub::StreamKey;

/// Changes that may wait for one pipeline.
const MAX_COMMANDS: usize = 16;

/// The pipelines that run, for the interfaces to show. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    pipelines: Arc<Mutex<BTreeMap<PipelineId, Member>>>,
}

#[derive(Debug)]
struct Member {
    template: String,
    input: Option<StreamKey>,
    destination: Destination,
    status: watch::Receiver<Status>,
    commands: mpsc::Sender<Command>,
}

/// A pipeline as it is now.
#[derive(Clone, Debug)]
pub struct PipelineSnapshot {
    /// Which one.
    pub id: PipelineId,
    /// Its template.
    pub template: String,
    /// The stream it works on.
    pub input: Option<StreamKey>,
    /// Where its result goes.
    pub destination: Destination,
    /// How it is.
    pub status: Status,
}

impl Roster {
    /// All pipelines of streams that are live, and all sources.
    pub fn list(&self) -> Vec<PipelineSnapshot> {
        let snapshot = |(id, member): (&PipelineId, &Member)| PipelineSnapshot {
            id: id.clone(),
            template: member.template.clone(),
            input: member.input.clone(),
            destination: member.destination.clone(),
            status: member.status.borrow().clone(),
        };
        self.members().iter().map(snapshot).collect()
    }

    /// The lock is held for map operations only; a poisoned one is still whole.
    fn members(&self) -> MutexGuard<'_, BTreeMap<PipelineId, Member>> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the plan until it is told to stop, and then until every pipeline has finished.
pub async fn conduct(plan: Plan, services: Services, roster: Roster, stop: CancellationToken) {
    let mut changes = services.hub.changes();
    let mut tasks = JoinSet::new();
    let mut refused = BTreeSet::new();
    while !stop.is_cancelled() {
        changes.borrow_and_update();
        let live: Vec<_> = services.hub.streams().iter().filter_map(LiveStream::of).collect();
        let (wanted, refusals) = plan.desired(&live);
        for refusal in &refusals {
            if refused.insert(refusal.id.clone()) {
                warn!("{}", refusal.reason);
            }
        }
        refused.retain(|id| refusals.iter().any(|refusal| refusal.id == *id));
        // What is over is kept while its stream is live, or it would be started again.
        let is_wanted = |id: &PipelineId| wanted.iter().any(|(wanted, _)| wanted == id);
        roster
            .members()
            .retain(|id, member| is_wanted(id) || member.status.has_changed().is_ok());
        for (id, job) in wanted {
            let is_new = !roster.members().contains_key(&id);
            if is_new {
                let (status, commands) = start(&mut tasks, &job, &services, &stop);
                let member = Member {
                    commands,
                    template: job.template.name.clone(),
                    input: job.input.map(|input| input.key),
                    destination: job.destination,
                    status,
                };
                roster.members().insert(id, member);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            // The sender lives in the hub that `services` holds.
            _ = changes.changed() => {}
            Some(ended) = tasks.join_next() => report(ended),
        }
    }
    while let Some(ended) = tasks.join_next().await {
        report(ended);
    }
    if let Some(workers) = &services.workers {
        workers.close().await;
    }
    roster.members().clear();
}

fn start(
    tasks: &mut JoinSet<()>,
    job: &Job,
    services: &Services,
    stop: &CancellationToken,
) -> (watch::Receiver<Status>, mpsc::Sender<Command>) {
    let (status, shown) = watch::channel(Status::default());
    let (commands, received) = mpsc::channel(MAX_COMMANDS);
    let stream = match (&job.input, &job.destination) {
        (Some(input), _) => input.key.to_string(),
        (None, Destination::Stream(key)) => key.to_string(),
        (None, _) => String::new(),
    };
    let span = info_span!("pipeline", template = job.template.name, stream);
    tasks.spawn(supervise(job.clone(), services.clone(), status, received, stop.clone()).instrument(span));
    (shown, commands)
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a pipeline's supervisor failed; the pipeline is gone until its stream begins anew");
    }
}
